//! Softmax attention in `bf16`, of some queries of one head over all its keys: scores, weights and what is weighed are
//! rounded to it, sums and the softmax are `f32`.

use std::arch::x86_64::*;

use super::{Pair, WIDTH, round, tile};
use crate::cpu::{
    detect::SimdLevel,
    element::Element,
    matrix::{PANEL, Panels, Rows, Target, panels},
};

/// Factors of the powers of the rest, in [`exp2`].
const EXP2: [f32; 4] = [0.99992454, 0.69313675, 0.24263948, 0.055838283];

/// Queries that are worked on at once: as many rows as [`tile`] has registers for.
const BLOCK: usize = 12;

/// Memory of a thread; it grows with the keys of a head.
#[derive(Default)]
pub struct Memory {
    keys: Vec<Pair>,
    values: Vec<Pair>,
    queries: Vec<Pair>,
    /// A row for each query, as long as all panels of keys.
    scores: Vec<f32>,
    weights: Vec<Pair>,
}

/// Attention of each of the queries over all keys. `keys`: `[head_dim, positions]`, scaled, an even `head_dim`; `values`:
/// `[positions, head_dim]`.
///
/// # Safety
/// The target's memory is alive, and nobody else uses this part of it meanwhile.
pub unsafe fn attend<E: Element>(
    level: SimdLevel,
    queries: Rows<'_>,
    keys: Panels<'_, E>,
    values: Panels<'_, E>,
    target: Target,
    memory: &mut Memory,
) {
    super::check_level(level);
    let (last, head_dim) = (queries.count.saturating_sub(1), keys.depth);
    assert!(head_dim.is_multiple_of(2), "heads of {head_dim} numbers are not pairs");
    assert!(values.depth == keys.columns && values.columns == head_dim, "keys and values do not match");
    assert!(last * queries.stride + head_dim <= queries.data.len(), "the queries are too few");
    assert!(last * target.stride + head_dim <= target.len, "the target is too small");
    // SAFETY: the processor has the instructions, and everything has the sizes that it should have.
    unsafe { memory.attend(queries, keys, values, target) }
}

/// Each panel as one of pairs, with zeros after an odd depth.
#[target_feature(enable = "avx512f,avx512bf16,avx2,fma,f16c")]
unsafe fn pair_panels<E: Element>(matrix: Panels<'_, E>, pairs: &mut Vec<Pair>) {
    let depth = matrix.depth.div_ceil(2);
    pairs.clear();
    pairs.resize(panels(matrix.columns) * depth * PANEL, 0);
    for (panel, to) in pairs.chunks_exact_mut(depth * PANEL).enumerate() {
        let from = &matrix.data[panel * matrix.stride..][..matrix.depth * PANEL];
        for (two, to) in from.chunks(2 * PANEL).zip(to.chunks_exact_mut(PANEL)) {
            for at in [0, WIDTH] {
                // SAFETY: a row of a panel is two vectors, in pairs too.
                unsafe {
                    let low = as_bf16(E::load::<__m512>(two.as_ptr().add(at)));
                    let high = match two.len() > PANEL {
                        true => as_bf16(E::load::<__m512>(two.as_ptr().add(PANEL + at))),
                        false => _mm512_setzero_si512(),
                    };
                    let both = _mm512_or_si512(low, _mm512_slli_epi32::<16>(high));
                    _mm512_storeu_si512(to.as_mut_ptr().add(at).cast(), both);
                }
            }
        }
    }
}

/// Each number rounded, in the lower half of its lane.
#[target_feature(enable = "avx512f,avx512bf16,avx2")]
#[inline]
fn as_bf16(numbers: __m512) -> __m512i {
    // SAFETY: both are 32 bytes.
    _mm512_cvtepu16_epi32(unsafe { std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(numbers)) })
}

/// `2^x` for `x` up to 0, relative error 1.1e-4, where `bf16` rounds by up to 4e-3; below -126 it is `2^-126`. The polynomial
/// meets it at the Chebyshev nodes of [-1/2, 1/2].
#[target_feature(enable = "avx512f")]
#[inline]
fn exp2(x: __m512) -> __m512 {
    let x = _mm512_max_ps(x, _mm512_set1_ps(-126.0));
    let whole = _mm512_roundscale_ps::<_MM_FROUND_TO_NEAREST_INT>(x);
    let rest = _mm512_sub_ps(x, whole);
    let mut series = _mm512_set1_ps(EXP2[3]);
    for factor in [EXP2[2], EXP2[1], EXP2[0]] {
        series = _mm512_fmadd_ps(series, rest, _mm512_set1_ps(factor));
    }
    _mm512_scalef_ps(series, whole)
}

// === impl Memory ===

impl Memory {
    #[target_feature(enable = "avx512f,avx512bf16,avx2,fma,f16c")]
    unsafe fn attend<E: Element>(
        &mut self,
        queries: Rows<'_>,
        keys: Panels<'_, E>,
        values: Panels<'_, E>,
        target: Target,
    ) {
        let (head_dim, positions) = (keys.depth, keys.columns);
        let width = panels(positions) * PANEL;
        self.scores.resize(BLOCK * width, 0.0);
        self.weights.resize(BLOCK * width / 2, 0);
        // SAFETY: as the caller's.
        unsafe {
            pair_panels(keys, &mut self.keys);
            pair_panels(values, &mut self.values);
            for first in (0..queries.count).step_by(BLOCK) {
                let queries = queries.part(first, BLOCK);
                self.queries.clear();
                self.queries.resize(BLOCK * head_dim / 2, 0);
                for (row, to) in self.queries.chunks_exact_mut(head_dim / 2).enumerate().take(queries.count) {
                    round(queries.row(row, head_dim), to);
                }
                let most = self.score(head_dim / 2, positions, width);
                let sums = self.weigh(&most, width);
                self.mix(&sums[..queries.count], head_dim, (positions.div_ceil(2), width / 2), target.at(first, 0));
            }
        }
    }

