//! How often items are heard before their end, over all sessions: as often as is configured, unless so many are spoken at once
//! that half of the time would not do for it.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The part of the time of those who hear beginnings that is used, so that hardly any of them waits for another: the rest is for
/// chance, and for whole items.
const BUSY: f64 = 0.5;
/// How much the last hearing counts in the mean of all.
const NEWEST: f64 = 0.2;
/// Sessions that heard nothing for so long do not count.
const QUIET: Duration = Duration::from_secs(5);

/// Turns for items that are heard before their end. A clone gives out the same ones.
#[derive(Clone)]
pub(super) struct Partials {
    turns: Arc<Semaphore>,
    most: usize,
    // Held for a look and a change.
    load: Arc<Mutex<Load>>,
}

/// What is known of those who are heard.
#[derive(Default)]
struct Load {
    /// Seconds that one took, in the mean.
    seconds: f64,
    /// When each session that speaks was last heard.
    speaking: HashMap<u64, Instant>,
    next: u64,
}

/// One session among those who are heard.
pub(super) struct Speaker {
    partials: Partials,
    number: u64,
}

/// A turn. What it took is counted when it is over.
pub(super) struct Turn {
    partials: Partials,
    since: Instant,
    _permit: Option<OwnedSemaphorePermit>,
}

// === impl Partials ===

impl Partials {
    /// `most` at a time.
    pub fn new(most: usize) -> Self {
        Self { turns: Arc::new(Semaphore::new(most)), most, load: Arc::default() }
    }

    pub fn speaker(&self) -> Speaker {
        let mut load = self.load.lock();
        load.next += 1;
        Speaker { partials: self.clone(), number: load.next }
    }
}

// === impl Speaker ===

impl Speaker {
    /// New sound after which an item is due, at least as much as is configured.
    pub fn step(&self, configured: Duration) -> Duration {
        let load = self.partials.load.lock();
        configured.max(load.step(self.partials.most))
    }

    /// For the one whose turn it is; in the order in which they ask.
    pub async fn turn(partials: Partials, number: u64) -> Turn {
        let permit = partials.turns.clone().acquire_owned().await.ok();
        let since = Instant::now();
        partials.load.lock().hears(number, since);
        Turn { partials, since, _permit: permit }
    }

    pub fn ask(&self) -> impl Future<Output = Turn> + use<> {
        Self::turn(self.partials.clone(), self.number)
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        self.partials.load.lock().speaking.remove(&self.number);
    }
}

// === impl Turn ===

impl Turn {
    /// The item was heard.
    pub fn over(self) {
        self.partials.load.lock().took(self.since.elapsed());
    }
}

// === impl Load ===

impl Load {
    /// All that speak, each as often as leaves the rest of the time.
    fn step(&self, most: usize) -> Duration {
        Duration::from_secs_f64(self.speaking.len() as f64 * self.seconds / (most as f64 * BUSY))
    }

    fn hears(&mut self, number: u64, now: Instant) {
        self.speaking.retain(|_, last| now.saturating_duration_since(*last) < QUIET);
        self.speaking.insert(number, now);
    }

    fn took(&mut self, time: Duration) {
        let seconds = time.as_secs_f64();
        let first = self.seconds == 0.0;
        self.seconds = if first { seconds } else { NEWEST * seconds + (1.0 - NEWEST) * self.seconds };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    #[test]
    fn a_crowd_is_heard_as_often_as_half_of_the_time_allows() {
        let (mut load, now) = (Load::default(), Instant::now());
        assert_eq!(load.step(4), Duration::ZERO);
        load.took(100 * MILLISECOND);
        (0..100).for_each(|number| load.hears(number, now));
        // 100 of them take 10 s, four at a time 2.5 s, and twice that leaves half.
        assert!((load.step(4).as_secs_f64() - 5.0).abs() < 1e-9);
        // Who is silent does not count.
        load.hears(7, now + QUIET);
        assert!((load.step(4).as_secs_f64() - 0.05).abs() < 1e-9);
    }

    #[test]
    fn the_mean_follows_what_they_take() {
        let mut load = Load::default();
        (0..50).for_each(|_| load.took(10 * MILLISECOND));
        (0..50).for_each(|_| load.took(40 * MILLISECOND));
        assert!((load.seconds - 0.04).abs() < 1e-3, "{}", load.seconds);
    }

    #[tokio::test]
    async fn who_leaves_is_forgotten_and_turns_are_given_back() {
        let partials = Partials::new(1);
        let (one, other) = (partials.speaker(), partials.speaker());
        let turn = one.ask().await;
        let mut waiting = std::pin::pin!(other.ask());
        assert!(futures::poll!(&mut waiting).is_pending());
        turn.over();
        waiting.await.over();
        assert_eq!(partials.load.lock().speaking.len(), 2);
        drop((one, other));
        assert!(partials.load.lock().speaking.is_empty());
        assert_eq!(partials.turns.available_permits(), 1);
    }
}
