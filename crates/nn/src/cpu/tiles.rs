//! Products of many rows on the matrix unit that some x86 processors have (AMX).
//!
//! The unit multiplies `bf16`, eight significant bits, which is too coarse; so each number is split into a sum of two
//! (`high + low`, sixteen bits), and of the four products the three that count are added up in `f32`. The error is about
//! 2⁻¹⁶ of each product, and it is still several times as fast as `f32` vectors.
//!
//! A tile is 16 rows of 64 bytes. The left matrix is cut into 16 rows by 32 numbers, high then low; the right one,
//! per panel, into 32 rows by 16 columns, with the numbers of two rows side by side: high left, high right, low left,
//! low right.

use std::{
    arch::{asm, x86_64::*},
    ops::Range,
};

use rayon::prelude::*;

use super::{
    columns::{Columns, lay_out_there},
    detect::SimdLevel,
    element::Element,
    epilogue::{KernelEpilogue, check_sizes, complete_rows},
    matrix::{PANEL, Rows, Target, panels},
};

/// Numbers along the depth of a tile.
const CHUNK: usize = 32;

/// Rows of a tile.
const TILE: usize = 16;

/// Of `u16` in a tile.
const TILE_LEN: usize = TILE * CHUNK;

/// Rows that are multiplied at once.
const BLOCK: usize = 2 * TILE;

/// Blocks of rows that one task takes with all panels.
const TASK_BLOCKS: usize = 4;

/// Panels that are split at once: a vocabulary as a whole would take more memory than a layer.
const GROUP_PANELS: usize = 256;

/// One tile, aligned to a line of the cache.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Tile([u16; TILE_LEN]);

/// `target = epilogue(a · b)` on the threads of the current pool. The processor must have the unit, and the target is the
/// caller's own.
pub fn multiply<E: Element>(a: Rows<'_>, b: Columns<'_, E>, target: Target, epilogue: KernelEpilogue<'_>) {
    assert!(SimdLevel::detect().has_tiles(), "there is no matrix unit");
    check_sizes(&a, (b.depth(), b.columns()), &target, &epilogue);
    let all = panels(b.columns());
    for first in (0..all).step_by(GROUP_PANELS) {
        multiply_group(a, b, first..all.min(first + GROUP_PANELS), target, epilogue);
    }
}

/// Some panels of columns. The target is the caller's own.
fn multiply_group<E: Element>(
    a: Rows<'_>,
    b: Columns<'_, E>,
    panels: Range<usize>,
    target: Target,
    epilogue: KernelEpilogue<'_>,
) {
    let chunks = b.depth().div_ceil(CHUNK);
    let right = split_panels(b, panels.clone(), chunks);
    let column = panels.start * PANEL;
    let columns = (panels.len() * PANEL).min(b.columns() - column);
    let (target, epilogue) = (target.at(0, column), epilogue.part(0, a.count, column));
    let blocks = a.count.div_ceil(BLOCK);
    (0..blocks.div_ceil(TASK_BLOCKS)).into_par_iter().for_each_init(Vec::new, |left, task| {
        let first = task * TASK_BLOCKS * BLOCK;
        let rows = a.part(first, TASK_BLOCKS * BLOCK);
        // SAFETY: the unit is there; each task writes its own rows.
        unsafe {
            split_rows(rows, b.depth(), chunks, left);
            multiply_task(left, &right, chunks, rows.count, first, columns, target, epilogue);
        }
    });
}

/// Every block of rows with every panel.
#[target_feature(enable = "avx512f,avx2,fma,f16c")]
#[allow(clippy::too_many_arguments, reason = "an inner loop")]
unsafe fn multiply_task(
    left: &[Tile],
    right: &[Tile],
    chunks: usize,
    rows: usize,
    first: usize,
    columns: usize,
    target: Target,
    epilogue: KernelEpilogue<'_>,
) {
    let mut sums = [[0.0; PANEL]; BLOCK];
    // SAFETY: as the caller's.
    unsafe {
        configure();
        for panel in 0..panels(columns) {
            let right = right[panel * chunks * 4..][..chunks * 4].as_ptr();
            for (block, left) in left.chunks_exact(chunks * 4).enumerate() {
                multiply_block(left.as_ptr(), left[chunks * 2..].as_ptr(), right, chunks, &mut sums);
                let row = block * BLOCK;
                let sums = &sums[..BLOCK.min(rows - row)];
                complete_rows::<__m512>(sums, first + row, panel * PANEL, columns, target, epilogue);
            }
        }
        asm!("tilerelease", options(nostack, nomem));
    }
}

