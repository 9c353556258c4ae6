//! One request in hand.

use std::sync::Arc;

use super::super::{
    decoding_config::DecodingConfig,
    net::Slot,
    transcription::{NextStep, Transcription},
    transcription_options::HOP,
    words::Attention,
};
use crate::{
    model::{Request, RequestError},
    speech::{Segment, Transcribe, TranscriptEvent},
};

/// A request, how far it is, and where its window lies.
pub struct Row {
    request: Request<Transcribe>,
    pub transcription: Transcription,
    /// What the decoder holds of the window; absent before the first.
    pub slot: Option<Slot>,
    failure: Option<RequestError>,
}

// === impl Row ===

impl Row {
    /// Answers at once what the model cannot do.
    pub fn new(request: Request<Transcribe>, decoding: Arc<DecodingConfig>) -> Option<Self> {
        match Transcription::new(decoding, request.ask()) {
            Ok(transcription) => Some(Self { request, transcription, slot: None, failure: None }),
            Err(error) => {
                request.fail(error);
                None
            }
        }
    }

    pub fn next_step(&self) -> NextStep {
        self.transcription.next_step()
    }

    /// The sound from a frame on, to its last sample: the end of a recording is seldom the end of a frame.
    pub fn samples(&self, seek: usize) -> &[f32] {
        let samples = self.request.ask().audio.samples();
        &samples[(seek * HOP).min(samples.len())..]
    }

    pub fn take_logits(&mut self, logits: Vec<f32>) {
        match self.transcription.take_logits(logits) {
            Ok(segments) => self.emit(segments),
            Err(error) => {
                tracing::warn!(request = %self.request.id, %error, "a request failed in the model");
                self.failure = Some(RequestError::Broken);
            }
        }
    }

    /// `next` is the probability of each token but the first.
    pub fn align(&mut self, attention: Attention<'_>, next: &[f32]) {
        let segments = self.transcription.align(attention, next);
        self.emit(segments);
    }

    pub fn request(&self) -> &Request<Transcribe> {
        &self.request
    }

    /// Whether its reader is behind: until it reads on, nothing more is made for it.
    pub fn waits(&self) -> bool {
        !self.request.has_room()
    }

    /// Whether there is nothing left to do for it.
    pub fn is_over(&self) -> bool {
        self.failure.is_some() || self.transcription.is_over() || self.request.over().is_some()
    }

    /// Gives the last answer, and the slot back.
    pub fn end(self) -> Option<Slot> {
        match self.failure.or_else(|| self.request.over()) {
            Some(error) => self.request.fail(error),
            None => self.request.finish(TranscriptEvent::Done(self.transcription.summary())),
        }
        self.slot
    }

    fn emit(&mut self, segments: Vec<Segment>) {
        for segment in segments {
            self.request.emit(TranscriptEvent::Segment(segment));
        }
    }
}
