//! Products with a matrix that is laid out in panels.

use super::{
    detect::SimdLevel,
    element::Element,
    epilogue::{KernelEpilogue, check_target, complete_rows},
    matrix::{PANEL, Panels, Rows, TapRows, Target, panels},
    simd::{Lanes, prefetch, vectorised},
};

/// From this many rows on, weights of half precision are widened once and not for every few rows.
pub const MANY_ROWS: usize = 24;

/// Up to so many rows a product waits for memory, and asks for it early.
const FEW_ROWS: usize = 8;

/// How early, in bytes. On a busy Intel Xeon 1, 4 and 8 KiB gave 34, 42 and 41 % more than a prefetch of the line at hand,
/// with 8 rows; the last two cannot be told apart.
const AHEAD: usize = 4096;

/// Bytes of widened panels that are worked on together; they should stay in the second-level cache.
pub const GROUP_BYTES: usize = 512 << 10;

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
    multiply_there(level, TapRows::single(a, b.depth), b, target, epilogue);
}

/// The same of rows that are made of `b.depth` numbers of several frames.
///
/// # Safety
/// As [`multiply`].
pub unsafe fn multiply_taps<E: Element>(
    level: SimdLevel,
    a: TapRows<'_, f32>,
    b: Panels<'_, E>,
    target: Target,
    epilogue: KernelEpilogue<'_>,
) {
    multiply_there(level, a, b, target, epilogue);
}

vectorised! {
    fn multiply_there<E: Element>(a: TapRows<'_, f32>, b: Panels<'_, E>, target: Target, epilogue: KernelEpilogue<'_>) = multiply_panels
}

#[inline(always)]
unsafe fn multiply_panels<V: Lanes, E: Element>(
    a: TapRows<'_, f32>,
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

fn check<E>(a: &TapRows<'_, f32>, b: &Panels<'_, E>, target: &Target, epilogue: &KernelEpilogue<'_>) {
    let panels = panels(b.columns);
    assert!(panels == 0 || (panels - 1) * b.stride + b.depth * PANEL <= b.data.len(), "the panels are too small");
    a.check(b.depth);
    check_target(a.count, b.columns, target, epilogue);
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
    a: TapRows<'_, f32>,
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
    a: TapRows<'_, f32>,
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
            tile::<V, E, N>(a.data.as_ptr().add(row * a.stride), &a, from, &mut sums);
            let column = first_column + panel * PANEL;
            complete_rows::<V>(&sums, row, column, first_column + b.columns, target, epilogue);
        }
    }
}

/// The inner loop: `N` rows times one panel. `shape`: how the rows lie.
#[inline(always)]
unsafe fn tile<V: Lanes, E: Element, const N: usize>(
    a: *const f32,
    shape: &TapRows<'_, f32>,
    b: *const E,
    out: &mut [[f32; PANEL]; N],
) {
    let &TapRows { stride, depth, taps, apart, .. } = shape;
    for column in (0..PANEL).step_by(2 * V::WIDTH) {
        // SAFETY: as the caller's.
        unsafe {
            let mut sums = [[V::splat(0.0); 2]; N];
            for tap in 0..taps {
                let (a, b) = (a.add(tap * apart), b.add(tap * depth * PANEL + column));
                for k in 0..depth {
                    if N <= FEW_ROWS {
                        prefetch(b.add(k * PANEL).cast::<u8>().wrapping_add(AHEAD));
                    }
                    let left = E::load::<V>(b.add(k * PANEL));
                    let right = E::load::<V>(b.add(k * PANEL + V::WIDTH));
                    for (row, sums) in sums.iter_mut().enumerate() {
                        let x = V::splat(*a.add(row * stride + k));
                        sums[0] = V::fma(x, left, sums[0]);
                        sums[1] = V::fma(x, right, sums[1]);
                    }
                }
            }
            for (out, sums) in out.iter_mut().zip(sums) {
                V::store(sums[0], out.as_mut_ptr().add(column));
                V::store(sums[1], out.as_mut_ptr().add(column + V::WIDTH));
            }
        }
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
