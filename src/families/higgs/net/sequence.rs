//! What a sequence remembers, in every layer.

use candle_core::Result;

use crate::nn::{
    ComputeContext,
    attention::{KvCache, KvCacheConfig, KvCacheDtype},
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
    pub caches: Vec<KvCache>,
}

// === impl HeadShape ===

impl HeadShape {
    /// Half precision halves what each column has to read of those before it; whoever asked for full precision gets it.
    pub fn cache(&self, capacity: usize, context: &ComputeContext) -> KvCacheConfig {
        let dtype = if context.is_exact() { KvCacheDtype::Full } else { KvCacheDtype::Half };
        KvCacheConfig { heads: self.shared, head_dim: self.head_dim, capacity, dtype }
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

    /// Begins as another did, for which there is room.
    pub fn begin_as(&mut self, other: &Self) -> Result<()> {
        self.caches.iter_mut().zip(&other.caches).try_for_each(|(to, from)| to.copy_from(from))
    }
}
