//! A product with weights of eight bits, on every thread of the current pool.

use std::ops::Range;

use half::bf16;
use rayon::prelude::*;

#[cfg(target_arch = "x86_64")]
use super::super::{frames::Frames, tiles};
use super::{
    super::{
        detect::SimdLevel,
        epilogue::{KernelEpilogue, check_sizes, complete_rows},
        matrix::{PANEL, Rows, Target, panels, written},
        simd::{Lanes, prefetch_far},
        tasks::TaskRows,
    },
    block::BLOCK,
    dots::{ByteDots, Plain},
    level::{ByteInstructions, ByteLevel},
    rows::{Q8Rows, RowBlock},
    weights::{BLOCK_BYTES, FOUR, NUMBERS, Q8Weights},
};

/// Rows that one task takes, of many: they stay in the second-level cache beside a panel.
const TASK_ROWS: TaskRows = TaskRows { step: 6, most: 96 };

/// Panels that one task takes, where there are more rows than that.
const BLOCK_PANELS: usize = 8;

/// Multiplications below which a product stays on one thread: to wake another takes about as long.
const SMALL: usize = 1 << 18;

/// Bytes of weights between what is asked for early and what is worked on. On two cores of an Intel Xeon with a matrix unit a
/// step of Zonos took 79 ms so, 87 ms with twice as many, and 94 ms where the first-level cache was asked for them.
const AHEAD: usize = 2048;

/// Some blocks of a row, and what is said of them.
type Row<'a> = (&'a [i8], &'a [RowBlock]);

/// From so many rows on a matrix unit is worth what it costs to lay the weights out for it: more rows than the requests of a
/// batch have in a step, so that it is a request's own length that decides.
#[cfg(target_arch = "x86_64")]
const TILED_ROWS: usize = 128;

/// `epilogue(a · b)`, row by row.
pub fn multiply(level: SimdLevel, a: Rows<'_>, b: &Q8Weights, epilogue: KernelEpilogue<'_>) -> Vec<f32> {
    #[cfg(target_arch = "x86_64")]
    if level.has_tiles() && a.count >= TILED_ROWS {
        let frames = Frames::single(a, b.depth());
        // SAFETY: each sum is written.
        return unsafe {
            written(a.count, b.columns(), |target| {
                tiles::multiply::<{ tiles::ROUNDED }, _>(frames, b, target, epilogue)
            })
        };
    }
    multiply_with(ByteLevel::of(level), level, a, b, epilogue)
}

pub(super) fn multiply_with(
    bytes: ByteLevel,
    level: SimdLevel,
    a: Rows<'_>,
    b: &Q8Weights,
    epilogue: KernelEpilogue<'_>,
) -> Vec<f32> {
    // SAFETY: each sum is written.
    unsafe { written(a.count, b.columns(), |target| multiply_to(bytes, level, a, b, target, epilogue)) }
}

/// The same into the caller's own target.
fn multiply_to(
    bytes: ByteLevel,
    level: SimdLevel,
    a: Rows<'_>,
    b: &Q8Weights,
    target: Target,
    epilogue: KernelEpilogue<'_>,
) {
    check_sizes(&a, (b.depth(), b.columns()), &target, &epilogue);
    let (rows, panels) = (Q8Rows::new(level, a, b.depth()), panels(b.columns()));
    let work = |of: Range<usize>, panels: Range<usize>| {
        // SAFETY: the sizes were held against each other, the target is ours alone, and each task takes another part.
        unsafe { multiply_part(bytes, &rows, of, b, panels, target, epilogue) };
    };
    if a.count * b.depth() * b.columns() < SMALL {
        return work(0..a.count, 0..panels);
    }
    let per_thread = panels.div_ceil(4 * rayon::current_num_threads());
    let wide = if a.count <= TASK_ROWS.most { per_thread } else { BLOCK_PANELS.min(panels) };
    let across = panels.div_ceil(wide);
    let of_task = TASK_ROWS.of(a.count, across);
    (0..across * a.count.div_ceil(of_task)).into_par_iter().for_each(|task| {
        let (row, panel) = (task / across * of_task, task % across * wide);
        work(row..a.count.min(row + of_task), panel..panels.min(panel + wide));
    });
}

