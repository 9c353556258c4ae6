//! What is said of how far apart two positions are.

use candle_core::{Result, Tensor};
use rayon::prelude::*;

use crate::nn::ComputeContext;

/// The longest wavelength, over 2π.
const LONGEST: f64 = 10_000.0;

/// From `positions - 1` before to `positions - 1` after, sines and cosines in turn: `[2 * positions - 1, width]`. There is
/// at least one position.
pub fn distances(positions: usize, width: usize, context: &ComputeContext) -> Result<Tensor> {
    let rows = 2 * positions - 1;
    let mut all = vec![0.0; rows * width];
    let frequencies = (0..width.div_ceil(2)).map(|pair| (-LONGEST.ln() * (2 * pair) as f64 / width as f64).exp());
    let frequencies = frequencies.collect::<Vec<_>>();
    all.par_chunks_exact_mut(width).enumerate().for_each(|(at, row)| {
        let distance = positions as f64 - 1.0 - at as f64;
        for (pair, frequency) in row.chunks_mut(2).zip(&frequencies) {
            let (sine, cosine) = (distance * frequency).sin_cos();
            pair.copy_from_slice(&[sine as f32, cosine as f32][..pair.len()]);
        }
    });
    context.tensor(all, &[rows, width])
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;

    #[test]
    fn a_shorter_table_is_the_middle_of_a_longer_one() -> Result<()> {
        let context = ComputeContext::new(&Device::Cpu, DType::F32);
        let (long, short) = (distances(9, 6, &context)?, distances(4, 6, &context)?);
        assert_eq!(long.narrow(0, 5, 7)?.to_vec2::<f32>()?, short.to_vec2::<f32>()?);
        assert_eq!(distances(1, 4, &context)?.to_vec2::<f32>()?, [[0.0, 1.0, 0.0, 1.0]]);
        let one_before = distances(2, 4, &context)?.to_vec2::<f32>()?;
        assert_eq!(one_before[0], [1f32.sin(), 1f32.cos(), 0.01f32.sin(), 0.01f32.cos()]);
        Ok(())
    }
}