/// All eight tiles at full size.
unsafe fn configure() {
    #[repr(C, align(64))]
    struct Palette {
        number: u8,
        start: u8,
        reserved: [u8; 14],
        bytes: [u16; 16],
        rows: [u8; 16],
    }
    let mut palette = Palette { number: 1, start: 0, reserved: [0; 14], bytes: [0; 16], rows: [0; 16] };
    palette.bytes[..8].fill(64);
    palette.rows[..8].fill(TILE as u8);
    // SAFETY: the caller found the unit.
    unsafe { asm!("ldtilecfg [{}]", in(reg) &palette, options(nostack, readonly)) }
}

/// Two tiles of rows with one panel: `(high + low) · (high + low)` without `low · low`.
unsafe fn multiply_block(
    upper: *const Tile,
    lower: *const Tile,
    right: *const Tile,
    chunks: usize,
    sums: &mut [[f32; PANEL]; BLOCK],
) {
    // SAFETY: each of `upper` and `lower` has 2 tiles for each chunk, `right` has 4; the unit is configured.
    unsafe {
        asm!(
            "tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3",
            "2:",
            "tileloadd tmm4, [{upper} + {stride} + 1024]",
            "tileloadd tmm5, [{lower} + {stride} + 1024]",
            "tileloadd tmm6, [{right} + {stride}]",
            "tileloadd tmm7, [{right} + {stride} + 1024]",
            "tdpbf16ps tmm0, tmm4, tmm6", "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm2, tmm5, tmm6", "tdpbf16ps tmm3, tmm5, tmm7",
            "tileloadd tmm4, [{upper} + {stride}]",
            "tileloadd tmm5, [{lower} + {stride}]",
            "tdpbf16ps tmm0, tmm4, tmm6", "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm2, tmm5, tmm6", "tdpbf16ps tmm3, tmm5, tmm7",
            "tileloadd tmm6, [{right} + {stride} + 2048]",
            "tileloadd tmm7, [{right} + {stride} + 3072]",
            "tdpbf16ps tmm0, tmm4, tmm6", "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm2, tmm5, tmm6", "tdpbf16ps tmm3, tmm5, tmm7",
            "add {upper}, 2048", "add {lower}, 2048", "add {right}, 4096",
            "dec {chunks}", "jnz 2b",
            "tilestored [{sums} + {wide}], tmm0",
            "tilestored [{sums} + {wide} + 64], tmm1",
            "tilestored [{sums} + {wide} + 2048], tmm2",
            "tilestored [{sums} + {wide} + 2112], tmm3",
            upper = inout(reg) upper => _, lower = inout(reg) lower => _, right = inout(reg) right => _,
            chunks = inout(reg) chunks => _, stride = in(reg) 64usize, wide = in(reg) PANEL * 4, sums = in(reg) sums,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}

/// The left matrix as tiles: for each 16 rows, for each chunk, high and low.
#[target_feature(enable = "avx512f,avx2,fma,f16c")]
unsafe fn split_rows(rows: Rows<'_>, depth: usize, chunks: usize, tiles: &mut Vec<Tile>) {
    tiles.clear();
    tiles.resize(rows.count.div_ceil(BLOCK) * 2 * chunks * 2, Tile([0; TILE_LEN]));
    for row in 0..rows.count {
        let numbers = rows.row(row, depth);
        let tiles = &mut tiles[row / TILE * chunks * 2..][..chunks * 2];
        for (pair, numbers) in tiles.chunks_exact_mut(2).zip(numbers.chunks(CHUNK)) {
            let mut padded = [0.0; CHUNK];
            let numbers = numbers.first_chunk().unwrap_or_else(|| {
                padded[..numbers.len()].copy_from_slice(numbers);
                &padded
            });
            let [high, low] = pair else { continue };
            let at = row % TILE * CHUNK;
            // SAFETY: a chunk is two vectors, and as wide as a tile's row.
            unsafe {
                split_chunk(numbers, high.0[at..].as_mut_ptr(), low.0[at..].as_mut_ptr());
            }
        }
    }
}

#[target_feature(enable = "avx512f")]
unsafe fn split_chunk(numbers: &[f32; CHUNK], high: *mut u16, low: *mut u16) {
    for at in [0, CHUNK / 2] {
        // SAFETY: half a chunk is one vector.
        unsafe {
            let (upper, rest) = split(_mm512_loadu_ps(numbers.as_ptr().add(at)));
            _mm256_storeu_si256(high.add(at).cast(), _mm512_cvtepi32_epi16(_mm512_srli_epi32::<16>(upper)));
            _mm256_storeu_si256(low.add(at).cast(), _mm512_cvtepi32_epi16(_mm512_srli_epi32::<16>(rest)));
        }
    }
}

/// The right matrix as tiles: for each panel, for each chunk, high left, high right, low left, low right.
fn split_panels<E: Element>(b: Columns<'_, E>, panels: Range<usize>, chunks: usize) -> Vec<Tile> {
    let mut tiles = vec![Tile([0; TILE_LEN]); panels.len() * chunks * 4];
    tiles.par_chunks_exact_mut(4).enumerate().with_min_len(8).for_each(|(at, tiles)| {
        let (panel, first) = (panels.start + at / chunks, at % chunks * CHUNK);
        let count = CHUNK.min(b.depth() - first);
        // SAFETY: who asks for tiles has the instructions.
        unsafe { split_panel(b, panel, first, count, tiles) }
    });
    tiles
}

#[target_feature(enable = "avx512f,avx2,fma,f16c")]
unsafe fn split_panel<E: Element>(b: Columns<'_, E>, panel: usize, first: usize, count: usize, tiles: &mut [Tile]) {
    let mut rows = [0.0; CHUNK * PANEL];
    // Rows that are not there stay zeros.
    // SAFETY: as the caller's.
    unsafe { lay_out_there::<__m512, E>(b, panel, first, &mut rows[..count * PANEL]) };
    for (pair, rows) in rows.as_chunks::<{ 2 * PANEL }>().0.iter().enumerate() {
        for side in [0, 1] {
            // SAFETY: a row of a panel is two vectors; one of a tile is one.
            unsafe {
                let even = split(_mm512_loadu_ps(rows[side * TILE..].as_ptr()));
                let odd = split(_mm512_loadu_ps(rows[PANEL + side * TILE..].as_ptr()));
                store_pair(even.0, odd.0, &mut tiles[side].0[pair * CHUNK..]);
                store_pair(even.1, odd.1, &mut tiles[2 + side].0[pair * CHUNK..]);
            }
        }
    }
}

/// The upper halves of each lane of both, side by side.
#[target_feature(enable = "avx512f")]
unsafe fn store_pair(even: __m512i, odd: __m512i, to: &mut [u16]) {
    // SAFETY: a row of a tile is one vector.
    unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), _mm512_or_si512(_mm512_srli_epi32::<16>(even), odd)) }
}

/// `x` as the sum of two `bf16`, each in the upper half of its lane.
#[target_feature(enable = "avx512f")]
unsafe fn split(x: __m512) -> (__m512i, __m512i) {
    let high = rounded(x);
    (high, rounded(_mm512_sub_ps(x, _mm512_castsi512_ps(high))))
}

/// To the nearest `bf16`, ties to even.
#[target_feature(enable = "avx512f")]
fn rounded(x: __m512) -> __m512i {
    let bits = _mm512_castps_si512(x);
    let odd = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
    let up = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    _mm512_and_si512(up, _mm512_set1_epi32(!0xffff))
}
