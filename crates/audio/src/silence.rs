//! Quiet ends of a recording.

/// Samples that are measured together, and how far apart those measurements are: `librosa.effects.trim`.
const FRAME: usize = 2048;
const HOP: usize = 512;
/// Mean square below which nothing is told apart, also from there.
const FLOOR: f64 = 1e-10;

/// Without what is at either end more than `range` decibels below the loudest frame; as `librosa.effects.trim` does it.
pub fn trim_silence(samples: &[f32], range: f64) -> &[f32] {
    // Frame `t` is centred on sample `t * HOP`, with silence outside of the recording.
    let frames = 1 + samples.len() / HOP;
    let loudness: Vec<f64> = (0..frames).map(|frame| mean_square(samples, frame * HOP)).collect();
    let peak = loudness.iter().copied().fold(FLOOR, f64::max);
    let least = peak * 10f64.powf(-range / 10.0);
    let heard = |&loudness: &f64| loudness.max(FLOOR) > least;
    let first = loudness.iter().position(heard).unwrap_or(0);
    let after = loudness.iter().rposition(heard).map_or(0, |last| last + 1);
    &samples[(first * HOP).min(samples.len())..(after * HOP).min(samples.len())]
}

fn mean_square(samples: &[f32], centre: usize) -> f64 {
    let frame = &samples[centre.saturating_sub(FRAME / 2)..(centre + FRAME / 2).min(samples.len())];
    frame.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>() / FRAME as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many samples of each amplitude.
    fn steps(parts: &[(usize, f32)]) -> Vec<f32> {
        parts.iter().flat_map(|&(length, amplitude)| std::iter::repeat_n(amplitude, length)).collect()
    }

    #[test]
    fn quiet_ends_go_and_a_pause_stays() {
        let sound = steps(&[(8192, 0.001), (8192, 0.5), (20_000, 0.0), (8192, 0.5), (8192, 0.001)]);
        // Frames reach 1024 samples to either side: the one at 7680 hears what begins at 8192, the one at 7168 does not.
        // Speech ends at 44576, and 32 samples of it in the frame at 45568 are more than a hundredth of its power.
        assert_eq!(trim_silence(&sound, 20.0), &sound[7680..45_568 + 512]);
    }

    #[test]
    fn what_is_all_alike_stays_whole() {
        for length in [0, 1, 511, 512, 5000] {
            assert_eq!(trim_silence(&vec![0.0; length], 20.0).len(), length);
            assert_eq!(trim_silence(&vec![0.3; length], 20.0).len(), length);
        }
    }
}
