//! Softmax attention whose scores also say how far apart two positions are, on every thread of the current pool.

use rayon::prelude::*;

use super::{
    detect::SimdLevel,
    epilogue::KernelEpilogue,
    kv_panels::{CacheShape, Panelled},
    math::softmax,
    matrix::{PANEL, Rows, Target, panels},
    panels::multiply,
};

/// Queries that one task takes: their two scores over a thousand positions stay in the second-level cache.
const BLOCK_QUERIES: usize = 48;

/// A sequence that attends to itself. All rows are of `heads * head_dim` numbers.
#[derive(Clone, Copy)]
pub struct RelativeSequence<'a> {
    pub level: SimdLevel,
    pub heads: usize,
    pub head_dim: usize,
    pub queries: Rows<'a>,
    pub keys: Rows<'a>,
    pub values: Rows<'a>,
    /// From the farthest before a query to the farthest after it: one less than two of each position.
    pub distances: Rows<'a>,
    /// Added to a query before it meets the keys; one row.
    pub content_bias: &'a [f32],
    /// Added to a query before it meets the distances; one row.
    pub distance_bias: &'a [f32],
}

/// The same, laid out.
struct Laid<'a> {
    sequence: RelativeSequence<'a>,
    /// Keys and values.
    positions: (Panelled<f32>, CacheShape),
    /// Instead of keys.
    distances: (Panelled<f32>, CacheShape),
}

/// Memory of a thread.
#[derive(Default)]
struct Memory {
    queries: Vec<f32>,
    scores: Vec<f32>,
    by_distance: Vec<f32>,
}

/// `[positions, heads * head_dim]`
pub fn attend(sequence: RelativeSequence<'_>) -> Vec<f32> {
    let width = sequence.heads * sequence.head_dim;
    let positions = sequence.queries.count;
    let mut out = vec![0.0; positions * width];
    let target = Target::new(&mut out, width);
    let laid = Laid::new(sequence);
    let blocks = positions.div_ceil(BLOCK_QUERIES);
    (0..sequence.heads * blocks).into_par_iter().for_each_init(Memory::default, |memory, task| {
        laid.attend(task / blocks, task % blocks * BLOCK_QUERIES, memory, target);
    });
    out
}

// === impl Laid ===

impl<'a> Laid<'a> {
    fn new(sequence: RelativeSequence<'a>) -> Self {
        let RelativeSequence { level, heads, head_dim, keys, values, distances, .. } = sequence;
        let shape = CacheShape { heads, head_dim, capacity: keys.count };
        let mut positions = Panelled::new(shape);
        positions.write_keys(level, shape, 0, keys);
        positions.write_values(level, shape, 0, values);
        let far = CacheShape { capacity: distances.count, ..shape };
        let mut by_distance = Panelled::without_values(far);
        by_distance.write_keys(level, far, 0, distances);
        Self { sequence, positions: (positions, shape), distances: (by_distance, far) }
    }

    /// Some queries of one head, from `first` on.
    fn attend(&self, head: usize, first: usize, memory: &mut Memory, target: Target) {
        let (level, len) = (self.sequence.level, self.sequence.queries.count);
        let count = BLOCK_QUERIES.min(len - first);
        self.score(head, first, count, memory);
        memory.scores.chunks_exact_mut(len).for_each(|row| softmax(level, row));
        let scores = Rows::new(&memory.scores, len);
        let values = self.positions.0.values(self.positions.1, head, len);
        let target = target.at(first, head * self.sequence.head_dim);
        // SAFETY: tasks have different rows or, by their heads, different columns.
        unsafe { multiply(level, scores, values, target, KernelEpilogue::default()) };
    }

    /// Fills the scores, `[count, positions]`.
    fn score(&self, head: usize, first: usize, count: usize, memory: &mut Memory) {
        let RelativeSequence { level, queries, content_bias, distance_bias, .. } = self.sequence;
        let Memory { queries: biased, scores, by_distance } = memory;
        let len = queries.count;

        self.bias(head, first, count, content_bias, biased);
        scores.resize(count * len, 0.0);
        let keys = self.positions.0.keys(self.positions.1, head, len);
        let rows = Rows::new(biased, self.sequence.head_dim);
        // SAFETY: the scores are this task's own.
        unsafe { multiply(level, rows, keys, Target::new(scores, len), KernelEpilogue::default()) };

        // The last of these queries looks back least far; of its distances, and the next ones of those before it, whole
        // panels are taken.
        let nearest = len - first - count;
        let (panel, skipped) = (nearest / PANEL, nearest % PANEL);
        let width = skipped + count - 1 + len;
        self.bias(head, first, count, distance_bias, biased);
        by_distance.resize(count * width, 0.0);
        let distances = self.distances.0.keys(self.distances.1, head, panel * PANEL + width);
        let distances = distances.part(panel, panels(width));
        let rows = Rows::new(biased, self.sequence.head_dim);
        // SAFETY: they are this task's own.
        unsafe { multiply(level, rows, distances, Target::new(by_distance, width), KernelEpilogue::default()) };

        let rows = scores.chunks_exact_mut(len).zip(by_distance.chunks_exact(width));
        for (at, (scores, by_distance)) in rows.enumerate() {
            let own = &by_distance[skipped + count - 1 - at..];
            scores.iter_mut().zip(own).for_each(|(score, distance)| *score += distance);
        }
    }

    /// Some queries of one head and a bias: `[count, head_dim]`.
    fn bias(&self, head: usize, first: usize, count: usize, bias: &[f32], to: &mut Vec<f32>) {
        let RelativeSequence { head_dim, queries, .. } = self.sequence;
        let bias = &bias[head * head_dim..][..head_dim];
        to.clear();
        for row in first..first + count {
            let query = &queries.row(row, (head + 1) * head_dim)[head * head_dim..];
            to.extend(query.iter().zip(bias).map(|(query, bias)| query + bias));
        }
    }
}
