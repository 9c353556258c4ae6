//! Slots for sequences that join and leave between two steps (continuous batching): their caches, taken when there are first
//! so many sequences, and used again.

use std::sync::Arc;

use candle_core::{Result, Tensor};

use super::{
    attend::SequenceQueries,
    kv_cache::{KvCache, KvCacheConfig, extend_each},
};
use crate::context::ComputeContext;
#[cfg(feature = "cuda")]
use crate::gpu;

/// The caches of a decoder for as many sequences as are worked on at once.
#[derive(Debug)]
pub struct Slots {
    config: SlotConfig,
    context: ComputeContext,
    /// Sequences at once, at most.
    count: usize,
    /// Those whose memory is taken.
    slots: Vec<Caches>,
    /// Of these. The last is used next.
    free: Vec<usize>,
    #[cfg(feature = "cuda")]
    steps: gpu::Steps,
}

/// A slot that is in use. It ends with [`Slots::close`].
#[derive(Debug, PartialEq, Eq)]
pub struct Slot(usize);

/// What a slot holds.
#[derive(Clone, Copy, Debug)]
pub struct SlotConfig {
    pub layers: usize,
    /// Of the tokens so far, in each layer.
    pub self_attention: KvCacheConfig,
    /// Of what the decoder listens to, in each layer.
    pub cross_attention: KvCacheConfig,
}

/// One cache a layer.
#[derive(Debug)]
struct Caches {
    self_attention: Vec<KvCache>,
    /// Shared by slots that listen to the same; empty where a slot that shared them was closed.
    cross_attention: Arc<Vec<KvCache>>,
}

/// In a step.
#[cfg(feature = "cuda")]
pub fn self_attention_group(layer: usize) -> usize {
    2 * layer
}

/// In a step.
#[cfg(feature = "cuda")]
pub fn cross_attention_group(layer: usize) -> usize {
    2 * layer + 1
}

// === impl Slots ===

impl Slots {
    pub fn new(config: &SlotConfig, count: usize, context: &ComputeContext) -> Self {
        Self {
            config: *config,
            context: context.clone(),
            count,
            slots: Vec::new(),
            free: Vec::new(),
            #[cfg(feature = "cuda")]
            steps: gpu::Steps::new(count),
        }
    }

    /// So many slots without tokens, once `fill` has filled the caches of cross-attention of each, one per layer. After an error there
    /// are none.
    pub fn open(&mut self, count: usize, fill: impl FnOnce(&mut [&mut [KvCache]]) -> Result<()>) -> Result<Vec<Slot>> {
        while self.free.len() < count {
            self.grow()?;
        }
        let places = self.free.split_off(self.free.len() - count);
        let filled = self.fill(&places, fill);
        match filled {
            Ok(()) => Ok(places.into_iter().map(Slot).collect()),
            Err(error) => {
                self.free.extend(places);
                Err(error)
            }
        }
    }

    fn fill(&mut self, places: &[usize], fill: impl FnOnce(&mut [&mut [KvCache]]) -> Result<()>) -> Result<()> {
        let mut heard = Vec::with_capacity(places.len());
        for (place, slot) in self.slots.iter_mut().enumerate().filter(|(place, _)| places.contains(place)) {
            slot.self_attention.iter_mut().for_each(|cache| cache.truncate(0));
            heard.push((place, slot.begin(&self.config, &self.context)?));
        }
        heard.sort_by_key(|(place, _)| places.iter().position(|other| other == place));
        fill(&mut heard.into_iter().map(|(_, caches)| caches).collect::<Vec<_>>())
    }

    /// One more slot with the tokens of another, which listens to the same.
    pub fn fork(&mut self, slot: &Slot) -> Result<Slot> {
        if self.free.is_empty() {
            self.grow()?;
        }
        let Some(&fork) = self.free.last() else { candle_core::bail!("no slot is free") };
        let [from, to] = self.slots.get_disjoint_mut([slot.0, fork]).map_err(candle_core::Error::wrap)?;
        for (from, to) in from.self_attention.iter().zip(&mut to.self_attention) {
            to.copy_from(from)?;
        }
        to.cross_attention = from.cross_attention.clone();
        self.free.pop();
        Ok(Slot(fork))
    }

