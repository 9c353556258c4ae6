//! The handle of a loaded model.

use std::{fmt, io, sync::Arc, thread, time::Duration};

use super::{Metrics, Pulse, Runnable, Scale, queue::Queue, worker::Worker};
use crate::{
    model::{Broken, DeviceId, LoadError, Model, Request},
    speech::{Fault, Kind, ModelName},
};

/// A client is told to come back so soon when the model it was about to use went away.
const RETURN_AFTER_CLOSE: Duration = Duration::from_secs(1);

/// A model on its own thread. Its only handle: when it is dropped the queue closes, and the thread finishes what is
/// queued, drops the model and reports [`Event::Ended`].
pub struct Executor {
    name: ModelName,
    device: DeviceId,
    queue: Arc<Queue>,
    pulse: Arc<Pulse>,
}

/// What an executor is given beside its model.
#[derive(Clone)]
pub struct Setup {
    pub name: ModelName,
    /// Where the model lives.
    pub device: DeviceId,
    /// Jobs that may wait.
    pub queue: usize,
    /// Without a first inference.
    pub cold: bool,
    /// What the model's memory is weighed on.
    pub scale: Scale,
    /// Bytes that may stay behind when the model goes, before that counts as a leak.
    pub leak_threshold: u64,
}

/// What a model's thread reports, in order: `Loaded`, `Ready`, `Ended`; or `Failed` in place of any that did not come.
/// `Failed` and `Ended` are last, and at that time the model's memory is free.
#[derive(Debug)]
pub enum Event {
    /// The weights are in memory. `resident`: bytes by which what its device holds grew; `None` if that could not be
    /// told apart from what other models did meanwhile.
    Loaded {
        took: Duration,
        resident: Option<u64>,
    },
    /// The first inference is done, if there is to be one; jobs are taken.
    Ready {
        took: Duration,
    },
    Failed(StartError),
    /// The model is gone. `died`: because it broke, with a reason for clients; `freed`: bytes by which what its device
    /// holds shrank, `None` as above.
    Ended {
        died: Option<String>,
        freed: Option<u64>,
    },
}

/// Why a model could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error("the model did not survive its first inference")]
    WarmUp(#[source] Broken),
    /// The detail is for logs.
    #[error("the model failed unexpectedly while it was {phase}")]
    Panicked { phase: &'static str, detail: String },
}

/// Why a job was not taken.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Rejected {
    #[error("{depth} requests already wait for this model; try again in {} s", retry_after.as_secs_f64().ceil())]
    Full { depth: usize, retry_after: Duration },
    /// The model broke or went after it was leased.
    #[error("the model has just gone; try again")]
    Closed,
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
        let (name, device) = (setup.name.clone(), setup.device);
        let worker = Worker { setup, queue: queue.clone(), pulse: pulse.clone(), metrics, on_event };
        thread::Builder::new().name(format!("model:{}", slug(&name))).spawn(move || worker.run(load))?;
        Ok(Self { name, device, queue, pulse })
    }

    /// Puts a job in the queue. Never waits. A job that is not taken answers nothing useful to its
    /// [`Responses`](crate::model::Responses): the error returned here is the answer.
    pub fn submit<T: Runnable>(&self, job: Request<T>) -> Result<(), Rejected> {
        self.queue.push(T::wrap(job))
    }

    pub fn name(&self) -> &ModelName {
        &self.name
    }

    pub fn device(&self) -> DeviceId {
        self.device
    }

    pub fn pulse(&self) -> &Arc<Pulse> {
        &self.pulse
    }

    /// Jobs that wait.
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

// === impl StartError ===

impl Fault for StartError {
    fn kind(&self) -> Kind {
        match self {
            Self::Load(error) => error.kind(),
            Self::WarmUp(_) | Self::Panicked { .. } => Kind::Unavailable,
        }
    }

    fn permanent(&self) -> bool {
        match self {
            Self::Load(error) => error.permanent(),
            Self::WarmUp(_) | Self::Panicked { .. } => false,
        }
    }
}

// === impl Rejected ===

impl Fault for Rejected {
    fn kind(&self) -> Kind {
        match self {
            Self::Full { .. } => Kind::Busy,
            Self::Closed => Kind::Unavailable,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        Some(match self {
            Self::Full { retry_after, .. } => *retry_after,
            Self::Closed => RETURN_AFTER_CLOSE,
        })
    }
}
