//! What both matrices of a product have in common.

/// Numbers that share a scale.
pub const BLOCK: usize = 32;

/// The largest whole number.
pub const LARGEST: f32 = 127.0;

/// The largest magnitude of a block; no number, or infinite, if one of them is. As whole numbers bits have the order of
/// magnitudes, and whole numbers are compared many at once.
#[inline(always)]
pub fn largest_of(block: &[f32; BLOCK]) -> f32 {
    f32::from_bits(block.iter().fold(0, |most, x| most.max(x.to_bits() & !SIGN)))
}

const SIGN: u32 = 1 << 31;

/// The nearest whole number, ties to the even one, in the lowest bits. A call for it would take most of the time.
#[inline(always)]
pub fn nearest(x: f32) -> u32 {
    (x + WHOLE).to_bits()
}

/// Added to a small number, it leaves the nearest whole one in the lowest bits.
const WHOLE: f32 = 12_582_912.0;
