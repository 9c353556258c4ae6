//! What can be wrong with a text.

use std::time::Duration;

use super::place::Place;

/// Why a text cannot be spoken. Each says what was wrong and what would be right; none quotes more than a few characters.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TextError {
    #[error("the text is empty; send at least one word")]
    Empty,
    #[error("the text is blank; send at least one word")]
    Blank,
    #[error("the text has only control characters; send at least one word")]
    OnlyControl,
    #[error("the text has only punctuation and symbols, which are not spoken by themselves; send at least one word")]
    OnlyPunctuation,
    #[error("the text has only emoji, which are not spoken; send at least one word")]
    OnlyEmoji,
    #[error("the text has {length} characters, more than the limit of {limit}; send it in parts")]
    TooLong { length: usize, limit: usize },
    #[error(
        "the text is mostly in the script {script} (such as {example:?}), which this model does not speak; it speaks {}",
        .spoken.join(", ")
    )]
    Script { script: String, example: char, spoken: Vec<String> },
    #[error("the pause at {place} is none: {what}; write [pause:0.5s] or [pause:300ms]")]
    Pause { place: Place, what: PauseFault },
    #[error("the pauses are {} s together, more than the limit of {} s", .total.as_secs(), .limit.as_secs())]
    Silence { total: Duration, limit: Duration },
    #[error("the SSML is wrong at {place}: {what}")]
    Ssml { place: Place, what: SsmlFault },
}

impl TextError {
    /// Whether nothing is wrong but that there is nothing to be said.
    pub fn is_nothing(&self) -> bool {
        matches!(self, Self::Empty | Self::Blank | Self::OnlyControl | Self::OnlyPunctuation | Self::OnlyEmoji)
    }
}

/// What is wrong with a length of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PauseFault {
    #[error("{0:?} is no length of time")]
    NoTime(String),
    #[error("{} s is longer than the limit of 60 s", .0.as_secs_f32())]
    TooLong(Duration),
}

/// Those of SSML that every family can follow.
const ELEMENTS: &str = "speak, p, s, break, prosody, phoneme, say-as, sub, emphasis";

/// What is wrong with SSML.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SsmlFault {
    #[error("it is not well-formed XML: {0}")]
    Xml(String),
    #[error("a document type is not allowed; begin with <speak>")]
    DocumentType,
    #[error("the whole must stand in one <speak> element")]
    Root,
    #[error("<{0}> is not supported; there are {list}", list = ELEMENTS)]
    Element(String),
    #[error("<{0}> may hold text only")]
    Nested(&'static str),
    #[error("<{0}> needs the word that it pronounces as its text")]
    Blank(&'static str),
    #[error("elements are nested more than {0} deep")]
    Depth(usize),
    #[error("<{0}> has more than {1} attributes")]
    Attributes(String, usize),
    #[error("<{element}> needs the attribute {attribute}")]
    Missing { element: &'static str, attribute: &'static str },
    #[error("{attribute}={value:?} is not understood; {expected}")]
    Value { attribute: String, value: String, expected: &'static str },
    #[error("{0}")]
    Pause(PauseFault),
    #[error("&{0}; is not known; there are &amp; &lt; &gt; &quot; &apos; and numbers such as &#233;")]
    Entity(String),
}

/// The beginning of what a caller sent, short enough for a message.
pub(super) fn excerpt(text: &str) -> String {
    const LONGEST: usize = 40;
    let mut short: String = text.chars().take(LONGEST).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
