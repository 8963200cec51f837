//! The journal through its public face, and a kill in the middle of writing.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod faulty;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use faulty::{Faults, FaultyDisk};
use segments::{Fsync, Journal, JournalOptions, Options, Restored, SegmentLog};

const SMALL: JournalOptions = JournalOptions { snapshot_after_bytes: 50, log_bytes: 1000 };

fn open(dir: &Path) -> (Journal, Restored) {
    Journal::open(dir, SMALL).unwrap()
}

/// The snapshot and the records of a journal as texts.
fn texts(restored: &Restored) -> (Option<String>, Vec<String>) {
    let text = |bytes: &Vec<u8>| String::from_utf8(bytes.clone()).unwrap();
    (restored.snapshot.as_ref().map(text), restored.records.iter().map(|record| text(&record.payload)).collect())
}

fn want(snapshot: Option<&str>, records: &[&str]) -> (Option<String>, Vec<String>) {
    (snapshot.map(str::to_owned), records.iter().map(|text| (*text).to_owned()).collect())
}

/// Two snapshots with records before, between and after.
fn filled(dir: &Path) {
    let (mut journal, _) = open(dir);
    journal.append(&[b"a"]).unwrap();
    journal.snapshot(b"A").unwrap();
    journal.append(&[b"b"]).unwrap();
    journal.snapshot(b"AB").unwrap();
    journal.append(&[b"c".as_slice(), b"d"]).unwrap();
}

fn snapshots(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut found: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "snap"))
        .collect();
    found.sort();
    found
}

#[test]
fn a_journal_gives_back_the_snapshot_and_what_came_after() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(texts(&open(dir.path()).1), want(None, &[]));
    filled(dir.path());
    let (_, restored) = open(dir.path());
    assert!(restored.recovery.is_clean());
    assert_eq!(texts(&restored), want(Some("AB"), &["c", "d"]));
}

#[test]
fn a_damaged_snapshot_is_set_aside_and_the_one_before_serves() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let newest = snapshots(dir.path()).pop().unwrap();
    let bytes = fs::read(&newest).unwrap();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        fs::write(&newest, &damaged).unwrap();
        let (journal, restored) = open(dir.path());
        assert_eq!(restored.recovery.troubles[0].as_str(), "quarantined");
        assert_eq!(texts(&restored), want(Some("A"), &["b", "c", "d"]), "{at}");
        drop(journal);
    }
}

#[test]
fn without_its_log_files_a_snapshot_still_counts_as_earlier_than_new_records() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    for entry in fs::read_dir(dir.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "seg") {
            fs::remove_file(path).unwrap();
        }
    }
    open(dir.path()).0.append(&[b"e"]).unwrap();
    assert_eq!(texts(&open(dir.path()).1), want(Some("AB"), &["e"]));
}

#[test]
fn a_journal_that_takes_snapshots_when_it_wants_them_stays_small() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(dir.path());
    let mut taken = 0;
    for number in 0..500 {
        journal.append(&[format!("{number}").as_bytes()]).unwrap();
        if journal.wants_snapshot() {
            journal.snapshot(format!("up to {number}").as_bytes()).unwrap();
            taken += 1;
        }
        assert!(journal.stats().bytes <= 1000 && snapshots(dir.path()).len() <= 2);
    }
    assert!(taken > 20, "{taken}");
    drop(journal);
    assert_eq!(texts(&open(dir.path()).1).1.last().map(String::as_str), Some("499"));
}

#[test]
fn a_full_journal_refuses_and_has_room_after_a_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(dir.path());
    let refused = (0..200).find_map(|_| journal.append(&[b"0123456789"]).err()).unwrap();
    assert_eq!(refused.as_str(), "full");
    journal.snapshot(b"all").unwrap();
    journal.append(&[b"again"]).unwrap();
    drop(journal);
    assert_eq!(texts(&open(dir.path()).1), want(Some("all"), &["again"]));
}

#[test]
fn a_snapshot_that_does_not_fit_leaves_everything_as_it_was() {
    for room in 0..30 {
        let dir = tempfile::tempdir().unwrap();
        filled(dir.path());
        let disk = FaultyDisk::default();
        let (mut journal, _) = Journal::open_on(Box::new(disk.clone()), dir.path(), SMALL).unwrap();
        disk.set(Faults { room: Some(room), ..Faults::default() });
        let kept = journal.snapshot(b"ABCD").is_ok();
        drop(journal);
        let (_, restored) = open(dir.path());
        assert!(restored.recovery.is_clean());
        let before = want(Some("AB"), &["c", "d"]);
        assert_eq!(texts(&restored), if kept { want(Some("ABCD"), &[]) } else { before }, "{room}");
    }
}

/// The environment variable that makes [`a_killed_process_loses_nothing_it_reported`] the process to be killed.
const CHILD_DIR: &str = "SEGMENTS_TEST_CHILD_DIR";

fn write_until_killed(dir: &str) {
    let options = Options { segment_bytes: 2_000, ..Options::default() };
    let (mut log, _) = SegmentLog::open(Path::new(dir), options).unwrap();
    let mut out = std::io::stdout();
    loop {
        let payload = vec![b'x'; usize::try_from(log.next_sequence() % 700).unwrap()];
        let numbers = log.append(&[&payload, b"second"], Fsync::Now).unwrap();
        writeln!(out, "kept {}", numbers.end()).unwrap();
        out.flush().unwrap();
    }
}

#[test]
fn a_killed_process_loses_nothing_it_reported() {
    if let Ok(dir) = std::env::var(CHILD_DIR) {
        return write_until_killed(&dir);
    }
    for round in 1..=5 {
        let dir = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_killed_process_loses_nothing_it_reported", "--nocapture"])
            .env(CHILD_DIR, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut kept = lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("kept ")?.parse::<u64>().ok());
        let mut reported = kept.nth(round * 13).unwrap();
        child.kill().unwrap();
        // What it still said before it died counts too.
        reported = kept.last().unwrap_or(reported);
        child.wait().unwrap();
        let (log, recovery) = SegmentLog::open(dir.path(), Options::default()).unwrap();
        assert!(recovery.troubles.iter().all(|trouble| trouble.as_str() == "torn_tail"), "{recovery:?}");
        let numbers: Vec<u64> = log.read_from(1).map(|record| record.unwrap().sequence).collect();
        assert!(numbers.iter().copied().eq(1..=numbers.len() as u64) && numbers.len() as u64 >= reported, "{} of {reported}", numbers.len());
    }
}
