//! The spool on a real disk: order, bounds, restarts.

use bytes::Bytes;

use super::*;
use crate::sink::outbox::Id;

const TRADE: RecordKind = RecordKind::Trade;

fn records(sequences: std::ops::RangeInclusive<u64>) -> Vec<Pending> {
    let pending = |sequence| Pending {
        record: Record {
            stream: usize::try_from(sequence % 2).unwrap(),
            kind: TRADE,
            sequence,
            event_ts_ms: 5,
            payload: Bytes::from(vec![b'x'; 1_000]),
            offered: Duration::ZERO,
        },
        sent: None,
    };
    sequences.map(pending).collect()
}

/// The next record to be sent; nothing of what may be there already is there.
fn next(shelf: &mut Shelf, now: Duration, single: bool) -> Option<(u64, u64)> {
    if matches!(shelf.next(now, single), Next::Doubt(..)) {
        shelf.settle(&BTreeMap::from(["trade.a", "trade.b"].map(|subject| (subject.to_owned(), None))));
    }
    match shelf.next(now, single) {
        Next::Send(number, entry) => Some((number, entry.sequence)),
        Next::Nothing => None,
        other => panic!("{other:?}"),
    }
}

fn subject(record: &Record) -> &'static str {
    ["trade.a", "trade.b"][record.stream]
}

fn at(seconds: u64) -> Now {
    Now::default().later(Duration::from_secs(seconds))
}

fn open(dir: &std::path::Path, max_total: u64) -> Spool {
    Spool::open(&SpoolConfig { dir: dir.to_owned(), max_total, max_age: Duration::from_secs(100) }).unwrap()
}

fn drain(spool: &mut Spool, most: usize) -> Vec<u64> {
    let mut sent = Vec::new();
    let shelf = spool.shelf(TRADE).unwrap();
    while sent.len() < most
        && let Some((number, sequence)) = next(shelf, Duration::from_secs(1_000), false)
    {
        sent.push((number, sequence));
        shelf.sent(None);
    }
    // Answers in another order do not matter.
    for (number, _) in sent.iter().rev() {
        shelf.acknowledged(*number, |_| {});
    }
    sent.into_iter().map(|(_, sequence)| sequence).collect()
}

#[test]
fn what_was_spooled_is_there_after_a_restart_and_leaves_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let (mut spool, mut lost) = (open(dir.path(), 10 << 20), Vec::new());
    spool.append(&records(1..=10), subject, at(1), &mut lost).unwrap();
    assert_eq!(drain(&mut spool, 4), [1, 2, 3, 4]);
    spool.tidy(at(2), &mut lost).unwrap();
    // As after a kill: nothing is said at the end.
    drop(spool);
    let mut spool = open(dir.path(), 10 << 20);
    assert_eq!(spool.backlog(), BTreeMap::from([("trade.a".to_owned(), 3), ("trade.b".to_owned(), 3)]));
    spool.append(&records(11..=12), subject, at(3), &mut lost).unwrap();
    assert_eq!(drain(&mut spool, 99), (5..=12).collect::<Vec<_>>());
    spool.tidy(at(4), &mut lost).unwrap();
    assert!(spool.is_empty() && lost.is_empty());
    assert!(spool.bytes() < 200, "files that are done are gone: {}", spool.bytes());
    drop(spool);
    assert!(open(dir.path(), 10 << 20).is_empty());
}

#[test]
fn without_the_file_that_says_how_far_everything_is_sent_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path(), 10 << 20);
    spool.append(&records(1..=3), subject, at(1), &mut Vec::new()).unwrap();
    assert_eq!(drain(&mut spool, 2), [1, 2]);
    drop(spool);
    assert_eq!(drain(&mut open(dir.path(), 10 << 20), 9), [1, 2, 3]);
}

#[test]
fn a_refusal_pauses_and_begins_again_at_the_first_that_is_not_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path(), 10 << 20);
    spool.append(&records(1..=4), subject, at(1), &mut Vec::new()).unwrap();
    let (now, shelf) = (Duration::from_secs(10), spool.shelf(TRADE).unwrap());
    let (first, _) = next(shelf, now, false).unwrap();
    shelf.sent(None);
    next(shelf, now, false).unwrap();
    shelf.sent(None);
    shelf.acknowledged(first, |_| {});
    shelf.refused(now);
    assert_eq!(next(shelf, now, false), None);
    assert_eq!(next(shelf, now + Duration::from_secs(1), false).unwrap().1, 2);
}

