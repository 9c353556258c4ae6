//! Where layers live and how they compute.

use std::sync::Arc;

use candle_core::{DType, Device, Result, Tensor};
use half::{bf16, f16};
use rayon::prelude::*;

use super::{
    cpu::detect::{CpuKernels, SimdLevel},
    weights::{QuantizedFile, data::WeightData},
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

    /// A tensor here, in the type of activations. It is rounded where it comes from, so that an accelerator is sent no more than
    /// it keeps.
    pub fn tensor(&self, data: Vec<f32>, shape: &[usize]) -> Result<Tensor> {
        match self.activations() {
            DType::F16 => Tensor::from_vec(rounded(data, f16::from_f32), shape, &self.device),
            DType::BF16 => Tensor::from_vec(rounded(data, bf16::from_f32), shape, &self.device),
            dtype => Tensor::from_vec(data, shape, &self.device)?.to_dtype(dtype),
        }
    }

    /// The same of weights, one part after the other. An accelerator that keeps them in the type of their file is sent them as
    /// they lie there, and a GPU of NVIDIA's by a way on which nothing is ever there twice.
    pub fn weights(&self, parts: &[WeightData], shape: &[usize]) -> Result<Tensor> {
        let dtype = self.activations();
        #[cfg(feature = "cuda")]
        if let Some(tensor) = crate::gpu::upload(parts, dtype, shape, &self.device)? {
            return Ok(tensor);
        }
        if self.device.is_cpu() || parts.iter().any(|part| part.dtype() != dtype) {
            return self.tensor(parts.iter().flat_map(WeightData::to_vec).collect(), shape);
        }
        match parts {
            [part] => Tensor::from_raw_buffer(part.bytes(), dtype, shape, &self.device),
            parts => {
                let all = parts.iter().map(|part| &**part.bytes()).collect::<Vec<_>>().concat();
                Tensor::from_raw_buffer(&all, dtype, shape, &self.device)
            }
        }
    }
}

fn rounded<T: Send>(data: Vec<f32>, round: impl Fn(f32) -> T + Send + Sync) -> Vec<T> {
    data.into_par_iter().map(round).collect()
}
