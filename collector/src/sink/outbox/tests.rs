//! The order of records through acknowledgements, losses of the connection and the spool.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;

const NOW: Duration = Duration::from_secs(1);
const TRADE: RecordKind = RecordKind::Trade;
const TERMS: Terms = Terms { single: false, remembers: Duration::from_mins(1) };

fn record(stream: usize, kind: RecordKind, sequence: u64) -> Record {
    Record { stream, kind, sequence, event_ts_ms: 0, payload: Bytes::from_static(b"{}"), offered: NOW }
}

/// Two trade streams that are acknowledged, and a preview that is not.
fn outbox(in_flight: usize) -> Outbox {
    let mut outbox = Outbox::new([(TRADE, Confirm::Ack), (TRADE, Confirm::Ack), (RecordKind::Ofi, Confirm::Pong)], (in_flight, 1 << 20));
    outbox.link_up();
    outbox.open(TRADE, TERMS);
    outbox
}

fn send(outbox: &mut Outbox) -> Vec<(usize, u64, Option<u64>)> {
    let mut sent = Vec::new();
    while let Some(outgoing) = outbox.send_next(NOW, 1) {
        sent.push((outgoing.lane, outgoing.record.sequence, outgoing.number));
    }
    sent
}

fn answer(outbox: &mut Outbox, number: u64) -> Vec<u64> {
    let mut secured = Vec::new();
    if let Some((Origin::Lane(lane), _)) = outbox.window().answer(number) {
        outbox.stored(lane, number, |record| secured.push(record.sequence));
    }
    secured
}

#[test]
fn lanes_take_turns_and_the_window_is_a_bound() {
    let mut outbox = outbox(3);
    for sequence in 1..=3 {
        outbox.take(record(0, TRADE, sequence));
    }
    outbox.take(record(1, TRADE, 10));
    assert!(!outbox.take(record(7, TRADE, 1)), "no such stream");
    assert_eq!(send(&mut outbox), [(0, 1, Some(0)), (1, 10, Some(1)), (0, 2, Some(2))]);
    assert_eq!(outbox.held(), Held { records: 4, bytes: 4 * (2 + OVERHEAD) });
    assert_eq!(answer(&mut outbox, 2), [0_u64; 0], "not before the one before it");
    assert_eq!(answer(&mut outbox, 0), [1, 2]);
    assert_eq!(send(&mut outbox), [(0, 3, Some(3))]);
    assert_eq!(outbox.held().records, 2);
}

#[test]
fn what_is_not_acknowledged_is_sent_again_first_and_in_order() {
    let mut outbox = outbox(8);
    for sequence in 1..=4 {
        outbox.take(record(0, TRADE, sequence));
    }
    outbox.take(record(2, RecordKind::Ofi, 50));
    let first = send(&mut outbox);
    assert_eq!(answer(&mut outbox, first[0].2.unwrap()), [1]);
    let mut lost = Vec::new();
    outbox.link_down(|record| lost.push(record.sequence));
    assert_eq!(lost, [50], "a preview may have arrived or not: it is not sent twice");
    outbox.take(record(0, TRADE, 5));
    assert_eq!(send(&mut outbox), []);
    outbox.link_up();
    assert_eq!(send(&mut outbox), [], "connected, but the stream is not known to be there");
    outbox.open(TRADE, TERMS);
    let again = send(&mut outbox);
    assert_eq!(again.iter().map(|sent| sent.1).collect::<Vec<_>>(), [2, 3, 4, 5]);
    assert_eq!(answer(&mut outbox, first[2].2.unwrap()), [0_u64; 0], "an answer of the old connection is nobody's");
    for sent in again {
        answer(&mut outbox, sent.2.unwrap());
    }
    assert_eq!(outbox.held(), Held::default());
}

/// A lane with 1, 2 and 3 sent and not acknowledged, 4 never sent, on a new connection `later`.
fn in_doubt(later: Duration) -> (Outbox, Vec<u64>) {
    let mut outbox = outbox(8);
    for sequence in 1..=3 {
        outbox.take(record(0, TRADE, sequence));
    }
    send(&mut outbox);
    outbox.link_down(|_| {});
    outbox.take(record(0, TRADE, 4));
    outbox.take(record(1, TRADE, 10));
    outbox.link_up();
    outbox.open(TRADE, TERMS);
    let mut sent = Vec::new();
    while let Some(outgoing) = outbox.send_next(NOW + later, 1) {
        sent.push(outgoing.record.sequence);
    }
    (outbox, sent)
}

