//! A state-space mixer (Mamba-2; Dao and Gu, arXiv 2405.21060): what attention is in a transformer, with a memory of one
//! size however long the sequence is.

#[cfg(feature = "cuda")]
mod step;
#[cfg(test)]
mod tests;

use candle_core::{D, DType, Result, Tensor};
use rayon::prelude::*;

use crate::{
    activation::silu,
    context::ComputeContext,
    conv::{DepthwiseConv1d, DepthwiseConv1dConfig},
    cpu::{
        detect::SimdLevel,
        math,
        matrix::{Rows, with_rows},
        ssm::{HeadStep, advance},
    },
    linear::{Epilogue, Linear},
    norm::RmsNorm,
    weights::{Bias, Loaded, Loader, WeightError},
};

/// Of the norm, as `mamba_ssm` has it.
const EPSILON: f32 = 1e-5;
/// Positions that candle's operations take at once: their products are squares of so many.
const CHUNK: usize = 64;

/// The mixer. Requests share it; what belongs to a sequence is a [`Mamba2State`].
#[derive(Debug)]
pub struct Mamba2 {
    /// Gate, then what is convolved, then the steps.
    project_in: Linear,
    conv: DepthwiseConv1d,
    heads: Heads,
    norm: RmsNorm,
    project_out: Linear,
    sizes: Mamba2Sizes,
    context: ComputeContext,
}

/// What the tensors tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mamba2Sizes {
    /// Numbers of all heads.
    pub inner: usize,
    pub heads: usize,
    /// Of each number of a head.
    pub state: usize,
    /// Positions that are convolved.
    pub taps: usize,
}

/// One number a head.
#[derive(Debug)]
struct Heads {
    /// Added to the steps.
    dt_bias: Vec<f32>,
    /// Below 0.
    a: Vec<f32>,
    skip: Vec<f32>,
    /// The three of them where the model is, `[3, heads]` in f32.
    all: Tensor,
}

/// What a sequence remembers in one layer, in f32 whatever the weights are in. It begins with nothing.
#[derive(Debug)]
pub struct Mamba2State {
    /// The last positions before the convolution, `[taps - 1, inner + 2 * state]`.
    conv: Tensor,
    states: States,
}

#[derive(Debug)]
enum States {
    /// `[heads, head_dim, state]`
    Kernel(SimdLevel, Vec<f32>),
    Plain(Tensor),
}

/// Some positions of one sequence, after the convolution.
struct Inputs<'a> {
    /// `[positions, inner + 2 * state]`: what goes in, what it is written with, what the states are read with.
    mixed: &'a Tensor,
    /// `[positions, heads]`
    dt: &'a Tensor,
}

// === impl Loader ===

impl Loader<'_> {
    /// `name`: that of the module, whose tensors are those of `mamba_ssm` with one group and no biases around it.
    pub fn mamba2(&mut self, name: &str, width: usize) -> Loaded<Mamba2> {
        let of = |part: &str| format!("{name}.{part}");
        let sizes = Mamba2Sizes::read(self, name)?;
        let Mamba2Sizes { inner, heads, taps, .. } = sizes;
        let channels = sizes.channels();
        let config = DepthwiseConv1dConfig { channels, taps, padding: (0, 0) };
        let mut by_head = |part: &str| self.weights.take(&of(part), &[heads]);
        let (dt_bias, a_log, skip) = (by_head("dt_bias")?, by_head("A_log")?, by_head("D")?);
        let a: Vec<f32> = a_log.iter().map(|a| -a.exp()).collect();
        let all = Tensor::from_vec([&dt_bias[..], &a, &skip].concat(), (3, heads), &self.context.device)?;
        Ok(Mamba2 {
            project_in: self.linear_with(&of("in_proj"), width, inner + channels + heads, Bias::Absent)?,
            conv: self.depthwise_conv1d(&of("conv1d"), config, Bias::Present)?,
            heads: Heads { dt_bias, a, skip, all },
            norm: self.rms_norm(&of("norm"), inner, EPSILON)?,
            project_out: self.linear_with(&of("out_proj"), inner, width, Bias::Absent)?,
            sizes,
            context: self.context.clone(),
        })
    }
}

// === impl Mamba2Sizes ===

impl Mamba2Sizes {
    fn read(loader: &Loader<'_>, name: &str) -> std::result::Result<Self, WeightError> {
        let conv = format!("{name}.conv1d.weight");
        let [heads] = loader.weights.sizes(&format!("{name}.dt_bias"))?;
        let [inner] = loader.weights.sizes(&format!("{name}.norm.weight"))?;
        let [channels, _, taps] = loader.weights.sizes(&conv)?;
        if !inner.is_multiple_of(heads) {
            let reason = format!("has {inner} numbers, where a multiple of the {heads} heads is expected");
            return Err(WeightError::tensor(format!("{name}.norm.weight"), reason));
        }
        match channels.checked_sub(inner).filter(|both| *both > 0 && both % 2 == 0) {
            Some(both) => Ok(Self { inner, heads, state: both / 2, taps }),
            None => {
                let reason = format!("has {channels} channels, where {inner} and twice the states are expected");
                Err(WeightError::tensor(conv, reason))
            }
        }
    }

