//! Convolutions over height and width.

use candle_core::{D, Result, Tensor};
use rayon::prelude::*;

use super::{
    context::ComputeContext,
    cpu::matrix::with_rows,
    linear::{Epilogue, Linear},
};

/// A convolution over patches around each place, zeros outside: as a linear layer over the places of a patch side by side.
#[derive(Debug)]
pub struct Conv2d {
    patches: Linear,
    config: Conv2dConfig,
    /// Whether patches are put together by ourselves.
    kernels: bool,
}

/// The sizes of a convolution; of each pair the first counts along the height.
#[derive(Clone, Copy, Debug)]
pub struct Conv2dConfig {
    pub depth: usize,
    pub columns: usize,
    /// Odd, so that a patch has a middle.
    pub taps: (usize, usize),
    pub stride: (usize, usize),
}

/// What a convolution is given, and what it makes of it.
#[derive(Clone, Copy)]
struct Extent {
    height: usize,
    width: usize,
    out_height: usize,
    out_width: usize,
}

// === impl Conv2d ===

impl Conv2d {
    /// `weight`: `[columns, depth, taps.0, taps.1]`, row by row.
    pub fn new(weight: &[f32], bias: Vec<f32>, config: Conv2dConfig, context: &ComputeContext) -> Result<Self> {
        let (depth, taps) = (config.depth, config.taps.0 * config.taps.1);
        if weight.len() != config.columns * depth * taps {
            candle_core::bail!("{config:?} does not have {} weights", weight.len());
        }
        let by_column = weight.chunks_exact(depth * taps);
        let by_tap =
            by_column.flat_map(|column| (0..taps).flat_map(move |tap| column.iter().skip(tap).step_by(taps)).copied());
        let weight = by_tap.collect::<Vec<_>>();
        let patches = Linear::new(&[weight.into()], Some(bias), depth * taps, context)?;
        Ok(Self { patches, config, kernels: context.kernels.is_some() })
    }

    /// `[height, width, depth]` → `[⌈height / stride.0⌉, ⌈width / stride.1⌉, columns]`
    pub fn forward(&self, x: &Tensor, epilogue: Epilogue<'_>) -> Result<Tensor> {
        let (height, width, depth) = x.dims3()?;
        if depth != self.config.depth || height == 0 || width == 0 {
            candle_core::bail!("{:?} was given {height} by {width} places of {depth}", self.config);
        }
        let (out_height, out_width) = (height.div_ceil(self.config.stride.0), width.div_ceil(self.config.stride.1));
        let extent = Extent { height, width, out_height, out_width };
        let patches = if self.kernels { self.gather(x, extent)? } else { self.gather_tensors(x, extent)? };
        self.patches.forward(&patches, epilogue)?.reshape((out_height, out_width, self.config.columns))
    }

    /// `[out_height * out_width, taps * depth]`, on the CPU.
    fn gather(&self, x: &Tensor, extent: Extent) -> Result<Tensor> {
        let Extent { height, width, out_height, out_width } = extent;
        let Conv2dConfig { depth, taps, .. } = self.config;
        let patch = taps.0 * taps.1 * depth;
        let mut out = vec![0.0; out_height * out_width * patch];
        with_rows(&x.contiguous()?.reshape((height, width * depth))?, |x| {
            let by_row = out.par_chunks_exact_mut(out_width * patch).enumerate();
            by_row.for_each(|(row, out)| {
                for tap in 0..taps.0 {
                    // Above the first row and below the last there is nothing.
                    let from = (row * self.config.stride.0 + tap).checked_sub(taps.0 / 2);
                    let Some(from) = from.filter(|&from| from < height) else { continue };
                    self.gather_row(x.row(from, width * depth), tap * taps.1 * depth, out);
                }
            });
        })?;
        Tensor::from_vec(out, (out_height * out_width, patch), x.device())
    }

    /// Puts what the patches of one row of the output have of one row of the input at `offset` into them.
    fn gather_row(&self, row: &[f32], offset: usize, out: &mut [f32]) {
        let Conv2dConfig { depth, taps, stride, .. } = self.config;
        for (at, patch) in out.chunks_exact_mut(taps.0 * taps.1 * depth).enumerate() {
            let part = &mut patch[offset..][..taps.1 * depth];
            for (tap, to) in part.chunks_exact_mut(depth).enumerate() {
                let from = (at * stride.1 + tap).checked_sub(taps.1 / 2);
                if let Some(place) = from.and_then(|from| row.get(from * depth..(from + 1) * depth)) {
                    to.copy_from_slice(place);
                }
            }
        }
    }

