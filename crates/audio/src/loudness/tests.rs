use super::*;
use crate::testing::{Dice, tone};

const RATE: u32 = 24_000;

/// Bursts of noise between 0.3 and 1.0 of `level`, as uneven as speech, with a peak every now and then.
fn bursts(level: f32, seconds: f64) -> Vec<f32> {
    let mut dice = Dice(9);
    let loud = |n: usize| 0.3 + 0.7 * (n as f32 / 4_000.0).sin().abs();
    let mut samples: Vec<f32> =
        (0..(seconds * f64::from(RATE)) as usize).map(|n| level * loud(n) * dice.noise()).collect();
    samples.iter_mut().step_by(30_011).for_each(|sample| *sample = 8.0 * level);
    samples
}

fn leveled(samples: &[f32], channels: usize, target: f64, piece: usize) -> Vec<f32> {
    let (mut leveler, mut out) = (Leveler::new(RATE, channels, target).unwrap(), Vec::new());
    samples.chunks(piece).for_each(|piece| leveler.push(piece, &mut out));
    leveler.finish(&mut out);
    out
}

fn heard(samples: &[f32]) -> f64 {
    loudness(&Pcm::new(samples.to_vec(), RATE)).unwrap().unwrap()
}

/// In dB of full scale, by the meter of the library.
fn true_peak(samples: &[f32]) -> f64 {
    20.0 * measure(&Pcm::new(samples.to_vec(), RATE)).unwrap().true_peak(0).unwrap().log10()
}

#[test]
fn a_sine_of_997_hertz_is_as_loud_as_the_standard_says() {
    // EBU Tech 3341, case 1: a stereo sine at -23 dBFS is -23 LUFS.
    let mono = tone(997.0, 10f64.powf(-23.0 / 20.0), 48_000, 5.0);
    let stereo = mono.iter().flat_map(|sample| [*sample, *sample]).collect();
    let found = loudness(&Pcm::interleaved(stereo, 48_000, 2)).unwrap().unwrap();
    assert!((found + 23.0).abs() < 0.1, "{found}");
}

#[test]
fn a_whole_sound_meets_the_target_or_stays_below_the_ceiling() {
    for (level, target) in [(0.02, -23.0), (0.3, -23.0), (0.1, -30.0)] {
        let normal = normalize(&Pcm::new(bursts(level, 4.0), RATE), target).unwrap();
        let (found, peak) = (heard(normal.samples()), true_peak(normal.samples()));
        assert!(peak <= CEILING + 0.01, "{peak} dB");
        assert!((found - target).abs() < 0.1 || (found < target && peak > CEILING - 0.1), "{found} LUFS, {peak} dB");
    }
    let loud = normalize(&Pcm::new(tone(997.0, 0.2, RATE, 2.0), RATE), -3.0).unwrap();
    assert!((true_peak(loud.samples()) - CEILING).abs() < 0.05, "the peak decides");
}

#[test]
fn a_short_sound_is_measured_and_silence_is_left_alone() {
    let short = normalize(&Pcm::new(tone(440.0, 0.01, RATE, 0.1), RATE), -23.0).unwrap();
    assert!((heard(short.samples()) + 23.0).abs() < 0.5);
    for samples in [vec![], vec![0.0; 10], vec![0.0; 48_000], vec![f32::NAN; 100]] {
        assert_eq!(loudness(&Pcm::new(samples.clone(), RATE)).unwrap(), None);
        assert_eq!(normalize(&Pcm::new(samples.clone(), RATE), -23.0).unwrap().samples().len(), samples.len());
        assert!(leveled(&samples, 1, -16.0, 7).iter().all(|sample| *sample == 0.0));
    }
}

#[test]
fn a_stream_comes_near_the_target_and_never_passes_the_ceiling() {
    for (level, target) in [(0.02, -23.0), (0.3, -23.0), (0.1, -16.0), (0.9, -8.0)] {
        for silence in [0, 48_000] {
            let sound = [vec![0.0; silence], bursts(level, 6.0)].concat();
            let found = heard(&leveled(&sound, 1, target, 1_000));
            assert!((found - target).abs() < 1.5, "{level} to {target} LUFS after {silence} of silence: {found}");
        }
        let peak = true_peak(&leveled(&bursts(level, 6.0), 1, target, 1_000));
        assert!(peak <= CEILING + 0.3, "{level} to {target} LUFS: a true peak of {peak} dB");
    }
}

#[test]
fn a_stream_is_as_long_as_it_was_in_pieces_of_any_size() {
    for seconds in [0.001, 0.2, 0.4, 1.234] {
        let samples = bursts(0.1, seconds);
        let once = leveled(&samples, 1, -20.0, usize::MAX);
        assert_eq!(once.len(), samples.len(), "{seconds} s");
        for piece in [1, 99, 2_400] {
            assert_eq!(leveled(&samples, 1, -20.0, piece), once, "{seconds} s in pieces of {piece}");
        }
    }
}

#[test]
fn a_stream_of_a_steady_sine_has_no_step() {
    let samples = tone(220.0, 0.05, RATE, 3.0);
    let out = leveled(&samples, 1, -20.0, 480);
    let gain = out.iter().map(|sample| sample.abs()).fold(0.0, f32::max) / 0.05;
    let steepest = |samples: &[f32]| samples.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max);
    assert!(steepest(&out) < 1.01 * gain * steepest(&samples));
}

#[test]
fn sound_that_is_far_too_loud_is_limited() {
    let wild: Vec<f32> = bursts(0.3, 2.0).iter().map(|sample| sample * 1e6).collect();
    assert!(leveled(&wild, 1, -16.0, 333).iter().all(|sample| sample.abs() <= 1.0));
    assert!(leveled(&wild, 2, -16.0, 500).iter().all(|sample| sample.abs() <= 1.0));
}

#[test]
fn what_cannot_be_measured_is_said() {
    assert_eq!(Leveler::new(RATE, 0, -16.0).err(), Some(Immeasurable { rate: RATE, channels: 0 }));
    assert_eq!(Leveler::new(1, 1, -16.0).err(), Some(Immeasurable { rate: 1, channels: 1 }));
}
