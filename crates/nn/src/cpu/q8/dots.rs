//! Dot products of bytes, in the ways that processors have for them.
#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "every block stands in an `unsafe fn` whose contract, that of `ByteDots`, is the block's own"
)]

use super::{
    super::simd::{Eight, Lanes},
    weights::{FOUR, OFFSET},
};

/// Some columns that are worked on together: as many as there are numbers in a vector of `f32`.
///
/// # Safety
/// Every method needs the instructions that the type stands for, so callers live in functions that enable them.
pub(super) unsafe trait ByteDots {
    /// Of `f32`, for what follows.
    type Lanes: Lanes;
    /// Four weights of each column.
    type Weights: Copy;
    /// Four numbers of a row, for every column.
    type Row: Copy;
    /// A whole number for each column.
    type Sums: Copy;
    /// Rows whose sums fit into the registers, of a whole panel.
    const ROWS: usize;

    unsafe fn weights(from: *const u8) -> Self::Weights;
    unsafe fn row(from: *const i8) -> Self::Row;
    /// Sums that become right when all dot products are added: `start` makes up for what is added to weights.
    unsafe fn sums(start: i32) -> Self::Sums;
    /// Adds the dot product of each column.
    unsafe fn add(sums: Self::Sums, weights: Self::Weights, row: Self::Row) -> Self::Sums;
    unsafe fn numbers(sums: Self::Sums) -> Self::Lanes;
}

/// Whatever the compiler makes of it.
pub(super) struct Plain;

const COLUMNS: usize = Eight::WIDTH;

// SAFETY: arrays need no instructions of their own.
unsafe impl ByteDots for Plain {
    type Lanes = Eight;
    type Weights = [[i16; COLUMNS]; FOUR];
    type Row = [i16; FOUR];
    type Sums = [i32; COLUMNS];
    const ROWS: usize = 2;

    /// One number of each column at a time, as vectors have them.
    #[inline(always)]
    unsafe fn weights(from: *const u8) -> Self::Weights {
        let bytes = unsafe { from.cast::<[[u8; FOUR]; COLUMNS]>().read() };
        std::array::from_fn(|k| bytes.map(|four| i16::from(four[k]) - OFFSET as i16))
    }

    #[inline(always)]
    unsafe fn row(from: *const i8) -> Self::Row {
        unsafe { from.cast::<[i8; FOUR]>().read() }.map(i16::from)
    }

    #[inline(always)]
    unsafe fn sums(_start: i32) -> Self::Sums {
        [0; COLUMNS]
    }

    #[inline(always)]
    unsafe fn add(mut sums: Self::Sums, weights: Self::Weights, row: Self::Row) -> Self::Sums {
        for (weights, x) in weights.iter().zip(row) {
            for (sum, weight) in sums.iter_mut().zip(weights) {
                *sum += i32::from(*weight) * i32::from(x);
            }
        }
        sums
    }

    #[inline(always)]
    unsafe fn numbers(sums: Self::Sums) -> Self::Lanes {
        unsafe { Eight::load(sums.map(|sum| sum as f32).as_ptr()) }
    }
}
