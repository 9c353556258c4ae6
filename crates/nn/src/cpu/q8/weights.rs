//! The right matrix: quantised once, from wherever it lies.
//!
//! It is cut into panels of [`PANEL`] columns, each panel into blocks along the depth. A block is what the kernels read in
//! one go: for every four numbers of the depth those of each column in turn, 128 more than they are so that none is below
//! zero, and then a scale for each column. Scales are `bf16`: it knows every magnitude that `f32` knows, and to widen it
//! takes no instruction of its own.

use bytes::Bytes;
use half::bf16;
use memmap2::MmapMut;
use rayon::prelude::*;

use super::{
    super::{
        detect::SimdLevel,
        element::Element,
        matrix::{PANEL, panels},
        simd::{Lanes, vectorised},
    },
    block::{BLOCK, LARGEST, largest_of, nearest},
};
use crate::weights::data::{WeightData, with_data};

/// Numbers of a column that lie side by side: as many bytes as the processors multiply in a lane.
pub(super) const FOUR: usize = 4;

/// Bytes of the numbers of a block.
pub(super) const NUMBERS: usize = PANEL * BLOCK;

/// Bytes of a block, with its scales.
pub(super) const BLOCK_BYTES: usize = NUMBERS + PANEL * size_of::<bf16>();

/// Blocks of a panel that are made together: they fit into the first cache, and memory brings what follows in a column sooner than
/// what is far away.
const STRETCH: usize = 16;

/// What is added to a number.
pub(super) const OFFSET: i32 = 128;

/// A matrix `[depth, columns]`. A clone is the same one.
#[derive(Clone, Debug)]
pub struct Q8Weights {
    bytes: Bytes,
    depth: usize,
    columns: usize,
}

/// Why weights cannot be kept in eight bits.
#[derive(Debug, thiserror::Error)]
pub enum Q8Error {
    #[error("weights that are not finite cannot be kept in eight bits")]
    NotFinite,
    #[error(transparent)]
    Memory(#[from] std::io::Error),
}

/// Some numbers of one column.
type Block = [f32; BLOCK];

// === impl Q8Weights ===

impl Q8Weights {
    /// Quantises the rows of all `parts`, each `[columns, depth]`, as those of one matrix, panel by panel on the threads of
    /// the current pool. Beside what it makes a thread takes some kilobytes.
    pub fn new(level: SimdLevel, parts: &[WeightData], depth: usize) -> Result<Self, Q8Error> {
        let columns = parts.iter().map(WeightData::len).sum::<usize>() / depth;
        let panel_bytes = panel_bytes(depth);
        let mut bytes = MmapMut::map_anon((panels(columns) * panel_bytes).max(1))?;
        #[cfg(target_os = "linux")]
        // Fewer and larger pages come faster. Where the system has none, small ones do.
        let _ = bytes.advise(memmap2::Advice::HugePage);
        let finite = bytes
            .par_chunks_exact_mut(panel_bytes.max(1))
            .enumerate()
            .map(|(panel, to)| quantize_panel(level, &columns_of(parts, depth, panel), depth, to));
        if !finite.reduce(|| true, |all, one| all && one) {
            return Err(Q8Error::NotFinite);
        }
        Ok(Self { bytes: Bytes::from_owner(bytes.make_read_only()?), depth, columns })
    }

    /// What [`Self::bytes`] of such a matrix were; `None` if they are not as many as its sizes say.
    pub fn of(bytes: Bytes, depth: usize, columns: usize) -> Option<Self> {
        let expected = panels(columns).checked_mul(panel_bytes(depth))?.max(1);
        (bytes.len() == expected).then_some(Self { bytes, depth, columns })
    }

    /// All of it, as the kernels read it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether the first columns are what they would be if they were quantised now.
    pub fn begins_like(&self, level: SimdLevel, parts: &[WeightData]) -> bool {
        if self.columns == 0 {
            return true;
        }
        let mut first = vec![0; panel_bytes(self.depth)];
        quantize_panel(level, &columns_of(parts, self.depth, 0), self.depth, &mut first) && first == self.panel(0)
    }

    pub fn columns(&self) -> usize {
        self.columns
    }

    pub fn depth(&self) -> usize {
        self.depth
    }

    /// The blocks of a panel.
    pub(super) fn panel(&self, panel: usize) -> &[u8] {
        let size = panel_bytes(self.depth);
        &self.bytes[panel * size..][..size]
    }

