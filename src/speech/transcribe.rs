//! To hear: speech in, text out.

use std::str::FromStr;

use super::{Measured, Part, Piece, Problem, Size, Task, TaskKind, Tracks};
use crate::audio::Pcm;

/// A recording to be written down, and how.
#[derive(Clone, Debug)]
pub struct Transcribe {
    /// At the rate that the family wants ([`Family::input_rate`](crate::model::Family::input_rate)). Of a live recording,
    /// its beginning.
    pub audio: Pcm,
    pub options: TranscribeOptions,
}

/// What a caller may say about a transcription. Made where a request is read, and handed on as it is.
#[derive(Clone, Debug, Default, serde::Deserialize, utoipa::ToSchema)]
pub struct TranscribeOptions {
    /// The spoken language, as an ISO 639-1 code or an English name; detected if absent.
    pub language: Option<String>,
    /// `transcribe`, or `translate` into English.
    #[serde(default, rename = "task")]
    #[schema(value_type = Option<String>)]
    pub mode: TranscribeMode,
    /// Text that came before, or words to expect.
    pub prompt: Option<String>,
    /// 0 to 1; absent: start at 0 and rise where the text looks wrong.
    pub temperature: Option<f32>,
    /// `none`, `segment` or `word`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub timestamps: Timestamps,
    /// `mix`, or `separate`: each channel of the recording is heard by itself, such as the sides of a call.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub channels: Channels,
    /// Of a recording with several audio tracks: a number from 0; `all`, each by itself; `mix`, all as one; or `auto`, the
    /// first that can be decoded and is not silent.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub track: Tracks,
    /// Whether it is told who says what.
    #[serde(default)]
    #[schema(value_type = Option<bool>)]
    pub diarize: bool,
    /// Whether each token is wanted with its log-probability.
    #[serde(skip)]
    pub logprobs: bool,
    /// Knobs of one family, read by it with unknown names refused.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub options: serde_json::Map<String, serde_json::Value>,
}

/// In which language the text is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TranscribeMode {
    /// The language that is spoken.
    #[default]
    Transcribe,
    /// English.
    Translate,
}

/// What is heard of a recording that has several channels. Models hear one: a recording whose channels are separate
/// becomes several requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Channels {
    /// All of them as one.
    #[default]
    Mix,
    /// Each by itself, and what is heard is labelled by it.
    Separate,
}

/// How finely the text is placed in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Timestamps {
    None,
    #[default]
    Segment,
    Word,
}

/// A part of a transcription.
#[derive(Clone, Debug)]
pub enum TranscriptEvent {
    /// In order of time, as soon as each is final.
    Segment(Segment),
    /// What follows the last segment seems to be so far; the next one takes its place. Of a live recording only.
    Partial(String),
    /// Once, last.
    Done(Summary),
}

/// What is known when all was heard.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// ISO 639-1 code, for example `en`.
    pub language: String,
    /// Length of the recording in seconds.
    pub duration: f64,
    /// Tokens that the decoder made.
    pub tokens: usize,
}

/// A stretch of speech. Field names and meanings are those of OpenAI's `verbose_json`.
#[derive(Clone, Debug, PartialEq, serde::Serialize, utoipa::ToSchema)]
pub struct Segment {
    pub id: usize,
    /// Start of the window that it was heard in, in frames of 10 ms.
    pub seek: usize,
    /// Seconds from the start of the recording.
    pub start: f64,
    /// Seconds from the start of the recording.
    pub end: f64,
    pub text: String,
    pub tokens: Vec<u32>,
    pub temperature: f32,
    pub avg_logprob: f32,
    pub compression_ratio: f32,
    pub no_speech_prob: f32,
    #[serde(flatten)]
    pub part: Part,
    /// Who says it; only where that is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speaker: Option<String>,
    /// Empty unless asked for.
    #[serde(skip)]
    pub words: Vec<Word>,
    /// Of the tokens that are text, in order. Empty unless asked for.
    #[serde(skip)]
    pub logprobs: Vec<Logprob>,
    /// What it may have been, the likeliest first. Empty unless asked for, and of models that tell it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alternatives: Vec<Alternative>,
}

