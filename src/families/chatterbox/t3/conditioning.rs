//! The voice, as T3 is told of it.

use candle_core::{Result, Tensor};

use super::perceiver::Perceiver;
use crate::nn::{
    ComputeContext, Epilogue, Linear,
    weights::{Loaded, Loader},
};

/// A voice, and how to speak with it.
#[derive(Clone, Debug, PartialEq)]
pub struct T3Conditioning {
    /// From the voice encoder, `[256]`.
    pub speaker: Vec<f32>,
    /// Speech tokens of the reference; may be empty.
    pub prompt: Vec<u32>,
    /// 0.5 is neutral. Models without a layer for it do not hear it.
    pub exaggeration: f32,
}

/// Turns a voice into vectors before the text.
#[derive(Debug)]
pub(super) struct ConditioningEncoder {
    speaker: Linear,
    /// Numbers of a speaker.
    pub speaker_size: usize,
    perceiver: Option<Perceiver>,
    /// `[1, width]`
    emotion: Option<Tensor>,
    context: ComputeContext,
}

// === impl ConditioningEncoder ===

impl ConditioningEncoder {
    pub fn load(loader: &mut Loader<'_>, prefix: &str, width: usize) -> Loaded<Self> {
        let [_, speaker_size] = loader.weights.sizes(&format!("{prefix}spkr_enc.weight"))?;
        Ok(Self {
            speaker: loader.linear(&format!("{prefix}spkr_enc"), speaker_size, width)?,
            speaker_size,
            perceiver: {
                let prefix = format!("{prefix}perceiver.");
                let present = loader.weights.has(&format!("{prefix}pre_attention_query"));
                present.then(|| Perceiver::load(loader, &prefix, width)).transpose()?
            },
            emotion: emotion(loader, &format!("{prefix}emotion_adv_fc.weight"), width)?,
            context: loader.context.clone(),
        })
    }

    /// `prompt`: embedded, `[tokens, width]`; `None` without tokens. `[positions, width]`
    pub fn forward(&self, voice: &T3Conditioning, prompt: Option<Tensor>) -> Result<Tensor> {
        let speaker = self.context.tensor(voice.speaker.clone(), &[1, voice.speaker.len()])?;
        let mut parts = vec![self.speaker.forward(&speaker, Epilogue::None)?];
        parts.extend(match (prompt, &self.perceiver) {
            (Some(prompt), Some(perceiver)) => Some(perceiver.forward(&prompt)?),
            (prompt, _) => prompt,
        });
        if let Some(emotion) = &self.emotion {
            parts.push((emotion * f64::from(voice.exaggeration))?);
        }
        Tensor::cat(&parts, 0)
    }
}

/// `[1, width]`, if there is such a tensor.
fn emotion(loader: &mut Loader<'_>, name: &str, width: usize) -> Loaded<Option<Tensor>> {
    if !loader.weights.has(name) {
        return Ok(None);
    }
    let weight = loader.weights.take(name, &[width, 1])?;
    Ok(Some(loader.context.tensor(weight, &[1, width])?))
}