    /// Tokens that the slot holds.
    pub fn len(&self, slot: &Slot) -> usize {
        self.slots[slot.0].self_attention.first().map_or(0, KvCache::len)
    }

    fn grow(&mut self) -> Result<()> {
        if self.slots.len() == self.count {
            candle_core::bail!("all {} slots are in use", self.count);
        }
        self.slots.push(Caches::new(&self.config, &self.context)?);
        self.free.push(self.slots.len() - 1);
        Ok(())
    }

    /// Slots that are free.
    pub fn room(&self) -> usize {
        self.count - self.slots.len() + self.free.len()
    }

    /// Gives memory back once no slot is in use, but that of one.
    pub fn trim(&mut self) {
        if self.free.len() == self.slots.len() {
            self.slots.truncate(1);
            self.free = (0..self.slots.len()).collect();
        }
    }

    /// Forgets the tokens from `len` on. What the decoder listens to stays.
    pub fn rewind(&mut self, slot: &Slot, len: usize) {
        self.slots[slot.0].self_attention.iter_mut().for_each(|cache| cache.truncate(len));
    }

    pub fn close(&mut self, slot: Slot) {
        let heard = &mut self.slots[slot.0].cross_attention;
        if Arc::strong_count(heard) > 1 {
            *heard = Arc::default();
        }
        self.free.push(slot.0);
    }

    /// Whether these tokens can be fed.
    pub fn check(&self, rows: &[(&Slot, &[u32])]) -> Result<()> {
        for (at, (slot, tokens)) in rows.iter().enumerate() {
            let held = self.len(slot);
            let capacity = self.config.self_attention.capacity;
            if tokens.is_empty() || held + tokens.len() > capacity {
                candle_core::bail!("{} tokens cannot follow {held} where {capacity} fit", tokens.len());
            }
            if rows[..at].iter().any(|(other, _)| other == slot) {
                candle_core::bail!("a slot was given twice");
            }
        }
        Ok(())
    }

    /// Feeds one token to each row, by what `ask` asks of an accelerator: always the same for the decoder with these weights, but
    /// for the tokens, their positions and the caches, which it finds in a table. Those of layer `at` are the groups
    /// [`self_attention_group`] and [`cross_attention_group`]. What comes out stays as it is until the next step. `None`: that
    /// is not how these rows are fed, and nothing was done.
    #[cfg(feature = "cuda")]
    pub fn step(
        &mut self,
        weights: candle_core::TensorId,
        rows: &[(&Slot, &[u32])],
        ask: &dyn Fn(&mut gpu::Step<'_>) -> Result<Tensor>,
    ) -> Result<Option<Tensor>> {
        self.check(rows)?;
        let Some(table) = self.table(rows)? else { return Ok(None) };
        let out = self.steps.run(weights, &self.context.device, &table, ask)?;
        for (slot, _) in rows {
            self.slots[slot.0].self_attention.iter_mut().for_each(KvCache::stepped);
        }
        Ok(Some(out))
    }

    #[cfg(feature = "cuda")]
    fn table(&self, rows: &[(&Slot, &[u32])]) -> Result<Option<gpu::StepTable>> {
        if !self.context.device.is_cuda() || rows.iter().any(|(_, tokens)| tokens.len() != 1) {
            return Ok(None);
        }
        let fed = rows.iter().map(|(slot, tokens)| (tokens[0], self.len(slot) as u32));
        let mut table = gpu::StepTable::new(fed);
        for layer in 0..self.config.layers {
            let of_self = rows.iter().map(|(slot, _)| self.slots[slot.0].self_attention[layer].row());
            let of_cross = rows.iter().map(|(slot, _)| self.slots[slot.0].cross_attention[layer].row());
            let (Some(of_self), Some(of_cross)) =
                (of_self.collect::<Option<Vec<_>>>(), of_cross.collect::<Option<Vec<_>>>())
            else {
                return Ok(None);
            };
            let sizes = |of: &KvCacheConfig| gpu::CacheSizes { heads: of.heads, head_dim: of.head_dim };
            let groups = [(of_self, &self.config.self_attention), (of_cross, &self.config.cross_attention)];
            for (rows, config) in groups {
                if !table.push(&rows, sizes(config))? {
                    return Ok(None);
                }
            }
        }
        Ok(Some(table))
    }

    /// Adds a layer's keys and values of new tokens, `[all tokens, width]`, to their slots.
    pub fn extend(&mut self, layer: usize, rows: &[(&Slot, &[u32])], keys: &Tensor, values: &Tensor) -> Result<()> {
        if rows.iter().all(|(_, tokens)| tokens.len() == rows[0].1.len()) {
            let places = rows.iter().map(|(slot, _)| slot.0).collect::<Vec<_>>();
            return extend_each(&mut self.in_order(layer, &places)?, keys, values);
        }
        let mut first = 0;
        for (slot, tokens) in rows {
            let of_row = |x: &Tensor| x.narrow(0, first, tokens.len());
            self.slots[slot.0].self_attention[layer].extend(&of_row(keys)?, &of_row(values)?)?;
            first += tokens.len();
        }
        Ok(())
    }

    /// A layer's caches of these slots, of which none is twice among them.
    fn in_order(&mut self, layer: usize, places: &[usize]) -> Result<Vec<&mut KvCache>> {
        let mut all: Vec<_> = self.slots.iter_mut().map(|slot| slot.self_attention.get_mut(layer)).collect();
        let take = |&place: &usize| {
            let cache = all.get_mut(place).and_then(Option::take);
            cache.ok_or_else(|| candle_core::Error::msg(format!("slot {place} is not there, or was given twice")))
        };
        places.iter().map(take).collect()
    }

    /// For [`super::attend()`]: every new token sees those before it.
    pub fn self_attention(&self, layer: usize, rows: &[(&Slot, &[u32])]) -> Vec<SequenceQueries<'_>> {
        let cache = |slot: &Slot| &self.slots[slot.0].self_attention[layer];
        let queries = |(slot, tokens): &(&Slot, &[u32])| SequenceQueries {
            cache: cache(slot),
            queries: tokens.len(),
            causal: true,
        };
        rows.iter().map(queries).collect()
    }

