//! Whether somebody speaks: the network of Silero VAD (github.com/snakers4/silero-vad, MIT), from version 5 on, at 16 kHz.
//!
//! Magnitudes of short spectra, four convolutions over them, an LSTM from one frame to the next, and a probability. A frame is
//! so little work that it is done where it stands, by plain loops that the compiler makes vectors of: to hand it to other
//! threads, or to lay it out for the kernels, would take longer.

use crate::weights::{LayerError, Loaded, WeightError, Weights};

/// Samples of the frame before that are heard once more with each.
const CONTEXT: usize = 64;
/// Samples that one spectrum is of, and from one to the next.
const WINDOW: usize = 256;
const HOP: usize = WINDOW / 2;
/// Samples after the frame, which are those before its end in reverse.
const REFLECTED: usize = 64;
const BINS: usize = WINDOW / 2 + 1;
/// Frames of spectra from one to the next, of each convolution: the four spectra of a frame become one column.
const STRIDES: [usize; 4] = [1, 2, 2, 1];
/// Input, forget, cell, output: in the order of PyTorch's `LSTMCell`.
const GATES: usize = 4;

/// The weights of the network.
pub struct SileroVad {
    spectrum: Layer,
    convolutions: Vec<Layer>,
    input: Layer,
    recurrent: Layer,
    last: Layer,
    hidden: usize,
}

/// What the network remembers of one sound.
pub struct SileroState {
    context: [f32; CONTEXT],
    out: Vec<f32>,
    cell: Vec<f32>,
}

/// A convolution over time; with one tap a linear layer.
struct Layer {
    depth: usize,
    columns: usize,
    taps: usize,
    stride: usize,
    /// Frames of zeros at either side.
    padding: usize,
    /// `[taps, depth, columns]`: what a number is multiplied with stands side by side.
    weight: Vec<f32>,
    bias: Vec<f32>,
}

// === impl SileroVad ===

impl SileroVad {
    /// Samples per second of what is listened to.
    pub const RATE: u32 = 16_000;
    /// Samples that one probability is of.
    pub const FRAME: usize = 512;

    /// From `silero_vad_16k.safetensors` of the package `silero-vad`.
    pub fn load(weights: &mut Weights) -> Loaded<Self> {
        let spectrum = Layer::load(weights, "stft_conv", [2 * BINS, 1, WINDOW], HOP, false)?;
        let (mut depth, mut convolutions) = (BINS, Vec::new());
        for (at, stride) in STRIDES.into_iter().enumerate() {
            let name = format!("conv{}", at + 1);
            let [columns, ..] = weights.sizes::<3>(&format!("{name}.weight"))?;
            convolutions.push(Layer { padding: 1, ..Layer::load(weights, &name, [columns, depth, 3], stride, true)? });
            depth = columns;
        }
        let [_, hidden] = weights.sizes("lstm_cell.weight_hh")?;
        let gates = GATES.checked_mul(hidden).ok_or_else(too_large)?;
        let mut linear = |part: &str, depth: usize| -> Loaded<Layer> {
            let weight = weights.take(&format!("lstm_cell.weight_{part}"), &[gates, depth])?;
            let bias = weights.take(&format!("lstm_cell.bias_{part}"), &[gates])?;
            Ok(Layer::new(&weight, bias, [gates, depth, 1], 1))
        };
        let (input, recurrent) = (linear("ih", depth)?, linear("hh", hidden)?);
        let last = Layer::load(weights, "final_conv", [1, hidden, 1], 1, true)?;
        Ok(Self { spectrum, convolutions, input, recurrent, last, hidden })
    }

    /// Before a sound begins.
    pub fn begin(&self) -> SileroState {
        SileroState { context: [0.0; CONTEXT], out: vec![0.0; self.hidden], cell: vec![0.0; self.hidden] }
    }

