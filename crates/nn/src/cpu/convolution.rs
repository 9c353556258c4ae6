//! A convolution as a product, on every thread of the current pool.

use super::{
    columns::Columns,
    detect::SimdLevel,
    element::Element,
    epilogue::KernelEpilogue,
    frames::Frames,
    matrix::{Rows, Target, written},
    product,
};
#[cfg(target_arch = "x86_64")]
use super::{
    pairs::{self, PairRows},
    panels::MANY_ROWS,
    tiles::TiledMatrix,
};

/// `epilogue(a · b)`, row by row.
///
/// A matrix unit is given each frame once. Otherwise frames are put in the order of their phase, where those that belong
/// together are neighbours: then rows overlap, and nothing else is copied.
///
/// Where frames are rounded to `bf16` that is so however few rows there are, and a row has the same sums, to the last bit,
/// among any others. A recording is convolved piece by piece, layer after layer, and what one layer adds up in another order
/// the next rounds to another number.
pub fn convolve<E: Element>(
    level: SimdLevel,
    a: Frames<'_>,
    b: Columns<'_, E>,
    epilogue: KernelEpilogue<'_>,
) -> Vec<f32> {
    // SAFETY: whatever multiplies writes each sum, and each row has a phase.
    unsafe { written(a.count, b.columns(), |target| convolve_to(level, a, b, target, epilogue)) }
}

/// The same with weights that are laid out for a matrix unit.
#[cfg(target_arch = "x86_64")]
pub fn convolve_tiled(a: Frames<'_>, b: &TiledMatrix, epilogue: KernelEpilogue<'_>) -> Vec<f32> {
    // SAFETY: each sum is written.
    unsafe { written(a.count, b.columns(), |target| b.multiply(a, target, epilogue)) }
}

/// The same into the caller's own target.
fn convolve_to<E: Element>(
    level: SimdLevel,
    a: Frames<'_>,
    b: Columns<'_, E>,
    target: Target,
    epilogue: KernelEpilogue<'_>,
) {
    #[cfg(target_arch = "x86_64")]
    if level.has_tiles() && (a.count >= MANY_ROWS || b.round_the_other(level)) {
        return product::on_tiles(level, a, b, target, epilogue);
    }
    let frames = a.by_phase();
    #[cfg(target_arch = "x86_64")]
    if level.rounds_to_bf16()
        && a.depth.is_multiple_of(2)
        && let Some(b) = b.in_pairs()
    {
        return convolve_pairs(level, a, b, &pairs::rounded(level, &frames), target, epilogue);
    }
    for (phase, data) in frames.chunks(frames.len() / a.dilation).enumerate().take(a.count) {
        let (count, epilogue) = of_phase(&a, phase, epilogue);
        let rows = Rows { data, stride: a.step * a.depth, count };
        product::multiply_to(level, rows, b, target.at(phase, 0).every(a.dilation), epilogue);
    }
}

/// The same of frames in the order of their phase that were rounded.
#[cfg(target_arch = "x86_64")]
fn convolve_pairs(
    level: SimdLevel,
    a: Frames<'_>,
    b: Columns<'_, f32>,
    frames: &[u32],
    target: Target,
    epilogue: KernelEpilogue<'_>,
) {
    for (phase, data) in frames.chunks(frames.len() / a.dilation).enumerate().take(a.count) {
        let (count, epilogue) = of_phase(&a, phase, epilogue);
        let rows = PairRows { data, stride: a.step * a.depth / 2, count };
        pairs::multiply(level, rows, b, target.at(phase, 0).every(a.dilation), epilogue);
    }
}

/// How many rows are of a phase, and what is done to them.
fn of_phase<'a>(a: &Frames<'_>, phase: usize, epilogue: KernelEpilogue<'a>) -> (usize, KernelEpilogue<'a>) {
    let count = (a.count - phase).div_ceil(a.dilation);
    (count, KernelEpilogue { add: epilogue.add.map(|add| add.every(a.dilation, phase, count)), ..epilogue })
}
