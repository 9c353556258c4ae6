//! The store itself: what all its parts share.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use parking_lot::Mutex;

use super::{
    Config, EmbeddedModel, Source, StoreError, fetch::Busy, metrics::Metrics, sink::Buffers, space, transfer::Limits,
    transport::Transport, xet::Xet,
};
use crate::remote::Buckets;

/// The store. A clone is the same store.
#[derive(Clone)]
pub struct Store(pub(super) Arc<Inner>);

/// What clones of a store share.
pub(super) struct Inner {
    pub config: Config,
    pub buckets: Buckets,
    pub embedded: &'static [EmbeddedModel],
    pub metrics: Metrics,
    pub limits: Limits,
    pub buffers: Buffers,
    pub busy: Busy,
    /// Source → what its last fetch failed with, in a word. Locked for a look-up only.
    pub failures: Mutex<BTreeMap<Source, &'static str>>,
    /// Made when the network is first needed: it reads the certificates of the system, which takes a while and may fail.
    pub transport: OnceLock<Transport>,
    /// Made with the first repository of a hub.
    pub xet: OnceLock<Option<Xet>>,
}

// === impl Store ===

impl Store {
    /// Creates nothing on disk and asks nobody.
    pub fn new(
        config: Config,
        buckets: Buckets,
        embedded: &'static [EmbeddedModel],
        registry: &prometheus::Registry,
    ) -> Result<Self, StoreError> {
        config.check()?;
        let setup = |error: prometheus::Error| StoreError::Setup(error.to_string());
        let metrics = Metrics::register(registry).map_err(setup)?;
        space::register(registry, &config.cache_dir).map_err(setup)?;
        let limits = Limits::of(&config);
        let (buffers, busy, failures) = (Buffers::default(), Busy::default(), Mutex::default());
        let (transport, xet) = (OnceLock::new(), OnceLock::new());
        let inner = Inner { config, buckets, embedded, metrics, limits, buffers, busy, failures, transport, xet };
        Ok(Self(Arc::new(inner)))
    }

    /// What the last fetch of a source failed with, as [`StoreError::word`] has it; `None` after one that succeeded.
    pub fn failure(&self, source: &Source) -> Option<&'static str> {
        self.0.failures.lock().get(source).copied()
    }

    /// Remembers how it went.
    pub(super) fn noting<T>(&self, source: &Source, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        let mut failures = self.0.failures.lock();
        match &outcome {
            Ok(_) => failures.remove(source),
            Err(error) => failures.insert(source.clone(), error.word()),
        };
        outcome
    }

    pub(super) fn embedded(&self, name: &str) -> Result<&'static EmbeddedModel, StoreError> {
        let known = || self.0.embedded.iter().map(|model| model.name.to_owned()).collect();
        let found = self.0.embedded.iter().find(|model| model.name == name);
        found.ok_or_else(|| StoreError::NotEmbedded { name: name.to_owned(), known: known() })
    }
}