    /// How likely it is that somebody speaks in the [`Self::FRAME`] samples that follow what was heard before.
    pub fn probability(&self, frame: &[f32; Self::FRAME], state: &mut SileroState) -> f32 {
        let x = self.magnitudes(frame, state);
        let x = self.convolutions.iter().fold(x, |x, layer| layer.forward(&x).iter().map(|x| x.max(0.0)).collect());
        let mut gates = self.input.forward(&x);
        gates.iter_mut().zip(self.recurrent.forward(&state.out)).for_each(|(gate, more)| *gate += more);
        state.advance(&gates);
        let heard: Vec<f32> = state.out.iter().map(|x| x.max(0.0)).collect();
        sigmoid(self.last.forward(&heard)[0])
    }

    /// `[spectra, BINS]`
    fn magnitudes(&self, frame: &[f32; Self::FRAME], state: &mut SileroState) -> Vec<f32> {
        let reflected = frame.iter().rev().skip(1).take(REFLECTED);
        let sound: Vec<f32> = state.context.iter().chain(frame).chain(reflected).copied().collect();
        state.context.copy_from_slice(&frame[Self::FRAME - CONTEXT..]);
        let parts = self.spectrum.forward(&sound);
        let magnitude = |spectrum: &[f32]| {
            let (real, imaginary) = spectrum.split_at(BINS);
            real.iter()
                .zip(imaginary)
                .map(|(real, imaginary)| (real * real + imaginary * imaginary).sqrt())
                .collect::<Vec<f32>>()
        };
        parts.chunks_exact(2 * BINS).flat_map(magnitude).collect()
    }
}

fn too_large() -> LayerError {
    WeightError::tensor("lstm_cell.weight_hh", "is larger than any of such a network".to_owned()).into()
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

// === impl SileroState ===

impl SileroState {
    fn advance(&mut self, gates: &[f32]) {
        let hidden = self.cell.len();
        for (at, (cell, out)) in self.cell.iter_mut().zip(&mut self.out).enumerate() {
            let gate = |gate: usize| gates[gate * hidden + at];
            *cell = sigmoid(gate(1)) * *cell + sigmoid(gate(0)) * gate(2).tanh();
            *out = sigmoid(gate(3)) * cell.tanh();
        }
    }
}

// === impl Layer ===

impl Layer {
    /// `sizes`: columns, depth, taps.
    fn load(weights: &mut Weights, name: &str, sizes: [usize; 3], stride: usize, biased: bool) -> Loaded<Self> {
        let weight = weights.take(&format!("{name}.weight"), &sizes)?;
        let bias = match biased {
            true => weights.take(&format!("{name}.bias"), &sizes[..1])?,
            false => vec![0.0; sizes[0]],
        };
        Ok(Self::new(&weight, bias, sizes, stride))
    }

    /// `weight`: `[columns, depth, taps]`
    fn new(weight: &[f32], bias: Vec<f32>, [columns, depth, taps]: [usize; 3], stride: usize) -> Self {
        let mut turned = vec![0.0; weight.len()];
        for (at, value) in weight.iter().enumerate() {
            let (column, place, tap) = (at / (depth * taps), at / taps % depth, at % taps);
            turned[(tap * depth + place) * columns + column] = *value;
        }
        Self { depth, columns, taps, stride, padding: 0, weight: turned, bias }
    }

    /// `[frames, depth]` → `[out, columns]`
    fn forward(&self, x: &[f32]) -> Vec<f32> {
        let frames = x.len() / self.depth;
        let out = (frames + 2 * self.padding - self.taps) / self.stride + 1;
        (0..out).flat_map(|at| self.column(x, frames, at * self.stride)).collect()
    }

    /// What comes out at frame `first` of the padded input.
    fn column(&self, x: &[f32], frames: usize, first: usize) -> Vec<f32> {
        let mut sums = self.bias.clone();
        for tap in 0..self.taps {
            let Some(frame) = (first + tap).checked_sub(self.padding).filter(|frame| *frame < frames) else { continue };
            let rows = self.weight[tap * self.depth * self.columns..].chunks_exact(self.columns);
            for (x, row) in x[frame * self.depth..][..self.depth].iter().zip(rows) {
                // Half of what comes out of a rectifier is nothing.
                if *x != 0.0 {
                    sums.iter_mut().zip(row).for_each(|(sum, weight)| *sum += x * weight);
                }
            }
        }
        sums
    }
}

#[cfg(test)]
mod tests;
