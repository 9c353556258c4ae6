//! A convolution as a linear layer over frames that stand side by side.
//!
//! What an output frame is made of are rows that overlap: the kernels are told which frames those are, and each is laid out
//! once.

use candle_core::{Result, Tensor};
use rayon::prelude::*;

use crate::{
    context::ComputeContext,
    cpu::{
        frames::Frames,
        matrix::{Rows, with_rows},
    },
    linear::{Epilogue, Linear},
};

/// A convolution `[frames, depth]` → `[out, columns]`.
#[derive(Debug)]
pub struct Conv1d {
    config: Conv1dConfig,
    form: Form,
}

/// The sizes of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv1dConfig {
    /// Channels that come in.
    pub depth: usize,
    /// Channels that go out.
    pub columns: usize,
    /// Frames that an output frame is made of.
    pub taps: usize,
    /// Frames from one output frame to the next.
    pub stride: usize,
    /// Frames from one tap to the next.
    pub dilation: usize,
    /// Frames of zeros before the first and after the last.
    pub padding: (usize, usize),
}

#[derive(Debug)]
enum Form {
    /// Over all taps side by side.
    Kernels(Linear),
    /// `[columns, depth, taps]`, `[columns]`
    Tensors { weight: Tensor, bias: Option<Tensor> },
}

// === impl Conv1dConfig ===

impl Conv1dConfig {
    /// Each frame makes one, of itself and its neighbours to both sides.
    pub fn same(depth: usize, columns: usize, taps: usize) -> Self {
        let around = taps.saturating_sub(1);
        Self { depth, columns, taps, stride: 1, dilation: 1, padding: (around / 2, around - around / 2) }
    }

    /// Each frame makes one, of itself and those before it.
    pub fn causal(depth: usize, columns: usize, taps: usize) -> Self {
        Self { padding: (taps.saturating_sub(1), 0), ..Self::same(depth, columns, taps) }
    }

    /// The same with its taps so far apart; padding grows with it.
    pub fn dilated(self, dilation: usize) -> Self {
        let (before, after) = self.padding;
        Self { dilation, padding: (before * dilation, after * dilation), ..self }
    }

    /// Of weights: `[columns, depth, taps]`.
    pub fn shape(&self) -> [usize; 3] {
        [self.columns, self.depth, self.taps]
    }

    /// Frames that come out of so many; `None` where there are too few for one.
    pub fn frames(&self, frames: usize) -> Option<usize> {
        let span = self.dilation * (self.taps - 1) + 1;
        let spare = (frames + self.padding.0 + self.padding.1).checked_sub(span)?;
        Some(spare / self.stride + 1)
    }

    fn check(&self) -> Result<()> {
        let sizes = [self.depth, self.columns, self.taps, self.stride, self.dilation];
        if sizes.contains(&0) || (self.stride > 1 && self.dilation > 1) {
            candle_core::bail!("there is no convolution of {self:?}");
        }
        Ok(())
    }
}

// === impl Conv1d ===

impl Conv1d {
    /// `weight`: `[columns, depth, taps]`, row by row.
    pub fn new(weight: &[f32], bias: Option<Vec<f32>>, config: Conv1dConfig, context: &ComputeContext) -> Result<Self> {
        config.check()?;
        let Conv1dConfig { depth, columns, taps, .. } = config;
        let form = if context.kernels.is_some() {
            Form::Kernels(Linear::over_taps(by_tap(weight, depth, taps), bias, (depth, taps), context)?)
        } else {
            let weight = context.tensor(weight.to_vec(), &config.shape())?;
            Form::Tensors { weight, bias: bias.map(|bias| context.tensor(bias, &[columns])).transpose()? }
        };
        Ok(Self { config, form })
    }

    pub fn config(&self) -> &Conv1dConfig {
        &self.config
    }

    /// `[frames, depth]` → `[out, columns]`. Too few frames for one that comes out are an error.
    pub fn forward(&self, x: &Tensor, epilogue: Epilogue<'_>) -> Result<Tensor> {
        let (frames, depth) = x.dims2()?;
        let (Some(out), true) = (self.config.frames(frames), depth == self.config.depth) else {
            candle_core::bail!("{:?} was given {frames} frames of {depth}", self.config)
        };
        match &self.form {
            Form::Tensors { weight, bias } => {
                epilogue.apply(self.plain(&x.unsqueeze(0)?, weight, bias.as_ref())?.squeeze(0)?)
            }
            Form::Kernels(taps) => {
                let made = epilogue
                    .with_addend(|add| with_rows(x, |x| taps.convolve(self.config.rows(x, out), epilogue, add)))??;
                Tensor::from_vec(made, (out, self.config.columns), x.device())
            }
        }
    }

    /// The same of several sequences that are equally long, `[sequences, frames, depth]` → `[sequences, out, columns]`.
    pub fn forward_each(&self, x: &Tensor, epilogue: Epilogue<'_>) -> Result<Tensor> {
        match (&self.form, epilogue) {
            (Form::Tensors { weight, bias }, epilogue) => epilogue.apply(self.plain(x, weight, bias.as_ref())?),
            (Form::Kernels(_), Epilogue::Add(_)) => candle_core::bail!("nothing is added to several sequences"),
            (Form::Kernels(_), epilogue) => {
                let each = (0..x.dim(0)?).map(|at| self.forward(&x.get(at)?, epilogue));
                Tensor::stack(&each.collect::<Result<Vec<_>>>()?, 0)
            }
        }
    }

