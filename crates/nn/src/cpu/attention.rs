//! Softmax attention over keys and values in panels, on every thread of the current pool.

use rayon::prelude::*;

use super::{
    epilogue::KernelEpilogue,
    kv_panels::{KvData, KvPanels},
    math::softmax,
    matrix::{Rows, Target, written},
    panels::multiply,
};
#[cfg(target_arch = "x86_64")]
use super::{pairs, tiles};

/// Queries that one task takes: their scores over 1500 positions stay in the second-level cache.
const BLOCK_QUERIES: usize = 48;

/// Queries that it is worth while to lay out keys and values anew for, at least; and those that one task takes then, as far as
/// there are tasks for every thread: each lays out the keys and values of its head.
const MANY_QUERIES: usize = 32;
const TILED_QUERIES: usize = 128;

/// Queries of one sequence, among those of others.
#[derive(Clone, Copy)]
pub struct PanelQueries<'a> {
    pub cache: &'a KvPanels,
    /// Positions of the cache that are filled; at least one, and if causal at least as many as there are queries.
    pub len: usize,
    /// How many of the rows, in order.
    pub queries: usize,
    pub causal: bool,
    /// Queries of each position.
    pub group: usize,
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
    /// Positions that come before those of the queries, where they are causal; and the first query's number among them.
    before: usize,
    first: usize,
    group: usize,
    causal: bool,
    unit: Unit,
}

/// What multiplies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    Panels,
    /// Pairs of `bf16`.
    Pairs,
    /// A matrix unit, and whether it is given rounded numbers.
    Tiles {
        rounded: bool,
    },
}

/// Memory of a thread.
#[derive(Default)]
struct Memory {
    scores: Vec<f32>,
    #[cfg(target_arch = "x86_64")]
    pairs: pairs::attention::Memory,
    #[cfg(target_arch = "x86_64")]
    tiles: tiles::attention::Memory<{ tiles::SPLIT }>,
    #[cfg(target_arch = "x86_64")]
    rounded_tiles: tiles::attention::Memory<{ tiles::ROUNDED }>,
}

/// Every query `[rows, width]` over its own sequence's cache. `[rows, width]`
pub fn attend(queries: Rows<'_>, width: usize, sequences: &[PanelQueries<'_>]) -> Vec<f32> {
    let tasks = blocks(sequences, PanelQueries::of_task);
    let numbers = |of: &PanelQueries<'_>| of.queries * of.cache.shape.heads * of.cache.shape.head_dim;
    assert!(
        sequences.iter().map(numbers).sum::<usize>() == queries.count * width,
        "there are other queries than these"
    );
    let attend = |target| {
        tasks.par_iter().for_each_init(Memory::default, |memory, block| block.attend(queries, target, memory));
    };
    // SAFETY: each query of each head is in a block, and there are no others.
    unsafe { written(queries.count, width, attend) }
}

/// What attention weighs by: `[heads, rows, positions]`.
pub fn weights(queries: Rows<'_>, sequence: PanelQueries<'_>) -> Vec<f32> {
    let weigh = |block: &Block<'_>| {
        let mut scores = Vec::new();
        block.weigh(queries, &mut scores);
        scores
    };
    blocks(&[sequence], |_, _| BLOCK_QUERIES).par_iter().map(weigh).collect::<Vec<_>>().concat()
}

/// Cuts the sequences into blocks for the threads: no two of them have the same rows of the same head. `of_block`: how many
/// queries a block of one of so many sequences has.
fn blocks<'a>(sequences: &[PanelQueries<'a>], of_block: fn(&PanelQueries<'a>, usize) -> usize) -> Vec<Block<'a>> {
    let mut blocks = Vec::new();
    let mut row = 0;
    for sequence in sequences {
        let &PanelQueries { cache, len, queries, causal, group } = sequence;
        let (of_block, unit) = (of_block(sequence, sequences.len()), sequence.unit());
        for head in 0..cache.shape.heads {
            for first in (0..queries).step_by(of_block) {
                let count = of_block.min(queries - first);
                let (before, row) = (if causal { len - queries / group } else { 0 }, row + first);
                blocks.push(Block { cache, len, head, row, count, before, first, group, causal, unit });
            }
        }
        row += queries;
    }
    blocks
}

// === impl PanelQueries ===

impl PanelQueries<'_> {
    /// A query's answer is the same whatever sequences there are beside its own: those do not say on which unit it is made.
    fn unit(&self) -> Unit {
        let KvPanels { level, shape, .. } = self.cache;
        match !self.causal && self.queries >= MANY_QUERIES {
            true if level.has_tiles() => Unit::Tiles { rounded: level.rounds_to_bf16() },
            true if level.rounds_to_bf16() && shape.head_dim.is_multiple_of(2) => Unit::Pairs,
            _ => Unit::Panels,
        }
    }

    /// Queries of a task, where there are so many sequences.
    fn of_task(&self, sequences: usize) -> usize {
        if self.unit() == Unit::Panels {
            return BLOCK_QUERIES;
        }
        let enough = (4 * rayon::current_num_threads()).div_ceil(sequences * self.cache.shape.heads);
        self.queries.div_ceil(enough).max(TILED_QUERIES).next_multiple_of(MANY_QUERIES)
    }
}

