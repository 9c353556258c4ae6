//! Who serves a request, told beside the answer.

use std::sync::{Arc, OnceLock};

use crate::{lifecycle::Lease, model::DeviceId, speech::ModelName};

/// Filled in as soon as the request has its model, before the first piece of the answer. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Served(Arc<OnceLock<(ModelName, DeviceId)>>);

// === impl Served ===

impl Served {
    /// Of several models that serve one request, the first is told.
    pub(super) fn by(&self, lease: &Lease) {
        let _ = self.0.set((lease.name().clone(), lease.device()));
    }

    /// The model, and the device that it lives on.
    pub fn get(&self) -> Option<&(ModelName, DeviceId)> {
        self.0.get()
    }
}