    /// Scores, and the highest of each row.
    #[target_feature(enable = "avx512f,avx512bf16,avx2,fma,f16c")]
    unsafe fn score(&mut self, depth: usize, positions: usize, width: usize) -> [f32; BLOCK] {
        let mut most = [_mm512_set1_ps(f32::NEG_INFINITY); BLOCK];
        for (panel, keys) in self.keys.chunks_exact(depth * PANEL).enumerate() {
            let column = panel * PANEL;
            let there = positions - column;
            // SAFETY: as the caller's; the scores have so many rows and columns.
            unsafe {
                let mut scores = tile::<BLOCK>(self.queries.as_ptr(), (depth, 0), keys.as_ptr().cast(), (depth, 1));
                for (row, (scores, most)) in scores.iter_mut().zip(&mut most).enumerate() {
                    if there < PANEL {
                        scores[there..].fill(f32::NEG_INFINITY);
                    }
                    let both = (_mm512_loadu_ps(scores.as_ptr()), _mm512_loadu_ps(scores[WIDTH..].as_ptr()));
                    *most = _mm512_max_ps(*most, _mm512_max_ps(both.0, both.1));
                    let to = self.scores.as_mut_ptr().add(row * width + column);
                    _mm512_storeu_ps(to, both.0);
                    _mm512_storeu_ps(to.add(WIDTH), both.1);
                }
            }
        }
        most.map(|most| _mm512_reduce_max_ps(most))
    }

    /// Weights of each row, and their sum.
    #[target_feature(enable = "avx512f,avx512bf16,avx2,fma,f16c")]
    unsafe fn weigh(&mut self, most: &[f32; BLOCK], width: usize) -> [f32; BLOCK] {
        let mut sums = [0.0; BLOCK];
        let rows = self.scores.chunks_exact(width).zip(self.weights.chunks_exact_mut(width / 2));
        for ((scores, weights), (most, sum)) in rows.zip(most.iter().zip(&mut sums)) {
            let most = _mm512_set1_ps(most * std::f32::consts::LOG2_E);
            let mut all = _mm512_setzero_ps();
            for (scores, weights) in scores.chunks_exact(WIDTH).zip(weights.chunks_exact_mut(WIDTH / 2)) {
                // SAFETY: both are as long as a vector of theirs.
                unsafe {
                    let scores = _mm512_loadu_ps(scores.as_ptr());
                    let weight = exp2(_mm512_fmsub_ps(scores, _mm512_set1_ps(std::f32::consts::LOG2_E), most));
                    all = _mm512_add_ps(all, weight);
                    weights.as_mut_ptr().cast::<__m256bh>().write_unaligned(_mm512_cvtneps_pbh(weight));
                }
            }
            *sum = _mm512_reduce_add_ps(all);
        }
        sums
    }

    /// The values, weighed.
    #[target_feature(enable = "avx512f,avx512bf16,avx2,fma,f16c")]
    unsafe fn mix(&self, sums: &[f32], head_dim: usize, (depth, stride): (usize, usize), target: Target) {
        for (panel, values) in self.values.chunks_exact(depth * PANEL).enumerate() {
            // SAFETY: as the caller's.
            let mut mixed =
                unsafe { tile::<BLOCK>(self.weights.as_ptr(), (stride, 0), values.as_ptr().cast(), (depth, 1)) };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::{
        attention::{PanelQueries, attend},
        kv_panels::{CacheShape, KvPanels},
    };

    fn numbers(count: usize, step: f32) -> Vec<f32> {
        (0..count).map(|at| 2.0 * (at as f32 * step).sin()).collect()
    }

    #[test]
    fn attention_in_bf16_is_near_the_exact_one() {
        let levels = SimdLevel::available().iter().filter(|level| level.in_bf16().rounds_to_bf16());
        let sizes = [(64, 300, 200), (64, 33, 33), (32, 1, 40), (80, 1500, 37), (6, 31, 32)];
        for (&level, (head_dim, len, queries)) in levels.flat_map(|level| sizes.map(|sizes| (level, sizes))) {
            let shape = CacheShape { heads: 2, head_dim, capacity: len + 5 };
            let (width, caches) = (2 * head_dim, [KvPanels::full, KvPanels::half]);
            let (keys, values) = (numbers(len * width, 0.37), numbers(len * width, 0.61));
            let rows = numbers(queries * width, 0.23);
            for new in caches {
                let [exact, found] = [level, level.in_bf16()].map(|level| {
                    let mut cache = new(level, shape);
                    cache.write_keys(0, Rows::new(&keys, width));
                    cache.write_values(0, Rows::new(&values, width));
                    let queried = [PanelQueries { cache: &cache, len, queries, causal: false, group: 1 }];
                    attend(Rows::new(&rows, width), width, &queried)
                });
                assert!(exact != found, "nothing was rounded");
                let off = exact.iter().zip(&found).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(off < 3e-2, "{level:?}, {head_dim}, {len}, {queries}: {off} of 2");
            }
        }
    }
}
