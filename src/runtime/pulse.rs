//! Signs of life of a model's thread, readable at any time without a lock.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    time::{Duration, Instant},
};

/// What a probe may know about a model's thread: whether it works, when it last made a step, how many requests wait.
/// Holding one does not keep the model loaded.
#[derive(Debug)]
pub struct Pulse {
    origin: Instant,
    busy: AtomicBool,
    /// It waits for callers, who are slow to read or to write.
    parked: AtomicBool,
    /// Milliseconds since `origin`.
    last_step: AtomicU64,
    queued: AtomicUsize,
}

/// The thread works as long as this exists.
pub(super) struct Busy<'a>(&'a Pulse);

/// The thread waits for callers as long as this exists.
pub(super) struct Parked<'a>(&'a Pulse);

// === impl Pulse ===

impl Pulse {
    /// Requests that wait in the queue.
    pub fn queued(&self) -> usize {
        self.queued.load(Relaxed)
    }

    /// Whether the model works on something.
    pub fn busy(&self) -> bool {
        self.busy.load(Relaxed)
    }

    /// Whether the model waits for those who read its answers or write what it is asked.
    pub fn parked(&self) -> bool {
        self.parked.load(Relaxed)
    }

    /// Whether the model is busy and has made no step for `timeout`, though nobody makes it wait.
    pub fn stalled(&self, timeout: Duration) -> bool {
        let last = Duration::from_millis(self.last_step.load(Relaxed));
        self.busy() && !self.parked() && self.origin.elapsed().saturating_sub(last) > timeout
    }

    pub(super) fn step(&self) {
        self.last_step.store(self.origin.elapsed().as_millis() as u64, Relaxed);
    }

    pub(super) fn begin(&self) -> Busy<'_> {
        self.step();
        self.busy.store(true, Relaxed);
        Busy(self)
    }

    pub(super) fn park(&self) -> Parked<'_> {
        self.parked.store(true, Relaxed);
        Parked(self)
    }

    pub(super) fn set_queued(&self, requests: usize) {
        self.queued.store(requests, Relaxed);
    }
}

impl Default for Pulse {
    fn default() -> Self {
        Self {
            origin: Instant::now(),
            busy: AtomicBool::new(false),
            parked: AtomicBool::new(false),
            last_step: AtomicU64::new(0),
            queued: AtomicUsize::new(0),
        }
    }
}

// === impl Busy ===

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.busy.store(false, Relaxed);
    }
}

// === impl Parked ===

impl Drop for Parked<'_> {
    fn drop(&mut self) {
        self.0.step();
        self.0.parked.store(false, Relaxed);
    }
}
