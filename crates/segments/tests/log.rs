//! The log through its public face: bounds, faults of the disk, damage at every byte.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod faulty;

use std::fs;
use std::path::{Path, PathBuf};

use faulty::{Faults, FaultyDisk};
use proptest::prelude::*;
use segments::{AppendError, Fsync, OnFull, OpenError, Options, Reader, Recovery, SegmentLog};

const SMALL: Options = Options { segment_bytes: 100, total_bytes: 400, on_full: OnFull::RemoveOldest };

fn open(dir: &Path, options: Options) -> (SegmentLog, Recovery) {
    SegmentLog::open(dir, options).unwrap()
}

fn put(log: &mut SegmentLog, texts: &[&str]) -> Result<(), AppendError> {
    let payloads: Vec<_> = texts.iter().map(|text| text.as_bytes()).collect();
    log.append(&payloads, Fsync::Now).map(drop)
}

/// Number and text of each record from `from` on.
fn read(log: &SegmentLog, from: u64) -> Vec<(u64, String)> {
    log.read_from(from).map(|record| record.map(|record| (record.sequence, String::from_utf8(record.payload).unwrap())).unwrap()).collect()
}

fn numbered(pairs: &[(u64, &str)]) -> Vec<(u64, String)> {
    pairs.iter().map(|(number, text)| (*number, (*text).to_owned())).collect()
}

fn files(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found: Vec<_> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.to_string_lossy().contains(ending)).collect();
    found.sort();
    found
}

#[test]
fn records_are_read_back_from_any_number_and_over_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, recovery) = open(dir.path(), SMALL);
    assert!(recovery.is_clean());
    assert_eq!(log.append(&[b"a".as_slice(), b"", b"c"], Fsync::Later).unwrap(), 1..=3);
    assert!(log.append(&[], Fsync::Now).unwrap().is_empty());
    put(&mut log, &["d"]).unwrap();
    let all = numbered(&[(1, "a"), (2, ""), (3, "c"), (4, "d")]);
    assert_eq!(read(&log, 1), all);
    drop(log);
    let (mut log, recovery) = open(dir.path(), SMALL);
    assert!(recovery.is_clean());
    put(&mut log, &["e"]).unwrap();
    assert_eq!((read(&log, 0)[..4].to_vec(), read(&log, 5)), (all, numbered(&[(5, "e")])));
    assert_eq!(read(&log, 6), []);
}

#[test]
fn files_are_ended_at_their_size_and_named_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path(), SMALL);
    for number in 1..=5 {
        put(&mut log, &[&format!("{number:>20}")]).unwrap();
    }
    let names: Vec<_> = files(dir.path(), ".seg").iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
    assert_eq!(names, ["00000000000000000001.seg", "00000000000000000003.seg", "00000000000000000005.seg"]);
    assert_eq!(log.stats().segments, 3);
}

#[test]
fn over_the_bound_the_oldest_files_go_and_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path(), SMALL);
    for number in 0..100 {
        put(&mut log, &[&format!("{number:>20}")]).unwrap();
        let on_disk: u64 = files(dir.path(), ".seg").iter().map(|path| path.metadata().unwrap().len()).sum();
        assert!(on_disk <= 400 && log.bytes() == on_disk, "{on_disk}");
    }
    let stats = log.stats();
    assert_eq!((stats.removed_full + stats.records, stats.next_sequence), (100, 101));
    assert_eq!(read(&log, 1).first().unwrap().0, stats.removed_full + 1);
}

#[test]
fn a_log_that_may_lose_nothing_refuses_instead() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path(), Options { on_full: OnFull::Refuse, ..SMALL });
    let mut kept = 0;
    let refused = loop {
        match put(&mut log, &["0123456789"]) {
            Ok(()) => kept += 1,
            Err(error) => break error,
        }
    };
    assert_eq!((refused.as_str(), log.stats().refused_full, log.stats().records), ("full", 1, kept));
    assert!(log.remove_through(4).unwrap() >= 2);
    put(&mut log, &["again"]).unwrap();
    assert!(put(&mut log, &[&"x".repeat(500)]).is_err(), "a batch over the whole bound never fits");
}