#[test]
fn what_the_stream_may_have_forgotten_is_asked_about_before_it_is_sent_again() {
    let (mut outbox, sent) = in_doubt(TERMS.remembers.mul_f64(0.99));
    assert_eq!((sent, outbox.next_doubt()), (vec![1, 10, 2, 3, 4], None), "the stream knows their ids again");
    for (last, held, again) in [
        (Some((2, 0)), vec![1, 2], vec![3, 4]),
        (Some((3, 0)), vec![1, 2, 3], vec![4]),
        (Some((9, 0)), vec![], vec![1, 2, 3, 4]),
        (None, vec![], vec![1, 2, 3, 4]),
    ] {
        let (mut outbox, sent) = in_doubt(TERMS.remembers);
        assert_eq!((sent, outbox.next_doubt(), outbox.next_doubt()), (vec![10], Some(0), None), "another subject does not wait");
        let mut secured = Vec::new();
        outbox.settle(0, last, |record| secured.push(record.sequence));
        assert_eq!(secured, held);
        assert_eq!(send(&mut outbox).iter().map(|sent| sent.1).collect::<Vec<_>>(), again);
        assert_eq!(outbox.held().records, again.len() + 1);
    }
}

#[test]
fn doubtful_records_that_go_to_the_spool_are_marked_and_an_answer_comes_too_late_for_them() {
    let (mut outbox, _) = in_doubt(TERMS.remembers);
    outbox.spill(0);
    let mut batch = Vec::new();
    outbox.for_spool(TRADE, 1, &mut batch);
    assert_eq!(batch.iter().map(|pending| (pending.record.sequence, pending.sent.is_some())).collect::<Vec<_>>(), [(1, true)]);
    outbox.spooled(&batch);
    outbox.settle(0, Some((3, 0)), |record| panic!("{} joins the others", record.sequence));
    batch.clear();
    outbox.for_spool(TRADE, 1 << 20, &mut batch);
    assert_eq!(batch.iter().map(|pending| (pending.record.sequence, pending.sent.is_some())).collect::<Vec<_>>(), [(2, true), (3, true), (4, false)]);
}

#[test]
fn a_stream_that_may_refuse_one_and_take_the_next_has_one_under_way() {
    let mut outbox = outbox(8);
    outbox.open(TRADE, Terms { single: true, ..TERMS });
    for sequence in 1..=2 {
        outbox.take(record(0, TRADE, sequence));
        outbox.take(record(1, TRADE, sequence));
    }
    assert_eq!(send(&mut outbox), [(0, 1, Some(0)), (1, 1, Some(1))]);
    answer(&mut outbox, 1);
    assert_eq!(send(&mut outbox), [(1, 2, Some(2))]);
}

#[test]
fn new_records_join_the_backlog_until_it_is_gone() {
    let mut outbox = outbox(8);
    outbox.take(record(0, TRADE, 1));
    send(&mut outbox);
    outbox.take(record(0, TRADE, 2));
    outbox.spill(0);
    outbox.take(record(0, TRADE, 3));
    outbox.take(record(1, TRADE, 30));
    assert_eq!(send(&mut outbox).iter().map(|sent| sent.1).collect::<Vec<_>>(), [30], "a stream without backlog goes on");
    let mut batch = Vec::new();
    outbox.for_spool(TRADE, 1 << 20, &mut batch);
    assert_eq!(batch.iter().map(|pending| pending.record.sequence).collect::<Vec<_>>(), [1, 2, 3]);
    outbox.not_spooled(&mut batch);
    outbox.for_spool(TRADE, 1, &mut batch);
    assert_eq!(batch.iter().map(|pending| pending.record.sequence).collect::<Vec<_>>(), [1], "a failed write changes nothing");
    outbox.spooled(&batch);
    outbox.take(record(0, TRADE, 4));
    assert_eq!(send(&mut outbox), []);
    outbox.drained(0);
    assert_eq!(send(&mut outbox).iter().map(|sent| sent.1).collect::<Vec<_>>(), [2, 3, 4]);
}

#[test]
fn a_lane_that_the_disk_did_not_take_is_sent_from_memory_and_one_with_a_backlog_behind_it() {
    let mut outbox = outbox(8);
    for lane in 0..2 {
        outbox.take(record(lane, TRADE, 1));
        outbox.spill(lane);
    }
    let mut batch = Vec::new();
    outbox.for_spool(TRADE, 1, &mut batch);
    outbox.spooled(&batch);
    outbox.take(record(0, TRADE, 2));
    outbox.stay_in_memory();
    assert_eq!(send(&mut outbox).iter().map(|sent| (sent.0, sent.1)).collect::<Vec<_>>(), [(1, 1)]);
    outbox.drained(0);
    assert_eq!(send(&mut outbox).iter().map(|sent| (sent.0, sent.1)).collect::<Vec<_>>(), [(0, 2)]);
}

