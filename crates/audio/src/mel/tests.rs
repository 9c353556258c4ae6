//! Parity with transformers and with OpenAI's own code; `tests/fixtures/audio/make_mel.py` made the reference.

use std::f64::consts::TAU;

use safetensors::SafeTensors;

use super::*;
use crate::testing::Dice;

const RATE: usize = 16_000;
/// The references differ among themselves by 1e-5.
const TOLERANCE: f32 = 1e-4;

/// The same signal as in `make_mel.py`.
fn signal(samples: usize) -> Vec<f32> {
    let mut dice = Dice(42);
    let sound = (0..samples * 3 / 4).map(|n| {
        let noise = f64::from(dice.noise());
        let t = n as f64 / RATE as f64;
        let swell = 0.5 - 0.5 * (TAU * t / 3.0).cos();
        (0.4 * (TAU * (100.0 * t + 80.0 * t * t)).sin() + 0.1 * swell * noise) as f32
    });
    sound.chain(std::iter::repeat(0.0)).take(samples).collect()
}

fn reference(name: &str) -> (Vec<usize>, Vec<u8>) {
    let file = std::fs::read("../../tests/fixtures/audio/mel.safetensors").expect("the fixture is there");
    let tensors = SafeTensors::deserialize(&file).expect("it is safetensors");
    let tensor = tensors.tensor(name).expect("it holds this tensor");
    (tensor.shape().to_vec(), tensor.data().to_vec())
}

fn floats(bytes: &[u8]) -> impl Iterator<Item = f32> {
    bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes))
}

/// Compares every `step`-th frame.
fn assert_like(name: &str, spectrum: &Spectrum, step: usize) {
    let (shape, bytes) = reference(name);
    assert_eq!(shape, [spectrum.bands(), spectrum.frames().div_ceil(step)], "{name}");
    let ours = spectrum.values().chunks(spectrum.frames()).flat_map(|band| band.iter().step_by(step));
    let worst = ours.zip(floats(&bytes)).map(|(ours, theirs)| (ours - theirs).abs()).fold(0.0, f32::max);
    assert!(worst < TOLERANCE, "{name}: off by {worst}");
    println!("{name}: off by at most {worst:e}");
}

fn log_mel(bands: usize, samples: &[f32], seconds: usize) -> Spectrum {
    LogMel::new(&MelSpec::whisper(bands)).log_mel_padded(samples, seconds * RATE)
}

#[test]
fn a_window_is_what_transformers_makes_of_it() {
    let samples = signal(25 * RATE);
    assert_like("torch.80", &log_mel(80, &samples, 30), 100);
    assert_like("torch.128", &log_mel(128, &samples, 30), 150);
    assert_like("numpy.80", &log_mel(80, &samples, 30), 100);
}

#[test]
fn a_short_window_is_what_transformers_makes_of_it() {
    assert_like("short.80", &log_mel(80, &signal(2 * RATE + 77), 3), 20);
}

#[test]
fn a_whole_recording_is_what_openai_makes_of_it() {
    let samples = signal(25 * RATE);
    for (name, bands, step) in [("openai.80", 80, 100), ("openai.128", 128, 200)] {
        assert_like(name, &LogMel::new(&MelSpec::whisper(bands)).log_mel(&samples), step);
    }
}

#[test]
fn the_filters_are_openais() {
    for bands in [80, 128] {
        let ours = slaney(&MelSpec::whisper(bands));
        let (_, at) = reference(&format!("filters.{bands}.at"));
        let (_, weights) = reference(&format!("filters.{bands}.weights"));
        let (band, bin) = at.split_at(at.len() / 2);
        let places: Vec<_> = band.iter().zip(bin).map(|(band, bin)| (usize::from(*band), usize::from(*bin))).collect();
        let our_places: Vec<_> = ours
            .iter()
            .enumerate()
            .flat_map(|(band, filter)| (filter.first..).zip(&filter.weights).map(move |(bin, _)| (band, bin)))
            .collect();
        assert_eq!(our_places, places);
        for (ours, theirs) in ours.iter().flat_map(|filter| &filter.weights).zip(floats(&weights)) {
            assert!((ours - theirs).abs() < 1e-7, "{ours} {theirs}");
        }
    }
}

#[test]
fn silence_is_flat() {
    let spectrum = log_mel(80, &[], 30);
    assert_eq!((spectrum.bands(), spectrum.frames()), (80, 3000));
    assert!(spectrum.values().iter().all(|&value| value == -1.5));
}

#[test]
fn padding_cuts_what_is_too_long() {
    let samples = signal(4 * RATE);
    assert_eq!(log_mel(80, &samples, 2), log_mel(80, &samples[..2 * RATE], 2));
}

#[test]
fn a_maximum_from_elsewhere_raises_the_floor() {
    let mel = LogMel::new(&MelSpec::whisper(80));
    let mut quiet = mel.log10(&signal(RATE).iter().map(|sample| sample * 1e-6).collect::<Vec<_>>());
    assert!(quiet.peak() < -6.0);
    quiet.normalise(3.0);
    assert!(quiet.into_values().iter().all(|&value| value == (3.0 - 8.0 + 4.0) / 4.0));
}

#[test]
fn fewer_samples_than_a_hop_give_no_frame() {
    let spectrum = LogMel::new(&MelSpec::whisper(80)).log_mel(&[0.5; 159]);
    assert_eq!((spectrum.frames(), spectrum.values().len()), (0, 0));
}
