//! What a model can be given to speak.

use crate::text::{ChunkLimits, LengthCheck, Script};

/// What a model can be given to speak.
#[derive(Clone, Copy, Debug)]
pub(super) struct SpeechLimits {
    /// Characters of a text, markup included.
    pub max_text: usize,
    /// Of what the model says in one go.
    pub chunks: ChunkLimits,
    /// How long it may take to say a text.
    pub check: LengthCheck,
    /// That it speaks, where that is one.
    pub language: Option<&'static str>,
    /// That the model speaks; any, if empty.
    pub scripts: &'static [Script],
    /// Words that it reads itself.
    pub tags: fn(&str) -> bool,
    /// Whether it follows `instructions`.
    pub follows_instructions: bool,
    /// Whether it speaks higher or lower where a text asks for it.
    pub follows_pitch: bool,
    /// Whether it takes a text as it was written.
    pub whole: bool,
}