#[test]
fn a_directory_is_looked_at_from_outside_while_it_is_written_and_when_it_is_torn() {
    let dir = tempfile::tempdir().unwrap();
    assert!(Reader::of_dir(&dir.path().join("none"), 1).is_err());
    let (mut log, _) = open(dir.path(), SMALL);
    put(&mut log, &["12345678901234567890123456789012345678901234567890", "b"]).unwrap();
    put(&mut log, &["c"]).unwrap();
    fs::write(dir.path().join("notes.txt"), "not ours").unwrap();
    let look = |from| Reader::of_dir(dir.path(), from).unwrap().map(|record| record.unwrap().sequence).collect::<Vec<_>>();
    assert_eq!((look(1), look(3), look(4)), (vec![1, 2, 3], vec![3], vec![]));
    put(&mut log, &["d"]).unwrap();
    let newest = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "seg"))
        .max()
        .unwrap();
    let bytes = fs::read(&newest).unwrap();
    fs::write(&newest, &bytes[..bytes.len() - 1]).unwrap();
    assert_eq!(look(1), [1, 2, 3], "the torn one is not there");
    assert_eq!(fs::read(&newest).unwrap().len(), bytes.len() - 1, "and stays as it is");
}

#[test]
fn what_is_done_can_go_from_a_full_disk_and_the_numbering_stays() {
    let (dir, disk) = (tempfile::tempdir().unwrap(), FaultyDisk::default());
    let (mut log, _) = SegmentLog::open_on(Box::new(disk.clone()), dir.path(), SMALL).unwrap();
    disk.set(Faults { room: Some(60), ..Faults::default() });
    put(&mut log, &["12345678901234567890"]).unwrap();
    assert_eq!(put(&mut log, &["more"]).unwrap_err().as_str(), "write_failed");
    assert_eq!(log.remove_through(1).unwrap(), 1, "not even a new file can be made before");
    put(&mut log, &["now"]).unwrap();
    drop(log);
    let (log, recovery) = open(dir.path(), SMALL);
    assert!(recovery.is_clean(), "{recovery:?}");
    assert_eq!(read(&log, 1), numbered(&[(2, "now")]));
}

#[test]
fn removing_everything_keeps_the_numbering_over_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path(), SMALL);
    put(&mut log, &["a", "b", "c"]).unwrap();
    assert_eq!(log.remove_through(2).unwrap(), 0, "the file still holds a needed record");
    assert_eq!(log.remove_through(3).unwrap(), 3);
    assert_eq!(log.remove_through(3).unwrap(), 0);
    drop(log);
    let (mut log, recovery) = open(dir.path(), SMALL);
    assert!(recovery.is_clean());
    assert_eq!(log.remove_through(3).unwrap(), 0);
    put(&mut log, &["d"]).unwrap();
    assert_eq!(read(&log, 1), numbered(&[(4, "d")]));
    drop(log);
    let (mut log, _) = open(dir.path(), SMALL);
    assert_eq!(log.remove_through(9).unwrap(), 1, "also right after opening");
    assert_eq!((log.next_sequence(), log.stats().segments), (5, 1));
}

#[test]
fn a_second_opener_is_told_and_the_first_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path(), SMALL);
    assert!(matches!(SegmentLog::open(dir.path(), SMALL), Err(OpenError::Locked { .. })));
    put(&mut log, &["a"]).unwrap();
    drop(log);
    assert_eq!(read(&open(dir.path(), SMALL).0, 1), numbered(&[(1, "a")]));
}

#[test]
fn a_directory_that_cannot_be_is_an_error_with_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, b"").unwrap();
    let error = SegmentLog::open(&file.join("log"), SMALL).unwrap_err();
    assert!(matches!(&error, OpenError::Unusable { .. }) && error.to_string().contains("file/log"), "{error}");
}

