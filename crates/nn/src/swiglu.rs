//! The gate between the two layers of a feed-forward part.

use candle_core::{Result, Tensor};
use rayon::prelude::*;

use crate::{
    context::ComputeContext,
    cpu::{math, matrix::with_rows},
};

/// Rows that one task takes.
const BLOCK_ROWS: usize = 16;

/// SwiGLU (Shazeer, arXiv 2002.05202): the first half of each row, through SiLU, times the second half.
/// `[rows, 2 * inner]` → `[rows, inner]`
pub fn swiglu(x: &Tensor, context: &ComputeContext) -> Result<Tensor> {
    let (rows, width) = x.dims2()?;
    let inner = width / 2;
    let Some(level) = context.kernels else {
        return x.narrow(1, 0, inner)?.silu()? * x.narrow(1, inner, inner)?;
    };
    let mut out = vec![0.0; rows * inner];
    with_rows(x, |x| {
        let by_row = out.par_chunks_exact_mut(inner.max(1)).with_min_len(BLOCK_ROWS).enumerate();
        by_row.for_each(|(row, out)| {
            let (gate, up) = x.row(row, 2 * inner).split_at(inner);
            out.copy_from_slice(gate);
            math::swiglu(level, out, up);
        });
    })?;
    Tensor::from_vec(out, (rows, inner), x.device())
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;
    use crate::cpu::detect::SimdLevel;

    #[test]
    fn both_forms_agree_with_the_formula() -> Result<()> {
        let (rows, inner) = (2, 21);
        let x: Vec<f32> = (0..rows * 2 * inner).map(|i| (i as f32 * 0.7).sin() * 100.0).collect();
        let silu = |x: f32| f64::from(x) / (1.0 + f64::from(-x).exp());
        let gated = |row: &[f32], at: usize| (silu(row[at]) * f64::from(row[inner + at])) as f32;
        let expected = x.chunks(2 * inner).flat_map(|row| (0..inner).map(move |at| gated(row, at)));
        let expected = Tensor::from_iter(expected, &Device::Cpu)?.reshape((rows, inner))?;
        let x = Tensor::from_vec(x.clone(), (rows, 2 * inner), &Device::Cpu)?;
        for kernels in SimdLevel::available().iter().map(|&level| Some(level)).chain([None]) {
            let context = ComputeContext { kernels, ..ComputeContext::new(&Device::Cpu, DType::F32) };
            let difference = (swiglu(&x, &context)? - &expected)?.abs()?.max_all()?.to_scalar::<f32>()?;
            assert!(difference < 1e-2, "{kernels:?}: {difference} of 10 000");
        }
        Ok(())
    }
}
