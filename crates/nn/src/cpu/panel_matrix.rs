//! The weights of a convolution, laid out in panels once and for all.
//!
//! A row of the left matrix is made of frames that need not be neighbours, so that whatever the dilation nothing is copied, and
//! all rows are one product. A row has the same sums, to the last bit, however few or many there are: a recording is convolved
//! piece by piece.

use std::{any::TypeId, borrow::Cow, ops::Range};

use half::{bf16, f16};
use rayon::prelude::*;

#[cfg(target_arch = "x86_64")]
use super::pairs;
use super::{
    columns::{Columns, lay_out},
    detect::SimdLevel,
    element::Element,
    epilogue::KernelEpilogue,
    frames::Frames,
    matrix::{PANEL, Panels, Rows, TapRows, Target, panels, written},
    panels::multiply_taps,
    tasks::TaskRows,
};

/// Rows that one task takes, of many.
const TASK_ROWS: TaskRows = TaskRows { step: 12, most: 384 };

/// Panels that one task takes, where there are many rows.
const BLOCK_PANELS: usize = 8;

/// Multiplications below which a product stays on one thread: to wake another takes about as long.
const SMALL: usize = 1 << 17;

/// The right matrix of a product, `[taps * depth, columns]`.
#[derive(Debug)]
pub struct PanelMatrix {
    numbers: Numbers,
    /// Numbers of a frame.
    depth: usize,
    taps: usize,
    columns: usize,
}

#[derive(Debug)]
enum Numbers {
    F32(Vec<f32>),
    F16(Vec<f16>),
    Bf16(Vec<bf16>),
    /// Of `bf16`, two that follow each other along the depth in each. Frames are rounded too.
    #[cfg(target_arch = "x86_64")]
    Pairs(Vec<f32>),
}

// === impl PanelMatrix ===

impl PanelMatrix {
    /// Of columns that have `taps` times `depth` numbers.
    pub fn new<E: Element>(level: SimdLevel, b: Columns<'_, E>, depth: usize, taps: usize) -> Self {
        assert!(taps * depth == b.depth(), "columns of {} are no {taps} times {depth}", b.depth());
        let numbers = match b.in_pairs() {
            #[cfg(target_arch = "x86_64")]
            Some(pairs) if level.rounds_to_bf16() && depth.is_multiple_of(2) => Numbers::Pairs(laid_out(level, pairs)),
            _ if TypeId::of::<E>() == TypeId::of::<f16>() => Numbers::F16(laid_out_as(level, b, f16::from_f32)),
            _ if TypeId::of::<E>() == TypeId::of::<bf16>() => Numbers::Bf16(laid_out_as(level, b, bf16::from_f32)),
            _ => Numbers::F32(laid_out(level, b)),
        };
        Self { numbers, depth, taps, columns: b.columns() }
    }

    /// `epilogue(a · b)`, row by row, on the threads of the current pool.
    pub fn convolve(&self, level: SimdLevel, a: Frames<'_>, epilogue: KernelEpilogue<'_>) -> Vec<f32> {
        assert!((a.depth, a.taps) == (self.depth, self.taps), "{} frames of {}", a.taps, a.depth);
        let there = a.in_order();
        // SAFETY: each sum is written.
        unsafe {
            written(a.count, self.columns, |target| match &self.numbers {
                Numbers::F32(data) => self.in_parallel(level, &there, &a, data, target, epilogue),
                Numbers::F16(data) => self.in_parallel(level, &there, &a, data, target, epilogue),
                Numbers::Bf16(data) => self.in_parallel(level, &there, &a, data, target, epilogue),
                #[cfg(target_arch = "x86_64")]
                Numbers::Pairs(data) => self.pairs_in_parallel(level, &there, &a, data, target, epilogue),
            })
        }
    }

    /// The target is the caller's own.
    fn in_parallel<E: Element>(
        &self,
        level: SimdLevel,
        there: &Ordered<'_>,
        a: &Frames<'_>,
        data: &[E],
        target: Target,
        epilogue: KernelEpilogue<'_>,
    ) {
        let rows = a.rows_of(&there.data, there.stride);
        let b = Panels {
            data,
            stride: self.taps * self.depth * PANEL,
            depth: self.taps * self.depth,
            columns: self.columns,
        };
        self.in_tasks(a.count, |taken, panels| {
            let (column, part) = (panels.start * PANEL, b.part(panels.start, panels.len()));
            let (rows, epilogue) =
                (rows.part(taken.start, taken.len()), epilogue.part(taken.start, taken.len(), column));
            // SAFETY: the target is ours alone, and each task takes another part of it.
            unsafe { multiply_taps(level, rows, part, target.at(taken.start, column), epilogue) };
        });
    }

