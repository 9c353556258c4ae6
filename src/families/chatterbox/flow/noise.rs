//! What a flow starts from.

use rand::{SeedableRng, rngs::StdRng};

use crate::families::normal;

/// Noise of a normal distribution that depends on the seed and the frame only: a frame begins the same in a short prefix
/// as in the whole.
pub fn seeded(seed: u64) -> impl Fn(usize, &mut [f32]) + Clone {
    move |frame, bands| {
        // Neighbours differ in one bit; what the generator makes of a seed hides that.
        let mut rng = StdRng::seed_from_u64(seed.rotate_left(32) ^ frame as u64);
        normal::fill(&mut rng, bands);
    }
}

/// `[frames, bands]`, row by row.
pub fn frames(frames: usize, bands: usize, mut noise: impl FnMut(usize, &mut [f32])) -> Vec<f32> {
    let mut all = vec![0.0; frames * bands];
    all.chunks_exact_mut(bands).enumerate().for_each(|(frame, row)| noise(frame, row));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_keeps_its_noise_and_no_two_are_alike() {
        let (short, long) = (frames(40, 80, seeded(7)), frames(100, 80, seeded(7)));
        assert_eq!(short, long[..40 * 80]);
        assert_ne!(long[..80], long[80..160]);
        assert_ne!(short, frames(40, 80, seeded(8)));
    }

    #[test]
    fn it_is_normal() {
        let numbers = frames(2000, 79, seeded(1));
        let moment = |power| numbers.iter().map(|&x| f64::from(x).powi(power)).sum::<f64>() / numbers.len() as f64;
        for (power, expected) in [(1, 0.0), (2, 1.0), (3, 0.0), (4, 3.0)] {
            assert!((moment(power) - expected).abs() < 0.06, "{power}: {}", moment(power));
        }
    }
}
