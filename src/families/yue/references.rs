//! Songs that a song is to be like: codes of recordings, kept for the next request.

use std::time::Duration;

use candle_core::{Device, Tensor};

use super::{prompt::SongReference, sound::SongDecoder};
use crate::{
    families::speech_error::SpeechError,
    model::{ReferenceCache, ReferenceKey, ReferenceTensors, RequestError},
    speech::{ReferenceVoice, VoiceInput},
};

/// Hertz of a recording.
pub const RATE: u32 = 16_000;
/// Of a recording, at most: hearing it takes memory by the square of its length.
pub const LONGEST: Duration = Duration::from_secs(60);
/// Codes a second.
const FRAMES: f64 = 50.0;
/// Changes when what is computed of a recording does.
const VERSION: f64 = 1.0;
/// What is kept of a recording.
const CODES: &str = "codes";

/// What was computed of recordings.
pub struct References {
    pub cache: ReferenceCache,
    /// Of the files of the codec.
    pub fingerprint: String,
}

/// What voices are there for, in a song; what is wrong with them, as far as can be told before they are heard.
pub fn check(voice: Option<&VoiceInput>) -> Result<(), RequestError> {
    let right = "a recording of a song, or a list of two, its vocals and its instruments, would be right; the song is then \
                 like it";
    let invalid = |found: String| Err(RequestError::Invalid { param: "voice", message: format!("{found}; {right}") });
    match voice {
        None | Some(VoiceInput::Reference(_)) => Ok(()),
        Some(VoiceInput::Named(name)) => invalid(format!("there is no voice {name:?}")),
        Some(VoiceInput::Blend(_)) => {
            let message = format!("this model does not blend voices; {right}");
            Err(RequestError::Unsupported { param: "voice", message })
        }
        Some(VoiceInput::Cast(cast)) => match cast.voices() {
            [VoiceInput::Reference(_), VoiceInput::Reference(_)] => Ok(()),
            voices => invalid(format!("the list has {} voices, or one that is no recording", voices.len())),
        },
    }
}

// === impl References ===

impl References {
    /// `seconds`: the stretch of it that counts.
    pub fn get(
        &self,
        voice: Option<&VoiceInput>,
        seconds: (f64, f64),
        decoder: &SongDecoder,
    ) -> Result<Option<SongReference>, SpeechError> {
        check(voice)?;
        let stretch = |voice: &VoiceInput| match voice {
            VoiceInput::Reference(recording) => self.stretch(recording, seconds, decoder),
            _ => Err(SpeechError::invalid("voice", "a recording would be right".to_owned())),
        };
        Ok(match voice {
            Some(VoiceInput::Cast(cast)) => match cast.voices() {
                [vocals, instrumental] => {
                    Some(SongReference::Tracks { vocals: stretch(vocals)?, instrumental: stretch(instrumental)? })
                }
                _ => None,
            },
            Some(recording) => Some(SongReference::Mix(stretch(recording)?)),
            None => None,
        })
    }

    fn stretch(
        &self,
        recording: &ReferenceVoice,
        (start, end): (f64, f64),
        decoder: &SongDecoder,
    ) -> Result<Vec<u16>, SpeechError> {
        let found = recording.audio.seconds();
        if recording.audio.duration() > LONGEST {
            let message = format!("the recording has {found:.1} s; at most {} s would be right", LONGEST.as_secs());
            return Err(SpeechError::invalid("voice", message));
        }
        let codes = self.codes(recording, decoder)?;
        let at = |seconds: f64| ((seconds * FRAMES) as usize).min(codes.len());
        let stretch = &codes[at(start)..at(end)];
        if stretch.is_empty() {
            let message = format!("the recording has {found:.1} s, and prompt_start is {start}; less would be right");
            return Err(SpeechError::invalid("options", message));
        }
        Ok(stretch.to_vec())
    }

    /// As it was coded when the recording was first given.
    fn codes(&self, recording: &ReferenceVoice, decoder: &SongDecoder) -> Result<Vec<u16>, SpeechError> {
        let key = ReferenceKey {
            recording: &recording.sha256,
            encoder: ("yue", self.fingerprint.as_str()),
            parameters: &[("version", VERSION)],
        };
        let kept = self.cache.get_or_compute(&key, || encode(decoder, recording))?;
        let codes = kept.get(CODES);
        let codes = codes.ok_or_else(|| candle_core::Error::Msg(format!("a recording is kept without {CODES}")))?;
        let codes: Vec<u32> = codes.flatten_all()?.to_vec1()?;
        Ok(codes.into_iter().filter_map(|code| u16::try_from(code).ok()).collect())
    }
}

fn encode(decoder: &SongDecoder, recording: &ReferenceVoice) -> candle_core::Result<ReferenceTensors> {
    debug_assert_eq!(recording.audio.rate(), RATE, "sound comes at the rate of the family");
    let codes: Vec<u32> = decoder.encode(recording.audio.samples())?.into_iter().map(u32::from).collect();
    let count = codes.len();
    Ok([(CODES.to_owned(), Tensor::from_vec(codes, count, &Device::Cpu)?)].into())
}