    /// The target is the caller's own.
    #[cfg(target_arch = "x86_64")]
    fn pairs_in_parallel(
        &self,
        level: SimdLevel,
        there: &Ordered<'_>,
        a: &Frames<'_>,
        data: &[f32],
        target: Target,
        epilogue: KernelEpilogue<'_>,
    ) {
        let frames = Rows { data: &there.data, stride: there.stride, count: a.span() };
        let rounded = pairs::rounded_rows(level, frames, self.depth);
        let in_pairs = Frames { depth: self.depth / 2, ..*a };
        let rows = in_pairs.rows_of(&rounded, self.depth / 2);
        let depth = self.taps * self.depth / 2;
        let b = Panels { data, stride: depth * PANEL, depth, columns: self.columns };
        self.in_tasks(a.count, |taken, panels| {
            // SAFETY: the target is ours alone, and each task takes another part of it.
            unsafe { pairs::multiply_panels(level, rows, taken, b, panels, target, epilogue) };
        });
    }

    /// Cut into blocks for the threads of the current pool.
    fn in_tasks(&self, rows: usize, multiply: impl Fn(Range<usize>, Range<usize>) + Sync) {
        let panels = panels(self.columns);
        if rows * self.taps * self.depth * self.columns < SMALL {
            return multiply(0..rows, 0..panels);
        }
        let per_thread = panels.div_ceil(4 * rayon::current_num_threads());
        let wide = if rows < TASK_ROWS.most { per_thread } else { BLOCK_PANELS.min(panels) };
        let across = panels.div_ceil(wide.max(1));
        let of_task = TASK_ROWS.of(rows, across);
        (0..across * rows.div_ceil(of_task)).into_par_iter().for_each(|task| {
            let (row, panel) = (task / across * of_task, task % across * wide);
            multiply(row..rows.min(row + of_task), panel..panels.min(panel + wide));
        });
    }
}

/// Frames in one piece, `stride` numbers from one to the next.
pub struct Ordered<'a> {
    data: Cow<'a, [f32]>,
    stride: usize,
}

fn laid_out<E: Element>(level: SimdLevel, b: Columns<'_, E>) -> Vec<f32> {
    let mut all = vec![0.0; panels(b.columns()) * b.depth() * PANEL];
    all.par_chunks_exact_mut((b.depth() * PANEL).max(1))
        .enumerate()
        .for_each(|(panel, to)| lay_out(level, b, panel, 0, to));
    all
}

/// The same in a type that holds each number.
fn laid_out_as<E: Element, T: Send>(level: SimdLevel, b: Columns<'_, E>, narrow: fn(f32) -> T) -> Vec<T> {
    laid_out(level, b).into_par_iter().map(narrow).collect()
}

// === impl Frames ===

