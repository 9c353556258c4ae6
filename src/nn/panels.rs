//! Matrices laid out for multiplication, and the multiplication.
//!
//! A matrix `B [depth, columns]` is cut into panels of [`PANEL`] columns; within a panel the rows follow each other. A
//! product of few rows then reads the matrix once, from front to back, at the speed of the memory; one of many rows
//! keeps its sums in registers. Weights, and the keys and values of attention, are all laid out so.

use super::{
    math::gelu,
    simd::{Element, Lanes, SimdLevel, prefetch, vectorised},
};

/// Columns in a panel: two of the widest vectors.
pub const PANEL: usize = 32;

/// From this many rows on, weights of half precision are widened once and not for every few rows.
pub const MANY_ROWS: usize = 24;

/// Up to so many rows a product waits for memory, and asks for it early.
const FEW_ROWS: usize = 8;

/// How early, in bytes. On a busy Intel Xeon 1, 4 and 8 KiB gave 34, 42 and 41 % more than a prefetch of the line at hand,
/// with 8 rows; the last two cannot be told apart.
const AHEAD: usize = 4096;

/// Bytes of widened panels that are worked on together; they should stay in the second-level cache.
pub const GROUP_BYTES: usize = 512 << 10;

/// Some rows of numbers, `stride` apart.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    pub data: &'a [f32],
    pub stride: usize,
    pub count: usize,
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
    data: *mut f32,
    len: usize,
    stride: usize,
}

/// What happens to each sum before it is written.
#[derive(Clone, Copy, Default)]
pub struct KernelEpilogue<'a> {
    /// One number per column.
    pub bias: Option<&'a [f32]>,
    pub gelu: bool,
    /// Added last; rows like those of the target.
    pub add: Option<Rows<'a>>,
}

/// `target = epilogue(a · b)` on this thread; `a` has rows of `b.depth` numbers.
///
/// # Safety
/// The target's memory is alive, and nobody else uses this part of it meanwhile.
pub unsafe fn multiply<E: Element>(
    level: SimdLevel,
    a: Rows<'_>,
    b: Panels<'_, E>,
    target: Target,
    epilogue: KernelEpilogue<'_>,
) {
    multiply_there(level, a, b, target, epilogue);
}

