//! Vectors of `f32`, as wide as the processor has them.
//!
//! A kernel is written once, generic over [`Lanes`], as an `#[inline(always)]` function; [`super::detect`] says at run time
//! which instance to call, and [`vectorised!`] makes the instances.
#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "every block stands in an `unsafe fn` whose contract, that of `Lanes`, is the block's own"
)]

use half::{bf16, f16};

/// Some numbers that are worked on together.
///
/// # Safety
/// Every method needs the instructions that the type stands for, so callers live in functions that enable them.
pub unsafe trait Lanes: Copy {
    const WIDTH: usize;
    /// Rows of two vectors whose sums fit into the registers.
    const ROWS: usize;

    unsafe fn splat(value: f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn load_f16(from: *const f16) -> Self;
    unsafe fn load_bf16(from: *const bf16) -> Self;
    unsafe fn store(a: Self, to: *mut f32);
    /// To the nearest.
    unsafe fn store_f16(a: Self, to: *mut f16);
    unsafe fn add(a: Self, b: Self) -> Self;
    unsafe fn sub(a: Self, b: Self) -> Self;
    unsafe fn mul(a: Self, b: Self) -> Self;
    unsafe fn div(a: Self, b: Self) -> Self;
    unsafe fn max(a: Self, b: Self) -> Self;
    unsafe fn min(a: Self, b: Self) -> Self;
    /// `a * b + c`, rounded once where the processor can.
    unsafe fn fma(a: Self, b: Self, c: Self) -> Self;
    /// To the nearest whole number.
    unsafe fn round(a: Self) -> Self;
    /// `2^a` for whole numbers from -126 to 127; 0 for -127.
    unsafe fn exp2_whole(a: Self) -> Self;
    /// The lanes of each of four, added up.
    unsafe fn sums(of: &[Self; 4]) -> [f32; 4];
    /// Whether every lane of one is that of the other.
    unsafe fn equal(a: Self, b: Self) -> bool;
    /// Writes the columns of a square of `WIDTH` rows that follow each other as rows, `stride` apart.
    unsafe fn transpose(from: *const f32, to: *mut f32, stride: usize);
}

/// Makes `$name(level, args…)`, which calls `$kernel::<V>(args…)` with the widest vectors that `level` allows.
macro_rules! vectorised {
    ($(#[$doc:meta])* $vis:vis fn $name:ident $(<$($generic:ident: $bound:path),+>)? ($($arg:ident: $type:ty),* $(,)?) $(-> $out:ty)? = $kernel:ident) => {
        $(#[$doc])*
        $vis fn $name $(<$($generic: $bound),+>)? (level: $crate::cpu::detect::SimdLevel, $($arg: $type),*) $(-> $out)? {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx2,fma,f16c")]
            unsafe fn avx512 $(<$($generic: $bound),+>)? ($($arg: $type),*) $(-> $out)? {
                // SAFETY: the attribute above enables what the vector needs.
                unsafe { $kernel::<core::arch::x86_64::__m512 $($(, $generic)+)?>($($arg),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,f16c")]
            unsafe fn avx2 $(<$($generic: $bound),+>)? ($($arg: $type),*) $(-> $out)? {
                // SAFETY: the attribute above enables what the vector needs.
                unsafe { $kernel::<core::arch::x86_64::__m256 $($(, $generic)+)?>($($arg),*) }
            }
            match level.instructions() {
                #[cfg(target_arch = "x86_64")]
                $crate::cpu::detect::Instructions::Avx512 | $crate::cpu::detect::Instructions::Avx512Tiles => {
                    // SAFETY: a `SimdLevel` exists only where its instructions do.
                    unsafe { avx512 $(::<$($generic),+>)? ($($arg),*) }
                }
                #[cfg(target_arch = "x86_64")]
                $crate::cpu::detect::Instructions::Avx2 => {
                    // SAFETY: a `SimdLevel` exists only where its instructions do.
                    unsafe { avx2 $(::<$($generic),+>)? ($($arg),*) }
                }
                _ => {
                    // SAFETY: arrays need no instructions of their own.
                    unsafe { $kernel::<$crate::cpu::simd::Eight $($(, $generic)+)?>($($arg),*) }
                }
            }
        }
    };
}
pub(super) use vectorised;

/// The portable vector.
#[derive(Clone, Copy)]
pub struct Eight([f32; 8]);

/// Asks for a line of memory that will be read soon; any address will do.
#[inline(always)]
pub(super) fn prefetch(_at: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch reads nothing and never faults.
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(_at.cast());
    }
}

/// The same into the second-level cache, where there is room for more that is on its way.
#[inline(always)]
pub(super) fn prefetch_far(_at: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch reads nothing and never faults.
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T1 }>(_at.cast());
    }
}

// === impl Lanes ===

/// One line per operation.
macro_rules! lanes {
    ($vector:ty, $width:literal, $rows:literal, $($name:ident($($arg:ident: $type:ty),*) $(-> $out:ty)? = $body:expr;)*) => {
        // SAFETY: plain arithmetic; whoever calls has enabled the instructions.
        unsafe impl Lanes for $vector {
            const WIDTH: usize = $width;
            const ROWS: usize = $rows;
            $(
                #[inline(always)]
                #[allow(unused_unsafe, reason = "some lines need none")]
                unsafe fn $name($($arg: $type),*) $(-> $out)? {
                    unsafe { $body }
                }
            )*
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod x86;

lanes! { Eight, 8, 2,
    splat(value: f32) -> Self = Self([value; 8]);
    load(from: *const f32) -> Self = Self(from.cast::<[f32; 8]>().read_unaligned());
    load_f16(from: *const f16) -> Self = Self(from.cast::<[f16; 8]>().read_unaligned().map(f16::to_f32));
    load_bf16(from: *const bf16) -> Self = Self(from.cast::<[bf16; 8]>().read_unaligned().map(bf16::to_f32));
    store(a: Self, to: *mut f32) = to.cast::<[f32; 8]>().write_unaligned(a.0);
    store_f16(a: Self, to: *mut f16) = to.cast::<[f16; 8]>().write_unaligned(a.0.map(f16::from_f32));
    add(a: Self, b: Self) -> Self = each(a, b, |a, b| a + b);
    sub(a: Self, b: Self) -> Self = each(a, b, |a, b| a - b);
    mul(a: Self, b: Self) -> Self = each(a, b, |a, b| a * b);
    div(a: Self, b: Self) -> Self = each(a, b, |a, b| a / b);
    max(a: Self, b: Self) -> Self = each(a, b, |a, b| if a > b { a } else { b });
    min(a: Self, b: Self) -> Self = each(a, b, |a, b| if a < b { a } else { b });
    // Not `mul_add`: without the instruction it is a slow call.
    fma(a: Self, b: Self, c: Self) -> Self = each(each(a, b, |a, b| a * b), c, |a, b| a + b);
    round(a: Self) -> Self = Self(a.0.map(f32::round_ties_even));
    exp2_whole(a: Self) -> Self = Self(a.0.map(|n| f32::from_bits(((n as i32 + 127) << 23) as u32)));
    sums(of: &[Self; 4]) -> [f32; 4] = of.map(|Self([a, b, c, d, e, f, g, h])| ((a + e) + (c + g)) + ((b + f) + (d + h)));
    equal(a: Self, b: Self) -> bool = a.0 == b.0;
    transpose(from: *const f32, to: *mut f32, stride: usize) = {
        for at in 0..64 {
            *to.add(at % 8 * stride + at / 8) = *from.add(at);
        }
    };
}

#[inline(always)]
fn each(mut a: Eight, b: Eight, op: impl Fn(f32, f32) -> f32) -> Eight {
    for (a, b) in a.0.iter_mut().zip(b.0) {
        *a = op(*a, b);
    }
    a
}
