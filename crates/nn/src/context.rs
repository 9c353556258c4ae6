//! Where layers live and how they compute.

use std::sync::Arc;

use candle_core::{DType, Device, Result, Tensor};

use super::{
    cpu::detect::{CpuKernels, SimdLevel},
    weights::QuantizedFile,
};

/// Where layers live and how they compute.
#[derive(Clone, Debug)]
pub struct ComputeContext {
    pub device: Device,
    /// Of weights; on an accelerator of activations too. On the CPU activations are `f32`.
    pub dtype: DType,
    /// Whether layers that may be have their weights in eight bits, with a scale for every 32 of them, whatever `dtype` says
    /// ([`Linear::quantizable`](super::Linear::quantizable)). Only our own kernels can.
    pub q8: bool,
    /// Where those are taken from, if they were quantised before, and kept.
    pub quantized: Option<Arc<QuantizedFile>>,
    /// Whether weights that stay as they are leave their file, which is let go when all are loaded.
    pub detached: bool,
    /// Our own kernels, with these vectors; `None`: candle's operations.
    pub kernels: Option<SimdLevel>,
}

// === impl ComputeContext ===

impl ComputeContext {
    /// With our own kernels where they run, unless others [were chosen](CpuKernels::choose).
    pub fn new(device: &Device, dtype: DType) -> Self {
        let kernels = (device.is_cpu() && CpuKernels::are_own()).then(SimdLevel::detect);
        Self { device: device.clone(), dtype, q8: false, quantized: None, detached: false, kernels }
    }

    /// The type of activations.
    pub fn activations(&self) -> DType {
        if self.device.is_cpu() { DType::F32 } else { self.dtype }
    }

    /// With weights of eight bits. Most of a model is then in memory of its own, and the file is not kept for the rest. What goes
    /// through a layer is rounded to eight bits too, so attention may be in `bf16`.
    pub fn with_q8(self) -> Self {
        Self { q8: true, detached: true, kernels: self.kernels.map(SimdLevel::in_bf16), ..self }
    }

    /// For networks whose activations may be rounded as their weights are: on a CPU that multiplies `bf16` the products of many
    /// rows are then made in it, if the weights are `bf16`.
    pub fn with_rounded_activations(self) -> Self {
        let kernels = self.kernels.filter(|_| self.dtype == DType::BF16).map(SimdLevel::in_bf16).or(self.kernels);
        Self { kernels, ..self }
    }

    /// Whether whoever asked for this wants nothing rounded.
    pub fn is_exact(&self) -> bool {
        self.dtype == DType::F32 && !self.q8
    }

    /// A tensor here, in the type of activations.
    pub fn tensor(&self, data: Vec<f32>, shape: &[usize]) -> Result<Tensor> {
        Tensor::from_vec(data, shape, &self.device)?.to_dtype(self.activations())
    }
}
