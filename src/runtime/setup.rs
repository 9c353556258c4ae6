//! What an executor is given beside its model.

use std::{collections::BTreeMap, sync::Arc};

use super::{DeviceHealth, Scale};
use crate::{
    model::DeviceId,
    speech::{ModelName, TaskKind},
};

/// What an executor is given beside its model.
#[derive(Clone)]
pub struct Setup {
    pub name: ModelName,
    /// Where the model lives.
    pub device: DeviceId,
    /// What the model does, and the hertz of the sound that comes with a request for it.
    pub input_rates: BTreeMap<TaskKind, u32>,
    /// What marks the sound that it makes, where something does.
    pub watermark: Option<&'static str>,
    /// Requests that it is meant to work on at once.
    pub max_batch: usize,
    /// Requests that may wait.
    pub queue: usize,
    /// Requests that it may fail in a row, for no reason of theirs, before it is taken out.
    pub max_failures: usize,
    /// Without a first inference.
    pub cold: bool,
    /// What the model's memory is weighed on.
    pub scale: Scale,
    /// Who has to know when its device is lost.
    pub health: Arc<DeviceHealth>,
    /// Bytes of the device that it was weighed with, where it was.
    pub need: Option<u64>,
    /// Bytes that may stay behind when the model goes, before that counts as a leak.
    pub leak_threshold: u64,
}

// === impl Setup ===

impl Setup {
    /// Bytes of its device that are free now.
    pub(super) fn free_memory(&self) -> Option<u64> {
        self.scale.memory(self.device).map(|memory| memory.free)
    }
}