#[test]
fn a_full_disk_loses_only_the_batch_that_did_not_fit() {
    for stuck in [false, true] {
        for room in 0..120 {
            let dir = tempfile::tempdir().unwrap();
            let disk = FaultyDisk::default();
            let (mut log, _) = SegmentLog::open_on(Box::new(disk.clone()), dir.path(), Options::default()).unwrap();
            put(&mut log, &["kept"]).unwrap();
            disk.set(Faults { room: Some(room), truncate: stuck, ..Faults::default() });
            let outcome = put(&mut log, &["lost one", "lost two", "lost three, which is long"]);
            assert_eq!(outcome.as_ref().err().map(AppendError::as_str), (room < 101).then_some("write_failed"), "{room}");
            disk.set(Faults::default());
            put(&mut log, &["later"]).unwrap();
            let texts = |log: &SegmentLog| read(log, 1).into_iter().map(|(_, text)| text).collect::<Vec<_>>();
            if outcome.is_err() {
                assert_eq!(texts(&log), ["kept", "later"], "{room}");
            }
            drop(log);
            let (log, recovery) = open(dir.path(), SMALL);
            let found = texts(&log);
            assert!(found.first().unwrap() == "kept" && found.last().unwrap() == "later", "{room}: {found:?}");
            if !stuck {
                assert!(recovery.is_clean(), "{room}");
            }
        }
    }
}

#[test]
fn after_a_failed_fsync_nothing_of_the_batch_is_read_and_a_new_file_begins() {
    let dir = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    let (mut log, _) = SegmentLog::open_on(Box::new(disk.clone()), dir.path(), SMALL).unwrap();
    put(&mut log, &["kept"]).unwrap();
    disk.set(Faults { sync: true, ..Faults::default() });
    assert_eq!(put(&mut log, &["doubtful"]).unwrap_err().as_str(), "sync_failed");
    disk.set(Faults::default());
    put(&mut log, &["later"]).unwrap();
    assert_eq!(read(&log, 1), numbered(&[(1, "kept"), (3, "later")]));
    assert_eq!((log.stats().sync_errors, log.stats().segments), (1, 2));
}

#[test]
fn on_a_read_only_disk_records_are_read_and_appends_fail_by_name() {
    let dir = tempfile::tempdir().unwrap();
    put(&mut open(dir.path(), SMALL).0, &["a", "b"]).unwrap();
    let file = &files(dir.path(), ".seg")[0];
    let bytes = fs::read(file).unwrap();
    fs::write(file, &bytes[..bytes.len() - 1]).unwrap();
    let disk = FaultyDisk::default();
    disk.set(Faults { read_only: true, ..Faults::default() });
    let (mut log, recovery) = SegmentLog::open_on(Box::new(disk), dir.path(), SMALL).unwrap();
    assert_eq!(recovery.troubles[0].as_str(), "unrepaired");
    assert_eq!(read(&log, 1), numbered(&[(1, "a")]));
    assert_eq!(put(&mut log, &["c"]).unwrap_err().as_str(), "write_failed");
}

/// One file with five records, and where each begins and ends.
fn five_records(dir: &Path) -> (PathBuf, Vec<u8>, Vec<(usize, usize)>) {
    let texts = ["one", "", "three three", "4", "five"];
    put(&mut open(dir, Options::default()).0, &texts).unwrap();
    let file = files(dir, ".seg").remove(0);
    let bytes = fs::read(&file).unwrap();
    let mut at = 16;
    let places = texts
        .iter()
        .map(|text| {
            at += 20 + text.len();
            (at - 20 - text.len(), at)
        })
        .collect();
    (file, bytes, places)
}

#[test]
fn a_file_cut_at_any_byte_keeps_every_whole_record() {
    let dir = tempfile::tempdir().unwrap();
    let (file, bytes, places) = five_records(dir.path());
    for cut in 0..=bytes.len() {
        fs::write(&file, &bytes[..cut]).unwrap();
        let (mut log, recovery) = open(dir.path(), Options::default());
        let whole = places.iter().filter(|(_, end)| *end <= cut).count();
        let at_border = cut == 0 || cut == 16 || places.iter().any(|(_, end)| *end == cut);
        assert_eq!(
            recovery.troubles.iter().map(segments::Trouble::as_str).collect::<Vec<_>>(),
            if at_border { vec![] } else { vec!["torn_tail"] },
            "{cut}"
        );
        put(&mut log, &["new"]).unwrap();
        let found = read(&log, 1);
        assert_eq!((found.len(), found.last().unwrap().1.as_str()), (whole + 1, "new"), "{cut}");
        drop(log);
        let (log, recovery) = open(dir.path(), Options::default());
        assert!(recovery.is_clean() && read(&log, 1) == found, "{cut}");
        drop(log);
        for path in files(dir.path(), ".seg") {
            fs::remove_file(path).unwrap();
        }
    }
}

