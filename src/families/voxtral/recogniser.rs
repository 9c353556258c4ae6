//! A loaded Voxtral at work: one decode step after the other for every request in hand, newcomers let in and read in between.

use std::sync::Arc;

use candle_core::{DType, Result};

use super::{
    decoding_config::DecodingConfig,
    net::Net,
    options::HOP,
    row::{Row, joined},
};
use crate::{
    audio::{LogMel, MelSpec},
    families::step::{choose, step},
    model::{Batch, Broken, Model},
    nn::{self, sampler::Chooser},
    speech::Transcribe,
};

/// Steps before anybody asks: an accelerator records the second of them, and repeats it from then on.
const WARM_UP_STEPS: usize = 3;

/// Weights, and what goes with them.
pub struct Recogniser {
    net: Net,
    mel: LogMel,
    decoding: Arc<DecodingConfig>,
    chooser: Chooser,
    max_batch: usize,
    /// Positions that the sequences of all requests may have together.
    pool: usize,
}

// === impl Recogniser ===

impl Recogniser {
    pub fn new(net: Net, decoding: DecodingConfig, max_batch: usize) -> Self {
        let max_batch = max_batch.max(1);
        let mel = LogMel::new(&MelSpec::whisper(net.config().audio_config.num_mel_bins));
        let pool = net.config().pool(max_batch).unwrap_or(usize::MAX);
        Self { net, mel, decoding: Arc::new(decoding), chooser: Chooser::default(), max_batch, pool }
    }

    fn work(&self, batch: &mut Batch<'_, Transcribe>) -> std::result::Result<(), Broken> {
        let mut rows: Vec<Row> = Vec::new();
        loop {
            let newcomers = batch.admit(self.max_batch.saturating_sub(rows.len()));
            if rows.is_empty() && newcomers.is_empty() {
                return Ok(());
            }
            rows.extend(newcomers.into_iter().filter_map(|request| Row::new(request, self.decoding.clone())));
            rows.extract_if(.., |row| row.is_over()).for_each(Row::end);
            self.open(&mut rows, batch)?;
            if !rows.iter().any(|row| row.goes_on() || row.is_over()) {
                batch.park(rows.iter().map(Row::request));
                continue;
            }
            self.hear(&mut rows, batch)?;
            self.write(&mut rows).map_err(|error| Broken(error.into()))?;
            batch.step();
        }
    }

    /// Gives sequences to those who have none, in the order in which they came, as far as there is room for them.
    fn open(&self, rows: &mut [Row], batch: &Batch<'_, Transcribe>) -> std::result::Result<(), Broken> {
        let open = rows.iter().filter(|row| row.is_open());
        let mut left = self.pool.saturating_sub(open.map(|row| row.positions(&self.net)).sum());
        for at in 0..rows.len() {
            let positions = rows[at].positions(&self.net);
            match rows[at].is_open() {
                true => continue,
                false if positions > left => break,
                false => left -= positions,
            }
            if let Err(error) = rows[at].open(&self.net) {
                self.give_up(rows, at, Broken(error.into()), batch)?;
            }
        }
        Ok(())
    }

    /// Reads a window for the first who has one to be read: whoever writes waits for no more than that.
    fn hear(&self, rows: &mut [Row], batch: &Batch<'_, Transcribe>) -> std::result::Result<(), Broken> {
        let Some(at) = rows.iter().position(Row::hears) else { return Ok(()) };
        self.hear_window(&mut rows[at]).or_else(|error| self.give_up(rows, at, Broken(error.into()), batch))
    }

    /// And chooses the first token after the last of them.
    fn hear_window(&self, row: &mut Row) -> Result<()> {
        match row.hear(&self.net, &self.mel)? {
            Some(state) => choose(&self.chooser, &self.net.logits(&state)?, &mut [row]),
            None => Ok(()),
        }
    }

    /// Where what a request needs was more memory than there is, the others go on.
    fn give_up(
        &self,
        rows: &mut [Row],
        at: usize,
        broken: Broken,
        batch: &Batch<'_, Transcribe>,
    ) -> std::result::Result<(), Broken> {
        if !broken.is_out_of_memory() {
            return Err(broken);
        }
        let need = self.net.request_bytes(rows[at].positions(&self.net));
        rows[at].give_up(batch.no_memory(rows.len() - 1, need));
        Ok(())
    }

    /// A token more for everybody who writes.
    fn write(&self, rows: &mut [Row]) -> Result<()> {
        step(&mut rows.iter_mut().collect::<Vec<_>>(), self.net.has_kernels(), |rows| {
            let (tokens, mut sequences): (Vec<_>, Vec<_>) = rows.iter_mut().filter_map(|row| row.fed()).unzip();
            let logits = self.net.next(&tokens, &mut sequences)?;
            choose(&self.chooser, &logits, rows)
        })
    }

    /// One window of silence and a few tokens through every part of the network. Weights that are no numbers load like any other;
    /// what comes out of them shows.
    fn dry_run(&self) -> Result<()> {
        let silence = self.mel.log_mel_padded(&[], self.decoding.frames * HOP);
        let closing = self.decoding.closing(Some("en")).map_err(candle_core::Error::wrap)?;
        let input = joined(&self.net, &self.decoding.opening, self.net.hear(silence.values())?, &closing)?;
        let mut sequence = self.net.sequence(self.net.config().positions(1, WARM_UP_STEPS))?;
        let state = self.net.read(&mut sequence, &input)?;
        let mut logits = self.net.logits(&state)?;
        for token in closing.into_iter().cycle().take(WARM_UP_STEPS) {
            logits = self.net.next(&[token], &mut [&mut sequence])?;
        }
        if !nn::to_rows(&logits.to_dtype(DType::F32)?)?.iter().flatten().all(|logit| logit.is_finite()) {
            candle_core::bail!("it computes no numbers");
        }
        Ok(())
    }
}

impl Model for Recogniser {
    fn max_batch(&self) -> usize {
        self.max_batch
    }

    fn transcribe(&mut self, batch: &mut Batch<'_, Transcribe>) -> std::result::Result<(), Broken> {
        self.work(batch)
    }

    /// All that a request has is its own.
    fn recover(&mut self) -> bool {
        true
    }

    fn warm_up(&mut self) -> std::result::Result<(), Broken> {
        self.dry_run().map_err(|error| Broken(error.into()))
    }
}