    /// The numbers of a column, as they came to be.
    pub fn column(&self, at: usize) -> impl Iterator<Item = f32> {
        assert!(at < self.columns, "a matrix of {} columns was asked for another", self.columns);
        let blocks = self.panel(at / PANEL).as_chunks::<BLOCK_BYTES>().0;
        let column = at % PANEL;
        (0..self.depth).map(move |k| {
            let block = &blocks[k / BLOCK];
            let scale = bf16::from_le_slice(&block[NUMBERS + column * size_of::<bf16>()..]);
            let number = block[(k % BLOCK / FOUR * PANEL + column) * FOUR + k % FOUR];
            (i32::from(number) - OFFSET) as f32 * scale.to_f32()
        })
    }
}

/// Bytes that a matrix `[depth, columns]` takes; `None` if nobody can count so far.
pub fn q8_bytes(columns: u64, depth: u64) -> Option<u64> {
    let blocks = columns.div_ceil(PANEL as u64).checked_mul(depth.div_ceil(BLOCK as u64))?;
    blocks.checked_mul(BLOCK_BYTES as u64)
}

/// Of a matrix so deep.
fn panel_bytes(depth: usize) -> usize {
    depth.div_ceil(BLOCK) * BLOCK_BYTES
}

/// Where the columns of a panel are.
fn columns_of(parts: &[WeightData], depth: usize, panel: usize) -> Vec<(&WeightData, usize)> {
    let all = parts.iter().map(WeightData::len).sum::<usize>() / depth;
    (panel * PANEL..all.min((panel + 1) * PANEL)).map(|column| locate(parts, depth, column)).collect()
}

/// A column: the part that it is in, and its first number there.
fn locate(parts: &[WeightData], depth: usize, mut column: usize) -> (&WeightData, usize) {
    for part in parts {
        let columns = part.len() / depth;
        if column < columns {
            return (part, column * depth);
        }
        column -= columns;
    }
    unreachable!("the parts have as many columns as were counted in them")
}

vectorised! {
    /// Whether all of them are finite.
    fn quantize_panel(columns: &[(&WeightData, usize)], depth: usize, to: &mut [u8]) -> bool = quantize_panel_there
}

#[inline(always)]
unsafe fn quantize_panel_there<V: Lanes>(columns: &[(&WeightData, usize)], depth: usize, to: &mut [u8]) -> bool {
    let mut all_finite = true;
    for (at, stretch) in to.as_chunks_mut::<BLOCK_BYTES>().0.chunks_mut(STRETCH).enumerate() {
        stretch.iter_mut().for_each(|block| block[..NUMBERS].fill(OFFSET as u8));
        for (column, (part, begin)) in columns.iter().enumerate() {
            for (block, to) in stretch.iter_mut().enumerate() {
                let first = (at * STRETCH + block) * BLOCK;
                let mut from = [0.0; BLOCK];
                // SAFETY: the caller has enabled the instructions.
                unsafe { read::<V>(part, begin + first, &mut from[..BLOCK.min(depth - first)]) };
                let (quantized, scale, finite) = quantize(&from);
                all_finite &= finite;
                let (numbers, scales) = to.split_at_mut(NUMBERS);
                for (four, to) in quantized.as_chunks::<FOUR>().0.iter().zip(numbers.chunks_exact_mut(PANEL * FOUR)) {
                    to[column * FOUR..][..FOUR].copy_from_slice(four);
                }
                scales[column * size_of::<bf16>()..][..size_of::<bf16>()].copy_from_slice(&scale.to_le_bytes());
            }
        }
    }
    all_finite
}

/// Some numbers from one on.
#[inline(always)]
unsafe fn read<V: Lanes>(part: &WeightData, first: usize, to: &mut [f32]) {
    with_data!(part, T, bytes => {
        let from = &bytes[first * size_of::<T>()..][..size_of_val(to) / size_of::<f32>() * size_of::<T>()];
        let whole = to.len() - to.len() % V::WIDTH;
        for at in (0..whole).step_by(V::WIDTH) {
            // SAFETY: there are so many numbers on both sides.
            unsafe { V::store(T::load::<V>(from.as_ptr().cast::<T>().add(at)), to.as_mut_ptr().add(at)) };
        }
        for (at, to) in to.iter_mut().enumerate().skip(whole) {
            *to = T::from_le_slice(&from[at * size_of::<T>()..]).to_f32();
        }
    });
}

/// The numbers with what is added to them, their scale, and whether all of them were finite.
#[inline(always)]
fn quantize(block: &Block) -> ([u8; BLOCK], bf16, bool) {
    let largest = largest_of(block);
    let scale = rounded_up(largest / LARGEST);
    // What is too small to be divided by is nothing.
    let inverse = if scale.to_f32().is_normal() { scale.to_f32().recip() } else { 0.0 };
    let mut quantized = [0; BLOCK];
    for (to, x) in quantized.iter_mut().zip(block) {
        *to = nearest(x * inverse).wrapping_add(OFFSET as u32) as u8;
    }
    (quantized, scale, largest.is_finite() && scale.is_finite())
}

/// The next `bf16` that is not below a number from 0 on, so that no number of a block is above the largest.
#[inline(always)]
fn rounded_up(x: f32) -> bf16 {
    bf16::from_bits((x.to_bits().saturating_add(0xffff) >> 16) as u16)
}