    /// `[sequences, frames, depth]` → `[sequences, out, columns]`
    fn plain(&self, x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
        let Conv1dConfig { stride, dilation, padding: (before, after), .. } = self.config;
        let x = x.pad_with_zeros(1, before, after)?.transpose(1, 2)?.contiguous()?;
        let sums = x.conv1d(weight, 0, stride, dilation, 1)?.transpose(1, 2)?;
        match bias {
            Some(bias) => sums.broadcast_add(bias),
            None => sums.contiguous(),
        }
    }
}

impl Conv1dConfig {
    /// What `out` frames are made of.
    fn rows<'a>(&self, there: Rows<'a>, out: usize) -> Frames<'a> {
        let Self { depth, taps, stride, dilation, padding: (before, _), .. } = *self;
        Frames { there, depth, start: -(before as isize), taps, step: stride, dilation, count: out }
    }
}

/// `[columns, depth, taps]` → `[columns, taps, depth]`
fn by_tap(weight: &[f32], depth: usize, taps: usize) -> Vec<f32> {
    let mut by_tap = vec![0.0; weight.len()];
    let columns = by_tap.par_chunks_exact_mut(depth * taps).zip(weight.par_chunks_exact(depth * taps));
    columns.for_each(|(by_tap, column)| {
        for (tap, numbers) in by_tap.chunks_exact_mut(depth).enumerate() {
            for (to, number) in numbers.iter_mut().zip(column[tap..].iter().step_by(taps)) {
                *to = *number;
            }
        }
    });
    by_tap
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;
    use crate::cpu::detect::SimdLevel;

    fn numbers(count: usize) -> Vec<f32> {
        (0..count).map(|i| (i as f32 * 0.37).sin()).collect()
    }

    fn agree(config: Conv1dConfig, frames: usize) -> Result<()> {
        let context = ComputeContext::new(&Device::Cpu, DType::F32);
        let weight = numbers(config.shape().iter().product());
        let conv = |context: &ComputeContext| Conv1d::new(&weight, Some(numbers(config.columns)), config, context);
        let plain = conv(&ComputeContext { kernels: None, ..context.clone() })?;
        let x = Tensor::from_vec(numbers(frames * config.depth), (frames, config.depth), &Device::Cpu)?;
        let out = config.frames(frames).unwrap();
        let add = Tensor::from_vec(numbers(out * config.columns), (out, config.columns), &Device::Cpu)?;
        for &level in SimdLevel::available() {
            let own = conv(&ComputeContext { kernels: Some(level), ..context.clone() })?;
            for epilogue in [Epilogue::None, Epilogue::Gelu, Epilogue::Add(&add)] {
                let (found, expected) = (own.forward(&x, epilogue)?, plain.forward(&x, epilogue)?);
                let difference = (found - expected)?.abs()?.max_all()?.to_scalar::<f32>()?;
                assert!(difference < 2e-4, "{config:?}, {level:?}, {frames} frames, {epilogue:?}: {difference}");
            }
        }
        Ok(())
    }

    #[test]
    fn it_is_the_convolution_of_candle() -> Result<()> {
        for frames in [1, 12, 100] {
            for stride in [1, 2, 3] {
                agree(Conv1dConfig { stride, ..Conv1dConfig::same(5, 7, 3) }, frames)?;
            }
            for dilation in [1, 2, 3, 5] {
                agree(Conv1dConfig::same(8, 40, 7).dilated(dilation), frames)?;
                agree(Conv1dConfig::causal(8, 3, 4).dilated(dilation), frames)?;
            }
            agree(Conv1dConfig { padding: (0, 3), ..Conv1dConfig::same(6, 5, 4) }, frames)?;
            agree(Conv1dConfig::same(6, 5, 1), frames)?;
        }
        Ok(())
    }

    #[test]
    fn too_few_frames_and_sizes_that_cannot_be_are_errors() -> Result<()> {
        let context = ComputeContext::new(&Device::Cpu, DType::F32);
        let config = Conv1dConfig { padding: (0, 0), ..Conv1dConfig::same(2, 2, 3) };
        let conv = Conv1d::new(&numbers(12), None, config, &context)?;
        assert!(conv.forward(&Tensor::zeros((2, 2), DType::F32, &Device::Cpu)?, Epilogue::None).is_err());
        assert!(conv.forward(&Tensor::zeros((9, 3), DType::F32, &Device::Cpu)?, Epilogue::None).is_err());
        assert!(Conv1d::new(&numbers(12), None, Conv1dConfig { stride: 2, dilation: 2, ..config }, &context).is_err());
        assert!(Conv1d::new(&[], None, Conv1dConfig { taps: 0, ..config }, &context).is_err());
        Ok(())
    }
}
