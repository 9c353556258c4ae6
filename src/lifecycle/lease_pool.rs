//! Who holds a loaded model, and how the owner notices that the last of them let go.
//!
//! This is all that runs concurrently about leases, so it stands alone: it is compiled once with the types of the
//! server and once with those of a model checker (`tests/loom.rs`), which tries every order of its steps.

use super::sync::{Arc, Notify};

/// The owner's share of a model. Only the owner lends, so a model that is not lent stays so until the owner lends it.
pub struct LeasePool<E> {
    model: Arc<E>,
    wake: Wake,
}

/// A borrower's share: the model exists as long as this does.
pub struct LeaseGuard<E> {
    /// `None` only while this is dropped.
    model: Option<Arc<E>>,
    wake: Wake,
}

/// Tells the owner that something ended; it finds out what.
#[derive(Clone)]
pub struct Wake(Arc<Notify>);

// === impl Share ===

impl<E> LeasePool<E> {
    pub fn new(model: E, wake: Wake) -> Self {
        Self { model: Arc::new(model), wake }
    }

    pub fn lend(&self) -> LeaseGuard<E> {
        LeaseGuard { model: Some(self.model.clone()), wake: self.wake.clone() }
    }

    /// Whether any guard exists. `true` may be out of date, but then a wake is under way.
    pub fn lent(&self) -> bool {
        Arc::strong_count(&self.model) > 1
    }
}

// === impl LeaseGuard ===

impl<E> LeaseGuard<E> {
    pub fn model(&self) -> &E {
        self.model.as_deref().expect("a guard has its model until it is dropped")
    }
}

impl<E> Drop for LeaseGuard<E> {
    fn drop(&mut self) {
        // First let go, then tell: the other way round the owner could look in between and never again.
        self.model = None;
        self.wake.wake();
    }
}

// === impl Wake ===

impl Wake {
    pub fn new(notify: Arc<Notify>) -> Self {
        Self(notify)
    }

    /// Is not lost if nobody waits just now.
    pub fn wake(&self) {
        self.0.notify_one();
    }

    pub async fn woken(&self) {
        self.0.notified().await;
    }
}
