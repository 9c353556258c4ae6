//! A loaded Whisper at work: one decode step after the other for every request in hand, newcomers let in between.

mod row;
mod spectra;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use candle_core::{DType, Result};

use self::{
    row::Row,
    spectra::{Loudness, Spectra},
};
use super::{
    decoding_config::DecodingConfig,
    net::{Net, Slots},
    preprocessor::SpectrumOf,
    transcription::NextStep,
    window::DecoderInput,
    words::Attention,
};
use crate::{
    audio::Spectrum,
    model::{Batch, Broken, Model},
    nn::{
        self,
        sampler::{Choice, Chooser, Pick},
    },
    speech::{Transcribe, TranscribeMode},
};

/// Frames of a first inference: it goes through all weights, and need not take as long as a whole window would.
const DRY_RUN: usize = 200;

/// Weights, and memory for as many requests as are worked on at once.
pub struct Recogniser {
    net: Net,
    spectra: Spectra,
    decoding: Arc<DecodingConfig>,
    slots: Slots,
    chooser: Chooser,
    max_batch: usize,
}

// === impl Recogniser ===

impl Recogniser {
    pub fn new(net: Net, decoding: DecodingConfig, spectrum_of: SpectrumOf, max_batch: usize) -> Self {
        let max_batch = max_batch.max(1);
        let spectra = Spectra::new(net.config().num_mel_bins, spectrum_of);
        let (slots, chooser) = (net.slots(max_batch), Chooser::default());
        Self { net, spectra, decoding: Arc::new(decoding), slots, chooser, max_batch }
    }

    fn work(&mut self, batch: &mut Batch<'_, Transcribe>) -> std::result::Result<(), Broken> {
        let mut rows = Vec::new();
        loop {
            let taken: usize = rows.iter().map(Row::width).sum();
            let newcomers = batch.admit(self.max_batch.saturating_sub(taken));
            if rows.is_empty() && newcomers.is_empty() {
                self.slots.trim();
                return Ok(());
            }
            let new = |request| Row::new(request, self.decoding.clone(), self.max_batch);
            rows.extend(newcomers.into_iter().filter_map(new));
            self.remove_done(&mut rows);
            if rows.iter().all(Row::waits) {
                batch.park(rows.iter().map(Row::request));
                continue;
            }
            self.listen(&mut rows, batch)?;
            self.remove_done(&mut rows);
            self.step(&mut rows).map_err(|error| Broken(error.into()))?;
            batch.step();
        }
    }

    /// Ends what is over: answered, given up, or not wanted any more.
    fn remove_done(&mut self, rows: &mut Vec<Row>) {
        for row in rows.extract_if(.., |row| row.is_over()) {
            row.end().into_iter().for_each(|slot| self.slots.close(slot));
        }
    }

    /// Gets each request to where it can take a step together with the others. What they hear next is encoded together.
    fn listen(&mut self, rows: &mut [Row], batch: &mut Batch<'_, Transcribe>) -> std::result::Result<(), Broken> {
        let mut windows: Vec<(usize, Spectrum)> = Vec::new();
        for at in 0..rows.len() {
            // The last that were admitted may be wider than what is left.
            let listens = |other: usize| windows.iter().any(|(row, _)| *row == other);
            let taken = rows.iter().enumerate().filter(|(other, row)| row.has_slots() || listens(*other));
            let taken: usize = taken.map(|(_, row)| row.width()).sum();
            if rows[at].has_slots() || taken + rows[at].width() <= self.max_batch {
                match self.prepare(&mut rows[at], batch) {
                    Ok(window) => windows.extend(window.map(|window| (at, window))),
                    Err(error) => self.give_up(rows, at, Broken(error.into()), batch)?,
                }
            }
        }
        windows.sort_by_key(|(_, window)| window.frames());
        for alike in windows.chunk_by(|(_, one), (_, other)| one.frames() == other.frames()) {
            for some in alike.chunks(self.net.windows()) {
                self.hear(rows, some, batch)?;
            }
        }
        Ok(())
    }

    /// What a request needs for itself alone, until it can take a step together with the others: the window that it is to hear
    /// before, if there is one.
    fn prepare(&mut self, row: &mut Row, batch: &mut Batch<'_, Transcribe>) -> Result<Option<Spectrum>> {
        while !row.waits() && !row.is_over() {
            match row.next_step() {
                NextStep::Encode { seek, .. } if row.pass_wordless(seek, self.decoding.window) => {}
                NextStep::Encode { .. } if !row.look(&self.spectra, self.decoding.window) => return Ok(None),
                NextStep::Encode { seek, frames } => return Ok(Some(row.window(&self.spectra, seek, frames))),
                NextStep::Align(tokens) => self.align(row, &tokens)?,
                NextStep::Decode(_) | NextStep::Done => return Ok(None),
            }
            batch.step();
        }
        Ok(None)
    }

