//! The left matrix: quantised for one product.

use rayon::prelude::*;

use super::{
    super::{
        detect::SimdLevel,
        matrix::Rows,
        simd::{Lanes, vectorised},
    },
    block::{BLOCK, LARGEST, largest_of, nearest},
    weights::OFFSET,
};

/// Numbers above which rows are quantised on several threads: to wake another takes as long.
const SMALL: usize = 1 << 16;

/// Rows of whole blocks; what the last one lacks is zeros.
pub(super) struct Q8Rows {
    /// `[rows, blocks * BLOCK]`
    numbers: Vec<i8>,
    /// `[rows, blocks]`
    blocks: Vec<RowBlock>,
    per_row: usize,
}

/// What is said of a block.
#[derive(Clone, Copy, Default)]
pub(super) struct RowBlock {
    pub scale: f32,
    /// What its dot products begin with, since as much is added to each of the weights.
    pub start: i32,
}

// === impl Q8Rows ===

impl Q8Rows {
    pub fn new(level: SimdLevel, rows: Rows<'_>, depth: usize) -> Self {
        let per_row = depth.div_ceil(BLOCK);
        let mut numbers = vec![0; rows.count * per_row * BLOCK];
        let mut blocks = vec![RowBlock::default(); rows.count * per_row];
        let width = (per_row * BLOCK).max(1);
        if rows.count * depth < SMALL {
            let all = numbers.chunks_exact_mut(width).zip(blocks.chunks_exact_mut(per_row.max(1))).enumerate();
            all.for_each(|(row, (numbers, blocks))| quantize_row(level, rows.row(row, depth), numbers, blocks));
        } else {
            let all = numbers.par_chunks_exact_mut(width).zip(blocks.par_chunks_exact_mut(per_row.max(1)));
            all.enumerate()
                .for_each(|(row, (numbers, blocks))| quantize_row(level, rows.row(row, depth), numbers, blocks));
        }
        Self { numbers, blocks, per_row }
    }

    /// The numbers of a row and of those after it, and what is said of their blocks.
    pub fn from(&self, row: usize) -> (&[i8], &[RowBlock]) {
        (&self.numbers[row * self.per_row * BLOCK..], &self.blocks[row * self.per_row..])
    }
}

vectorised! {
    fn quantize_row(from: &[f32], numbers: &mut [i8], blocks: &mut [RowBlock]) = quantize_row_there
}

#[inline(always)]
unsafe fn quantize_row_there<V: Lanes>(from: &[f32], numbers: &mut [i8], blocks: &mut [RowBlock]) {
    for ((from, numbers), block) in from.chunks(BLOCK).zip(numbers.as_chunks_mut().0).zip(blocks) {
        let mut padded = [0.0; BLOCK];
        *block = quantize(
            from.as_array().unwrap_or_else(|| {
                padded[..from.len()].copy_from_slice(from);
                &padded
            }),
            numbers,
        );
    }
}

#[inline(always)]
fn quantize(from: &[f32; BLOCK], to: &mut [i8; BLOCK]) -> RowBlock {
    let largest = largest_of(from);
    let scale = largest / LARGEST;
    // What is too small to be divided by is nothing.
    let inverse = if scale.is_normal() { LARGEST / largest } else { 0.0 };
    let mut sum = 0;
    for (to, x) in to.iter_mut().zip(from) {
        *to = nearest(x * inverse) as i8;
        sum += i32::from(*to);
    }
    // With a number that is not finite no product is a number.
    let scale = if largest.is_finite() { scale } else { f32::NAN };
    RowBlock { scale, start: -OFFSET * sum }
}
