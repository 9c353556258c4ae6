//! Weights as files hold them, and products with them.
//!
//! The columns of `W ᵀ [depth, columns]` are the rows of the file: each lies in one piece, one after the other. A product
//! of few rows goes along each column, and reads the weights once, from front to back, where they lie; for one of many
//! rows they are laid out in panels, some at a time, which costs little beside the product itself.

use std::{any::TypeId, marker::PhantomData, ops::Range};

use bytes::Bytes;
use half::bf16;

use super::{
    detect::SimdLevel,
    element::Element,
    epilogue::{KernelEpilogue, check_sizes, complete_rows},
    matrix::{PANEL, Panels, Rows, Target},
    panels::{GROUP_BYTES, multiply},
    simd::{Lanes, prefetch, vectorised},
};

/// Bytes in a line of the cache.
const LINE: usize = 64;

/// Numbers along the depth that are added up in one go: those of eight rows stay in the first-level cache, beside the
/// columns that pass through it. As many for fewer rows, so that the sums of a row are the same to the last bit whatever
/// rows it is among.
const BLOCK: usize = 1024;

/// Numbers of the longest vector, squared.
const SQUARE: usize = 16 * 16;

/// A matrix `[depth, columns]` whose columns lie one after the other in some parts of memory, from any address on.
#[derive(Clone, Copy)]
pub struct Columns<'a, E> {
    parts: &'a [Bytes],
    depth: usize,
    columns: usize,
    element: PhantomData<E>,
}

/// Rows that each begin with a line of the cache: to load a vector that lies across two takes twice as long.
pub struct Aligned {
    lines: Vec<Line>,
    stride: usize,
    count: usize,
}

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; LINE / size_of::<f32>()]);

/// `target = epilogue(a · b)` for some panels of columns, on this thread; `a` has few rows, of `b.depth` numbers.
///
/// # Safety
/// The target's memory is alive, and nobody else uses this part of it meanwhile.
pub unsafe fn multiply_few<E: Element>(
    level: SimdLevel,
    a: Rows<'_>,
    b: Columns<'_, E>,
    panels: Range<usize>,
    target: Target,
    epilogue: KernelEpilogue<'_>,
) {
    multiply_few_there(level, a, b, panels, target, epilogue);
}

vectorised! {
    fn multiply_few_there<E: Element>(
        a: Rows<'_>, b: Columns<'_, E>, panels: Range<usize>, target: Target, epilogue: KernelEpilogue<'_>,
    ) = multiply_few_panels
}

/// The same for many rows. `memory` is to work in.
///
/// # Safety
/// As [`multiply_few`].
pub unsafe fn multiply_many<E: Element>(
    level: SimdLevel,
    a: Rows<'_>,
    b: Columns<'_, E>,
    panels: Range<usize>,
    target: Target,
    epilogue: KernelEpilogue<'_>,
    memory: &mut Vec<f32>,
) {
    let stride = b.depth * PANEL;
    let group = (GROUP_BYTES / (stride * size_of::<f32>()).max(1)).max(1);
    for first in panels.clone().step_by(group) {
        let laid_out = first..panels.end.min(first + group);
        memory.resize(stride * laid_out.len(), 0.0);
        for (panel, to) in laid_out.clone().zip(memory.chunks_exact_mut(stride)) {
            lay_out(level, b, panel, 0, to);
        }
        let column = first * PANEL;
        let columns = (laid_out.len() * PANEL).min(b.columns - column);
        let laid = Panels { data: memory, stride, depth: b.depth, columns };
        // SAFETY: as the caller's.
        unsafe { multiply(level, a, laid, target.at(0, column), epilogue.part(0, a.count, column)) };
    }
}

