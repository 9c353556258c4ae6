//! Keys and values of a sequence, and attention over them.

use candle_core::{D, DType, Result, Tensor};
use half::f16;
use rayon::prelude::*;

use crate::nn::{
    context::ComputeContext,
    cpu::{
        detect::SimdLevel,
        element::Element,
        epilogue::KernelEpilogue,
        math::{convert, softmax},
        matrix::{PANEL, Panels, Rows, Target, panels, with_rows},
        panels::multiply,
    },
};

/// Queries that one task takes: their scores over 1500 positions stay in the second-level cache.
const BLOCK_QUERIES: usize = 48;

/// Numbers below which a copy stays on one thread.
const SMALL: usize = 1 << 15;

/// The keys and values of one sequence in one layer, in memory that is taken once.
///
/// Keys are scaled by `1/√size` when they come in.
#[derive(Debug)]
pub struct KvCache {
    store: Store,
    shape: Shape,
    len: usize,
}

/// Queries of one sequence, among those of others.
#[derive(Clone, Copy, Debug)]
pub struct SequenceQueries<'a> {
    pub cache: &'a KvCache,
    /// How many of the rows, in order.
    pub queries: usize,
    /// The queries belong to the last positions of the cache, and each sees only what is not after it.
    pub causal: bool,
}

#[derive(Clone, Copy, Debug)]
struct Shape {
    heads: usize,
    /// Of a head.
    size: usize,
    /// Positions.
    capacity: usize,
}

#[derive(Debug)]
enum Store {
    Full(SimdLevel, Laid<f32>),
    Half(SimdLevel, Laid<f16>),
    /// `[heads, capacity, size]` each.
    Tensors {
        keys: Tensor,
        values: Tensor,
    },
}

/// Of each head in turn: the keys in panels of positions, `[size, capacity]`; the values in panels of dimensions,
/// `[capacity, size]`.
#[derive(Debug)]
struct Laid<E> {
    keys: Vec<E>,
    values: Vec<E>,
}

/// How exactly our own kernels keep keys and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KvCacheDtype {
    /// As they are.
    Full,
    /// In half precision, which halves what each query has to read.
    Half,
}

/// Some queries of one sequence and one head, and where their answer goes.
struct Piece<'a> {
    cache: &'a KvCache,
    head: usize,
    /// First of them, among all rows.
    row: usize,
    count: usize,
    /// Positions that the first of them sees.
    seen: usize,
    causal: bool,
}

/// Softmax attention of every query `[rows, heads * size]` over its own sequence's cache. `[rows, heads * size]`
pub fn attend(queries: &Tensor, sequences: &[SequenceQueries<'_>]) -> Result<Tensor> {
    let Some(SequenceQueries { cache, .. }) = sequences.first() else { candle_core::bail!("attention needs a cache") };
    match &cache.store {
        Store::Full(level, _) | Store::Half(level, _) => attend_panels(*level, queries, sequences),
        Store::Tensors { .. } => attend_tensors(queries, sequences),
    }
}

fn attend_tensors(queries: &Tensor, sequences: &[SequenceQueries<'_>]) -> Result<Tensor> {
    let mut row = 0;
    let mut parts = Vec::with_capacity(sequences.len());
    for sequence in sequences {
        let Store::Tensors { values, .. } = &sequence.cache.store else { candle_core::bail!("mixed caches") };
        let weights = sequence.weights(&queries.narrow(0, row, sequence.queries)?)?.to_dtype(queries.dtype())?;
        let mixed = weights.matmul(&values.narrow(1, 0, sequence.cache.len)?)?;
        parts.push(mixed.transpose(0, 1)?.flatten_from(1)?);
        row += sequence.queries;
    }
    Tensor::cat(&parts, 0)
}

fn attend_panels(level: SimdLevel, queries: &Tensor, sequences: &[SequenceQueries<'_>]) -> Result<Tensor> {
    let (rows, width) = queries.dims2()?;
    let pieces = pieces(sequences, rows)?;
    let mut out = vec![0.0; rows * width];
    let target = Target::new(&mut out, width);
    with_rows(queries, |queries| {
        pieces.par_iter().for_each_init(Vec::new, |scores, piece| piece.attend(level, queries, target, scores));
    })?;
    Tensor::from_vec(out, (rows, width), queries.device())
}

/// Cuts the sequences into pieces for the threads.
fn pieces<'a>(sequences: &[SequenceQueries<'a>], rows: usize) -> Result<Vec<Piece<'a>>> {
    let mut pieces = Vec::new();
    let mut row = 0;
    for &SequenceQueries { cache, queries, causal } in sequences {
        if cache.len == 0 || (causal && queries > cache.len) {
            candle_core::bail!("{queries} queries over a cache of {} positions", cache.len);
        }
        for head in 0..cache.shape.heads {
            for first in (0..queries).step_by(BLOCK_QUERIES) {
                let count = BLOCK_QUERIES.min(queries - first);
                let seen = if causal { cache.len - queries + first + 1 } else { cache.len };
                pieces.push(Piece { cache, head, row: row + first, count, seen, causal });
            }
        }
        row += queries;
    }
    if row != rows {
        candle_core::bail!("{rows} queries were given for sequences of {row}");
    }
    Ok(pieces)
}

