//! The left matrix of a product that is a convolution.

use std::borrow::Cow;

use rayon::prelude::*;

use super::matrix::Rows;

/// Numbers that one task lays out.
const BLOCK: usize = 1 << 14;

/// Rows that are made of frames: row `r` is the frames `start + r * step + tap * dilation` of all taps, side by side. Frames
/// before the first that is there, and after the last, are zeros.
#[derive(Clone, Copy)]
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

    /// In one piece: first the frames whose number divided by the dilation leaves 0, then those that leave 1, and so on, as
    /// many of each. So the frames of a row are neighbours. Where they are already, nothing is copied.
    pub fn by_phase(&self) -> Cow<'a, [f32]> {
        if let Some(there) = self.in_place() {
            return Cow::Borrowed(there);
        }
        let (span, of_phase) = (self.span(), self.span().div_ceil(self.dilation));
        let mut all = vec![0.0; of_phase * self.dilation * self.depth];
        let block = (BLOCK / self.depth).max(1);
        all.par_chunks_mut(block * self.depth).enumerate().for_each(|(at, to)| {
            for (place, to) in (at * block..).zip(to.chunks_exact_mut(self.depth)) {
                let at = place % of_phase * self.dilation + place / of_phase;
                if let Some(frame) = self.frame(at).filter(|_| at < span) {
                    to.copy_from_slice(frame);
                }
            }
        });
        Cow::Owned(all)
    }

    /// All of them, if they are there side by side.
    fn in_place(&self) -> Option<&'a [f32]> {
        let (start, span) = (usize::try_from(self.start).ok()?, self.span());
        let whole = self.dilation == 1 && self.there.stride == self.depth && start + span <= self.there.count;
        whole.then(|| &self.there.data[start * self.depth..(start + span) * self.depth])
    }
}
