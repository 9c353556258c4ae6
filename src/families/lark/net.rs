//! The three networks: symbols to their lengths, steps to pitch, steps and pitch to the bands of a spectrum.

use std::ops::Range;

use super::{
    config::Config,
    config::Pitch,
    convnext::ConvNext,
    dense::{Dense, Norm},
    error::LarkError,
    plan::{Plan, lengths},
};
use crate::nn::weights::Weights;

/// What a step knows of its place in its symbol: how far from the start, from the end, and the log of its length.
const PLACES: usize = 3;

/// The networks of a voice.
#[derive(Debug)]
pub struct LarkNet {
    /// `[symbols, text]`
    embedding: Vec<f32>,
    text: ConvNext,
    text_norm: Norm,
    duration: Dense,
    prosody_enter: Dense,
    prosody: ConvNext,
    prosody_norm: Norm,
    prosody_leave: Dense,
    decoder_enter: Dense,
    decoder: ConvNext,
    decoder_norm: Norm,
    decoder_leave: Dense,
    /// Of log magnitudes, `[2 bands]`.
    mean: Vec<f32>,
    deviation: Vec<f32>,
    sizes: Sizes,
}

#[derive(Clone, Copy, Debug)]
struct Sizes {
    text: usize,
    /// Frames of the vocoder in a step.
    frames: usize,
    bands: usize,
    /// Steps to either side that the decoder looks at.
    reach: usize,
    pitch: Pitch,
}

// === impl LarkNet ===

impl LarkNet {
    pub fn load(weights: &mut Weights, config: &Config) -> Result<Self, LarkError> {
        let (text, prosody, decoder) = (&config.text, &config.prosody, &config.decoder);
        let (frames, bands) = (config.signal.frames_per_step, config.signal.bands());
        Ok(Self {
            embedding: weights.take("encoder.embedding.weight", &[config.symbols.len(), text.width])?,
            text: ConvNext::load(weights, "encoder.blocks", text)?,
            text_norm: Norm::load(weights, "encoder.norm", text.width)?,
            duration: Dense::load(weights, "encoder.duration", text.width, 1)?,
            prosody_enter: Dense::load(weights, "prosody.enter", text.width + PLACES, prosody.width)?,
            prosody: ConvNext::load(weights, "prosody.blocks", prosody)?,
            prosody_norm: Norm::load(weights, "prosody.norm", prosody.width)?,
            prosody_leave: Dense::load(weights, "prosody.leave", prosody.width, 2 * frames)?,
            decoder_enter: Dense::load(weights, "decoder.enter", text.width + PLACES + 2 * frames, decoder.width)?,
            decoder: ConvNext::load(weights, "decoder.blocks", decoder)?,
            decoder_norm: Norm::load(weights, "decoder.norm", decoder.width)?,
            decoder_leave: Dense::load(weights, "decoder.leave", decoder.width, 2 * bands * frames)?,
            mean: weights.take("mean", &[2 * bands])?,
            deviation: weights.take("deviation", &[2 * bands])?,
            sizes: Sizes { text: text.width, frames, bands, reach: decoder.reach(), pitch: config.pitch },
        })
    }

    /// How long each symbol lasts and how high the voice is. `ids`: symbols with both edges, each of the alphabet.
    pub fn plan(&self, ids: &[u8], speed: f32) -> Result<Plan, LarkError> {
        let width = self.sizes.text;
        let rows = ids.iter().flat_map(|&id| &self.embedding[usize::from(id) * width..][..width]);
        let text = self.text_norm.forward(self.text.forward(rows.copied().collect())?)?;
        let lengths = lengths(&self.duration.forward(text.clone())?, speed);
        let steps = spread(&text, width, &lengths);
        let said = self.prosody_enter.forward(steps.clone())?;
        let said = self.prosody_leave.forward(self.prosody_norm.forward(self.prosody.forward(said)?)?)?;
        Ok(self.with_pitch(&steps, &said, lengths))
    }

    /// `said`: scaled log pitch of each frame of a step, then the logits of voice.
    fn with_pitch(&self, steps: &[f32], said: &[f32], lengths: Vec<usize>) -> Plan {
        let (frames, width) = (self.sizes.frames, self.sizes.text + PLACES);
        let (mut rows, mut f0) = (Vec::new(), Vec::new());
        for (step, said) in steps.chunks_exact(width).zip(said.chunks_exact(2 * frames)) {
            let (pitch, voice) = said.split_at(frames);
            rows.extend_from_slice(step);
            rows.extend(pitch.iter().zip(voice).map(|(&pitch, &voice)| if voice > 0.0 { pitch } else { 0.0 }));
            rows.extend(voice.iter().map(|&voice| f32::from(voice > 0.0)));
            f0.extend(pitch.iter().zip(voice).map(|(&pitch, &voice)| self.hertz(pitch, voice)));
        }
        Plan { rows, width: width + 2 * frames, f0, lengths }
    }

    fn hertz(&self, pitch: f32, voice: f32) -> f32 {
        let Pitch { centre, scale } = self.sizes.pitch;
        if voice > 0.0 { (pitch * scale + centre).exp() } else { 0.0 }
    }

    /// Log magnitudes of some steps, row by row of a frame: harmonics, then noise, `[steps · frames, 2 bands]`. The same
    /// as those rows of the whole, since all steps are read on which they depend.
    pub fn decode(&self, plan: &Plan, steps: Range<usize>) -> Result<Vec<f32>, LarkError> {
        let read = steps.start.saturating_sub(self.sizes.reach)..(steps.end + self.sizes.reach).min(plan.steps());
        let rows = plan.rows[read.start * plan.width..read.end * plan.width].to_vec();
        let decoded = self.decoder.forward(self.decoder_enter.forward(rows)?)?;
        let width = decoded.len() / read.len().max(1);
        let wanted = decoded[(steps.start - read.start) * width..(steps.end - read.start) * width].to_vec();
        let mut bands = self.decoder_leave.forward(self.decoder_norm.forward(wanted)?)?;
        for row in bands.chunks_exact_mut(2 * self.sizes.bands) {
            for ((value, mean), deviation) in row.iter_mut().zip(&self.mean).zip(&self.deviation) {
                *value = *value * deviation + mean;
            }
        }
        Ok(bands)
    }
}

/// Repeats the row of each symbol for its steps, and says where in the symbol each step is.
fn spread(text: &[f32], width: usize, lengths: &[usize]) -> Vec<f32> {
    let mut steps = Vec::with_capacity(lengths.iter().sum::<usize>() * (width + PLACES));
    for (row, &length) in text.chunks_exact(width).zip(lengths) {
        for since in 0..length {
            let part = (since as f32 + 0.5) / length as f32;
            steps.extend_from_slice(row);
            steps.extend([part, 1.0 - part, (length as f32).ln() - 1.0]);
        }
    }
    steps
}
