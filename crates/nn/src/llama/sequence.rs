//! What a sequence remembers, in every layer.

use candle_core::{Result, Tensor};

use crate::{
    attention::{KvCache, KvCacheConfig, KvCacheDtype, SequenceQueries, attend_grouped, extend_each},
    context::ComputeContext,
};

/// The heads.
#[derive(Clone, Copy, Debug)]
pub struct HeadShape {
    pub heads: usize,
    /// Of keys and of values.
    pub shared: usize,
    pub head_dim: usize,
}

/// One sequence.
#[derive(Debug)]
pub struct Sequence {
    /// One a layer.
    pub(super) caches: Vec<KvCache>,
}

/// The positions of the next `count` rows of each sequence, sequence after sequence.
pub fn positions(sequences: &[&mut Sequence], count: usize) -> Vec<u32> {
    sequences.iter().flat_map(|sequence| (0..count).map(|at| (sequence.len() + at) as u32)).collect()
}

/// Adds the keys and values of new rows to a layer of the sequences, as many to each, and lets the queries of these rows look at
/// what is not after them: `[rows, heads * head_dim]`, sequence after sequence, with `group` heads of queries for each of keys.
pub fn attend_causally(
    layer: usize,
    [queries, keys, values]: [&Tensor; 3],
    group: usize,
    sequences: &mut [&mut Sequence],
) -> Result<Tensor> {
    let count = queries.dim(0)? / sequences.len().max(1);
    extend_each(&mut sequences.iter_mut().map(|it| &mut it.caches[layer]).collect::<Vec<_>>(), keys, values)?;
    let seen = sequences.iter().map(|sequence| SequenceQueries {
        cache: &sequence.caches[layer],
        queries: count,
        causal: true,
    });
    attend_grouped(queries, &seen.collect::<Vec<_>>(), group)
}

// === impl HeadShape ===

impl HeadShape {
    /// Half precision halves what each row has to read of those before it; whoever asked for full precision gets it.
    pub fn cache(&self, capacity: usize, context: &ComputeContext) -> KvCacheConfig {
        let dtype = if context.is_exact() { KvCacheDtype::Full } else { KvCacheDtype::Half };
        KvCacheConfig { heads: self.shared, head_dim: self.head_dim, capacity, dtype }
    }

    /// Bytes that so many layers take for each position; what cannot be counted is very much.
    pub fn position_bytes(&self, layers: usize, context: &ComputeContext) -> u64 {
        // Positions are laid out in panels: of many one is what it takes.
        const MANY: usize = 1 << 10;
        let layer = self.cache(MANY, context).bytes(context).unwrap_or(usize::MAX);
        (layer as u64).saturating_mul(layers as u64) / MANY as u64
    }
}

// === impl Sequence ===

impl Sequence {
    pub fn new(layers: usize, config: &KvCacheConfig, context: &ComputeContext) -> Result<Self> {
        let caches = (0..layers).map(|_| KvCache::new(config, context)).collect::<Result<_>>()?;
        Ok(Self { caches })
    }

    /// Positions so far.
    pub fn len(&self) -> usize {
        self.caches.first().map_or(0, KvCache::len)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Begins as another did, for which there is room.
    pub fn begin_as(&mut self, other: &Self) -> Result<()> {
        self.caches.iter_mut().zip(&other.caches).try_for_each(|(to, from)| to.copy_from(from))
    }
}
