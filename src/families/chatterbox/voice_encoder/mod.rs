//! Whose voice it is, for T3: a GE2E encoder (Wan et al., arXiv 1710.10467) over the mel spectrum of all that is said.
//!
//! Short parts that overlap go through an LSTM, each gives a vector of length 1, and the voice is their mean.

mod parts;

use candle_core::{DType, Result, Tensor};

use self::parts::{PART, STEP};
use crate::{
    audio::{MelSpec, MelSpectrogram, trim_silence},
    nn::{
        ComputeContext, Epilogue, Linear, Lstm,
        weights::{Loaded, Loader},
    },
};

/// Samples per second of what is listened to.
pub const RATE: u32 = 16_000;
/// What is so many decibels below the loudest frame is no speech, at either end of a recording.
const QUIET: f64 = 20.0;
/// Parts that go through the network side by side: what they take is then the same for any recording.
const BATCH: usize = 32;

/// The weights of the encoder.
pub struct VoiceEncoder {
    mel: MelSpectrogram,
    lstm: Lstm,
    projection: Linear,
    context: ComputeContext,
}

// === impl VoiceEncoder ===

impl VoiceEncoder {
    /// From `ve.safetensors`, or `ve.pt`, whose names have no prefix.
    pub fn load(loader: &mut Loader<'_>) -> Loaded<Self> {
        let [_, bands] = loader.weights.sizes("lstm.weight_ih_l0")?;
        let [width, hidden] = loader.weights.sizes("proj.weight")?;
        let layers = (0..).take_while(|at| loader.weights.has(&format!("lstm.weight_ih_l{at}"))).count();
        // Of its training: how similar two voices are.
        loader.weights.ignore("similarity_weight");
        loader.weights.ignore("similarity_bias");
        let spec = MelSpec { rate: RATE, n_fft: 400, hop: 160, bands, fmin: 0.0, fmax: 8_000.0 };
        Ok(Self {
            mel: MelSpectrogram::of_power(&spec),
            lstm: loader.lstm("lstm", bands, hidden, layers)?,
            projection: loader.linear("proj", hidden, width)?,
            context: loader.context.clone(),
        })
    }

    /// Numbers that describe a voice.
    pub fn width(&self) -> usize {
        self.projection.columns()
    }

    /// The voice in a recording at [`RATE`], of length 1.
    pub fn embed(&self, samples: &[f32]) -> Result<Vec<f32>> {
        let mel = self.mel(samples);
        let parts = parts::count(mel.len() / self.mel.bands());
        let mut sum = vec![0.0; self.width()];
        for first in (0..parts).step_by(BATCH) {
            let count = BATCH.min(parts - first);
            for mut part in self.embed_parts(&mel, first, count)? {
                normalise(&mut part);
                sum.iter_mut().zip(part).for_each(|(sum, x)| *sum += x);
            }
        }
        normalise(&mut sum);
        if !sum.iter().any(|&x| x > 0.0) {
            candle_core::bail!("no voice is heard in {} samples", samples.len());
        }
        Ok(sum)
    }

    /// `[frames, bands]` of what is left without the quiet at both ends: power, without a logarithm.
    pub(super) fn mel(&self, samples: &[f32]) -> Vec<f32> {
        self.mel.compute(trim_silence(samples, QUIET))
    }

    /// A vector for each of `count` parts from the `first` on, not yet of length 1.
    fn embed_parts(&self, mel: &[f32], first: usize, count: usize) -> Result<Vec<Vec<f32>>> {
        let input = self.side_by_side(mel, first, count)?;
        let last = self.lstm.forward(&input, count)?.narrow(0, (PART - 1) * count, count)?;
        let embedded = self.projection.forward(&last, Epilogue::None)?.relu()?;
        embedded.to_dtype(DType::F32)?.to_vec2()
    }

    /// The frames of the parts, `[PART * count, bands]`, those of one step after each other. Silence follows the end.
    fn side_by_side(&self, mel: &[f32], first: usize, count: usize) -> Result<Tensor> {
        let bands = self.mel.bands();
        let mut input = Vec::with_capacity(PART * count * bands);
        for (step, part) in (0..PART).flat_map(|step| (first..first + count).map(move |part| (step, part))) {
            let frame = part * STEP + step;
            match mel.get(frame * bands..(frame + 1) * bands) {
                Some(frame) => input.extend_from_slice(frame),
                None => input.resize(input.len() + bands, 0.0),
            }
        }
        self.context.tensor(input, &[PART * count, bands])
    }
}

/// Makes the length 1; what is nothing stays so.
fn normalise(vector: &mut [f32]) {
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|x| *x /= length);
    }
}
