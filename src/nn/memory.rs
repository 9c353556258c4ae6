//! Keys and values of a sequence, and attention over them.

use candle_core::{D, DType, Result, Tensor};
use half::f16;
use rayon::prelude::*;

use super::{
    Place,
    math::{convert, softmax},
    panels::{Finish, PANEL, Panels, Rows, Target, multiply, panels},
    simd::{Element, Level},
    with_rows,
};

/// Queries that one task takes: their scores over 1500 positions stay in the second-level cache.
const BLOCK_QUERIES: usize = 48;

/// Numbers below which a copy stays on one thread.
const SMALL: usize = 1 << 15;

/// The keys and values of one sequence in one layer, in memory that is taken once.
///
/// Keys are scaled by `1/√size` when they come in.
#[derive(Debug)]
pub struct Memory {
    store: Store,
    shape: Shape,
    len: usize,
}

/// Queries of one sequence, among those of others.
#[derive(Clone, Copy, Debug)]
pub struct Turn<'a> {
    pub memory: &'a Memory,
    /// How many of the rows, in order.
    pub queries: usize,
    /// The queries belong to the last positions of the memory, and each sees only what is not after it.
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
    Whole(Level, Laid<f32>),
    Half(Level, Laid<f16>),
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
pub enum Keep {
    /// As they are.
    Whole,
    /// In half precision, which halves what each query has to read.
    Half,
}

/// Some queries of one turn and one head, and where their answer goes.
struct Piece<'a> {
    memory: &'a Memory,
    head: usize,
    /// First of them, among all rows.
    row: usize,
    count: usize,
    /// Positions that the first of them sees.
    seen: usize,
    causal: bool,
}

/// Softmax attention of every query `[rows, heads * size]` over its own turn's memory. `[rows, heads * size]`
pub fn attend(queries: &Tensor, turns: &[Turn<'_>]) -> Result<Tensor> {
    let Some(Turn { memory, .. }) = turns.first() else { candle_core::bail!("attention needs a memory") };
    match &memory.store {
        Store::Whole(level, _) | Store::Half(level, _) => attend_panels(*level, queries, turns),
        Store::Tensors { .. } => attend_tensors(queries, turns),
    }
}

fn attend_tensors(queries: &Tensor, turns: &[Turn<'_>]) -> Result<Tensor> {
    let mut row = 0;
    let mut parts = Vec::with_capacity(turns.len());
    for turn in turns {
        let Store::Tensors { values, .. } = &turn.memory.store else { candle_core::bail!("mixed memories") };
        let weights = turn.weights(&queries.narrow(0, row, turn.queries)?)?.to_dtype(queries.dtype())?;
        let mixed = weights.matmul(&values.narrow(1, 0, turn.memory.len)?)?;
        parts.push(mixed.transpose(0, 1)?.flatten_from(1)?);
        row += turn.queries;
    }
    Tensor::cat(&parts, 0)
}

fn attend_panels(level: Level, queries: &Tensor, turns: &[Turn<'_>]) -> Result<Tensor> {
    let (rows, width) = queries.dims2()?;
    let pieces = pieces(turns, rows)?;
    let mut out = vec![0.0; rows * width];
    let target = Target::new(&mut out, width);
    with_rows(queries, |queries| {
        pieces.par_iter().for_each_init(Vec::new, |scores, piece| piece.attend(level, queries, target, scores));
    })?;
    Tensor::from_vec(out, (rows, width), queries.device())
}

/// Cuts the turns into pieces for the threads.
fn pieces<'a>(turns: &[Turn<'a>], rows: usize) -> Result<Vec<Piece<'a>>> {
    let mut pieces = Vec::new();
    let mut row = 0;
    for &Turn { memory, queries, causal } in turns {
        if memory.len == 0 || (causal && queries > memory.len) {
            candle_core::bail!("{queries} queries over a memory of {} positions", memory.len);
        }
        for head in 0..memory.shape.heads {
            for first in (0..queries).step_by(BLOCK_QUERIES) {
                let count = BLOCK_QUERIES.min(queries - first);
                let seen = if causal { memory.len - queries + first + 1 } else { memory.len };
                pieces.push(Piece { memory, head, row: row + first, count, seen, causal });
            }
        }
        row += queries;
    }
    if row != rows {
        candle_core::bail!("{rows} queries were given for turns of {row}");
    }
    Ok(pieces)
}

