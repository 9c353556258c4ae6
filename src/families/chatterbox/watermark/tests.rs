//! Against what the reference makes of the fixture (`tests/fixtures/chatterbox/watermark/make.py`).

use std::f64::consts::PI;

use bytes::Bytes;
use candle_core::Device;
use serde::Deserialize;

use super::{
    marking::REACH,
    spectrum::{HOP, WINDOW},
    *,
};
use crate::{families::fixtures::folder, nn::weights::LayerError};

/// Of samples between -1 and 1.
const TOLERANCE: f32 = 1e-3;
/// The same within a hop of either end, beyond which the reference's resampling hears nothing.
const TOLERANCE_OF_ENDS: f32 = 4e-3;
const FILE: &str = "perth_net_000001.pth.tar";

#[derive(Deserialize)]
struct Expected {
    samples: Vec<usize>,
}

fn fixture(name: &str) -> Bytes {
    std::fs::read(folder("chatterbox/watermark").join(name)).unwrap().into()
}

fn weights() -> Weights {
    Weights::open(&[(FILE.to_owned(), fixture(FILE))], "model.").unwrap()
}

fn load(mut weights: Weights, context: &ComputeContext) -> Loaded<Watermark> {
    let watermark = Watermark::load(&mut Loader { weights: &mut weights, context })?;
    weights.finish()?;
    Ok(watermark)
}

fn own() -> ComputeContext {
    ComputeContext::new(&Device::Cpu, DType::F32)
}

fn watermark() -> Watermark {
    load(weights(), &own()).unwrap()
}

/// As `sound` of `make.py`.
fn sound(samples: usize) -> Vec<f32> {
    let (half, rest) = (samples / 2, samples * 3 / 4);
    let sample = |n: usize| {
        let at = n as f64 / 24_000.0;
        let turn = 2.0 * PI * (110.0 * at + 0.8 * (2.0 * PI * 4.0 * at).sin());
        let voice: f64 = (1..=20).map(|k| (f64::from(k) * turn + f64::from(k * k)).sin() / f64::from(k)).sum();
        let inside = if n < rest { n.min(half.saturating_sub(n)) } else { (n - rest).min(samples - n) };
        let gain = (PI / 2.0 * (inside as f64 / 480.0).min(1.0)).sin().powi(2);
        (voice * 0.2 * gain) as f32
    };
    (0..samples).map(sample).collect()
}

fn whole(watermark: &Watermark, sound: &[f32]) -> Vec<f32> {
    watermark.begin().push(sound, true).unwrap()
}

