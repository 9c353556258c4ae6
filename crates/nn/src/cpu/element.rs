//! The types that weights are kept in.
#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "every block stands in an `unsafe fn` whose contract, that of `Lanes`, is the block's own"
)]

use half::{bf16, f16, vec::HalfBitsVecExt};

use super::simd::Lanes;

/// A number as weights are kept; all arithmetic is in `f32`.
pub trait Element: Copy + Send + Sync + 'static {
    /// # Safety
    /// As [`Lanes`], and `from` must have `V::WIDTH` elements.
    unsafe fn load<V: Lanes>(from: *const Self) -> V;
    /// To the nearest.
    ///
    /// # Safety
    /// As [`Self::load`].
    unsafe fn store<V: Lanes>(a: V, to: *mut Self);
    fn to_f32(self) -> f32;
    /// Nearest value.
    fn from_f32(value: f32) -> Self;
    /// In memory that nobody has touched, which takes no room until it is written.
    fn zeros(count: usize) -> Vec<Self>;
    /// # Panics
    /// Where there are too few bytes.
    fn from_le_slice(bytes: &[u8]) -> Self;
}

// === impl Element ===

impl Element for f32 {
    #[inline(always)]
    fn zeros(count: usize) -> Vec<Self> {
        vec![0.0; count]
    }

    #[inline(always)]
    unsafe fn load<V: Lanes>(from: *const Self) -> V {
        unsafe { V::load(from) }
    }

    #[inline(always)]
    unsafe fn store<V: Lanes>(a: V, to: *mut Self) {
        unsafe { V::store(a, to) }
    }

    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }

    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        value
    }

    #[inline(always)]
    fn from_le_slice(bytes: &[u8]) -> Self {
        f32::from_le_bytes(*bytes.first_chunk().expect("the bytes of a number"))
    }
}

impl Element for f16 {
    #[inline(always)]
    fn zeros(count: usize) -> Vec<Self> {
        vec![0u16; count].reinterpret_into()
    }

    #[inline(always)]
    unsafe fn load<V: Lanes>(from: *const Self) -> V {
        unsafe { V::load_f16(from) }
    }

    #[inline(always)]
    unsafe fn store<V: Lanes>(a: V, to: *mut Self) {
        unsafe { V::store_f16(a, to) }
    }

    #[inline(always)]
    fn to_f32(self) -> f32 {
        f16::to_f32(self)
    }

    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        f16::from_f32(value)
    }

    #[inline(always)]
    fn from_le_slice(bytes: &[u8]) -> Self {
        f16::from_le_bytes(*bytes.first_chunk().expect("the bytes of a number"))
    }
}

impl Element for bf16 {
    #[inline(always)]
    fn zeros(count: usize) -> Vec<Self> {
        vec![0u16; count].reinterpret_into()
    }

    #[inline(always)]
    unsafe fn load<V: Lanes>(from: *const Self) -> V {
        unsafe { V::load_bf16(from) }
    }

    #[inline(always)]
    unsafe fn store<V: Lanes>(a: V, to: *mut Self) {
        let mut numbers = [0.0; 16];
        unsafe { V::store(a, numbers.as_mut_ptr()) };
        for (at, number) in numbers[..V::WIDTH].iter().enumerate() {
            unsafe { to.add(at).write(bf16::from_f32(*number)) };
        }
    }

    #[inline(always)]
    fn to_f32(self) -> f32 {
        bf16::to_f32(self)
    }

    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        bf16::from_f32(value)
    }

    #[inline(always)]
    fn from_le_slice(bytes: &[u8]) -> Self {
        bf16::from_le_bytes(*bytes.first_chunk().expect("the bytes of a number"))
    }
}
