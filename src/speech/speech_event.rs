//! Sound that a model makes, while it makes it.

use std::sync::Arc;

use super::{Measured, ModelName, Piece, Size};
use crate::audio::Pcm;

/// A part of what a model says.
#[derive(Clone, Debug, PartialEq)]
pub enum SpeechEvent {
    /// The next stretch of sound, as soon as it is final. All of one answer have the same rate and as many channels.
    Audio(Pcm),
    /// Once, last.
    Done(SpeechSummary),
}

/// What is known when all was said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SpeechSummary {
    /// Of sound that was made.
    pub seconds: f64,
    /// That the model made; 0 where it makes none.
    pub tokens: usize,
    /// That gives the same sound again, where chance had a part in it.
    pub seed: Option<u64>,
    /// Where words or sentences lie, in order; empty where the model does not know.
    pub marks: Vec<Mark>,
    /// For the next chunk of the same text, of a family whose voice changes between two chunks unless it hears the one
    /// before.
    pub tail: Option<SpeechTail>,
}

/// The end of what was said. Only the family that made it can read it.
#[derive(Clone, Debug, PartialEq)]
pub struct SpeechTail {
    /// The words, as the family writes them.
    pub said: String,
    /// The codes of their sound.
    pub codes: Arc<[u32]>,
}

/// A stretch of the text and its place in the sound, in seconds.
#[derive(Clone, Debug, PartialEq, serde::Serialize, utoipa::ToSchema)]
pub struct Mark {
    pub kind: MarkKind,
    pub text: String,
    pub start: f64,
    pub end: f64,
}

/// What a mark is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum MarkKind {
    Word,
    Sentence,
}

/// All that was said in one answer.
#[derive(Clone, Debug)]
pub struct Speech {
    pub model: ModelName,
    pub audio: Pcm,
    pub summary: SpeechSummary,
}

// === impl SpeechEvent ===

impl Measured for SpeechEvent {
    fn size(&self) -> Size {
        match self {
            Self::Audio(pcm) => pcm.size(),
            Self::Done(summary) => {
                let tail = summary.tail.iter().map(SpeechTail::bytes).sum::<usize>();
                Size::silent(tail + summary.marks.iter().map(Mark::bytes).sum::<usize>())
            }
        }
    }
}

impl Piece for SpeechEvent {
    fn is_last(&self) -> bool {
        matches!(self, Self::Done(_))
    }
}

// === impl SpeechTail ===

impl SpeechTail {
    fn bytes(&self) -> usize {
        self.said.len() + size_of_val(&*self.codes)
    }
}

// === impl Mark ===

impl Mark {
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.text.len()
    }
}