vectorised! {
    /// Numbers of each column of a panel, from `first` on, in `f32`: `[numbers, PANEL]`. Columns that are not there are
    /// filled with anything.
    pub fn lay_out<E: Element>(b: Columns<'_, E>, panel: usize, first: usize, to: &mut [f32]) = lay_out_there
}

#[inline(always)]
pub(super) unsafe fn lay_out_there<V: Lanes, E: Element>(
    b: Columns<'_, E>,
    panel: usize,
    first: usize,
    to: &mut [f32],
) {
    let count = to.len() / PANEL;
    assert!(first + count <= b.depth, "a column has {} numbers", b.depth);
    let columns = b.panel(panel);
    let whole = count - count % V::WIDTH;
    let mut square = [0.0; SQUARE];
    // SAFETY: there are so many numbers in each column, and places in `to`.
    unsafe {
        for k in (0..whole).step_by(V::WIDTH) {
            for left in (0..PANEL).step_by(V::WIDTH) {
                for at in 0..V::WIDTH {
                    let numbers = E::load::<V>(columns[left + at].add(first + k));
                    V::store(numbers, square.as_mut_ptr().add(at * V::WIDTH));
                }
                V::transpose(square.as_ptr(), to.as_mut_ptr().add(k * PANEL + left), PANEL);
            }
        }
        for k in whole..count {
            for (column, to) in columns.iter().zip(&mut to[k * PANEL..]) {
                *to = column.add(first + k).read_unaligned().to_f32();
            }
        }
    }
}

#[inline(always)]
unsafe fn multiply_few_panels<V: Lanes, E: Element>(
    a: Rows<'_>,
    b: Columns<'_, E>,
    panels: Range<usize>,
    target: Target,
    epilogue: KernelEpilogue<'_>,
) {
    check_sizes(&a, (b.depth, b.columns), &target, &epilogue);
    for panel in panels {
        let columns = b.panel(panel);
        let mut row = 0;
        while row < a.count {
            let left = a.count - row;
            macro_rules! take {
                ($($rows:literal by $columns:literal),*) => {
                    $(if left >= $rows {
                        // SAFETY: as the caller's.
                        unsafe {
                            let sums = dots::<V, E, $rows, $columns>(a.data.as_ptr().add(row * a.stride), a.stride, &columns, b.depth);
                            complete_rows::<V>(&sums, row, panel * PANEL, b.columns, target, epilogue);
                        }
                        row += $rows;
                        continue;
                    })*
                };
            }
            // As many sums as fit into the registers, beside what they are made of.
            match V::ROWS {
                12.. => {
                    take!(8 by 2, 6 by 4, 4 by 4, 3 by 4, 2 by 8, 1 by 8);
                }
                6.. => {
                    take!(4 by 2, 3 by 4, 2 by 4, 1 by 8);
                }
                _ => {
                    take!(2 by 2, 1 by 4);
                }
            }
        }
    }
}

/// `N` rows times the columns of one panel, `C` at a time.
#[inline(always)]
unsafe fn dots<V: Lanes, E: Element, const N: usize, const C: usize>(
    a: *const f32,
    stride: usize,
    columns: &[*const E; PANEL],
    depth: usize,
) -> [[f32; PANEL]; N] {
    let mut out = [[0.0; PANEL]; N];
    for first in (0..depth).step_by(BLOCK) {
        let part = (first, (first + BLOCK).min(depth));
        for (group, columns) in columns.as_chunks::<C>().0.iter().enumerate() {
            // SAFETY: as the caller's.
            let sums = unsafe { dot::<V, E, N, C>(a, stride, columns, depth, part) };
            for (out, sums) in out.iter_mut().zip(sums) {
                for (out, sum) in out[group * C..].iter_mut().zip(sums) {
                    *out += sum;
                }
            }
        }
    }
    out
}

/// The inner loop: `N` rows times `C` columns from one number to another, `N * C` a multiple of four.
#[inline(always)]
unsafe fn dot<V: Lanes, E: Element, const N: usize, const C: usize>(
    a: *const f32,
    stride: usize,
    columns: &[*const E; C],
    depth: usize,
    (first, end): (usize, usize),
) -> [[f32; C]; N] {
    // SAFETY: every row and every column has `depth` numbers.
    unsafe {
        let line = (LINE / size_of::<E>()).max(V::WIDTH);
        let mut sums = [[V::splat(0.0); C]; N];
        let mut k = first;
        while k + line <= end {
            for column in columns {
                prefetch(column.wrapping_add(C * depth + k).cast());
            }
            for at in (k..k + line).step_by(V::WIDTH) {
                step::<V, E, N, C>(a, stride, columns, at, &mut sums);
            }
            k += line;
        }
        while k + V::WIDTH <= end {
            step::<V, E, N, C>(a, stride, columns, k, &mut sums);
            k += V::WIDTH;
        }
        let mut out = [[0.0; C]; N];
        let fours = sums.as_flattened().as_chunks().0;
        for (out, sums) in out.as_flattened_mut().as_chunks_mut().0.iter_mut().zip(fours) {
            *out = V::sums(sums);
        }
        for k in k..end {
            for (row, out) in out.iter_mut().enumerate() {
                for (out, column) in out.iter_mut().zip(columns) {
                    *out += *a.add(row * stride + k) * column.add(k).read_unaligned().to_f32();
                }
            }
        }
        out
    }
}

#[inline(always)]
unsafe fn step<V: Lanes, E: Element, const N: usize, const C: usize>(
    a: *const f32,
    stride: usize,
    columns: &[*const E; C],
    k: usize,
    sums: &mut [[V; C]; N],
) {
    // SAFETY: as the caller's.
    unsafe {
        let mut rows = [V::splat(0.0); N];
        for (at, row) in rows.iter_mut().enumerate() {
            *row = V::load(a.add(at * stride + k));
        }
        for (at, column) in columns.iter().enumerate() {
            let weights = E::load::<V>(column.add(k));
            for (row, sums) in rows.iter().zip(&mut *sums) {
                sums[at] = V::fma(*row, weights, sums[at]);
            }
        }
    }
}

// === impl Aligned ===

impl Aligned {
    /// A copy of rows of `depth` numbers.
    pub fn new(rows: Rows<'_>, depth: usize) -> Self {
        const LEN: usize = LINE / size_of::<f32>();
        let per_row = depth.div_ceil(LEN);
        let mut lines = vec![Line([0.0; LEN]); rows.count * per_row];
        for (row, lines) in lines.chunks_exact_mut(per_row.max(1)).enumerate() {
            for (line, numbers) in lines.iter_mut().zip(rows.row(row, depth).chunks(LEN)) {
                line.0[..numbers.len()].copy_from_slice(numbers);
            }
        }
        Self { lines, stride: per_row * LEN, count: rows.count }
    }

    pub fn rows(&self) -> Rows<'_> {
        // SAFETY: lines are nothing but numbers, one after the other.
        let data = unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.count * self.stride) };
        Rows { data, stride: self.stride, count: self.count }
    }
}

