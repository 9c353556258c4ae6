//! What a voice is made of before anything shapes it: a sine at its pitch, harmonics of that, and noise.

use std::f64::consts::TAU;

use candle_core::Result;
use rand::{Rng, SeedableRng, rngs::StdRng};
use rayon::prelude::*;

use super::rates::{FRAME, SAMPLE_RATE};
use crate::nn::weights::{Loaded, Loader};

/// Amplitude of each sine.
const SINE: f32 = 0.1;

/// Deviation of the noise beside the sines of a voiced frame, and of that in the place of them.
const BREATH: f32 = 0.003;
const UNVOICED: f32 = SINE / 3.0;

/// In Hz: a frame whose pitch is not above it has no voice.
const VOICED: f32 = 10.0;

/// How harmonics and noise become one signal.
#[derive(Debug)]
pub struct HarmonicSource {
    /// Of each harmonic, the fundamental first.
    weights: Vec<f32>,
    bias: f32,
}

/// What is random in a source.
pub trait Randomness: Send + Sync {
    /// Where each harmonic begins, in radians; the fundamental at 0.
    fn phases(&self, phases: &mut [f32]);

    /// Normal numbers of deviation 1 for a frame, `[FRAME, harmonics]`. The same whenever they are asked for.
    fn noise(&self, frame: usize, noise: &mut [f32]);
}

/// Random numbers that depend on a seed and the frame only.
#[derive(Clone, Copy, Debug)]
pub struct Seeded(pub u64);

/// The source of one sound, as far as it is settled: its phase at the end of that, and the last of its samples.
pub struct SourceState {
    randomness: Box<dyn Randomness>,
    phases: Vec<f32>,
    /// Of the fundamental, in cycles; its whole part is left out.
    cycles: f64,
    settled: usize,
    /// Samples of the last settled frames, at most `history` of them.
    kept: Vec<f32>,
    history: usize,
}

// === impl HarmonicSource ===

impl HarmonicSource {
    /// `name`: that of the layer which merges the harmonics, whose weights tell how many there are.
    pub fn load(loader: &mut Loader<'_>, name: &str) -> Loaded<Self> {
        let weight = format!("{name}.weight");
        let [_, harmonics] = loader.weights.sizes(&weight)?;
        let weights = loader.weights.take(&weight, &[1, harmonics])?;
        Ok(Self { weights, bias: loader.weights.take(&format!("{name}.bias"), &[1])?[0] })
    }

    /// A source that keeps the samples of so many frames.
    pub fn begin(&self, randomness: impl Randomness + 'static, history: usize) -> SourceState {
        let mut phases = vec![0.0; self.weights.len()];
        randomness.phases(&mut phases);
        let randomness = Box::new(randomness);
        SourceState { randomness, phases, cycles: 0.0, settled: 0, kept: Vec::new(), history }
    }

    /// The samples of some frames. `pitch`, in Hz, is that of the frames after the settled ones, up to the last of
    /// `frames`. Those before frame `settle` are settled from then on.
    pub fn samples(
        &self,
        state: &mut SourceState,
        frames: std::ops::Range<usize>,
        pitch: &[f32],
        settle: usize,
    ) -> Result<Vec<f32>> {
        let (settling, later) = pitch.split_at(settle.saturating_sub(state.settled).min(pitch.len()));
        self.settle(state, settling);
        let mut samples = state.kept(frames.start, frames.end)?;
        let start = frames.start.max(state.settled);
        let provisional = self.make(state, later).0;
        samples.extend_from_slice(provisional.get((start - state.settled) * FRAME..).unwrap_or_default());
        state.forget();
        Ok(samples)
    }

    fn settle(&self, state: &mut SourceState, pitch: &[f32]) {
        let (samples, cycles) = self.make(state, pitch);
        state.kept.extend(samples);
        state.cycles = cycles;
        state.settled += pitch.len();
    }