/// What is done with each record of the spool when the stream has answered: sent, or known to be there.
fn decided(shelf: &mut Shelf, last: [Option<Id>; 2]) -> (Vec<u64>, Vec<u64>) {
    let (mut sent, mut held) = (Vec::new(), Vec::new());
    loop {
        match shelf.next(Duration::from_secs(9), false) {
            Next::Nothing => return (sent, held),
            Next::Doubt(..) => shelf.settle(&["trade.a", "trade.b"].map(str::to_owned).into_iter().zip(last).collect()),
            Next::Send(_, entry) => {
                sent.push(entry.sequence);
                shelf.sent(None);
            }
            Next::Held(number, entry) => {
                held.push(entry.sequence);
                shelf.sent(None);
                shelf.acknowledged(number, |_| {});
            }
        }
    }
}

#[test]
fn what_may_be_stored_already_is_asked_about_and_what_is_stored_is_not_sent_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path(), 10 << 20);
    spool.append(&records(1..=6), subject, at(1), &mut Vec::new()).unwrap();
    assert_eq!(decided(spool.shelf(TRADE).unwrap(), [Some((6, 5)); 2]), ((1..=6).collect(), vec![]), "never sent: nothing is asked");
    // The connection ends; of a (even) up to 4 was stored, of b nothing.
    let shelf = spool.shelf(TRADE).unwrap();
    shelf.rewind();
    assert_eq!(decided(shelf, [Some((4, 5)), None]), (vec![1, 3, 5, 6], vec![2, 4]));
    // The process is killed; another event time is another record.
    drop(spool);
    let mut spool = open(dir.path(), 10 << 20);
    assert_eq!(decided(spool.shelf(TRADE).unwrap(), [Some((6, 5)), Some((5, 4))]), (vec![1, 3, 5], vec![2, 4, 6]));
    let mut doubtful = records(7..=9);
    doubtful[1].sent = Some(Duration::ZERO);
    spool.append(&doubtful, subject, at(2), &mut Vec::new()).unwrap();
    assert_eq!(decided(spool.shelf(TRADE).unwrap(), [Some((8, 5)), None]), (vec![7, 9], vec![8]), "sent from memory before it was spooled");
}

#[test]
fn one_of_a_subject_at_a_time_where_that_is_wanted() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path(), 10 << 20);
    spool.append(&records(1..=3), subject, at(1), &mut Vec::new()).unwrap();
    let (now, shelf) = (Duration::from_secs(10), spool.shelf(TRADE).unwrap());
    let (first, _) = next(shelf, now, true).unwrap();
    shelf.sent(None);
    next(shelf, now, true).unwrap();
    shelf.sent(None);
    assert_eq!(next(shelf, now, true), None, "the third is of the first one's subject");
    shelf.acknowledged(first, |_| {});
    assert_eq!(next(shelf, now, true).unwrap().1, 3);
}

#[test]
fn the_bounds_take_the_oldest_and_say_what_was_lost() {
    let dir = tempfile::tempdir().unwrap();
    let (mut spool, mut lost) = (open(dir.path(), 1 << 20), Vec::new());
    for batch in 0..30 {
        spool.append(&records(batch * 100 + 1..=batch * 100 + 100), subject, at(1), &mut lost).unwrap();
        assert!(spool.bytes() <= 1 << 20);
    }
    let gone: u64 = lost.iter().flat_map(|lost| lost.subjects.values()).sum();
    assert!(gone > 1_000 && lost.iter().all(|lost| lost.reason == "size"), "{gone}");
    let left: u64 = spool.backlog().values().sum();
    assert_eq!(gone + left, 3_000);
    spool.append(&records(3_001..=3_001), subject, at(100), &mut lost).unwrap();
    lost.clear();
    spool.tidy(at(150), &mut lost).unwrap();
    assert_eq!(lost.iter().map(|lost| lost.reason).collect::<Vec<_>>(), ["age"]);
    assert_eq!(drain(&mut spool, 9), [3_001]);
}

#[test]
fn a_second_process_is_kept_out() {
    let dir = tempfile::tempdir().unwrap();
    let _first = open(dir.path(), 1 << 20);
    let config = SpoolConfig { dir: dir.path().to_owned(), ..SpoolConfig::default() };
    assert!(matches!(Spool::open(&config), Err(OpenError::Locked { .. })));
}
