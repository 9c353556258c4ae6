//! Who serves a request, told beside the answer.

use std::sync::{Arc, OnceLock};

use crate::{lifecycle::Lease, model::DeviceId, speech::ModelName};

/// Filled in as soon as the request has its model, before the first piece of the answer. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Served(Arc<OnceLock<ServedBy>>);

/// The model that serves a request.
#[derive(Clone, Debug)]
pub struct ServedBy {
    pub model: ModelName,
    /// That it lives on.
    pub device: DeviceId,
    /// What marks its sound, where something does.
    pub watermark: Option<&'static str>,
}

// === impl Served ===

impl Served {
    /// Of several models that serve one request, the first is told.
    pub(super) fn by(&self, lease: &Lease) {
        let (model, device, watermark) = (lease.name().clone(), lease.device(), lease.watermark());
        let _ = self.0.set(ServedBy { model, device, watermark });
    }

    pub fn get(&self) -> Option<&ServedBy> {
        self.0.get()
    }
}
