//! Sound that a model makes, while it makes it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::{Measured, ModelName, Piece, Size};
use crate::audio::Pcm;

/// A part of what a model says.
#[derive(Clone, Debug, PartialEq)]
pub enum SpeechEvent {
    /// The next stretch of sound, as soon as it is final. All of one answer have the same rate and as many channels. Of
    /// a model that makes several [stems](crate::model::Family::stems) the first that is asked for.
    Audio(Pcm),
    /// The next stretch of another stem that is asked for, by its name, at the same rate. Together they are as long as the
    /// sound.
    Stem(&'static str, Pcm),
    /// How far the model is, as often as it likes; who asks sees the newest.
    Progress(SpeechProgress),
    /// From here the model can go on, should the process end; the newest replaces those before it.
    Checkpoint(Checkpoint),
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

/// How far a model is with an answer that has sections, as a song has.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SpeechProgress {
    /// That are finished.
    pub done: usize,
    /// Sections in all.
    pub sections: usize,
    /// Of sound that is as good as made, in seconds, whether or not it was handed out.
    pub seconds: f64,
    /// What is still to be done, as the model reckons it.
    pub remaining: Option<Duration>,
    /// Bytes of its device that the answer takes beside the weights, at most; `None`: the model does not tell.
    pub memory: Option<u64>,
}

/// What becomes of a text, as far as that can be told before a model is loaded for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpeechEstimate {
    /// That are made of it.
    pub sections: usize,
    /// Of sound, at most.
    pub seconds: f64,
    /// Of its sound, in hertz.
    pub rate: u32,
}

/// What a model needs to go on with an answer in another process, where it is given it with the
/// [same request](super::Synthesize::checkpoint). Only the family that made it can read it, and one that does not know it
/// (another version of it, other weights) begins anew. The model then makes the whole answer, sample by sample the same,
/// with the sound of what was finished before as well, but without the work that this took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint(pub Bytes);

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
            // It sounds with the other, not after it.
            Self::Stem(_, pcm) => Size::silent(pcm.size().bytes),
            Self::Progress(_) => Size::default(),
            Self::Checkpoint(checkpoint) => Size::silent(checkpoint.0.len()),
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
