//! Products of many rows in `bf16`, on x86 processors that multiply two of them at once (AVX512-BF16).
//!
//! Both matrices are rounded to eight significant bits and the sums are `f32`, which takes half the instructions of a
//! product in `f32`. That is too coarse for whoever wants `f32`; it is for models that are computed in `bf16`
//! ([`SimdLevel::in_bf16`]).
//!
//! Two numbers that follow each other along the depth are a pair, which is as long as one `f32`. So a right matrix of pairs is
//! laid out in panels as one of `f32` with half the depth.

pub mod attention;

use std::{arch::x86_64::*, ops::Range};

use half::bf16;
use rayon::prelude::*;

use super::{
    columns::{Columns, lay_out},
    detect::SimdLevel,
    epilogue::{KernelEpilogue, check_target, complete_rows},
    matrix::{PANEL, Panels, Rows, TapRows, Target, panels},
    panels::GROUP_BYTES,
    tasks::TaskRows,
};

/// Rows that one task takes.
const TASK_ROWS: TaskRows = TaskRows { step: 12, most: 384 };

/// Panels that one task takes.
const BLOCK_PANELS: usize = 8;

/// Numbers that one task rounds, at least.
const ROUNDED: usize = 1 << 15;

/// Two numbers.
type Pair = u32;

/// Numbers in a vector.
const WIDTH: usize = 16;

/// The left matrix: frames of pairs.
pub type PairRows<'a> = TapRows<'a, Pair>;

/// Rows of an even depth in pairs, each number to the nearest; they then follow each other.
pub fn rounded_rows(level: SimdLevel, rows: Rows<'_>, depth: usize) -> Vec<Pair> {
    check_level(level);
    let mut pairs = vec![0; rows.count * depth / 2];
    pairs.par_chunks_mut((depth / 2).max(1)).enumerate().with_min_len(ROUNDED / depth.max(1)).for_each(|(row, to)| {
        // SAFETY: as above.
        unsafe { round(rows.row(row, depth), to) }
    });
    pairs
}

/// `target = epilogue(a · b)` on the threads of the current pool, with `b` of [`Columns::in_pairs`]. The target is the
/// caller's own.
pub fn multiply(level: SimdLevel, a: PairRows<'_>, b: Columns<'_, f32>, target: Target, epilogue: KernelEpilogue<'_>) {
    check_level(level);
    a.check(b.depth());
    check_target(a.count, b.columns(), &target, &epilogue);
    let panels = panels(b.columns());
    let per_thread = panels.div_ceil(4 * rayon::current_num_threads());
    let wide = if a.count < TASK_ROWS.most { per_thread } else { BLOCK_PANELS.min(panels) };
    let across = panels.div_ceil(wide.max(1));
    let group = (GROUP_BYTES / (b.depth() * PANEL * size_of::<Pair>()).max(1)).max(1);
    let of_task = TASK_ROWS.of(a.count, across);
    (0..across * a.count.div_ceil(of_task)).into_par_iter().for_each_init(Vec::new, |memory, task| {
        let (first, panel) = (task / across * of_task, task % across * wide);
        let rows = first..a.count.min(first + of_task);
        let end = panels.min(panel + wide);
        for panel in (panel..end).step_by(group) {
            let laid_out = panel..end.min(panel + group);
            memory.resize(b.depth() * PANEL * laid_out.len(), 0.0);
            for (panel, to) in laid_out.zip(memory.chunks_exact_mut(b.depth() * PANEL)) {
                lay_out(level, b, panel, 0, to);
            }
            let right = Right { panels: memory, depth: b.depth(), first: panel, columns: b.columns() };
            // SAFETY: the processor has the instructions, the sizes were held against each other, and each task takes
            // another part of the target.
            unsafe { multiply_all(a, rows.clone(), &right, target, epilogue) };
        }
    });
}

