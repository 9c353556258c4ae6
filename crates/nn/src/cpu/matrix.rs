//! Matrices as the kernels see them: row by row, or in panels of columns.
//!
//! A matrix `B [depth, columns]` is cut into panels of [`PANEL`] columns; within a panel the rows follow each other. A
//! product of few rows then reads the matrix once, from front to back, at the speed of the memory; one of many rows
//! keeps its sums in registers. Weights, and the keys and values of attention, are all laid out so.

use candle_core::{CpuStorage, Result, Storage, Tensor};

/// Columns in a panel: two of the widest vectors.
pub const PANEL: usize = 32;

/// Some rows of numbers, `stride` apart.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    pub data: &'a [f32],
    pub stride: usize,
    pub count: usize,
}

/// Rows that are made of frames: of `taps` frames of `depth` numbers each, which begin `apart` from each other. Rows begin
/// `stride` apart, and may overlap.
#[derive(Clone, Copy)]
pub struct TapRows<'a, T> {
    pub data: &'a [T],
    pub stride: usize,
    pub count: usize,
    pub depth: usize,
    pub taps: usize,
    pub apart: usize,
}

/// A matrix `[depth, columns]` in panels that begin `stride` elements after each other.
#[derive(Clone, Copy)]
pub struct Panels<'a, E> {
    pub data: &'a [E],
    pub stride: usize,
    pub depth: usize,
    pub columns: usize,
}

/// Where a product goes: rows of `columns` numbers, `stride` apart. Several threads may write different parts.
#[derive(Clone, Copy)]
pub struct Target {
    pub(super) data: *mut f32,
    pub(super) len: usize,
    pub(super) stride: usize,
}

// SAFETY: a `Target` is only an address; who writes there, in `multiply`, answers for it.
unsafe impl Send for Target {}
// SAFETY: as above.
unsafe impl Sync for Target {}

/// Panels needed for so many columns.
pub const fn panels(columns: usize) -> usize {
    columns.div_ceil(PANEL)
}

/// Numbers that `write` writes, in rows of `width`: nobody fills them with zeros before.
///
/// # Safety
/// `write` writes every one of them.
pub(super) unsafe fn written(rows: usize, width: usize, write: impl FnOnce(Target)) -> Vec<f32> {
    let len = rows * width;
    let mut out = Vec::with_capacity(len);
    write(Target { data: out.as_mut_ptr(), len, stride: width });
    // SAFETY: there is room for them, and the caller says that they were written.
    unsafe { out.set_len(len) };
    out
}

/// Looks at the rows of an `f32` matrix on the CPU. Only a matrix whose rows are scattered is copied.
pub fn with_rows<R>(matrix: &Tensor, look: impl FnOnce(Rows<'_>) -> R) -> Result<R> {
    let (count, width) = matrix.dims2()?;
    let in_order = matrix.stride()[1] == 1 && matrix.stride()[0] >= width;
    let matrix = if in_order { matrix.clone() } else { matrix.contiguous()? };
    let (storage, layout) = matrix.storage_and_layout();
    let Storage::Cpu(CpuStorage::F32(data)) = &*storage else {
        candle_core::bail!("f32 on the CPU was expected, not {:?} on {:?}", matrix.dtype(), matrix.device())
    };
    Ok(look(Rows { data: &data[layout.start_offset()..], stride: layout.stride()[0], count }))
}

// === impl Panels ===

impl<'a, E> Panels<'a, E> {
    /// `count` panels from `first` on, fewer at the end.
    pub fn part(&self, first: usize, count: usize) -> Self {
        let columns = (self.columns - first * PANEL).min(count * PANEL);
        Self { data: &self.data[first * self.stride..], columns, ..*self }
    }

    /// The same sizes, over nothing.
    pub(super) fn shape<T>(&self) -> Panels<'static, T> {
        Panels { data: &[], stride: self.stride, depth: self.depth, columns: self.columns }
    }
}

// === impl TapRows ===

impl<'a> TapRows<'a, f32> {
    /// Each row is one frame.
    pub fn single(rows: Rows<'a>, depth: usize) -> Self {
        Self { data: rows.data, stride: rows.stride, count: rows.count, depth, taps: 1, apart: 0 }
    }
}

impl<T> TapRows<'_, T> {
    /// `count` rows from `first` on.
    pub fn part(&self, first: usize, count: usize) -> Self {
        Self { data: &self.data[(first * self.stride).min(self.data.len())..], count, ..*self }
    }

    /// That there are so many of numbers of a column as a column has, and all that the rows are made of.
    pub fn check(&self, depth: usize) {
        assert!(self.taps * self.depth == depth, "{} frames of {} are not {depth} numbers", self.taps, self.depth);
        let reach = self.taps.saturating_sub(1) * self.apart + self.depth;
        let last = self.count.saturating_sub(1) * self.stride;
        assert!(self.count == 0 || last + reach <= self.data.len(), "the left matrix is too small");
    }
}

// === impl Rows ===

impl<'a> Rows<'a> {
    /// Rows that follow each other.
    pub fn new(data: &'a [f32], width: usize) -> Self {
        Self { data, stride: width, count: data.len() / width.max(1) }
    }

    pub fn row(&self, row: usize, width: usize) -> &'a [f32] {
        &self.data[row * self.stride..][..width]
    }

    /// `count` rows from `first` on.
    pub fn part(&self, first: usize, count: usize) -> Self {
        let count = count.min(self.count - first);
        let data = if count == 0 { &[] } else { &self.data[first * self.stride..] };
        Self { data, count, ..*self }
    }

    /// The same rows without their first `columns` numbers.
    pub fn skip_columns(&self, columns: usize) -> Self {
        Self { data: &self.data[columns.min(self.data.len())..], ..*self }
    }
}

// === impl Target ===

impl Target {
    /// Rows that follow each other.
    pub fn new(data: &mut [f32], stride: usize) -> Self {
        Self { data: data.as_mut_ptr(), len: data.len(), stride }
    }

    /// From this row and column on.
    pub fn at(&self, row: usize, column: usize) -> Self {
        let skip = row * self.stride + column;
        assert!(skip <= self.len, "the target is too small");
        // SAFETY: within the target.
        Self { data: unsafe { self.data.add(skip) }, len: self.len - skip, ..*self }
    }
}
