//! A loaded Voxtral at work, one request at a time: the network keeps what it has read in tensors that grow with every
//! token, one sequence in each.

use std::sync::Arc;

use candle_core::{DType, Result};

use super::{
    decoding_config::DecodingConfig,
    net::{Net, Sequence},
    options::HOP,
    transcription::{NextStep, Transcription},
};
use crate::{
    audio::{LogMel, MelSpec, Spectrum},
    model::{Batch, Broken, Model, Request, RequestError},
    nn::sampler::{Choice, Chooser},
    speech::{Transcribe, TranscriptEvent},
};

/// Weights, and what goes with them.
pub struct Recogniser {
    net: Net,
    mel: LogMel,
    decoding: Arc<DecodingConfig>,
    chooser: Chooser,
}

/// A request in hand.
struct Row {
    request: Request<Transcribe>,
    transcription: Transcription,
    /// Of the whole recording: it is normalised by its loudest value, not each window by its own.
    spectrum: Spectrum,
    sequence: Sequence,
}

// === impl Recogniser ===

impl Recogniser {
    pub fn new(net: Net, decoding: DecodingConfig) -> Self {
        let mel = LogMel::new(&MelSpec::whisper(net.config().audio_config.num_mel_bins));
        Self { net, mel, decoding: Arc::new(decoding), chooser: Chooser::default() }
    }

    fn row(&self, request: Request<Transcribe>) -> Option<Row> {
        match Transcription::new(self.decoding.clone(), request.ask()) {
            Ok(transcription) => {
                let length = transcription.windows() * self.decoding.frames * HOP;
                let spectrum = self.mel.log_mel_padded(request.ask().audio.samples(), length);
                Some(Row { request, transcription, spectrum, sequence: self.net.sequence() })
            }
            Err(error) => {
                request.fail(error);
                None
            }
        }
    }

    fn answer(&self, mut row: Row, batch: &mut Batch<'_, Transcribe>) -> Result<()> {
        loop {
            if let Some(error) = row.request.over() {
                row.request.fail(error);
                return Ok(());
            }
            if row.transcription.is_over() {
                row.request.finish(TranscriptEvent::Done(row.transcription.summary()));
                return Ok(());
            }
            if !row.request.has_room() {
                batch.park([&row.request]);
                continue;
            }
            if let Err(error) = self.step(&mut row)? {
                row.request.fail(error);
                return Ok(());
            }
            batch.step();
        }
    }

    /// Feeds a window or some tokens.
    fn step(&self, row: &mut Row) -> Result<std::result::Result<(), RequestError>> {
        let input = match row.transcription.next_step() {
            NextStep::Tokens(tokens) => self.net.embed(tokens)?,
            NextStep::Window(number) => self.net.hear(&window(&row.spectrum, number, self.decoding.frames))?,
            NextStep::Done => return Ok(Ok(())),
        };
        let logits = self.net.feed(&mut row.sequence, &input)?;
        let choice = row.transcription.pick().map(|pick| Choice::new(0, pick));
        let chosen = self.chooser.choose(&logits, choice.as_slice())?.pop();
        match row.transcription.take(chosen) {
            Ok(sentences) => {
                sentences.into_iter().for_each(|sentence| row.request.emit(TranscriptEvent::Segment(sentence)));
                Ok(Ok(()))
            }
            Err(error) => {
                tracing::warn!(request = %row.request.id, %error, "a request failed in the model");
                Ok(Err(RequestError::Broken))
            }
        }
    }

    /// One window of silence through every part of the network. Weights that are no numbers load like any other; what
    /// comes out of them shows.
    fn dry_run(&self) -> Result<()> {
        let silence = self.mel.log_mel_padded(&[], self.decoding.frames * HOP);
        let closing = self.decoding.closing(Some("en")).map_err(candle_core::Error::wrap)?;
        let mut sequence = self.net.sequence();
        let mut logits = None;
        for input in
            [self.net.embed(&self.decoding.opening)?, self.net.hear(silence.values())?, self.net.embed(&closing)?]
        {
            logits = Some(self.net.feed(&mut sequence, &input)?);
        }
        let logits = logits.map(|logits| logits.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()).transpose()?;
        if !logits.iter().flatten().all(|logit| logit.is_finite()) {
            candle_core::bail!("it computes no numbers");
        }
        Ok(())
    }
}

/// Some of the frames of every band.
pub(super) fn window(spectrum: &Spectrum, number: usize, frames: usize) -> Vec<f32> {
    let bands = spectrum.values().chunks_exact(spectrum.frames().max(1));
    bands.flat_map(|band| &band[number * frames..(number + 1) * frames]).copied().collect()
}

impl Model for Recogniser {
    fn transcribe(&mut self, batch: &mut Batch<'_, Transcribe>) -> std::result::Result<(), Broken> {
        while let Some(request) = batch.admit(1).pop() {
            if let Some(row) = self.row(request) {
                self.answer(row, batch).map_err(|error| Broken(error.into()))?;
            }
        }
        Ok(())
    }

    /// All that a request has is its own.
    fn recover(&mut self) -> bool {
        true
    }

    fn warm_up(&mut self) -> std::result::Result<(), Broken> {
        self.dry_run().map_err(|error| Broken(error.into()))
    }
}
