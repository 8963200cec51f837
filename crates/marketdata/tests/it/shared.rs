//! Two markets of one exchange at one host: what they may do there, they share.

use std::time::Duration;

use clock::Now;
use marketdata::{Allowances, ConnId, Effect, Event, EventKind, FetchId, Input, Instrument, Response, Scale, Tuning, Venue, VenueConfig, VenueKind};

fn venue(kind: VenueKind, allowances: &Allowances, tune: impl Fn(&mut Tuning)) -> Venue {
    let raw = if kind == VenueKind::OkxSwap { "BTC-USDT-SWAP" } else { "BTC-USDT" };
    let scale = Scale::new(4);
    let instrument = Instrument::new(kind.exchange(), kind.market_type(), (raw, "BTC-USDT"), (scale, scale));
    let mut config = VenueConfig::new(kind);
    tune(&mut config.tuning);
    Venue::new(config, vec![instrument]).unwrap().sharing(allowances)
}

fn at(milliseconds: u64) -> Now {
    Now::new(Duration::from_millis(milliseconds), 1_700_000_000_000)
}

fn told(venue: &mut Venue, milliseconds: u64, input: Input<'_>) -> Vec<Effect> {
    let mut effects = Vec::new();
    venue.handle(at(milliseconds), input, &mut effects);
    effects
}

fn connects(effects: &[Effect]) -> usize {
    effects.iter().filter(|effect| matches!(effect, Effect::Connect { .. })).count()
}

fn fetches(effects: &[Effect]) -> Vec<FetchId> {
    effects.iter().filter_map(|effect| if let Effect::Fetch { fetch, .. } = effect { Some(*fetch) } else { None }).collect()
}

/// Opens its connection and acknowledges its book, without a snapshot: it will ask for one by REST.
fn subscribe(venue: &mut Venue, milliseconds: u64, raw: &str) {
    assert_eq!(connects(&told(venue, milliseconds, Input::Timeout)), 1);
    told(venue, milliseconds, Input::Connected { conn: ConnId(1) });
    for channel in ["books", "trades"] {
        let text = format!(r#"{{"id":"1","event":"subscribe","arg":{{"channel":"{channel}","instId":"{raw}"}}}}"#);
        told(venue, milliseconds, Input::Frame { conn: ConnId(1), text: &text });
    }
}

#[test]
fn connections_of_two_markets_keep_their_distance() {
    let allowances = Allowances::default();
    let (mut spot, mut swap) = (venue(VenueKind::OkxSpot, &allowances, |_| {}), venue(VenueKind::OkxSwap, &allowances, |_| {}));
    assert_eq!(connects(&told(&mut spot, 1_000, Input::Timeout)), 1);
    assert_eq!(connects(&told(&mut swap, 1_000, Input::Timeout)), 0);
    let due = swap.next_timeout().unwrap();
    assert_eq!(due, Duration::from_millis(1_500), "it waits, and does not spin");
    assert_eq!(connects(&told(&mut swap, 1_500, Input::Timeout)), 1);
    let mut alone = venue(VenueKind::OkxSwap, &Allowances::default(), |_| {});
    assert_eq!(connects(&told(&mut alone, 1_000, Input::Timeout)), 1, "another address is another allowance");
}

#[test]
fn weight_that_one_market_spends_the_other_has_not_and_a_pause_is_for_both() {
    let allowances = Allowances::default();
    let poor = |tuning: &mut Tuning| tuning.weight = (1, Duration::from_secs(10));
    let (mut spot, mut swap) = (venue(VenueKind::OkxSpot, &allowances, poor), venue(VenueKind::OkxSwap, &allowances, poor));
    subscribe(&mut spot, 1_000, "BTC-USDT");
    subscribe(&mut swap, 2_000, "BTC-USDT-SWAP");
    let asked = fetches(&told(&mut spot, 4_500, Input::Timeout));
    assert_eq!(asked.len(), 1);
    assert_eq!(fetches(&told(&mut swap, 4_500, Input::Timeout)).len(), 0, "the weight of these ten seconds is spent");
    let banned = Response { status: 418, retry_after: Some(Duration::from_secs(20)), used_weight: None, body: "" };
    let effects = told(&mut spot, 5_000, Input::Fetched { fetch: asked[0], response: banned });
    let limited = EventKind::RestLimited(Duration::from_secs(20));
    assert!(effects.contains(&Effect::Event(Event { instrument: None, kind: limited })), "{effects:?}");
    let mut alive = 5_000;
    while alive < 24_900 {
        alive += 100;
        assert_eq!(fetches(&told(&mut swap, alive, Input::Activity { conn: ConnId(1) })).len(), 0);
        assert_eq!(fetches(&told(&mut swap, alive, Input::Timeout)).len(), 0, "at {alive} ms the ban that spot was given holds");
    }
    assert_eq!(fetches(&told(&mut swap, 25_000, Input::Timeout)).len(), 1);
}
