//! Reading a recording: gzip or plain text, one message a line, `<receive time in ns> <JSON>`; the JSON is a combined-stream frame or, once, the REST snapshot.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use flate2::read::MultiGzDecoder;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::wire::Snapshot;

/// One recorded message.
#[derive(Debug, Clone)]
pub(super) struct Line {
    /// When it was received, ns since 1970.
    pub received_ns: u64,
    /// What it is.
    pub content: Content,
}

/// What a recorded message is.
#[derive(Debug, Clone)]
pub(super) enum Content {
    /// An event of a stream: the stream's name and the event exactly as it was received.
    Event {
        /// Stream name.
        stream: String,
        /// The event's JSON text.
        data: String,
    },
    /// The answer of `/depth`.
    Snapshot(Snapshot),
}

/// A recording being read; memory holds one line.
pub(super) struct Recording {
    path: PathBuf,
    lines: BufReader<Box<dyn Read + Send>>,
    number: u64,
    buffer: String,
}

#[derive(Deserialize)]
struct Frame<'a> {
    stream: Option<String>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

// === impl Recording ===

impl Recording {
    /// Opens a recording; `.gz` files are unpacked on the way.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("recording {}", path.display()))?;
        let packed = path.extension().is_some_and(|extension| extension == "gz");
        let source: Box<dyn Read + Send> = if packed { Box::new(MultiGzDecoder::new(BufReader::new(file))) } else { Box::new(file) };
        Ok(Self { path: path.to_owned(), lines: BufReader::with_capacity(64 * 1024, source), number: 0, buffer: String::new() })
    }

    /// The next message; `None` at the end.
    pub(super) fn next_line(&mut self) -> Result<Option<Line>> {
        loop {
            self.buffer.clear();
            self.number += 1;
            if self.lines.read_line(&mut self.buffer).with_context(|| self.place())? == 0 {
                return Ok(None);
            }
            if !self.buffer.trim().is_empty() {
                return parse(self.buffer.trim()).with_context(|| self.place()).map(Some);
            }
        }
    }

    /// The first REST snapshot of a recording and the first event's stream of each kind: what must be known before the replay begins.
    pub(super) fn survey(path: &Path) -> Result<(Snapshot, Vec<String>)> {
        let mut recording = Self::open(path)?;
        let mut streams: Vec<String> = Vec::new();
        let mut snapshot = None;
        // The snapshot is near the start in every recording of the kind; a bound keeps a wrong file from being read to its end.
        for _ in 0..20_000 {
            match recording.next_line()? {
                Some(Line { content: Content::Snapshot(found), .. }) => snapshot = snapshot.or(Some(found)),
                Some(Line { content: Content::Event { stream, .. }, .. }) if !streams.contains(&stream) => streams.push(stream),
                Some(_) => {}
                None => break,
            }
        }
        let snapshot = snapshot.ok_or_else(|| anyhow!("{}: no REST snapshot in the first 20000 lines", path.display()))?;
        Ok((snapshot, streams))
    }

    fn place(&self) -> String {
        format!("{}:{}", self.path.display(), self.number)
    }
}

impl std::fmt::Debug for Recording {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recording").field("path", &self.path).field("number", &self.number).finish_non_exhaustive()
    }
}

fn parse(text: &str) -> Result<Line> {
    let (stamp, json) = text.split_once(' ').ok_or_else(|| anyhow!("expected a receive time, a blank and JSON"))?;
    let received_ns = stamp.parse().context("receive time in ns")?;
    let frame: Frame<'_> = serde_json::from_str(json).context("frame")?;
    let content = match (frame.stream, frame.data) {
        (Some(stream), Some(data)) => Content::Event { stream, data: data.get().to_owned() },
        _ => Content::Snapshot(serde_json::from_str(json).context("neither a combined-stream frame nor a snapshot")?),
    };
    Ok(Line { received_ns, content })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn reads_events_verbatim_and_the_snapshot() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("r.gz");
        let mut file = flate2::write::GzEncoder::new(File::create(&path).unwrap(), flate2::Compression::fast());
        writeln!(file, r#"1000 {{"stream":"x@trade","data":{{"e": "trade",  "t":1}}}}"#).unwrap();
        writeln!(file, r#"2000 {{"lastUpdateId":7,"bids":[["1","2"]],"asks":[]}}"#).unwrap();
        file.finish().unwrap();
        let (snapshot, streams) = Recording::survey(&path).unwrap();
        assert_eq!((snapshot.last_update_id, streams), (7, vec!["x@trade".to_owned()]));
        let mut recording = Recording::open(&path).unwrap();
        let Some(Line { received_ns: 1000, content: Content::Event { data, .. } }) = recording.next_line().unwrap() else { panic!("an event") };
        assert_eq!(data, r#"{"e": "trade",  "t":1}"#);
        assert!(matches!(recording.next_line().unwrap(), Some(Line { content: Content::Snapshot(_), .. })));
        assert!(recording.next_line().unwrap().is_none());
    }

    #[test]
    fn an_error_names_file_and_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("r.txt");
        std::fs::write(&path, "1000 {\"stream\":\"x\",\"data\":1}\nnonsense\n").unwrap();
        let mut recording = Recording::open(&path).unwrap();
        recording.next_line().unwrap();
        let error = recording.next_line().unwrap_err().to_string();
        assert!(error.ends_with("r.txt:2"), "{error}");
    }
}
