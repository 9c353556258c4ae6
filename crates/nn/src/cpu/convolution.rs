//! A convolution as a product, on every thread of the current pool.

use super::{
    columns::Columns, detect::SimdLevel, element::Element, epilogue::KernelEpilogue, frames::Frames, matrix::Rows,
    product,
};
#[cfg(target_arch = "x86_64")]
use super::{
    matrix::Target,
    pairs::{self, PairRows},
    panels::MANY_ROWS,
    tiles,
};

/// `out = epilogue(a · b)`; the rows of `out` follow each other, and are as long as `b` has columns.
///
/// A matrix unit is given each frame once. Otherwise frames are put in the order of their phase, where those that belong
/// together are neighbours: then rows overlap, and nothing else is copied.
pub fn convolve<E: Element>(
    level: SimdLevel,
    a: Frames<'_>,
    b: Columns<'_, E>,
    out: &mut [f32],
    epilogue: KernelEpilogue<'_>,
) {
    #[cfg(target_arch = "x86_64")]
    if level.has_tiles() && a.count >= MANY_ROWS {
        let target = Target::new(out, b.columns());
        return tiles::multiply(a, b, target, epilogue);
    }
    let frames = a.by_phase();
    #[cfg(target_arch = "x86_64")]
    if level.has_pairs()
        && a.count >= MANY_ROWS * a.dilation
        && a.depth.is_multiple_of(2)
        && let Some(b) = b.in_pairs()
    {
        return convolve_pairs(level, a, b, &pairs::rounded(level, &frames), out, epilogue);
    }
    for (phase, data) in frames.chunks(frames.len() / a.dilation).enumerate().take(a.count) {
        let (count, epilogue) = of_phase(&a, phase, epilogue);
        let rows = Rows { data, stride: a.step * a.depth, count };
        product::multiply(level, rows, b, &mut out[phase * b.columns()..], a.dilation * b.columns(), epilogue);
    }
}

/// The same of frames in the order of their phase that were rounded.
#[cfg(target_arch = "x86_64")]
fn convolve_pairs(
    level: SimdLevel,
    a: Frames<'_>,
    b: Columns<'_, f32>,
    frames: &[u32],
    out: &mut [f32],
    epilogue: KernelEpilogue<'_>,
) {
    for (phase, data) in frames.chunks(frames.len() / a.dilation).enumerate() {
        let (count, epilogue) = of_phase(&a, phase, epilogue);
        let rows = PairRows { data, stride: a.step * a.depth / 2, count };
        let target = Target::new(&mut out[phase * b.columns()..], a.dilation * b.columns());
        pairs::multiply(level, rows, b, target, epilogue);
    }
}

/// How many rows are of a phase, and what is done to them.
fn of_phase<'a>(a: &Frames<'_>, phase: usize, epilogue: KernelEpilogue<'a>) -> (usize, KernelEpilogue<'a>) {
    let count = (a.count - phase).div_ceil(a.dilation);
    (count, KernelEpilogue { add: epilogue.add.map(|add| add.every(a.dilation, phase, count)), ..epilogue })
}