// === impl Block ===

impl Block<'_> {
    fn attend(&self, queries: Rows<'_>, target: Target, memory: &mut Memory) {
        let target = target.at(self.row, self.head * self.cache.shape.head_dim);
        match self.unit {
            #[cfg(target_arch = "x86_64")]
            Unit::Tiles { rounded: false } => self.attend_on_tiles(queries, target, &mut memory.tiles),
            #[cfg(target_arch = "x86_64")]
            Unit::Tiles { rounded: true } => self.attend_on_tiles(queries, target, &mut memory.rounded_tiles),
            #[cfg(target_arch = "x86_64")]
            Unit::Pairs => self.attend_in_pairs(queries, target, &mut memory.pairs),
            _ => self.attend_in_panels(queries, target, &mut memory.scores),
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn attend_on_tiles<const PARTS: usize>(
        &self,
        queries: Rows<'_>,
        target: Target,
        memory: &mut tiles::attention::Memory<PARTS>,
    ) {
        let KvPanels { shape, numbers, .. } = self.cache;
        let queries = queries.part(self.row, self.count).skip_columns(self.head * shape.head_dim);
        macro_rules! attend {
            ($kv:expr) => {{
                let (keys, values) = ($kv.keys(*shape, self.head, self.len), $kv.values(*shape, self.head, self.len));
                // SAFETY: blocks have different rows or, by their heads, different columns.
                unsafe { tiles::attention::attend(queries, keys, values, target, memory) }
            }};
        }
        match numbers {
            KvData::Full(kv) => attend!(kv),
            KvData::Half(kv) => attend!(kv),
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn attend_in_pairs(&self, queries: Rows<'_>, target: Target, memory: &mut pairs::attention::Memory) {
        let KvPanels { level, shape, numbers } = self.cache;
        let queries = queries.part(self.row, self.count).skip_columns(self.head * shape.head_dim);
        macro_rules! attend {
            ($kv:expr) => {{
                let (keys, values) = ($kv.keys(*shape, self.head, self.len), $kv.values(*shape, self.head, self.len));
                // SAFETY: blocks have different rows or, by their heads, different columns.
                unsafe { pairs::attention::attend(*level, queries, keys, values, target, memory) }
            }};
        }
        match numbers {
            KvData::Full(kv) => attend!(kv),
            KvData::Half(kv) => attend!(kv),
        }
    }

    fn attend_in_panels(&self, queries: Rows<'_>, target: Target, scores: &mut Vec<f32>) {
        self.weigh(queries, scores);
        let KvPanels { level, shape, numbers } = self.cache;
        let scores = Rows::new(scores, self.len);
        let none = KernelEpilogue::default();
        // SAFETY: blocks have different rows or, by their heads, different columns.
        unsafe {
            match numbers {
                KvData::Full(kv) => multiply(*level, scores, kv.values(*shape, self.head, self.len), target, none),
                KvData::Half(kv) => multiply(*level, scores, kv.values(*shape, self.head, self.len), target, none),
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
                KvData::Full(kv) => multiply(*level, queries, kv.keys(*shape, self.head, self.len), target, none),
                KvData::Half(kv) => multiply(*level, queries, kv.keys(*shape, self.head, self.len), target, none),
            }
        }
        for (at, row) in scores.chunks_exact_mut(self.len).enumerate() {
            let position = self.before + (self.first + at) / self.group;
            let (seen, hidden) = row.split_at_mut(if self.causal { position + 1 } else { self.len });
            softmax(*level, seen);
            hidden.fill(0.0);
        }
    }
}
