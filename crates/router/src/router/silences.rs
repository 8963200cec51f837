//! The silences held, and which of them cover an alert now.
//!
//! Owns: creation, change, end, and forgetting long after the end (Alertmanager's `--data.retention`). Must not know: groups.

use std::collections::BTreeMap;

use crate::alert::UnixMs;
use crate::digest::name_of;
use crate::labels::Labels;
use crate::silence::{PostedSilence, Silence, SilenceError, SilenceState};

/// How long an ended silence is kept.
const RETENTION: i64 = 120 * 3_600_000;

/// All silences.
#[derive(Debug, Default)]
pub(crate) struct Silences {
    all: BTreeMap<String, Silence>,
    /// Ids of those in force when [`Silences::refresh`] was last called.
    active: Vec<String>,
    /// Counts ids made, so that two equal silences of one millisecond differ.
    made: u64,
}

/// What a change left behind, to be persisted.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Changed {
    pub(crate) id: String,
    pub(crate) silences: Vec<Silence>,
}

// === impl Silences ===

impl Silences {
    pub(crate) fn restore(&mut self, silence: Silence) {
        self.all.insert(silence.id.clone(), silence);
    }

    pub(crate) fn remove(&mut self, id: &str) {
        self.all.remove(id);
    }

    /// Takes a new silence or a change of one: in place while only its end or texts change, else the old one ends and a new one begins.
    pub(crate) fn set(&mut self, now_ms: UnixMs, posted: PostedSilence, limit: usize) -> Result<Changed, SilenceError> {
        let mut wanted = checked(now_ms, posted)?;
        let mut silences = Vec::new();
        if !wanted.id.is_empty() {
            let old = self.all.get(&wanted.id).ok_or(SilenceError::NotFound)?.clone();
            if can_update(&old, &wanted, now_ms) {
                wanted.starts_at = if old.state(now_ms) == SilenceState::Active { old.starts_at } else { wanted.starts_at };
                return Ok(self.keep(wanted, now_ms, silences));
            }
            silences.extend(ended(&old, now_ms));
        }
        if self.all.len() >= limit {
            return Err(SilenceError::TooMany);
        }
        wanted.id = self.new_id(&wanted, now_ms);
        Ok(self.keep(wanted, now_ms, silences))
    }

    fn keep(&mut self, wanted: Silence, now_ms: UnixMs, mut silences: Vec<Silence>) -> Changed {
        let id = wanted.id.clone();
        silences.push(wanted);
        for silence in &silences {
            self.all.insert(silence.id.clone(), silence.clone());
        }
        self.refresh(now_ms);
        Changed { id, silences }
    }

    /// Ends a silence now.
    pub(crate) fn expire(&mut self, now_ms: UnixMs, id: &str) -> Result<Changed, SilenceError> {
        let old = self.all.get(id).ok_or(SilenceError::NotFound)?;
        let silences: Vec<Silence> = ended(old, now_ms).into_iter().collect();
        for silence in &silences {
            self.all.insert(silence.id.clone(), silence.clone());
        }
        self.refresh(now_ms);
        Ok(Changed { id: id.to_owned(), silences })
    }

    /// Sees which are in force now; drops those that ended long ago and returns their ids.
    pub(crate) fn refresh(&mut self, now_ms: UnixMs) -> Vec<String> {
        let old: Vec<String> = self.all.values().filter(|one| one.ends_at.saturating_add(RETENTION) < now_ms).map(|one| one.id.clone()).collect();
        for id in &old {
            self.all.remove(id);
        }
        self.active = self.all.values().filter(|one| one.state(now_ms) == SilenceState::Active).map(|one| one.id.clone()).collect();
        old
    }

    /// The next wall time at which one begins or ends.
    pub(crate) fn next_change(&self, now_ms: UnixMs) -> Option<UnixMs> {
        self.all.values().flat_map(|one| [one.starts_at, one.ends_at]).filter(|at| *at > now_ms).min()
    }

