//! A text that is being spoken: frames of codes, and from time to time the sound of them.

use candle_core::Result;

use super::{net::CodeRow, options::SpeechOptions, text::Phonemes};
use crate::{
    families::code_speech::{CodeUtterance, FinishReason},
    nn::codec::{Dac, DacStream},
    speech::SpeechTail,
};

/// Frames that the sound of later blocks is made of.
const BLOCK: usize = 64;
/// Frames of what was said before that the first sound is made with, so that there is no seam.
const CONTEXT: usize = 32;
/// Frames that are kept of what was said, for the next chunk: 15 s. With as much again the model is at the end of what it was
/// trained on.
const MOST_TAIL: usize = 86 * 15;

/// A text in hand.
pub struct Utterance {
    pub row: CodeRow,
    pub seed: u64,
    phonemes: Phonemes,
    /// What of the tail was said before this text began, `[frames, books]`.
    before: Vec<u32>,
    /// `None` once all sound was made.
    stream: Option<DacStream>,
    /// Frames whose codes went to the stream.
    sent: usize,
    /// Frames at which sound is made next.
    due: usize,
    /// Samples that were heard before.
    skip: usize,
}

// === impl Utterance ===

impl Utterance {
    /// `given`: the codes that the row began with, `[frames, books]`; `before`: those of them that belong to this text.
    pub fn new(
        row: CodeRow,
        dac: &Dac,
        phonemes: Phonemes,
        (given, before): (&[u32], Vec<u32>),
        options: &SpeechOptions,
    ) -> Result<Self> {
        let mut stream = DacStream::new();
        let books = dac.books();
        let context = (given.len() / books).min(CONTEXT);
        let mut skip = context * dac.hop();
        if context > 0 {
            let made = stream.push(dac, &given[given.len() - context * books..])?;
            skip -= made.len();
        }
        let due = if options.first_block == 0 { usize::MAX } else { options.first_block };
        let seed = options.seed;
        Ok(Self { row, seed, phonemes, before, stream: Some(stream), sent: 0, due, skip })
    }

    /// The sound of the frames that came since; all that is left if there will be no more.
    pub fn sound(&mut self, dac: &Dac) -> Result<Vec<f32>> {
        let frames = self.row.frames();
        self.due = frames + BLOCK;
        let codes = self.row.codes(self.sent..frames);
        self.sent = frames;
        let Some(mut stream) = self.stream.take() else { return Ok(Vec::new()) };
        let mut made = if codes.is_empty() { Vec::new() } else { stream.push(dac, &codes)? };
        match self.row.finished() {
            true => made.extend(stream.finish(dac)?),
            false => self.stream = Some(stream),
        }
        let heard = self.skip.min(made.len());
        self.skip -= heard;
        made.drain(..heard);
        Ok(made)
    }

    /// What the next chunk of the text is told of this one.
    pub fn tail(&self, books: usize) -> Option<SpeechTail> {
        let mut codes = self.before.clone();
        codes.extend(self.row.codes(0..self.row.frames()));
        let frames = codes.len() / books;
        let kept = frames.min(MOST_TAIL);
        codes.drain(..(frames - kept) * books);
        // Of what is too long nobody knows where a word begins: it is taken for evenly spoken.
        let said = self.phonemes.last(kept as f32 / frames.max(1) as f32).to_owned();
        (kept > 0).then(|| SpeechTail { said, codes: codes.into() })
    }
}

impl CodeUtterance for Utterance {
    fn finish(&self) -> Option<FinishReason> {
        self.row.finish()
    }

    fn is_due(&self) -> bool {
        self.row.finished() || self.row.frames() >= self.due
    }
}
