//! An answer that arrives while it is made.

use super::{ServiceError, metrics::Account, original::Original};
use crate::{
    lifecycle::Lease,
    model::{RequestError, Responses},
    speech::{ModelName, Segment, Summary, Transcribe, Transcript, TranscriptEvent},
};

/// A transcription in progress. Dropping it tells the model to stop.
pub struct Transcription {
    answers: Responses<Transcribe>,
    account: Account,
    /// Keeps the model in memory until the last piece.
    lease: Lease,
    original: Original,
    over: bool,
}

impl Transcription {
    pub(super) fn new(lease: Lease, answers: Responses<Transcribe>, account: Account, original: Original) -> Self {
        Self { answers, account, lease, original, over: false }
    }

    /// Who listens.
    pub fn model(&self) -> &ModelName {
        self.lease.name()
    }

    /// Length of the recording.
    pub fn seconds(&self) -> f64 {
        self.original.seconds
    }

    /// The next piece; `None` after [`TranscriptEvent::Done`] or after an error.
    pub async fn next(&mut self) -> Option<Result<TranscriptEvent, ServiceError>> {
        if self.over {
            return None;
        }
        // The channel of a reader that fell too far behind closes without a last piece: that is no success.
        let piece = self.answers.next().await.unwrap_or(Err(RequestError::Gone));
        match &piece {
            Ok(TranscriptEvent::Segment(_)) => {}
            Ok(TranscriptEvent::Done(_)) => {
                self.over = true;
                self.account.succeed();
            }
            Err(_) => self.over = true,
        }
        Some(piece.map(|piece| self.original.place(piece)).map_err(|error| self.failed(error)))
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
                TranscriptEvent::Done(summary) => return Ok(self.transcript(segments, summary)),
            }
        }
        Err(ServiceError::Internal("the transcription ended without its last piece"))
    }

    fn transcript(&self, segments: Vec<Segment>, summary: Summary) -> Transcript {
        Transcript { model: self.model().clone(), segments, summary }
    }

    fn failed(&mut self, error: RequestError) -> ServiceError {
        let error = ServiceError::from(error);
        self.account.fail(&error);
        error
    }
}