    /// Encodes windows at once, or, where there is too little memory for that, each alone; whoever is too much alone is given up,
    /// and those who are heard already go on.
    fn hear(
        &mut self,
        rows: &mut [Row],
        windows: &[(usize, Spectrum)],
        batch: &mut Batch<'_, Transcribe>,
    ) -> std::result::Result<(), Broken> {
        if let Err(error) = self.encode(rows, windows) {
            let broken = Broken(error.into());
            match windows {
                [(at, _)] => self.give_up(rows, *at, broken, batch)?,
                all if broken.is_out_of_memory() => all.chunks(1).try_for_each(|one| self.hear(rows, one, batch))?,
                _ => return Err(broken),
            }
        }
        batch.step();
        Ok(())
    }

    /// Where what a request needs was more memory than there is, those who are heard already go on.
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
        let others = rows.len() - 1;
        rows[at].give_up(batch.no_memory(others, self.net.listening_bytes()));
        Ok(())
    }

    /// Of those among them that nobody has heard yet.
    fn encode(&mut self, rows: &mut [Row], windows: &[(usize, Spectrum)]) -> Result<()> {
        let unheard = |(at, _): &&(usize, Spectrum)| matches!(rows[*at].next_step(), NextStep::Encode { .. });
        let windows: Vec<_> = windows.iter().filter(unheard).collect();
        let mels: Vec<_> = windows.iter().map(|(_, window)| window.values()).collect();
        if mels.is_empty() {
            return Ok(());
        }
        let heard = self.net.encode(&mels)?;
        windows.iter().for_each(|(at, _)| rows[*at].close(&mut self.slots));
        let slots = self.net.open_each(&mut self.slots, &heard)?;
        windows.iter().zip(slots).for_each(|((at, _), slot)| rows[*at].open(slot));
        Ok(())
    }

    fn align(&mut self, row: &mut Row, tokens: &[u32]) -> Result<()> {
        let Some(slot) = row.slot() else { return Ok(()) };
        self.slots.rewind(slot, 0);
        let (heads, text) = (&self.decoding.alignment_heads, self.decoding.tokens.eot as usize);
        let alignment = self.net.attend(&mut self.slots, slot, tokens, heads, text)?;
        let attention =
            Attention { weights: &alignment.weights, tokens: alignment.tokens, positions: alignment.positions };
        row.align(attention, &alignment.next);
        Ok(())
    }

    /// One decoder step for all of them.
    fn step(&mut self, rows: &mut [Row]) -> Result<()> {
        let mut waiting: Vec<(&mut Row, Vec<DecoderInput>)> = Vec::with_capacity(rows.len());
        for row in rows.iter_mut().filter(|row| row.has_slots() && !row.waits()) {
            if let NextStep::Decode(inputs) = row.next_step() {
                row.follow(&mut self.slots, &inputs)?;
                waiting.push((row, inputs));
            }
        }
        let fed: Vec<_> = waiting
            .iter()
            .flat_map(|(row, inputs)| row.slots().iter().zip(inputs.iter().map(|input| input.tokens.as_slice())))
            .collect();
        if fed.is_empty() {
            return Ok(());
        }
        let logits = self.net.logits(&mut self.slots, &fed)?;
        drop(fed);
        let (mut choices, mut counts, mut first) = (Vec::new(), Vec::new(), 0);
        for (row, inputs) in &mut waiting {
            let before = choices.len();
            choices.extend(row.transcription.choices(first));
            counts.push(choices.len() - before);
            first += inputs.len();
        }
        let mut chosen = self.chooser.choose(&logits, &choices)?.into_iter();
        drop(choices);
        let mut first = 0;
        for ((row, inputs), count) in waiting.into_iter().zip(counts) {
            let own = logits.narrow(0, first, inputs.len())?;
            row.take(chosen.by_ref().take(count), &own, &self.chooser)?;
            first += inputs.len();
        }
        Ok(())
    }

    /// A moment of silence through every part of the network. Weights that are no numbers load like any other; what
    /// comes out of them shows.
    fn dry_run(&mut self) -> Result<()> {
        let frames = DRY_RUN.min(self.decoding.window);
        let silence = self.spectra.window(&[], &mut Loudness::default(), 0, frames);
        let opening = self.decoding.tokens.sot_sequence("en", TranscribeMode::Transcribe);
        for features in self.net.encode(&[silence.values()])? {
            let slot = self.net.open(&mut self.slots, &features)?;
            for tokens in [opening.as_slice(), &[self.decoding.tokens.no_timestamps]] {
                let logits = self.net.logits(&mut self.slots, &[(&slot, tokens)])?;
                let chosen = self.chooser.choose(&logits, &[Choice::new(0, Pick::Likeliest(1))])?;
                let logits = nn::to_rows(&logits.to_dtype(DType::F32)?)?;
                if chosen != [None] && logits.iter().flatten().all(|logit| logit.is_finite()) {
                    continue;
                }
                candle_core::bail!("it computes no numbers");
            }
            self.slots.close(slot);
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

    /// With new slots: those that requests held fell with them.
    fn recover(&mut self) -> bool {
        self.slots = self.net.slots(self.max_batch);
        true
    }

    fn warm_up(&mut self) -> std::result::Result<(), Broken> {
        self.dry_run().map_err(|error| Broken(error.into()))
    }
}
