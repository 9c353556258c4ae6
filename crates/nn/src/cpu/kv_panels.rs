//! Keys and values laid out for the kernels.

use half::f16;
use rayon::prelude::*;

use super::{
    detect::SimdLevel,
    element::Element,
    math::convert,
    matrix::{PANEL, Panels, Rows, panels},
};

/// KvData below which a copy stays on one thread.
const SMALL: usize = 1 << 15;

/// The sizes of a cache: as many heads of keys and values as of queries.
#[derive(Clone, Copy, Debug)]
pub struct CacheShape {
    pub heads: usize,
    /// KvData of a head.
    pub head_dim: usize,
    /// Positions.
    pub capacity: usize,
}

/// The keys and values of one sequence in one layer.
#[derive(Debug)]
pub struct KvPanels {
    pub(super) level: SimdLevel,
    pub(super) shape: CacheShape,
    pub(super) numbers: KvData,
}

#[derive(Debug)]
pub(super) enum KvData {
    Full(Panelled<f32>),
    Half(Panelled<f16>),
}

/// Of each head in turn: the keys in panels of positions, `[head_dim, capacity]`; the values in panels of dimensions,
/// `[capacity, head_dim]`.
#[derive(Debug)]
pub(super) struct Panelled<E> {
    keys: Vec<E>,
    values: Vec<E>,
}

// === impl KvPanels ===

impl KvPanels {
    pub fn full(level: SimdLevel, shape: CacheShape) -> Self {
        Self { level, shape, numbers: KvData::Full(Panelled::new(shape)) }
    }

    /// In half precision.
    pub fn half(level: SimdLevel, shape: CacheShape) -> Self {
        Self { level, shape, numbers: KvData::Half(Panelled::new(shape)) }
    }

    /// Writes keys, scaled by `1/√head_dim`, from a position on: `[positions, heads * head_dim]`.
    pub fn write_keys(&mut self, at: usize, keys: Rows<'_>) {
        match &mut self.numbers {
            KvData::Full(panelled) => panelled.write_keys(self.level, self.shape, at, keys),
            KvData::Half(panelled) => panelled.write_keys(self.level, self.shape, at, keys),
        }
    }

    /// Writes values from a position on: `[positions, heads * head_dim]`.
    pub fn write_values(&mut self, at: usize, values: Rows<'_>) {
        match &mut self.numbers {
            KvData::Full(panelled) => panelled.write_values(self.level, self.shape, at, values),
            KvData::Half(panelled) => panelled.write_values(self.level, self.shape, at, values),
        }
    }

    /// Takes the first `len` positions of another of the same heads and kind. Both have room for them.
    pub fn copy_from(&mut self, other: &Self, len: usize) {
        let shapes = [self.shape, other.shape];
        match (&mut self.numbers, &other.numbers) {
            (KvData::Full(to), KvData::Full(from)) => to.copy_from(from, shapes, len),
            (KvData::Half(to), KvData::Half(from)) => to.copy_from(from, shapes, len),
            (to, from) => unreachable!("{to:?} and {from:?} are of one model"),
        }
    }
}

/// Calls `write` with each head and its part.
fn by_head<E: Send>(to: &mut [E], stride: usize, numbers: usize, write: impl Fn(usize, &mut [E]) + Sync) {
    if numbers < SMALL {
        to.chunks_exact_mut(stride).enumerate().for_each(|(head, to)| write(head, to));
    } else {
        to.par_chunks_exact_mut(stride).enumerate().for_each(|(head, to)| write(head, to));
    }
}

// === impl Panelled ===

impl<E: Element> Panelled<E> {
    pub fn new(shape: CacheShape) -> Self {
        let values = E::zeros(shape.heads * shape.values_stride());
        Self { values, ..Self::without_values(shape) }
    }

    /// Nothing may be written as values then.
    pub fn without_values(shape: CacheShape) -> Self {
        Self { keys: E::zeros(shape.heads * shape.keys_stride()), values: Vec::new() }
    }

