//! Layers that several families share: weights, linear layers, norms, attention over cached keys and values.
//!
//! Every layer exists in two forms behind one type: on the CPU our own kernels (`simd`, `math`, `columns`, `panels`) work
//! on weights where their file is mapped; on an accelerator the same layer is a few candle operations. [`ComputeContext`] chooses.

mod columns;
mod data;
mod kv_cache;
mod linear;
mod math;
mod narrow;
mod norm;
mod panels;
mod simd;
mod threads;
#[cfg(target_arch = "x86_64")]
mod tiles;
mod weights;

use candle_core::{CpuStorage, DType, Device, Result, Storage, Tensor};

pub use data::WeightData;
pub use kv_cache::{KvCache, KvCacheDtype, SequenceQueries, attend};
pub use linear::{Epilogue, Linear};
pub use norm::LayerNorm;
use panels::Rows;
pub use simd::SimdLevel;
pub use threads::Threads;
pub use weights::{WeightError, Weights};

/// Where layers live and how they compute.
#[derive(Clone, Debug)]
pub struct ComputeContext {
    pub device: Device,
    /// Of weights; on an accelerator of activations too. On the CPU activations are `f32`.
    pub dtype: DType,
    /// Our own kernels, with these vectors; `None`: candle's operations.
    pub kernels: Option<SimdLevel>,
}

// === impl ComputeContext ===

impl ComputeContext {
    /// With our own kernels where they run.
    pub fn new(device: &Device, dtype: DType) -> Self {
        let kernels = device.is_cpu().then(SimdLevel::detect);
        Self { device: device.clone(), dtype, kernels }
    }

    /// The type of activations.
    pub fn activations(&self) -> DType {
        if self.device.is_cpu() { DType::F32 } else { self.dtype }
    }

    /// A tensor here, in the type of activations.
    pub fn tensor(&self, data: Vec<f32>, shape: &[usize]) -> Result<Tensor> {
        Tensor::from_vec(data, shape, &self.device)?.to_dtype(self.activations())
    }
}

/// Looks at the rows of an `f32` matrix on the CPU. Only a matrix whose rows are scattered is copied.
fn with_rows<R>(matrix: &Tensor, look: impl FnOnce(Rows<'_>) -> R) -> Result<R> {
    let (count, width) = matrix.dims2()?;
    let in_order = matrix.stride()[1] == 1 && matrix.stride()[0] >= width;
    let matrix = if in_order { matrix.clone() } else { matrix.contiguous()? };
    let (storage, layout) = matrix.storage_and_layout();
    let Storage::Cpu(CpuStorage::F32(data)) = &*storage else {
        candle_core::bail!("f32 on the CPU was expected, not {:?} on {:?}", matrix.dtype(), matrix.device())
    };
    Ok(look(Rows { data: &data[layout.start_offset()..], stride: layout.stride()[0], count }))
}
