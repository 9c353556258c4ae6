//! Products of many rows on the matrix unit that some x86 processors have (AMX).
//!
//! The unit multiplies `bf16`, eight significant bits, which is too coarse for `f32`; so each number is split into a sum of
//! two (`high + low`, sixteen bits), and of the four products the three that count are added up in `f32`. The error is about
//! 2⁻¹⁶ of each product, and it is still several times as fast as `f32` vectors. Where numbers may be rounded to `bf16`, or
//! weights are kept in eight bits, it is one product ([`split::ROUNDED`]). The sums are `f32` always.
//!
//! A tile is 16 rows of 64 bytes. The left matrix is split row by row, in chunks of 32 numbers; the right one is cut, per
//! panel, into tiles of 32 rows by 16 columns: high left, high right, and where numbers are split low left, low right.

pub mod attention;
mod shape;
mod split;
mod unit;

use std::{arch::x86_64::*, ops::Range};

use rayon::prelude::*;

pub use self::split::{ROUNDED, SPLIT};
use self::{
    shape::{BLOCK, CHUNK, NO_TILE, TILE, Tile},
    split::{Chunk, split_frames, split_pairs},
    unit::{Block, Left, configure, release},
};
use super::{
    columns::{Columns, lay_out_there},
    detect::SimdLevel,
    element::Element,
    epilogue::{KernelEpilogue, check_target, complete_rows},
    frames::Frames,
    matrix::{PANEL, Target, panels, written},
};

/// Blocks of rows that one task takes with all panels.
const TASK_BLOCKS: usize = 4;

/// Panels that are split at once: a vocabulary as a whole would take more memory than a layer.
const GROUP_PANELS: usize = 256;

/// The right matrix of a product, `[depth, columns]`.
pub trait RightMatrix: Copy + Sync {
    fn depth(&self) -> usize;

    fn columns(&self) -> usize;

    /// Numbers of each column of a panel, from `first` on, which is the beginning of a [`CHUNK`] of a tap:
    /// `[numbers, PANEL]`. Columns that are not there are filled with anything.
    ///
    /// # Safety
    /// The processor has AVX-512.
    unsafe fn lay_out(&self, panel: usize, first: usize, to: &mut [f32]);
}

// === impl RightMatrix ===

impl<E: Element> RightMatrix for Columns<'_, E> {
    fn depth(&self) -> usize {
        self.depth()
    }

    fn columns(&self) -> usize {
        self.columns()
    }

    #[target_feature(enable = "avx512f,avx2,fma,f16c")]
    unsafe fn lay_out(&self, panel: usize, first: usize, to: &mut [f32]) {
        // SAFETY: as the caller's.
        unsafe { lay_out_there::<__m512, E>(*self, panel, first, to) }
    }
}

/// A right matrix that is laid out for the unit: of what many products are made with.
#[derive(Debug)]
pub struct TiledMatrix {
    tiles: Vec<Tile>,
    parts: usize,
    /// Numbers of a tap.
    depth: usize,
    taps: usize,
    columns: usize,
}

// === impl TiledMatrix ===

impl TiledMatrix {
    /// Of columns that have `taps` times `depth` numbers. The processor must have the unit.
    pub fn new<const PARTS: usize, M: RightMatrix>(b: M, depth: usize, taps: usize) -> Self {
        assert!(SimdLevel::detect().has_tiles(), "there is no matrix unit");
        assert!(taps * depth == b.depth(), "columns of {} are no {taps} times {depth}", b.depth());
        let tiles = split_panels::<PARTS, M>(b, 0..panels(b.columns()), depth, taps);
        Self { tiles, parts: PARTS, depth, taps, columns: b.columns() }
    }

    /// `epilogue(a · b)`, row by row, on the threads of the current pool.
    pub fn convolve(&self, a: Frames<'_>, epilogue: KernelEpilogue<'_>) -> Vec<f32> {
        assert!((a.depth, a.taps) == (self.depth, self.taps), "{} frames of {}", a.taps, a.depth);
        // SAFETY: each sum is written.
        unsafe {
            written(a.count, self.columns, |target| {
                check_target(a.count, self.columns, &target, &epilogue);
                match self.parts {
                    ROUNDED => multiply_all::<ROUNDED>(a, &self.tiles, self.columns, target, epilogue),
                    _ => multiply_all::<SPLIT>(a, &self.tiles, self.columns, target, epilogue),
                }
            })
        }
    }
}

/// Tiles of a panel's chunk.
const fn tiles_of_chunk(parts: usize) -> usize {
    parts * PANEL / TILE
}

/// `target = epilogue(a · b)` on the threads of the current pool, with numbers of so many `PARTS`. The processor must have
/// the unit, and the target is the caller's own.
pub fn multiply<const PARTS: usize, M: RightMatrix>(a: Frames<'_>, b: M, target: Target, epilogue: KernelEpilogue<'_>) {
    assert!(SimdLevel::detect().has_tiles(), "there is no matrix unit");
    assert!(a.taps * a.depth == b.depth(), "rows of {} numbers and columns of {}", a.taps * a.depth, b.depth());
    check_target(a.count, b.columns(), &target, &epilogue);
    let all = panels(b.columns());
    for first in (0..all).step_by(GROUP_PANELS) {
        multiply_group::<PARTS, M>(a, b, first..all.min(first + GROUP_PANELS), target, epilogue);
    }
}