// === impl Columns ===

impl<'a, E: Element> Columns<'a, E> {
    pub fn new(parts: &'a [Bytes], depth: usize) -> Self {
        let columns = parts.iter().map(|part| part.len() / (depth * size_of::<E>())).sum();
        Self { parts, depth, columns, element: PhantomData }
    }

    pub fn columns(&self) -> usize {
        self.columns
    }

    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Whether a product of many rows with these rounds the other matrix to `bf16`.
    pub fn round_the_other(&self, level: SimdLevel) -> bool {
        level.rounds_to_bf16() && self.are_bf16() && (level.has_tiles() || self.depth.is_multiple_of(2))
    }

    fn are_bf16(&self) -> bool {
        TypeId::of::<E>() == TypeId::of::<bf16>()
    }

    /// Pairs of numbers that follow each other in a column, seen as numbers of `f32`: `[depth / 2, columns]`. `None`: these are
    /// not `bf16`, or they do not come in pairs.
    #[cfg(target_arch = "x86_64")]
    pub fn in_pairs(&self) -> Option<Columns<'a, f32>> {
        let &Self { parts, depth, columns, .. } = self;
        let are = self.are_bf16() && depth.is_multiple_of(2);
        are.then_some(Columns { parts, depth: depth / 2, columns, element: PhantomData })
    }

    /// The numbers of a column.
    pub fn column(&self, at: usize) -> impl Iterator<Item = f32> {
        let (first, _) = self.locate(at);
        // SAFETY: a column has `depth` numbers, and each pattern of bits is one.
        (0..self.depth).map(move |k| unsafe { first.add(k).read_unaligned() }.to_f32())
    }

    /// Where the columns of a panel begin; where there are fewer, the last stands for those that are not there.
    fn panel(&self, panel: usize) -> [*const E; PANEL] {
        let at = panel * PANEL;
        let (first, after) = self.locate(at);
        if after >= PANEL {
            return std::array::from_fn(|at| first.wrapping_add(at * self.depth));
        }
        std::array::from_fn(|next| self.locate((at + next).min(self.columns - 1)).0)
    }

    /// Where a column begins, and how many there are from it on in the same part.
    fn locate(&self, mut at: usize) -> (*const E, usize) {
        let size = self.depth * size_of::<E>();
        for part in self.parts {
            let count = part.len() / size;
            if at < count {
                return (part[at * size..].as_ptr().cast(), count - at);
            }
            at -= count;
        }
        panic!("a matrix of {} columns was asked for another", self.columns)
    }
}

#[cfg(test)]
mod tests {
    use half::{bf16, f16};

    use super::*;
    use crate::cpu::{matrix::panels, panels::MANY_ROWS};

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

    /// The bytes of some columns, from an odd address on.
    fn part<E: Element>(numbers: &[f32]) -> Bytes {
        let mut bytes = vec![0; 1 + size_of_val(numbers)];
        for (number, to) in numbers.iter().zip(bytes[1..].chunks_exact_mut(size_of::<E>())) {
            // SAFETY: there is room for one, wherever it begins.
            unsafe { to.as_mut_ptr().cast::<E>().write_unaligned(E::from_f32(*number)) };
        }
        Bytes::from(bytes).slice(1..=numbers.len() * size_of::<E>())
    }

