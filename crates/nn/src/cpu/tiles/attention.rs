//! Softmax attention on the matrix unit, of some queries of one head over all its keys.

use std::arch::x86_64::*;

use super::{
    shape::{BLOCK, CHUNK, NO_TILE, TILE, Tile},
    split::{Chunk, split_pairs, split_row},
    split_rows, tiles_of_chunk,
    unit::{self, Block, Left, configure, release},
};
use crate::cpu::{
    detect::SimdLevel,
    element::Element,
    matrix::{PANEL, Panels, Rows, Target, panels},
};

/// Memory of a thread; it grows with the keys of a head.
#[derive(Default)]
pub struct Memory<const PARTS: usize> {
    keys: Vec<Tile>,
    values: Vec<Tile>,
    queries: Vec<Chunk<PARTS>>,
    /// Of a panel of keys each: scores, then in their place the weights, in the parts of a left matrix.
    scores: Vec<Scores>,
}

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Scores(Block);

/// Attention of each of the queries over all keys. `keys`: `[head_dim, positions]`, scaled; `values`: `[positions, head_dim]`.
/// The processor must have the unit.
///
/// # Safety
/// The target's memory is alive, and nobody else uses this part of it meanwhile.
pub unsafe fn attend<const PARTS: usize, E: Element>(
    queries: Rows<'_>,
    keys: Panels<'_, E>,
    values: Panels<'_, E>,
    target: Target,
    memory: &mut Memory<PARTS>,
) {
    assert!(SimdLevel::detect().has_tiles(), "there is no matrix unit");
    let (last, head_dim) = (queries.count.saturating_sub(1), keys.depth);
    assert!(values.depth == keys.columns && values.columns == head_dim, "keys and values do not match");
    assert!(last * queries.stride + head_dim <= queries.data.len(), "the queries are too few");
    assert!(last * target.stride + head_dim <= target.len, "the target is too small");
    // SAFETY: the unit is there, and everything has the sizes that it should have.
    unsafe { memory.attend(queries, keys, values, target) }
}

/// Each panel, in chunks of its depth, as tiles of a right matrix. What does not fill a chunk is filled up with zeros.
#[target_feature(enable = "avx512f,avx2,fma,f16c")]
unsafe fn split_panels<const PARTS: usize, E: Element>(matrix: Panels<'_, E>, tiles: &mut Vec<Tile>) {
    let chunks = matrix.depth.div_ceil(CHUNK);
    tiles.resize(panels(matrix.columns) * chunks * tiles_of_chunk(PARTS), NO_TILE);
    for (at, tiles) in tiles.chunks_exact_mut(tiles_of_chunk(PARTS)).enumerate() {
        let (panel, first) = (at / chunks, at % chunks * CHUNK);
        let from = &matrix.data[panel * matrix.stride + first * PANEL..][..CHUNK.min(matrix.depth - first) * PANEL];
        let mut rows = [0.0; CHUNK * PANEL];
        // SAFETY: a panel's rows are whole vectors.
        unsafe {
            for (from, to) in from.chunks_exact(TILE).zip(rows.chunks_exact_mut(TILE)) {
                _mm512_storeu_ps(to.as_mut_ptr(), E::load::<__m512>(from.as_ptr()));
            }
            split_rows::<PARTS>(rows.as_ptr(), tiles);
        }
    }
}

/// `2^x` for `x` up to 0, relative error 2e-7; below -120 it is `2^-120`. The polynomial meets it at the Chebyshev nodes of
/// [-1/2, 1/2].
#[target_feature(enable = "avx512f")]
fn exp2(x: __m512) -> __m512 {
    /// Added to a number, it leaves the nearest whole one in the lowest bits.
    const WHOLE: f32 = 12_582_912.0;
    let x = _mm512_max_ps(x, _mm512_set1_ps(-120.0));
    let shifted = _mm512_add_ps(x, _mm512_set1_ps(WHOLE));
    let rest = _mm512_sub_ps(x, _mm512_sub_ps(shifted, _mm512_set1_ps(WHOLE)));
    let mut series = _mm512_set1_ps(1.339_086_3e-3);
    for factor in [9.676_032e-3, 5.550_357e-2, 2.402_210_7e-1, 6.931_472e-1, 1.000_000_1] {
        series = _mm512_fmadd_ps(series, rest, _mm512_set1_ps(factor));
    }
    let exponent = _mm512_slli_epi32::<23>(_mm512_castps_si512(shifted));
    _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(series), exponent))
}

// === impl Memory ===

