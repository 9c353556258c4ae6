//! Where a model lives: which device, in which numbers, with how many threads.

use std::fmt;

use candle_core::{DType, Device};
use serde::Serialize;

use super::{Programs, ReferenceCache, WorkerChoice};

/// Where a model is to live.
#[derive(Clone, Debug)]
pub struct Placement {
    pub device: Device,
    /// Of weights and activations.
    pub dtype: Precision,
    /// On the CPU.
    pub weights: Backing,
    /// CPU threads that the model may use; at least 1.
    pub threads: usize,
    /// Requests that it may be asked to work on at once, at least 1; its caches are sized for them.
    pub max_batch: usize,
    /// Of parts that need not be there at the same time.
    pub residency: Residency,
    /// Where what is computed of reference recordings is kept.
    pub references: ReferenceCache,
    /// Where programs that the model runs are looked for.
    pub programs: Programs,
}

/// What is behind the memory of weights that stay as their file has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backing {
    /// The file itself: nothing is copied, and models of one file share it. The file must stay as it is.
    #[default]
    Mapped,
    /// Memory of the model's own.
    Copied,
}

/// How the parts of a model share the memory of its device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Residency {
    /// All of them are there.
    #[default]
    Together,
    /// One works at a time, and makes way for the next.
    InTurns,
}

/// A device of this machine. Written as in the configuration: `cpu`, `cuda:0`, `metal`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeviceId {
    Cpu,
    /// By its number.
    Cuda(usize),
    Metal,
}

/// What the configuration says about devices, for all models or for one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The accelerator with the most free memory; the CPU where no accelerator answers.
    #[default]
    Auto,
    /// This one or none.
    Only(DeviceId),
}

/// What the numbers of a model are kept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    F32,
    F16,
    Bf16,
    /// Weights of linear layers in eight bits, all other weights as their file has them, activations in f32.
    Q8,
}

/// The type of weights and activations, as the configuration says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DTypeChoice {
    /// What is usual for the family on the device.
    #[default]
    Auto,
    F32,
    F16,
    Bf16,
    Q8,
}

/// What computes on a CPU, as the configuration says it: our own kernels, with no wider vectors than these, or candle's
/// operations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CpuKernels {
    #[default]
    Auto,
    Avx512,
    Avx2,
    Portable,
    Candle,
}

/// What one model wants otherwise than the general settings say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlacementOverrides {
    pub device: Option<DeviceChoice>,
    pub dtype: Option<DTypeChoice>,
    /// CPU threads.
    pub threads: Option<usize>,
    /// Requests that it works on at once, at most.
    pub max_batch: Option<usize>,
    /// Requests that may wait for it.
    pub queue: Option<usize>,
    /// Of a model that is a program.
    pub worker: WorkerChoice,
    /// Serve it without a first inference: the first request pays for what that would have prepared.
    pub cold: bool,
}

// === impl PlacementOverrides ===

impl PlacementOverrides {
    /// What the other says holds; what it does not say stays.
    pub fn overlay(&mut self, other: &Self) {
        self.device = other.device.or(self.device);
        self.dtype = other.dtype.or(self.dtype);
        self.threads = other.threads.or(self.threads);
        self.max_batch = other.max_batch.or(self.max_batch);
        self.queue = other.queue.or(self.queue);
        if other.worker != WorkerChoice::default() {
            self.worker = other.worker.clone();
        }
        self.cold |= other.cold;
    }
}

// === impl DTypeChoice ===

impl DTypeChoice {
    /// `known`: those that a family computes in, the usual one first.
    pub fn of(self, known: &[Precision]) -> Precision {
        match self {
            Self::Auto => known.first().copied().unwrap_or(Precision::F32),
            Self::F32 => Precision::F32,
            Self::F16 => Precision::F16,
            Self::Bf16 => Precision::Bf16,
            Self::Q8 => Precision::Q8,
        }
    }
}

// === impl Precision ===

impl Precision {
    /// As the configuration says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::Q8 => "q8",
        }
    }

    /// Of whatever is not quantised.
    pub fn dtype(self) -> DType {
        match self {
            Self::F32 | Self::Q8 => DType::F32,
            Self::F16 => DType::F16,
            Self::Bf16 => DType::BF16,
        }
    }
}

// === impl DeviceId ===

impl DeviceId {
    pub fn is_accelerator(self) -> bool {
        self != Self::Cpu
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
            Self::Metal => f.write_str("metal"),
        }
    }
}
