//! The vectors of x86.

use core::arch::x86_64::*;

use half::{bf16, f16};

use super::Lanes;

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
