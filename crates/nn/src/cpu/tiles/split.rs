//! Numbers as sums of two `bf16`, in the order in which tiles take them.
//!
//! A tile multiplies pairs: of the left matrix two numbers of a row side by side, of the right one two numbers of a column.
//! Which two is free as long as both sides agree; here a pair is number `i` of a chunk and number `TILE + i`, so that a lane of
//! two vectors makes a pair without any shuffling.

use std::arch::x86_64::*;

use super::shape::{CHUNK, TILE};
use crate::cpu::frames::Frames;

/// A chunk of a row: its pairs, high and then low. Two lines of the cache.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub struct Chunk(pub [u32; 2 * TILE]);

/// Bytes of a [`Chunk`].
pub const CHUNK_BYTES: usize = size_of::<Chunk>();

pub const NO_CHUNK: Chunk = Chunk([0; 2 * TILE]);

/// Pairs of two vectors: of their high parts, and of what those leave.
#[target_feature(enable = "avx512f")]
pub fn split_pairs(first: __m512, second: __m512) -> (__m512i, __m512i) {
    let (first_high, second_high) = (high(first), high(second));
    let first_low = _mm512_sub_ps(first, _mm512_castsi512_ps(first_high));
    let second_low = _mm512_sub_ps(second, _mm512_castsi512_ps(second_high));
    (pairs(first_high, second_high), pairs(rounded(first_low), rounded(second_low)))
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
pub fn split_row(numbers: &[f32], scale: f32, chunks: &mut [Chunk]) {
    let scale = _mm512_set1_ps(scale);
    for (numbers, chunk) in numbers.chunks(CHUNK).zip(chunks) {
        let mut padded = [0.0; CHUNK];
        let numbers: &[f32; CHUNK] = numbers.first_chunk().unwrap_or_else(|| {
            padded[..numbers.len()].copy_from_slice(numbers);
            &padded
        });
        // SAFETY: a chunk is two vectors of numbers, and two of pairs.
        unsafe {
            let first = _mm512_mul_ps(_mm512_loadu_ps(numbers.as_ptr()), scale);
            let second = _mm512_mul_ps(_mm512_loadu_ps(numbers[TILE..].as_ptr()), scale);
            let (high, low) = split_pairs(first, second);
            _mm512_store_si512(chunk.0.as_mut_ptr().cast(), high);
            _mm512_store_si512(chunk.0[TILE..].as_mut_ptr().cast(), low);
        }
    }
}

/// Every frame once, `[frames, chunks]`; as many as `rows` rows reach over, of which those that are not there are zeros.
#[target_feature(enable = "avx512f")]
pub fn split_frames(frames: Frames<'_>, rows: usize, to: &mut Vec<Chunk>) {
    let chunks = frames.depth.div_ceil(CHUNK);
    let span = Frames { count: rows, ..frames }.span();
    to.clear();
    to.resize(span * chunks, NO_CHUNK);
    for (at, chunks) in to.chunks_exact_mut(chunks).enumerate().take(frames.span()) {
        if let Some(frame) = frames.frame(at) {
            split_row(frame, 1.0, chunks);
        }
    }
}
