//! A loaded model, as the machine has it.

use std::sync::Arc;

use super::{
    Facts,
    lease_pool::{LeaseGuard, LeasePool, Wake},
    machine::Resource,
};

/// A loaded model, as the machine has it.
pub(super) struct LoadedModel<E> {
    pool: LeasePool<E>,
    pub facts: Arc<Facts>,
}

// === impl LoadedModel ===

impl<E> LoadedModel<E> {
    pub fn new(executor: E, facts: Facts, wake: Wake) -> Self {
        Self { pool: LeasePool::new(executor, wake), facts: Arc::new(facts) }
    }
}

impl<E> Resource for LoadedModel<E> {
    type Lease = LeaseGuard<E>;

    fn lend(&self) -> LeaseGuard<E> {
        self.pool.lend()
    }

    fn leased(&self) -> bool {
        self.pool.lent()
    }

    fn measured(&self) -> Option<u64> {
        self.facts.held()
    }
}