#[test]
fn a_backlog_that_was_given_up_holds_nothing_back() {
    let mut outbox = outbox(8);
    outbox.take(record(0, TRADE, 1));
    outbox.spill(0);
    let mut batch = Vec::new();
    outbox.for_spool(TRADE, 1 << 20, &mut batch);
    outbox.spooled(&batch);
    outbox.take(record(0, TRADE, 2));
    assert_eq!(send(&mut outbox), []);
    outbox.backlog_gone(TRADE);
    assert_eq!(send(&mut outbox).iter().map(|sent| sent.1).collect::<Vec<_>>(), [2]);
}

#[test]
fn a_pong_confirms_what_was_sent_before_its_ping() {
    let mut outbox = outbox(8);
    outbox.take(record(2, RecordKind::Ofi, 1));
    assert_eq!(outbox.send_next(NOW, 1).unwrap().number, None);
    outbox.take(record(2, RecordKind::Ofi, 2));
    outbox.send_next(NOW, 2).unwrap();
    let mut confirmed = Vec::new();
    outbox.ponged(1, |record| confirmed.push(record.sequence));
    assert_eq!((confirmed, outbox.under_way()), (vec![1], 1));
}

#[test]
fn shed_takes_the_old_ones_and_gives_memory_back() {
    let mut outbox = outbox(8);
    outbox.link_down(|_| {});
    for sequence in 0..1_000 {
        outbox.take(Record { offered: Duration::from_millis(sequence), ..record(2, RecordKind::Ofi, sequence) });
    }
    assert_eq!(outbox.shed(2, Duration::from_millis(400)).len(), 400);
    assert_eq!((outbox.shed(2, Duration::MAX).len(), outbox.held()), (600, Held::default()));
    assert!(outbox.lanes()[2].waiting.capacity() <= 64);
}

/// What may happen between two records.
#[derive(Clone, Debug)]
enum Happening {
    Take(usize),
    Send,
    /// Answers the nth of what is under way.
    Answer(usize),
    Lose,
    Spill(usize),
    Spool(bool),
    Drain,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        4 => (0_usize..2).prop_map(Happening::Take),
        3 => Just(Happening::Send),
        4 => (0_usize..3).prop_map(Happening::Answer),
        1 => Just(Happening::Lose),
        1 => (0_usize..2).prop_map(Happening::Spill),
        2 => any::<bool>().prop_map(Happening::Spool),
        3 => Just(Happening::Drain),
    ]
}

proptest! {
    #[test]
    fn every_record_is_secured_once_and_in_order(happenings in proptest::collection::vec(happening(), 0..200), single in any::<bool>()) {
        let mut outbox = outbox(4);
        outbox.open(TRADE, Terms { single, ..TERMS });
        let (mut next, mut secured, mut spool) = ([0_u64; 2], [Vec::new(), Vec::new()], VecDeque::new());
        let mut under_way: Vec<u64> = Vec::new();
        // In the end everything comes to rest.
        let rest = std::iter::repeat_n([Happening::Send, Happening::Answer(0), Happening::Spool(true), Happening::Drain], 400).flatten();
        for happening in happenings.into_iter().chain(rest) {
            match happening {
                Happening::Take(lane) => {
                    next[lane] += 1;
                    outbox.take(record(lane, TRADE, next[lane]));
                }
                Happening::Send => under_way.extend(send(&mut outbox).iter().filter_map(|sent| sent.2)),
                Happening::Answer(nth) if nth < under_way.len() => {
                    let number = under_way.remove(nth);
                    if let Some((Origin::Lane(lane), _)) = outbox.window().answer(number) {
                        outbox.stored(lane, number, |record| secured[lane].push(record.sequence));
                    }
                }
                Happening::Answer(_) => {}
                Happening::Lose => {
                    outbox.link_down(|_| {});
                    outbox.link_up();
                    outbox.open(TRADE, Terms { single, ..TERMS });
                }
                Happening::Spill(lane) => outbox.spill(lane),
                Happening::Spool(works) => {
                    let mut batch = Vec::new();
                    outbox.for_spool(TRADE, 300, &mut batch);
                    if works {
                        outbox.spooled(&batch);
                        spool.extend(batch.into_iter().map(|pending| pending.record));
                    } else {
                        outbox.not_spooled(&mut batch);
                    }
                }
                Happening::Drain => {
                    if let Some(record) = spool.pop_front() {
                        secured[record.stream].push(record.sequence);
                        outbox.drained(record.stream);
                    }
                }
            }
        }
        for lane in 0..2 {
            // Spilling takes along what the server may have stored already: the message id makes that one message.
            let mut once = secured[lane].clone();
            once.dedup();
            prop_assert_eq!(once, (1..=next[lane]).collect::<Vec<_>>());
        }
        prop_assert_eq!(outbox.held(), Held::default());
    }
}
