//! The matrix unit itself.

use std::arch::asm;

use super::{
    shape::{BLOCK, TILE, Tile},
    split::{Chunk, ROUNDED, SPLIT},
};
use crate::cpu::matrix::PANEL;

/// Numbers of [`BLOCK`] rows and a panel.
pub type Block = [[f32; PANEL]; BLOCK];

/// Where rows of the left matrix lie: each is `chunks` chunks one `step` after the other, and `taps` times that, with a `jump`
/// between them. All in bytes.
#[derive(Clone, Copy)]
pub struct Left {
    /// From a row to the next.
    pub stride: usize,
    /// From a chunk to the next.
    pub step: usize,
    pub chunks: usize,
    /// From behind the chunks of a tap to those of the next one; downwards it wraps around.
    pub jump: usize,
    pub taps: usize,
}

// === impl Left ===

impl Left {
    /// Rows of so many chunks that follow each other.
    pub fn rows<const PARTS: usize>(chunks: usize) -> Self {
        let step = Chunk::<PARTS>::BYTES;
        Self { stride: chunks * step, step, chunks, jump: 0, taps: 1 }
    }
}

/// Has all eight tiles at full size.
///
/// # Safety
/// The processor has the unit, and this process may use it.
pub unsafe fn configure() {
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

/// Lets go of the tiles.
///
/// # Safety
/// As [`configure`].
pub unsafe fn release() {
    // SAFETY: the caller found the unit.
    unsafe { asm!("tilerelease", options(nostack, nomem)) }
}

/// [`BLOCK`] rows with one panel.
///
/// # Safety
/// The unit is configured; `rows` has [`BLOCK`] rows as `left` says, and `right` [`tiles`](super::tiles_of_chunk) for each of
/// their chunks.
pub unsafe fn multiply<const PARTS: usize>(rows: *const u8, left: Left, right: *const Tile, sums: &mut Block) {
    // SAFETY: as the caller's.
    unsafe {
        match PARTS {
            ROUNDED => multiply_rounded(rows, left, right, sums),
            SPLIT => multiply_split(rows, left, right, sums),
            _ => unreachable!("a number has one part or two"),
        }
    }
}

/// Makes `$name`, which does `$chunk` for each chunk of every tap: its sums are in the first four tiles.
macro_rules! multiply_by {
    ($(#[$about:meta])* $name:ident, $($chunk:literal),* $(,)?) => {
        $(#[$about])*
        ///
        /// # Safety
        /// As [`multiply`].
        unsafe fn $name(rows: *const u8, left: Left, right: *const Tile, sums: &mut Block) {
            let Left { stride, step, chunks, jump, taps } = left;
            // SAFETY: as the caller's.
            unsafe {
                asm!(
                    "tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3",
                    "2:",
                    "mov {chunk}, {chunks}",
                    "3:",
                    $($chunk,)*
                    "add {upper}, {step}", "add {lower}, {step}",
                    "dec {chunk}", "jnz 3b",
                    "add {upper}, {jump}", "add {lower}, {jump}",
                    "dec {taps}", "jnz 2b",
                    "add {line}, {line}",
                    "tilestored [{sums} + {line}], tmm0",
                    "tilestored [{sums} + {line} + 64], tmm1",
                    "tilestored [{sums} + {line} + 2048], tmm2",
                    "tilestored [{sums} + {line} + 2112], tmm3",
                    upper = inout(reg) rows => _, lower = inout(reg) rows.wrapping_add(TILE * stride) => _,
                    right = inout(reg) right => _, chunks = in(reg) chunks, chunk = out(reg) _, step = in(reg) step,
                    jump = in(reg) jump, taps = inout(reg) taps => _, stride = in(reg) stride,
                    line = inout(reg) 64usize => _, sums = in(reg) sums,
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                    out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                    options(nostack),
                );
            }
        }
    };
}

multiply_by! {
    /// One product.
    multiply_rounded,
    "tileloadd tmm6, [{right} + {line}]",
    "tileloadd tmm4, [{upper} + {stride}]",
    "tileloadd tmm7, [{right} + {line} + 1024]",
    "tileloadd tmm5, [{lower} + {stride}]",
    "tdpbf16ps tmm0, tmm4, tmm6", "tdpbf16ps tmm1, tmm4, tmm7",
    "tdpbf16ps tmm2, tmm5, tmm6", "tdpbf16ps tmm3, tmm5, tmm7",
    "add {right}, 2048",
}

multiply_by! {
    /// `(high + low) · (high + low)` without `low · low`.
    multiply_split,
    "tileloadd tmm4, [{upper} + {stride} + 64]",
    "tileloadd tmm5, [{lower} + {stride} + 64]",
    "tileloadd tmm6, [{right} + {line}]",
    "tileloadd tmm7, [{right} + {line} + 1024]",
    "tdpbf16ps tmm0, tmm4, tmm6", "tdpbf16ps tmm1, tmm4, tmm7",
    "tdpbf16ps tmm2, tmm5, tmm6", "tdpbf16ps tmm3, tmm5, tmm7",
    "tileloadd tmm4, [{upper} + {stride}]",
    "tileloadd tmm5, [{lower} + {stride}]",
    "tdpbf16ps tmm0, tmm4, tmm6", "tdpbf16ps tmm1, tmm4, tmm7",
    "tdpbf16ps tmm2, tmm5, tmm6", "tdpbf16ps tmm3, tmm5, tmm7",
    "tileloadd tmm6, [{right} + {line} + 2048]",
    "tileloadd tmm7, [{right} + {line} + 3072]",
    "tdpbf16ps tmm0, tmm4, tmm6", "tdpbf16ps tmm1, tmm4, tmm7",
    "tdpbf16ps tmm2, tmm5, tmm6", "tdpbf16ps tmm3, tmm5, tmm7",
    "add {right}, 4096",
}
