//! Convolutions over height and width.

use candle_core::{D, Result, Tensor};
use rayon::prelude::*;

use super::{
    context::ComputeContext,
    cpu::{
        frames::Frames,
        matrix::{Rows, with_rows},
    },
    linear::{Epilogue, Linear},
};

/// Places that are made at once, on the CPU: what is laid out for them stays near.
const BLOCK_PLACES: usize = 2048;

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

/// What is done to a number once all is added up.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    Nothing,
    Relu,
}

// === impl Conv2d ===

impl Conv2d {
    /// `weight`: `[columns, depth, taps.0, taps.1]`, row by row.
    pub fn new(weight: &[f32], bias: Vec<f32>, config: Conv2dConfig, context: &ComputeContext) -> Result<Self> {
        let (depth, (high, wide)) = (config.depth, config.taps);
        let taps = high * wide;
        if weight.len() != config.columns * depth * taps {
            candle_core::bail!("{config:?} does not have {} weights", weight.len());
        }
        // Beside each other stand the places of a column of a patch, so that columns follow each other as patches go on.
        let by_column = (0..taps).map(|at| at % high * wide + at / high).collect::<Vec<_>>();
        let mut patches = vec![0.0; weight.len()];
        let rows = patches.par_chunks_exact_mut(depth * taps).zip(weight.par_chunks_exact(depth * taps));
        rows.for_each(|(to, from)| {
            for (to, &tap) in to.chunks_exact_mut(depth).zip(&by_column) {
                to.iter_mut().zip(from[tap..].iter().step_by(taps)).for_each(|(to, from)| *to = *from);
            }
        });
        let patches = Linear::over_taps(patches, Some(bias), (high * depth, wide), context)?;
        Ok(Self { patches, config, kernels: context.kernels.is_some() })
    }

    pub fn config(&self) -> &Conv2dConfig {
        &self.config
    }

    /// `[height, width, depth]` → `[⌈height / stride.0⌉, ⌈width / stride.1⌉, columns]`. What an epilogue adds is
    /// `[places, columns]`.
    pub fn forward(&self, x: &Tensor, epilogue: Epilogue<'_>) -> Result<Tensor> {
        self.forward_then(x, epilogue, After::Nothing)
    }

    /// The same, and 0 instead of what is below.
    pub fn forward_relu(&self, x: &Tensor) -> Result<Tensor> {
        self.forward_then(x, Epilogue::None, After::Relu)
    }

    fn forward_then(&self, x: &Tensor, epilogue: Epilogue<'_>, after: After) -> Result<Tensor> {
        let (height, width, depth) = x.dims3()?;
        if depth != self.config.depth || height == 0 || width == 0 {
            candle_core::bail!("{:?} was given {height} by {width} places of {depth}", self.config);
        }
        let (out_height, out_width) = (height.div_ceil(self.config.stride.0), width.div_ceil(self.config.stride.1));
        let extent = Extent { height, width, out_height, out_width };
        if self.kernels {
            return self.convolve(x, extent, epilogue, after);
        }
        let sums = self.patches.forward(&self.gather_tensors(x, extent)?, epilogue)?;
        let sums = if after == After::Relu { sums.relu()? } else { sums };
        sums.reshape((out_height, out_width, self.config.columns))
    }

    /// On the CPU, some rows of places at a time.
    ///
    /// Of the input the places of a column of a patch stand side by side, as a frame; what a row of places is made of are
    /// then frames that follow each other, and the patches of neighbours overlap. Zeros part the rows, and what is made
    /// across their ends is left out.
    fn convolve(&self, x: &Tensor, extent: Extent, epilogue: Epilogue<'_>, after: After) -> Result<Tensor> {
        let Extent { height, width, out_height, out_width } = extent;
        let Conv2dConfig { depth, columns, taps, stride } = self.config;
        let (frame, period) = (taps.0 * depth, self.period(extent));
        let per_row = period / stride.1;
        let rows = (BLOCK_PLACES / per_row).clamp(1, out_height);
        let mut frames = vec![0.0; (rows * period + taps.1) * frame];
        let mut made = vec![0.0; out_height * out_width * columns];
        let (inner, add) = match epilogue {
            Epilogue::Add(_) => (Epilogue::None, epilogue),
            Epilogue::None | Epilogue::Gelu => (epilogue, Epilogue::None),
        };
        let x = x.contiguous()?.reshape((height, width * depth))?;
        add.with_addend(|add| {
            with_rows(&x, |x| {
                for (block, made) in made.chunks_mut(rows * out_width * columns).enumerate() {
                    let first = block * rows;
                    let here = made.len() / (out_width * columns);
                    let lay = frames.par_chunks_exact_mut(period * frame).take(here).enumerate();
                    lay.for_each(|(row, frames)| self.lay_row(x, extent, first + row, frames));
                    let count = (here - 1) * per_row + out_width;
                    let there = Rows { data: &frames, stride: frame, count: frames.len() / frame };
                    let patches =
                        Frames { there, depth: frame, start: 0, taps: taps.1, step: stride.1, dilation: 1, count };
                    let sums = self.patches.convolve(patches, inner, None);
                    let rows = made.par_chunks_exact_mut(out_width * columns).zip(sums.par_chunks(per_row * columns));
                    rows.enumerate().for_each(|(row, (made, sums))| {
                        finish(made, sums, add.map(|add| add.part((first + row) * out_width, out_width)), after);
                    });
                }
            })
        })??;
        Tensor::from_vec(made, (out_height, out_width, columns), x.device())
    }

