//! A product with weights on every thread of the current pool.

use rayon::prelude::*;

use super::{
    columns::{Aligned, Columns, multiply_few, multiply_many},
    detect::SimdLevel,
    element::Element,
    epilogue::KernelEpilogue,
    matrix::{Rows, Target, panels, written},
    panels::MANY_ROWS,
    tasks::TaskRows,
};
#[cfg(target_arch = "x86_64")]
use super::{
    frames::Frames,
    pairs::{self, PairRows},
    tiles,
};

/// Rows that one task takes, of many.
const TASK_ROWS: TaskRows = TaskRows { step: 12, most: 384 };

/// Panels that one task takes, where there are many rows.
const BLOCK_PANELS: usize = 8;

/// Multiplications below which a product stays on one thread: to wake another takes about as long.
const SMALL: usize = 1 << 17;

/// `epilogue(a · b)`, row by row, cut into blocks for the threads of the current pool.
pub fn multiply<E: Element>(
    level: SimdLevel,
    a: Rows<'_>,
    b: Columns<'_, E>,
    epilogue: KernelEpilogue<'_>,
) -> Vec<f32> {
    // SAFETY: whatever multiplies writes each sum.
    unsafe { written(a.count, b.columns(), |target| multiply_to(level, a, b, target, epilogue)) }
}

/// The same into the caller's own target.
pub(super) fn multiply_to<E: Element>(
    level: SimdLevel,
    a: Rows<'_>,
    b: Columns<'_, E>,
    target: Target,
    epilogue: KernelEpilogue<'_>,
) {
    match a.count {
        ..MANY_ROWS => few_in_parallel(level, a, b, target, epilogue),
        #[cfg(target_arch = "x86_64")]
        _ if level.has_tiles() => on_tiles(level, Frames::single(a, b.depth()), b, target, epilogue),
        #[cfg(target_arch = "x86_64")]
        count
            if level.rounds_to_bf16()
                && let Some(pairs_of_b) = b.in_pairs() =>
        {
            let data = &pairs::rounded_rows(level, a, b.depth());
            let depth = pairs_of_b.depth();
            let a = PairRows { data, stride: depth, count, depth, taps: 1, apart: 0 };
            pairs::multiply(level, a, pairs_of_b, target, epilogue);
        }
        _ => many_in_parallel(level, a, b, target, epilogue),
    }
}

/// With the matrix unit. The target is the caller's own.
#[cfg(target_arch = "x86_64")]
pub(super) fn on_tiles<E: Element>(
    level: SimdLevel,
    a: Frames<'_>,
    b: Columns<'_, E>,
    target: Target,
    epilogue: KernelEpilogue<'_>,
) {
    match b.round_the_other(level) {
        true => tiles::multiply::<{ tiles::ROUNDED }, _>(a, b, target, epilogue),
        false => tiles::multiply::<{ tiles::SPLIT }, _>(a, b, target, epilogue),
    }
}

/// The target is the caller's own.
fn few_in_parallel<E: Element>(
    level: SimdLevel,
    a: Rows<'_>,
    b: Columns<'_, E>,
    target: Target,
    epilogue: KernelEpilogue<'_>,
) {
    let aligned = Aligned::new(a, b.depth());
    let (rows, panels) = (aligned.rows(), panels(b.columns()));
    if a.count * b.depth() * b.columns() < SMALL {
        // SAFETY: the target is ours alone.
        return unsafe { multiply_few(level, rows, b, 0..panels, target, epilogue) };
    }
    let wide = panels.div_ceil(4 * rayon::current_num_threads());
    (0..panels.div_ceil(wide)).into_par_iter().for_each(|block| {
        let panels = block * wide..panels.min((block + 1) * wide);
        // SAFETY: the target is ours alone, and each block takes other columns of it.
        unsafe { multiply_few(level, rows, b, panels, target, epilogue) };
    });
}

/// The target is the caller's own.
fn many_in_parallel<E: Element>(
    level: SimdLevel,
    a: Rows<'_>,
    b: Columns<'_, E>,
    target: Target,
    epilogue: KernelEpilogue<'_>,
) {
    let panels = panels(b.columns());
    let per_thread = panels.div_ceil(4 * rayon::current_num_threads());
    let wide = if a.count < TASK_ROWS.most { per_thread } else { BLOCK_PANELS.min(panels) };
    let across = panels.div_ceil(wide);
    let of_task = TASK_ROWS.of(a.count, across);
    (0..across * a.count.div_ceil(of_task)).into_par_iter().for_each_init(Vec::new, |memory, block| {
        let (row, panel) = (block / across * of_task, block % across * wide);
        let (rows, epilogue) = (a.part(row, of_task), epilogue.part(row, of_task, 0));
        let panels = panel..panels.min(panel + wide);
        // SAFETY: the target is ours alone, and each block takes another part of it.
        unsafe { multiply_many(level, rows, b, panels, target.at(row, 0), epilogue, memory) };
    });
}
