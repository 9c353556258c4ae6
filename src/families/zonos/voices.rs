//! Voices: what the speaker's network heard in recordings, kept for the next request.

use candle_core::{Device, Tensor};

use super::speaker::{RATE, SpeakerEncoder};
use crate::{
    audio::Pcm,
    families::speech_error::SpeechError,
    model::{ReferenceCache, ReferenceKey, ReferenceTensors, RequestError},
    speech::{ReferenceVoice, VoiceInput},
};

/// The name of what the model takes without a recording: a voice of its own choice.
pub const OWN: &str = "zonos";

/// Changes when what is computed of a recording does.
const VERSION: f64 = 1.0;
/// What is kept of a recording.
const EMBEDDING: &str = "embedding";

/// The voices of a model.
pub struct Voices {
    /// `None`: its files are not there, and it speaks in voices of its own choice.
    pub encoder: Option<SpeakerEncoder>,
    pub references: ReferenceCache,
    /// Of the files that the encoder was loaded from.
    pub fingerprint: String,
}

// === impl Voices ===

impl Voices {
    /// A speaker, as the model is told of one; `None`: the choice is its own.
    pub fn get(&self, voice: Option<&VoiceInput>) -> Result<Option<Vec<f32>>, SpeechError> {
        match voice {
            None => Ok(None),
            Some(VoiceInput::Named(name)) if name == OWN => Ok(None),
            Some(VoiceInput::Named(name)) => {
                Err(invalid(format!("there is no voice {name:?}; there is {OWN}, and that of any recording")))
            }
            Some(VoiceInput::Reference(reference)) => self.of_recording(reference).map(Some),
            Some(VoiceInput::Blend(blend)) => {
                let mut sum: Vec<f32> = Vec::new();
                for (voice, weight) in blend.voices() {
                    let Some(speaker) = self.get(Some(voice))? else {
                        return Err(invalid(format!("{OWN} cannot be blended; recordings can")));
                    };
                    sum.resize(speaker.len(), 0.0);
                    sum.iter_mut().zip(speaker).for_each(|(sum, number)| *sum += weight * number);
                }
                Ok(Some(sum))
            }
            Some(VoiceInput::Cast(_)) => {
                let message = "this model speaks with one voice; give it one".to_owned();
                Err(RequestError::Unsupported { param: "voice", message }.into())
            }
        }
    }

    /// As it was heard when the recording was first given.
    fn of_recording(&self, reference: &ReferenceVoice) -> Result<Vec<f32>, SpeechError> {
        let Some(encoder) = &self.encoder else {
            let message = "this model has no part speaker, which hears voices; name its source, or leave voice out";
            return Err(RequestError::Unsupported { param: "voice", message: message.to_owned() }.into());
        };
        let parameters = [("version", VERSION)];
        let name = ("zonos", self.fingerprint.as_str());
        let key = ReferenceKey { recording: &reference.sha256, encoder: name, parameters: &parameters };
        let kept = self.references.get_or_compute(&key, || hear(encoder, &reference.audio))?;
        let embedding = kept.get(EMBEDDING);
        let embedding =
            embedding.ok_or_else(|| candle_core::Error::Msg(format!("a voice is kept without {EMBEDDING}")))?;
        Ok(embedding.flatten_all()?.to_vec1()?)
    }
}

fn hear(encoder: &SpeakerEncoder, audio: &Pcm) -> candle_core::Result<ReferenceTensors> {
    debug_assert_eq!(audio.rate(), RATE, "sound comes at the rate of the family");
    let embedding = Tensor::new(encoder.embed(audio.samples())?, &Device::Cpu)?;
    Ok([(EMBEDDING.to_owned(), embedding)].into())
}

fn invalid(message: String) -> SpeechError {
    RequestError::Invalid { param: "voice", message }.into()
}