#[test]
fn zeros_after_the_last_record_are_a_torn_tail() {
    let dir = tempfile::tempdir().unwrap();
    let (file, mut bytes, _) = five_records(dir.path());
    bytes.extend([0; 4096]);
    fs::write(&file, &bytes).unwrap();
    let (log, recovery) = open(dir.path(), Options::default());
    assert_eq!((recovery.troubles[0].as_str(), read(&log, 1).len()), ("torn_tail", 5));
    assert_eq!(fs::metadata(&file).unwrap().len() + 4096, bytes.len() as u64);
}

#[test]
fn a_flipped_byte_anywhere_is_found_set_aside_and_costs_at_most_its_record() {
    let dir = tempfile::tempdir().unwrap();
    let (file, bytes, places) = five_records(dir.path());
    for flip in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[flip] ^= 0x40;
        fs::write(&file, &damaged).unwrap();
        let (mut log, recovery) = open(dir.path(), Options::default());
        let hit = places.iter().position(|(start, end)| (*start..*end).contains(&flip));
        let want: Vec<u64> = (1..=5).filter(|number| hit.is_none_or(|hit| *number != hit as u64 + 1)).collect();
        assert_eq!(read(&log, 1).iter().map(|(number, _)| *number).collect::<Vec<_>>(), want, "{flip}");
        assert_eq!(recovery.troubles.iter().map(segments::Trouble::as_str).collect::<Vec<_>>(), ["quarantined"], "{flip}");
        let aside = files(dir.path(), ".corrupt-");
        assert!(aside.len() <= 4 && aside.iter().any(|path| fs::read(path).unwrap() == damaged), "{flip}: what was damaged is kept for a look");
        put(&mut log, &["new"]).unwrap();
        assert!(read(&log, 1).last().unwrap().0 > 5, "{flip}: no number is given out twice");
        drop(log);
        assert!(open(dir.path(), Options::default()).1.is_clean(), "{flip}");
        for path in files(dir.path(), ".seg").into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "seg")) {
            fs::remove_file(path).unwrap();
        }
    }
}

#[test]
fn damage_that_comes_while_open_is_an_error_and_the_rest_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path(), Options::default());
    put(&mut log, &["a", "b", "c"]).unwrap();
    let file = files(dir.path(), ".seg").remove(0);
    let mut bytes = fs::read(&file).unwrap();
    bytes[16 + 20] ^= 1;
    fs::write(&file, &bytes).unwrap();
    let outcome: Vec<_> = log.read_from(1).map(|record| record.map(|record| record.sequence).map_err(|error| error.kind())).collect();
    assert_eq!(outcome, [Err(std::io::ErrorKind::InvalidData), Ok(2), Ok(3)]);
}

#[test]
fn a_repair_that_was_interrupted_is_finished() {
    let dir = tempfile::tempdir().unwrap();
    let (file, bytes, _) = five_records(dir.path());
    let copy = dir.path().join("00000000000000000001.seg.copy");
    let unfinished = dir.path().join("00000000000000000001.seg.copy.tmp");
    fs::write(&unfinished, b"half").unwrap();
    fs::write(&copy, b"half").unwrap();
    assert_eq!(read(&open(dir.path(), SMALL).0, 1).len(), 5);
    assert!(!copy.exists() && !unfinished.exists());
    fs::rename(&file, dir.path().join("00000000000000000001.seg.corrupt-1")).unwrap();
    fs::write(&copy, &bytes).unwrap();
    assert_eq!(read(&open(dir.path(), SMALL).0, 1).len(), 5);
}

