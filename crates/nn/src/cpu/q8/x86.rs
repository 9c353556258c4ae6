//! Dot products of bytes on x86.
#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "every block stands in an `unsafe fn` whose contract, that of `ByteDots`, is the block's own"
)]

use core::arch::x86_64::*;

use super::dots::ByteDots;

/// AVX2: bytes to pairs, pairs to sums. The first factor has no sign, so that of the row goes to the weights.
pub(super) struct Avx2;

/// AVX-VNNI: four bytes at once.
pub(super) struct AvxVnni;

/// The same of AVX-512.
pub(super) struct Avx512Vnni;

// SAFETY: whoever calls has enabled the instructions.
unsafe impl ByteDots for Avx2 {
    type Lanes = __m256;
    type Weights = __m256i;
    /// The numbers, and those without their signs.
    type Row = (__m256i, __m256i);
    type Sums = __m256i;
    const ROWS: usize = 2;

    #[inline(always)]
    unsafe fn weights(from: *const u8) -> Self::Weights {
        // What was added is the sign's bit.
        unsafe { _mm256_xor_si256(_mm256_loadu_si256(from.cast()), _mm256_set1_epi8(i8::MIN)) }
    }

    #[inline(always)]
    unsafe fn row(from: *const i8) -> Self::Row {
        let four = unsafe { _mm256_set1_epi32(from.cast::<i32>().read_unaligned()) };
        (four, unsafe { _mm256_abs_epi8(four) })
    }

    #[inline(always)]
    unsafe fn sums(_start: i32) -> Self::Sums {
        unsafe { _mm256_setzero_si256() }
    }

    #[inline(always)]
    unsafe fn add(sums: Self::Sums, weights: Self::Weights, (row, without_sign): Self::Row) -> Self::Sums {
        // Twice 127 times 127 is within sixteen bits.
        unsafe {
            let pairs = _mm256_maddubs_epi16(without_sign, _mm256_sign_epi8(weights, row));
            _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
        }
    }

    #[inline(always)]
    unsafe fn numbers(sums: Self::Sums) -> Self::Lanes {
        unsafe { _mm256_cvtepi32_ps(sums) }
    }
}

// SAFETY: whoever calls has enabled the instructions.
unsafe impl ByteDots for AvxVnni {
    type Lanes = __m256;
    type Weights = __m256i;
    type Row = __m256i;
    type Sums = __m256i;
    const ROWS: usize = 2;

    #[inline(always)]
    unsafe fn weights(from: *const u8) -> Self::Weights {
        unsafe { _mm256_loadu_si256(from.cast()) }
    }

    #[inline(always)]
    unsafe fn row(from: *const i8) -> Self::Row {
        unsafe { _mm256_set1_epi32(from.cast::<i32>().read_unaligned()) }
    }

    #[inline(always)]
    unsafe fn sums(start: i32) -> Self::Sums {
        unsafe { _mm256_set1_epi32(start) }
    }

    #[inline(always)]
    unsafe fn add(sums: Self::Sums, weights: Self::Weights, row: Self::Row) -> Self::Sums {
        unsafe { _mm256_dpbusd_avx_epi32(sums, weights, row) }
    }

    #[inline(always)]
    unsafe fn numbers(sums: Self::Sums) -> Self::Lanes {
        unsafe { _mm256_cvtepi32_ps(sums) }
    }
}

// SAFETY: whoever calls has enabled the instructions.
unsafe impl ByteDots for Avx512Vnni {
    type Lanes = __m512;
    type Weights = __m512i;
    type Row = __m512i;
    type Sums = __m512i;
    const ROWS: usize = 6;

    #[inline(always)]
    unsafe fn weights(from: *const u8) -> Self::Weights {
        unsafe { _mm512_loadu_si512(from.cast()) }
    }

    #[inline(always)]
    unsafe fn row(from: *const i8) -> Self::Row {
        unsafe { _mm512_set1_epi32(from.cast::<i32>().read_unaligned()) }
    }

    #[inline(always)]
    unsafe fn sums(start: i32) -> Self::Sums {
        unsafe { _mm512_set1_epi32(start) }
    }

    #[inline(always)]
    unsafe fn add(sums: Self::Sums, weights: Self::Weights, row: Self::Row) -> Self::Sums {
        unsafe { _mm512_dpbusd_epi32(sums, weights, row) }
    }

    #[inline(always)]
    unsafe fn numbers(sums: Self::Sums) -> Self::Lanes {
        unsafe { _mm512_cvtepi32_ps(sums) }
    }
}