// === impl KvCache ===

impl KvCache {
    /// For up to `capacity` positions.
    pub fn new(
        heads: usize,
        size: usize,
        capacity: usize,
        dtype: KvCacheDtype,
        context: &ComputeContext,
    ) -> Result<Self> {
        let shape = Shape { heads, size, capacity };
        let store = match (context.kernels, dtype) {
            (Some(level), KvCacheDtype::Full) => Store::Full(level, Laid::new(shape)),
            (Some(level), KvCacheDtype::Half) => Store::Half(level, Laid::new(shape)),
            (None, _) => {
                let zeros = || Tensor::zeros((heads, capacity, size), context.activations(), &context.device);
                Store::Tensors { keys: zeros()?, values: zeros()? }
            }
        };
        Ok(Self { store, shape, len: 0 })
    }

    /// Bytes that [`Self::new`] takes.
    pub fn bytes(heads: usize, size: usize, capacity: usize, dtype: KvCacheDtype, context: &ComputeContext) -> usize {
        let shape = Shape { heads, size, capacity };
        let laid = heads * (shape.keys_stride() + shape.values_stride());
        match (context.kernels, dtype) {
            (Some(_), KvCacheDtype::Full) => laid * size_of::<f32>(),
            (Some(_), KvCacheDtype::Half) => laid * size_of::<f16>(),
            (None, _) => 2 * heads * capacity * size * context.activations().size_in_bytes(),
        }
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

    /// Appends positions: `keys` and `values` are `[positions, heads * size]`.
    pub fn extend(&mut self, keys: &Tensor, values: &Tensor) -> Result<()> {
        let Shape { heads, size, capacity } = self.shape;
        let (count, width) = keys.dims2()?;
        if self.len + count > capacity || width != heads * size || values.dims() != keys.dims() {
            candle_core::bail!("{count} positions of {width} do not fit after {} of {capacity}", self.len);
        }
        match &mut self.store {
            Store::Full(level, laid) => laid.write(*level, self.shape, self.len, keys, values)?,
            Store::Half(level, laid) => laid.write(*level, self.shape, self.len, keys, values)?,
            Store::Tensors { keys: to_keys, values: to_values } => {
                let by_head = |x: &Tensor| x.reshape((count, heads, size))?.transpose(0, 1)?.contiguous();
                to_keys.slice_set(&(by_head(keys)? * scale(size))?, 1, self.len)?;
                to_values.slice_set(&by_head(values)?, 1, self.len)?;
            }
        }
        self.len += count;
        Ok(())
    }
}

fn scale(size: usize) -> f64 {
    1.0 / (size as f64).sqrt()
}

/// Calls `write` with each head and its part.
fn by_head<E: Send>(to: &mut [E], stride: usize, numbers: usize, write: impl Fn(usize, &mut [E]) + Sync) {
    if numbers < SMALL {
        to.chunks_exact_mut(stride).enumerate().for_each(|(head, to)| write(head, to));
    } else {
        to.par_chunks_exact_mut(stride).enumerate().for_each(|(head, to)| write(head, to));
    }
}

// === impl Laid ===

impl<E: Element> Laid<E> {
    fn new(shape: Shape) -> Self {
        let zeros = |stride| vec![E::from_f32(0.0); shape.heads * stride];
        Self { keys: zeros(shape.keys_stride()), values: zeros(shape.values_stride()) }
    }