vectorised! {
    fn multiply_there<E: Element>(a: Rows<'_>, b: Panels<'_, E>, target: Target, epilogue: KernelEpilogue<'_>) = multiply_panels
}

// SAFETY: a `Target` is only an address; who writes there, in `multiply`, answers for it.
unsafe impl Send for Target {}
// SAFETY: as above.
unsafe impl Sync for Target {}

/// Panels needed for so many columns.
pub const fn panels(columns: usize) -> usize {
    columns.div_ceil(PANEL)
}

#[inline(always)]
unsafe fn multiply_panels<V: Lanes, E: Element>(
    a: Rows<'_>,
    b: Panels<'_, E>,
    target: Target,
    epilogue: KernelEpilogue<'_>,
) {
    check(&a, &b, &target, &epilogue);
    let group = (GROUP_BYTES / (b.depth * PANEL * size_of::<f32>()).max(1)).max(1);
    let widen = a.count >= MANY_ROWS && size_of::<E>() < size_of::<f32>();
    let mut wide = Vec::new();
    for first in (0..panels(b.columns)).step_by(group) {
        let part = b.part(first, group);
        let columns = first * PANEL;
        // SAFETY: `check` held all sizes against each other.
        unsafe {
            if widen {
                let part = widened::<V, E>(part, &mut wide);
                multiply_group::<V, f32>(a, part, target, epilogue, columns);
            } else {
                multiply_group::<V, E>(a, part, target, epilogue, columns);
            }
        }
    }
}

fn check<E>(a: &Rows<'_>, b: &Panels<'_, E>, target: &Target, epilogue: &KernelEpilogue<'_>) {
    let panels = panels(b.columns);
    assert!(panels == 0 || (panels - 1) * b.stride + b.depth * PANEL <= b.data.len(), "the panels are too small");
    check_sizes(a, (b.depth, b.columns), target, epilogue);
}

/// Holds everything else against a right matrix of `(depth, columns)`.
pub(super) fn check_sizes(
    a: &Rows<'_>,
    (depth, columns): (usize, usize),
    target: &Target,
    epilogue: &KernelEpilogue<'_>,
) {
    let last = a.count.saturating_sub(1);
    assert!(a.count == 0 || last * a.stride + depth <= a.data.len(), "the left matrix is too small");
    assert!(a.count == 0 || last * target.stride + columns <= target.len, "the target is too small");
    assert!(epilogue.bias.is_none_or(|bias| bias.len() >= columns), "the bias is too short");
    assert!(
        epilogue.add.is_none_or(|add| a.count == 0 || last * add.stride + columns <= add.data.len()),
        "the addend is too small"
    );
}

/// The panels in `f32`, in memory that is used again.
#[inline(always)]
unsafe fn widened<'a, V: Lanes, E: Element>(b: Panels<'_, E>, wide: &'a mut Vec<f32>) -> Panels<'a, f32> {
    let stride = b.depth * PANEL;
    wide.resize(stride * panels(b.columns), 0.0);
    for (to, from) in wide.chunks_exact_mut(stride).zip(b.data.chunks(b.stride)) {
        for at in (0..stride).step_by(V::WIDTH) {
            // SAFETY: PANEL is a multiple of every vector's width.
            unsafe { V::store(E::load::<V>(from.as_ptr().add(at)), to.as_mut_ptr().add(at)) }
        }
    }
    Panels { data: wide, stride, ..b.shape() }
}

#[inline(always)]
unsafe fn multiply_group<V: Lanes, E: Element>(
    a: Rows<'_>,
    b: Panels<'_, E>,
    target: Target,
    epilogue: KernelEpilogue<'_>,
    first_column: usize,
) {
    let mut row = 0;
    while row < a.count {
        let left = (a.count - row).min(V::ROWS);
        macro_rules! take {
            ($($rows:literal),*) => {
                $(if $rows <= V::ROWS && left >= $rows {
                    // SAFETY: as the caller's.
                    unsafe { multiply_rows::<V, E, $rows>(a, row, b, target, epilogue, first_column) }
                    row += $rows;
                    continue;
                })*
            };
        }
        take!(12, 8, 6, 4, 3, 2, 1);
    }
}

/// `N` rows through every panel of `b`.
#[inline(always)]
unsafe fn multiply_rows<V: Lanes, E: Element, const N: usize>(
    a: Rows<'_>,
    row: usize,
    b: Panels<'_, E>,
    target: Target,
    epilogue: KernelEpilogue<'_>,
    first_column: usize,
) {
    let mut sums = [[0.0; PANEL]; N];
    for panel in 0..panels(b.columns) {
        // SAFETY: as the caller's.
        unsafe {
            let from = b.data.as_ptr().add(panel * b.stride);
            tile::<V, E, N>(a.data.as_ptr().add(row * a.stride), a.stride, from, b.depth, &mut sums);
            let column = first_column + panel * PANEL;
            complete_rows::<V>(&sums, row, column, first_column + b.columns, target, epilogue);
        }
    }
}

/// The inner loop: `N` rows times one panel.
#[inline(always)]
unsafe fn tile<V: Lanes, E: Element, const N: usize>(
    a: *const f32,
    stride: usize,
    b: *const E,
    depth: usize,
    out: &mut [[f32; PANEL]; N],
) {
    for column in (0..PANEL).step_by(2 * V::WIDTH) {
        // SAFETY: as the caller's.
        unsafe {
            let mut sums = [[V::splat(0.0); 2]; N];
            for k in 0..depth {
                if N <= FEW_ROWS {
                    prefetch(b.add(k * PANEL + column).cast::<u8>().wrapping_add(AHEAD));
                }
                let left = E::load::<V>(b.add(k * PANEL + column));
                let right = E::load::<V>(b.add(k * PANEL + column + V::WIDTH));
                for (row, sums) in sums.iter_mut().enumerate() {
                    let x = V::splat(*a.add(row * stride + k));
                    sums[0] = V::fma(x, left, sums[0]);
                    sums[1] = V::fma(x, right, sums[1]);
                }
            }
            for (out, sums) in out.iter_mut().zip(sums) {
                V::store(sums[0], out.as_mut_ptr().add(column));
                V::store(sums[1], out.as_mut_ptr().add(column + V::WIDTH));
            }
        }
    }
}

/// Finishes sums of one panel, from this row and column on, where the whole product has so many columns.
///
/// # Safety
/// As [`multiply`], and [`Lanes`].
#[inline(always)]
pub unsafe fn complete_rows<V: Lanes>(
    sums: &[[f32; PANEL]],
    row: usize,
    column: usize,
    columns: usize,
    target: Target,
    epilogue: KernelEpilogue<'_>,
) {
    let width = (columns - column).min(PANEL);
    for (at, sums) in sums.iter().enumerate() {
        // SAFETY: as the caller's.
        unsafe { complete::<V>(sums, row + at, column, width, target, epilogue) }
    }
}

/// Bias, activation and addend, then out.
#[inline(always)]
unsafe fn complete<V: Lanes>(
    sums: &[f32; PANEL],
    row: usize,
    column: usize,
    width: usize,
    target: Target,
    epilogue: KernelEpilogue<'_>,
) {
    let bias = epilogue.bias.map(|bias| bias[column..].as_ptr());
    let add = epilogue.add.map(|add| add.data[row * add.stride + column..].as_ptr());
    // SAFETY: `check` held all sizes against each other.
    unsafe {
        let to = target.data.add(row * target.stride + column);
        if width == PANEL {
            complete_whole::<V>(sums, bias, epilogue.gelu, add, to);
        } else {
            let mut out = [0.0; PANEL];
            let (bias, add) = (padded(bias, width), padded(add, width));
            complete_whole::<V>(sums, Some(bias.as_ptr()), epilogue.gelu, Some(add.as_ptr()), out.as_mut_ptr());
            to.copy_from_nonoverlapping(out.as_ptr(), width);
        }
    }
}

#[inline(always)]
unsafe fn complete_whole<V: Lanes>(
    sums: &[f32; PANEL],
    bias: Option<*const f32>,
    activate: bool,
    add: Option<*const f32>,
    to: *mut f32,
) {
    for at in (0..PANEL).step_by(V::WIDTH) {
        // SAFETY: everything is PANEL long, a multiple of every vector's width.
        unsafe {
            let mut x = V::load(sums.as_ptr().add(at));
            if let Some(bias) = bias {
                x = V::add(x, V::load(bias.add(at)));
            }
            if activate {
                x = gelu(x);
            }
            if let Some(add) = add {
                x = V::add(x, V::load(add.add(at)));
            }
            V::store(x, to.add(at));
        }
    }
}

unsafe fn padded(from: Option<*const f32>, width: usize) -> [f32; PANEL] {
    let mut out = [0.0; PANEL];
    if let Some(from) = from {
        // SAFETY: as the caller's.
        unsafe { out.as_mut_ptr().copy_from_nonoverlapping(from, width) };
    }
    out
}

// === impl Panels ===

impl<'a, E> Panels<'a, E> {
    /// `count` panels from `first` on, fewer at the end.
    pub fn part(&self, first: usize, count: usize) -> Self {
        let columns = (self.columns - first * PANEL).min(count * PANEL);
        Self { data: &self.data[first * self.stride..], columns, ..*self }
    }

    /// The same sizes, over nothing.
    fn shape<T>(&self) -> Panels<'static, T> {
        Panels { data: &[], stride: self.stride, depth: self.depth, columns: self.columns }
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

// === impl KernelEpilogue ===

impl<'a> KernelEpilogue<'a> {
    /// For `count` rows from `row` on, from this column on.
    pub fn part(&self, row: usize, count: usize, column: usize) -> KernelEpilogue<'a> {
        let bias = self.bias.map(|bias| &bias[column..]);
        let add = self.add.map(|add| add.part(row, count).skip_columns(column));
        KernelEpilogue { bias, add, ..*self }
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

#[cfg(test)]
mod tests {
    use half::{bf16, f16};

    use super::*;

    fn numbers(count: usize, seed: u32) -> Vec<f32> {
        let mut state = seed.wrapping_mul(2_654_435_761).max(1);
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            // Few bits, so that every type holds the number exactly.
            (state % 61) as f32 / 16.0 - 2.0
        };
        (0..count).map(|_| next()).collect()
    }

    fn agrees<E: Element>(rows: usize, depth: usize, columns: usize) {
        let (a, b) = (numbers(rows * depth, 1), numbers(columns * depth, 2));
        let (bias, add) = (numbers(columns, 3), numbers(rows * columns, 4));
        let mut data = vec![E::from_f32(0.0); panels(columns) * depth * PANEL];
        for (at, value) in b.iter().enumerate() {
            let (column, k) = (at / depth, at % depth);
            data[column / PANEL * depth * PANEL + k * PANEL + column % PANEL] = E::from_f32(*value);
        }
        for &level in SimdLevel::available() {
            let mut out = vec![f32::NAN; rows * columns];
            let epilogue = KernelEpilogue { bias: Some(&bias), gelu: false, add: Some(Rows::new(&add, columns)) };
            let panels = Panels { data: &data, stride: depth * PANEL, depth, columns };
            // SAFETY: `panels` describes `data`, and the target has a place for every sum.
            unsafe { multiply(level, Rows::new(&a, depth), panels, Target::new(&mut out, columns), epilogue) };
            for (at, found) in out.iter().enumerate() {
                let (row, column) = (at / columns, at % columns);
                let pairs = a[row * depth..][..depth].iter().zip(&b[column * depth..][..depth]);
                let exact = pairs.map(|(a, b)| a * b).sum::<f32>() + bias[column] + add[at];
                assert!((found - exact).abs() < 1e-3, "{level:?} {rows}x{depth}x{columns}: {found}, not {exact}");
            }
        }
    }

    #[test]
    fn a_product_is_right_for_every_type_and_size() {
        for (rows, depth, columns) in [(1, 1, 1), (1, 24, 167), (2, 7, 32), (5, 33, 70), (12, 64, 64), (37, 50, 95)] {
            agrees::<f32>(rows, depth, columns);
            agrees::<f16>(rows, depth, columns);
            agrees::<bf16>(rows, depth, columns);
        }
    }
}
