//! Where a recording is cut that is too long to be heard at once: where it is quietest.

use super::transducer::RATE;

/// Seconds that are heard at once. Models are trained on stretches of up to 30 s, and attention takes memory by the square of
/// them.
const LONGEST: usize = 30;
/// Seconds before which a window does not end, as long as something follows.
const SHORTEST: usize = 20;
/// Parts of a second over which loudness is measured.
const PARTS: usize = 20;

/// Whether so much sound has to be cut.
pub fn is_too_long(samples: &[f32]) -> bool {
    samples.len() > LONGEST * RATE as usize
}

/// Samples of the next window.
pub fn next(samples: &[f32]) -> usize {
    if !is_too_long(samples) {
        return samples.len();
    }
    let rate = RATE as usize;
    let part = rate / PARTS;
    let from = SHORTEST * rate;
    let parts = samples[from..LONGEST * rate].chunks_exact(part);
    let energies: Vec<f32> = parts.map(|part| part.iter().map(|sample| sample * sample).sum()).collect();
    // Silence is longer than the gap before a plosive.
    let around = |at: usize| -> f32 { energies[at.saturating_sub(1)..(at + 2).min(energies.len())].iter().sum() };
    let quietest = (0..energies.len()).min_by(|one, other| around(*one).total_cmp(&around(*other)));
    from + quietest.map_or(0, |at| at * part + part / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_end_in_silence_and_are_never_too_long() {
        let rate = RATE as usize;
        let mut sound: Vec<f32> = (0..70 * rate).map(|at| if at % 2 == 0 { 0.5 } else { -0.5 }).collect();
        assert_eq!(next(&sound[..rate]), rate);
        assert_eq!(next(&[]), 0);
        sound[25 * rate..25 * rate + rate / 2].fill(0.0);
        let end = next(&sound);
        assert!((25 * rate..25 * rate + rate / 2).contains(&end), "{end}");
        let second = next(&sound[end..]);
        assert!((SHORTEST * rate..=LONGEST * rate).contains(&second), "{second}");
        let silence = next(&vec![0.0; 40 * rate]);
        assert!((SHORTEST * rate..=LONGEST * rate).contains(&silence), "{silence}");
    }
}
