//! Transcriptions of OpenAI's API, as they are written and as `/openapi.json` describes them.

use serde::Serialize;
use utoipa::ToSchema;

use crate::speech::{Logprob, Part, Parts, Segment, TranscribeMode, Warning, Word};

/// The form of `POST /v1/audio/transcriptions` and `…/translations`; `fields` reads it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes a form, which is read field by field")]
pub(in crate::http) struct TranscriptionForm {
    /// The recording: flac, mp3, mp4, mpeg, mpga, m4a, ogg, opus, wav, webm, aac, aiff or caf.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    /// A name or an alias of a model.
    model: String,
    /// The spoken language, as an ISO 639-1 code or an English name; detected if absent.
    language: Option<String>,
    /// Text that came before, or words to expect.
    prompt: Option<String>,
    /// json, text, srt, tsv, verbose_json, diarized_json or vtt.
    #[schema(default = "json")]
    response_format: Option<String>,
    /// 0 to 1; at 0 it starts there and rises where the text looks wrong.
    #[schema(minimum = 0.0, maximum = 1.0)]
    temperature: Option<f32>,
    /// word, segment or both, in verbose_json.
    #[schema(rename = "timestamp_granularities[]")]
    timestamp_granularities: Option<Vec<String>>,
    /// logprobs: each token with its log-probability, in json.
    #[schema(rename = "include[]")]
    include: Option<Vec<String>>,
    /// `auto`, or `{"type": "server_vad", "prefix_padding_ms", "silence_duration_ms", "threshold"}` as JSON: noise and
    /// silence are cut out before the model hears the recording.
    chunking_strategy: Option<String>,
    /// `mix`, or `separate`: each channel is heard by itself, such as the sides of a call, and labels what is heard on it.
    #[schema(default = "mix")]
    channels: Option<String>,
    /// Of a recording with several audio tracks: a number from 0; `all`, each by itself; `mix`, all as one; or `auto`, the
    /// first that can be decoded and is not silent.
    #[schema(default = "auto")]
    track: Option<String>,
    /// Who says what; `diarized_json` tells it as well. Needs `audio.speaker_network`.
    diarize: Option<bool>,
    /// Speakers whose voices are known, up to 16.
    #[schema(rename = "known_speaker_names[]")]
    known_speaker_names: Option<Vec<String>>,
    /// Their voices, in the same order: recordings of up to 30 s as data URLs.
    #[schema(rename = "known_speaker_references[]")]
    known_speaker_references: Option<Vec<String>>,
    /// Knobs of the model's family, as a JSON object; those of a Whisper may be fields of their own.
    options: Option<String>,
    /// Server-sent events while the text is made.
    stream: Option<bool>,
    /// Seconds to wait for the model, if it is not in memory.
    wait: Option<f64>,
    /// Seconds in which the whole answer is wanted; the header `X-Request-Timeout` says the same.
    timeout: Option<f64>,
    /// How long the model is to stay in memory afterwards: seconds, or a duration such as `5m`.
    keep_alive: Option<String>,
}

/// The answer in `json`.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Transcription {
    pub text: String,
    /// Only if `include[]` asks for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<Vec<Logprob>>,
    pub usage: Usage,
    /// What was amiss with the recording; absent where nothing was.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
}

/// The answer in `verbose_json`.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct VerboseTranscription {
    pub task: TranscribeMode,
    /// Its English name in lower case, as OpenAI answers.
    pub language: String,
    /// Seconds.
    pub duration: f64,
    #[serde(flatten)]
    pub parts: Parts,
    pub text: String,
    /// Unless only words are asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segments: Option<Vec<Segment>>,
    /// If words are asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub words: Option<Vec<PlacedWord>>,
    pub usage: Usage,
    /// What was amiss with the recording; absent where nothing was.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
}

/// The answer in `diarized_json`.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct DiarizedTranscription {
    pub task: TranscribeMode,
    /// Seconds.
    pub duration: f64,
    /// A line for each turn, which begins with its speaker.
    pub text: String,
    pub segments: Vec<DiarizedSegment>,
    pub usage: Usage,
    /// What was amiss with the recording; absent where nothing was.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
}

/// What one speaker says.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct DiarizedSegment {
    /// `transcript.text.segment`
    pub r#type: &'static str,
    pub id: String,
    /// Seconds from the start of the recording.
    pub start: f64,
    pub end: f64,
    pub text: String,
    /// A known speaker's name, or `A`, `B` and so on.
    pub speaker: String,
}

/// A word and its place in the recording, in seconds.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct PlacedWord {
    pub word: String,
    pub start: f64,
    pub end: f64,
    #[serde(flatten)]
    pub part: Part,
    /// Who says it, if that is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speaker: Option<String>,
}

/// What is counted: the length of the recording, as OpenAI does it for Whisper; of each channel or track, if they
/// are heard separately.
#[derive(Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(in crate::http) enum Usage {
    Duration {
        /// Rounded up.
        seconds: u64,
    },
}

/// An event of `stream=true`.
#[derive(Serialize, ToSchema)]
#[serde(tag = "type")]
pub(in crate::http) enum Event {
    /// More text.
    #[serde(rename = "transcript.text.delta")]
    Delta {
        delta: String,
        #[serde(flatten)]
        part: Part,
        #[serde(skip_serializing_if = "Option::is_none")]
        logprobs: Option<Vec<Logprob>>,
        /// The segment that it belongs to, in `diarized_json`.
        #[serde(skip_serializing_if = "Option::is_none")]
        segment_id: Option<String>,
    },
    /// All text, last.
    #[serde(rename = "transcript.text.done")]
    Done {
        text: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        logprobs: Option<Vec<Logprob>>,
        usage: Usage,
        /// What was amiss with the recording; absent where nothing was.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        warnings: Vec<Warning>,
    },
    /// A segment is whole, in `diarized_json`.
    #[serde(untagged)]
    Segment(DiarizedSegment),
}

// === impl Usage, DiarizedSegment, PlacedWord ===

impl Usage {
    pub fn of(seconds: f64) -> Self {
        Self::Duration { seconds: seconds.ceil() as u64 }
    }
}

impl DiarizedSegment {
    pub fn of(segment: &Segment) -> Self {
        Self {
            r#type: "transcript.text.segment",
            id: format!("seg_{}", segment.id),
            start: segment.start,
            end: segment.end,
            text: segment.text.trim().to_owned(),
            // Where nobody is found to speak and a text is there all the same, it is one person's.
            speaker: segment.speaker.clone().unwrap_or_else(|| "A".to_owned()),
        }
    }
}

impl PlacedWord {
    pub fn of(word: &Word) -> Self {
        let (text, speaker) = (word.word.trim().to_owned(), word.speaker.clone());
        Self { word: text, start: word.start, end: word.end, part: word.part, speaker }
    }
}
