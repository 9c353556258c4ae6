use super::*;
use crate::testing::{rms, sine_in, tone};

const RATES: [u32; 14] =
    [4_000, 8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 44_101, 48_000, 88_200, 96_000, 192_000];

fn at(samples: &[f32], from: u32, to: u32) -> Vec<f32> {
    resample(&Pcm::new(samples.to_vec(), from), to).expect("usable rates").samples().to_vec()
}

/// Without the ends, where the band-limited sound differs from the cut sine.
fn middle(samples: &[f32]) -> &[f32] {
    &samples[samples.len() / 5..samples.len() * 4 / 5]
}

#[test]
fn length_is_that_of_the_sound() {
    for from in RATES {
        for samples in [1, 2, 999, 1000, 12_345] {
            let expected = (samples as f64 * 16_000.0 / f64::from(from)).round() as usize;
            assert_eq!(at(&vec![0.1; samples], from, 16_000).len(), expected, "{samples} at {from}");
        }
    }
    assert!(at(&[], 44_100, 16_000).is_empty());
}

#[test]
fn a_tone_keeps_its_level_and_its_place() {
    for from in RATES {
        for hertz in [50.0, 440.0, 1_700.0] {
            let (level, delay) = sine_in(hertz, &at(&tone(hertz, 0.5, from, 1.0), from, 16_000), 16_000);
            assert!((level - 0.5).abs() < 1e-3, "{hertz} Hz from {from}: level {level}");
            assert!(delay.abs() < 2e-6, "{hertz} Hz from {from}: delay {delay}");
        }
    }
}

#[test]
fn what_the_lower_rate_can_hold_passes_and_the_rest_does_not_alias() {
    for from in [44_100, 48_000, 96_000] {
        let high = at(&tone(7_600.0, 0.5, from, 1.0), from, 16_000);
        assert!((sine_in(7_600.0, &high, 16_000).0 - 0.5).abs() < 5e-3, "7.6 kHz from {from}");
        for hertz in [8_100.0, 9_000.0, 12_000.0, 15_900.0, 16_440.0, 20_000.0] {
            let alias = rms(middle(&at(&tone(hertz, 0.5, from, 1.0), from, 16_000)));
            assert!(alias < 0.5e-4, "{hertz} Hz from {from} leaves {alias}");
        }
    }
}

#[test]
fn there_and_back_is_the_same_sound() {
    let samples = tone(1_234.5, 0.7, 16_000, 1.0);
    let back = at(&at(&samples, 16_000, 44_100), 44_100, 16_000);
    let difference: Vec<f32> = samples.iter().zip(&back).map(|(before, after)| before - after).collect();
    assert!(rms(middle(&difference)) < 1e-4);
}

#[test]
fn an_impulse_stays_where_it_was() {
    for from in [8_000, 44_100, 48_000] {
        let mut samples = vec![0.0; from as usize];
        samples[from as usize / 2] = 1.0;
        let out = at(&samples, from, 16_000);
        let peak = (0..out.len()).max_by(|&a, &b| out[a].abs().total_cmp(&out[b].abs()));
        assert_eq!(peak, Some(8_000), "from {from}");
    }
}

#[test]
fn pieces_of_any_size_give_the_same_as_one() {
    let samples = tone(440.0, 0.5, 44_100, 0.7);
    for size in [1, 7, 441, 4096] {
        let (mut resampler, mut out) = (Resampler::new(44_100, 16_000).expect("usable rates"), Vec::new());
        samples.chunks(size).for_each(|piece| resampler.push(piece, &mut out));
        resampler.finish(&mut out);
        assert_eq!(out, at(&samples, 44_100, 16_000), "pieces of {size}");
    }
}

#[test]
fn channels_are_resampled_side_by_side() {
    let (left, right) = (tone(440.0, 0.5, 24_000, 0.7), tone(1_000.0, 0.3, 24_000, 0.7));
    let both: Vec<f32> = left.iter().zip(&right).flat_map(|(left, right)| [*left, *right]).collect();
    for to in [16_000, 44_100, 48_000] {
        let whole = resample(&Pcm::interleaved(both.clone(), 24_000, 2), to).expect("usable rates");
        let expected: Vec<f32> =
            at(&left, 24_000, to).into_iter().zip(at(&right, 24_000, to)).flat_map(|(l, r)| [l, r]).collect();
        assert_eq!(whole.samples(), expected, "to {to}");
        for frames in [1, 240, 5_000] {
            let mut resampler = Resampler::with_channels(24_000, to, 2).expect("usable rates");
            let mut out = Vec::new();
            both.chunks(2 * frames).for_each(|piece| resampler.push(piece, &mut out));
            resampler.finish(&mut out);
            assert_eq!(out, expected, "to {to} in pieces of {frames}");
        }
    }
}

#[test]
fn equal_rates_change_nothing() {
    let samples = tone(440.0, 0.5, 16_000, 0.1);
    assert_eq!(at(&samples, 16_000, 16_000), samples);
}

#[test]
fn rates_of_no_sound_are_refused() {
    for (from, to, wrong) in [(0, 16_000, 0), (1, 16_000, 1), (16_000, 0, 0), (u32::MAX, 16_000, u32::MAX)] {
        assert_eq!(Resampler::new(from, to).err(), Some(UnusableRate(wrong)));
    }
}