    /// What is convolved.
    pub fn channels(&self) -> usize {
        self.inner + 2 * self.state
    }

    /// Bytes that a sequence remembers in such a layer; `None` if nobody can count so far.
    pub fn bytes(&self) -> Option<usize> {
        let states = self.inner.checked_mul(self.state)?;
        let conv = self.channels().checked_mul(self.taps)?;
        states.checked_add(conv)?.checked_mul(size_of::<f32>())
    }

    fn head_dim(&self) -> usize {
        self.inner / self.heads
    }
}

// === impl Mamba2 ===

impl Mamba2 {
    pub fn sizes(&self) -> Mamba2Sizes {
        self.sizes
    }

    /// Of a sequence that has not begun.
    pub fn state(&self) -> Result<Mamba2State> {
        let Mamba2Sizes { inner, heads, state, taps } = self.sizes;
        let ComputeContext { device, kernels, .. } = &self.context;
        let states = match *kernels {
            Some(level) => States::Kernel(level, vec![0.0; inner * state]),
            None => States::Plain(Tensor::zeros((heads, inner / heads, state), DType::F32, device)?),
        };
        let conv = Tensor::zeros((taps - 1, self.sizes.channels()), self.context.activations(), device)?;
        Ok(Mamba2State { conv, states })
    }

    /// Feeds as many positions to each of some sequences, `[rows, width]`, sequence after sequence. To what it makes of
    /// them `residual` is added, of the same shape.
    pub fn forward(&self, x: &Tensor, residual: &Tensor, states: &mut [&mut Mamba2State]) -> Result<Tensor> {
        let (rows, count) = (x.dim(0)?, x.dim(0)? / states.len().max(1));
        if count * states.len() != rows || rows == 0 {
            candle_core::bail!("{rows} rows are not those of {} sequences", states.len());
        }
        let Mamba2Sizes { inner, heads, .. } = self.sizes;
        let channels = self.sizes.channels();
        let all = self.project_in.forward(x, Epilogue::None)?;
        let (gate, mixed) = (all.narrow(1, 0, inner)?, all.narrow(1, inner, channels)?);
        let dt = all.narrow(1, inner + channels, heads)?;
        let of_sequence = |at: usize, state: &mut Mamba2State| {
            let (mixed, dt) = (mixed.narrow(0, at * count, count)?, dt.narrow(0, at * count, count)?);
            let mixed = silu(&self.convolve(&mixed, state)?)?;
            self.scan(&Inputs { mixed: &mixed, dt: &dt }, &mut state.states)
        };
        let made = states.iter_mut().enumerate().map(|(at, state)| of_sequence(at, state));
        let y = Tensor::cat(&made.collect::<Result<Vec<_>>>()?, 0)?;
        self.project_out.forward(&self.norm.forward(&self.gated(&y, &gate)?)?, Epilogue::Add(residual))
    }

    fn convolve(&self, mixed: &Tensor, state: &mut Mamba2State) -> Result<Tensor> {
        let kept = state.conv.dim(0)?;
        let seen = Tensor::cat(&[&state.conv, mixed], 0)?;
        // A copy, so that the rows before these are let go.
        state.conv = seen.narrow(0, seen.dim(0)? - kept, kept)?.force_contiguous()?;
        self.conv.forward(&seen)
    }

    /// `[rows, inner]` each.
    fn gated(&self, y: &Tensor, gate: &Tensor) -> Result<Tensor> {
        let Some(level) = self.context.kernels else { return y * gate.silu()? };
        let (rows, inner) = y.dims2()?;
        let mut out = vec![0.0; rows * inner];
        with_rows(gate, |gate| {
            with_rows(y, |y| {
                out.par_chunks_exact_mut(inner).enumerate().for_each(|(row, out)| {
                    out.copy_from_slice(gate.row(row, inner));
                    math::swiglu(level, out, y.row(row, inner));
                });
            })
        })??;
        Tensor::from_vec(out, (rows, inner), y.device())
    }

    /// `[positions, inner]`
    fn scan(&self, inputs: &Inputs<'_>, states: &mut States) -> Result<Tensor> {
        match states {
            States::Kernel(level, states) => {
                let out = with_rows(inputs.mixed, |mixed| {
                    with_rows(inputs.dt, |dt| self.scan_in_order(*level, mixed, dt, states))
                })??;
                Tensor::from_vec(out, (inputs.mixed.dim(0)?, self.sizes.inner), inputs.mixed.device())
            }
            States::Plain(states) => self.scan_in_chunks(inputs, states),
        }
    }