    /// Parts of so many columns each.
    fn agrees<E: Element>(rows: usize, depth: usize, of_parts: &[usize]) {
        let columns: usize = of_parts.iter().sum();
        let (a, b) = (numbers(rows * depth, 1), numbers(columns * depth, 2));
        let (bias, add) = (numbers(columns, 3), numbers(rows * columns, 4));
        let mut rest = b.as_slice();
        let parts: Vec<Bytes> = of_parts
            .iter()
            .map(|columns| part::<E>(rest.split_off(..columns * depth).expect("numbers for every part")))
            .collect();
        let matrix = Columns::<E>::new(&parts, depth);
        let all = 0..panels(columns);
        let aligned = Aligned::new(Rows::new(&a, depth), depth);
        let epilogue = KernelEpilogue { bias: Some(&bias), gelu: false, add: Some(Rows::new(&add, columns)) };
        for &level in SimdLevel::available() {
            let (mut few, mut many) = (vec![f32::NAN; rows * columns], vec![f32::NAN; rows * columns]);
            // SAFETY: each target has a place for every sum.
            unsafe {
                multiply_few(level, aligned.rows(), matrix, all.clone(), Target::new(&mut few, columns), epilogue);
                let target = Target::new(&mut many, columns);
                multiply_many(level, Rows::new(&a, depth), matrix, all.clone(), target, epilogue, &mut Vec::new());
            }
            for (at, (few, many)) in few.iter().zip(&many).enumerate() {
                let (row, column) = (at / columns, at % columns);
                let pairs = a[row * depth..][..depth].iter().zip(&b[column * depth..][..depth]);
                let exact = pairs.map(|(a, b)| a * b).sum::<f32>() + bias[column] + add[at];
                let what = format!("{level:?}, {rows} x {depth} x {of_parts:?}, {row}, {column}");
                assert!((few - exact).abs() < 1e-3, "{what}: {few}, not {exact}");
                assert!((many - exact).abs() < 1e-3, "{what}: {many} of many, not {exact}");
            }
        }
    }

    #[test]
    fn a_product_is_right_for_every_type_size_and_cut() {
        for (rows, depth, parts) in [
            (1, 1, &[1][..]),
            (1, 24, &[167]),
            (2, 7, &[32]),
            (3, 16, &[31, 1, 64]),
            (4, 100, &[5, 5, 5]),
            (5, 33, &[70]),
            (8, 64, &[64]),
            (23, 50, &[40, 55]),
            (MANY_ROWS + 13, 50, &[95]),
        ] {
            agrees::<f32>(rows, depth, parts);
            agrees::<f16>(rows, depth, parts);
            agrees::<bf16>(rows, depth, parts);
        }
    }

    #[test]
    fn what_is_deeper_than_the_cache_is_added_up() {
        agrees::<f16>(8, 2 * BLOCK + 5, &[33]);
        agrees::<f32>(1, 8 * BLOCK + 9, &[2]);
    }

    #[test]
    fn a_row_has_the_same_sums_whatever_rows_it_is_among() {
        let (depth, columns) = (2 * BLOCK + 77, 40);
        let sines = |count: usize| (0..count).map(|at| (at as f32 * 0.37).sin()).collect::<Vec<f32>>();
        let (a, b) = (sines((MANY_ROWS - 1) * depth), [part::<f32>(&sines(columns * depth))]);
        let matrix = Columns::<f32>::new(&b, depth);
        for &level in SimdLevel::available() {
            let product = |first: usize, rows: usize| {
                let aligned = Aligned::new(Rows::new(&a[first * depth..][..rows * depth], depth), depth);
                let (mut out, none) = (vec![f32::NAN; rows * columns], KernelEpilogue::default());
                // SAFETY: the target has a place for every sum.
                unsafe {
                    let target = Target::new(&mut out, columns);
                    multiply_few(level, aligned.rows(), matrix, 0..panels(columns), target, none);
                }
                out
            };
            let alone = (0..MANY_ROWS - 1).flat_map(|row| product(row, 1)).collect::<Vec<_>>();
            for rows in 1..MANY_ROWS {
                assert!(product(0, rows) == alone[..rows * columns], "{level:?}, {rows} rows");
            }
        }
    }

    #[test]
    fn a_column_is_a_row_of_the_file() {
        let b = numbers(7 * 5, 1);
        let parts = [part::<f16>(&b[..3 * 5]), part::<f16>(&b[3 * 5..])];
        let matrix = Columns::<f16>::new(&parts, 5);
        assert_eq!(matrix.columns(), 7);
        for at in 0..7 {
            assert_eq!(matrix.column(at).collect::<Vec<_>>(), b[at * 5..][..5]);
        }
    }
}
