//! Where layers live and how they compute.

use candle_core::{DType, Device, Result, Tensor};

use super::cpu::detect::SimdLevel;

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