    /// The samples of the frames after the settled ones, and the cycles at their end.
    fn make(&self, state: &SourceState, pitch: &[f32]) -> (Vec<f32>, f64) {
        let mut cycles = state.cycles;
        let start = |&pitch: &f32| {
            let after = (cycles + cycles_after(FRAME, pitch)).fract();
            std::mem::replace(&mut cycles, after)
        };
        let starts: Vec<f64> = pitch.iter().map(start).collect();
        let mut samples = vec![0.0; pitch.len() * FRAME];
        samples.par_chunks_exact_mut(FRAME).enumerate().for_each_init(
            || vec![0.0; FRAME * self.weights.len()],
            |noise, (at, samples)| {
                state.randomness.noise(state.settled + at, noise);
                self.frame(pitch[at], starts[at], &state.phases, noise, samples);
            },
        );
        (samples, cycles)
    }

    /// A frame that begins after so many cycles.
    fn frame(&self, pitch: f32, start: f64, phases: &[f32], noise: &[f32], samples: &mut [f32]) {
        let voiced = pitch > VOICED;
        let (sine, breath) = if voiced { (SINE, BREATH) } else { (0.0, UNVOICED) };
        for ((n, sample), noise) in samples.iter_mut().enumerate().zip(noise.chunks_exact(self.weights.len())) {
            let cycles = start + cycles_after(n + 1, pitch);
            let mut sum = self.bias;
            for (((harmonic, weight), phase), noise) in (1u32..).zip(&self.weights).zip(phases).zip(noise) {
                let wave = if voiced { harmonic_at(cycles, harmonic, *phase) } else { 0.0 };
                sum += weight * (sine * wave + breath * noise);
            }
            *sample = sum.tanh();
        }
    }
}

/// Of the fundamental, within a frame of this pitch.
fn cycles_after(samples: usize, pitch: f32) -> f64 {
    samples as f64 * f64::from(pitch) / SAMPLE_RATE as f64
}

fn harmonic_at(cycles: f64, harmonic: u32, phase: f32) -> f32 {
    (((cycles * f64::from(harmonic)).fract() * TAU) as f32 + phase).sin()
}

// === impl SourceState ===

impl SourceState {
    /// Frames whose source will not change any more.
    pub fn settled(&self) -> usize {
        self.settled
    }

    /// Samples of settled frames between these two.
    fn kept(&self, start: usize, end: usize) -> Result<Vec<f32>> {
        let (start, end) = (start.min(self.settled), end.min(self.settled));
        let first = self.settled - self.kept.len() / FRAME;
        if start < first {
            candle_core::bail!("the source of frame {start} is kept no longer, only from {first} on");
        }
        Ok(self.kept[(start - first) * FRAME..(end - first) * FRAME].to_vec())
    }

    fn forget(&mut self) {
        let old = self.kept.len().saturating_sub(self.history * FRAME);
        self.kept.drain(..old);
    }
}

impl std::fmt::Debug for SourceState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SourceState")
            .field("settled", &self.settled)
            .field("cycles", &self.cycles)
            .finish_non_exhaustive()
    }
}

// === impl Seeded ===

impl Seeded {
    fn generator(self, stream: u64) -> StdRng {
        StdRng::seed_from_u64(self.0 ^ stream.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }
}

impl Randomness for Seeded {
    fn phases(&self, phases: &mut [f32]) {
        let mut random = self.generator(0);
        phases.fill(0.0);
        for phase in phases.iter_mut().skip(1) {
            *phase = random.random_range(-std::f32::consts::PI..std::f32::consts::PI);
        }
    }

    /// After Box and Muller, two at once.
    fn noise(&self, frame: usize, noise: &mut [f32]) {
        let mut random = self.generator(frame as u64 + 1);
        for pair in noise.chunks_mut(2) {
            let (radius, turn): (f32, f32) = (random.random(), random.random());
            let radius = (-2.0 * (1.0 - radius).ln()).sqrt();
            let (sine, cosine) = (turn * std::f32::consts::TAU).sin_cos();
            for (to, number) in pair.iter_mut().zip([radius * cosine, radius * sine]) {
                *to = number;
            }
        }
    }
}
