//! A real Prometheus on loopback: started, written to, asked, stopped.
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use promql::eval::Grid;
use promql::labels::Labels;
use serde_json::Value;

use crate::Series;
use crate::data::Memory;

pub(crate) struct Server {
    child: Child,
    address: String,
    folder: PathBuf,
}

/// What it says to a query.
#[derive(Debug)]
pub(crate) enum Reply {
    Series(Series),
    Error(String),
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        std::fs::remove_dir_all(&self.folder).ok();
    }
}

impl Server {
    /// `None` when tools are to be skipped.
    pub(crate) fn start() -> Option<Self> {
        let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/bin/prometheus");
        if !tool.exists() {
            assert!(std::env::var_os("SKIP_TOOLS").is_some(), "no prometheus in target/tools/bin: run `make tools`, or set SKIP_TOOLS=1");
            println!("not run: comparison with a real Prometheus (SKIP_TOOLS)");
            return None;
        }
        let name = std::thread::current().name().unwrap_or("test").to_owned();
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("prometheus-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("prometheus.yml"), "global: {evaluation_interval: 1m}\n").unwrap();
        let mut child = Command::new(tool)
            .current_dir(&folder)
            .args(["--config.file=prometheus.yml", "--web.listen-address=127.0.0.1:0", "--web.enable-remote-write-receiver"])
            .args(["--storage.tsdb.path=data", "--storage.tsdb.retention.time=100y", "--query.max-samples=50000000"])
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut address = String::new();
        let mut line = String::new();
        while log.read_line(&mut line).unwrap() > 0 {
            if line.contains("Listening on") {
                line.split("address=").nth(1).unwrap().trim().clone_into(&mut address);
            }
            if line.contains("Server is ready") {
                break;
            }
            line.clear();
        }
        assert!(!address.is_empty(), "prometheus did not start");
        // Its log must be read on, or a full pipe would stop it.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Some(Self { child, address, folder })
    }

    fn post(&self, path: &str, headers: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let head = format!("POST {path} HTTP/1.0\r\nHost: {}\r\n{headers}Content-Length: {}\r\n\r\n", self.address, body.len());
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).unwrap();
        let at = reply.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let status = std::str::from_utf8(&reply[9..12]).unwrap().parse().unwrap();
        (status, reply.split_off(at + 4))
    }

    /// Everything the memory holds, over remote write 1.0.
    pub(crate) fn write(&self, memory: &Memory) {
        let mut request = Vec::new();
        for (labels, samples) in &memory.0 {
            let mut series = Vec::new();
            for (name, value) in labels {
                let mut pair = Vec::new();
                message(&mut pair, 1, name.as_bytes());
                message(&mut pair, 2, value.as_bytes());
                message(&mut series, 1, &pair);
            }
            for sample in samples {
                let mut point = vec![1 << 3 | 1];
                point.extend_from_slice(&sample.v.to_bits().to_le_bytes());
                point.push(2 << 3);
                varint(&mut point, u64::try_from(sample.t_ms).unwrap());
                message(&mut series, 2, &point);
            }
            message(&mut request, 1, &series);
        }
        let headers = "Content-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\n";
        let (status, body) = self.post("/api/v1/write", headers, &snappy_literals(&request));
        assert_eq!(status, 204, "{}", String::from_utf8_lossy(&body));
    }

    pub(crate) fn ask(&self, query: &str, grid: Grid, instant: bool) -> Reply {
        let seconds = |ms: i64| format!("{}.{:03}", ms / 1000, ms % 1000);
        let query = percent(query);
        let (path, body) = if instant {
            ("/api/v1/query", format!("query={query}&time={}", seconds(grid.start_ms)))
        } else {
            let (start, end, step) = (seconds(grid.start_ms), seconds(grid.end_ms), seconds(grid.step_ms));
            ("/api/v1/query_range", format!("query={query}&start={start}&end={end}&step={step}"))
        };
        let (_, body) = self.post(path, "Content-Type: application/x-www-form-urlencoded\r\n", body.as_bytes());
        let reply: Value = serde_json::from_slice(&body).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&body)));
        if reply["status"] != "success" {
            return Reply::Error(format!("{}: {}", reply["errorType"].as_str().unwrap(), reply["error"].as_str().unwrap()));
        }
        Reply::Series(series(&reply["data"]))
    }
}

fn series(data: &Value) -> Series {
    let result = &data["result"];
    let mut series = Series::new();
    match data["resultType"].as_str().unwrap() {
        "scalar" => {
            series.insert("{}".to_owned(), BTreeMap::from([point(result)]));
        }
        "string" => {
            series.insert(result[1].as_str().unwrap().to_owned(), BTreeMap::new());
        }
        kind => {
            for one in result.as_array().unwrap() {
                let pairs = one["metric"].as_object().unwrap().iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap()));
                let points =
                    if kind == "vector" { vec![point(&one["value"])] } else { one["values"].as_array().unwrap().iter().map(point).collect() };
                series.insert(Labels::from_pairs(pairs).to_string(), points.into_iter().collect());
            }
        }
    }
    series
}

#[expect(clippy::cast_possible_truncation, reason = "times of the test data")]
fn point(pair: &Value) -> (i64, f64) {
    ((pair[0].as_f64().unwrap() * 1000.0).round() as i64, pair[1].as_str().unwrap().parse().unwrap())
}

fn percent(text: &str) -> String {
    text.bytes().map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 128 {
        out.push(u8::try_from(value % 128).unwrap() | 128);
        value /= 128;
    }
    out.push(u8::try_from(value).unwrap());
}

/// A length-delimited field.
fn message(out: &mut Vec<u8>, field: u8, content: &[u8]) {
    out.push(field << 3 | 2);
    varint(out, content.len() as u64);
    out.extend_from_slice(content);
}

/// Snappy's format without compression: the length, then pieces copied as they are.
fn snappy_literals(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    varint(&mut out, content.len() as u64);
    for piece in content.chunks(60_000) {
        out.push(61 << 2);
        out.extend_from_slice(&u16::try_from(piece.len() - 1).unwrap().to_le_bytes());
        out.extend_from_slice(piece);
    }
    out
}