/// The same with some panels that are laid out, as [`lay_out`] does it with [`Columns::in_pairs`], on this thread. `right` and
/// `target` are the whole, of which these are the rows and the panels.
///
/// # Safety
/// The target's memory is alive, and nobody else uses this part of it meanwhile.
pub unsafe fn multiply_panels(
    level: SimdLevel,
    a: PairRows<'_>,
    rows: Range<usize>,
    right: Panels<'_, f32>,
    panels: Range<usize>,
    target: Target,
    epilogue: KernelEpilogue<'_>,
) {
    check_level(level);
    a.check(right.depth);
    assert!(rows.end <= a.count && right.stride == right.depth * PANEL, "there are other rows or panels");
    check_target(a.count, right.columns, &target, &epilogue);
    let group = (GROUP_BYTES / (right.stride * size_of::<Pair>()).max(1)).max(1);
    for first in panels.clone().step_by(group) {
        let here = first..panels.end.min(first + group);
        let data = &right.data[here.start * right.stride..here.end * right.stride];
        let right = Right { panels: data, depth: right.depth, first, columns: right.columns };
        // SAFETY: the processor has the instructions, and the sizes were held against each other.
        unsafe { multiply_all(a, rows.clone(), &right, target, epilogue) };
    }
}

/// All of these rows with every panel.
#[target_feature(enable = "avx512f,avx512bf16,avx2,fma,f16c")]
unsafe fn multiply_all(
    a: PairRows<'_>,
    rows: Range<usize>,
    right: &Right<'_>,
    target: Target,
    epilogue: KernelEpilogue<'_>,
) {
    let mut row = rows.start;
    while row < rows.end {
        // SAFETY: as the caller's.
        row += unsafe { multiply_rows(a, row..rows.end, right, target, epilogue) };
    }
}

/// Some panels of the right matrix.
struct Right<'a> {
    panels: &'a [f32],
    /// In pairs.
    depth: usize,
    /// The number of the first panel.
    first: usize,
    /// Of the whole matrix.
    columns: usize,
}

fn check_level(level: SimdLevel) {
    assert!(level.rounds_to_bf16(), "there are no products of pairs");
}

/// As many rows as fit into the registers, with every panel. How many those were.
#[target_feature(enable = "avx512f,avx512bf16,avx2,fma,f16c")]
unsafe fn multiply_rows(
    a: PairRows<'_>,
    rows: Range<usize>,
    right: &Right<'_>,
    target: Target,
    epilogue: KernelEpilogue<'_>,
) -> usize {
    macro_rules! take {
        ($($rows:literal),*) => {
            $(if rows.len() >= $rows {
                for (at, panel) in right.panels.chunks_exact(right.depth * PANEL).enumerate() {
                    // SAFETY: as the caller's.
                    unsafe {
                        let from = a.data.as_ptr().add(rows.start * a.stride);
                        let sums = tile::<$rows>(from, (a.stride, a.apart), panel.as_ptr(), (a.depth, a.taps));
                        let column = (right.first + at) * PANEL;
                        complete_rows::<__m512>(&sums, rows.start, column, right.columns, target, epilogue);
                    }
                }
                return $rows;
            })*
        };
    }
    take!(12, 8, 4, 2, 1);
    unreachable!("there is a row")
}

/// The inner loop: `N` rows, `stride` apart, times one panel; each of so many taps, `apart`, of `depth` pairs.
#[target_feature(enable = "avx512f,avx512bf16")]
#[inline]
unsafe fn tile<const N: usize>(
    a: *const Pair,
    (stride, apart): (usize, usize),
    b: *const f32,
    (depth, taps): (usize, usize),
) -> [[f32; PANEL]; N] {
    let mut sums = [[_mm512_setzero_ps(); 2]; N];
    // SAFETY: as the caller's; a row of a panel is two vectors, and vectors are of any bits.
    unsafe {
        for tap in 0..taps {
            let (a, b) = (a.add(tap * apart), b.add(tap * depth * PANEL));
            for k in 0..depth {
                let right = [0, WIDTH].map(|at| pairs(_mm512_loadu_ps(b.add(k * PANEL + at))));
                for (row, sums) in sums.iter_mut().enumerate() {
                    let left = pairs(_mm512_set1_ps(f32::from_bits(a.add(row * stride + k).read())));
                    sums[0] = _mm512_dpbf16_ps(sums[0], left, right[0]);
                    sums[1] = _mm512_dpbf16_ps(sums[1], left, right[1]);
                }
            }
        }
        let mut out = [[0.0; PANEL]; N];
        for (out, sums) in out.iter_mut().zip(sums) {
            _mm512_storeu_ps(out.as_mut_ptr(), sums[0]);
            _mm512_storeu_ps(out.as_mut_ptr().add(WIDTH), sums[1]);
        }
        out
    }
}