    fn write(&mut self, level: SimdLevel, shape: Shape, at: usize, keys: &Tensor, values: &Tensor) -> Result<()> {
        with_rows(keys, |keys| self.write_keys(level, shape, at, keys))?;
        with_rows(values, |values| self.write_values(level, shape, at, values))
    }

    fn write_keys(&mut self, level: SimdLevel, Shape { heads, size, capacity }: Shape, at: usize, keys: Rows<'_>) {
        let (scale, stride) = (scale(size) as f32, Shape { heads, size, capacity }.keys_stride());
        by_head(&mut self.keys, stride, keys.count * heads * size, |head, to| {
            let mut converted = vec![E::from_f32(0.0); size];
            for row in 0..keys.count {
                convert(level, &keys.row(row, heads * size)[head * size..][..size], scale, &mut converted);
                let column = (at + row) / PANEL * size * PANEL + (at + row) % PANEL;
                for (to, key) in to[column..].iter_mut().step_by(PANEL).zip(&converted) {
                    *to = *key;
                }
            }
        });
    }

    fn write_values(&mut self, level: SimdLevel, Shape { heads, size, capacity }: Shape, at: usize, values: Rows<'_>) {
        let stride = Shape { heads, size, capacity }.values_stride();
        by_head(&mut self.values, stride, values.count * heads * size, |head, to| {
            for row in 0..values.count {
                let numbers = &values.row(row, heads * size)[head * size..][..size];
                for (panel, part) in numbers.chunks(PANEL).enumerate() {
                    let to = &mut to[(panel * capacity + at + row) * PANEL..][..part.len()];
                    convert(level, part, 1.0, to);
                }
            }
        });
    }

    /// Of the first `len` positions.
    fn keys(&self, shape: Shape, head: usize, len: usize) -> Panels<'_, E> {
        let data = &self.keys[head * shape.keys_stride()..][..shape.keys_stride()];
        Panels { data, stride: shape.size * PANEL, depth: shape.size, columns: len }
    }

    /// Of the first `len` positions.
    fn values(&self, shape: Shape, head: usize, len: usize) -> Panels<'_, E> {
        let data = &self.values[head * shape.values_stride()..][..shape.values_stride()];
        Panels { data, stride: shape.capacity * PANEL, depth: len, columns: shape.size }
    }
}

// === impl SequenceQueries ===

impl SequenceQueries<'_> {
    /// What attention weighs by: `[rows, heads * size]` → `[heads, rows, positions]` in `f32`.
    pub fn weights(&self, queries: &Tensor) -> Result<Tensor> {
        match &self.cache.store {
            Store::Tensors { keys, .. } => self.weights_by_tensors(queries, keys),
            Store::Full(level, _) | Store::Half(level, _) => self.weights_by_panels(queries, *level),
        }
    }

    fn weights_by_tensors(&self, queries: &Tensor, keys: &Tensor) -> Result<Tensor> {
        let Shape { heads, size, .. } = self.cache.shape;
        let len = self.cache.len;
        let queries = queries.reshape((self.queries, heads, size))?.transpose(0, 1)?.contiguous()?;
        let scores = queries.matmul(&keys.narrow(1, 0, len)?.transpose(1, 2)?)?.to_dtype(DType::F32)?;
        let scores = if self.causal && self.queries > 1 { scores.broadcast_add(&self.mask(&scores)?)? } else { scores };
        candle_nn::ops::softmax(&scores, D::Minus1)
    }

    /// `[rows, positions]`: 0 where a query sees, minus infinity where not.
    fn mask(&self, scores: &Tensor) -> Result<Tensor> {
        let len = self.cache.len;
        let seen = |row: usize| len - self.queries + row + 1;
        let hidden = |row, position| if position < seen(row) { 0.0 } else { f32::NEG_INFINITY };
        let mask = (0..self.queries).flat_map(|row| (0..len).map(move |position| hidden(row, position)));
        Tensor::from_iter(mask, scores.device())?.reshape((self.queries, len))
    }

    fn weights_by_panels(&self, queries: &Tensor, level: SimdLevel) -> Result<Tensor> {
        let Shape { heads, .. } = self.cache.shape;
        let (rows, _) = queries.dims2()?;
        let pieces = pieces(std::slice::from_ref(self), rows)?;
        let by_piece = with_rows(queries, |queries| {
            let weigh = |piece: &Piece<'_>| {
                let mut scores = Vec::new();
                piece.weigh(level, queries, &mut scores);
                scores
            };
            pieces.par_iter().map(weigh).collect::<Vec<_>>()
        })?;
        Tensor::from_vec(by_piece.concat(), (heads, rows, self.cache.len), queries.device())
    }
}

