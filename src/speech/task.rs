//! The closed set of things that can be asked of a model.

use std::fmt;

use super::Measured;

/// Something that can be asked of a model. The answer arrives in pieces.
pub trait Task: Send + 'static {
    const KIND: TaskKind;
    /// A part of the answer.
    type Piece: Piece;
    /// What may still arrive while the model works: the sound of a live recording, a text that is being written.
    type Input: Measured + Send + 'static;
}

/// A part of an answer.
pub trait Piece: Measured + Send + 'static {
    /// Whether nothing follows.
    fn is_last(&self) -> bool;
}

/// The names of the tasks, as routes, metrics and messages use them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskKind {
    /// Speech to text.
    Transcribe,
    /// Text to sound.
    Synthesize,
    /// One voice to another.
    Convert,
}

impl TaskKind {
    pub const ALL: [TaskKind; 3] = [Self::Transcribe, Self::Synthesize, Self::Convert];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transcribe => "transcribe",
            Self::Synthesize => "synthesize",
            Self::Convert => "convert",
        }
    }
}

impl fmt::Display for TaskKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
