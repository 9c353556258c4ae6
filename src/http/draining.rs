//! Whether the server is about to go down.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Set once, when the server was told to stop: readiness then says no, while requests are still served.
#[derive(Clone, Debug, Default)]
pub struct Draining(Arc<AtomicBool>);

impl Draining {
    pub fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
