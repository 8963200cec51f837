//! What the recorder writes and costs: bytes by kind before and after packing, CPU and memory with it and without it; and what each level of gzip
//! makes of the same records, packed as many at a time as come within a `flush`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use flate2::read::MultiGzDecoder;
use flate2::{Compress, Compression, FlushCompress, Status};
use serde_json::Value;

use crate::collector::{Load, Seen, measure};
use crate::nats;
use crate::process::{fresh_dir, thread_cpu_time};

/// The recorder's own is 3.
const LEVELS: [u32; 3] = [1, 3, 6];
/// Records in a gzip member; 50 is what ten books a second come to with the default `flush: 5s`.
const MEMBERS: [usize; 3] = [10, 50, 200];
/// Of a kind with fewer records nothing is told.
const FEWEST: usize = 1_000;
/// Head and tail of a member as the recorder writes it.
const MEMBER_BYTES: usize = 28;
/// Real frames, which are replayed to records when they are there.
const RECORDINGS: [&str; 2] = ["binance_spot_btcusdt_20240808.gz", "binance_usdm_btcusdt_20240808.gz"];

/// Lines by kind and market.
type Lines = BTreeMap<(String, String), Vec<Vec<u8>>>;

/// Bytes of a kind.
#[derive(Debug, Default)]
struct Written {
    records: usize,
    raw: u64,
    packed: u64,
}

/// Prints both tables.
pub(crate) fn run(bin_dir: &Path, tools: &Path, (recordings, length): (&Path, Duration)) -> Result<()> {
    let dir = fresh_dir("recorder")?;
    let server = nats::start(tools, &dir)?;
    let lines = live(bin_dir, (&dir, &server.address), length)?;
    let files = RECORDINGS.map(|name| recordings.join(name));
    if files.iter().all(|file| file.is_file()) {
        packing("5.8 minutes of real Binance BTC-USDT, 100 levels a side every 100 ms", &replayed(bin_dir, &files)?);
    } else {
        println!("no recordings in {}: what was recorded above is packed again", recordings.display());
        packing("the records above", &lines);
    }
    drop(server);
    fs::remove_dir_all(dir)?;
    Ok(())
}

/// The collector at the venues' pace, publishing to NATS with the recorder and without; what it recorded.
fn live(bin_dir: &Path, (dir, nats): (&Path, &str), length: Duration) -> Result<Lines> {
    let load = || Load { depth_interval: Duration::from_millis(100), trades: 100 };
    let recorded = dir.join("recorded");
    let beside = |recorder: &str| format!("nats: {{url: 'nats://{nats}', mode: core}}\nrecorder: {{{recorder}}}\n");
    let without = measure(bin_dir, dir, (load(), &beside("enabled: false")), length)?;
    let with = measure(bin_dir, dir, (load(), &beside(&format!("enabled: true, dir: '{}'", recorded.display()))), length)?;
    let (written, lines) = read_back(&recorded)?;
    let cores = |seen: &Seen| format!("CPU s an hour {:.0}", seen.cpu_s / length.as_secs_f64() * 3_600.0);
    without.tell("10 updates a second each, to NATS", &cores(&without));
    with.tell("10 updates a second each, to NATS and recorded", &cores(&with));
    println!("  {:<12} {:>9} {:>9} {:>10} {:>9}", "kind", "records", "raw MB", "packed MB", "smaller");
    for (kind, Written { records, raw, packed }) in &written {
        let (raw, packed) = (*raw as f64, *packed as f64);
        println!("  {kind:<12} {records:>9} {:>9.1} {:>10.2} {:>8.1}×", raw / 1e6, packed / 1e6, raw / packed);
    }
    let records: usize = written.values().map(|written| written.records).sum();
    println!("  the recorder's CPU s per million records: {:.0}", (with.cpu_s - without.cpu_s) * share(&with) * 1e6 / records as f64);
    Ok(lines)
}

/// Records were written in the warm-up too; CPU was measured after it.
fn share(seen: &Seen) -> f64 {
    (seen.length + crate::collector::WARM_UP).as_secs_f64() / seen.length.as_secs_f64()
}