proptest! {
    /// Any run of batches, restarts and removals gives back exactly what a plain list would.
    #[test]
    fn what_goes_in_comes_out(steps in prop::collection::vec((0..5_u8, prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..4)), 1..30)) {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { segment_bytes: 150, total_bytes: 1 << 20, on_full: OnFull::Refuse };
        let (mut log, _) = open(dir.path(), options);
        let mut model: Vec<(u64, Vec<u8>)> = Vec::new();
        for (action, batch) in steps {
            match action {
                0 => {
                    drop(log);
                    let (again, recovery) = open(dir.path(), options);
                    prop_assert!(recovery.is_clean());
                    log = again;
                }
                1 => {
                    let through = log.next_sequence() / 2;
                    let removed = usize::try_from(log.remove_through(through).unwrap()).unwrap();
                    prop_assert!(model.drain(..removed).all(|(number, _)| number <= through));
                }
                _ => {
                    let payloads: Vec<_> = batch.iter().map(Vec::as_slice).collect();
                    let numbers = log.append(&payloads, if action == 2 { Fsync::Now } else { Fsync::Later }).unwrap();
                    model.extend(numbers.zip(batch));
                }
            }
            let read: Vec<_> = log.read_from(0).map(|record| record.map(|record| (record.sequence, record.payload)).unwrap()).collect();
            prop_assert_eq!(&read, &model);
        }
    }

    #[test]
    fn any_bytes_in_a_file_let_the_log_open(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("00000000000000000007.seg"), &bytes).unwrap();
        fs::write(dir.path().join("snapshot-x.snap"), &bytes).unwrap();
        let (mut log, _) = open(dir.path(), SMALL);
        put(&mut log, &["a"]).unwrap();
        prop_assert_eq!(read(&log, 0).last().map(|(_, text)| text.clone()), Some("a".to_owned()));
    }
}

#[test]
fn a_cursor_reads_on_through_rotation_removal_and_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { segment_bytes: 200, total_bytes: 100_000, on_full: OnFull::Refuse };
    let (mut log, _) = SegmentLog::open(dir.path(), options).unwrap();
    let (mut cursor, mut read) = (segments::Cursor::at(1), Vec::new());
    for round in 0..40_u64 {
        let payloads: Vec<Vec<u8>> = (0..3).map(|n| format!("{}", round * 3 + n + 1).repeat(5).into_bytes()).collect();
        log.append(&payloads.iter().map(Vec::as_slice).collect::<Vec<_>>(), Fsync::Later).unwrap();
        if round % 3 == 0 {
            while let Some(record) = cursor.read(&log).unwrap() {
                assert_eq!(record.payload, format!("{}", record.sequence).repeat(5).into_bytes());
                read.push(record.sequence);
            }
        }
        if round == 20 {
            log.remove_through(cursor.next_sequence() - 1).unwrap();
            drop(log);
            log = SegmentLog::open(dir.path(), options).unwrap().0;
        }
    }
    assert_eq!(read, (1..=120).collect::<Vec<_>>());
    // A place that was removed meanwhile is passed over.
    let gone = log.oldest_file_end().unwrap();
    log.remove_through(gone - 1).unwrap();
    assert_eq!(segments::Cursor::at(1).read(&log).unwrap().unwrap().sequence, gone);
}

#[test]
fn a_cursor_says_what_is_damaged_and_goes_on_behind_it() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = SegmentLog::open(dir.path(), Options::default()).unwrap();
    log.append(&[b"one".as_slice(), b"two", b"three"], Fsync::Now).unwrap();
    let file = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()).find(|path| path.extension().is_some()).unwrap();
    let mut bytes = std::fs::read(&file).unwrap();
    let two = bytes.windows(3).position(|three| three == b"two").unwrap();
    bytes[two] = b'x';
    std::fs::write(&file, bytes).unwrap();
    let mut cursor = segments::Cursor::at(1);
    assert_eq!(cursor.read(&log).unwrap().unwrap().sequence, 1);
    assert_eq!(cursor.read(&log).unwrap_err().kind(), std::io::ErrorKind::InvalidData);
    assert_eq!(cursor.read(&log).unwrap().unwrap().payload, b"three");
    assert!(cursor.read(&log).unwrap().is_none());
}
