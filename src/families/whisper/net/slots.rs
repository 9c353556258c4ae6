//! What belongs to requests: the keys and values of each decoder sequence.

use candle_core::{DType, Result, Tensor};

use super::{Features, Net};
use crate::{
    families::whisper::config::Config,
    nn::{Keep, Memory, Place, Turn},
};

/// Grows by a token a step, and is small beside what was heard.
const SAID: Keep = Keep::Whole;

/// Read whole at every step, and of several rows more than the weights are: half of it is half the time and half the
/// memory. Whoever asked for full precision gets it here as well.
fn heard(place: &Place) -> Keep {
    if place.dtype == DType::F32 { Keep::Whole } else { Keep::Half }
}

/// Rows for decoder sequences, all taken at once and used again.
#[derive(Debug)]
pub struct Slots {
    rows: Vec<Row>,
    free: Vec<usize>,
    capacity: usize,
}

/// A row that is in use. It ends with [`Slots::close`].
#[derive(Debug, PartialEq, Eq)]
pub struct Slot(usize);

#[derive(Debug)]
struct Row {
    /// Of the tokens so far, for each layer.
    said: Vec<Memory>,
    /// Of what was heard, for each layer.
    heard: Vec<Memory>,
}

// === impl Slots ===

impl Slots {
    pub(super) fn new(config: &Config, place: &Place, rows: usize) -> Result<Self> {
        let heads = config.decoder_attention_heads;
        let memories = |capacity: usize, keep| {
            let memory = |_| Memory::new(heads, config.d_model / heads, capacity, keep, place);
            (0..config.decoder_layers).map(memory).collect::<Result<Vec<_>>>()
        };
        let row = |_| {
            Ok(Row {
                said: memories(config.max_target_positions, SAID)?,
                heard: memories(config.max_source_positions, heard(place))?,
            })
        };
        let capacity = config.max_target_positions;
        Ok(Self { rows: (0..rows).map(row).collect::<Result<_>>()?, free: (0..rows).rev().collect(), capacity })
    }

    /// Bytes that a row takes.
    pub(super) fn row_bytes(config: &Config, place: &Place) -> usize {
        let heads = config.decoder_attention_heads;
        let bytes = |capacity, keep| Memory::bytes(heads, config.d_model / heads, capacity, keep, place);
        config.decoder_layers
            * (bytes(config.max_target_positions, SAID) + bytes(config.max_source_positions, heard(place)))
    }

    /// A row, without tokens, that listens to `features`.
    pub fn open(&mut self, net: &Net, features: &Features) -> Result<Slot> {
        let Some(&row) = self.free.last() else { candle_core::bail!("all {} rows are in use", self.rows.len()) };
        let Row { said, heard } = &mut self.rows[row];
        net.threads.install(|| net.decoder.listen(features, heard))?;
        said.iter_mut().for_each(|memory| memory.truncate(0));
        self.free.pop();
        Ok(Slot(row))
    }

    /// Tokens that the row holds.
    pub fn len(&self, slot: &Slot) -> usize {
        self.rows[slot.0].said.first().map_or(0, Memory::len)
    }

    /// Rows that are free.
    pub fn room(&self) -> usize {
        self.free.len()
    }

    /// Forgets the tokens from `len` on. What was heard stays.
    pub fn rewind(&mut self, slot: &Slot, len: usize) {
        self.rows[slot.0].said.iter_mut().for_each(|memory| memory.truncate(len));
    }

    pub fn close(&mut self, slot: Slot) {
        self.free.push(slot.0);
    }

    /// Whether these tokens can be fed.
    pub(super) fn check(&self, rows: &[(&Slot, &[u32])]) -> Result<()> {
        for (at, (slot, tokens)) in rows.iter().enumerate() {
            let held = self.len(slot);
            if tokens.is_empty() || held + tokens.len() > self.capacity {
                candle_core::bail!("{} tokens cannot follow {held} where {} fit", tokens.len(), self.capacity);
            }
            if rows[..at].iter().any(|(other, _)| other == slot) {
                candle_core::bail!("a row was given twice");
            }
        }
        Ok(())
    }

    /// Adds a layer's keys and values of new tokens, `[all tokens, width]`, to their rows.
    pub(super) fn extend(
        &mut self,
        layer: usize,
        rows: &[(&Slot, &[u32])],
        keys: &Tensor,
        values: &Tensor,
    ) -> Result<()> {
        let mut first = 0;
        for (slot, tokens) in rows {
            let of_row = |x: &Tensor| x.narrow(0, first, tokens.len());
            self.rows[slot.0].said[layer].extend(&of_row(keys)?, &of_row(values)?)?;
            first += tokens.len();
        }
        Ok(())
    }

    pub(super) fn said(&self, layer: usize, rows: &[(&Slot, &[u32])]) -> Vec<Turn<'_>> {
        let turn = |slot: &Slot, queries| Turn { memory: &self.rows[slot.0].said[layer], queries, causal: true };
        rows.iter().map(|(slot, tokens)| turn(slot, tokens.len())).collect()
    }

    pub(super) fn heard(&self, layer: usize, rows: &[(&Slot, &[u32])]) -> Vec<Turn<'_>> {
        let turn = |slot: &Slot, queries| Turn { memory: &self.rows[slot.0].heard[layer], queries, causal: false };
        rows.iter().map(|(slot, tokens)| turn(slot, tokens.len())).collect()
    }
}
