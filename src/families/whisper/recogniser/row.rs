//! One request in hand.

use std::sync::Arc;

use super::super::{
    net::Slot,
    recipe::Recipe,
    request::HOP,
    transcription::{Need, Transcription},
    words::Attention,
};
use crate::{
    model::{Request, RequestError},
    speech::{Segment, Transcribe, TranscriptEvent},
};

/// A request, how far it is, and where its window lies.
pub struct Row {
    job: Request<Transcribe>,
    pub transcription: Transcription,
    /// What the decoder holds of the window; absent before the first.
    pub slot: Option<Slot>,
    failure: Option<RequestError>,
}

// === impl Row ===

impl Row {
    /// Answers at once what the model cannot do.
    pub fn new(job: Request<Transcribe>, recipe: Arc<Recipe>) -> Option<Self> {
        match Transcription::new(recipe, job.ask()) {
            Ok(transcription) => Some(Self { job, transcription, slot: None, failure: None }),
            Err(error) => {
                job.fail(error);
                None
            }
        }
    }

    pub fn need(&self) -> Need {
        self.transcription.need()
    }

    /// The sound from a frame on, to its last sample: the end of a recording is seldom the end of a frame.
    pub fn samples(&self, seek: usize) -> &[f32] {
        let samples = self.job.ask().audio.samples();
        &samples[(seek * HOP).min(samples.len())..]
    }

    pub fn hear(&mut self, logits: Vec<f32>) {
        match self.transcription.hear(logits) {
            Ok(segments) => self.emit(segments),
            Err(error) => {
                tracing::warn!(request = %self.job.id, %error, "a request failed in the model");
                self.failure = Some(RequestError::Broken);
            }
        }
    }

    /// `next` is the probability of each token but the first.
    pub fn align(&mut self, attention: Attention<'_>, next: &[f32]) {
        let segments = self.transcription.align(attention, next);
        self.emit(segments);
    }

    /// Whether there is nothing left to do for it.
    pub fn is_over(&self) -> bool {
        self.failure.is_some() || self.transcription.is_over() || self.job.over().is_some()
    }

    /// Gives the last answer, and the slot back.
    pub fn end(self) -> Option<Slot> {
        match self.failure.or_else(|| self.job.over()) {
            Some(error) => self.job.fail(error),
            None => self.job.finish(TranscriptEvent::Done(self.transcription.summary())),
        }
        self.slot
    }

    fn emit(&mut self, segments: Vec<Segment>) {
        for segment in segments {
            self.job.emit(TranscriptEvent::Segment(segment));
        }
    }
}
