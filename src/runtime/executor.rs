//! The handle of a loaded model.

use std::{
    collections::BTreeMap,
    fmt, io,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use super::{Event, Metrics, Pulse, Rejected, Runnable, Setup, queue::Queue, worker::Worker};
use crate::{
    model::{DeviceId, LoadError, Model, Request},
    speech::{ModelName, TaskKind},
};

/// A model on its own thread. Its only handle: when it is dropped the queue closes, and the thread finishes what is
/// queued, drops the model and reports [`Event::Ended`].
pub struct Executor {
    name: ModelName,
    device: DeviceId,
    input_rates: BTreeMap<TaskKind, u32>,
    watermark: Option<&'static str>,
    queue: Arc<Queue>,
    pulse: Arc<Pulse>,
}

// === impl Executor ===

impl Executor {
    /// Starts the thread `model:<name>`, which loads and warms up the model and then serves the queue. `on_event` is
    /// called on that thread and may block it.
    pub fn start(
        setup: Setup,
        metrics: &Metrics,
        load: impl FnOnce() -> Result<Box<dyn Model>, LoadError> + Send + 'static,
        on_event: impl FnMut(Event) + Send + 'static,
    ) -> io::Result<Self> {
        let pulse = Arc::new(Pulse::default());
        let metrics = metrics.of(&setup.name);
        let queue = Arc::new(Queue::new(setup.queue, pulse.clone(), metrics.clone()));
        if setup.device.is_accelerator() {
            setup.health.watch(setup.device, &queue);
        }
        let (name, device, input_rates) = (setup.name.clone(), setup.device, setup.input_rates.clone());
        let watermark = setup.watermark;
        let streak = Arc::default();
        let worker = Worker { setup, queue: queue.clone(), pulse: pulse.clone(), metrics, streak, on_event };
        thread::Builder::new().name(format!("model:{}", slug(&name))).spawn(move || worker.run(load))?;
        Ok(Self { name, device, input_rates, watermark, queue, pulse })
    }

    /// Puts a request in the queue. Never waits. One that is not taken answers nothing useful to its
    /// [`Responses`](crate::model::Responses): the error returned here is the answer.
    pub fn submit<T: Runnable>(&self, request: Request<T>) -> Result<(), Rejected> {
        self.queue.push(T::wrap(request))
    }

    /// The request of somebody who waited for the model since then: it goes before those who came later, and is taken
    /// even if the queue is full, because it was counted when it came.
    pub fn submit_in_line<T: Runnable>(&self, request: Request<T>, since: Instant) -> Result<(), Rejected> {
        self.queue.push_in_line(T::wrap(request), since)
    }

    pub fn name(&self) -> &ModelName {
        &self.name
    }

    pub fn device(&self) -> DeviceId {
        self.device
    }

    /// Hertz of the sound that comes with a request; `None`: the model does not do the task.
    pub fn input_rate(&self, task: TaskKind) -> Option<u32> {
        self.input_rates.get(&task).copied()
    }

    /// What marks the sound that it makes, where something does.
    pub fn watermark(&self) -> Option<&'static str> {
        self.watermark
    }

    pub fn pulse(&self) -> &Arc<Pulse> {
        &self.pulse
    }

    /// Requests that wait.
    pub fn queue_depth(&self) -> usize {
        self.pulse.queued()
    }

    /// Whether the model is busy and has made no step for `timeout`.
    pub fn stalled(&self, timeout: Duration) -> bool {
        self.pulse.stalled(timeout)
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Executor").field("name", &self.name).field("pulse", &self.pulse).finish_non_exhaustive()
    }
}

/// The last part of a name: the kernel shows 15 bytes of a thread's name.
fn slug(name: &ModelName) -> &str {
    name.as_str().rsplit('/').next().unwrap_or_default()
}
