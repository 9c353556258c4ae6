//! One named thread per loaded model, one bounded queue before it, and the devices that models live on.
//!
//! ```text
//! submit ──► Queue ──► worker thread: load → warm up → [ take a job → Batch → Model ]* → drop the model
//!             full: Rejected::Full        panic or Broken: queued jobs fail, Event::Ended { died }
//! ```
//!
//! Nothing here knows a family: an [`Executor`] is given a closure that loads a [`Model`](crate::model::Model).

mod executor;
mod memory;
mod metrics;
mod placement;
mod pulse;
mod queue;
mod work;
mod worker;

pub use executor::{Event, Executor, Rejected, StartError};
pub use memory::resident_bytes;
pub use metrics::Metrics;
pub use placement::{PlacementError, device_name, dtype_name, place};
pub use pulse::Pulse;
pub use work::{Runnable, Work};

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
    pub dtype: DTypeChoice,
}

/// Where models are placed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The first accelerator of this build that works, else the CPU.
    #[default]
    Auto,
    Cpu,
    /// CUDA device by index.
    Cuda(usize),
    Metal,
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