/// What a stretch of speech may have been.
#[derive(Clone, Debug, PartialEq, serde::Serialize, utoipa::ToSchema)]
pub struct Alternative {
    pub text: String,
    /// Its probability among all that are told.
    pub confidence: f32,
}

/// A word and its place in the recording, in seconds.
#[derive(Clone, Debug, PartialEq, serde::Serialize, utoipa::ToSchema)]
pub struct Word {
    pub word: String,
    pub start: f64,
    pub end: f64,
    /// Mean probability of its tokens.
    pub probability: f32,
    #[serde(flatten)]
    pub part: Part,
    /// Who says it; only where that is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speaker: Option<String>,
}

/// How sure a model was of a token.
#[derive(Clone, Debug, PartialEq, serde::Serialize, utoipa::ToSchema)]
pub struct Logprob {
    /// Its text; a character that spans tokens is U+FFFD in each of them.
    pub token: String,
    /// Natural logarithm of its probability, at most 0.
    pub logprob: f32,
    /// Its bytes, which those of its neighbours may complete to a character.
    pub bytes: Vec<u8>,
}

// === impl TranscribeOptions ===

impl TranscribeOptions {
    /// Refuses values that no model can follow.
    pub fn checked(self) -> Result<Self, Problem> {
        match self.temperature {
            Some(temperature) if !(0.0..=1.0).contains(&temperature) => {
                let message = format!("temperature is {temperature}; 0 to 1 would be right");
                Err(Problem::invalid("temperature", message))
            }
            _ if self.diarize && self.channels == Channels::Separate => {
                let message = "diarize is for one sound; with channels separate each side is told by its channel";
                Err(Problem::invalid("diarize", message.to_owned()))
            }
            _ if self.diarize && self.track == Tracks::All => {
                let message = "diarize is for one sound; with track all each is told by its track";
                Err(Problem::invalid("diarize", message.to_owned()))
            }
            _ if self.channels == Channels::Separate && matches!(self.track, Tracks::All | Tracks::Mix) => {
                let message = "channels separate is for one track; name it by its number, or leave track out";
                Err(Problem::invalid("track", message.to_owned()))
            }
            _ => Ok(self),
        }
    }
}

// === impl Channels ===

impl FromStr for Channels {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        match name {
            "mix" => Ok(Self::Mix),
            "separate" => Ok(Self::Separate),
            _ => Err(()),
        }
    }
}

// === impl Transcribe ===

impl Task for Transcribe {
    const KIND: TaskKind = TaskKind::Transcribe;
    type Piece = TranscriptEvent;
    /// The sound that follows.
    type Input = Pcm;
}

// === impl TranscriptEvent ===

impl Measured for TranscriptEvent {
    fn size(&self) -> Size {
        match self {
            Self::Segment(segment) => Size::silent(segment.bytes()),
            Self::Partial(text) => Size::silent(text.len()),
            Self::Done(_) => Size::silent(size_of::<Summary>()),
        }
    }
}

impl Piece for TranscriptEvent {
    fn is_last(&self) -> bool {
        matches!(self, Self::Done(_))
    }
}

// === impl Segment ===

impl Segment {
    fn bytes(&self) -> usize {
        let words = self.words.iter().map(|word| size_of::<Word>() + word.word.len());
        let logprobs =
            self.logprobs.iter().map(|logprob| size_of::<Logprob>() + logprob.token.len() + logprob.bytes.len());
        let itself = size_of::<Self>() + self.text.len() + size_of_val(self.tokens.as_slice());
        let alternatives =
            self.alternatives.iter().map(|alternative| size_of::<Alternative>() + alternative.text.len());
        itself + words.sum::<usize>() + logprobs.sum::<usize>() + alternatives.sum::<usize>()
    }
}
