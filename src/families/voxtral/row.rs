//! One request in hand.

use std::sync::Arc;

use candle_core::{Result, Tensor};

use super::{
    decoding_config::DecodingConfig,
    net::{Net, Sequence},
    options::HOP,
    transcription::{Block, NextStep, Transcription},
};
use crate::{
    audio::{LogMel, Spectrum},
    families::step,
    model::{Request, RequestError},
    nn::sampler::{Choice, Chosen},
    speech::{Transcribe, TranscriptEvent},
};

/// A request, how far it is, and what the network has read of it.
pub struct Row {
    request: Request<Transcribe>,
    transcription: Transcription,
    decoding: Arc<DecodingConfig>,
    /// Of the whole recording, while windows of it are heard: it is normalised by its loudest value, not each window by its own.
    spectrum: Option<Spectrum>,
    /// Absent as long as there is no memory for it.
    sequence: Option<Sequence>,
    failure: Option<RequestError>,
}

// === impl Row ===

impl Row {
    /// Answers at once what the model cannot do.
    pub fn new(request: Request<Transcribe>, decoding: Arc<DecodingConfig>) -> Option<Self> {
        match Transcription::new(decoding.clone(), request.ask()) {
            Ok(transcription) => {
                Some(Self { request, transcription, decoding, spectrum: None, sequence: None, failure: None })
            }
            Err(error) => {
                request.fail(error);
                None
            }
        }
    }

    pub fn request(&self) -> &Request<Transcribe> {
        &self.request
    }

    /// Of its sequence.
    pub fn positions(&self, net: &Net) -> usize {
        let options = self.transcription.options();
        net.config().positions(options.windows, options.max_new_tokens)
    }

    /// Whether it has its sequence.
    pub fn is_open(&self) -> bool {
        self.sequence.is_some()
    }

    pub fn open(&mut self, net: &Net) -> Result<()> {
        self.sequence = Some(net.sequence(self.positions(net))?);
        Ok(())
    }

    /// Whether a window is to be read for it now.
    pub fn hears(&self) -> bool {
        self.goes_on() && matches!(self.transcription.next_step(), NextStep::Hear(_))
    }

    /// Whether it takes part in a step now.
    pub fn writes(&self) -> bool {
        self.goes_on() && matches!(self.transcription.next_step(), NextStep::Write(_))
    }

    /// Whether there is something to be done for it now. Where its reader is behind nothing more is made until that reads on.
    pub fn goes_on(&self) -> bool {
        self.is_open() && self.failure.is_none() && self.request.has_room()
    }

    /// Reads the next window. The state after it, where the text begins.
    pub fn hear(&mut self, net: &Net, mel: &LogMel) -> Result<Option<Tensor>> {
        let (NextStep::Hear(block), Some(sequence)) = (self.transcription.next_step(), &mut self.sequence) else {
            return Ok(None);
        };
        let spectrum = self.spectrum.get_or_insert_with(|| {
            let length = self.transcription.options().windows * self.decoding.frames * HOP;
            mel.log_mel_padded(self.request.ask().audio.samples(), length)
        });
        let Block { before, window: number, after } = block;
        let heard = net.hear(&window(spectrum, number, self.decoding.frames))?;
        let state = net.read(sequence, &joined(net, before, heard, after)?)?;
        if block.is_last() {
            self.spectrum = None;
            return Ok(Some(state));
        }
        self.transcription.heard();
        Ok(None)
    }

    /// What a step feeds it.
    pub fn fed(&mut self) -> Option<(u32, &mut Sequence)> {
        match (self.transcription.next_step(), &mut self.sequence) {
            (NextStep::Write(token), Some(sequence)) => Some((token, sequence)),
            _ => None,
        }
    }

    /// Nothing more is made for it.
    pub fn give_up(&mut self, error: RequestError) {
        self.failure = Some(error);
    }

    /// Whether there is nothing left to do for it.
    pub fn is_over(&self) -> bool {
        self.failure.is_some() || self.transcription.is_over() || self.request.over().is_some()
    }

    /// Gives the last answer.
    pub fn end(self) {
        match self.failure.or_else(|| self.request.over()) {
            Some(error) => self.request.fail(error),
            None => self.request.finish(TranscriptEvent::Done(self.transcription.summary())),
        }
    }
}

impl step::Row for Row {
    fn sequences(&self) -> usize {
        1
    }

    fn is_over(&self) -> bool {
        !self.writes()
    }
}

impl step::Chooses for Row {
    fn choices(&mut self, first: usize) -> Vec<Choice<'_>> {
        vec![Choice::new(first, self.transcription.pick())]
    }

    fn take(&mut self, chosen: Vec<Chosen>) -> bool {
        match self.transcription.take(chosen.into_iter().next().flatten()) {
            Ok(sentences) => {
                sentences.into_iter().for_each(|sentence| self.request.emit(TranscriptEvent::Segment(sentence)));
            }
            Err(error) => {
                tracing::warn!(request = %self.request.id, %error, "a request failed in the model");
                self.failure = Some(RequestError::Broken);
            }
        }
        false
    }
}

/// A window and the tokens around it, as the network reads them: `[rows, width]`
pub(super) fn joined(net: &Net, before: &[u32], heard: Tensor, after: &[u32]) -> Result<Tensor> {
    let tokens = |tokens: &[u32]| if tokens.is_empty() { Ok(None) } else { net.embed(tokens).map(Some) };
    let parts = [tokens(before)?, Some(heard), tokens(after)?];
    Tensor::cat(&parts.into_iter().flatten().collect::<Vec<_>>(), 0)
}

/// Some of the frames of every band.
pub(super) fn window(spectrum: &Spectrum, number: usize, frames: usize) -> Vec<f32> {
    let bands = spectrum.values().chunks_exact(spectrum.frames().max(1));
    bands.flat_map(|band| &band[number * frames..(number + 1) * frames]).copied().collect()
}
