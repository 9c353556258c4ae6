//! An answer that arrives while it is made.

use std::time::Duration;

use super::{ServiceError, channels::Answers, metrics::Account};
use crate::{
    audio::Pcm,
    lifecycle::Lease,
    speech::{
        Measured, ModelName, Parts, Piece, Segment, Speech, SpeechEvent, SpeechSummary, Summary, Task, Transcribe,
        Transcript, TranscriptEvent, Warning,
    },
};

/// An answer in progress, of any task. Dropping it tells the model to stop.
pub struct Answer<T: Task> {
    answers: Answers<T>,
    account: Account,
    /// Keeps the model in memory until the last piece.
    lease: Lease,
    /// Of sound that is gathered.
    longest: Duration,
    over: bool,
}

/// Text that is being written down.
pub type Transcription = Answer<Transcribe>;

/// A request that its model has.
pub(super) struct Started<T: Task> {
    pub lease: Lease,
    pub answers: Answers<T>,
    /// Seconds of sound, over all parts that are heard separately.
    pub heard: f64,
    pub characters: usize,
    pub longest: Duration,
}

// === impl Answer ===

impl<T: Task> Answer<T> {
    pub(super) fn begun(mut account: Account, started: Started<T>) -> Self {
        let Started { lease, answers, heard, characters, longest } = started;
        account.begun(heard, characters);
        Self { answers, account, lease, longest, over: false }
    }

    /// Who answers.
    pub fn model(&self) -> &ModelName {
        self.lease.name()
    }

    /// Length of the recording that came with the request; 0 without one.
    pub fn seconds(&self) -> f64 {
        self.answers.seconds()
    }

    /// How many parts of it are heard, where each is by itself.
    pub fn parts(&self) -> Parts {
        self.answers.parts()
    }

    /// What was amiss with the recording.
    pub fn warnings(&self) -> &[Warning] {
        self.answers.warnings()
    }

    /// Hertz of sound that is still to be sent, where the request is live.
    pub fn input_rate(&self) -> u32 {
        self.lease.input_rate(T::KIND).unwrap_or(super::request::ANY_RATE)
    }

    /// Counts what came, and hands it on.
    fn counted(&mut self, piece: Result<T::Piece, ServiceError>) -> Result<T::Piece, ServiceError> {
        match &piece {
            Ok(piece) => {
                self.account.made(piece.size().sound);
                self.over = piece.is_last();
            }
            Err(_) => self.over = true,
        }
        if self.over && piece.is_ok() {
            self.account.succeed();
        }
        piece.inspect_err(|error| self.account.fail(error))
    }
}

impl Answer<Transcribe> {
    /// The next piece; `None` after [`TranscriptEvent::Done`] or after an error.
    pub async fn next(&mut self) -> Option<Result<TranscriptEvent, ServiceError>> {
        if self.over {
            return None;
        }
        let piece = self.answers.next().await;
        if let Ok(TranscriptEvent::Done(summary)) = &piece
            && self.answers.seconds() == 0.0
        {
            // Of a live recording this is when it is known.
            self.account.took_in(summary.duration);
        }
        Some(self.counted(piece))
    }

    /// Waits for the last piece.
    pub async fn whole(self) -> Result<Transcript, ServiceError> {
        self.whole_watched(|_| {}).await
    }

    /// [`Self::whole`] for someone who wants to see each segment as well, as soon as it is there.
    pub async fn whole_watched(mut self, mut see: impl FnMut(&Segment)) -> Result<Transcript, ServiceError> {
        let mut segments: Vec<Segment> = Vec::new();
        while let Some(piece) = self.next().await {
            match piece? {
                TranscriptEvent::Segment(segment) => {
                    see(&segment);
                    segments.push(segment);
                }
                TranscriptEvent::Partial(_) => {}
                TranscriptEvent::Done(summary) => return Ok(self.transcript(segments, summary)),
            }
        }
        Err(ServiceError::Internal("the transcription ended without its last piece"))
    }

    /// All of it, of segments that were gathered elsewhere.
    pub fn transcript(&self, segments: Vec<Segment>, summary: Summary) -> Transcript {
        let (parts, warnings) = (self.parts(), self.warnings().to_vec());
        Transcript { model: self.model().clone(), segments, summary, parts, warnings }
    }
}

impl<T: Task<Piece = SpeechEvent>> Answer<T> {
    /// What marks the sound, where something does.
    pub fn watermark(&self) -> Option<&'static str> {
        self.lease.watermark()
    }

    /// The next piece; `None` after [`SpeechEvent::Done`] or after an error.
    pub async fn next(&mut self) -> Option<Result<SpeechEvent, ServiceError>> {
        if self.over {
            return None;
        }
        let piece = self.answers.only().await;
        Some(self.counted(piece.map_err(ServiceError::from)))
    }

    /// Waits for the last piece, and gives all of them as one sound.
    ///
    /// # Errors
    /// Beside those of the model, [`ServiceError::TooLong`] where there is more than is gathered at once.
    pub async fn whole(mut self) -> Result<Speech, ServiceError> {
        let (mut blocks, mut length) = (Vec::new(), Duration::ZERO);
        while let Some(piece) = self.next().await {
            match piece? {
                SpeechEvent::Audio(block) => {
                    length += block.duration();
                    blocks.push(block);
                }
                SpeechEvent::Stem(..) | SpeechEvent::Progress(_) | SpeechEvent::Checkpoint(_) => {}
                SpeechEvent::Done(summary) => return self.speech(&blocks, summary),
            }
            if length > self.longest {
                let error = ServiceError::TooLong { limit: self.longest };
                self.account.fail(&error);
                return Err(error);
            }
        }
        Err(ServiceError::Internal("the speech ended without its last piece"))
    }

    fn speech(&self, blocks: &[Pcm], summary: SpeechSummary) -> Result<Speech, ServiceError> {
        let audio = Pcm::joined(blocks).ok_or(ServiceError::Internal("the model made no sound"))?;
        Ok(Speech { model: self.model().clone(), audio, summary })
    }
}