    /// Ids of those in force that cover an alert with these labels.
    pub(crate) fn covering(&self, labels: &Labels) -> Vec<String> {
        let active = self.active.iter().filter_map(|id| self.all.get(id));
        active.filter(|silence| silence.covers(labels)).map(|silence| silence.id.clone()).collect()
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Silence> {
        self.all.get(id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Silence> {
        self.all.values()
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// A UUID (version 8: of our own making) from the silence's content and the moment: a core rolls no dice.
    fn new_id(&mut self, silence: &Silence, now_ms: UnixMs) -> String {
        self.made += 1;
        let seed = format!("{now_ms} {} {} {:?} {}", self.made, silence.created_by, silence.matchers, silence.comment);
        let hex = name_of([seed.as_bytes()], 16);
        let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
        format!("{}-{}-8{}-9{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32))
    }
}

fn checked(now_ms: UnixMs, posted: PostedSilence) -> Result<Silence, SilenceError> {
    let starts_at = posted.starts_at.max(now_ms);
    if posted.matchers.is_empty() {
        return Err(SilenceError::NoMatchers);
    }
    if posted.matchers.iter().all(|matcher| matcher.matches_value("")) {
        return Err(SilenceError::MatchesAll);
    }
    if posted.ends_at < now_ms {
        return Err(SilenceError::EndsInThePast);
    }
    if posted.ends_at <= posted.starts_at || posted.ends_at <= starts_at {
        return Err(SilenceError::EndsBeforeStart);
    }
    let PostedSilence { id, mut matchers, ends_at, created_by, comment, .. } = posted;
    matchers.sort();
    Ok(Silence { id, matchers, starts_at, ends_at, updated_at: now_ms, created_by, comment })
}

/// Whether the change keeps what is silenced: same matchers, and a start that need not move.
fn can_update(old: &Silence, wanted: &Silence, now_ms: UnixMs) -> bool {
    let mut matchers = old.matchers.clone();
    matchers.sort();
    let same_start = match old.state(now_ms) {
        SilenceState::Active => wanted.starts_at == old.starts_at || wanted.starts_at <= now_ms,
        SilenceState::Pending => true,
        SilenceState::Expired => false,
    };
    matchers == wanted.matchers && same_start
}

/// The silence ended at `now_ms`; `None` when it had ended before.
fn ended(old: &Silence, now_ms: UnixMs) -> Option<Silence> {
    match old.state(now_ms) {
        SilenceState::Expired => None,
        SilenceState::Active => Some(Silence { ends_at: now_ms, updated_at: now_ms, ..old.clone() }),
        SilenceState::Pending => Some(Silence { starts_at: now_ms, ends_at: now_ms, updated_at: now_ms, ..old.clone() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matcher::parse;

    fn posted(matchers: &str, starts_at: i64, ends_at: i64) -> PostedSilence {
        PostedSilence { matchers: parse(matchers).unwrap().matchers, starts_at, ends_at, ..PostedSilence::default() }
    }

    #[test]
    fn what_is_refused() {
        let mut silences = Silences::default();
        for (post, error) in [
            (posted("", 0, 900), SilenceError::NoMatchers),
            (posted("a=~\".*\"", 0, 900), SilenceError::MatchesAll),
            (posted("a=b", 0, 50), SilenceError::EndsInThePast),
            (posted("a=b", 800, 700), SilenceError::EndsBeforeStart),
            (PostedSilence { id: "x".to_owned(), ..posted("a=b", 0, 900) }, SilenceError::NotFound),
        ] {
            assert_eq!(silences.set(100, post, 10), Err(error));
        }
        silences.set(100, posted("a=b", 0, 900), 1).unwrap();
        assert_eq!(silences.set(100, posted("a=b", 0, 900), 1), Err(SilenceError::TooMany));
    }

    #[test]
    fn an_end_is_changed_in_place_and_other_matchers_make_another_silence() {
        let mut silences = Silences::default();
        let id = silences.set(100, posted("a=b", 0, 900), 10).unwrap().id;
        assert_eq!(silences.get(&id).unwrap().starts_at, 100);
        let longer = PostedSilence { id: id.clone(), ..posted("a=b", 100, 2_000) };
        assert_eq!(silences.set(200, longer, 10).unwrap().id, id);
        assert_eq!(silences.get(&id).unwrap().ends_at, 2_000);
        let other = PostedSilence { id: id.clone(), ..posted("a=c", 100, 2_000) };
        let changed = silences.set(300, other, 10).unwrap();
        assert_ne!(changed.id, id);
        assert_eq!(silences.get(&id).unwrap().state(300), SilenceState::Expired);
        assert_eq!(changed.silences.len(), 2);
    }

    #[test]
    fn it_covers_from_start_to_end() {
        let mut silences = Silences::default();
        let labels = Labels::from_pairs([("a", "b")]);
        let id = silences.set(100, posted("a=b", 200, 300), 10).unwrap().id;
        for (at, covered, next) in [(150, false, Some(200)), (200, true, Some(300)), (299, true, Some(300)), (300, false, None)] {
            silences.refresh(at);
            assert_eq!((silences.covering(&labels) == [id.clone()], silences.next_change(at)), (covered, next), "{at}");
        }
        assert_eq!(silences.refresh(300 + RETENTION + 1), [id]);
    }

    #[test]
    fn ending_twice_is_fine_and_ids_are_uuids() {
        let mut silences = Silences::default();
        let id = silences.set(100, posted("a=b", 0, 900), 10).unwrap().id;
        assert_eq!(id.len(), 36);
        assert_eq!(silences.expire(200, &id).unwrap().silences.len(), 1);
        assert_eq!(silences.expire(300, &id).unwrap().silences.len(), 0);
        assert_eq!(silences.expire(300, "?"), Err(SilenceError::NotFound));
        assert_ne!(silences.set(200, posted("a=b", 0, 900), 10).unwrap().id, id);
    }
}
