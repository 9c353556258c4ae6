//! Whose voice is to speak.

use std::sync::Arc;

use crate::audio::Pcm;

/// Voices that are blended into one, or speak in turn, at most.
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
    /// Those of a dialogue, one for each speaker.
    Cast(VoiceCast),
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

/// The voices of a dialogue: that of the first speaker, of the second, and so on. None is a blend or a cast.
#[derive(Clone, Debug, PartialEq)]
pub struct VoiceCast(Vec<VoiceInput>);

/// Why voices are none of a dialogue.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CastError {
    #[error("{0} voices are to speak; 1 to {MOST} would be right")]
    Count(usize),
    #[error("each speaker of a dialogue has one voice, and no blend or list of them")]
    Nested,
}

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
            Self::Cast(cast) => cast.0.iter_mut().flat_map(Self::references_mut).collect(),
        }
    }

    /// The recordings in it.
    pub fn references(&self) -> Vec<&ReferenceVoice> {
        match self {
            Self::Named(_) => Vec::new(),
            Self::Reference(reference) => vec![reference],
            Self::Blend(blend) => blend.0.iter().flat_map(|(voice, _)| voice.references()).collect(),
            Self::Cast(cast) => cast.0.iter().flat_map(Self::references).collect(),
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
        if voices.iter().any(|(voice, _)| matches!(voice, VoiceInput::Blend(_) | VoiceInput::Cast(_))) {
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

// === impl VoiceCast ===

impl VoiceCast {
    /// In the order of the speakers.
    pub fn new(voices: Vec<VoiceInput>) -> Result<Self, CastError> {
        if !(1..=MOST).contains(&voices.len()) {
            return Err(CastError::Count(voices.len()));
        }
        match voices.iter().any(|voice| matches!(voice, VoiceInput::Blend(_) | VoiceInput::Cast(_))) {
            true => Err(CastError::Nested),
            false => Ok(Self(voices)),
        }
    }

    pub fn voices(&self) -> &[VoiceInput] {
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
    fn each_speaker_has_one_voice() {
        assert_eq!(VoiceCast::new(vec![named("a"), named("b")]).unwrap().voices(), [named("a"), named("b")]);
        assert_eq!(VoiceCast::new(vec![]), Err(CastError::Count(0)));
        assert_eq!(VoiceCast::new(vec![named("a"); 9]), Err(CastError::Count(9)));
        let cast = VoiceInput::Cast(VoiceCast::new(vec![named("a")]).unwrap());
        assert_eq!(VoiceCast::new(vec![cast.clone()]), Err(CastError::Nested));
        assert_eq!(VoiceBlend::new(vec![(cast, 1.0)]), Err(BlendError::Nested));
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
