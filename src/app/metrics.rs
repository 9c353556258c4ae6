//! What the composition root measures.

use prometheus::{IntCounterVec, Opts, Registry};

/// How often another configuration came, and what became of it.
pub(super) struct Reloads(pub(super) IntCounterVec);

// === impl Reloads ===

impl Reloads {
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let opts = Opts::new("sconce_config_reloads_total", "Configurations read anew, by outcome: applied, refused.");
        let counter = IntCounterVec::new(opts, &["outcome"])?;
        for outcome in ["applied", "refused"] {
            counter.with_label_values(&[outcome]);
        }
        registry.register(Box::new(counter.clone()))?;
        Ok(Self(counter))
    }
}
