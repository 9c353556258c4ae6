//! A text that is being spoken: frames of codes, and from time to time the sound of them.

use candle_core::Result;

use super::net::HiggsRow;
use crate::{
    families::code_speech::{CodeUtterance, FinishReason},
    nn::codec::{XCodec, XCodecStream},
};

/// Frames that the sound of later blocks is made of.
const BLOCK: usize = 50;
/// Frames of what was said before that the first sound is made with, so that there is no seam.
const CONTEXT: usize = 32;
/// So often the last frame is repeated after the end, and left out again: made with nothing after it, its sound hisses.
const AFTER: usize = 8;

/// A text in hand.
pub struct Utterance {
    pub row: HiggsRow,
    /// `None` once all sound was made.
    stream: Option<XCodecStream>,
    /// Frames whose codes went to the stream.
    sent: usize,
    /// Frames at which sound is made next.
    due: usize,
    /// Samples that were heard before.
    skip: usize,
    /// Samples that came of the row's own frames.
    made: usize,
}

// === impl Utterance ===

impl Utterance {
    /// `before`: codes of what was said before, `[frames, books]`.
    pub fn new(row: HiggsRow, codec: &XCodec, before: &[u32], first_block: usize) -> Result<Self> {
        let mut stream = XCodecStream::new();
        let books = codec.books();
        let context = (before.len() / books).min(CONTEXT);
        let mut skip = context * codec.hop();
        if context > 0 {
            skip -= stream.push(codec, &before[before.len() - context * books..])?.len();
        }
        let due = if first_block == 0 { usize::MAX } else { first_block };
        Ok(Self { row, stream: Some(stream), sent: 0, due, skip, made: 0 })
    }

    /// The sound of the frames that came since; all that is left if there will be no more.
    pub fn sound(&mut self, codec: &XCodec) -> Result<Vec<f32>> {
        let frames = self.row.frames();
        self.due = frames + BLOCK;
        let codes = self.row.codes(self.sent..frames);
        self.sent = frames;
        let Some(mut stream) = self.stream.take() else { return Ok(Vec::new()) };
        let mut made = if codes.is_empty() { Vec::new() } else { stream.push(codec, &codes)? };
        match self.row.finished() {
            true if frames == 0 => made.clear(),
            true => {
                let last = self.row.codes(frames - 1..frames);
                made.extend(stream.push(codec, &last.repeat(AFTER))?);
                made.extend(stream.finish(codec)?);
            }
            false => self.stream = Some(stream),
        }
        let heard = self.skip.min(made.len());
        self.skip -= heard;
        made.drain(..heard);
        made.truncate((frames * codec.hop()).saturating_sub(self.made));
        self.made += made.len();
        Ok(made)
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
