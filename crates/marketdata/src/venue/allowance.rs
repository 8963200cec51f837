//! What one address of ours may do at one host of an exchange: connections, requests over them, REST weight, and the pause the exchange imposes.
//!
//! Exchanges count by address, not by market: venues of one exchange that are reached at one host have one allowance, and a pause that one of them is
//! given holds for all. The venues of a process run on one loop, so they share by reference; a fixed part for each would leave idle what one does not
//! need, and could not pass on a pause.
//!
//! Owns: the allowances, by host. Must not know: who spends them on what.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use clock::Now;

use crate::effect::{Response, SnapshotTrouble};
use crate::venue::budget::Budget;
use crate::venue::config::{Tuning, VenueConfig, VenueKind};

/// The allowances of one address, for all venues that run from it: clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Allowances(Rc<RefCell<Hosts>>);

/// Each with its exchange, host and limits: venues whose limits differ are counted apart by the exchange too.
#[derive(Debug, Default)]
struct Hosts {
    dialing: Vec<(String, Dialing)>,
    asking: Vec<(String, Asking)>,
}

/// Connections to one host, and the requests over all of them; clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Dialing(Rc<RefCell<DialingState>>);

#[derive(Debug)]
struct DialingState {
    connects: Budget,
    /// Between two attempts.
    spacing: Duration,
    /// No attempt before this.
    next_at: Duration,
    /// Subscribe and unsubscribe requests, where they are counted by address.
    requests: Option<Budget>,
}

/// REST requests to one host; clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Asking(Rc<RefCell<AskingState>>);

#[derive(Debug)]
struct AskingState {
    weight: Budget,
    paused_until: Duration,
}

/// What is left of a venue's allowances, as numbers that can be written down and put back: another venue may have spent of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AllowanceFigures(pub [u64; 8]);

/// Pauses when the venue names none: 429 asks to slow down, 418 is a ban of at least two minutes, 403 the firewall.
const PAUSE_LIMITED: Duration = Duration::from_mins(1);
const PAUSE_BANNED: Duration = Duration::from_mins(3);

// === impl Allowances ===

impl Allowances {
    /// No REST request before this (monotonic): the exchange has said so to some venue.
    pub fn asks_from(&self, kind: VenueKind, rest_url: &str) -> Duration {
        self.asking(kind, rest_url, &Tuning::of(kind)).0.borrow().paused_until
    }

    /// Heeds what an answer says about limits that a venue's own requests did not bring (its instrument list).
    pub fn heed(&self, now: Now, (kind, rest_url): (VenueKind, &str), response: &Response<'_>) {
        // What is wrong with the answer is told by who asked.
        let _told = self.asking(kind, rest_url, &Tuning::of(kind)).judge(now.mono, response);
    }

    pub(super) fn of(&self, config: &VenueConfig) -> (Dialing, Asking) {
        let (kind, tuning) = (config.kind, &config.tuning);
        (self.dialing(kind, &config.ws_url, tuning), self.asking(kind, &config.rest_url, tuning))
    }

    fn dialing(&self, kind: VenueKind, url: &str, tuning: &Tuning) -> Dialing {
        let requests = kind.dialect().limits.requests_per_address;
        let limits = (tuning.connects_per_5_minutes, tuning.connect_spacing, requests);
        let make = || {
            let requests = requests.map(|(most, period)| Budget::new(most, period));
            let connects = Budget::new(limits.0, Duration::from_mins(5));
            Dialing(Rc::new(RefCell::new(DialingState { connects, spacing: limits.1, next_at: Duration::ZERO, requests })))
        };
        shared(&mut self.0.borrow_mut().dialing, format!("{} {} {limits:?}", kind.exchange().as_str(), authority(url)), make)
    }

    fn asking(&self, kind: VenueKind, url: &str, tuning: &Tuning) -> Asking {
        let make = || {
            let weight = Budget::new(tuning.weight.0, tuning.weight.1);
            Asking(Rc::new(RefCell::new(AskingState { weight, paused_until: Duration::ZERO })))
        };
        shared(&mut self.0.borrow_mut().asking, format!("{} {} {:?}", kind.exchange().as_str(), authority(url), tuning.weight), make)
    }
}

// === impl Dialing ===

impl Dialing {
    /// When a connection may be opened.
    pub(crate) fn connect_at(&self) -> Duration {
        let state = self.0.borrow();
        state.connects.available_at(1).max(state.next_at)
    }

    /// Spends a connection if it is there.
    pub(crate) fn connect(&self, now: Duration) -> bool {
        let mut state = self.0.borrow_mut();
        let may = now >= state.next_at && state.connects.take(now, 1);
        if may {
            state.next_at = now.saturating_add(state.spacing);
        }
        may
    }

    /// When a request may be sent.
    pub(crate) fn request_at(&self) -> Duration {
        self.0.borrow().requests.as_ref().map_or(Duration::ZERO, |requests| requests.available_at(1))
    }

    /// Spends a request if it is there.
    pub(crate) fn request(&self, now: Duration) -> bool {
        self.0.borrow_mut().requests.as_mut().is_none_or(|requests| requests.take(now, 1))
    }
}

// === impl Asking ===

impl Asking {
    /// When a request of this weight may be sent.
    pub(super) fn at(&self, weight: u32) -> Duration {
        let state = self.0.borrow();
        state.paused_until.max(state.weight.available_at(weight))
    }

    /// Spends a request of this weight if it is there.
    pub(super) fn ask(&self, now: Duration, weight: u32) -> bool {
        let mut state = self.0.borrow_mut();
        now >= state.paused_until && state.weight.take(now, weight)
    }

