//! The keys and values of a sequence.

use candle_core::{Result, Tensor};
use half::f16;

#[cfg(feature = "cuda")]
use crate::gpu;
use crate::{
    context::ComputeContext,
    cpu::{
        kv_panels::{CacheShape, KvPanels},
        matrix::with_rows,
    },
};

/// The keys and values of one sequence in one layer, in memory that is taken once.
///
/// There are as many heads of keys and values as of queries. Keys are scaled by `1/√head_dim` when they come in.
#[derive(Debug)]
pub struct KvCache {
    pub(super) store: Store,
    pub(super) shape: CacheShape,
    pub(super) len: usize,
}

/// Appends as many positions to each of several caches: `keys` and `values` are `[all positions, heads * head_dim]`, cache after
/// cache. An accelerator writes all at once.
pub fn extend_each(caches: &mut [&mut KvCache], keys: &Tensor, values: &Tensor) -> Result<()> {
    let (rows, each) = (keys.dim(0)?, keys.dim(0)? / caches.len().max(1));
    if each * caches.len() != rows {
        candle_core::bail!("{rows} positions for {} caches", caches.len());
    }
    if extend_rows(caches, keys, values)? {
        caches.iter_mut().for_each(|cache| cache.len += each);
        return Ok(());
    }
    for (at, cache) in caches.iter_mut().enumerate() {
        cache.extend(&keys.narrow(0, at * each, each)?, &values.narrow(0, at * each, each)?)?;
    }
    Ok(())
}

/// Whether a kernel of an accelerator wrote all of them.
#[cfg(feature = "cuda")]
fn extend_rows(caches: &[&mut KvCache], keys: &Tensor, values: &Tensor) -> Result<bool> {
    let Some(CacheShape { heads, head_dim, .. }) = caches.first().map(|cache| cache.shape) else { return Ok(false) };
    let each = keys.dim(0)? / caches.len();
    if each == 0 {
        return Ok(false);
    }
    let mut rows = Vec::with_capacity(caches.len());
    for cache in caches {
        let Store::Tensors { keys, values } = &cache.store else { return Ok(false) };
        let CacheShape { capacity, .. } = cache.shape;
        let fits = (cache.shape.heads, cache.shape.head_dim) == (heads, head_dim) && cache.len + each <= capacity;
        if !fits {
            return Ok(false);
        }
        rows.push(gpu::CacheRow { keys, values, len: cache.len });
    }
    let sizes = gpu::CacheSizes { heads, head_dim };
    if keys.dims() != [each * caches.len(), heads * head_dim] || values.dims() != keys.dims() {
        return Ok(false);
    }
    gpu::extend(keys, values, &rows, sizes, caches[0].shape.scale())
}

#[cfg(not(feature = "cuda"))]
fn extend_rows(_caches: &[&mut KvCache], _keys: &Tensor, _values: &Tensor) -> Result<bool> {
    Ok(false)
}

/// The sizes of a cache, and how exactly it keeps what it holds.
#[derive(Clone, Copy, Debug)]
pub struct KvCacheConfig {
    pub heads: usize,
    /// Numbers of a head.
    pub head_dim: usize,
    /// Positions.
    pub capacity: usize,
    pub dtype: KvCacheDtype,
}

/// How exactly our own kernels keep keys and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KvCacheDtype {
    /// As they are.
    Full,
    /// In half precision, which halves what each query has to read.
    Half,
}

#[derive(Debug)]
pub(super) enum Store {
    Panels(KvPanels),
    /// `[heads, capacity, head_dim]` each.
    Tensors {
        keys: Tensor,
        values: Tensor,
    },
}

// === impl KvCache ===

