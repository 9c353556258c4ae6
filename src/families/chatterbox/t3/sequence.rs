//! The keys and values of one sequence, in every layer.

use candle_core::{Result, Tensor};

use crate::nn::{
    ComputeContext,
    attention::{KvCache, KvCacheConfig, SequenceQueries, attend, extend_each},
};

/// One sequence as the backbone remembers it.
#[derive(Debug)]
pub(super) struct Sequence {
    /// One a layer.
    caches: Vec<KvCache>,
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

    /// For [`attend()`]: the last `queries` positions look at themselves and what was before them.
    fn last(&self, layer: usize, queries: usize) -> SequenceQueries<'_> {
        SequenceQueries { cache: &self.caches[layer], queries, causal: true }
    }
}

/// The positions of the next `count` rows of each sequence, sequence after sequence.
pub(super) fn positions(sequences: &[&mut Sequence], count: usize) -> Vec<u32> {
    sequences.iter().flat_map(|sequence| (0..count).map(|at| (sequence.len() + at) as u32)).collect()
}

/// Adds the keys and values of new rows to the sequences, as many to each, and lets the queries of these rows look at what
/// is not after them. All are `[rows, width]`, sequence after sequence.
pub(super) fn attend_causally(
    layer: usize,
    [queries, keys, values]: [&Tensor; 3],
    sequences: &mut [&mut Sequence],
) -> Result<Tensor> {
    let count = queries.dim(0)? / sequences.len().max(1);
    extend_each(&mut sequences.iter_mut().map(|it| &mut it.caches[layer]).collect::<Vec<_>>(), keys, values)?;
    attend(queries, &sequences.iter().map(|sequence| sequence.last(layer, count)).collect::<Vec<_>>())
}
