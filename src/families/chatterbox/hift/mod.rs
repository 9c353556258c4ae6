//! HiFT, the vocoder: log-mel frames to samples, through the pitch.
//!
//! A small network hears the pitch of each frame ([`pitch`]), a bank of sines follows it ([`source`]), and a generator
//! shapes their spectrum into that of the sound ([`generator`]). After arXiv 2309.09493, in the sizes of CosyVoice 2.
//!
//! A frame of sound depends on mels and source of a few frames to either side only. So a long mel is decoded in windows
//! ([`Hift::decode`]), and one that still grows by its newest frames, with the same sound as in one go.

mod fade;
mod generator;
mod pitch;
mod rates;
mod residual;
mod sizes;
mod source;
#[cfg(test)]
mod tests;

use std::ops::Range;

use candle_core::{DType, Result, Tensor};

pub use self::{
    fade::fade_in,
    rates::FRAME,
    source::{HarmonicSource, Randomness, Seeded, SourceState},
};
use self::{generator::Generator, pitch::PitchPredictor, rates::FRAME_RATE, sizes::Sizes};
use crate::nn::{
    ComputeContext, SimdLevel,
    weights::{Loaded, Loader},
};

/// Frames that [`Hift::decode`] decodes at once, beside those around them: five seconds.
const WINDOW: usize = 5 * FRAME_RATE;

/// The weights of a vocoder.
#[derive(Debug)]
pub struct Hift {
    sizes: Sizes,
    pitch: PitchPredictor,
    source: HarmonicSource,
    generator: Generator,
    context: ComputeContext,
}

// === impl Hift ===

impl Hift {
    /// `prefix`: what the names of its tensors begin with, with the dot (`mel2wav.`). Sizes are read from the tensors.
    pub fn load(loader: &mut Loader<'_>, prefix: &str) -> Loaded<Self> {
        let sizes = Sizes::read(loader.weights, prefix)?;
        let generator = Generator::load(loader, prefix, &sizes)?;
        let context = loader.context.clone();
        // Pitch adds up to phase, and so would what a matrix unit or half a number's bits leave out.
        let kernels = context.kernels.map(SimdLevel::without_tiles);
        let detached = context.detached || context.dtype != DType::F32;
        let exact = ComputeContext { kernels, dtype: DType::F32, detached, ..context.clone() };
        let mut loader = Loader { weights: &mut *loader.weights, context: &exact };
        let source = HarmonicSource::load(&mut loader, &format!("{prefix}m_source.l_linear"))?;
        let pitch = PitchPredictor::load(&mut loader, &format!("{prefix}f0_predictor"), sizes.bands)?;
        Ok(Self { sizes, pitch, source, generator, context })
    }

    /// Bands of a mel frame.
    pub fn bands(&self) -> usize {
        self.sizes.bands
    }

    /// Frames to either side that a frame of sound depends on: 15 with the published sizes.
    pub fn reach(&self) -> usize {
        self.sizes.reach()
    }

    /// Frames to either side that the pitch of a frame depends on: 5 with the published sizes.
    pub fn pitch_reach(&self) -> usize {
        self.pitch.reach()
    }

    /// The source of a sound that begins. `overlap`: how many frames that were decoded once may be decoded again.
    pub fn source(&self, randomness: impl Randomness + 'static, overlap: usize) -> SourceState {
        self.source.begin(randomness, self.reach() + overlap)
    }

    /// As [`Self::wave`], window by window: what a long mel takes of memory does not grow with it.
    pub fn decode(
        &self,
        mel: &Tensor,
        first: usize,
        wanted: Range<usize>,
        source: &mut SourceState,
    ) -> Result<Vec<f32>> {
        let mut sound = Vec::with_capacity(wanted.len() * FRAME);
        for start in wanted.clone().step_by(WINDOW) {
            sound.extend(self.wave(mel, first, start..wanted.end.min(start + WINDOW), source)?);
        }
        Ok(sound)
    }

    /// The sound of the frames `wanted`, [`FRAME`] samples each.
    ///
    /// `mel`: `[frames, bands]` in `f32`, of which the first is frame `first` of the sound. Frames before the wanted ones, and after
    /// them, are context; where there are less than [`Self::reach`] and [`Self::pitch_reach`] together, the sound begins or
    /// ends there.
    ///
    /// The source of the wanted frames is settled by this call: frames that are decoded again, from a mel that may have
    /// changed, sound with the source that they had. Those that come later go on in its phase.
    fn wave(&self, mel: &Tensor, first: usize, wanted: Range<usize>, source: &mut SourceState) -> Result<Vec<f32>> {
        let known = first..first + mel.dim(0)?;
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        if wanted.start < known.start || wanted.end > known.end {
            candle_core::bail!("frames {wanted:?} of a sound were asked for, of which {known:?} are there");
        }
        let heard = within(&wanted, self.reach(), &known);
        let unsettled = source.settled().min(heard.end)..heard.end;
        let pitch = self.pitch(mel, first, &unsettled)?;
        let excitation = self.source.samples(source, heard.clone(), &pitch, wanted.end)?;
        let excitation = self.context.tensor(excitation, &[heard.len() * FRAME])?;
        let mel = mel.narrow(0, heard.start - first, heard.len())?.to_dtype(self.context.activations())?;
        let sound = self.generator.forward(&mel, &excitation)?;
        sound.narrow(0, (wanted.start - heard.start) * FRAME, wanted.len() * FRAME)?.to_dtype(DType::F32)?.to_vec1()
    }

    /// In Hz, of some frames of a mel that begins with frame `first`.
    fn pitch(&self, mel: &Tensor, first: usize, frames: &Range<usize>) -> Result<Vec<f32>> {
        let known = first..first + mel.dim(0)?;
        if frames.start < known.start {
            candle_core::bail!("the pitch of frame {} is unknown: there are {known:?}", frames.start);
        }
        let heard = within(frames, self.pitch_reach(), &known);
        if frames.is_empty() {
            return Ok(Vec::new());
        }
        let pitch = self.pitch.forward(&mel.narrow(0, heard.start - first, heard.len())?)?;
        pitch.narrow(0, frames.start - heard.start, frames.len())?.to_vec1()
    }
}

/// A range and `reach` more to either side, as far as there is anything.
fn within(range: &Range<usize>, reach: usize, known: &Range<usize>) -> Range<usize> {
    known.start.max(range.start.saturating_sub(reach))..known.end.min(range.end + reach)
}
