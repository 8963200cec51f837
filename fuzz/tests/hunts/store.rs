//! What comes back from the disk: chunks, label sets, segments, blocks.
use std::fs;

use fuzz::{Bound, Target, shape};
use promql::Sample;
use promql::labels::Labels;
use promql::series::{Ceilings, Store, decode_chunks, encode_chunks};
use segments::{Block, BlockWriter, Fsync, Options, SegmentLog, Span, SystemDisk};

use crate::hunt;

const NO_WORDS: &[&str] = &["\u{0}\u{0}\u{0}\u{0}", "\u{1}", "@", "\u{7f}"];

#[test]
fn chunks() {
    let mut store = Store::new(Ceilings::default());
    let labels = Labels::from_pairs([("__name__", "a"), ("b", "c")]);
    for at in 0..300_i32 {
        store.append_to(&labels, Sample { t_ms: i64::from(at) * 997, v: f64::from(at % 7) * 1.1 }).unwrap();
    }
    let (cut, snapshot) = store.cut();
    let seeds = snapshot.each().map(|series| encode_chunks(series.chunks(0, cut))).collect();
    let run = |input: &[u8]| match decode_chunks(input, i64::MIN, i64::MAX) {
        Some(chunks) => {
            let samples: usize = chunks.iter().map(|chunk| chunk.samples().count()).sum();
            assert!(samples <= chunks.iter().map(promql::series::Chunk::len).sum());
            shape("chunks", &[chunks.len(), samples])
        }
        None => shape("none", &[]),
    };
    hunt(&Target { name: "chunks", seeds, words: NO_WORDS, memory: Bound { base: 4_096, each: 16 }, run: &run }, 10_000);
}

#[test]
fn label_sets() {
    let sets = [&[("__name__", "up"), ("job", "a")][..], &[], &[("a", "币"), ("b", "x\ny")]];
    let seeds = sets.iter().map(|pairs| Labels::from_pairs(pairs.iter().copied()).packed().as_bytes().to_vec()).collect();
    let run = |input: &[u8]| {
        let text = String::from_utf8_lossy(input);
        let Some(labels) = Labels::from_packed(&text) else { return shape("none", &[]) };
        assert_eq!(labels.packed(), text);
        assert_eq!(Labels::from_pairs(&labels), labels);
        shape("set", &[labels.len(), labels.to_string().len()])
    };
    hunt(&Target { name: "label sets", seeds, words: NO_WORDS, memory: Bound { base: 4_096, each: 64 }, run: &run }, 10_000);
}

/// Whatever happens to a file, what is read from it was written to it.
#[test]
fn segments() {
    let payloads: [&[u8]; 4] = [b"first", b"", b"a longer one, with some bytes to lose \x00\xff", b"last"];
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("00000000000000000001.seg");
    SegmentLog::open(dir.path(), Options::default()).unwrap().0.append(&payloads, Fsync::Later).unwrap();
    let seeds = vec![fs::read(&file).unwrap()];
    let run = |input: &[u8]| {
        for entry in fs::read_dir(dir.path()).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
        fs::write(&file, input).unwrap();
        let (log, recovery) = SegmentLog::open(dir.path(), Options::default()).unwrap();
        let records: Vec<_> = log.read_from(0).map(Result::unwrap).collect();
        for record in &records {
            let written = usize::try_from(record.sequence).ok().and_then(|number| payloads.get(number - 1));
            assert_eq!(written.copied(), Some(record.payload.as_slice()), "record {}", record.sequence);
        }
        shape(if recovery.is_clean() { "clean" } else { "trouble" }, &[records.len(), recovery.troubles.len()])
    };
    hunt(&Target { name: "segments", seeds, words: NO_WORDS, memory: Bound { base: 4 << 20, each: 64 }, run: &run }, 300);
}

#[test]
fn blocks() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("block");
    let bodies: [(&[u8], &[u8]); 3] = [(b"a", b"one"), (b"b", b""), (b"c{x=\"y\"}", b"three \x00\xff")];
    let mut writer = BlockWriter::create(&SystemDisk, &path).unwrap();
    for (key, body) in bodies {
        writer.push(key, Span { from: 1, to: 9 }, body).unwrap();
    }
    writer.finish(1, 1, 7).unwrap().unwrap();
    let seeds = vec![fs::read(&path).unwrap()];
    let run = |input: &[u8]| {
        fs::write(&path, input).unwrap();
        let Ok(block) = Block::open(&path, 1) else { return shape("refused", &[]) };
        let Ok(index) = block.index() else { return shape("no index", &[]) };
        let mut read = 0;
        for entry in index.entries() {
            if let Ok(body) = index.body(&entry) {
                assert!(bodies.contains(&(entry.key, body.as_slice())), "{entry:?}");
                read += 1;
            }
        }
        shape(if block.verify().is_ok() { "sound" } else { "damaged" }, &[read])
    };
    hunt(&Target { name: "blocks", seeds, words: NO_WORDS, memory: Bound { base: 4 << 20, each: 64 }, run: &run }, 500);
}
