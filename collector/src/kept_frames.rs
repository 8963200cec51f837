//! The frames of the venues that could not be read, for `/debug/frames`: copies of what the cores keep, taken by the data loop once a second.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use marketdata::{KeptFrame, Venue};
use serde_json::{Value, json};

use crate::utc;

/// Of each venue: how many there were since the start, and the last of them.
#[derive(Debug, Default)]
pub struct KeptFrames(Mutex<BTreeMap<&'static str, (u64, Vec<KeptFrame>)>>);

// === impl KeptFrames ===

impl KeptFrames {
    /// Copies the frames of a venue, if there were any since the last time; not now if a page is just being made.
    pub fn show(&self, venue: &Venue) {
        let count = venue.stats().malformed;
        let Ok(mut kept) = self.0.try_lock() else { return };
        let known = kept.entry(venue.config().kind.as_str()).or_default();
        // A loop that was begun anew counts from zero.
        if known.0 != count && venue.malformed().len() > 0 {
            *known = (count, venue.malformed().cloned().collect());
        }
    }

    /// The page.
    pub fn to_json(&self) -> Value {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let frame = |frame: &KeptFrame| json!({"received": utc::rfc3339(frame.received_ms), "bytes": frame.bytes, "text": frame.text});
        let of_venue = |(venue, (count, frames)): (&&str, &(u64, Vec<KeptFrame>))| {
            let frames: Vec<Value> = frames.iter().map(frame).collect();
            json!({"venue": venue, "malformed": count, "frames": frames})
        };
        json!({"venues": kept.iter().map(of_venue).collect::<Vec<_>>()})
    }
}
