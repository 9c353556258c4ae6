//! Whose voice is to speak.

use std::sync::Arc;

use crate::audio::Pcm;

/// Voices that are blended into one, at most.
const MOST: usize = 8;

/// A voice, as a family is given it.
#[derive(Clone, Debug, PartialEq)]
pub enum VoiceInput {
    /// One of the model's own, by its name.
    Named(String),
    /// That of a recording.
    Reference(ReferenceVoice),
    /// Something between several.
    Blend(VoiceBlend),
}

/// A recording of a speaker. Clones share it.
#[derive(Clone, Debug, PartialEq)]
pub struct ReferenceVoice {
    /// At the rate that the family wants ([`Family::input_rate`](crate::model::Family::input_rate)).
    pub audio: Arc<Pcm>,
    /// Of the recording as it came, in lower-case hexadecimal: what a family computes of it can be kept by this.
    pub sha256: String,
    /// What is said in it, where somebody wrote it down.
    pub transcript: Option<String>,
}

/// Voices with weights, which are above 0 and make 1 together. No voice of it is a blend.
#[derive(Clone, Debug, PartialEq)]
pub struct VoiceBlend(Vec<(VoiceInput, f32)>);

/// Why voices cannot be blended.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BlendError {
    #[error("{0} voices are to be blended; 1 to {MOST} would be right")]
    Count(usize),
    #[error("a voice has the weight {0}; a number above 0 would be right")]
    Weight(f32),
    #[error("a blend of blends cannot be made; give each voice its weight in one blend")]
    Nested,
}

// === impl VoiceInput ===

impl VoiceInput {
    /// The recordings in it.
    pub fn references_mut(&mut self) -> Vec<&mut ReferenceVoice> {
        match self {
            Self::Named(_) => Vec::new(),
            Self::Reference(reference) => vec![reference],
            Self::Blend(blend) => blend.0.iter_mut().flat_map(|(voice, _)| voice.references_mut()).collect(),
        }
    }

    /// The recordings in it.
    pub fn references(&self) -> Vec<&ReferenceVoice> {
        match self {
            Self::Named(_) => Vec::new(),
            Self::Reference(reference) => vec![reference],
            Self::Blend(blend) => blend.0.iter().flat_map(|(voice, _)| voice.references()).collect(),
        }
    }
}

// === impl VoiceBlend ===

impl VoiceBlend {
    /// Weights count by their ratio.
    pub fn new(voices: Vec<(VoiceInput, f32)>) -> Result<Self, BlendError> {
        if !(1..=MOST).contains(&voices.len()) {
            return Err(BlendError::Count(voices.len()));
        }
        if let Some((_, weight)) = voices.iter().find(|(_, weight)| !(weight.is_finite() && *weight > 0.0)) {
            return Err(BlendError::Weight(*weight));
        }
        if voices.iter().any(|(voice, _)| matches!(voice, VoiceInput::Blend(_))) {
            return Err(BlendError::Nested);
        }
        let all: f64 = voices.iter().map(|(_, weight)| f64::from(*weight)).sum();
        let share = |weight: f32| (f64::from(weight) / all) as f32;
        Ok(Self(voices.into_iter().map(|(voice, weight)| (voice, share(weight))).collect()))
    }

    pub fn voices(&self) -> &[(VoiceInput, f32)] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> VoiceInput {
        VoiceInput::Named(name.to_owned())
    }

    #[test]
    fn weights_make_one() {
        let blend = VoiceBlend::new(vec![(named("a"), 3.0), (named("b"), 1.0)]).unwrap();
        assert_eq!(blend.voices(), [(named("a"), 0.75), (named("b"), 0.25)]);
    }

    #[test]
    fn what_cannot_be_blended_is_refused() {
        assert_eq!(VoiceBlend::new(vec![]), Err(BlendError::Count(0)));
        assert_eq!(VoiceBlend::new(vec![(named("a"), 1.0); 9]), Err(BlendError::Count(9)));
        for weight in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            assert!(matches!(VoiceBlend::new(vec![(named("a"), weight)]), Err(BlendError::Weight(_))));
        }
        let blend = VoiceInput::Blend(VoiceBlend::new(vec![(named("a"), 1.0)]).unwrap());
        assert_eq!(VoiceBlend::new(vec![(blend, 1.0)]), Err(BlendError::Nested));
    }
}
