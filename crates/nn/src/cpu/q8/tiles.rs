//! The right matrix for a matrix unit.
//!
//! A unit multiplies bytes too, twice as many at once as `bf16`. But the numbers of 32 in a row share a scale, so that each
//! dot product of 32 would have to leave the unit and be scaled, and that takes longer than the product. As `bf16` each
//! weight is scaled before, once for all rows, and the sums stay where they are. What is rounded is less than what eight
//! bits round.

use std::arch::x86_64::*;

use super::{
    super::{matrix::PANEL, tiles::RightMatrix},
    block::BLOCK,
    weights::{BLOCK_BYTES, FOUR, NUMBERS, OFFSET, Q8Weights},
};

/// Numbers of a vector, and columns whose numbers of the depth lie side by side in one.
const WIDTH: usize = 16;

// === impl RightMatrix ===

impl RightMatrix for &Q8Weights {
    fn depth(&self) -> usize {
        Q8Weights::depth(self)
    }

    fn columns(&self) -> usize {
        Q8Weights::columns(self)
    }

    #[target_feature(enable = "avx512f,avx2,fma,f16c")]
    unsafe fn lay_out(&self, panel: usize, first: usize, to: &mut [f32]) {
        let block = &self.panel(panel).as_chunks::<BLOCK_BYTES>().0[first / BLOCK];
        let (numbers, scales) = block.split_at(NUMBERS);
        for side in 0..PANEL / WIDTH {
            let scales: &[u8; 2 * WIDTH] = scales[side * 2 * WIDTH..].first_chunk().expect("as many scales as columns");
            // SAFETY: there are as many bytes as the vector is long.
            let scales = unsafe { _mm512_cvtepu16_epi32(_mm256_loadu_si256(scales.as_ptr().cast())) };
            let scales = _mm512_castsi512_ps(_mm512_slli_epi32::<16>(scales));
            for (four, rows) in to.chunks_mut(FOUR * PANEL).enumerate() {
                let at = (four * PANEL + side * WIDTH) * FOUR;
                // SAFETY: as above.
                let mut bytes = unsafe { _mm512_loadu_si512(numbers[at..][..WIDTH * FOUR].as_ptr().cast()) };
                for row in rows.chunks_exact_mut(PANEL) {
                    let of_row = _mm512_and_si512(bytes, _mm512_set1_epi32(0xff));
                    let whole = _mm512_cvtepi32_ps(_mm512_sub_epi32(of_row, _mm512_set1_epi32(OFFSET)));
                    let row = &mut row[side * WIDTH..][..WIDTH];
                    // SAFETY: as above.
                    unsafe { _mm512_storeu_ps(row.as_mut_ptr(), _mm512_mul_ps(whole, scales)) };
                    bytes = _mm512_srli_epi32::<8>(bytes);
                }
            }
        }
    }
}
