//! A convolution as a product, on every thread of the current pool.

use super::{
    columns::Columns, detect::SimdLevel, element::Element, epilogue::KernelEpilogue, frames::Frames, matrix::Rows,
    product,
};
#[cfg(target_arch = "x86_64")]
use super::{matrix::Target, panels::MANY_ROWS, tiles};

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
    let of_phase = frames.len() / a.dilation;
    for phase in 0..a.dilation.min(a.count) {
        let count = (a.count - phase).div_ceil(a.dilation);
        let data = &frames[phase * of_phase..][..of_phase];
        let rows = Rows { data, stride: a.step * a.depth, count };
        let epilogue = KernelEpilogue { add: epilogue.add.map(|add| add.every(a.dilation, phase, count)), ..epilogue };
        let out = &mut out[phase * b.columns()..];
        product::multiply(level, rows, b, out, a.dilation * b.columns(), epilogue);
    }
}
