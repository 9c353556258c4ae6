//! How those who asked a model fared, for no reason of theirs.

use std::{
    fmt,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use parking_lot::Mutex;

use super::RequestError;

/// Failures in a row, and requests that the model let fall without an answer, until it is known why. The thread of the model
/// writes it, and reads it.
#[derive(Default)]
pub struct Streak {
    failures: AtomicUsize,
    // Locked for a push, or to be emptied.
    fallen: Mutex<Vec<Fallen>>,
}

/// Answers a request that fell.
type Fallen = Box<dyn FnOnce(RequestError) + Send>;

// === impl Streak ===

impl Streak {
    pub fn length(&self) -> usize {
        self.failures.load(Relaxed)
    }

    /// Answers those that fell since it was last called: how many there were.
    pub fn answer_fallen(&self, error: &RequestError) -> usize {
        let fallen = std::mem::take(&mut *self.fallen.lock());
        let count = fallen.len();
        fallen.into_iter().for_each(|answer| answer(error.clone()));
        count
    }

    /// How many fell since.
    pub fn fallen(&self) -> usize {
        self.fallen.lock().len()
    }

    pub(super) fn fell(&self, answer: Fallen) {
        self.fallen.lock().push(answer);
    }

    pub(super) fn succeeded(&self) {
        self.failures.store(0, Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failures.fetch_add(1, Relaxed);
    }
}

/// Nobody will know why.
impl Drop for Streak {
    fn drop(&mut self) {
        self.answer_fallen(&RequestError::Broken);
    }
}

impl fmt::Debug for Streak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streak").field("failures", &self.length()).finish_non_exhaustive()
    }
}