/// The same bits.
#[target_feature(enable = "avx512f,avx512bf16")]
#[inline]
fn pairs(of: __m512) -> __m512bh {
    // SAFETY: both are 64 bytes.
    unsafe { std::mem::transmute(of) }
}

#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn round(from: &[f32], to: &mut [Pair]) {
    assert!(from.len() == 2 * to.len(), "{} numbers for {} pairs", from.len(), to.len());
    let (whole, rest) = from.as_chunks::<WIDTH>();
    let (to_whole, to_rest) = to.as_chunks_mut::<{ WIDTH / 2 }>();
    for (from, to) in whole.iter().zip(to_whole) {
        // SAFETY: both are as long as a vector of theirs.
        unsafe {
            to.as_mut_ptr().cast::<__m256bh>().write_unaligned(_mm512_cvtneps_pbh(_mm512_loadu_ps(from.as_ptr())))
        };
    }
    for (from, to) in rest.as_chunks::<2>().0.iter().zip(to_rest) {
        let [low, high] = from.map(|number| Pair::from(bf16::from_f32(number).to_bits()));
        *to = low | high << 16;
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn numbers(count: usize, step: f32) -> Vec<f32> {
        (0..count).map(|at| (at as f32 * step).sin()).collect()
    }

    fn as_bf16(number: &f32) -> bf16 {
        bf16::from_f32(*number)
    }

    /// That of exact sums of rounded numbers.
    #[test]
    fn a_product_of_pairs_is_that_of_rounded_numbers() {
        let level = SimdLevel::detect().in_bf16();
        if !level.rounds_to_bf16() {
            return;
        }
        for (rows, depth, columns) in [(1, 2, 1), (24, 40, 70), (37, 1030, 95), (500, 66, 300)] {
            let (a, b) = (numbers(rows * depth, 0.37), numbers(columns * depth, 0.61));
            let (bias, add) = (numbers(columns, 0.11), numbers(rows * columns, 0.23));
            let bytes = b.iter().flat_map(|number| as_bf16(number).to_le_bytes()).collect::<Vec<u8>>();
            let parts = [Bytes::from(bytes)];
            let right = Columns::<bf16>::new(&parts, depth).in_pairs().expect("pairs");
            let left = rounded_rows(level, Rows::new(&a, depth), depth);
            let mut out = vec![f32::NAN; rows * columns];
            let epilogue = KernelEpilogue { bias: Some(&bias), gelu: false, add: Some(Rows::new(&add, columns)) };
            let target = Target::new(&mut out, columns);
            let left = PairRows { data: &left, stride: depth / 2, count: rows, depth: depth / 2, taps: 1, apart: 0 };
            multiply(level, left, right, target, epilogue);
            for (at, found) in out.iter().enumerate() {
                let (row, column) = (at / columns, at % columns);
                let pairs = a[row * depth..][..depth].iter().zip(&b[column * depth..][..depth]);
                let sum =
                    pairs.map(|(a, b)| f64::from(as_bf16(a).to_f32()) * f64::from(as_bf16(b).to_f32())).sum::<f64>();
                let exact = sum as f32 + bias[column] + add[at];
                assert!(
                    (found - exact).abs() < 1e-3,
                    "{rows}x{depth}x{columns}, {row}, {column}: {found}, not {exact}"
                );
            }
        }
    }

    #[test]
    fn only_even_depths_of_bf16_are_pairs() {
        let parts = [Bytes::from(vec![0; 2 * 6 * 3])];
        assert!(Columns::<bf16>::new(&parts, 6).in_pairs().is_some());
        assert!(Columns::<bf16>::new(&parts, 3).in_pairs().is_none());
        assert!(Columns::<half::f16>::new(&parts, 6).in_pairs().is_none());
    }
}