// === impl Memory ===

impl Memory {
    /// For up to `capacity` positions.
    pub fn new(heads: usize, size: usize, capacity: usize, keep: Keep, place: &Place) -> Result<Self> {
        let shape = Shape { heads, size, capacity };
        let store = match (place.kernels, keep) {
            (Some(level), Keep::Whole) => Store::Whole(level, Laid::new(shape)),
            (Some(level), Keep::Half) => Store::Half(level, Laid::new(shape)),
            (None, _) => {
                let zeros = || Tensor::zeros((heads, capacity, size), place.activations(), &place.device);
                Store::Tensors { keys: zeros()?, values: zeros()? }
            }
        };
        Ok(Self { store, shape, len: 0 })
    }

    /// Bytes that [`Self::new`] takes.
    pub fn bytes(heads: usize, size: usize, capacity: usize, keep: Keep, place: &Place) -> usize {
        let shape = Shape { heads, size, capacity };
        let laid = heads * (shape.keys_stride() + shape.values_stride());
        match (place.kernels, keep) {
            (Some(_), Keep::Whole) => laid * size_of::<f32>(),
            (Some(_), Keep::Half) => laid * size_of::<f16>(),
            (None, _) => 2 * heads * capacity * size * place.activations().size_in_bytes(),
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
            Store::Whole(level, laid) => laid.write(*level, self.shape, self.len, keys, values)?,
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

    fn write(&mut self, level: Level, shape: Shape, at: usize, keys: &Tensor, values: &Tensor) -> Result<()> {
        with_rows(keys, |keys| self.write_keys(level, shape, at, keys))?;
        with_rows(values, |values| self.write_values(level, shape, at, values))
    }

    fn write_keys(&mut self, level: Level, Shape { heads, size, capacity }: Shape, at: usize, keys: Rows<'_>) {
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

    fn write_values(&mut self, level: Level, Shape { heads, size, capacity }: Shape, at: usize, values: Rows<'_>) {
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

// === impl Turn ===

impl Turn<'_> {
    /// What attention weighs by: `[rows, heads * size]` → `[heads, rows, positions]` in `f32`.
    pub fn weights(&self, queries: &Tensor) -> Result<Tensor> {
        match &self.memory.store {
            Store::Tensors { keys, .. } => self.weights_by_tensors(queries, keys),
            Store::Whole(level, _) | Store::Half(level, _) => self.weights_by_panels(queries, *level),
        }
    }

    fn weights_by_tensors(&self, queries: &Tensor, keys: &Tensor) -> Result<Tensor> {
        let Shape { heads, size, .. } = self.memory.shape;
        let len = self.memory.len;
        let queries = queries.reshape((self.queries, heads, size))?.transpose(0, 1)?.contiguous()?;
        let scores = queries.matmul(&keys.narrow(1, 0, len)?.transpose(1, 2)?)?.to_dtype(DType::F32)?;
        let scores = if self.causal && self.queries > 1 { scores.broadcast_add(&self.mask(&scores)?)? } else { scores };
        candle_nn::ops::softmax(&scores, D::Minus1)
    }

    /// `[rows, positions]`: 0 where a query sees, minus infinity where not.
    fn mask(&self, scores: &Tensor) -> Result<Tensor> {
        let len = self.memory.len;
        let seen = |row: usize| len - self.queries + row + 1;
        let hidden = |row, position| if position < seen(row) { 0.0 } else { f32::NEG_INFINITY };
        let mask = (0..self.queries).flat_map(|row| (0..len).map(move |position| hidden(row, position)));
        Tensor::from_iter(mask, scores.device())?.reshape((self.queries, len))
    }

    fn weights_by_panels(&self, queries: &Tensor, level: Level) -> Result<Tensor> {
        let Shape { heads, .. } = self.memory.shape;
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
        Tensor::from_vec(by_piece.concat(), (heads, rows, self.memory.len), queries.device())
    }
}

// === impl Piece ===

impl Piece<'_> {
    fn attend(&self, level: Level, queries: Rows<'_>, target: Target, scores: &mut Vec<f32>) {
        self.weigh(level, queries, scores);
        let Memory { store, shape, len } = self.memory;
        let target = target.at(self.row, self.head * shape.size);
        let scores = Rows::new(scores, *len);
        // SAFETY: pieces have different rows or, by their heads, different columns.
        unsafe {
            match store {
                Store::Whole(_, laid) => {
                    multiply(level, scores, laid.values(*shape, self.head, *len), target, Finish::default());
                }
                Store::Half(_, laid) => {
                    multiply(level, scores, laid.values(*shape, self.head, *len), target, Finish::default());
                }
                Store::Tensors { .. } => unreachable!("pieces are of memories in panels"),
            }
        }
    }

    /// Fills `scores` with weights, `[count, positions]`.
    fn weigh(&self, level: Level, queries: Rows<'_>, scores: &mut Vec<f32>) {
        let Memory { store, shape, len } = self.memory;
        let queries = queries.part(self.row, self.count).skip_columns(self.head * shape.size);
        scores.resize(self.count * len, 0.0);
        let target = Target::new(scores, *len);
        // SAFETY: the scores are this piece's own.
        unsafe {
            match store {
                Store::Whole(_, laid) => {
                    multiply(level, queries, laid.keys(*shape, self.head, *len), target, Finish::default());
                }
                Store::Half(_, laid) => {
                    multiply(level, queries, laid.keys(*shape, self.head, *len), target, Finish::default());
                }
                Store::Tensors { .. } => unreachable!("pieces are of memories in panels"),
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
    fn answers(place: &Place, keep: Keep, causal: bool) -> Result<(Tensor, Tensor)> {
        let (heads, size) = (3, 40);
        let mut long = Memory::new(heads, size, 130, keep, place)?;
        let mut short = Memory::new(heads, size, 130, keep, place)?;
        for (memory, len, seed) in [(&mut long, 129, 0.0), (&mut short, 5, 1.0)] {
            memory.extend(&numbers(len, heads * size, seed)?, &numbers(len, heads * size, seed + 0.5)?)?;
        }
        short.truncate(3);
        short.extend(&numbers(4, heads * size, 3.0)?, &numbers(4, heads * size, 4.0)?)?;
        let turns = [Turn { memory: &long, queries: 70, causal }, Turn { memory: &short, queries: 2, causal }];
        let queries = numbers(72, heads * size, 2.0)?;
        Ok((attend(&queries, &turns)?, turns[0].weights(&queries.narrow(0, 0, 70)?)?))
    }

    #[test]
    fn kernels_agree_with_plain_operations() -> Result<()> {
        let place = Place::new(&Device::Cpu, DType::F32);
        for causal in [false, true] {
            let plain = answers(&Place { kernels: None, ..place.clone() }, Keep::Whole, causal)?;
            for (keep, tolerance) in [(Keep::Whole, 1e-5), (Keep::Half, 3e-3)] {
                for &level in Level::available() {
                    let own = answers(&Place { kernels: Some(level), ..place.clone() }, keep, causal)?;
                    for (own, plain) in [(own.0, &plain.0), (own.1, &plain.1)] {
                        let difference = (own - plain)?.abs()?.max_all()?.to_scalar::<f32>()?;
                        assert!(difference < tolerance, "{level:?}, {keep:?}, causal {causal}: {difference}");
                    }
                }
            }
        }
        Ok(())
    }

    #[test]
    fn a_full_memory_and_an_empty_one_are_errors() -> Result<()> {
        let place = Place::new(&Device::Cpu, DType::F32);
        let mut memory = Memory::new(1, 4, 2, Keep::Whole, &place)?;
        let queries = numbers(1, 4, 0.0)?;
        assert!(attend(&queries, &[Turn { memory: &memory, queries: 1, causal: false }]).is_err());
        assert!(memory.extend(&numbers(3, 4, 0.0)?, &numbers(3, 4, 0.0)?).is_err());
        Ok(())
    }
}