/// The recorder's files: `<kind>/<exchange>.<market>/<symbol>/<day>/<start>.ndjson.gz`.
fn read_back(dir: &Path) -> Result<(BTreeMap<String, Written>, Lines)> {
    let (mut written, mut lines) = (BTreeMap::<String, Written>::new(), Lines::new());
    let mut files = Vec::new();
    gather(dir, &mut files)?;
    for file in files {
        let mut places = file.strip_prefix(dir)?.components().map(|part| part.as_os_str().to_string_lossy().into_owned());
        let (Some(kind), Some(market)) = (places.next(), places.next()) else { bail!("{} is not where records are", file.display()) };
        let of_kind = written.entry(kind.clone()).or_default();
        let mut text = Vec::new();
        // The collector was killed: its newest files may end in the middle of a member.
        let _as_far_as_it_is_whole = MultiGzDecoder::new(File::open(&file)?).read_to_end(&mut text);
        of_kind.packed += fs::metadata(&file)?.len();
        of_kind.raw += text.len() as u64;
        let of_market = lines.entry((kind, market)).or_default();
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            of_kind.records += 1;
            of_market.push(line.to_owned());
        }
    }
    Ok((written, lines))
}

fn gather(dir: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for path in fs::read_dir(dir).with_context(|| format!("nothing was recorded in {}", dir.display()))?.map(|entry| entry.map(|entry| entry.path()))
    {
        let path = path?;
        if path.is_dir() {
            gather(&path, files)?;
        } else if path.extension().is_some_and(|ending| ending == "gz") {
            files.push(path);
        }
    }
    files.sort();
    Ok(())
}

/// The records that the collector makes of recorded frames.
fn replayed(bin_dir: &Path, files: &[PathBuf]) -> Result<Lines> {
    let mut command = Command::new(bin_dir.join("collector"));
    command.args(["replay", "--publish", "100ms"]).args(files).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().context("cannot start collector replay")?;
    let mut lines = Lines::new();
    let mut reader = BufReader::new(child.stdout.take().context("no output")?);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        let record: Value = serde_json::from_slice(&line)?;
        let word = |key: &str| record.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        lines.entry((word("data_type"), word("market_type"))).or_default().push(std::mem::take(&mut line));
    }
    child.wait()?;
    Ok(lines)
}

fn packing(what: &str, all: &Lines) {
    // A handful says nothing.
    let lines: Vec<_> = all.iter().filter(|(_, lines)| lines.len() >= FEWEST).collect();
    println!("packing: {what}; how many times smaller, and CPU s per million records");
    print!("  {:>5} {:>8}", "level", "a member");
    for ((kind, market), lines) in &lines {
        print!("  {:>26}", format!("{} {kind} {market}", lines.len()));
    }
    println!();
    for level in LEVELS {
        for member in MEMBERS {
            print!("  {level:>5} {member:>8}");
            for (_, lines) in &lines {
                let (smaller, seconds) = pack(lines, (level, member));
                print!("  {:>26}", format!("{smaller:.1}×  {seconds:.1} s"));
            }
            println!();
        }
    }
}

/// How many times smaller, and seconds of CPU per million records.
fn pack(lines: &[Vec<u8>], (level, member): (u32, usize)) -> (f64, f64) {
    let mut packer = Compress::new(Compression::new(level), false);
    let (mut raw, mut packed, begun) = (0, 0, thread_cpu_time());
    for chunk in lines.chunks(member) {
        let text = chunk.concat();
        raw += text.len();
        packed += MEMBER_BYTES + packed_length(&mut packer, &text);
    }
    let spent = thread_cpu_time().saturating_sub(begun);
    (raw as f64 / packed as f64, spent.as_secs_f64() * 1e6 / lines.len() as f64)
}

fn packed_length(packer: &mut Compress, text: &[u8]) -> usize {
    let mut out = Vec::with_capacity(text.len() / 4 + 64);
    packer.reset();
    loop {
        let read = usize::try_from(packer.total_in()).unwrap_or(usize::MAX);
        match packer.compress_vec(text.get(read..).unwrap_or_default(), &mut out, FlushCompress::Finish) {
            Ok(Status::StreamEnd) | Err(_) => return out.len(),
            Ok(Status::Ok | Status::BufError) => out.reserve(text.len() / 4 + 64),
        }
    }
}
