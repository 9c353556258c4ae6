//! A session as it stands in events, in the words of today and in those of the beta. Clients send what they want otherwise,
//! and are shown all of it; what they are shown they may send back.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// How a session is set.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Session {
    /// Said by the server.
    pub id: Option<String>,
    /// Said by the server.
    pub object: Option<String>,
    /// `transcription`, or `realtime` for who has texts spoken as well.
    #[serde(rename = "type")]
    #[schema(required = true)]
    pub kind: Option<String>,
    /// Seconds since 1970. Said by the server.
    pub expires_at: Option<u64>,
    /// The model that speaks, by a name or an alias.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// How to say what is spoken, in words; `null` where the model does not follow them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// `["audio"]`, which comes with the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_modalities: Option<Vec<String>>,
    pub audio: Option<Audio>,
    /// `item.input_audio_transcription.logprobs`, or nothing.
    pub include: Option<Vec<String>>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Audio {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<Input>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Output>,
}

/// What is spoken, and how.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Output {
    pub format: Option<Format>,
    /// A name, or `{"id": …}` with a voice of `/v1/audio/voices`.
    #[schema(value_type = Option<Value>)]
    pub voice: Option<Value>,
    /// 0.25 to 4.
    #[schema(minimum = 0.25, maximum = 4.0)]
    pub speed: Option<f32>,
    /// Of the texts, as an ISO 639-1 code; English if absent.
    pub language: Option<String>,
}

/// What is heard, and how.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    pub format: Option<Format>,
    pub transcription: Option<Transcription>,
    /// `null`: the client says where items end.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<TurnDetection>)]
    pub turn_detection: Option<Option<TurnDetection>>,
    /// Not done here: the server says `null`.
    pub noise_reduction: Option<Value>,
}

/// How sound stands in a message.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Format {
    /// `audio/pcm`: 16 bits, little-endian, mono; `audio/pcmu` or `audio/pcma`: a byte a sample, mono, 8 kHz.
    #[serde(rename = "type")]
    pub kind: String,
    /// Hertz: 24000 of `audio/pcm`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<u32>,
}

/// The same in the words of the beta.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BetaSession {
    /// Said by the server.
    pub id: Option<String>,
    /// Said by the server.
    pub object: Option<String>,
    /// Seconds since 1970. Said by the server.
    pub expires_at: Option<u64>,
    /// Means nothing here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modalities: Option<Value>,
    /// The model that speaks, by a name or an alias.
    pub model: Option<String>,
    /// How to say what is spoken, in words; `null` where the model does not follow them.
    pub instructions: Option<String>,
    /// A name, or `{"id": …}` with a voice of `/v1/audio/voices`.
    #[schema(value_type = Option<Value>)]
    pub voice: Option<Value>,
    /// `pcm16`, `g711_ulaw` or `g711_alaw`.
    pub output_audio_format: Option<String>,
    /// 0.25 to 4.
    pub speed: Option<f32>,
    /// `pcm16`, `g711_ulaw` or `g711_alaw`.
    pub input_audio_format: Option<String>,
    pub input_audio_transcription: Option<Transcription>,
    /// `null`: the client says where items end.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<TurnDetection>)]
    pub turn_detection: Option<Option<TurnDetection>>,
    /// Not done here: the server says `null`.
    pub input_audio_noise_reduction: Option<Value>,
    /// `item.input_audio_transcription.logprobs`, or nothing.
    pub include: Option<Vec<String>>,
}

/// Who writes it down.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Transcription {
    /// A name or an alias of a model.
    pub model: Option<String>,
    /// The spoken language; `null`: it is detected.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub language: Option<Option<String>>,
    /// Text that came before, or words to expect.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub prompt: Option<Option<String>>,
}

/// How the server hears where somebody speaks.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TurnDetection {
    /// `server_vad`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    #[schema(minimum = 0.0, maximum = 1.0)]
    pub threshold: Option<f32>,
    #[schema(maximum = 10_000)]
    pub prefix_padding_ms: Option<u64>,
    #[schema(maximum = 10_000)]
    pub silence_duration_ms: Option<u64>,
    /// Means nothing here, where nobody answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub create_response: Option<bool>,
    /// Whether who speaks interrupts what is spoken; `true` if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interrupt_response: Option<bool>,
    /// `null`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_timeout_ms: Option<u64>,
    /// Means nothing here, where nobody answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eagerness: Option<Value>,
}

/// In the words that the client speaks.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum ShownSession {
    Today(Box<Session>),
    Beta(Box<BetaSession>),
}

/// Tells `null` from a field that is not there.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
