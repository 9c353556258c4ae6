//! One request in hand.

use std::sync::Arc;

use super::{
    super::{
        decoding_config::DecodingConfig,
        net::Slot,
        transcription::{NextStep, Transcription},
        transcription_options::HOP,
        words::Attention,
    },
    spectra::{Loudness, Spectra},
};
use crate::{
    audio::Spectrum,
    model::{Request, RequestError},
    speech::{Segment, Transcribe, TranscriptEvent},
};

/// A window that is never louder, of full scale 1, has nothing to be heard: three steps of 16 bits.
const SILENT: f32 = 1e-4;

/// A request, how far it is, and where its window lies.
pub struct Row {
    request: Request<Transcribe>,
    pub transcription: Transcription,
    /// What the decoder holds of the window; absent before the first.
    pub slot: Option<Slot>,
    loudness: Loudness,
    failure: Option<RequestError>,
}

// === impl Row ===

impl Row {
    /// Answers at once what the model cannot do.
    pub fn new(request: Request<Transcribe>, decoding: Arc<DecodingConfig>) -> Option<Self> {
        match Transcription::new(decoding, request.ask()) {
            Ok(transcription) => {
                Some(Self { request, transcription, slot: None, loudness: Loudness::default(), failure: None })
            }
            Err(error) => {
                request.fail(error);
                None
            }
        }
    }

    pub fn next_step(&self) -> NextStep {
        self.transcription.next_step()
    }

    /// Passes over the window from a frame on, if nothing is to be heard in it. The network would find words even there.
    pub fn pass_silence(&mut self, seek: usize, frames: usize) -> bool {
        let samples = self.request.ask().audio.samples();
        let window = samples.iter().skip(seek * HOP).take(frames * HOP);
        let silent = window.copied().all(|sample| sample.abs() < SILENT);
        if silent {
            self.transcription.pass_window();
        }
        silent
    }

    /// Looks at more of the recording, before the first window of so many frames is made. Whether all of it was looked at.
    pub fn look(&mut self, spectra: &Spectra, frames: usize) -> bool {
        spectra.look(self.request.ask().audio.samples(), &mut self.loudness, frames)
    }

    /// The spectrum of the window from a frame on.
    pub fn window(&mut self, spectra: &Spectra, seek: usize, frames: usize) -> Spectrum {
        spectra.window(self.request.ask().audio.samples(), &mut self.loudness, seek, frames)
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
