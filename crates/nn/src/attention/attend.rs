//! Softmax attention of many sequences at once, each over its own cache.

use candle_core::{DType, Result, Tensor};

use super::{
    kv_cache::{KvCache, Store},
    mask,
};
use crate::cpu::{
    attention::{self, PanelQueries},
    kv_panels::CacheShape,
    matrix::with_rows,
};
#[cfg(feature = "cuda")]
use crate::gpu;

/// Numbers that the scores of candle's operations may have at once, where not every query sees something else: a window
/// of 30 s of any Whisper is not cut.
const SCORES: usize = 1 << 26;

/// Queries of one sequence, among those of others.
#[derive(Clone, Copy, Debug)]
pub struct SequenceQueries<'a> {
    pub cache: &'a KvCache,
    /// How many of the rows, in order.
    pub queries: usize,
    /// The queries belong to the last positions of the cache, and each sees only what is not after it.
    pub causal: bool,
}

/// The same where every position has several queries, one after another: those of the heads that share a head of keys.
#[derive(Clone, Copy, Debug)]
struct GroupedQueries<'a> {
    cache: &'a KvCache,
    queries: usize,
    causal: bool,
    /// Queries of a position.
    group: usize,
}

/// Attention of every query `[rows, heads * head_dim]` over its own sequence's cache. `[rows, heads * head_dim]`
pub fn attend(queries: &Tensor, sequences: &[SequenceQueries<'_>]) -> Result<Tensor> {
    attend_all(queries, &sequences.iter().map(|sequence| sequence.grouped(1)).collect::<Vec<_>>())
}

/// The same with `group` heads of queries for each head of keys and values (Ainslie et al., arXiv 2305.13245):
/// `[rows, heads * group * head_dim]`, the heads that share one beside each other.
pub fn attend_grouped(queries: &Tensor, sequences: &[SequenceQueries<'_>], group: usize) -> Result<Tensor> {
    if group == 1 {
        return attend(queries, sequences);
    }
    let (rows, width) = queries.dims2()?;
    let Some(shape) = sequences.first().map(|sequence| sequence.cache.shape) else {
        candle_core::bail!("queries of no sequence")
    };
    if group == 0 || width != shape.heads * group * shape.head_dim {
        candle_core::bail!("queries of {width} do not match {} heads of {group} each", shape.heads);
    }
    let (heads, head_dim) = (shape.heads, shape.head_dim);
    if let Some(attended) = attend_rows(queries, &sequences.iter().map(|it| it.grouped(1)).collect::<Vec<_>>(), group)?
    {
        return Ok(attended);
    }
    let by_position = queries.reshape((rows, heads, group, head_dim))?.transpose(1, 2)?;
    let by_position = by_position.contiguous()?.reshape((rows * group, heads * head_dim))?;
    let sequences = sequences.iter().map(|sequence| sequence.grouped(group)).collect::<Vec<_>>();
    let attended = attend_all(&by_position, &sequences)?.reshape((rows, group, heads, head_dim))?;
    attended.transpose(1, 2)?.contiguous()?.reshape((rows, width))
}

fn attend_all(queries: &Tensor, sequences: &[GroupedQueries<'_>]) -> Result<Tensor> {
    let (rows, width) = queries.dims2()?;
    check(sequences, rows)?;
    let panels = sequences.iter().map(GroupedQueries::panels).collect::<Option<Vec<_>>>();
    match panels {
        Some(panels) => {
            let out = with_rows(queries, |queries| attention::attend(queries, width, &panels))?;
            Tensor::from_vec(out, (rows, width), queries.device())
        }
        None => attend_tensors(queries, sequences),
    }
}

fn check(sequences: &[GroupedQueries<'_>], rows: usize) -> Result<()> {
    for GroupedQueries { cache, queries, causal, group } in sequences {
        if cache.is_empty() || (*causal && queries / group > cache.len()) {
            candle_core::bail!("{queries} queries over a cache of {} positions", cache.len());
        }
    }
    let given = sequences.iter().map(|sequence| sequence.queries).sum::<usize>();
    if given != rows {
        candle_core::bail!("{rows} queries were given for sequences of {given}");
    }
    Ok(())
}

fn attend_tensors(queries: &Tensor, sequences: &[GroupedQueries<'_>]) -> Result<Tensor> {
    if let Some(attended) = attend_rows(queries, sequences, 1)? {
        return Ok(attended);
    }
    let mut row = 0;
    let mut parts = Vec::with_capacity(sequences.len());
    for sequence in sequences.iter().flat_map(GroupedQueries::blocks) {
        let Store::Tensors { keys, values } = &sequence.cache.store else { candle_core::bail!("mixed caches") };
        let queries = queries.narrow(0, row, sequence.queries)?;
        let weights = sequence.weights_by_tensors(&queries, keys)?.to_dtype(queries.dtype())?;
        let mixed = weights.matmul(&values.narrow(1, 0, sequence.cache.len())?)?;
        parts.push(mixed.transpose(0, 1)?.flatten_from(1)?);
        row += sequence.queries;
    }
    Tensor::cat(&parts, 0)
}

/// All rows at once by a kernel of an accelerator, where there is such a kernel: each query sees so much of a cache, and no mask is
/// needed. Many that see the same are left to products of matrices.
#[cfg(feature = "cuda")]
fn attend_rows(queries: &Tensor, sequences: &[GroupedQueries<'_>], group: usize) -> Result<Option<Tensor>> {
    let mut rows = Vec::with_capacity(queries.dim(0)?);
    for &GroupedQueries { cache, queries, causal, group } in sequences {
        let Store::Tensors { keys, values } = &cache.store else { return Ok(None) };
        if group != 1 || !(causal || queries <= gpu::ROWS) || cache.len() < if causal { queries } else { 1 } {
            return Ok(None);
        }
        let len = |query| if causal { cache.len() - queries + query + 1 } else { cache.len() };
        rows.extend((0..queries).map(|query| gpu::CacheRow { keys, values, len: len(query) }));
    }
    let Some(CacheShape { heads, head_dim, .. }) = sequences.first().map(|it| it.cache.shape) else { return Ok(None) };
    if rows.len() != queries.dim(0)? {
        return Ok(None);
    }
    gpu::attend(queries, &rows, gpu::CacheSizes { heads, head_dim }, group)
}

#[cfg(not(feature = "cuda"))]
fn attend_rows(_queries: &Tensor, _sequences: &[GroupedQueries<'_>], _group: usize) -> Result<Option<Tensor>> {
    Ok(None)
}

// === impl SequenceQueries ===

impl<'a> SequenceQueries<'a> {
    /// What attention weighs by: `[rows, heads * head_dim]` → `[heads, rows, positions]` in `f32`.
    pub fn weights(&self, queries: &Tensor) -> Result<Tensor> {
        let (rows, _) = queries.dims2()?;
        let alone = self.grouped(1);
        check(std::slice::from_ref(&alone), rows)?;
        match (&self.cache.store, alone.panels()) {
            (Store::Tensors { keys, .. }, _) => alone.weights_by_tensors(queries, keys),
            (Store::Panels(_), None) => candle_core::bail!("mixed caches"),
            (Store::Panels(_), Some(panels)) => {
                let weights = with_rows(queries, |queries| attention::weights(queries, panels))?;
                Tensor::from_vec(weights, (self.cache.shape.heads, rows, self.cache.len()), queries.device())
            }
        }
    }

    fn grouped(self, group: usize) -> GroupedQueries<'a> {
        let Self { cache, queries, causal } = self;
        GroupedQueries { cache, queries: queries * group, causal, group }
    }
}

// === impl GroupedQueries ===

impl<'a> GroupedQueries<'a> {
    /// The same queries, a few at a time if their scores are many.
    fn blocks(&self) -> impl Iterator<Item = Self> + use<'a> {
        let Self { cache, queries, causal, group } = *self;
        let few = (SCORES / (cache.shape.heads * cache.len()).max(1)).max(1);
        let block = if causal { queries.max(1) } else { few };
        (0..queries).step_by(block).map(move |first| Self { cache, queries: block.min(queries - first), causal, group })
    }

    fn panels(&self) -> Option<PanelQueries<'a>> {
        let Self { cache, queries, causal, group } = *self;
        match &cache.store {
            Store::Panels(panels) => Some(PanelQueries { cache: panels, len: cache.len(), queries, causal, group }),
            Store::Tensors { .. } => None,
        }
    }

    fn weights_by_tensors(&self, queries: &Tensor, keys: &Tensor) -> Result<Tensor> {
        let CacheShape { heads, head_dim, .. } = self.cache.shape;
        let len = self.cache.len();
        let queries = queries.reshape((self.queries, heads, head_dim))?.transpose(0, 1)?.contiguous()?;
        let scores = queries.matmul(&keys.narrow(1, 0, len)?.transpose(1, 2)?)?.to_dtype(DType::F32)?;
        let scores = match self.causal && self.queries > self.group {
            true => scores.broadcast_add(&mask::causal(self.queries, self.group, len, scores.device())?)?,
            false => scores,
        };
        candle_nn::ops::softmax_last_dim(&scores)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::{
        attention::{KvCacheConfig, KvCacheDtype, extend_each},
        context::ComputeContext,
        cpu::detect::SimdLevel,
    };

    fn numbers(rows: usize, width: usize, seed: f32) -> Result<Tensor> {
        let data = (0..rows * width).map(|i| (i as f32 * 0.37 + seed).sin() * 2.0).collect::<Vec<_>>();
        Tensor::from_vec(data, (rows, width), &Device::Cpu)
    }

    /// Two sequences of different lengths, filled in two goes, one rewound in between.
    fn answers(context: &ComputeContext, dtype: KvCacheDtype, causal: bool) -> Result<(Tensor, Tensor)> {
        let (heads, size) = (3, 40);
        let config = KvCacheConfig { heads, head_dim: size, capacity: 130, dtype };
        let mut long = KvCache::new(&config, context)?;
        let mut short = KvCache::new(&config, context)?;
        for (cache, len, seed) in [(&mut long, 129, 0.0), (&mut short, 5, 1.0)] {
            cache.extend(&numbers(len, heads * size, seed)?, &numbers(len, heads * size, seed + 0.5)?)?;
        }
        short.truncate(3);
        short.extend(&numbers(4, heads * size, 3.0)?, &numbers(4, heads * size, 4.0)?)?;
        let sequences = [
            SequenceQueries { cache: &long, queries: 70, causal },
            SequenceQueries { cache: &short, queries: 2, causal },
        ];
        let queries = numbers(72, heads * size, 2.0)?;
        Ok((attend(&queries, &sequences)?, sequences[0].weights(&queries.narrow(0, 0, 70)?)?))
    }

    #[test]
    fn kernels_agree_with_plain_operations() -> Result<()> {
        let context = ComputeContext::new(&Device::Cpu, DType::F32);
        for causal in [false, true] {
            let plain = answers(&ComputeContext { kernels: None, ..context.clone() }, KvCacheDtype::Full, causal)?;
            for (dtype, tolerance) in [(KvCacheDtype::Full, 1e-5), (KvCacheDtype::Half, 3e-3)] {
                for &level in SimdLevel::available() {
                    let own = answers(&ComputeContext { kernels: Some(level), ..context.clone() }, dtype, causal)?;
                    for (own, plain) in [(own.0, &plain.0), (own.1, &plain.1)] {
                        let difference = (own - plain)?.abs()?.max_all()?.to_scalar::<f32>()?;
                        assert!(difference < tolerance, "{level:?}, {dtype:?}, causal {causal}: {difference}");
                    }
                }
            }
        }
        Ok(())
    }

    #[test]
    fn grouped_queries_see_what_those_of_repeated_heads_see() -> Result<()> {
        let (heads, group, size) = (2, 3, 40);
        let context = ComputeContext::new(&Device::Cpu, DType::F32);
        let levels = SimdLevel::available().iter().map(|&level| Some(level)).chain([None]);
        for context in levels.map(|kernels| ComputeContext { kernels, ..context.clone() }) {
            let cache = |heads, keys: &Tensor, values: &Tensor| {
                let config = KvCacheConfig { heads, head_dim: size, capacity: 80, dtype: KvCacheDtype::Full };
                let mut cache = KvCache::new(&config, &context)?;
                cache.extend(keys, values)?;
                Result::Ok(cache)
            };
            let repeated = |x: &Tensor| {
                let x = x.reshape((70, heads, 1, size))?.repeat((1, 1, group, 1))?;
                x.reshape((70, heads * group * size))
            };
            let (keys, values) = (numbers(70, heads * size, 0.0)?, numbers(70, heads * size, 0.5)?);
            let shared = cache(heads, &keys, &values)?;
            let own = cache(heads * group, &repeated(&keys)?, &repeated(&values)?)?;
            for (queries, causal) in [(1, true), (70, true), (33, true), (5, false)] {
                let x = numbers(queries, heads * group * size, 2.0)?;
                let found = attend_grouped(&x, &[SequenceQueries { cache: &shared, queries, causal }], group)?;
                let expected = attend(&x, &[SequenceQueries { cache: &own, queries, causal }])?;
                let difference = (found - expected)?.abs()?.max_all()?.to_scalar::<f32>()?;
                assert!(difference < 1e-5, "{:?}, {queries}, causal {causal}: {difference}", context.kernels);
            }
            assert!(
                attend_grouped(&keys, &[SequenceQueries { cache: &shared, queries: 70, causal: true }], 2).is_err()
            );
        }
        Ok(())
    }

    #[test]
    fn a_long_sequence_is_cut_unless_it_is_causal() -> Result<()> {
        let context = ComputeContext { kernels: None, ..ComputeContext::new(&Device::Cpu, DType::F32) };
        let config = KvCacheConfig { heads: 2, head_dim: 1, capacity: 1 << 14, dtype: KvCacheDtype::Full };
        let mut cache = KvCache::new(&config, &context)?;
        cache.extend(&numbers(1 << 14, 2, 0.0)?, &numbers(1 << 14, 2, 1.0)?)?;
        let queries = |causal| SequenceQueries { cache: &cache, queries: 5000, causal }.grouped(1);
        let blocks = |causal| queries(causal).blocks().map(|block| block.queries);
        assert_eq!(blocks(false).collect::<Vec<_>>(), [2048, 2048, 904]);
        assert_eq!(blocks(true).collect::<Vec<_>>(), [5000]);
        Ok(())
    }

    #[test]
    fn caches_that_grow_together_hold_what_each_would_alone() -> Result<()> {
        let plain = ComputeContext { kernels: None, ..ComputeContext::new(&Device::Cpu, DType::F32) };
        for context in [ComputeContext::new(&Device::Cpu, DType::F32), plain] {
            let config = KvCacheConfig { heads: 2, head_dim: 8, capacity: 6, dtype: KvCacheDtype::Full };
            let caches = || (0..3).map(|_| KvCache::new(&config, &context)).collect::<Result<Vec<_>>>();
            let (mut together, mut alone) = (caches()?, caches()?);
            // They begin at different lengths.
            for (at, cache) in together.iter_mut().chain(&mut alone).enumerate() {
                let filled = numbers(at % 3 + 1, 16, at as f32 % 3.0)?;
                cache.extend(&filled, &filled)?;
            }
            let (keys, values) = (numbers(3, 16, 5.0)?, numbers(3, 16, 6.0)?);
            extend_each(&mut together.iter_mut().collect::<Vec<_>>(), &keys, &values)?;
            for (row, cache) in alone.iter_mut().enumerate() {
                cache.extend(&keys.narrow(0, row, 1)?, &values.narrow(0, row, 1)?)?;
            }
            let queries = numbers(3, 16, 7.0)?;
            let seen = |caches: &[KvCache]| {
                let sequences = caches.iter().map(|cache| SequenceQueries { cache, queries: 1, causal: true });
                attend(&queries, &sequences.collect::<Vec<_>>())?.flatten_all()?.to_vec1::<f32>()
            };
            assert_eq!(together.iter().map(KvCache::len).collect::<Vec<_>>(), [2, 3, 4]);
            assert_eq!(seen(&together)?, seen(&alone)?);
            let mut few = together.iter_mut().take(2).collect::<Vec<_>>();
            assert!(extend_each(&mut few, &keys, &values).is_err(), "a row too many");
        }
        Ok(())
    }

    #[test]
    fn a_full_cache_and_an_empty_one_are_errors() -> Result<()> {
        let context = ComputeContext::new(&Device::Cpu, DType::F32);
        let config = KvCacheConfig { heads: 1, head_dim: 4, capacity: 2, dtype: KvCacheDtype::Full };
        let mut cache = KvCache::new(&config, &context)?;
        let queries = numbers(1, 4, 0.0)?;
        assert!(attend(&queries, &[SequenceQueries { cache: &cache, queries: 1, causal: false }]).is_err());
        assert!(cache.extend(&numbers(3, 4, 0.0)?, &numbers(3, 4, 0.0)?).is_err());
        Ok(())
    }
}
