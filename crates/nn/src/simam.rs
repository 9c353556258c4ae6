//! SimAM, attention without parameters (Yang and others, ICML 2021): what differs from the rest of its channel counts more.

use candle_core::{CpuStorage, DType, Result, Storage, Tensor};
use rayon::prelude::*;

use crate::cpu::{detect::SimdLevel, simam::weigh};

/// Beside the variance, so that nothing is divided by zero.
const LAMBDA: f64 = 1e-4;

/// Places that one task takes.
const BLOCK_PLACES: usize = 256;

/// `max(0, x σ(d / (4 (v + λ)) + ½) + beside)`, of `x` and `beside` `[places, channels]`, at least two places: `d` is the
/// square of how far a number is from the mean of its channel, and `v` the sum of these over one less than there are.
pub fn simam_add_relu(x: Tensor, beside: &Tensor) -> Result<Tensor> {
    let (places, channels) = x.dims2()?;
    if places < 2 || beside.dims() != x.dims() {
        candle_core::bail!("{places} places of {channels} cannot be weighed beside {:?}", beside.shape());
    }
    if !x.device().is_cpu() || x.dtype() != DType::F32 {
        return plain(&x, beside);
    }
    let mut made = vec![0.0; places * channels];
    with_numbers(&x.contiguous()?, |x| {
        with_numbers(&beside.contiguous()?, |beside| {
            let means = mean(x, channels, |x, _| x);
            let squares = mean(x, channels, |x, channel| (x - means[channel]).powi(2));
            // The mean over all places, as the sum over one less.
            let more = places as f64 / (places - 1) as f64;
            let scales = squares.iter().map(|square| (0.25 / (f64::from(*square) * more + LAMBDA)) as f32);
            let (scales, level, block) = (scales.collect::<Vec<_>>(), SimdLevel::detect(), BLOCK_PLACES * channels);
            let blocks = made.par_chunks_mut(block).zip(x.par_chunks(block)).zip(beside.par_chunks(block));
            blocks.for_each(|((made, x), beside)| weigh(level, x, &means, &scales, beside, made));
        })
    })??;
    Tensor::from_vec(made, (places, channels), x.device())
}

/// Of each channel the mean of what `of` makes of a number and its channel.
fn mean(x: &[f32], channels: usize, of: impl Fn(f32, usize) -> f32 + Sync) -> Vec<f32> {
    let blocks = x.par_chunks(BLOCK_PLACES * channels).map(|block| {
        let mut sums = vec![0.0f32; channels];
        for place in block.chunks_exact(channels) {
            for (channel, (sum, &x)) in sums.iter_mut().zip(place).enumerate() {
                *sum += of(x, channel);
            }
        }
        sums
    });
    // In order, so that the sum is the same each time.
    let blocks: Vec<Vec<f32>> = blocks.collect();
    let places = (x.len() / channels) as f64;
    let sum = |channel: usize| blocks.iter().map(|sums| f64::from(sums[channel])).sum::<f64>();
    (0..channels).map(|channel| (sum(channel) / places) as f32).collect()
}

fn with_numbers<R>(x: &Tensor, look: impl FnOnce(&[f32]) -> R) -> Result<R> {
    let (storage, layout) = x.storage_and_layout();
    let Storage::Cpu(CpuStorage::F32(data)) = &*storage else { candle_core::bail!("f32 on the CPU was expected") };
    Ok(look(&data[layout.start_offset()..][..x.elem_count()]))
}

/// The same with candle's operations; sums over many places are made in `f32`.
fn plain(x: &Tensor, beside: &Tensor) -> Result<Tensor> {
    let wide = x.to_dtype(DType::F32)?;
    let squares = wide.broadcast_sub(&wide.mean_keepdim(0)?)?.sqr()?;
    let variance = (squares.sum_keepdim(0)? / (x.dim(0)? - 1) as f64)?;
    let scales = ((variance + LAMBDA)? * 4.0)?.recip()?;
    let weights = candle_nn::ops::sigmoid(&(squares.broadcast_mul(&scales)? + 0.5)?)?;
    ((wide * weights)?.to_dtype(x.dtype())? + beside)?.relu()
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn both_forms_agree() -> Result<()> {
        let numbers = |count: usize, by: f32| (0..count).map(|i| (i as f32 * by).sin() * 3.0).collect::<Vec<_>>();
        for (places, channels) in [(2, 3), (700, 19), (600, 64)] {
            let tensor = |by| Tensor::from_vec(numbers(places * channels, by), (places, channels), &Device::Cpu);
            let (x, beside) = (tensor(0.37)?, tensor(0.11)?);
            let difference = (simam_add_relu(x.clone(), &beside)? - plain(&x, &beside)?)?.abs()?.max_all()?;
            assert!(difference.to_scalar::<f32>()? < 1e-5, "{places} places of {channels}");
        }
        Ok(())
    }

    #[test]
    fn a_number_is_weighed_by_its_distance_from_the_mean() -> Result<()> {
        let x = Tensor::new(&[[1f32], [3.0], [5.0]], &Device::Cpu)?;
        let found = simam_add_relu(x, &Tensor::new(&[[-9f32], [0.0], [0.25]], &Device::Cpu)?)?.flatten_all()?;
        // Mean 3, variance (4 + 0 + 4) / 2.
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let expected = [0.0, 3.0 * sigmoid(0.5), 5.0 * sigmoid(4.0 / (4.0 * 4.0001) + 0.5) + 0.25];
        for (found, expected) in found.to_vec1::<f32>()?.iter().zip(expected) {
            assert!((f64::from(*found) - expected).abs() < 1e-6, "{found} {expected}");
        }
        Ok(())
    }

    #[test]
    fn one_place_alone_has_no_variance() {
        let x = Tensor::zeros((1, 4), DType::F32, &Device::Cpu).unwrap();
        assert!(simam_add_relu(x.clone(), &x).is_err());
    }
}
