//! To speak: text in, sound out.

use std::ops::Range;

use serde_json::{Map, Value};

use super::{Checkpoint, ReferenceVoice, SpeechEvent, SpeechTail, Task, TaskKind, VoiceInput};

/// A text to be spoken, and how.
#[derive(Clone, Debug, Default)]
pub struct Synthesize {
    /// Of a text that is still being written, its beginning.
    pub text: String,
    /// In the order of the text, none across another. A family without phonemes reads `text`.
    pub pronunciations: Vec<Pronunciation>,
    /// Semitones above the voice's usual pitch; 0 but for a family that
    /// [follows it](crate::model::Family::follows_pitch).
    pub pitch: f32,
    /// What the model said before, where this is not the first chunk of a text and the model left something.
    pub before: Option<SpeechTail>,
    /// How far an earlier try came, which ended with its process.
    pub checkpoint: Option<Checkpoint>,
    pub options: SynthesizeOptions,
}

/// How a stretch of a text sounds, where its writer or a lexicon says so.
#[derive(Clone, Debug, PartialEq)]
pub struct Pronunciation {
    /// Bytes of the text.
    pub range: Range<usize>,
    /// In the International Phonetic Alphabet.
    pub ipa: String,
}

/// What a caller may say about speech. Made where a request is read, and handed on as it is.
#[derive(Clone, Debug, Default)]
pub struct SynthesizeOptions {
    /// The model's default voice if absent.
    pub voice: Option<VoiceInput>,
    /// Of the text, as an ISO 639-1 code or an English name; the model's default, or what it makes of the text, if
    /// absent.
    pub language: Option<String>,
    /// How fast, as a multiple of the voice's own pace.
    pub speed: Option<f32>,
    /// How it is to be spoken, in words.
    pub instructions: Option<String>,
    /// Of the sampler; as the model's own settings say if absent.
    pub temperature: Option<f32>,
    /// Equal seeds speak alike. Chosen by chance if absent.
    pub seed: Option<u64>,
    /// Which of the model's [stems](crate::model::Family::stems) are wanted, none twice and each one that it has; the first of
    /// its own if empty.
    pub stems: Vec<String>,
    /// Knobs of one family, read by it with unknown names refused.
    pub options: Map<String, Value>,
    /// What speech goes on with: the recording that
    /// [the option for it](crate::model::Family::prefix_option) names, at its own rate.
    pub prefix: Option<ReferenceVoice>,
}

impl Task for Synthesize {
    const KIND: TaskKind = TaskKind::Synthesize;
    type Piece = SpeechEvent;
    /// The text that follows.
    type Input = String;
}
