//! Softmax attention over keys and values in panels, on every thread of the current pool.

use rayon::prelude::*;

use super::{
    epilogue::KernelEpilogue,
    kv_panels::{KvPanels, Numbers},
    math::softmax,
    matrix::{Rows, Target},
    panels::multiply,
};

/// Queries that one task takes: their scores over 1500 positions stay in the second-level cache.
const BLOCK_QUERIES: usize = 48;

/// Queries of one sequence, among those of others.
#[derive(Clone, Copy)]
pub struct PanelQueries<'a> {
    pub cache: &'a KvPanels,
    /// Positions of the cache that are filled; at least one, and if causal at least as many as there are queries.
    pub len: usize,
    /// How many of the rows, in order.
    pub queries: usize,
    pub causal: bool,
}

/// Some queries of one sequence and one head, and where their answer goes.
struct Block<'a> {
    cache: &'a KvPanels,
    /// Positions of the cache.
    len: usize,
    head: usize,
    /// First of them, among all rows.
    row: usize,
    count: usize,
    /// Positions that the first of them sees.
    seen: usize,
    causal: bool,
}

/// Every query `[rows, width]` over its own sequence's cache. `[rows, width]`
pub fn attend(queries: Rows<'_>, width: usize, sequences: &[PanelQueries<'_>]) -> Vec<f32> {
    let mut out = vec![0.0; queries.count * width];
    let target = Target::new(&mut out, width);
    blocks(sequences).par_iter().for_each_init(Vec::new, |scores, block| block.attend(queries, target, scores));
    out
}

/// What attention weighs by: `[heads, rows, positions]`.
pub fn weights(queries: Rows<'_>, sequence: PanelQueries<'_>) -> Vec<f32> {
    let weigh = |block: &Block<'_>| {
        let mut scores = Vec::new();
        block.weigh(queries, &mut scores);
        scores
    };
    blocks(&[sequence]).par_iter().map(weigh).collect::<Vec<_>>().concat()
}

/// Cuts the sequences into blocks for the threads: no two of them have the same rows of the same head.
fn blocks<'a>(sequences: &[PanelQueries<'a>]) -> Vec<Block<'a>> {
    let mut blocks = Vec::new();
    let mut row = 0;
    for &PanelQueries { cache, len, queries, causal } in sequences {
        for head in 0..cache.shape.heads {
            for first in (0..queries).step_by(BLOCK_QUERIES) {
                let count = BLOCK_QUERIES.min(queries - first);
                let seen = if causal { len - queries + first + 1 } else { len };
                blocks.push(Block { cache, len, head, row: row + first, count, seen, causal });
            }
        }
        row += queries;
    }
    blocks
}

// === impl Block ===

impl Block<'_> {
    fn attend(&self, queries: Rows<'_>, target: Target, scores: &mut Vec<f32>) {
        self.weigh(queries, scores);
        let KvPanels { level, shape, numbers } = self.cache;
        let target = target.at(self.row, self.head * shape.head_dim);
        let scores = Rows::new(scores, self.len);
        let none = KernelEpilogue::default();
        // SAFETY: blocks have different rows or, by their heads, different columns.
        unsafe {
            match numbers {
                Numbers::Full(kv) => multiply(*level, scores, kv.values(*shape, self.head, self.len), target, none),
                Numbers::Half(kv) => multiply(*level, scores, kv.values(*shape, self.head, self.len), target, none),
            }
        }
    }

    /// Fills `scores` with weights, `[count, positions]`.
    fn weigh(&self, queries: Rows<'_>, scores: &mut Vec<f32>) {
        let KvPanels { level, shape, numbers } = self.cache;
        let queries = queries.part(self.row, self.count).skip_columns(self.head * shape.head_dim);
        scores.resize(self.count * self.len, 0.0);
        let target = Target::new(scores, self.len);
        let none = KernelEpilogue::default();
        // SAFETY: the scores are this block's own.
        unsafe {
            match numbers {
                Numbers::Full(kv) => multiply(*level, queries, kv.keys(*shape, self.head, self.len), target, none),
                Numbers::Half(kv) => multiply(*level, queries, kv.keys(*shape, self.head, self.len), target, none),
            }
        }
        for (at, row) in scores.chunks_exact_mut(self.len).enumerate() {
            let (seen, hidden) = row.split_at_mut(if self.causal { self.seen + at } else { self.len });
            softmax(*level, seen);
            hidden.fill(0.0);
        }
    }
}