impl<'a> Frames<'a> {
    /// From the first frame of the first row on. Where all are there nothing is copied.
    fn in_order(&self) -> Ordered<'a> {
        let (there, span) = (self.there, self.span());
        if let Ok(start) = usize::try_from(self.start)
            && start + span <= there.count
        {
            return Ordered { data: Cow::Borrowed(&there.data[start * there.stride..]), stride: there.stride };
        }
        let mut all = vec![0.0; span * self.depth];
        for (at, to) in all.chunks_exact_mut(self.depth.max(1)).enumerate() {
            if let Some(frame) = self.frame(at) {
                to.copy_from_slice(frame);
            }
        }
        Ordered { data: Cow::Owned(all), stride: self.depth }
    }

    /// The rows, where the frames lie `stride` apart.
    fn rows_of<'b, T>(&self, data: &'b [T], stride: usize) -> TapRows<'b, T> {
        let &Self { depth, taps, step, dilation, count, .. } = self;
        TapRows { data, stride: step * stride, count, depth, taps, apart: dilation * stride }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn numbers(count: usize, step: f32) -> Vec<f32> {
        (0..count).map(|at| (at as f32 * step).sin()).collect()
    }

    /// Sums of numbers that were rounded, if any were.
    fn expected(a: &Frames<'_>, b: &[f32], columns: usize, round: fn(f32) -> f32) -> Vec<f32> {
        let of_row = |row: usize, column: usize| {
            let taps = (0..a.taps).filter_map(|tap| Some((tap, a.frame(row * a.step + tap * a.dilation)?)));
            let weights = |tap: usize| &b[(column * a.taps + tap) * a.depth..][..a.depth];
            taps.map(|(tap, frame)| {
                frame.iter().zip(weights(tap)).map(|(x, w)| f64::from(round(*x)) * f64::from(*w)).sum::<f64>()
            })
            .sum::<f64>() as f32
        };
        (0..a.count).flat_map(|row| (0..columns).map(move |column| (row, column))).map(|(r, c)| of_row(r, c)).collect()
    }

    fn agrees<E: Element>(level: SimdLevel, bytes: fn(f32) -> Vec<u8>, narrow: fn(f32) -> f32, round: fn(f32) -> f32) {
        for (depth, taps, step, dilation, start, columns) in
            [(5, 3, 1, 1, 0, 7), (8, 7, 1, 9, 0, 40), (6, 7, 1, 3, -9, 33), (4, 3, 2, 1, -1, 70), (34, 1, 1, 1, 0, 1)]
        {
            for count in [1, 2, 13, 40, 400_usize] {
                let (width, there): (usize, usize) = (depth + 3, (count - 1) * step + (taps - 1) * dilation + 1);
                // As many zeros after the end as before the beginning.
                let there = there.saturating_sub(2 * isize::unsigned_abs(start)).max(1);
                let frames = numbers(there * width, 0.37);
                let there = Rows { data: &frames, stride: width, count: there };
                let a = Frames { there, depth, start, taps, step, dilation, count };
                let weights: Vec<f32> = numbers(columns * taps * depth, 0.61).into_iter().map(narrow).collect();
                let parts = [Bytes::from(weights.iter().flat_map(|&x| bytes(x)).collect::<Vec<u8>>())];
                let matrix = PanelMatrix::new(level, Columns::<E>::new(&parts, taps * depth), depth, taps);
                let found = matrix.convolve(level, a, KernelEpilogue::default());
                for (at, (found, expected)) in found.iter().zip(expected(&a, &weights, columns, round)).enumerate() {
                    assert!((found - expected).abs() < 1e-3, "{level:?}, {a:?}, {at}: {found}, not {expected}");
                }
                let last = matrix.convolve(level, a.part(count - 1, 1), KernelEpilogue::default());
                assert_eq!(last, found[(count - 1) * columns..], "alone it has other sums");
            }
        }
    }

    #[test]
    fn a_convolution_is_right_for_every_type_and_shape() {
        for &level in SimdLevel::available().iter().filter(|level| !level.has_tiles()) {
            agrees::<f32>(level, |x| x.to_le_bytes().into(), |x| x, |x| x);
            agrees::<f16>(level, |x| f16::from_f32(x).to_le_bytes().into(), |x| f16::from_f32(x).to_f32(), |x| x);
            agrees::<bf16>(level, |x| bf16::from_f32(x).to_le_bytes().into(), |x| bf16::from_f32(x).to_f32(), |x| x);
        }
    }

    #[test]
    fn frames_are_rounded_with_weights_that_are() {
        let rounding = |level: &&SimdLevel| level.in_bf16().rounds_to_bf16() && !level.has_tiles();
        for level in SimdLevel::available().iter().filter(rounding) {
            let round = |x| bf16::from_f32(x).to_f32();
            // Of an odd depth there are no pairs.
            let even = numbers(400 * 8, 0.37);
            let there = Rows { data: &even, stride: 8, count: 400 };
            let a = Frames { there, depth: 8, start: 0, taps: 7, step: 1, dilation: 9, count: 340 };
            let weights: Vec<f32> = numbers(40 * 7 * 8, 0.61).into_iter().map(round).collect();
            let parts =
                [Bytes::from(weights.iter().flat_map(|&x| bf16::from_f32(x).to_le_bytes()).collect::<Vec<u8>>())];
            let matrix = PanelMatrix::new(level.in_bf16(), Columns::<bf16>::new(&parts, 56), 8, 7);
            let found = matrix.convolve(level.in_bf16(), a, KernelEpilogue::default());
            let off =
                found.iter().zip(expected(&a, &weights, 40, round)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(off < 1e-3, "{off}");
            assert_eq!(matrix.convolve(level.in_bf16(), a.part(339, 1), KernelEpilogue::default()), found[339 * 40..]);
        }
    }
}
