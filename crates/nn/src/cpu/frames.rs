//! The left matrix of a product that is a convolution.

use super::matrix::Rows;

/// Rows that are made of frames: row `r` is the frames `start + r * step + tap * dilation` of all taps, side by side. Frames
/// before the first that is there, and after the last, are zeros.
#[derive(Clone, Copy, Debug)]
pub struct Frames<'a> {
    /// Those that are there.
    pub there: Rows<'a>,
    /// Numbers of a frame.
    pub depth: usize,
    /// The first frame of the first row.
    pub start: isize,
    /// Frames of a row.
    pub taps: usize,
    /// Frames from a row to the next.
    pub step: usize,
    /// Frames from a tap to the next.
    pub dilation: usize,
    /// How many rows there are.
    pub count: usize,
}

// === impl Frames ===

impl<'a> Frames<'a> {
    /// Each row is one frame.
    pub fn single(there: Rows<'a>, depth: usize) -> Self {
        Self { there, depth, start: 0, taps: 1, step: 1, dilation: 1, count: there.count }
    }

    /// `count` rows from `first` on, fewer at the end.
    pub fn part(&self, first: usize, count: usize) -> Self {
        let start = self.start + (first * self.step) as isize;
        Self { start, count: count.min(self.count - first), ..*self }
    }

    /// Frames from the first of the first row to the last of the last.
    pub fn span(&self) -> usize {
        self.count.saturating_sub(1) * self.step + (self.taps - 1) * self.dilation + 1
    }

    /// The numbers of a frame, counted from the first of the first row; `None`: zeros.
    pub fn frame(&self, at: usize) -> Option<&'a [f32]> {
        let at = usize::try_from(self.start + at as isize).ok()?;
        (at < self.there.count).then(|| self.there.row(at, self.depth))
    }
}