    pub fn write_keys(&mut self, level: SimdLevel, shape: CacheShape, at: usize, keys: Rows<'_>) {
        let CacheShape { heads, head_dim, .. } = shape;
        let (scale, stride) = (shape.scale() as f32, shape.keys_stride());
        by_head(&mut self.keys, stride, keys.count * heads * head_dim, |head, to| {
            let mut converted = vec![E::from_f32(0.0); head_dim];
            for row in 0..keys.count {
                convert(level, &keys.row(row, heads * head_dim)[head * head_dim..][..head_dim], scale, &mut converted);
                let column = (at + row) / PANEL * head_dim * PANEL + (at + row) % PANEL;
                for (to, key) in to[column..].iter_mut().step_by(PANEL).zip(&converted) {
                    *to = *key;
                }
            }
        });
    }

    pub fn write_values(&mut self, level: SimdLevel, shape: CacheShape, at: usize, values: Rows<'_>) {
        let CacheShape { heads, head_dim, capacity } = shape;
        let stride = shape.values_stride();
        by_head(&mut self.values, stride, values.count * heads * head_dim, |head, to| {
            for row in 0..values.count {
                let numbers = &values.row(row, heads * head_dim)[head * head_dim..][..head_dim];
                for (panel, part) in numbers.chunks(PANEL).enumerate() {
                    let to = &mut to[(panel * capacity + at + row) * PANEL..][..part.len()];
                    convert(level, part, 1.0, to);
                }
            }
        });
    }

    pub fn copy_from(&mut self, other: &Self, [shape, theirs]: [CacheShape; 2], len: usize) {
        let (panel, stride) = (shape.head_dim * PANEL, shape.keys_stride());
        for (to, from) in self.keys.chunks_exact_mut(stride).zip(other.keys.chunks_exact(theirs.keys_stride())) {
            to[..panels(len) * panel].copy_from_slice(&from[..panels(len) * panel]);
        }
        let strides = [shape, theirs].map(|shape| shape.capacity * PANEL);
        for (to, from) in self.values.chunks_exact_mut(strides[0]).zip(other.values.chunks_exact(strides[1])) {
            to[..len * PANEL].copy_from_slice(&from[..len * PANEL]);
        }
    }

    /// Of the first `len` positions.
    pub fn keys(&self, shape: CacheShape, head: usize, len: usize) -> Panels<'_, E> {
        let data = &self.keys[head * shape.keys_stride()..][..shape.keys_stride()];
        Panels { data, stride: shape.head_dim * PANEL, depth: shape.head_dim, columns: len }
    }

    /// Of the first `len` positions.
    pub fn values(&self, shape: CacheShape, head: usize, len: usize) -> Panels<'_, E> {
        let data = &self.values[head * shape.values_stride()..][..shape.values_stride()];
        Panels { data, stride: shape.capacity * PANEL, depth: len, columns: shape.head_dim }
    }
}

// === impl CacheShape ===

impl CacheShape {
    /// KvData that [`KvPanels`] takes; `None` if nobody can count so far. Below that no product here overflows.
    pub fn numbers(&self) -> Option<usize> {
        let keys = panels(self.capacity).checked_mul(PANEL)?.checked_mul(self.head_dim)?;
        let values = panels(self.head_dim).checked_mul(PANEL)?.checked_mul(self.capacity)?;
        self.heads.checked_mul(keys.checked_add(values)?)
    }

    /// What keys are multiplied by.
    pub fn scale(&self) -> f64 {
        1.0 / (self.head_dim as f64).sqrt()
    }

    /// KvData that a head's keys take.
    fn keys_stride(&self) -> usize {
        panels(self.capacity) * self.head_dim * PANEL
    }

    /// KvData that a head's values take.
    fn values_stride(&self) -> usize {
        panels(self.head_dim) * self.capacity * PANEL
    }
}