    /// Frames from one row of places to the next: those of the row, zeros before them, and as many after them as patches
    /// reach beyond what the zeros of the next row are for.
    fn period(&self, extent: Extent) -> usize {
        let (taps, stride) = (self.config.taps.1, self.config.stride.1);
        let before = taps / 2;
        let reached = (extent.out_width - 1) * stride + taps;
        (before + extent.width).max(reached - before).next_multiple_of(stride)
    }

    /// The frames of one row of places.
    fn lay_row(&self, x: Rows<'_>, extent: Extent, row: usize, frames: &mut [f32]) {
        let Conv2dConfig { depth, taps, stride, .. } = self.config;
        let frames = &mut frames[taps.1 / 2 * taps.0 * depth..][..extent.width * taps.0 * depth];
        for tap in 0..taps.0 {
            // Above the first row and below the last there is nothing.
            let from = (row * stride.0 + tap).checked_sub(taps.0 / 2).filter(|&from| from < extent.height);
            let to = frames.chunks_exact_mut(taps.0 * depth).map(|frame| &mut frame[tap * depth..(tap + 1) * depth]);
            match from {
                Some(from) => {
                    let places = x.row(from, extent.width * depth).chunks_exact(depth);
                    to.zip(places).for_each(|(to, place)| to.copy_from_slice(place));
                }
                None => to.for_each(|to| to.fill(0.0)),
            }
        }
    }

    /// The same on any device.
    fn gather_tensors(&self, x: &Tensor, extent: Extent) -> Result<Tensor> {
        let Extent { out_height, out_width, .. } = extent;
        let Conv2dConfig { depth, taps, stride, .. } = self.config;
        let x = pad(&pad(x, 0, taps.0, stride.0)?, 1, taps.1, stride.1)?;
        let mut parts = Vec::with_capacity(taps.0 * taps.1);
        for (left, top) in (0..taps.1).flat_map(|left| (0..taps.0).map(move |top| (left, top))) {
            let rows = x.narrow(0, top, out_height * stride.0)?.narrow(1, left, out_width * stride.1)?;
            let rows = rows.contiguous()?.reshape((out_height, stride.0, out_width, stride.1, depth))?;
            parts.push(rows.narrow(1, 0, 1)?.narrow(3, 0, 1)?.contiguous()?.reshape((out_height * out_width, depth))?);
        }
        Tensor::cat(&parts, D::Minus1)
    }
}

/// Of a row of places the sums without those across its end, and what is added to them.
fn finish(made: &mut [f32], sums: &[f32], add: Option<Rows<'_>>, after: After) {
    made.copy_from_slice(&sums[..made.len()]);
    if let Some(add) = add {
        let columns = made.len() / add.count;
        for (row, made) in made.chunks_exact_mut(columns).enumerate() {
            made.iter_mut().zip(add.row(row, columns)).for_each(|(made, add)| *made += add);
        }
    }
    if after == After::Relu {
        made.iter_mut().for_each(|x| *x = x.max(0.0));
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
    fn what_is_done_to_the_sums_is_the_same_in_both_forms() -> Result<()> {
        let context = ComputeContext::new(&Device::Cpu, DType::F32);
        // Small and large enough for several blocks of rows; patches of one place, and of five.
        for (height, width, taps, stride) in
            [(3, 4, (1, 1), (1, 1)), (9, 6, (1, 1), (2, 2)), (90, 70, (3, 3), (1, 1)), (71, 90, (3, 5), (2, 2))]
        {
            let config = Conv2dConfig { depth: 4, columns: 6, taps, stride };
            let weight = numbers(24 * taps.0 * taps.1);
            let conv = |context: &ComputeContext| Conv2d::new(&weight, numbers(6), config, context);
            let (own, plain) = (conv(&context)?, conv(&ComputeContext { kernels: None, ..context.clone() })?);
            let x = Tensor::from_vec(numbers(height * width * 4), (height, width, 4), &Device::Cpu)?;
            let places = height.div_ceil(stride.0) * width.div_ceil(stride.1);
            let add = Tensor::from_vec(numbers(places * 6), (places, 6), &Device::Cpu)?;
            let same = |found: Tensor, expected: Tensor| {
                let difference = (found - expected)?.abs()?.max_all()?.to_scalar::<f32>()?;
                assert!(difference < 1e-4, "{config:?}: {difference}");
                Result::Ok(())
            };
            for epilogue in [Epilogue::None, Epilogue::Gelu, Epilogue::Add(&add)] {
                same(own.forward(&x, epilogue)?, plain.forward(&x, epilogue)?)?;
            }
            same(own.forward_relu(&x)?, plain.forward_relu(&x)?)?;
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