/// Makes `$name(bytes, args…)`, which calls `$kernel::<D>(args…)` with the dot products that `bytes` stands for.
macro_rules! by_level {
    ($name:ident($($arg:ident: $type:ty),* $(,)?) = $kernel:ident) => {
        /// # Safety
        /// As the kernel's.
        unsafe fn $name(bytes: ByteLevel, $($arg: $type),*) {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,f16c")]
            unsafe fn avx2($($arg: $type),*) {
                // SAFETY: the attribute above enables what the dot products need; the rest is the caller's.
                unsafe { $kernel::<super::x86::Avx2>($($arg),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,f16c,avxvnni")]
            unsafe fn avx_vnni($($arg: $type),*) {
                // SAFETY: as above.
                unsafe { $kernel::<super::x86::AvxVnni>($($arg),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512vnni,avx2,fma,f16c")]
            unsafe fn avx512_vnni($($arg: $type),*) {
                // SAFETY: as above.
                unsafe { $kernel::<super::x86::Avx512Vnni>($($arg),*) }
            }
            // SAFETY: a `ByteLevel` exists only where its instructions do.
            unsafe {
                match bytes.instructions() {
                    ByteInstructions::Plain => $kernel::<Plain>($($arg),*),
                    #[cfg(target_arch = "x86_64")]
                    ByteInstructions::Avx2 => avx2($($arg),*),
                    #[cfg(target_arch = "x86_64")]
                    ByteInstructions::AvxVnni => avx_vnni($($arg),*),
                    #[cfg(target_arch = "x86_64")]
                    ByteInstructions::Avx512Vnni => avx512_vnni($($arg),*),
                }
            }
        }
    };
}

by_level! {
    multiply_part(
        rows: &Q8Rows,
        of: Range<usize>,
        b: &Q8Weights,
        panels: Range<usize>,
        target: Target,
        epilogue: KernelEpilogue<'_>,
    ) = multiply_panels
}

/// Some rows with some panels of columns, on this thread.
///
/// # Safety
/// As [`ByteDots`]; the target has a place for every sum, and nobody else uses this part of it meanwhile.
#[inline(always)]
unsafe fn multiply_panels<D: ByteDots>(
    rows: &Q8Rows,
    of: Range<usize>,
    b: &Q8Weights,
    panels: Range<usize>,
    target: Target,
    epilogue: KernelEpilogue<'_>,
) {
    for panel in panels {
        let weights = b.panel(panel).as_chunks::<BLOCK_BYTES>().0;
        let mut row = of.start;
        while row < of.end {
            let left = (of.end - row).min(D::ROWS);
            macro_rules! take {
                ($($rows:literal),*) => {
                    $(if $rows <= D::ROWS && left >= $rows {
                        // SAFETY: as the caller's.
                        unsafe {
                            let sums = tile::<D, $rows>(rows.from(row), weights);
                            complete_rows::<D::Lanes>(&sums, row, panel * PANEL, b.columns(), target, epilogue);
                        }
                        row += $rows;
                        continue;
                    })*
                };
            }
            take!(6, 4, 3, 2, 1);
        }
    }
}

/// `N` rows times one panel.
#[inline(always)]
unsafe fn tile<D: ByteDots, const N: usize>(
    (numbers, said): Row<'_>,
    weights: &[[u8; BLOCK_BYTES]],
) -> [[f32; PANEL]; N] {
    match PANEL / D::Lanes::WIDTH {
        // SAFETY: as the caller's.
        2 => unsafe { tile_of::<D, N, 2>(numbers, said, weights) },
        // SAFETY: as the caller's.
        _ => unsafe { tile_of::<D, N, 4>(numbers, said, weights) },
    }
}

/// The inner loop: `C` vectors are a panel.
#[inline(always)]
unsafe fn tile_of<D: ByteDots, const N: usize, const C: usize>(
    numbers: &[i8],
    said: &[RowBlock],
    weights: &[[u8; BLOCK_BYTES]],
) -> [[f32; PANEL]; N] {
    let (blocks, width) = (weights.len(), D::Lanes::WIDTH);
    assert!(numbers.len() >= N * blocks * BLOCK && said.len() >= N * blocks, "there are fewer rows");
    // SAFETY: as the caller's, and each row has as many blocks.
    unsafe {
        let mut all = [[D::Lanes::splat(0.0); C]; N];
        for (block, weights) in weights.iter().enumerate() {
            let from = weights.as_ptr();
            let mut sums = [[D::sums(0); C]; N];
            for (row, sums) in sums.iter_mut().enumerate() {
                *sums = [D::sums(said.get_unchecked(row * blocks + block).start); C];
            }
            for at in 0..BLOCK / FOUR {
                let of_four = from.add(at * PANEL * FOUR);
                prefetch_far(of_four.wrapping_add(AHEAD));
                prefetch_far(of_four.wrapping_add(AHEAD + PANEL * FOUR / 2));
                let mut weights = [D::weights(of_four); C];
                for (c, weights) in weights.iter_mut().enumerate().skip(1) {
                    *weights = D::weights(of_four.add(c * width * FOUR));
                }
                for (row, sums) in sums.iter_mut().enumerate() {
                    let x = D::row(numbers.as_ptr().add((row * blocks + block) * BLOCK + at * FOUR));
                    for (sums, weights) in sums.iter_mut().zip(weights) {
                        *sums = D::add(*sums, weights, x);
                    }
                }
            }
            let mut scales = [D::Lanes::splat(0.0); C];
            for (c, scales) in scales.iter_mut().enumerate() {
                *scales = D::Lanes::load_bf16(from.add(NUMBERS).cast::<bf16>().add(c * width));
            }
            for (row, (sums, all)) in sums.into_iter().zip(&mut all).enumerate() {
                let scale = D::Lanes::splat(said.get_unchecked(row * blocks + block).scale);
                for ((sums, all), scales) in sums.into_iter().zip(all).zip(scales) {
                    *all = D::Lanes::fma(D::Lanes::mul(D::numbers(sums), scales), scale, *all);
                }
            }
        }
        let mut out = [[0.0; PANEL]; N];
        for (out, all) in out.iter_mut().zip(all) {
            for (out, all) in out.chunks_exact_mut(width).zip(all) {
                D::Lanes::store(all, out.as_mut_ptr());
            }
        }
        out
    }
}
