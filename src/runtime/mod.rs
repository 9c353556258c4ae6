//! One named thread per loaded model, one bounded queue before it, and the devices that models live on.
//!
//! ```text
//! submit ──► Queue ──► worker thread: load → warm up → [ take a job → Batch → Model ]* → drop the model
//!             full: Rejected::Full        panic or Broken: queued jobs fail, Event::Ended { died }
//! ```
//!
//! Nothing here knows a family: an [`Executor`] is given a closure that loads a [`Model`](crate::model::Model).

mod devices;
mod executor;
mod host;
mod memory;
mod metrics;
mod placer;
mod pulse;
mod queue;
mod work;
mod worker;

pub use devices::{DeviceMemory, Devices, Installed, PlacementError};
pub use executor::{Event, Executor, Rejected, Setup, StartError};
pub use host::Host;
pub use memory::Scale;
pub use metrics::Metrics;
pub use placer::{Placed, Placer};
pub use pulse::Pulse;
pub use work::{Runnable, Work};

use crate::model::{Backing, DeviceChoice};

#[cfg(test)]
mod tests;

/// What the runtime needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Jobs that may wait for one model; one more is answered with 429.
    pub queue: usize,
    /// Jobs that a model works on at once, at most.
    pub max_batch: usize,
    /// CPU threads for model work; `None`: as many as this process may use.
    pub threads: Option<usize>,
    pub device: DeviceChoice,
    /// No model lives on the CPU.
    pub require_gpu: bool,
    pub dtype: DTypeChoice,
    /// Of weights on the CPU.
    pub weights: Backing,
    /// Bytes of each device that are no model's.
    pub reserve: u64,
    /// A model that keeps more bytes than this when it is unloaded is reported as a leak.
    pub leak_threshold: u64,
    /// Whether `vllm:num_requests_waiting` is registered.
    pub vllm_metric: bool,
}

/// The type of weights and activations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DTypeChoice {
    /// f32 on a CPU, f16 on an accelerator.
    #[default]
    Auto,
    F32,
    F16,
    Bf16,
}