// === impl Piece ===

impl Piece<'_> {
    fn attend(&self, level: SimdLevel, queries: Rows<'_>, target: Target, scores: &mut Vec<f32>) {
        self.weigh(level, queries, scores);
        let KvCache { store, shape, len } = self.cache;
        let target = target.at(self.row, self.head * shape.size);
        let scores = Rows::new(scores, *len);
        // SAFETY: pieces have different rows or, by their heads, different columns.
        unsafe {
            match store {
                Store::Full(_, laid) => {
                    multiply(level, scores, laid.values(*shape, self.head, *len), target, KernelEpilogue::default());
                }
                Store::Half(_, laid) => {
                    multiply(level, scores, laid.values(*shape, self.head, *len), target, KernelEpilogue::default());
                }
                Store::Tensors { .. } => unreachable!("pieces are of caches in panels"),
            }
        }
    }

    /// Fills `scores` with weights, `[count, positions]`.
    fn weigh(&self, level: SimdLevel, queries: Rows<'_>, scores: &mut Vec<f32>) {
        let KvCache { store, shape, len } = self.cache;
        let queries = queries.part(self.row, self.count).skip_columns(self.head * shape.size);
        scores.resize(self.count * len, 0.0);
        let target = Target::new(scores, *len);
        // SAFETY: the scores are this piece's own.
        unsafe {
            match store {
                Store::Full(_, laid) => {
                    multiply(level, queries, laid.keys(*shape, self.head, *len), target, KernelEpilogue::default());
                }
                Store::Half(_, laid) => {
                    multiply(level, queries, laid.keys(*shape, self.head, *len), target, KernelEpilogue::default());
                }
                Store::Tensors { .. } => unreachable!("pieces are of caches in panels"),
            }
        }
        for (at, row) in scores.chunks_exact_mut(*len).enumerate() {
            let (seen, hidden) = row.split_at_mut(if self.causal { self.seen + at } else { *len });
            softmax(level, seen);
            hidden.fill(0.0);
        }
    }
}

// === impl Shape ===

impl Shape {
    /// Numbers that a head's keys take.
    fn keys_stride(&self) -> usize {
        panels(self.capacity) * self.size * PANEL
    }

    /// Numbers that a head's values take.
    fn values_stride(&self) -> usize {
        panels(self.size) * self.capacity * PANEL
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn numbers(rows: usize, width: usize, seed: f32) -> Result<Tensor> {
        let data = (0..rows * width).map(|i| (i as f32 * 0.37 + seed).sin() * 2.0).collect::<Vec<_>>();
        Tensor::from_vec(data, (rows, width), &Device::Cpu)
    }

    /// Two sequences of different lengths, filled in two goes, one rewound in between.
    fn answers(context: &ComputeContext, dtype: KvCacheDtype, causal: bool) -> Result<(Tensor, Tensor)> {
        let (heads, size) = (3, 40);
        let mut long = KvCache::new(heads, size, 130, dtype, context)?;
        let mut short = KvCache::new(heads, size, 130, dtype, context)?;
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
    fn a_full_cache_and_an_empty_one_are_errors() -> Result<()> {
        let context = ComputeContext::new(&Device::Cpu, DType::F32);
        let mut cache = KvCache::new(1, 4, 2, KvCacheDtype::Full, &context)?;
        let queries = numbers(1, 4, 0.0)?;
        assert!(attend(&queries, &[SequenceQueries { cache: &cache, queries: 1, causal: false }]).is_err());
        assert!(cache.extend(&numbers(3, 4, 0.0)?, &numbers(3, 4, 0.0)?).is_err());
        Ok(())
    }
}
