//! A text that is being spoken: tokens of T3, and from time to time the sound of them.

use std::sync::Arc;

use super::{
    decoder::{Decoder, Part, S3Gen},
    options::SpeechOptions,
    t3::T3Row,
    voices::Voice,
};

/// The next pass over all tokens is made when there are so many times as many: each costs as much as all before it.
const GROWTH: usize = 4;

/// What follows the tokens of a text, and what of their sound is left out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ending {
    /// Tokens of silence that are put after the last, as many as this; `None` of a model that needs none.
    pub silence: Option<(u32, usize)>,
    /// Tokens whose sound is cut off at the end: the multilingual model's last is noise.
    pub cut: usize,
}

/// A text in hand.
pub struct Utterance {
    pub row: T3Row,
    decoder: Decoder,
    codes: u32,
    ending: Ending,
    /// Tokens at which sound is made next; `None`: at the end.
    due: Option<usize>,
}

// === impl Utterance ===

impl Utterance {
    pub fn new(
        row: T3Row,
        s3gen: &S3Gen,
        voice: Arc<Voice>,
        options: &SpeechOptions,
        codes: u32,
        ending: Ending,
    ) -> Self {
        let decoder = Decoder::new(s3gen, voice, options.flow, options.seed);
        let due = Some(options.first_block).filter(|&first| first > 0);
        Self { row, decoder, codes, ending, due }
    }

    /// Whether there are tokens to make sound of.
    pub fn is_due(&self) -> bool {
        self.row.finished() || self.due.is_some_and(|due| self.row.tokens().len() >= due)
    }

    /// The sound of the tokens that came since; all that is left if there will be no more. `None` once `stop` said so.
    pub fn sound(&mut self, s3gen: &S3Gen, stop: &dyn Fn() -> bool) -> candle_core::Result<Option<Vec<f32>>> {
        self.due = self.due.map(|due| due.saturating_mul(GROWTH));
        let last = self.row.finished();
        let mut tokens: Vec<u32> = self.row.tokens().iter().copied().filter(|&token| token < self.codes).collect();
        let spoken = tokens.len();
        if let Some((silence, count)) = self.ending.silence.filter(|_| last && spoken > 0) {
            tokens.extend(std::iter::repeat_n(silence, count));
        }
        let sound = self.decoder.extend(s3gen, Part { tokens: &tokens, first: 0, last }, stop)?;
        let cut = if last { self.ending.cut.min(spoken) * s3gen.samples_per_token() } else { 0 };
        Ok(sound.map(|mut sound| {
            sound.truncate(sound.len().saturating_sub(cut));
            sound
        }))
    }
}
