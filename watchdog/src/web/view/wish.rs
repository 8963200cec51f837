//! Drawing on demand: what costs something to draw is drawn when somebody looks. Must not know: what is drawn.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

/// How long somebody who looks waits for a new drawing; afterwards the last one is shown, so that the page is there whatever the painter does.
const PATIENCE: Duration = Duration::from_millis(500);

/// The wish of whoever looks, and its fulfilment.
#[derive(Debug, Default)]
pub struct Wish {
    made: Notify,
    granted: Notify,
    /// Whether there is a painter.
    is_heard: AtomicBool,
}

// === impl Wish ===

impl Wish {
    /// Asks for a new drawing and waits for it a little; does not wait when there is no painter.
    pub async fn ask(&self) {
        if !self.is_heard.load(Ordering::Relaxed) {
            return;
        }
        let mut granted = pin!(self.granted.notified());
        granted.as_mut().enable();
        self.made.notify_one();
        // Too late: the last drawing is shown.
        let _ = tokio::time::timeout(PATIENCE, granted).await;
    }

    /// The painter's end: the next wish.
    pub async fn next(&self) {
        self.is_heard.store(true, Ordering::Relaxed);
        self.made.notified().await;
    }

    /// Tells everybody who waits that it is drawn.
    pub fn grant(&self) {
        self.granted.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn who_looks_is_shown_a_new_drawing_or_is_not_kept_waiting() {
        let wish = Arc::new(Wish::default());
        // Nobody paints yet.
        wish.ask().await;
        let painter = tokio::spawn({
            let wish = Arc::clone(&wish);
            async move {
                wish.next().await;
                wish.grant();
            }
        });
        while !wish.is_heard.load(Ordering::Relaxed) {
            tokio::task::yield_now().await;
        }
        wish.ask().await;
        painter.await.unwrap();
        // The painter is gone: the wait has an end.
        wish.ask().await;
    }
}
