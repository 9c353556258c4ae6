//! What a text becomes: things to say, and where to stop between them.

use std::time::Duration;

/// One piece of the stream that [`read`](super::read) makes and [`chunks`](super::chunks) takes.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    Say(Span),
    Boundary(Boundary),
}

/// Text that is spoken in one manner.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    pub text: String,
    /// How the whole of `text` sounds, where the caller or the lexicon says so. A family without phonemes reads `text`.
    pub phonemes: Option<String>,
    pub prosody: Prosody,
}

/// The manner of speaking, relative to the voice's own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prosody {
    /// Times the usual speed, 0.25 to 4.
    pub rate: f32,
    /// Semitones above the usual pitch, -24 to 24.
    pub pitch: f32,
    /// Decibels above the usual loudness, -96 (silent) to 24.
    pub volume: f32,
}

impl Default for Prosody {
    fn default() -> Self {
        Self { rate: 1.0, pitch: 0.0, volume: 0.0 }
    }
}

/// What ends here, the least first. How long the voice rests is up to who joins the sound, except for a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Boundary {
    Word,
    Clause,
    Sentence,
    Paragraph,
    /// Silence that the caller asked for.
    Pause(Duration),
}

/// Collects parts, and keeps neighbours that belong together in one.
#[derive(Default)]
pub(super) struct Parts(Vec<Part>);

impl Parts {
    /// Adds text in the manner of `prosody`.
    pub fn text(&mut self, text: &str, prosody: Prosody) {
        match self.0.last_mut() {
            Some(Part::Say(last)) if last.phonemes.is_none() && last.prosody == prosody => last.text.push_str(text),
            Some(Part::Say(_)) if !text.is_empty() => self.span(text.to_owned(), None, prosody),
            _ if text.trim().is_empty() => {}
            _ => self.span(text.to_owned(), None, prosody),
        }
    }

    /// Adds a span that stays by itself.
    pub fn span(&mut self, text: String, phonemes: Option<String>, prosody: Prosody) {
        self.0.push(Part::Say(Span { text, phonemes, prosody }));
    }

    /// Of two boundaries in one place the greater counts; pauses add up.
    pub fn boundary(&mut self, boundary: Boundary) {
        match self.0.last_mut() {
            Some(Part::Boundary(last)) => {
                *last = match (*last, boundary) {
                    (Boundary::Pause(a), Boundary::Pause(b)) => Boundary::Pause(a + b),
                    (a, b) => a.max(b),
                }
            }
            _ => self.0.push(Part::Boundary(boundary)),
        }
    }

    pub fn into_vec(self) -> Vec<Part> {
        self.0
    }
}
