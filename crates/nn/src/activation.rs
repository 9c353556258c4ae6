//! Activations: what stands between two layers.

use candle_core::{CpuStorage, DType, Result, Storage, Tensor};
use rayon::prelude::*;

use crate::{
    context::ComputeContext,
    cpu::{activation, detect::SimdLevel},
};

/// Numbers that one task takes.
const BLOCK: usize = 1 << 14;

/// Which GELU (Hendrycks and Gimpel, arXiv 1606.08415).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gelu {
    /// With the error function.
    Exact,
    /// With a hyperbolic tangent in its place, as GPT-2 has it.
    Tanh,
}

/// `x σ(x)`
pub fn silu(x: &Tensor) -> Result<Tensor> {
    mapped(x, 1, activation::silu, Tensor::silu)
}

/// `x tanh(ln(1 + eˣ))`
pub fn mish(x: &Tensor) -> Result<Tensor> {
    mapped(x, 1, activation::mish, candle_nn::ops::mish)
}

/// `x`, below 0 `eˣ - 1`
pub fn elu(x: &Tensor) -> Result<Tensor> {
    mapped(x, 1, activation::elu, |x| x.elu(1.0))
}

/// The exact one, with the error function.
pub fn gelu_erf(x: &Tensor) -> Result<Tensor> {
    mapped(x, 1, activation::gelu_erf, Tensor::gelu_erf)
}

/// The one that GPT-2 has.
pub fn gelu_tanh(x: &Tensor) -> Result<Tensor> {
    mapped(x, 1, activation::gelu_tanh, Tensor::gelu)
}

/// `x`, below 0 `slope x`
pub fn leaky_relu(x: &Tensor, slope: f32) -> Result<Tensor> {
    let plain = |x: &Tensor| candle_nn::ops::leaky_relu(x, slope.into());
    mapped(x, 1, |level, row: &mut [f32]| activation::leaky_relu(level, row, slope), plain)
}

/// `x + sin²(α x) / α`, with one α a channel ("Neural networks fail to learn periodic functions", Ziyin and others, 2020).
#[derive(Debug)]
pub struct Snake {
    alpha: Vec<f32>,
    inverse: Vec<f32>,
    /// The same where there are no kernels.
    tensors: Option<(Tensor, Tensor)>,
}

// === impl Snake ===

impl Snake {
    /// `alpha`: `[channels]`
    pub fn new(alpha: Vec<f32>, context: &ComputeContext) -> Result<Self> {
        // As BigVGAN has it, so that an α of 0 does no harm.
        let inverse: Vec<f32> = alpha.iter().map(|alpha| 1.0 / (alpha + 1e-9)).collect();
        let tensor = |numbers: &[f32]| context.tensor(numbers.to_vec(), &[numbers.len()]);
        let tensors = match context.kernels {
            Some(_) => None,
            None => Some((tensor(&alpha)?, tensor(&inverse)?)),
        };
        Ok(Self { alpha, inverse, tensors })
    }

    /// `[frames, channels]`
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match &self.tensors {
            Some((alpha, inverse)) => x + x.broadcast_mul(alpha)?.sin()?.sqr()?.broadcast_mul(inverse)?,
            None => {
                let own = |level, frames: &mut [f32]| activation::snake(level, frames, &self.alpha, &self.inverse);
                mapped(x, self.alpha.len(), own, Tensor::copy)
            }
        }
    }
}

/// On the CPU our own kernel, on whole `rows` of so many numbers; elsewhere candle's operations.
fn mapped(
    x: &Tensor,
    row: usize,
    own: impl Fn(SimdLevel, &mut [f32]) + Sync,
    plain: impl FnOnce(&Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    if !x.device().is_cpu() || x.dtype() != DType::F32 {
        return plain(x);
    }
    if x.dims().last().is_none_or(|&last| last % row.max(1) != 0) {
        candle_core::bail!("rows of {row} were expected, not {:?}", x.shape());
    }
    let x = x.contiguous()?;
    let mut made = vec![0.0; x.elem_count()];
    {
        let (storage, layout) = x.storage_and_layout();
        let Storage::Cpu(CpuStorage::F32(data)) = &*storage else { candle_core::bail!("f32 on the CPU was expected") };
        let (level, block) = (SimdLevel::detect(), BLOCK.next_multiple_of(row));
        let given = data[layout.start_offset()..][..made.len()].par_chunks(block);
        made.par_chunks_mut(block).zip(given).for_each(|(made, given)| {
            made.copy_from_slice(given);
            own(level, made);
        });
    }
    Tensor::from_vec(made, x.shape(), x.device())
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn both_forms_of_snake_agree() -> Result<()> {
        let context = ComputeContext::new(&Device::Cpu, DType::F32);
        let numbers = |count: usize| (0..count).map(|i| (i as f32 * 0.37).sin() * 3.0).collect::<Vec<_>>();
        let alpha: Vec<f32> = numbers(19).iter().map(|x| x.abs() + 0.1).collect();
        let x = Tensor::from_vec(numbers(2000 * 19), (2000, 19), &Device::Cpu)?;
        let own = Snake::new(alpha.clone(), &context)?.forward(&x)?;
        let plain = Snake::new(alpha, &ComputeContext { kernels: None, ..context })?.forward(&x)?;
        assert!((own - plain)?.abs()?.max_all()?.to_scalar::<f32>()? < 1e-5);
        Ok(())
    }
}