impl<const PARTS: usize> Memory<PARTS> {
    #[target_feature(enable = "avx512f,avx2,fma,f16c")]
    unsafe fn attend<E: Element>(
        &mut self,
        queries: Rows<'_>,
        keys: Panels<'_, E>,
        values: Panels<'_, E>,
        target: Target,
    ) {
        let (head_dim, positions) = (keys.depth, keys.columns);
        self.scores.resize(panels(positions), Scores([[0.0; PANEL]; BLOCK]));
        // SAFETY: as the caller's.
        unsafe {
            split_panels::<PARTS, E>(keys, &mut self.keys);
            split_panels::<PARTS, E>(values, &mut self.values);
            configure();
            for first in (0..queries.count).step_by(BLOCK) {
                let queries = queries.part(first, BLOCK);
                let most = self.score(queries, head_dim, positions);
                let sums = self.weigh(&most);
                self.mix(&sums[..queries.count], head_dim, target.at(first, 0));
            }
            release();
        }
    }

    /// Scores as powers of two, and the highest of each row.
    #[target_feature(enable = "avx512f,avx2,fma,f16c")]
    unsafe fn score(&mut self, queries: Rows<'_>, head_dim: usize, positions: usize) -> [f32; BLOCK] {
        let chunks = head_dim.div_ceil(CHUNK);
        self.queries.clear();
        self.queries.resize(BLOCK * chunks, Chunk::ZERO);
        for (row, to) in self.queries.chunks_exact_mut(chunks).enumerate().take(queries.count) {
            split_row(queries.row(row, head_dim), std::f32::consts::LOG2_E, to);
        }
        let mut most = [_mm512_set1_ps(f32::NEG_INFINITY); BLOCK];
        for (panel, (Scores(scores), keys)) in
            self.scores.iter_mut().zip(self.keys.chunks_exact(chunks * tiles_of_chunk(PARTS))).enumerate()
        {
            // SAFETY: as the caller's; there are as many queries as a block has rows.
            unsafe {
                let left = Left::rows::<PARTS>(chunks);
                unit::multiply::<PARTS>(self.queries.as_ptr().cast(), left, keys.as_ptr(), scores);
            }
            let there = positions - panel * PANEL;
            if there < PANEL {
                scores.iter_mut().for_each(|row| row[there..].fill(f32::NEG_INFINITY));
            }
            for (most, row) in most.iter_mut().zip(scores) {
                // SAFETY: a row is two vectors.
                let both = unsafe { (_mm512_loadu_ps(row.as_ptr()), _mm512_loadu_ps(row[TILE..].as_ptr())) };
                *most = _mm512_max_ps(*most, _mm512_max_ps(both.0, both.1));
            }
        }
        most.map(|most| _mm512_reduce_max_ps(most))
    }

    /// Scores become weights; the sum of each row.
    #[target_feature(enable = "avx512f,avx2,fma,f16c")]
    unsafe fn weigh(&mut self, most: &[f32; BLOCK]) -> [f32; BLOCK] {
        let mut sums = [_mm512_setzero_ps(); BLOCK];
        for Scores(scores) in &mut self.scores {
            for ((row, sum), most) in scores.iter_mut().zip(&mut sums).zip(most) {
                let most = _mm512_set1_ps(*most);
                // SAFETY: a row is two vectors of numbers, and one of pairs for each part.
                unsafe {
                    let first = exp2(_mm512_sub_ps(_mm512_loadu_ps(row.as_ptr()), most));
                    let second = exp2(_mm512_sub_ps(_mm512_loadu_ps(row[TILE..].as_ptr()), most));
                    *sum = _mm512_add_ps(*sum, _mm512_add_ps(first, second));
                    for (to, part) in row.chunks_exact_mut(TILE).zip(split_pairs::<PARTS>(first, second)) {
                        _mm512_storeu_si512(to.as_mut_ptr().cast(), part);
                    }
                }
            }
        }
        sums.map(|sum| _mm512_reduce_add_ps(sum))
    }

    /// The values, weighed.
    #[target_feature(enable = "avx512f,avx2,fma,f16c")]
    unsafe fn mix(&self, sums: &[f32], head_dim: usize, target: Target) {
        let chunks = self.scores.len();
        let left = Left { stride: size_of::<[f32; PANEL]>(), step: size_of::<Scores>(), chunks, jump: 0, taps: 1 };
        let mut mixed: Block = [[0.0; PANEL]; BLOCK];
        for (panel, values) in self.values.chunks_exact(chunks * tiles_of_chunk(PARTS)).enumerate() {
            // SAFETY: as the caller's; the weights of a row are a chunk in each panel.
            unsafe { unit::multiply::<PARTS>(self.scores.as_ptr().cast(), left, values.as_ptr(), &mut mixed) };
            let width = PANEL.min(head_dim - panel * PANEL);
            for (row, (mixed, sum)) in mixed.iter_mut().zip(sums).enumerate() {
                let share = 1.0 / sum;
                mixed.iter_mut().for_each(|number| *number *= share);
                // SAFETY: the caller held the target against so many rows and columns.
                unsafe {
                    let to = target.data.add(row * target.stride + panel * PANEL);
                    to.copy_from_nonoverlapping(mixed.as_ptr(), width);
                }
            }
        }
    }
}