/// Some panels of columns. The target is the caller's own.
fn multiply_group<const PARTS: usize, M: RightMatrix>(
    a: Frames<'_>,
    b: M,
    panels: Range<usize>,
    target: Target,
    epilogue: KernelEpilogue<'_>,
) {
    let right = split_panels::<PARTS, M>(b, panels.clone(), a.depth, a.taps);
    let column = panels.start * PANEL;
    let columns = (panels.len() * PANEL).min(b.columns() - column);
    multiply_all::<PARTS>(a, &right, columns, target.at(0, column), epilogue.part(0, a.count, column));
}

/// All rows with so many columns of a right matrix. The target is the caller's own.
fn multiply_all<const PARTS: usize>(
    a: Frames<'_>,
    right: &[Tile],
    columns: usize,
    target: Target,
    epilogue: KernelEpilogue<'_>,
) {
    let blocks = a.count.div_ceil(BLOCK);
    (0..blocks.div_ceil(TASK_BLOCKS)).into_par_iter().for_each_init(Vec::new, |left, task| {
        let first = task * TASK_BLOCKS * BLOCK;
        let rows = a.part(first, TASK_BLOCKS * BLOCK);
        // SAFETY: the unit is there; each task writes its own rows.
        unsafe {
            split_frames(rows, rows.count.next_multiple_of(BLOCK), left);
            multiply_task::<PARTS>(left, rows, right, first, columns, target, epilogue);
        }
    });
}

/// Every block of rows with every panel. `left`: the frames of `rows`, and of as many as fill the last block.
#[target_feature(enable = "avx512f,avx2,fma,f16c")]
unsafe fn multiply_task<const PARTS: usize>(
    left: &[Chunk<PARTS>],
    rows: Frames<'_>,
    right: &[Tile],
    first: usize,
    columns: usize,
    target: Target,
    epilogue: KernelEpilogue<'_>,
) {
    let mut sums: Block = [[0.0; PANEL]; BLOCK];
    let of_panel = right.len() / panels(columns);
    let shape = shape::<PARTS>(&rows);
    // SAFETY: as the caller's.
    unsafe {
        configure();
        for (panel, right) in right.chunks_exact(of_panel).enumerate() {
            for row in (0..rows.count).step_by(BLOCK) {
                let left = left.as_ptr().cast::<u8>().add(row * shape.stride);
                unit::multiply::<PARTS>(left, shape, right.as_ptr(), &mut sums);
                let sums = &sums[..BLOCK.min(rows.count - row)];
                complete_rows::<__m512>(sums, first + row, panel * PANEL, columns, target, epilogue);
            }
        }
        release();
    }
}

/// How rows lie among frames that were split.
fn shape<const PARTS: usize>(rows: &Frames<'_>) -> Left {
    let chunks = rows.depth.div_ceil(CHUNK);
    let frame = chunks * Chunk::<PARTS>::BYTES;
    let jump = (rows.dilation * frame).wrapping_sub(frame);
    Left { stride: rows.step * frame, step: Chunk::<PARTS>::BYTES, chunks, jump, taps: rows.taps }
}

/// The right matrix as tiles, for each panel, for each chunk of each tap. A column has `taps` times `depth` numbers.
fn split_panels<const PARTS: usize, M: RightMatrix>(
    b: M,
    panels: Range<usize>,
    depth: usize,
    taps: usize,
) -> Vec<Tile> {
    let of_tap = depth.div_ceil(CHUNK);
    let of_panel = taps * of_tap;
    let mut tiles = vec![NO_TILE; panels.len() * of_panel * tiles_of_chunk(PARTS)];
    tiles.par_chunks_exact_mut(tiles_of_chunk(PARTS)).enumerate().with_min_len(8).for_each(|(at, tiles)| {
        let (panel, chunk) = (panels.start + at / of_panel, at % of_panel);
        let (tap, from) = (chunk / of_tap, chunk % of_tap * CHUNK);
        // SAFETY: who asks for tiles has the instructions.
        unsafe { split_panel::<PARTS, M>(b, panel, tap * depth + from, CHUNK.min(depth - from), tiles) }
    });
    tiles
}

#[target_feature(enable = "avx512f,avx2,fma,f16c")]
unsafe fn split_panel<const PARTS: usize, M: RightMatrix>(
    b: M,
    panel: usize,
    first: usize,
    count: usize,
    tiles: &mut [Tile],
) {
    let mut rows = [0.0; CHUNK * PANEL];
    // Rows that are not there stay zeros.
    // SAFETY: as the caller's.
    unsafe { b.lay_out(panel, first, &mut rows[..count * PANEL]) };
    // SAFETY: there are so many rows of a panel.
    unsafe { split_rows::<PARTS>(rows.as_ptr(), tiles) }
}

/// [`CHUNK`] rows of a panel as tiles.
#[target_feature(enable = "avx512f")]
unsafe fn split_rows<const PARTS: usize>(rows: *const f32, tiles: &mut [Tile]) {
    for pair in 0..TILE {
        for side in [0, 1] {
            let at = pair * PANEL + side * TILE;
            // SAFETY: a row of a panel is two vectors; one of a tile is one.
            unsafe {
                let (first, second) = (_mm512_loadu_ps(rows.add(at)), _mm512_loadu_ps(rows.add(TILE * PANEL + at)));
                for (part, pairs) in split_pairs::<PARTS>(first, second).into_iter().enumerate() {
                    _mm512_store_si512(tiles[2 * part + side].0[pair * TILE..].as_mut_ptr().cast(), pairs);
                }
            }
        }
    }
}
