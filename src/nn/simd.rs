//! Vectors of `f32`, as wide as the processor has them.
//!
//! A kernel is written once, generic over [`Lanes`], as an `#[inline(always)]` function; [`SimdLevel::detect`] says at run
//! time which instance to call, and [`vectorised!`] makes the instances.
#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "every block stands in an `unsafe fn` whose contract, that of `Lanes`, is the block's own"
)]

use half::{bf16, f16};

/// Vector instructions that this processor has. Only [`SimdLevel::available`] makes one, so whoever holds a level may use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SimdLevel(Instructions);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Instructions {
    /// Whatever the compiler makes of arrays of eight.
    Portable,
    /// With FMA and half-precision conversion.
    Avx2,
    Avx512,
    /// The same, and a matrix unit, see `tiles`.
    Avx512Tiles,
}

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
}

/// Makes `$name(level, args…)`, which calls `$kernel::<V>(args…)` with the widest vectors that `level` allows.
macro_rules! vectorised {
    ($(#[$doc:meta])* $vis:vis fn $name:ident $(<$($generic:ident: $bound:path),+>)? ($($arg:ident: $type:ty),* $(,)?) $(-> $out:ty)? = $kernel:ident) => {
        $(#[$doc])*
        $vis fn $name $(<$($generic: $bound),+>)? (level: $crate::nn::simd::SimdLevel, $($arg: $type),*) $(-> $out)? {
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
                $crate::nn::simd::Instructions::Avx512 | $crate::nn::simd::Instructions::Avx512Tiles => {
                    // SAFETY: a `SimdLevel` exists only where its instructions do.
                    unsafe { avx512 $(::<$($generic),+>)? ($($arg),*) }
                }
                #[cfg(target_arch = "x86_64")]
                $crate::nn::simd::Instructions::Avx2 => {
                    // SAFETY: a `SimdLevel` exists only where its instructions do.
                    unsafe { avx2 $(::<$($generic),+>)? ($($arg),*) }
                }
                _ => {
                    // SAFETY: arrays need no instructions of their own.
                    unsafe { $kernel::<$crate::nn::simd::Eight $($(, $generic)+)?>($($arg),*) }
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

// === impl SimdLevel ===

impl SimdLevel {
    /// The widest.
    pub fn detect() -> Self {
        Self::available().last().copied().unwrap_or(Self(Instructions::Portable))
    }

    /// Every level that this processor can run, weakest first.
    pub fn available() -> &'static [Self] {
        const ALL: &[SimdLevel] = &[
            SimdLevel(Instructions::Portable),
            SimdLevel(Instructions::Avx2),
            SimdLevel(Instructions::Avx512),
            SimdLevel(Instructions::Avx512Tiles),
        ];
        &ALL[..Self::count()]
    }

    #[cfg(target_arch = "x86_64")]
    fn count() -> usize {
        let avx2 =
            is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c");
        match () {
            () if !avx2 => 1,
            () if !is_x86_feature_detected!("avx512f") => 2,
            () if !super::tiles::available() => 3,
            () => 4,
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn count() -> usize {
        1
    }

    /// Whether products of many rows use a matrix unit, which splits numbers and is exact to about 2⁻¹⁶.
    pub fn has_tiles(self) -> bool {
        self.0 == Instructions::Avx512Tiles
    }

    pub(super) fn instructions(self) -> Instructions {
        self.0
    }
}

// === impl Element ===

impl Element for f32 {
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
}

impl Element for f16 {
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
}

impl Element for bf16 {
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

#[cfg(target_arch = "x86_64")]
mod x86 {
    use core::arch::x86_64::*;

    use super::{Lanes, bf16, f16};

    lanes! { __m256, 8, 6,
        splat(value: f32) -> Self = _mm256_set1_ps(value);
        load(from: *const f32) -> Self = _mm256_loadu_ps(from);
        load_f16(from: *const f16) -> Self = _mm256_cvtph_ps(_mm_loadu_si128(from.cast()));
        load_bf16(from: *const bf16) -> Self =
            _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(_mm_loadu_si128(from.cast()))));
        store(a: Self, to: *mut f32) = _mm256_storeu_ps(to, a);
        store_f16(a: Self, to: *mut f16) = _mm_storeu_si128(to.cast(), _mm256_cvtps_ph::<{ _MM_FROUND_TO_NEAREST_INT }>(a));
        add(a: Self, b: Self) -> Self = _mm256_add_ps(a, b);
        sub(a: Self, b: Self) -> Self = _mm256_sub_ps(a, b);
        mul(a: Self, b: Self) -> Self = _mm256_mul_ps(a, b);
        div(a: Self, b: Self) -> Self = _mm256_div_ps(a, b);
        max(a: Self, b: Self) -> Self = _mm256_max_ps(a, b);
        min(a: Self, b: Self) -> Self = _mm256_min_ps(a, b);
        fma(a: Self, b: Self, c: Self) -> Self = _mm256_fmadd_ps(a, b, c);
        round(a: Self) -> Self = _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a);
        exp2_whole(a: Self) -> Self = _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_add_epi32(
            _mm256_cvtps_epi32(a), _mm256_set1_epi32(127))));
        sums(of: &[Self; 4]) -> [f32; 4] = {
            let quads = quads256(of);
            let all = _mm256_add_ps(_mm256_add_ps(quads[0], quads[2]), _mm256_add_ps(quads[1], quads[3]));
            added(_mm_add_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps::<1>(all)))
        };
        equal(a: Self, b: Self) -> bool = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_EQ_OQ>(a, b)) == 0xff;
        transpose(from: *const f32, to: *mut f32, stride: usize) = {
            let mut rows = [_mm256_setzero_ps(); 8];
            for (at, row) in rows.iter_mut().enumerate() {
                *row = _mm256_loadu_ps(from.add(at * 8));
            }
            let [upper, lower] = [quads256(&rows[..4]), quads256(&rows[4..])];
            for at in 0..4 {
                let (upper, lower) = (upper[at], lower[at]);
                _mm256_storeu_ps(to.add(at * stride), _mm256_permute2f128_ps::<0x20>(upper, lower));
                _mm256_storeu_ps(to.add((4 + at) * stride), _mm256_permute2f128_ps::<0x31>(upper, lower));
            }
        };
    }

    #[inline(always)]
    unsafe fn added(four: __m128) -> [f32; 4] {
        let mut numbers = [0.0; 4];
        unsafe { _mm_storeu_ps(numbers.as_mut_ptr(), four) };
        numbers
    }

    /// Of four rows: in lane `l` of the `j`-th result, what they have in column `4 l + j`.
    #[inline(always)]
    unsafe fn quads256(rows: &[__m256]) -> [__m256; 4] {
        unsafe {
            let first = _mm256_castps_pd(_mm256_unpacklo_ps(rows[0], rows[1]));
            let second = _mm256_castps_pd(_mm256_unpackhi_ps(rows[0], rows[1]));
            let third = _mm256_castps_pd(_mm256_unpacklo_ps(rows[2], rows[3]));
            let fourth = _mm256_castps_pd(_mm256_unpackhi_ps(rows[2], rows[3]));
            [
                _mm256_castpd_ps(_mm256_unpacklo_pd(first, third)),
                _mm256_castpd_ps(_mm256_unpackhi_pd(first, third)),
                _mm256_castpd_ps(_mm256_unpacklo_pd(second, fourth)),
                _mm256_castpd_ps(_mm256_unpackhi_pd(second, fourth)),
            ]
        }
    }

    lanes! { __m512, 16, 12,
        splat(value: f32) -> Self = _mm512_set1_ps(value);
        load(from: *const f32) -> Self = _mm512_loadu_ps(from);
        load_f16(from: *const f16) -> Self = _mm512_cvtph_ps(_mm256_loadu_si256(from.cast()));
        load_bf16(from: *const bf16) -> Self =
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(_mm256_loadu_si256(from.cast()))));
        store(a: Self, to: *mut f32) = _mm512_storeu_ps(to, a);
        store_f16(a: Self, to: *mut f16) =
            _mm256_storeu_si256(to.cast(), _mm512_cvtps_ph::<{ _MM_FROUND_TO_NEAREST_INT }>(a));
        add(a: Self, b: Self) -> Self = _mm512_add_ps(a, b);
        sub(a: Self, b: Self) -> Self = _mm512_sub_ps(a, b);
        mul(a: Self, b: Self) -> Self = _mm512_mul_ps(a, b);
        div(a: Self, b: Self) -> Self = _mm512_div_ps(a, b);
        max(a: Self, b: Self) -> Self = _mm512_max_ps(a, b);
        min(a: Self, b: Self) -> Self = _mm512_min_ps(a, b);
        fma(a: Self, b: Self, c: Self) -> Self = _mm512_fmadd_ps(a, b, c);
        round(a: Self) -> Self = _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a);
        exp2_whole(a: Self) -> Self = _mm512_castsi512_ps(_mm512_slli_epi32::<23>(_mm512_add_epi32(
            _mm512_cvtps_epi32(a), _mm512_set1_epi32(127))));
        sums(of: &[Self; 4]) -> [f32; 4] = {
            let quads = quads512(of);
            let all = _mm512_add_ps(_mm512_add_ps(quads[0], quads[2]), _mm512_add_ps(quads[1], quads[3]));
            let lanes = _mm512_castps_pd(all);
            let half = _mm256_castpd_ps(_mm512_extractf64x4_pd::<1>(lanes));
            let half = _mm256_add_ps(_mm512_castps512_ps256(all), half);
            added(_mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps::<1>(half)))
        };
        equal(a: Self, b: Self) -> bool = _mm512_cmp_ps_mask::<_CMP_EQ_OQ>(a, b) == 0xffff;
        transpose(from: *const f32, to: *mut f32, stride: usize) = {
            let mut rows = [_mm512_setzero_ps(); 16];
            for (at, row) in rows.iter_mut().enumerate() {
                *row = _mm512_loadu_ps(from.add(at * 16));
            }
            let [first, second] = [quads512(&rows[..4]), quads512(&rows[4..8])];
            let [third, fourth] = [quads512(&rows[8..12]), quads512(&rows[12..])];
            for at in 0..4 {
                let (first, second, third, fourth) = (first[at], second[at], third[at], fourth[at]);
                // 0x88 takes the even lanes of both, 0xdd the odd ones.
                let even = (_mm512_shuffle_f32x4::<0x88>(first, second), _mm512_shuffle_f32x4::<0x88>(third, fourth));
                let odd = (_mm512_shuffle_f32x4::<0xdd>(first, second), _mm512_shuffle_f32x4::<0xdd>(third, fourth));
                _mm512_storeu_ps(to.add(at * stride), _mm512_shuffle_f32x4::<0x88>(even.0, even.1));
                _mm512_storeu_ps(to.add((4 + at) * stride), _mm512_shuffle_f32x4::<0x88>(odd.0, odd.1));
                _mm512_storeu_ps(to.add((8 + at) * stride), _mm512_shuffle_f32x4::<0xdd>(even.0, even.1));
                _mm512_storeu_ps(to.add((12 + at) * stride), _mm512_shuffle_f32x4::<0xdd>(odd.0, odd.1));
            }
        };
    }

    /// Of four rows: in lane `l` of the `j`-th result, what they have in column `4 l + j`.
    #[inline(always)]
    unsafe fn quads512(rows: &[__m512]) -> [__m512; 4] {
        unsafe {
            let first = _mm512_castps_pd(_mm512_unpacklo_ps(rows[0], rows[1]));
            let second = _mm512_castps_pd(_mm512_unpackhi_ps(rows[0], rows[1]));
            let third = _mm512_castps_pd(_mm512_unpacklo_ps(rows[2], rows[3]));
            let fourth = _mm512_castps_pd(_mm512_unpackhi_ps(rows[2], rows[3]));
            [
                _mm512_castpd_ps(_mm512_unpacklo_pd(first, third)),
                _mm512_castpd_ps(_mm512_unpackhi_pd(first, third)),
                _mm512_castpd_ps(_mm512_unpacklo_pd(second, fourth)),
                _mm512_castpd_ps(_mm512_unpackhi_pd(second, fourth)),
            ]
        }
    }
}