impl KvCache {
    /// The same of one that has room for a position.
    #[cfg(feature = "cuda")]
    pub(crate) fn row_with_room(&self) -> Option<gpu::CacheRow<'_>> {
        self.row().filter(|_| self.len < self.shape.capacity)
    }

    /// A step of an accelerator wrote a position more.
    #[cfg(feature = "cuda")]
    pub(crate) fn stepped(&mut self) {
        self.len += 1;
    }

    /// As a kernel of an accelerator takes it; `None`: it is none of an accelerator's.
    #[cfg(feature = "cuda")]
    pub(super) fn row(&self) -> Option<gpu::CacheRow<'_>> {
        match &self.store {
            Store::Tensors { keys, values } => Some(gpu::CacheRow { keys, values, len: self.len }),
            Store::Panels(_) => None,
        }
    }

    pub fn new(config: &KvCacheConfig, context: &ComputeContext) -> Result<Self> {
        if config.bytes(context).is_none() {
            candle_core::bail!("{config:?} takes more memory than there can be");
        }
        let shape = config.shape();
        let CacheShape { heads, head_dim, capacity } = shape;
        let store = match (context.kernels, config.dtype) {
            (Some(level), KvCacheDtype::Full) => Store::Panels(KvPanels::full(level, shape)),
            (Some(level), KvCacheDtype::Half) => Store::Panels(KvPanels::half(level, shape)),
            (None, _) => {
                let zeros = || Tensor::zeros((heads, capacity, head_dim), context.activations(), &context.device);
                Store::Tensors { keys: zeros()?, values: zeros()? }
            }
        };
        Ok(Self { store, shape, len: 0 })
    }

    /// Positions that are filled.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Forgets every position from `len` on.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Appends positions: `keys` and `values` are `[positions, heads * head_dim]`.
    pub fn extend(&mut self, keys: &Tensor, values: &Tensor) -> Result<()> {
        let CacheShape { heads, head_dim, capacity } = self.shape;
        let (count, width) = keys.dims2()?;
        if self.len + count > capacity || width != heads * head_dim || values.dims() != keys.dims() {
            candle_core::bail!("{count} positions of {width} do not fit after {} of {capacity}", self.len);
        }
        if extend_rows(&[&mut *self], keys, values)? {
            self.len += count;
            return Ok(());
        }
        match &mut self.store {
            Store::Panels(panels) => {
                with_rows(keys, |keys| panels.write_keys(self.len, keys))?;
                with_rows(values, |values| panels.write_values(self.len, values))?;
            }
            Store::Tensors { keys: to_keys, values: to_values } => {
                let by_head = |x: &Tensor| x.reshape((count, heads, head_dim))?.transpose(0, 1)?.contiguous();
                to_keys.slice_set(&(by_head(keys)? * self.shape.scale())?, 1, self.len)?;
                to_values.slice_set(&by_head(values)?, 1, self.len)?;
            }
        }
        self.len += count;
        Ok(())
    }

    /// Holds what another of the same heads holds, and nothing more. There must be room for it.
    pub fn copy_from(&mut self, other: &Self) -> Result<()> {
        let (to, from) = (self.shape, other.shape);
        if other.len > to.capacity || (to.heads, to.head_dim) != (from.heads, from.head_dim) {
            candle_core::bail!("{} positions of {from:?} do not fit into {to:?}", other.len);
        }
        match (&mut self.store, &other.store) {
            (Store::Panels(to), Store::Panels(from)) => to.copy_from(from, other.len),
            (Store::Tensors { keys, values }, Store::Tensors { keys: other_keys, values: other_values }) => {
                if other.len > 0 {
                    keys.slice_set(&other_keys.narrow(1, 0, other.len)?.contiguous()?, 1, 0)?;
                    values.slice_set(&other_values.narrow(1, 0, other.len)?.contiguous()?, 1, 0)?;
                }
            }
            (Store::Panels(_), Store::Tensors { .. }) | (Store::Tensors { .. }, Store::Panels(_)) => {
                candle_core::bail!("caches of two kinds");
            }
        }
        self.len = other.len;
        Ok(())
    }
}

// === impl KvCacheConfig ===

impl KvCacheConfig {
    /// Bytes that such a cache takes; `None` if nobody can count so far.
    pub fn bytes(&self, context: &ComputeContext) -> Option<usize> {
        let tensors = || self.heads.checked_mul(self.capacity)?.checked_mul(self.head_dim)?.checked_mul(2);
        match (context.kernels, self.dtype) {
            (Some(_), KvCacheDtype::Full) => self.shape().numbers()?.checked_mul(size_of::<f32>()),
            (Some(_), KvCacheDtype::Half) => self.shape().numbers()?.checked_mul(size_of::<f16>()),
            (None, _) => tensors()?.checked_mul(context.activations().size_in_bytes()),
        }
    }

    fn shape(&self) -> CacheShape {
        CacheShape { heads: self.heads, head_dim: self.head_dim, capacity: self.capacity }
    }
}
