//! One try of a model at a chunk, and whether what comes of it can be what the text says.
//!
//! A model that misses its end murmurs on, and one that loses its thread stops at the first word. A try that ends too soon
//! or goes on too long ([`LengthCheck`]) is made once more, under another seed, as long as nothing of it has left. So that
//! this is worth something and the first sound comes no later for it, the beginning of a try is held back, but no more
//! than half a second of sound; who waits for the whole anyway has each chunk held back until it ends.

use std::time::Duration;

use crate::{
    audio::Pcm,
    model::{RequestError, Responses},
    service::{ServiceError, error::ImplausibleLength},
    speech::{SpeechEvent, SpeechSummary, Synthesize},
    text::{Chunk, LengthCheck, LengthVerdict},
};

/// Sound of a try that is held back at most, where somebody listens. Models that fail at once end within it, and those
/// that speak make it sooner than a listener notices.
const DOUBT: Duration = Duration::from_millis(500);
/// Tries of a chunk.
const TRIES: u32 = 2;

/// What is to be said, and how long that may take.
pub(super) struct Attempt {
    pub chunk: Chunk,
    text: String,
    responses: Responses<Synthesize>,
    check: LengthCheck,
    /// Times the usual speed.
    pace: f32,
    /// From 1.
    number: u32,
    spoken: Duration,
    /// As long as it may be made again.
    held: Option<Vec<Block>>,
    /// So much sound, and it is let go.
    doubt: Duration,
}

/// A stretch of sound.
pub(super) struct Block {
    /// `None`: the sound itself.
    pub stem: Option<&'static str>,
    pub pcm: Pcm,
}

/// What came of a moment of it.
pub(super) enum Step {
    /// Sound that may leave, if any.
    Sound(Vec<Block>),
    /// What the model says of its work.
    Told(SpeechEvent),
    Done(Vec<Block>, SpeechSummary),
    /// It is not to be believed.
    ImplausibleLength(ImplausibleLength),
}

// === impl Attempt ===

impl Attempt {
    /// `patient`: the whole is waited for.
    pub fn new(
        chunk: Chunk,
        responses: Responses<Synthesize>,
        (check, pace): (LengthCheck, f32),
        number: u32,
        patient: bool,
    ) -> Self {
        let text = chunk.text();
        let (least, most) = check.bounds(&text, pace);
        // What has no bound is believed, and would be held without one.
        let doubt = if patient && most < Duration::MAX { Duration::MAX } else { least.min(DOUBT) };
        Self { chunk, text, responses, check, pace, number, spoken: Duration::ZERO, held: Some(Vec::new()), doubt }
    }

    pub async fn next(&mut self) -> Result<Step, ServiceError> {
        match self.responses.next().await.unwrap_or(Err(RequestError::Gone))? {
            SpeechEvent::Audio(pcm) => {
                self.spoken += pcm.duration();
                match self.verdict() {
                    verdict @ LengthVerdict::TooLong { .. } => Ok(self.implausible(verdict)),
                    _ => Ok(Step::Sound(self.release(Block { stem: None, pcm }))),
                }
            }
            SpeechEvent::Stem(stem, pcm) => Ok(Step::Sound(self.release(Block { stem: Some(stem), pcm }))),
            event @ (SpeechEvent::Progress(_) | SpeechEvent::Checkpoint(_)) => Ok(Step::Told(event)),
            SpeechEvent::Done(summary) => match self.verdict() {
                LengthVerdict::Fine => Ok(Step::Done(self.held.take().unwrap_or_default(), summary)),
                verdict => Ok(self.implausible(verdict)),
            },
        }
    }

    /// The number of the next try, if there may be one.
    pub fn again(&self) -> Option<u32> {
        (self.held.is_some() && self.number < TRIES).then_some(self.number + 1)
    }

    fn release(&mut self, block: Block) -> Vec<Block> {
        let Some(held) = &mut self.held else { return vec![block] };
        held.push(block);
        if self.spoken < self.doubt { Vec::new() } else { self.held.take().unwrap_or_default() }
    }

    fn verdict(&self) -> LengthVerdict {
        self.check.judge(&self.text, self.pace, self.spoken)
    }

    fn implausible(&self, verdict: LengthVerdict) -> Step {
        Step::ImplausibleLength(ImplausibleLength { verdict, spoken: self.spoken, sent: self.held.is_none() })
    }
}
