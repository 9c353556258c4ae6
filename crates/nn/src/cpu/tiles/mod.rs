//! Products of many rows on the matrix unit that some x86 processors have (AMX).
//!
//! The unit multiplies `bf16`, eight significant bits, which is too coarse; so each number is split into a sum of two
//! (`high + low`, sixteen bits), and of the four products the three that count are added up in `f32`. The error is about
//! 2⁻¹⁶ of each product, and it is still several times as fast as `f32` vectors.
//!
//! A tile is 16 rows of 64 bytes. The left matrix is split row by row, in chunks of 32 numbers; the right one is cut, per
//! panel, into tiles of 32 rows by 16 columns: high left, high right, low left, low right.

pub mod attention;
mod shape;
mod split;
mod unit;

use std::{arch::x86_64::*, ops::Range};

use rayon::prelude::*;

use self::{
    shape::{BLOCK, CHUNK, NO_TILE, TILE, Tile},
    split::{CHUNK_BYTES, Chunk, split_frames, split_pairs},
    unit::{Block, Left, configure, release},
};
use super::{
    columns::{Columns, lay_out_there},
    detect::SimdLevel,
    element::Element,
    epilogue::{KernelEpilogue, check_target, complete_rows},
    frames::Frames,
    matrix::{PANEL, Target, panels},
};

/// Blocks of rows that one task takes with all panels.
const TASK_BLOCKS: usize = 4;

/// Panels that are split at once: a vocabulary as a whole would take more memory than a layer.
const GROUP_PANELS: usize = 256;

/// `target = epilogue(a · b)` on the threads of the current pool. The processor must have the unit, and the target is the
/// caller's own.
pub fn multiply<E: Element>(a: Frames<'_>, b: Columns<'_, E>, target: Target, epilogue: KernelEpilogue<'_>) {
    assert!(SimdLevel::detect().has_tiles(), "there is no matrix unit");
    assert!(a.taps * a.depth == b.depth(), "rows of {} numbers and columns of {}", a.taps * a.depth, b.depth());
    check_target(a.count, b.columns(), &target, &epilogue);
    let all = panels(b.columns());
    for first in (0..all).step_by(GROUP_PANELS) {
        multiply_group(a, b, first..all.min(first + GROUP_PANELS), target, epilogue);
    }
}

/// Some panels of columns. The target is the caller's own.
fn multiply_group<E: Element>(
    a: Frames<'_>,
    b: Columns<'_, E>,
    panels: Range<usize>,
    target: Target,
    epilogue: KernelEpilogue<'_>,
) {
    let right = split_panels(b, panels.clone(), a.depth, a.taps);
    let column = panels.start * PANEL;
    let columns = (panels.len() * PANEL).min(b.columns() - column);
    let (target, epilogue) = (target.at(0, column), epilogue.part(0, a.count, column));
    let blocks = a.count.div_ceil(BLOCK);
    (0..blocks.div_ceil(TASK_BLOCKS)).into_par_iter().for_each_init(Vec::new, |left, task| {
        let first = task * TASK_BLOCKS * BLOCK;
        let rows = a.part(first, TASK_BLOCKS * BLOCK);
        // SAFETY: the unit is there; each task writes its own rows.
        unsafe {
            split_frames(rows, rows.count.next_multiple_of(BLOCK), left);
            multiply_task(left, rows, &right, first, columns, target, epilogue);
        }
    });
}

/// Every block of rows with every panel. `left`: the frames of `rows`, and of as many as fill the last block.
#[target_feature(enable = "avx512f,avx2,fma,f16c")]
unsafe fn multiply_task(
    left: &[Chunk],
    rows: Frames<'_>,
    right: &[Tile],
    first: usize,
    columns: usize,
    target: Target,
    epilogue: KernelEpilogue<'_>,
) {
    let mut sums: Block = [[0.0; PANEL]; BLOCK];
    let of_panel = right.len() / panels(columns);
    let shape = shape(&rows);
    // SAFETY: as the caller's.
    unsafe {
        configure();
        for (panel, right) in right.chunks_exact(of_panel).enumerate() {
            for row in (0..rows.count).step_by(BLOCK) {
                unit::multiply(left.as_ptr().cast::<u8>().add(row * shape.stride), shape, right.as_ptr(), &mut sums);
                let sums = &sums[..BLOCK.min(rows.count - row)];
                complete_rows::<__m512>(sums, first + row, panel * PANEL, columns, target, epilogue);
            }
        }
        release();
    }
}

/// How rows lie among frames that were split.
fn shape(rows: &Frames<'_>) -> Left {
    let chunks = rows.depth.div_ceil(CHUNK);
    let frame = chunks * CHUNK_BYTES;
    let jump = (rows.dilation * frame).wrapping_sub(frame);
    Left { stride: rows.step * frame, step: CHUNK_BYTES, chunks, jump, taps: rows.taps }
}

/// The right matrix as tiles, for each panel, for each chunk of each tap. A column has `taps` times `depth` numbers.
fn split_panels<E: Element>(b: Columns<'_, E>, panels: Range<usize>, depth: usize, taps: usize) -> Vec<Tile> {
    let of_tap = depth.div_ceil(CHUNK);
    let of_panel = taps * of_tap;
    let mut tiles = vec![NO_TILE; panels.len() * of_panel * 4];
    tiles.par_chunks_exact_mut(4).enumerate().with_min_len(8).for_each(|(at, tiles)| {
        let (panel, chunk) = (panels.start + at / of_panel, at % of_panel);
        let (tap, from) = (chunk / of_tap, chunk % of_tap * CHUNK);
        // SAFETY: who asks for tiles has the instructions.
        unsafe { split_panel(b, panel, tap * depth + from, CHUNK.min(depth - from), tiles) }
    });
    tiles
}

#[target_feature(enable = "avx512f,avx2,fma,f16c")]
unsafe fn split_panel<E: Element>(b: Columns<'_, E>, panel: usize, first: usize, count: usize, tiles: &mut [Tile]) {
    let mut rows = [0.0; CHUNK * PANEL];
    // Rows that are not there stay zeros.
    // SAFETY: as the caller's.
    unsafe { lay_out_there::<__m512, E>(b, panel, first, &mut rows[..count * PANEL]) };
    // SAFETY: there are so many rows of a panel.
    unsafe { split_rows(rows.as_ptr(), tiles) }
}

/// [`CHUNK`] rows of a panel as four tiles.
#[target_feature(enable = "avx512f")]
unsafe fn split_rows(rows: *const f32, tiles: &mut [Tile]) {
    for pair in 0..TILE {
        for side in [0, 1] {
            let at = pair * PANEL + side * TILE;
            // SAFETY: a row of a panel is two vectors; one of a tile is one.
            unsafe {
                let (first, second) = (_mm512_loadu_ps(rows.add(at)), _mm512_loadu_ps(rows.add(TILE * PANEL + at)));
                let (high, low) = split_pairs(first, second);
                _mm512_store_si512(tiles[side].0[pair * TILE..].as_mut_ptr().cast(), high);
                _mm512_store_si512(tiles[2 + side].0[pair * TILE..].as_mut_ptr().cast(), low);
            }
        }
    }
}
