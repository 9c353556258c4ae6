//! What belongs to requests: the keys and values of each decoder sequence.

use candle_core::{DType, Result, Tensor};

use super::{Features, Net};
use crate::{
    families::whisper::config::Config,
    nn::{ComputeContext, KvCache, KvCacheDtype, SequenceQueries},
};

/// Grows by a token a step, and is small beside what was heard.
const SAID: KvCacheDtype = KvCacheDtype::Full;

/// Read whole at every step, and of several rows more than the weights are: half of it is half the time and half the
/// memory. Whoever asked for full precision gets it here as well.
fn heard(context: &ComputeContext) -> KvCacheDtype {
    if context.dtype == DType::F32 { KvCacheDtype::Full } else { KvCacheDtype::Half }
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
    said: Vec<KvCache>,
    /// Of what was heard, for each layer.
    heard: Vec<KvCache>,
}

// === impl Slots ===

impl Slots {
    pub(super) fn new(config: &Config, context: &ComputeContext, rows: usize) -> Result<Self> {
        let heads = config.decoder_attention_heads;
        let caches = |capacity: usize, dtype| {
            let cache = |_| KvCache::new(heads, config.d_model / heads, capacity, dtype, context);
            (0..config.decoder_layers).map(cache).collect::<Result<Vec<_>>>()
        };
        let row = |_| {
            Ok(Row {
                said: caches(config.max_target_positions, SAID)?,
                heard: caches(config.max_source_positions, heard(context))?,
            })
        };
        let capacity = config.max_target_positions;
        Ok(Self { rows: (0..rows).map(row).collect::<Result<_>>()?, free: (0..rows).rev().collect(), capacity })
    }

    /// Bytes that a row takes.
    pub(super) fn row_bytes(config: &Config, context: &ComputeContext) -> usize {
        let heads = config.decoder_attention_heads;
        let bytes = |capacity, dtype| KvCache::bytes(heads, config.d_model / heads, capacity, dtype, context);
        config.decoder_layers
            * (bytes(config.max_target_positions, SAID) + bytes(config.max_source_positions, heard(context)))
    }

    /// A row, without tokens, that listens to `features`.
    pub fn open(&mut self, net: &Net, features: &Features) -> Result<Slot> {
        let Some(&row) = self.free.last() else { candle_core::bail!("all {} rows are in use", self.rows.len()) };
        let Row { said, heard } = &mut self.rows[row];
        net.threads.install(|| net.decoder.listen(features, heard))?;
        said.iter_mut().for_each(|cache| cache.truncate(0));
        self.free.pop();
        Ok(Slot(row))
    }

    /// Tokens that the row holds.
    pub fn len(&self, slot: &Slot) -> usize {
        self.rows[slot.0].said.first().map_or(0, KvCache::len)
    }

    /// Rows that are free.
    pub fn room(&self) -> usize {
        self.free.len()
    }

    /// Forgets the tokens from `len` on. What was heard stays.
    pub fn rewind(&mut self, slot: &Slot, len: usize) {
        self.rows[slot.0].said.iter_mut().for_each(|cache| cache.truncate(len));
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

    pub(super) fn said(&self, layer: usize, rows: &[(&Slot, &[u32])]) -> Vec<SequenceQueries<'_>> {
        let sequence =
            |slot: &Slot, queries| SequenceQueries { cache: &self.rows[slot.0].said[layer], queries, causal: true };
        rows.iter().map(|(slot, tokens)| sequence(slot, tokens.len())).collect()
    }

    pub(super) fn heard(&self, layer: usize, rows: &[(&Slot, &[u32])]) -> Vec<SequenceQueries<'_>> {
        let sequence =
            |slot: &Slot, queries| SequenceQueries { cache: &self.rows[slot.0].heard[layer], queries, causal: false };
        rows.iter().map(|(slot, tokens)| sequence(slot, tokens.len())).collect()
    }
}
