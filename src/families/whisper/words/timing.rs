//! A word in time.

/// A word and its place in the window, before punctuation and pauses are seen to.
#[derive(Clone, Debug, PartialEq)]
pub struct WordTiming {
    pub word: String,
    /// How many tokens write it.
    pub tokens: usize,
    /// Seconds from the start of the window.
    pub start: f64,
    /// Seconds from the start of the window.
    pub end: f64,
    /// Mean over its tokens.
    pub probability: f32,
}
