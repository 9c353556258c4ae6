//! How often in a row a model has failed those who asked it, for no reason of theirs.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Failures in a row. The thread of the model writes it, and reads it.
#[derive(Debug, Default)]
pub struct Streak(AtomicUsize);

// === impl Streak ===

impl Streak {
    pub fn length(&self) -> usize {
        self.0.load(Relaxed)
    }

    pub(super) fn succeeded(&self) {
        self.0.store(0, Relaxed);
    }

    pub(super) fn failed(&self) {
        self.0.fetch_add(1, Relaxed);
    }
}
