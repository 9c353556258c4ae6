//! What differs from one step of a decoder to the next, as one piece of memory that is sent to the device at once.

use candle_core::{DType, Result, Tensor};

use super::{
    decode::{CacheRow, CacheSizes},
    number::address,
};

/// What each row is fed, and where its caches and states are: first `Fed` of each row, as many as are summed, then `Cache` of each
/// row for one group of caches after the other, and `State` for those of states.
#[derive(Debug)]
pub(crate) struct StepTable {
    rows: usize,
    /// Tokens of each row.
    each: usize,
    words: Vec<u64>,
    groups: Vec<CacheGroup>,
    states: Vec<StateGroup>,
}

/// One cache of each row.
#[derive(Clone, Copy, Debug)]
pub(super) struct CacheGroup {
    pub sizes: CacheSizes,
    /// Bytes from the beginning of the table.
    pub offset: u64,
    /// That the longest cache has room for, rounded up to a power of two, so that most longer ones are no other case.
    pub positions: usize,
}

/// What a row remembers in a state-space layer.
#[derive(Clone, Copy, Debug)]
pub struct StateRow<'a> {
    /// The last positions before the convolution, `[taps - 1, channels]`.
    pub window: &'a Tensor,
    /// In single precision: so much of each number of all heads, `[heads, head_dim, state]`.
    pub numbers: &'a Tensor,
}

/// One state of each row.
#[derive(Clone, Copy, Debug)]
pub(super) struct StateGroup {
    pub window: (usize, usize),
    pub window_dtype: DType,
    pub numbers: (usize, usize, usize),
    /// Bytes from the beginning of the table.
    pub offset: u64,
}

// === impl StepTable ===

impl StepTable {
    /// Of rows that are each fed a token at a position.
    pub fn new(fed: impl Iterator<Item = (u32, u32)>) -> Self {
        let words: Vec<u64> = fed.map(|(token, position)| u64::from(token) | u64::from(position) << 32).collect();
        Self { rows: words.len(), each: 1, words, groups: Vec::new(), states: Vec::new() }
    }

    /// Of so many rows that are each fed the sum of as many tokens, row after row; the position of the first of them counts.
    pub fn of_sums(rows: usize, fed: impl Iterator<Item = (u32, u32)>) -> Self {
        let table = Self::new(fed);
        Self { rows, each: table.words.len() / rows.max(1), ..table }
    }

    /// Adds a group of caches, whose number is how many there were. `false`: the kernels cannot read them.
    pub fn push(&mut self, rows: &[CacheRow<'_>], sizes: CacheSizes) -> Result<bool> {
        if rows.len() != self.rows {
            candle_core::bail!("{} caches were given for {} rows", rows.len(), self.rows);
        }
        if !rows.iter().all(|row| row.fits(sizes)) {
            return Ok(false);
        }
        let capacities = rows.iter().map(|row| row.keys.dim(1)).collect::<Result<Vec<_>>>()?;
        self.groups.push(CacheGroup {
            sizes,
            offset: self.bytes(),
            positions: capacities.into_iter().max().unwrap_or(0).next_power_of_two(),
        });
        for row in rows {
            self.words.extend(row.cache(sizes)?.words());
        }
        Ok(true)
    }

    /// Adds a group of states, whose number is how many there were.
    pub fn push_states(&mut self, rows: &[StateRow<'_>]) -> Result<()> {
        let Some(first) = rows.first().filter(|_| rows.len() == self.rows) else {
            candle_core::bail!("{} states were given for {} rows", rows.len(), self.rows);
        };
        let (window, numbers, window_dtype) = (first.window.dims2()?, first.numbers.dims3()?, first.window.dtype());
        let offset = self.bytes();
        self.states.push(StateGroup { window, window_dtype, numbers, offset });
        for StateRow { window, numbers } in rows {
            let alike = window.dims() == first.window.dims() && numbers.dims() == first.numbers.dims();
            let plain = window.is_contiguous() && numbers.is_contiguous();
            if !alike || !plain || window.dtype() != window_dtype || numbers.dtype() != DType::F32 {
                candle_core::bail!("a state of {:?} and {:?}", window.layout(), numbers.layout());
            }
            self.words.extend([address(window)?, address(numbers)?]);
        }
        Ok(())
    }

    fn bytes(&self) -> u64 {
        size_of_val(self.words.as_slice()) as u64
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn each(&self) -> usize {
        self.each
    }

    pub(super) fn words(&self) -> &[u64] {
        &self.words
    }

    pub(super) fn groups(&self) -> &[CacheGroup] {
        &self.groups
    }

    pub(super) fn states(&self) -> &[StateGroup] {
        &self.states
    }

    /// That the longest of all caches has room for, as [`CacheGroup`] has it.
    pub(super) fn positions(&self) -> usize {
        self.groups.iter().map(|group| group.positions).max().unwrap_or(0)
    }

    /// Words of such a table of so many rows.
    pub(super) fn room(&self, rows: usize) -> usize {
        self.words.len() / self.rows.max(1) * rows
    }
}
