//! What clients mean.

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::frame::Frame;
use crate::{
    audio::{Pcm, samples_of_pcm16},
    speech::{Kind, Problem},
    text::Markup,
};

/// Hertz that sound may have.
const RATES: std::ops::RangeInclusive<u32> = 8000..=48_000;
/// Channels that sound may have.
const CHANNELS: std::ops::RangeInclusive<usize> = 1..=8;

/// What clients mean. Events of other types are none of ours, and are passed over, as the protocol has it.
#[derive(Debug, PartialEq)]
pub(super) enum ClientEvent {
    Describe,
    Ping { text: Option<String> },
    Transcribe(TranscribeWish),
    AudioStart(SoundFormat),
    AudioChunk(SoundFormat, bytes::Bytes),
    AudioStop,
    Synthesize { text: String, wish: VoiceWish },
    SynthesizeStart(VoiceWish),
    SynthesizeChunk(String),
    SynthesizeStop,
}

/// Which model hears, and what is spoken.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(super) struct TranscribeWish {
    pub name: Option<String>,
    pub language: Option<String>,
}

/// Who speaks, and how the text is written.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(super) struct VoiceWish {
    #[serde(default)]
    pub voice: Option<VoiceName>,
    pub text_format: Option<String>,
}

/// By a name, or by a language.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(super) struct VoiceName {
    pub name: Option<String>,
    pub language: Option<String>,
    pub speaker: Option<String>,
}

/// How samples are written: whole numbers with a sign, little-endian, interleaved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct SoundFormat {
    pub rate: u32,
    /// Bytes of a sample.
    width: usize,
    channels: usize,
}

#[derive(Deserialize)]
struct Text {
    text: String,
}

#[derive(Deserialize)]
struct MaybeText {
    text: Option<String>,
}

// === impl ClientEvent ===

impl ClientEvent {
    /// `None`: it is passed over.
    pub fn read(frame: Frame) -> Result<Option<Self>, Problem> {
        let Frame { kind, data, payload } = frame;
        Ok(Some(match kind.as_str() {
            "describe" => Self::Describe,
            "ping" => Self::Ping { text: fields::<MaybeText>(&kind, data)?.text },
            "transcribe" => Self::Transcribe(fields(&kind, data)?),
            "audio-start" => Self::AudioStart(fields::<SoundFormat>(&kind, data)?.checked()?),
            "audio-chunk" => Self::AudioChunk(fields::<SoundFormat>(&kind, data)?.checked()?, payload),
            "audio-stop" => Self::AudioStop,
            "synthesize" => {
                let Text { text } = fields(&kind, data.clone())?;
                Self::Synthesize { text, wish: fields(&kind, data)? }
            }
            "synthesize-start" => Self::SynthesizeStart(fields(&kind, data)?),
            "synthesize-chunk" => Self::SynthesizeChunk(fields::<Text>(&kind, data)?.text),
            "synthesize-stop" => Self::SynthesizeStop,
            _ => return Ok(None),
        }))
    }
}

fn fields<T: DeserializeOwned>(kind: &str, data: Map<String, Value>) -> Result<T, Problem> {
    T::deserialize(Value::Object(data))
        .map_err(|error| Problem::new(Kind::Invalid, format!("the data of {kind} is not what it should be: {error}")))
}

// === impl VoiceWish ===

impl VoiceWish {
    pub fn markup(&self) -> Result<Markup, Problem> {
        match self.text_format.as_deref() {
            None | Some("text") => Ok(Markup::Plain),
            Some("ssml") => Ok(Markup::Ssml),
            Some(other) => {
                let message = format!("text_format is {other:?}; text or ssml would be right");
                Err(Problem::invalid("text_format", message))
            }
        }
    }
}

// === impl SoundFormat ===

impl SoundFormat {
    fn checked(self) -> Result<Self, Problem> {
        if self.width != 2 {
            let message = format!("width is {}; 2 bytes a sample would be right", self.width);
            return Err(Problem::invalid("width", message));
        }
        if !RATES.contains(&self.rate) {
            let (low, high) = (RATES.start(), RATES.end());
            return Err(Problem::invalid("rate", format!("rate is {}; {low} to {high} would be right", self.rate)));
        }
        if !CHANNELS.contains(&self.channels) {
            return Err(Problem::invalid("channels", format!("channels is {}; 1 to 8 would be right", self.channels)));
        }
        Ok(self)
    }

    /// The samples of a payload, the mean of the channels, -1 to 1.
    pub fn samples(self, payload: &[u8]) -> Result<Vec<f32>, Problem> {
        let frame = self.width * self.channels;
        if !payload.len().is_multiple_of(frame) {
            let message = format!("the sound has {} bytes; a multiple of {frame} would be right", payload.len());
            return Err(Problem::invalid("audio", message));
        }
        let samples = samples_of_pcm16(payload).collect();
        Ok(Pcm::interleaved(samples, self.rate, self.channels).mono().into_owned())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(kind: &str, data: Value) -> Result<Option<ClientEvent>, Problem> {
        ClientEvent::read(Frame::new(kind, data))
    }

    #[test]
    fn events_are_read_and_those_of_others_passed_over() {
        let wish = TranscribeWish { name: None, language: Some("en".to_owned()) };
        let transcribe = read("transcribe", json!({"language": "en", "context": {"a": 1}})).unwrap();
        assert_eq!(transcribe, Some(ClientEvent::Transcribe(wish)));
        let voice = Some(VoiceName { name: Some("anna".to_owned()), ..VoiceName::default() });
        let synthesize = read("synthesize", json!({"text": "hello", "voice": {"name": "anna"}})).unwrap();
        let wish = VoiceWish { voice, text_format: None };
        assert_eq!(synthesize, Some(ClientEvent::Synthesize { text: "hello".to_owned(), wish }));
        assert_eq!(read("voice-started", json!({"timestamp": 5})).unwrap(), None);
    }

    #[test]
    fn what_is_wrong_with_an_event_is_told() {
        let cases = [
            ("audio-start", json!({"rate": 16_000, "width": 4, "channels": 1}), "2 bytes a sample would be right"),
            ("audio-start", json!({"rate": 1, "width": 2, "channels": 1}), "8000 to 48000 would be right"),
            ("audio-start", json!({"rate": 16_000, "width": 2, "channels": 0}), "1 to 8 would be right"),
            ("audio-chunk", json!({"rate": 16_000}), "missing field `width`"),
            ("synthesize", json!({}), "missing field `text`"),
            ("synthesize", json!({"text": "a", "voice": "anna"}), "the data of synthesize is not what it should be"),
        ];
        for (kind, data, message) in cases {
            let problem = read(kind, data).unwrap_err();
            assert!(problem.message.contains(message), "{problem}");
        }
        let wish = VoiceWish { voice: None, text_format: Some("markdown".to_owned()) };
        assert!(wish.markup().unwrap_err().message.contains("text or ssml"));
    }

    #[test]
    fn channels_are_mixed() {
        let format = SoundFormat { rate: 16_000, width: 2, channels: 2 };
        assert_eq!(format.samples(&[0, 0x40, 0, 0, 0, 0x80, 0, 0x80]).unwrap(), [0.25, -1.0]);
        assert!(format.samples(&[0, 0]).unwrap_err().message.contains("a multiple of 4 would be right"));
    }
}