fn furthest(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn a_marked_sound_is_that_of_the_reference() {
    let expected: Expected = serde_json::from_slice(&fixture("expected.json")).unwrap();
    let marked = fixture("expected.safetensors");
    let mut marked = Weights::open(&[("expected.safetensors".to_owned(), marked)], "").unwrap();
    for (case, samples) in expected.samples.into_iter().enumerate() {
        let name = format!("marked.{case}");
        let [count] = marked.sizes(&name).unwrap();
        let reference = marked.take(&name, &[count]).unwrap();
        let sound = sound(samples);
        for context in [own(), ComputeContext { kernels: None, ..own() }] {
            let made = whole(&load(weights(), &context).unwrap(), &sound);
            assert_eq!(made.len(), samples, "nothing is left out");
            let (off, moved) = (furthest(&made, &reference), furthest(&made, &sound));
            let inside = HOP..samples.min(count) - HOP;
            let off_inside = furthest(&made[inside.clone()], &reference[inside]);
            assert!(off < TOLERANCE_OF_ENDS && off_inside < TOLERANCE, "{case}: {off} off, {off_inside} inside");
            assert!(moved > 10.0 * TOLERANCE, "{case}: changed by {moved}");
        }
    }
}

#[test]
fn pieces_are_marked_as_the_whole() {
    let (watermark, sound) = (watermark(), sound(31_111));
    let whole = whole(&watermark, &sound);
    for piece in [1_000, 4_801, 16_000, 31_111] {
        let (mut marking, mut made) = (watermark.begin(), Vec::new());
        let mut pieces = sound.chunks(piece).peekable();
        let mut taken = 0;
        while let Some(piece) = pieces.next() {
            taken += piece.len();
            made.extend(marking.push(piece, pieces.peek().is_none()).unwrap());
            assert!(made.len() + REACH >= taken, "{} of {taken} were given", made.len());
        }
        assert_eq!(made.len(), whole.len());
        let off = furthest(&made, &whole);
        assert!(off < 1e-5, "pieces of {piece}: {off}");
    }
}

#[test]
fn an_end_that_brings_nothing_gives_what_was_held_back() {
    let (watermark, sound) = (watermark(), sound(9_000));
    let mut marking = watermark.begin();
    let mut made = marking.push(&sound, false).unwrap();
    made.extend(marking.push(&[], true).unwrap());
    assert_eq!(made.len(), sound.len());
    assert!(furthest(&made, &whole(&watermark, &sound)) < 1e-5);
}

#[test]
fn sounds_of_any_length_have_as_many_samples_afterwards() {
    let watermark = watermark();
    for samples in [0, 1, 2, 239, 240, 767, 768, 769, 1_536, 5_000] {
        let made = whole(&watermark, &sound(9_000)[1_000..][..samples]);
        assert_eq!(made.len(), samples);
        assert!(made.iter().all(|sample| sample.is_finite()), "{samples}");
    }
}

#[test]
fn digital_silence_stays_so() {
    let watermark = watermark();
    assert_eq!(whole(&watermark, &[0.0; 5_000]), [0.0; 5_000]);
    // A frame's reach away from what sounds.
    let sound = sound(48_000);
    let made = whole(&watermark, &sound);
    assert!(made[24_000 + WINDOW..36_000 - WINDOW].iter().all(|&sample| sample == 0.0));
}

#[test]
fn what_is_kept_does_not_grow_with_the_sound() {
    let (watermark, piece) = (watermark(), sound(9_000));
    let mut marking = watermark.begin();
    let mut held = Vec::new();
    for _ in 0..30 {
        marking.push(&piece, false).unwrap();
        held.push(marking.kept());
    }
    assert!(held.iter().all(|&(samples, frames)| samples <= REACH + 1 && frames <= 2 * encoder::REACH), "{held:?}");
}

#[test]
fn a_file_that_is_none_is_refused_by_name() {
    let error = |weights: Weights| match load(weights, &own()).unwrap_err() {
        LayerError::Weights(error) => error.to_string(),
        LayerError::Device(error) => panic!("{error}"),
    };
    let without = |name: &str| {
        let mut weights = weights();
        weights.ignore(name);
        error(weights)
    };
    assert_eq!(without("encoder.layers.3.conv.bias"), "the tensor model.encoder.layers.3.conv.bias is missing");
    assert_eq!(without("ap.spectrogram.window"), "the tensor model.ap.spectrogram.window is missing");
    let with = |name: &str, shape: &[usize], number: f32| {
        let all = [("ap.spectrogram.window", vec![2048]), ("ap.inv_spectrogram.window", vec![2048])];
        let all = all.into_iter().chain([
            ("ap.stretch.phase_advance", vec![1025, 1]),
            ("encoder.layers.0.conv.weight", vec![4, 8, 1]),
            ("encoder.layers.0.conv.bias", vec![4]),
        ]);
        let tensor = |(known, usual): (&str, Vec<usize>)| {
            let (shape, number) =
                if known == name { (shape.to_vec(), number) } else { (usual, 320.0 * std::f32::consts::PI) };
            let count = shape.iter().product();
            (known.to_owned(), shape, vec![number; count])
        };
        error(Weights::of(all.map(tensor)))
    };
    let expected = "the tensor ap.inv_spectrogram.window has the shape [1024], where [2048] is expected";
    assert_eq!(with("ap.inv_spectrogram.window", &[1024], 1.0), expected);
    let expected = "the tensor ap.stretch.phase_advance tells of frames every 160 samples, where 320 is expected";
    assert_eq!(with("ap.stretch.phase_advance", &[1025, 1], 160.0 * std::f32::consts::PI), expected);
    let expected = "the tensor encoder.layers.0.conv.weight is of 900 bins, where there are 768";
    assert_eq!(with("encoder.layers.0.conv.weight", &[4, 900, 1], 0.0), expected);
    let expected = "the tensor encoder.layers.0.conv.weight has the shape [4, 8, 3], where [4, 8, 1] is expected";
    assert_eq!(with("encoder.layers.0.conv.weight", &[4, 8, 3], 0.0), expected);
    assert_eq!(with("", &[], 0.0), "the tensor encoder.layers.1.conv.weight is missing");
}