    /// Each head on its own, position by position.
    fn scan_in_order(&self, level: SimdLevel, mixed: Rows<'_>, dt: Rows<'_>, states: &mut [f32]) -> Vec<f32> {
        let Mamba2Sizes { inner, heads, state, .. } = self.sizes;
        let (head_dim, count) = (self.sizes.head_dim(), mixed.count);
        // Head by head, so that each task has a part of its own.
        let mut made = vec![0.0; count * inner];
        let tasks = made.par_chunks_exact_mut(count * head_dim).zip(states.par_chunks_exact_mut(head_dim * state));
        tasks.enumerate().for_each(|(head, (made, states))| {
            for (position, out) in made.chunks_exact_mut(head_dim).enumerate() {
                let row = mixed.row(position, self.sizes.channels());
                let step = softplus(dt.row(position, heads)[head] + self.heads.dt_bias[head]);
                let (x, others) = (&row[head * head_dim..][..head_dim], &row[inner..]);
                let (b, c) = others.split_at(state);
                let decay = (step * self.heads.a[head]).exp();
                advance(level, HeadStep { decay, step, skip: self.heads.skip[head], x, b, c }, states, out);
            }
        });
        if count == 1 {
            return made;
        }
        let at = |position: usize, head: usize| &made[(head * count + position) * head_dim..][..head_dim];
        (0..count).flat_map(|position| (0..heads).flat_map(move |head| at(position, head)).copied()).collect()
    }

    /// The same by products of matrices, some positions at a time: what those of a chunk give each other, what the states
    /// before it give them, and the states after it.
    fn scan_in_chunks(&self, inputs: &Inputs<'_>, states: &mut Tensor) -> Result<Tensor> {
        let Mamba2Sizes { inner, heads, state, .. } = self.sizes;
        let (head_dim, device, dtype) = (self.sizes.head_dim(), inputs.mixed.device(), inputs.mixed.dtype());
        let by_head = |at: usize| self.heads.all.get(at)?.reshape((heads, 1));
        let (bias, a, skip) = (by_head(0)?, by_head(1)?, by_head(2)?.unsqueeze(2)?);
        let mut made = Vec::new();
        for first in (0..inputs.mixed.dim(0)?).step_by(CHUNK) {
            let count = CHUNK.min(inputs.mixed.dim(0)? - first);
            let mixed = inputs.mixed.narrow(0, first, count)?.to_dtype(DType::F32)?;
            let dt = inputs.dt.narrow(0, first, count)?.to_dtype(DType::F32)?.t()?;
            // [heads, count]
            let dt = softplus_of(&dt.broadcast_add(&bias)?)?;
            let sums = dt.broadcast_mul(&a)?.cumsum(D::Minus1)?;
            let x = mixed.narrow(1, 0, inner)?.reshape((count, heads, head_dim))?.transpose(0, 1)?.contiguous()?;
            let (b, c) = (mixed.narrow(1, inner, state)?.contiguous()?, mixed.narrow(1, inner + state, state)?);
            let stepped = x.broadcast_mul(&dt.unsqueeze(2)?)?;
            // What is left at a position of what came in at another, and nothing of what comes after it.
            let decays = sums.unsqueeze(2)?.broadcast_sub(&sums.unsqueeze(1)?)?;
            let decays = decays.broadcast_add(&later(count, device)?)?.exp()?;
            let weights = decays.broadcast_mul(&c.contiguous()?.matmul(&b.t()?)?)?;
            let within = weights.matmul(&stepped)?;
            // [heads, count, state] · [heads, state, head_dim]
            let read = c.unsqueeze(0)?.broadcast_mul(&sums.exp()?.unsqueeze(2)?)?;
            let before = read.matmul(&states.transpose(1, 2)?.contiguous()?)?;
            let y = ((within + before)? + x.broadcast_mul(&skip)?)?;
            made.push(y.transpose(0, 1)?.reshape((count, inner))?.to_dtype(dtype)?);
            let total = sums.narrow(1, count - 1, 1)?;
            let left = total.broadcast_sub(&sums)?.exp()?.unsqueeze(2)?;
            let written = stepped.broadcast_mul(&left)?.transpose(1, 2)?.contiguous()?;
            let written = written.matmul(&b.unsqueeze(0)?.broadcast_as((heads, count, state))?.contiguous()?)?;
            *states = (states.broadcast_mul(&total.exp()?.unsqueeze(2)?)? + written)?;
        }
        Tensor::cat(&made, 0)
    }
}

/// `ln(1 + eˣ)`, also where that exponential is none.
fn softplus(x: f32) -> f32 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

fn softplus_of(x: &Tensor) -> Result<Tensor> {
    x.relu()? + (x.abs()?.neg()?.exp()? + 1.0)?.log()?
}

/// 0 for a position and those before it, minus infinity for those after it: `[count, count]`.
fn later(count: usize, device: &candle_core::Device) -> Result<Tensor> {
    let hidden = |row: usize, column: usize| if column > row { f32::NEG_INFINITY } else { 0.0 };
    let mask = (0..count).flat_map(|row| (0..count).map(move |column| hidden(row, column)));
    Tensor::from_iter(mask, device)?.reshape((count, count))
}