    /// For [`super::attend()`]: every new token sees all that the decoder listens to.
    pub fn cross_attention(&self, layer: usize, rows: &[(&Slot, &[u32])]) -> Vec<SequenceQueries<'_>> {
        let cache = |slot: &Slot| &self.slots[slot.0].cross_attention[layer];
        let queries = |(slot, tokens): &(&Slot, &[u32])| SequenceQueries {
            cache: cache(slot),
            queries: tokens.len(),
            causal: false,
        };
        rows.iter().map(queries).collect()
    }
}

// === impl SlotConfig ===

impl SlotConfig {
    /// Bytes that a slot takes; `None` if nobody can count so far.
    pub fn bytes(&self, context: &ComputeContext) -> Option<usize> {
        let layer = self.self_attention.bytes(context)?.checked_add(self.cross_attention.bytes(context)?)?;
        self.layers.checked_mul(layer)
    }
}

// === impl Caches ===

impl Caches {
    fn new(config: &SlotConfig, context: &ComputeContext) -> Result<Self> {
        let self_attention = caches(config, &config.self_attention, context)?;
        Ok(Self { self_attention, cross_attention: Arc::default() })
    }

    /// Empty caches of cross-attention that are its own.
    fn begin(&mut self, config: &SlotConfig, context: &ComputeContext) -> Result<&mut [KvCache]> {
        if Arc::get_mut(&mut self.cross_attention).is_none_or(|heard| heard.is_empty()) {
            self.cross_attention = Arc::new(caches(config, &config.cross_attention, context)?);
        }
        let heard = Arc::get_mut(&mut self.cross_attention);
        let heard = heard.ok_or_else(|| candle_core::Error::msg("new caches are shared"))?;
        heard.iter_mut().for_each(|cache| cache.truncate(0));
        Ok(heard)
    }
}

fn caches(config: &SlotConfig, of: &KvCacheConfig, context: &ComputeContext) -> Result<Vec<KvCache>> {
    (0..config.layers).map(|_| KvCache::new(of, context)).collect()
}