    /// Weight left, and until when nothing may be asked.
    pub(super) fn figures(&self) -> (u64, Duration) {
        let state = self.0.borrow();
        (state.weight.left(), state.paused_until)
    }

    /// Reads an answer's status and headers: the trouble with it, and the pause it imposes, if any.
    pub(super) fn judge(&self, now: Duration, response: &Response<'_>) -> Result<(), (SnapshotTrouble, Option<Duration>)> {
        let mut state = self.0.borrow_mut();
        if let Some(used) = response.used_weight {
            state.weight.used(now, used);
        }
        let (trouble, pause) = match response.status {
            200 => return Ok(()),
            429 => (SnapshotTrouble::RateLimited, Some(PAUSE_LIMITED)),
            418 | 403 => (SnapshotTrouble::Banned, Some(PAUSE_BANNED)),
            _ => (SnapshotTrouble::Status, None),
        };
        let pause = response.retry_after.or(pause);
        if let Some(pause) = pause {
            state.paused_until = state.paused_until.max(now.saturating_add(pause));
        }
        Err((trouble, pause))
    }
}

// === impl AllowanceFigures ===

impl AllowanceFigures {
    pub(super) fn of(dialing: &Dialing, asking: &Asking) -> Self {
        let (dialing, asking) = (dialing.0.borrow(), asking.0.borrow());
        let (connects, weight) = (dialing.connects.figures(), asking.weight.figures());
        let requests = dialing.requests.as_ref().map_or((0, 0), Budget::figures);
        Self([connects.0, connects.1, nanoseconds(dialing.next_at), requests.0, requests.1, weight.0, weight.1, nanoseconds(asking.paused_until)])
    }

    pub(super) fn put(self, dialing: &Dialing, asking: &Asking) {
        let Self([connects, connects_at, next_at, requests, requests_at, weight, weight_at, paused_until]) = self;
        let (mut dialing, mut asking) = (dialing.0.borrow_mut(), asking.0.borrow_mut());
        dialing.connects.set((connects, connects_at));
        dialing.next_at = Duration::from_nanos(next_at);
        if let Some(budget) = &mut dialing.requests {
            budget.set((requests, requests_at));
        }
        asking.weight.set((weight, weight_at));
        asking.paused_until = Duration::from_nanos(paused_until);
    }
}

/// The one of this name, made at its first use.
fn shared<T: Clone>(all: &mut Vec<(String, T)>, name: String, make: impl FnOnce() -> T) -> T {
    if let Some((_, known)) = all.iter().find(|(known, _)| *known == name) {
        return known.clone();
    }
    let made = make();
    all.push((name, made.clone()));
    made
}

/// `www.okx.com` of `https://www.okx.com/api`; the port belongs to it.
fn authority(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?']).next().unwrap_or(rest).to_ascii_lowercase()
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn markets_at_one_host_spend_together_and_others_do_not() {
        let allowances = Allowances::default();
        let of = |kind, rest: &str| allowances.of(&VenueConfig { rest_url: rest.to_owned(), ..VenueConfig::new(kind) });
        let ((spot_ws, spot), (swap_ws, swap)) = (of(VenueKind::OkxSpot, "https://www.okx.com"), of(VenueKind::OkxSwap, "https://WWW.okx.com/"));
        assert!(spot_ws.connect(seconds(9)) && !swap_ws.connect(seconds(9)), "the spacing is of both");
        assert_eq!(swap_ws.connect_at(), spot_ws.connect_at());
        let all = spot.figures().0;
        assert!(spot.ask(seconds(9), 5));
        assert_eq!(swap.figures().0, all - 5);
        let elsewhere = of(VenueKind::OkxSwap, "https://my.okx.com").1;
        let (binance, futures) = (of(VenueKind::BinanceSpot, "https://gw").1, of(VenueKind::BinanceUsdm, "https://gw").1);
        assert!(binance.ask(seconds(9), 100));
        assert_eq!((elsewhere.figures().0, futures.figures().0), (all, u64::from(Tuning::of(VenueKind::BinanceUsdm).weight.0)), "counted apart");
    }

    #[test]
    fn a_pause_holds_for_all_and_for_the_instrument_list() {
        let allowances = Allowances::default();
        let banned = Response { status: 418, retry_after: Some(seconds(120)), used_weight: None, body: "" };
        let now = Now::new(seconds(10), 0);
        allowances.heed(now, (VenueKind::OkxSpot, "https://www.okx.com"), &banned);
        let swap = allowances.of(&VenueConfig::new(VenueKind::OkxSwap)).1;
        assert!(!swap.ask(seconds(129), 1) && swap.ask(seconds(130), 1));
        assert_eq!(allowances.asks_from(VenueKind::OkxSwap, "https://www.okx.com"), seconds(130));
    }

    #[test]
    fn figures_that_are_put_back_are_the_same_allowance() {
        let config = VenueConfig::new(VenueKind::Deribit);
        let (dialing, asking) = Allowances::default().of(&config);
        assert!(dialing.connect(seconds(3)) && dialing.request(seconds(3)) && asking.ask(seconds(4), 2));
        let figures = AllowanceFigures::of(&dialing, &asking);
        let (other_dialing, other_asking) = Allowances::default().of(&config);
        figures.put(&other_dialing, &other_asking);
        assert_eq!(AllowanceFigures::of(&other_dialing, &other_asking), figures);
        assert_ne!(figures, AllowanceFigures::of(&Allowances::default().of(&config).0, &asking));
    }
}
