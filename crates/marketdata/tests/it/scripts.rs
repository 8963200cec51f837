//! Raw frames against what they must bring about, as data: every file in `tests/scripts` is one conversation with a venue.
//!
//! A script names a venue and its instruments (`instrument RAW SYMBOL PRICE_DIGITS QUANTITY_DIGITS [CONTRACT_SIZE]`); then each line is an input and the
//! indented lines below it are all that comes of it:
//!
//! ```text
//! open              the first timeout, and the connection opens
//! opened            the connection that was asked for last opens
//! < FRAME           a text frame arrives
//! rest STATUS BODY  the snapshot that was fetched last arrives
//! wait 15s          time passes
//! ```
//!
//! `UPDATE_SCRIPTS=1` writes the outcome into the files, to be read and judged before it is committed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clock::Now;
use marketdata::{ConnId, Effect, FetchId, Input, Instrument, Multiplier, Publication, Response, Scale, Side, Venue, VenueConfig, VenueKind};

struct Conversation {
    venue: Venue,
    now: Now,
    conn: ConnId,
    fetch: Option<FetchId>,
    outcome: Vec<String>,
}

impl Conversation {
    fn new(kind: VenueKind, instruments: Vec<Instrument>) -> Self {
        let mut config = VenueConfig::new(kind);
        config.output.book = Publication::EveryUpdate;
        let venue = Venue::new(config, instruments).unwrap();
        Self { venue, now: Now::new(Duration::from_secs(1), 1_700_000_000_000), conn: ConnId(1), fetch: None, outcome: Vec::new() }
    }

    fn line(&mut self, line: &str) {
        match line.split_once(' ').unwrap_or((line, "")) {
            ("open", _) => {
                self.input(Input::Timeout);
                self.input(Input::Connected { conn: self.conn });
            }
            ("opened", _) => self.input(Input::Connected { conn: self.conn }),
            ("<", text) => self.input(Input::Frame { conn: self.conn, text }),
            ("rest", answer) => {
                let (status, body) = answer.split_once(' ').unwrap();
                let response = Response { status: status.parse().unwrap(), retry_after: None, used_weight: None, body };
                let fetch = self.fetch.take().expect("nothing was fetched");
                self.input(Input::Fetched { fetch, response });
            }
            ("wait", time) => self.wait(Duration::from_millis(match time.strip_suffix("ms") {
                Some(ms) => ms.parse().unwrap(),
                None => 1_000 * time.strip_suffix('s').unwrap().parse::<u64>().unwrap(),
            })),
            other => panic!("{other:?} is no input"),
        }
    }

    fn wait(&mut self, time: Duration) {
        let end = self.now.later(time);
        while let Some(at) = self.venue.next_timeout().filter(|at| *at <= end.mono) {
            self.now = self.now.later(at.saturating_sub(self.now.mono));
            self.input(Input::Timeout);
        }
        self.now = end;
    }

    fn input(&mut self, input: Input<'_>) {
        let mut effects = Vec::new();
        self.venue.handle(self.now, input, &mut effects);
        for effect in effects {
            let told = self.tell(&effect);
            self.outcome.push(format!("  {told}"));
        }
    }

    fn tell(&mut self, effect: &Effect) -> String {
        match effect {
            Effect::Connect { conn, url } => {
                self.conn = *conn;
                format!("connect {url}")
            }
            Effect::Send { text, .. } => format!("> {text}"),
            Effect::Close { reason, .. } => format!("close {}", reason.as_str()),
            Effect::Fetch { fetch, url } => {
                self.fetch = Some(*fetch);
                format!("fetch {url}")
            }
            Effect::Book { instrument } => {
                let view = self.venue.book(*instrument).unwrap();
                let side = |side| {
                    let (price, quantity) = (view.instrument.price, view.instrument.quantity);
                    let levels = view.levels(side).take(3).map(|level| format!("{}x{}", price.text(level.price.0), quantity.text(level.quantity.0)));
                    levels.collect::<Vec<_>>().join(" ")
                };
                let doubts = [(!view.complete(), " incomplete"), (!view.confirmed, " unconfirmed")];
                let doubts: String = doubts.into_iter().filter(|(is, _)| *is).map(|(_, word)| word).collect();
                format!("book {} {} bids {} asks {}{doubts}", view.instrument.symbol, view.stamp.sequence, side(Side::Bid), side(Side::Ask))
            }
            Effect::Trade(trade) => {
                let instrument = self.venue.instrument(trade.instrument).unwrap();
                let (price, quantity) = (instrument.price.text(trade.price.0), instrument.quantity.text(trade.quantity.0));
                let side = if trade.taker == Side::Bid { "buy" } else { "sell" };
                let name = trade.name.text().map(|name| format!("={name}")).unwrap_or_default();
                format!("trade {} {}{name} {side} {price}x{quantity}", instrument.symbol, trade.id)
            }
            Effect::Event(event) => {
                let symbol = event.instrument.and_then(|id| self.venue.instrument(id)).map_or("-", |instrument| &instrument.symbol);
                format!("event {symbol} {}", event.kind)
            }
            other => format!("{other:?}"),
        }
    }
}

fn instrument(kind: VenueKind, words: &[&str]) -> Instrument {
    let digits = |place: usize| Scale::new(words[place].parse().unwrap()).showing(0);
    let plain = Instrument::new(kind.exchange(), kind.market_type(), (words[0], words[1]), (digits(2), digits(3)));
    let multiplier = words.get(4).map_or(Multiplier::ONE, |size| Multiplier::product(&[size]).unwrap());
    Instrument { multiplier, ..plain }
}

/// The script with the outcome as it is now.
fn played(text: &str) -> String {
    let (mut kind, mut instruments, mut conversation) = (None, Vec::new(), None);
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with(' ')) {
        lines.push(line.to_owned());
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            [""] => {}
            ["#", ..] => {}
            ["venue", name] => kind = VenueKind::ALL.into_iter().find(|kind| kind.as_str() == name),
            ["instrument", ..] => instruments.push(instrument(kind.unwrap(), &words[1..])),
            _ => {
                let conversation = conversation.get_or_insert_with(|| Conversation::new(kind.unwrap(), std::mem::take(&mut instruments)));
                conversation.line(line);
                lines.append(&mut conversation.outcome);
            }
        }
    }
    lines.join("\n") + "\n"
}

#[expect(clippy::disallowed_methods, reason = "the test reads its scripts; the core it feeds does no I/O")]
fn scripts() -> Vec<(PathBuf, String)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    let mut all: Vec<PathBuf> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all.into_iter().map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

#[test]
#[expect(clippy::disallowed_methods, reason = "writes the scripts when asked to")]
fn every_conversation_goes_as_written() {
    let update = std::env::var_os("UPDATE_SCRIPTS").is_some();
    let mut wrong = Vec::new();
    for (path, text) in scripts() {
        let played = played(&text);
        if played != text && update {
            std::fs::write(&path, &played).unwrap();
        } else if played != text {
            let differs = played.lines().zip(text.lines()).find(|(is, written)| is != written);
            wrong.push(format!("{}: {differs:?}", path.file_name().unwrap().display()));
        }
    }
    assert!(wrong.is_empty(), "(as it goes, as it is written): {wrong:#?}");
}
