//! Text as it is spoken: from what a caller wrote to blocks that a model can say. Pure: no model, no protocol, no I/O.
//!
//! Text goes one way:
//!
//! ```text
//! what was sent ─► plain (Markdown, [pause:1s]) ─┬─► parts ─► normalised ─► lexicon ─► chunks
//!                  SSML ─────────────────────────┘
//! ```
//!
//! 1. [`read`] does all but the last step by what a [`Reading`] says. It refuses what cannot be spoken with a
//!    [`TextError`], and returns [`Part`]s: spans of text in one manner ([`Prosody`], phonemes where they are given) and
//!    the [`Boundary`]s between them, pauses among these.
//! 2. [`chunks`] cuts parts into [`Chunk`]s within the [`ChunkLimits`] of a family.
//! 3. What a model made of a chunk is judged by the family's [`LengthCheck`].
//!
//! English is normalised whole (`english`). Other languages keep their numbers and abbreviations, since no library at hand
//! reads them reliably and most models and phonemizers read them by themselves; characters are cleaned, and Markdown is
//! read, in all. `docs/TEXT.md` says what is read how.
//!
//! Every step takes time linear in the text, whatever the text is.

mod check;
mod chunk;
mod clean;
mod english;
mod error;
mod length;
mod lexicon;
mod markdown;
mod parts;
mod passage;
mod pause;
mod phonemizer;
mod place;
mod properties;
mod say_as;
mod sentence;
mod ssml;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use chunk::{Chunk, ChunkLimits, chunks};
pub use error::{PauseFault, SsmlFault, TextError};
pub use icu_properties::props::Script;
pub use length::{LengthCheck, LengthVerdict};
pub use lexicon::{Lexicon, LexiconError};
pub use parts::{Boundary, Part, Prosody, Span};
pub use passage::passages;
pub use phonemizer::{PhonemeError, Phonemizer};
pub use place::Place;
pub use sentence::sentences;

use english::English;

/// The longest silence that a text may ask for, all pauses together.
const MAX_SILENCE: Duration = Duration::from_secs(600);

/// What a text is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Markup {
    /// Plain text or Markdown, with `[pause:0.5s]`.
    #[default]
    Plain,
    Ssml,
}

/// How a text is to be read.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    pub markup: Markup,
    /// A BCP 47 tag, such as `en-GB`; it decides whether numbers are read, and which part of 4/5/2024 is the month.
    pub language: &'a str,
    /// Whether anything is spelled out. If not, only control characters are dropped, and pauses and SSML followed.
    pub normalize: bool,
    pub lexicon: Option<&'a Lexicon>,
    /// The most characters that a caller may send, markup included.
    pub limit: usize,
    /// What the model's letters are; empty: any.
    pub scripts: &'a [Script],
    /// Words that the model itself knows what to do with, and that stay as they are.
    pub tags: fn(&str) -> bool,
}

/// Reads `text` as a stream of things to say and boundaries between them, with at least one letter or digit in it.
pub fn read(text: &str, reading: &Reading<'_>) -> Result<Vec<Part>, TextError> {
    if text.is_empty() {
        return Err(TextError::Empty);
    }
    check::length(text, reading.limit)?;
    check::something_to_say(text.chars())?;
    let english = English::of(reading.language);
    let mut parts = parts::Parts::default();
    let nobody = Lexicon::default();
    let lexicon = reading.lexicon.unwrap_or(&nobody);
    for part in parsed(text, reading, english.is_some())? {
        lexicon.apply(normalised(part, reading, english, lexicon), &mut parts);
    }
    let parts = parts.into_vec();
    check_spoken(&parts, reading.scripts)?;
    Ok(parts)
}

/// All of `text` as it was written, for a model that takes it so.
pub fn whole(text: &str, limit: usize) -> Result<Chunk, TextError> {
    if text.is_empty() {
        return Err(TextError::Empty);
    }
    check::length(text, limit)?;
    check::something_to_say(text.chars())?;
    let span = Span { text: text.to_owned(), phonemes: None, prosody: Prosody::default() };
    Ok(Chunk { spans: vec![span], end: Boundary::Word })
}

fn parsed(text: &str, reading: &Reading<'_>, english: bool) -> Result<Vec<Part>, TextError> {
    match reading.markup {
        Markup::Ssml => ssml::parse(text, english),
        Markup::Plain => {
            pause::check(text)?;
            let read = reading.normalize.then(|| markdown::text(text));
            Ok(pause::split(read.as_deref().unwrap_or(text)).into_vec())
        }
    }
}

fn normalised(part: Part, reading: &Reading<'_>, english: Option<English>, lexicon: &Lexicon) -> Part {
    let Part::Say(mut span) = part else { return part };
    span.text = match english {
        _ if !reading.normalize => clean::without_controls(&span.text).into_owned(),
        Some(english) if span.phonemes.is_none() => {
            english.speak(&clean::fold(&span.text), |word| (reading.tags)(word) || lexicon.has(word))
        }
        _ => clean::fold(&span.text),
    };
    Part::Say(span)
}

fn check_spoken(parts: &[Part], scripts: &[Script]) -> Result<(), TextError> {
    let texts = parts.iter().filter_map(|part| match part {
        Part::Say(span) => Some(span.text.as_str()),
        Part::Boundary(_) => None,
    });
    check::something_to_say(texts.clone().flat_map(str::chars))?;
    check::scripts(texts.flat_map(str::chars), scripts)?;
    let pauses = parts.iter().map(|part| match part {
        Part::Boundary(Boundary::Pause(length)) => *length,
        _ => Duration::ZERO,
    });
    let total = pauses.fold(Duration::ZERO, Duration::saturating_add);
    if total > MAX_SILENCE { Err(TextError::Silence { total, limit: MAX_SILENCE }) } else { Ok(()) }
}
