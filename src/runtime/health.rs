//! Devices that are lost to this process.
//!
//! After some errors, an illegal address for example, a driver answers nothing of this process any more: its context is lost.
//! No model that lives there computes again, and none can be loaded there, until the process is started anew.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;

use super::queue::Queue;
use crate::model::DeviceId;

/// Which devices are lost, and who has to know.
#[derive(Default)]
pub struct DeviceHealth {
    // Locked for a look or a change.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Why.
    lost: BTreeMap<DeviceId, String>,
    /// Of the models that live on accelerators.
    queues: Vec<(DeviceId, Weak<Queue>)>,
}

// === impl DeviceHealth ===

impl DeviceHealth {
    /// Has a model's queue end when its device is lost.
    pub(super) fn watch(&self, device: DeviceId, queue: &Arc<Queue>) {
        let mut state = self.state.lock();
        state.queues.retain(|(_, queue)| queue.strong_count() > 0);
        state.queues.push((device, Arc::downgrade(queue)));
        if let Some(reason) = state.lost.get(&device) {
            queue.lose(reason);
        }
    }

    /// Takes all models of a device out.
    pub fn lose(&self, device: DeviceId, reason: &str) {
        let mut state = self.state.lock();
        if state.lost.insert(device, reason.to_owned()).is_some() {
            return;
        }
        tracing::error!(%device, reason, "the device is lost to this process, which has to be started anew");
        let queues = state.queues.iter().filter(|(of, _)| *of == device).filter_map(|(_, queue)| queue.upgrade());
        queues.for_each(|queue| queue.lose(reason));
    }

    /// Why a device is lost, if it is.
    pub fn lost(&self, device: DeviceId) -> Option<String> {
        self.state.lock().lost.get(&device).cloned()
    }

    /// Those that are lost, and why.
    pub fn all_lost(&self) -> BTreeMap<DeviceId, String> {
        self.state.lock().lost.clone()
    }
}
