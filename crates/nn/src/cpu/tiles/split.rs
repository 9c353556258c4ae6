//! Numbers as `bf16`, or as sums of two of them, in the order in which tiles take them.
//!
//! A tile multiplies pairs: of the left matrix two numbers of a row side by side, of the right one two numbers of a column.
//! Which two is free as long as both sides agree; here a pair is number `i` of a chunk and number `TILE + i`, so that a lane of
//! two vectors makes a pair without any shuffling.
//!
//! `PARTS` is what a number is made of: [`ROUNDED`] to one `bf16`, or [`SPLIT`] into two.

use std::arch::x86_64::*;

use super::shape::{CHUNK, TILE};
use crate::cpu::frames::Frames;

/// The nearest `bf16`.
pub const ROUNDED: usize = 1;

/// A sum of two `bf16`.
pub const SPLIT: usize = 2;

/// A chunk of a row: its pairs, high and then, where numbers are split, low. As many lines of the cache.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub struct Chunk<const PARTS: usize>(pub [[u32; TILE]; PARTS]);

// === impl Chunk ===

impl<const PARTS: usize> Chunk<PARTS> {
    pub const BYTES: usize = size_of::<Self>();

    pub const ZERO: Self = Self([[0; TILE]; PARTS]);
}

/// Pairs of two vectors: of their high parts, and of what those leave.
#[target_feature(enable = "avx512f")]
pub fn split_pairs<const PARTS: usize>(first: __m512, second: __m512) -> [__m512i; PARTS] {
    let highs = (high(first), high(second));
    let mut parts = [pairs(highs.0, highs.1); PARTS];
    if let Some(low) = parts.get_mut(1) {
        let first = _mm512_sub_ps(first, _mm512_castsi512_ps(highs.0));
        let second = _mm512_sub_ps(second, _mm512_castsi512_ps(highs.1));
        *low = pairs(rounded(first), rounded(second));
    }
    parts
}

/// To the nearest `bf16`, in the upper half of each lane.
#[target_feature(enable = "avx512f")]
fn high(x: __m512) -> __m512i {
    _mm512_and_si512(rounded(x), _mm512_set1_epi32(!0xffff))
}

/// The upper half of each lane is the nearest `bf16`; the lower one is anything.
#[target_feature(enable = "avx512f")]
fn rounded(x: __m512) -> __m512i {
    _mm512_add_epi32(_mm512_castps_si512(x), _mm512_set1_epi32(0x8000))
}

/// The upper halves of each lane of both, the first one's below.
#[target_feature(enable = "avx512f")]
fn pairs(first: __m512i, second: __m512i) -> __m512i {
    /// `a | (b & c)`
    const OR_AND: i32 = 0xf8;
    _mm512_ternarylogic_epi32::<OR_AND>(_mm512_srli_epi32::<16>(first), second, _mm512_set1_epi32(!0xffff))
}

/// The numbers of a row as chunks, times `scale`. The last chunk is filled up with zeros.
#[target_feature(enable = "avx512f")]
pub fn split_row<const PARTS: usize>(numbers: &[f32], scale: f32, chunks: &mut [Chunk<PARTS>]) {
    let scale = _mm512_set1_ps(scale);
    for (numbers, chunk) in numbers.chunks(CHUNK).zip(chunks) {
        let mut padded = [0.0; CHUNK];
        let numbers: &[f32; CHUNK] = numbers.first_chunk().unwrap_or_else(|| {
            padded[..numbers.len()].copy_from_slice(numbers);
            &padded
        });
        // SAFETY: a chunk is two vectors of numbers, and one of pairs for each part.
        unsafe {
            let first = _mm512_mul_ps(_mm512_loadu_ps(numbers.as_ptr()), scale);
            let second = _mm512_mul_ps(_mm512_loadu_ps(numbers[TILE..].as_ptr()), scale);
            for (to, part) in chunk.0.iter_mut().zip(split_pairs::<PARTS>(first, second)) {
                _mm512_store_si512(to.as_mut_ptr().cast(), part);
            }
        }
    }
}

/// Every frame once, `[frames, chunks]`; as many as `rows` rows reach over, of which those that are not there are zeros.
#[target_feature(enable = "avx512f")]
pub fn split_frames<const PARTS: usize>(frames: Frames<'_>, rows: usize, to: &mut Vec<Chunk<PARTS>>) {
    let chunks = frames.depth.div_ceil(CHUNK);
    let span = Frames { count: rows, ..frames }.span();
    to.clear();
    to.resize(span * chunks, Chunk::ZERO);
    for (at, chunks) in to.chunks_exact_mut(chunks).enumerate().take(frames.span()) {
        if let Some(frame) = frames.frame(at) {
            split_row(frame, 1.0, chunks);
        }
    }
}
