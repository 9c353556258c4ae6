//! Voices: codes of recordings, and what is said in them, kept for the next request.

use std::time::Duration;

use candle_core::{Device, Tensor};

use super::prompt::Reference;
use crate::{
    families::speech_error::SpeechError,
    model::{ReferenceCache, ReferenceKey, ReferenceTensors, RequestError},
    nn::codec::XCodec,
    speech::{ReferenceVoice, VoiceInput},
};

/// The name of what the model takes without a recording: a voice of its own choice.
pub const OWN: &str = "higgs";

/// Of a recording, at most: what is longer leaves little room for what is to be said.
pub const LONGEST: Duration = Duration::from_secs(30);

/// Changes when what is computed of a recording does.
const VERSION: f64 = 1.0;
/// What is kept of a recording.
const CODES: &str = "codes";

/// What was computed of recordings.
pub struct Voices {
    pub references: ReferenceCache,
    /// Of the files of the codec.
    pub fingerprint: String,
}

// === impl Voices ===

impl Voices {
    /// Of each speaker; none: the choice is the model's.
    pub fn get(&self, voice: Option<&VoiceInput>, codec: &XCodec) -> Result<Vec<Reference>, SpeechError> {
        match voice {
            None => Ok(Vec::new()),
            Some(VoiceInput::Named(name)) if name == OWN => Ok(Vec::new()),
            Some(VoiceInput::Named(name)) => {
                Err(invalid(format!("there is no voice {name:?}; there is {OWN}, and that of any recording")))
            }
            Some(VoiceInput::Reference(reference)) => Ok(vec![self.of_recording(reference, codec)?]),
            Some(VoiceInput::Cast(cast)) => {
                let of_speaker = |voice: &VoiceInput| match voice {
                    VoiceInput::Reference(reference) => self.of_recording(reference, codec),
                    _ => Err(invalid(format!("each speaker of a dialogue needs a recording; {OWN} is none"))),
                };
                cast.voices().iter().map(of_speaker).collect()
            }
            Some(VoiceInput::Blend(_)) => {
                let message = "this model does not blend voices; give it one, or a list with one for each speaker";
                Err(RequestError::Unsupported { param: "voice", message: message.to_owned() }.into())
            }
        }
    }

    /// As it was coded when the recording was first given.
    fn of_recording(&self, reference: &ReferenceVoice, codec: &XCodec) -> Result<Reference, SpeechError> {
        let transcript = reference.transcript.as_deref().map(str::trim).filter(|words| !words.is_empty());
        let Some(transcript) = transcript else {
            return Err(invalid(
                "the voice's recording has no transcript, and this model speaks in a voice only where it knows what is said \
                 in the recording: `transcript` of POST /v1/audio/voices, or beside the recording, would be right, or \
                 voices.transcriber in the configuration of the server"
                    .to_owned(),
            ));
        };
        if reference.audio.duration() > LONGEST {
            let (found, most) = (reference.audio.seconds(), LONGEST.as_secs());
            return Err(invalid(format!("the voice's recording has {found:.1} s; at most {most} s would be right")));
        }
        let parameters = [("version", VERSION)];
        let key = ReferenceKey {
            recording: &reference.sha256,
            encoder: ("higgs", self.fingerprint.as_str()),
            parameters: &parameters,
        };
        let kept = self.references.get_or_compute(&key, || encode(codec, reference))?;
        let codes = kept.get(CODES);
        let codes = codes.ok_or_else(|| candle_core::Error::Msg(format!("a voice is kept without {CODES}")))?;
        Ok(Reference { transcript: transcript.to_owned(), codes: codes.flatten_all()?.to_vec1()? })
    }
}

fn encode(codec: &XCodec, reference: &ReferenceVoice) -> candle_core::Result<ReferenceTensors> {
    debug_assert_eq!(reference.audio.rate(), codec.rate(), "sound comes at the rate of the family");
    let codes = codec.encode(reference.audio.samples())?;
    let codes = Tensor::from_vec(codes, ((), codec.books()), &Device::Cpu)?;
    Ok([(CODES.to_owned(), codes)].into())
}

fn invalid(message: String) -> SpeechError {
    SpeechError::invalid("voice", message)
}
