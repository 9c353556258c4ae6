//! A voice is a pitch.

use candle_core::{Device, Tensor};
use sconce::{
    audio::Pcm,
    model::{OwnVoice, ReferenceCache, ReferenceKey, ReferenceTensors, RequestError},
    speech::{ReferenceVoice, VoiceInput},
};

use super::RATE;

/// The model's own voices, and the pitch of each, in hertz.
pub const OWN: &[OwnVoice<'static>] = &[own_voice("middle"), own_voice("low"), own_voice("high")];
const PITCHES: [(&str, f32); 3] = [("low", 110.0), ("middle", 220.0), ("high", 440.0)];
const DEFAULT: f32 = 220.0;

const fn own_voice(name: &'static str) -> OwnVoice<'static> {
    OwnVoice { name, languages: &[], sample_rate: RATE }
}

/// The voices of a model: its own, and what it knows of those that it was shown.
pub struct Voices {
    pub references: ReferenceCache,
    /// Of the files that the model was loaded from.
    pub fingerprint: String,
}

impl Voices {
    /// The pitch of a voice, in hertz.
    pub fn pitch(&self, voice: Option<&VoiceInput>) -> Result<f32, RequestError> {
        match voice {
            None => Ok(DEFAULT),
            Some(VoiceInput::Named(name)) => own(name),
            Some(VoiceInput::Reference(reference)) => self.of_reference(reference),
            Some(VoiceInput::Blend(blend)) => {
                blend.voices().iter().map(|(voice, weight)| Ok(weight * self.pitch(Some(voice))?)).sum()
            }
            Some(VoiceInput::Cast(_)) => {
                let message = "this model speaks in one voice at a time".to_owned();
                Err(RequestError::Unsupported { param: "voice", message })
            }
        }
    }

    /// As it was found when the recording was first shown.
    fn of_reference(&self, reference: &ReferenceVoice) -> Result<f32, RequestError> {
        let parameters = [("rate", f64::from(RATE))];
        let encoder = ("tone", self.fingerprint.as_str());
        let key = ReferenceKey { recording: &reference.sha256, encoder, parameters: &parameters };
        let compute = || Tensor::new(crossings(&reference.audio), &Device::Cpu).map(|pitch| named("pitch", pitch));
        let found = self.references.get_or_compute(&key, compute).ok();
        let pitch = found.as_ref().and_then(|tensors| tensors.get("pitch")?.to_scalar().ok());
        pitch.ok_or(RequestError::Broken)
    }
}

fn named(name: &str, tensor: Tensor) -> ReferenceTensors {
    [(name.to_owned(), tensor)].into_iter().collect()
}

fn own(name: &str) -> Result<f32, RequestError> {
    let found = PITCHES.iter().find(|(own, _)| *own == name);
    found.map(|(_, pitch)| *pitch).ok_or_else(|| {
        let names = PITCHES.map(|(own, _)| own).join(", ");
        RequestError::Invalid { param: "voice", message: format!("there is no voice {name:?}; there are {names}") }
    })
}

/// How often the sound turns from below to above nothing, in hertz.
fn crossings(sound: &Pcm) -> f32 {
    let turns = sound.samples().windows(2).filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0).count();
    (turns as f64 / sound.seconds().max(1e-3)) as f32
}
