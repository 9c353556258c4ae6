//! A loaded Whisper at work: one decode step after the other for every request in hand, newcomers let in between.

mod row;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use candle_core::Result;

use self::row::Row;
use super::{
    net::{Net, Slots},
    recipe::Recipe,
    request::HOP,
    transcription::Need,
    words::Attention,
};
use crate::{
    audio::{LogMel, MelSpec},
    model::{Batch, Broken, Model},
    speech::{Transcribe, TranscribeMode},
};

/// Weights, and memory for as many requests as are worked on at once.
pub struct Recogniser {
    net: Net,
    mel: LogMel,
    recipe: Arc<Recipe>,
    slots: Slots,
    max_batch: usize,
}

// === impl Recogniser ===

impl Recogniser {
    pub fn new(net: Net, recipe: Recipe, max_batch: usize) -> Result<Self> {
        let max_batch = max_batch.max(1);
        let mel = LogMel::new(&MelSpec::whisper(net.config().num_mel_bins));
        Ok(Self { slots: net.slots(max_batch)?, net, mel, recipe: Arc::new(recipe), max_batch })
    }

    fn work(&mut self, jobs: &mut Batch<'_, Transcribe>) -> Result<()> {
        let mut rows = Vec::new();
        loop {
            let newcomers = jobs.admit(self.max_batch - rows.len());
            if rows.is_empty() && newcomers.is_empty() {
                return Ok(());
            }
            rows.extend(newcomers.into_iter().filter_map(|job| Row::new(job, self.recipe.clone())));
            self.dismiss(&mut rows);
            for row in &mut rows {
                self.prepare(row, jobs)?;
            }
            self.step(&mut rows)?;
            jobs.step();
        }
    }

    /// Ends what is over: answered, given up, or not wanted any more.
    fn dismiss(&mut self, rows: &mut Vec<Row>) {
        for row in rows.extract_if(.., |row| row.is_over()) {
            if let Some(slot) = row.end() {
                self.slots.close(slot);
            }
        }
    }

    /// What a request needs for itself alone, until it can take a step together with the others.
    fn prepare(&mut self, row: &mut Row, jobs: &mut Batch<'_, Transcribe>) -> Result<()> {
        loop {
            match row.need() {
                Need::Window { seek } => self.listen(row, seek)?,
                Need::Alignment(tokens) => self.align(row, &tokens)?,
                Need::Logits(_) | Need::Nothing => return Ok(()),
            }
            jobs.step();
            if row.is_over() {
                return Ok(());
            }
        }
    }

    fn listen(&mut self, row: &mut Row, seek: usize) -> Result<()> {
        let mel = self.mel.log_mel_padded(row.samples(seek), self.recipe.window * HOP);
        for features in self.net.encode(&[mel.values()])? {
            if let Some(slot) = row.slot.take() {
                self.slots.close(slot);
            }
            row.slot = Some(self.net.open(&mut self.slots, &features)?);
        }
        row.transcription.listened();
        Ok(())
    }

    fn align(&mut self, row: &mut Row, tokens: &[u32]) -> Result<()> {
        let Some(slot) = &row.slot else { return Ok(()) };
        self.slots.rewind(slot, 0);
        let (heads, text) = (&self.recipe.alignment_heads, self.recipe.tokens.end as usize);
        let alignment = self.net.attend(&mut self.slots, slot, tokens, heads, text)?;
        let attention =
            Attention { weights: &alignment.weights, tokens: alignment.tokens, positions: alignment.positions };
        row.align(attention, &alignment.next);
        Ok(())
    }

    /// One decoder step for all of them.
    fn step(&mut self, rows: &mut [Row]) -> Result<()> {
        let mut waiting: Vec<(&mut Row, Vec<u32>)> = Vec::with_capacity(rows.len());
        for row in rows {
            if let (Need::Logits(feed), Some(slot)) = (row.need(), &row.slot) {
                self.slots.rewind(slot, feed.keep);
                waiting.push((row, feed.tokens));
            }
        }
        let fed: Vec<_> =
            waiting.iter().filter_map(|(row, tokens)| Some((row.slot.as_ref()?, tokens.as_slice()))).collect();
        let logits = self.net.step(&mut self.slots, &fed)?;
        drop(fed);
        for ((row, _), logits) in waiting.into_iter().zip(logits) {
            row.hear(logits);
        }
        Ok(())
    }

    /// One window of silence through every part of the network. Weights that are no numbers load like any other; what
    /// comes out of them shows.
    fn rehearse(&mut self) -> Result<()> {
        let silence = self.mel.log_mel_padded(&[], self.recipe.window * HOP);
        let opening = self.recipe.tokens.opening("en", TranscribeMode::Transcribe);
        for features in self.net.encode(&[silence.values()])? {
            let slot = self.net.open(&mut self.slots, &features)?;
            let mut logits = self.net.step(&mut self.slots, &[(&slot, &opening)])?;
            logits.extend(self.net.step(&mut self.slots, &[(&slot, &[self.recipe.tokens.no_times])])?);
            self.slots.close(slot);
            if !logits.iter().flatten().all(|logit| logit.is_finite()) {
                candle_core::bail!("it computes no numbers");
            }
        }
        Ok(())
    }
}

impl Model for Recogniser {
    fn max_batch(&self) -> usize {
        self.max_batch
    }

    fn transcribe(&mut self, jobs: &mut Batch<'_, Transcribe>) -> std::result::Result<(), Broken> {
        self.work(jobs).map_err(|error| Broken(error.into()))
    }

    fn warm_up(&mut self) -> std::result::Result<(), Broken> {
        self.rehearse().map_err(|error| Broken(error.into()))
    }
}
