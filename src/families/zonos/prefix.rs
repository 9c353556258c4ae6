//! Recordings that are gone on with, as the codec has them.

use std::time::Duration;

use candle_core::{Device, Tensor};

use super::options::SpeechPrefix;
use crate::{
    audio::{self, Pcm},
    families::speech_error::SpeechError,
    model::{ReferenceCache, ReferenceKey, RequestError},
    nn::codec::Dac,
    speech::ReferenceVoice,
};

/// What the model was trained on, and so what it can know of before it speaks.
const LONGEST: Duration = Duration::from_secs(30);

/// Changes when what is computed of a recording does.
const VERSION: f64 = 1.0;
/// What is kept of a recording.
const CODES: &str = "codes";

/// What was computed of recordings that are kept.
pub struct Prefixes {
    pub references: ReferenceCache,
    /// Of the files of the codec.
    pub fingerprint: String,
}

// === impl Prefixes ===

impl Prefixes {
    /// `[frames, books]`
    pub fn codes(&self, prefix: &SpeechPrefix, dac: &Dac) -> Result<Vec<u32>, SpeechError> {
        match prefix {
            SpeechPrefix::Encoded(bytes) => {
                let decoded = audio::decode(bytes, None, dac.rate(), LONGEST);
                let decoded = decoded.map_err(|error| {
                    invalid(format!("audio_prefix: {error}; at most {} s would be right", LONGEST.as_secs()))
                })?;
                Ok(dac.encode(decoded.pcm.samples())?)
            }
            SpeechPrefix::Kept(recording) => self.kept(recording, dac),
        }
    }

    /// As they were computed when the recording was first gone on with.
    fn kept(&self, recording: &ReferenceVoice, dac: &Dac) -> Result<Vec<u32>, SpeechError> {
        if recording.audio.duration() > LONGEST {
            let (found, most) = (recording.audio.seconds(), LONGEST.as_secs());
            let message = format!("audio_prefix: the recording is {found:.1} s long; at most {most} s would be right");
            return Err(invalid(message));
        }
        let (encoder, parameters) = (("zonos prefix", self.fingerprint.as_str()), [("version", VERSION)]);
        let key = ReferenceKey { recording: &recording.sha256, encoder, parameters: &parameters };
        let kept = self.references.get_or_compute(&key, || {
            let codes = dac.encode(at_rate(&recording.audio, dac.rate())?.samples())?;
            let codes = Tensor::from_vec(codes, ((), dac.books()), &Device::Cpu)?;
            Ok::<_, SpeechError>([(CODES.to_owned(), codes)].into())
        })?;
        let codes = kept.get(CODES);
        let codes = codes.ok_or_else(|| candle_core::Error::Msg(format!("a recording is kept without {CODES}")))?;
        Ok(codes.flatten_all()?.to_vec1()?)
    }
}

// === impl SpeechPrefix ===

impl SpeechPrefix {
    /// What is said in it, where somebody wrote it down.
    pub fn transcript(&self) -> Option<&str> {
        match self {
            Self::Encoded(_) => None,
            Self::Kept(recording) => recording.transcript.as_deref().filter(|words| !words.trim().is_empty()),
        }
    }
}

fn at_rate(pcm: &Pcm, rate: u32) -> Result<Pcm, SpeechError> {
    if pcm.rate() == rate {
        return Ok(pcm.clone());
    }
    audio::resample(pcm, rate).map_err(|error| invalid(format!("audio_prefix: {error}")))
}

fn invalid(message: String) -> SpeechError {
    RequestError::Invalid { param: "options", message }.into()
}