    /// The same on any device.
    fn gather_tensors(&self, x: &Tensor, extent: Extent) -> Result<Tensor> {
        let Extent { out_height, out_width, .. } = extent;
        let Conv2dConfig { depth, taps, stride, .. } = self.config;
        let x = pad(&pad(x, 0, taps.0, stride.0)?, 1, taps.1, stride.1)?;
        let mut parts = Vec::with_capacity(taps.0 * taps.1);
        for (top, left) in (0..taps.0).flat_map(|top| (0..taps.1).map(move |left| (top, left))) {
            let rows = x.narrow(0, top, out_height * stride.0)?.narrow(1, left, out_width * stride.1)?;
            let rows = rows.contiguous()?.reshape((out_height, stride.0, out_width, stride.1, depth))?;
            parts.push(rows.narrow(1, 0, 1)?.narrow(3, 0, 1)?.contiguous()?.reshape((out_height * out_width, depth))?);
        }
        Tensor::cat(&parts, D::Minus1)
    }
}

/// Half a patch before, and after as much as the last patch and the stride after it reach.
fn pad(x: &Tensor, dim: usize, taps: usize, stride: usize) -> Result<Tensor> {
    x.pad_with_zeros(dim, taps / 2, taps / 2 + stride - 1)
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;

    fn numbers(count: usize) -> Vec<f32> {
        (0..count).map(|i| (i as f32 * 0.37).sin()).collect()
    }

    #[test]
    fn it_is_the_convolution_of_candle() -> Result<()> {
        let context = ComputeContext::new(&Device::Cpu, DType::F32);
        let (depth, columns, taps) = (5, 7, (3, 3));
        let weight = numbers(columns * depth * 9);
        let kernel = Tensor::from_vec(weight.clone(), (columns, depth, 3, 3), &Device::Cpu)?;
        for (height, width) in [(1, 1), (1, 9), (6, 8), (7, 5)] {
            let x = Tensor::from_vec(numbers(height * width * depth), (height, width, depth), &Device::Cpu)?;
            let expected = x.permute((2, 0, 1))?.unsqueeze(0)?.contiguous()?.conv2d(&kernel, 1, 1, 1, 1)?;
            let expected = expected.squeeze(0)?.permute((1, 2, 0))?.contiguous()?;
            for (stride, kernels) in [((1, 1), true), ((2, 1), true), ((2, 1), false), ((1, 2), false), ((1, 2), true)]
            {
                let context = ComputeContext { kernels: context.kernels.filter(|_| kernels), ..context.clone() };
                let config = Conv2dConfig { depth, columns, taps, stride };
                let conv = Conv2d::new(&weight, vec![0.0; columns], config, &context)?;
                let found = conv.forward(&x, Epilogue::None)?;
                assert_eq!(found.dims3()?, (height.div_ceil(stride.0), width.div_ceil(stride.1), columns));
                let index = |size: usize, stride| (0..size as u32).step_by(stride).collect::<Vec<_>>();
                let rows = Tensor::new(index(height, stride.0), &Device::Cpu)?;
                let places = Tensor::new(index(width, stride.1), &Device::Cpu)?;
                let expected = expected.index_select(&rows, 0)?.index_select(&places, 1)?;
                let difference = (found - expected)?.abs()?.max_all()?.to_scalar::<f32>()?;
                assert!(difference < 1e-4, "{height} by {width}, {stride:?}: {difference}");
            }
        }
        Ok(())
    }

    #[test]
    fn other_sizes_are_errors() -> Result<()> {
        let context = ComputeContext::new(&Device::Cpu, DType::F32);
        let config = Conv2dConfig { depth: 2, columns: 1, taps: (3, 3), stride: (1, 1) };
        assert!(Conv2d::new(&[0.0; 17], vec![0.0], config, &context).is_err());
        let conv = Conv2d::new(&[0.0; 18], vec![0.0], config, &context)?;
        for shape in [(3, 3, 1), (0, 3, 2), (3, 0, 2)] {
            assert!(conv.forward(&Tensor::zeros(shape, DType::F32, &Device::Cpu)?, Epilogue::None).is_err());
        }
        Ok(())
    }
}
