//! A voice is a pitch.

use sconce::{
    audio::Pcm,
    model::{OwnVoice, RequestError},
    speech::VoiceInput,
};

use super::RATE;

/// The model's own voices, and the pitch of each, in hertz.
pub const OWN: &[OwnVoice] = &[own_voice("middle"), own_voice("low"), own_voice("high")];
const PITCHES: [(&str, f32); 3] = [("low", 110.0), ("middle", 220.0), ("high", 440.0)];
const DEFAULT: f32 = 220.0;

const fn own_voice(name: &'static str) -> OwnVoice {
    OwnVoice { name, languages: &[], sample_rate: RATE }
}

/// The pitch of a voice, in hertz.
pub fn pitch(voice: Option<&VoiceInput>) -> Result<f32, RequestError> {
    match voice {
        None => Ok(DEFAULT),
        Some(VoiceInput::Named(name)) => own(name),
        Some(VoiceInput::Reference(reference)) => Ok(crossings(&reference.audio)),
        Some(VoiceInput::Blend(blend)) => {
            blend.voices().iter().map(|(voice, weight)| Ok(weight * pitch(Some(voice))?)).sum()
        }
    }
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
