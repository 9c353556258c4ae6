//! What the runtime needs to know.

use crate::model::{Backing, CpuKernels, DTypeChoice, DeviceChoice, Programs, ReferenceCacheConfig};

/// What the runtime needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Requests that may wait for one model; one more is answered with 429.
    pub queue: usize,
    /// Requests that a model works on at once, at most.
    pub max_batch: usize,
    /// Requests that a model may fail in a row, for no reason of theirs, before it is taken out.
    pub max_failures: usize,
    /// CPU threads for model work; `None`: as many as this process may use.
    pub threads: Option<usize>,
    pub device: DeviceChoice,
    /// No model lives on the CPU.
    pub require_gpu: bool,
    pub dtype: DTypeChoice,
    /// Of every model on the CPU.
    pub cpu_kernels: CpuKernels,
    /// Of weights on the CPU; `None`: mapped, but where others may write to the files.
    pub weights: Option<Backing>,
    /// Bytes of each device that are no model's.
    pub reserve: u64,
    /// A model that keeps more bytes than this when it is unloaded is reported as a leak.
    pub leak_threshold: u64,
    /// What is kept of reference recordings.
    pub references: ReferenceCacheConfig,
    /// Where programs that models run are looked for.
    pub programs: Programs,
    /// Whether `vllm:num_requests_waiting` is registered.
    pub vllm_metric: bool,
}
