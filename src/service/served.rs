//! Who serves a request, told beside the answer.

use std::sync::{Arc, OnceLock};

use crate::{
    lifecycle::Lease,
    model::DeviceId,
    speech::{ModelName, Warning},
};

/// Filled in as soon as the request has its model, before the first piece of the answer. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Served(Arc<Slots>);

#[derive(Debug, Default)]
struct Slots {
    by: OnceLock<ServedBy>,
    in_place_of: OnceLock<InPlaceOf>,
    warnings: OnceLock<Vec<Warning>>,
}

/// The model that serves a request.
#[derive(Clone, Debug)]
pub struct ServedBy {
    pub model: ModelName,
    /// That it lives on.
    pub device: DeviceId,
    /// What marks its sound, where something does.
    pub watermark: Option<&'static str>,
}

/// The model that was asked for, where another one serves.
#[derive(Clone, Debug)]
pub struct InPlaceOf {
    pub model: ModelName,
    /// Fields of the request that the other model knows nothing of.
    pub ignored: Vec<&'static str>,
}

// === impl Served ===

impl Served {
    /// Of several models that serve one request, the first is told.
    pub(super) fn by(&self, lease: &Lease) {
        let (model, device, watermark) = (lease.name().clone(), lease.device(), lease.watermark());
        let _ = self.0.by.set(ServedBy { model, device, watermark });
    }

    pub fn get(&self) -> Option<&ServedBy> {
        self.0.by.get()
    }

    /// Of several requests in one, the first is told.
    pub(super) fn in_place_of(&self, model: &ModelName, ignored: Vec<&'static str>) {
        let _ = self.0.in_place_of.set(InPlaceOf { model: model.clone(), ignored });
    }

    /// The model that was asked for, if another one serves.
    pub fn substituted(&self) -> Option<&InPlaceOf> {
        self.0.in_place_of.get()
    }

    /// Of several recordings in one request, those of the first that has any are told.
    pub(super) fn warned(&self, warnings: &[Warning]) {
        if !warnings.is_empty() {
            let _ = self.0.warnings.set(warnings.to_vec());
        }
    }

    /// What was amiss with a recording.
    pub fn warnings(&self) -> &[Warning] {
        self.0.warnings.get().map(Vec::as_slice).unwrap_or_default()
    }
}
