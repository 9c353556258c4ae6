use std::{collections::HashMap, path::PathBuf};

use candle_core::{DType, Device};

use super::*;
use crate::{families::fixtures::folder, nn::weights::Weights};

/// What the fixture's noise is made of: the reference's phases, and noise made of integers.
struct Given(Vec<f32>);

impl Randomness for Given {
    fn phases(&self, phases: &mut [f32]) {
        phases.copy_from_slice(&self.0);
    }

    fn noise(&self, frame: usize, noise: &mut [f32]) {
        for (at, to) in (frame * noise.len()..).zip(noise) {
            *to = integer_noise(at as u64);
        }
    }
}

/// As `noise` of `make.py`.
fn integer_noise(at: u64) -> f32 {
    let mixed = (at * 2_654_435_761 + 12_345) & 0xffff_ffff;
    let mixed = ((mixed ^ (mixed >> 15)) * 2_246_822_519) & 0xffff_ffff;
    ((mixed >> 16) as f32 / 65_536.0 - 0.5) * 12_f32.sqrt()
}

fn fixture(name: &str) -> PathBuf {
    folder("chatterbox/hift").join(name)
}

fn weights() -> Weights {
    let bytes = std::fs::read(fixture("model.safetensors")).unwrap();
    Weights::open(&[("model.safetensors".to_owned(), bytes.into())], "").unwrap()
}

/// Every tensor as it is, of which a test changes some.
fn tensors() -> HashMap<String, Tensor> {
    candle_core::safetensors::load(fixture("model.safetensors"), &Device::Cpu).unwrap()
}

fn contexts() -> [ComputeContext; 2] {
    let own = ComputeContext::new(&Device::Cpu, DType::F32);
    [own.clone(), ComputeContext { kernels: None, ..own }]
}

fn load(weights: &mut Weights, context: &ComputeContext) -> Loaded<Hift> {
    Hift::load(&mut Loader { weights, context }, "mel2wav.")
}

fn hift(context: &ComputeContext) -> Hift {
    let mut weights = weights();
    let hift = load(&mut weights, context).unwrap();
    weights.finish().unwrap();
    hift
}

fn expected() -> HashMap<String, Tensor> {
    candle_core::safetensors::load(fixture("expected.safetensors"), &Device::Cpu).unwrap()
}

fn numbers(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn given(expected: &HashMap<String, Tensor>) -> Given {
    Given(numbers(&expected["phases"]))
}

#[track_caller]
fn assert_close(found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len());
    let worst = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
    let (at, difference) = worst.expect("some numbers");
    assert!(difference <= tolerance, "number {at} is {}, not {}", found[at], expected[at]);
}

/// A mel that goes up and down, of any length.
fn mel(hift: &Hift, frames: usize) -> Tensor {
    let bands = hift.bands();
    let numbers: Vec<f32> = (0..frames * bands).map(|at| 1.5 * integer_noise(at as u64 + 7)).collect();
    Tensor::from_vec(numbers, (frames, bands), &Device::Cpu).unwrap()
}

/// All of a mel.
fn whole(hift: &Hift, mel: &Tensor, randomness: impl Randomness + 'static) -> Result<Vec<f32>> {
    hift.decode(mel, 0, 0..mel.dim(0)?, &mut hift.source(randomness, 0))
}

#[test]
fn pitch_is_that_of_the_reference() {
    let expected = expected();
    for context in contexts() {
        let hift = hift(&context);
        for case in 0..2 {
            let pitch = hift.pitch.forward(&expected[&format!("mel.{case}")]).unwrap();
            let expected = numbers(&expected[&format!("f0.{case}")]);
            // Of some hundred hertz.
            assert_close(&numbers(&pitch), &expected, 300.0 * 1e-3 * 0.1);
        }
    }
}

#[test]
fn the_source_is_that_of_the_reference() {
    let (expected, hift) = (expected(), hift(&contexts()[0]));
    for case in 0..2 {
        let pitch = numbers(&expected[&format!("f0.{case}")]);
        let mut state = hift.source(given(&expected), 0);
        let source = hift.source.samples(&mut state, 0..pitch.len(), &pitch, 0).unwrap();
        assert_close(&source, &numbers(&expected[&format!("source.{case}")]), 1e-3);
    }
}

#[test]
fn a_source_is_shaped_as_the_reference_shapes_it() {
    let expected = expected();
    for context in contexts() {
        let hift = hift(&context);
        for case in 0..2 {
            let (mel, source) = (&expected[&format!("mel.{case}")], &expected[&format!("source.{case}")]);
            let wave = numbers(&hift.generator.forward(mel, source).unwrap());
            assert_close(&wave, &numbers(&expected[&format!("wave.{case}")]), 1e-3);
            let silent = numbers(&hift.generator.forward(mel, &source.zeros_like().unwrap()).unwrap());
            assert!(wave.iter().zip(silent).any(|(a, b)| (a - b).abs() > 0.05), "the source should be heard");
        }
    }
}

#[test]
fn sound_is_that_of_the_reference() {
    let expected = expected();
    for context in contexts() {
        let hift = hift(&context);
        for case in 0..2 {
            let wave = whole(&hift, &expected[&format!("mel.{case}")], given(&expected)).unwrap();
            assert_close(&wave, &numbers(&expected[&format!("wave.{case}")]), 1e-3);
        }
    }
}

/// Pitch and source are as exact as ever, so that no phase drifts.
#[test]
fn sound_in_bf16_is_near_the_exact_one() {
    let (expected, context) = (expected(), ComputeContext::new(&Device::Cpu, DType::BF16));
    let hift = hift(&context.with_rounded_activations());
    for case in 0..2 {
        let wave = whole(&hift, &expected[&format!("mel.{case}")], given(&expected)).unwrap();
        let exact = numbers(&expected[&format!("wave.{case}")]);
        let norm = |x: &[f32]| x.iter().map(|x| x * x).sum::<f32>().sqrt();
        let off = wave.iter().zip(&exact).map(|(a, b)| a - b).collect::<Vec<_>>();
        let off = norm(&off) / norm(&exact);
        assert!(off < 2e-2, "{case}: {off}");
    }
}

#[test]
fn windows_sound_like_the_whole() {
    let hift = hift(&contexts()[0]);
    let mel = mel(&hift, 90);
    let whole = hift.wave(&mel, 0, 0..90, &mut hift.source(Seeded(5), 0)).unwrap();
    assert_eq!(whole.len(), 90 * FRAME);
    for size in [7, 30, 41] {
        let mut source = hift.source(Seeded(5), 0);
        let window = |first| hift.wave(&mel, 0, first..90.min(first + size), &mut source).unwrap();
        let windows: Vec<f32> = (0..90).step_by(size).flat_map(window).collect();
        assert_close(&windows, &whole, 1e-4);
    }
}

/// Someone who knows a part of the mel only, and begins each part a little before the last one's end.
#[test]
fn a_growing_mel_sounds_like_the_whole() {
    let hift = hift(&contexts()[0]);
    let (mel, margin) = (mel(&hift, 100), hift.reach() + hift.pitch_reach());
    let whole = hift.wave(&mel, 0, 0..100, &mut hift.source(Seeded(5), 0)).unwrap();
    let mut source = hift.source(Seeded(5), 4);
    for (start, end) in [(0, 20), (16, 50), (46, 52), (48, 80)] {
        let known = (start - start.min(margin), end + margin);
        let part = mel.narrow(0, known.0, known.1.min(100) - known.0).unwrap();
        let wave = hift.wave(&part, known.0, start..end, &mut source).unwrap();
        assert_close(&wave, &whole[start * FRAME..end * FRAME], 1e-4);
        assert_eq!(source.settled(), end);
    }
}

#[test]
fn settled_frames_keep_their_source() {
    let hift = hift(&contexts()[0]);
    let mut state = hift.source(Seeded(9), 10);
    let first = hift.source.samples(&mut state, 0..8, &[200.0; 8], 5).unwrap();
    // The last three were not settled, and have another pitch now.
    let again = hift.source.samples(&mut state, 2..8, &[90.0; 3], 8).unwrap();
    assert_eq!(again[..3 * FRAME], first[2 * FRAME..5 * FRAME]);
    assert_ne!(again[3 * FRAME..], first[5 * FRAME..]);
    assert_eq!(hift.source.samples(&mut state, 3..7, &[], 0).unwrap(), again[FRAME..5 * FRAME]);
}

#[test]
fn what_is_not_there_any_more_is_an_error() {
    let hift = hift(&contexts()[0]);
    let mel = mel(&hift, 60);
    let mut source = hift.source(Seeded(1), 0);
    hift.wave(&mel, 0, 0..50, &mut source).unwrap();
    let error = |mel: &Tensor, first, wanted, source: &mut SourceState| {
        hift.wave(mel, first, wanted, source).unwrap_err().to_string()
    };
    assert!(error(&mel, 0, 20..50, &mut source).contains("kept no longer"));
    assert!(error(&mel, 0, 50..61, &mut source).contains("were asked for"));
    assert!(error(&mel, 3, 0..5, &mut hift.source(Seeded(1), 0)).contains("were asked for"));
    assert!(error(&mel, 30, 50..60, &mut hift.source(Seeded(1), 0)).contains("is unknown"));
}

#[test]
fn nothing_sounds_like_nothing() {
    let hift = hift(&contexts()[0]);
    let empty = Tensor::zeros((0, hift.bands()), DType::F32, &Device::Cpu).unwrap();
    assert!(whole(&hift, &empty, Seeded(0)).unwrap().is_empty());
    assert_eq!(whole(&hift, &mel(&hift, 1), Seeded(0)).unwrap().len(), FRAME);
    let narrow = Tensor::zeros((9, hift.bands() + 1), DType::F32, &Device::Cpu).unwrap();
    assert!(whole(&hift, &narrow, Seeded(0)).is_err());
}

#[test]
fn a_window_reaches_as_far_as_the_layers() {
    let hift = hift(&contexts()[0]);
    assert_eq!((hift.reach(), hift.pitch_reach()), (15, 5));
}

#[test]
fn noise_is_normal_and_repeats() {
    let mut noise = vec![0.0; FRAME * 9];
    Seeded(3).noise(7, &mut noise);
    let mean = noise.iter().sum::<f32>() / noise.len() as f32;
    let variance = noise.iter().map(|x| x * x).sum::<f32>() / noise.len() as f32;
    assert!(mean.abs() < 0.06 && (variance - 1.0).abs() < 0.08, "{mean}, {variance}");
    let mut again = vec![0.0; FRAME * 9];
    Seeded(3).noise(7, &mut again);
    assert_eq!(noise, again);
    Seeded(3).noise(8, &mut again);
    assert_ne!(noise, again);
    let mut phases = [0.5; 9];
    Seeded(3).phases(&mut phases);
    assert!(phases[0] == 0.0 && phases[1..].iter().all(|phase| phase.abs() <= std::f32::consts::PI && *phase != 0.5));
}

#[test]
fn the_beginning_is_muted_and_faded_in_as_in_the_reference() {
    let fade = numbers(&expected()["fade"]);
    let mut samples = vec![1.0; 1000];
    fade_in(&mut samples, 0);
    assert_close(&samples[..960], &fade, 1e-6);
    assert!(samples[960..].iter().all(|&sample| sample == 1.0));
    let mut later = vec![1.0; 300];
    fade_in(&mut later, 800);
    assert_eq!(later, samples[800..].iter().copied().chain([1.0; 100]).collect::<Vec<_>>());
}

/// What is done to a tensor.
#[derive(Clone, Copy, Debug)]
enum Change {
    Missing,
    Flat,
    /// This axis gets this size.
    Axis(usize, usize),
}

/// What loading says where a tensor is not as it should be.
fn fault(name: &str, change: Change) -> String {
    let mut tensors = tensors();
    let old = tensors.remove(&format!("mel2wav.{name}")).expect(name);
    let shape = match change {
        Change::Missing => None,
        Change::Flat => Some(vec![old.elem_count()]),
        Change::Axis(axis, size) => {
            Some(old.dims().iter().enumerate().map(|(at, &was)| if at == axis { size } else { was }).collect())
        }
    };
    if let Some(shape) = shape {
        tensors.insert(format!("mel2wav.{name}"), Tensor::ones(shape, DType::F32, &Device::Cpu).unwrap());
    }
    let tensors = tensors.into_iter().map(|(name, tensor)| {
        let shape = tensor.dims().to_vec();
        (name, shape, numbers(&tensor.to_dtype(DType::F32).unwrap()))
    });
    let Err(error) = load(&mut Weights::of(tensors), &contexts()[0]) else { panic!("{name} is {change:?}") };
    error.to_string()
}

#[test]
fn tensors_that_make_no_vocoder_are_named() {
    use Change::{Axis, Flat, Missing};
    let kernel = |name: &str| format!("{name}.parametrizations.weight.original1");
    for (name, change, says) in [
        ("conv_pre.bias", Missing, "mel2wav.conv_pre.bias is missing"),
        ("m_source.l_linear.weight", Flat, "m_source.l_linear.weight has the shape ["),
        ("m_source.l_linear.weight", Axis(0, 2), "m_source.l_linear.weight has the shape [2, "),
        ("m_source.l_linear.weight", Axis(1, 0), "m_source.l_linear.weight has the shape [1, 0]"),
        ("f0_predictor.classifier.weight", Missing, "f0_predictor.classifier.weight is missing"),
        (&kernel("f0_predictor.condnet.4"), Axis(2, 4), "condnet.4 has 4 taps"),
        (&kernel("f0_predictor.condnet.0"), Axis(1, 9), "condnet.0"),
        (&kernel("conv_post"), Flat, "where 3 sizes of at least 1 are expected"),
        (&kernel("conv_post"), Axis(0, 17), "conv_post has 17 columns"),
        (&kernel("conv_post"), Axis(0, 1), "conv_post has 1 columns"),
        (&kernel("conv_post"), Axis(2, 0), "where 3 sizes of at least 1 are expected"),
        (&kernel("conv_post"), Axis(1, 3), "conv_post has a width of 3, where"),
        (&kernel("conv_pre"), Axis(2, 6), "conv_pre has 6 taps"),
        (&kernel("ups.0"), Axis(2, 12), "ups has kernels that stand for the rates [6, 5, 3]"),
        (&kernel("ups.0"), Axis(2, 10), "ups.0 has 10 taps"),
        (&kernel("ups.0"), Axis(2, 1), "ups.0 has 1 taps"),
        (&kernel("ups.1"), Axis(0, 17), "ups.1 has a width of 17, where"),
        ("source_downs.1.weight", Axis(2, 8), "source_downs.1 goes down by 4"),
        ("source_downs.1.weight", Axis(2, 7), "source_downs.1 has 7 taps"),
        ("source_downs.1.weight", Axis(1, 19), "source_downs.1 has a width of 19, where 18 is"),
        ("source_downs.1.weight", Axis(0, 9), "source_downs.1 has a width of 9, where"),
        ("resblocks.8.activations1.0.alpha", Missing, "8 resblocks cannot be dealt out evenly"),
        ("resblocks.4.activations2.1.alpha", Axis(0, 3), "resblocks.4.activations2.1.alpha has the shape [3]"),
        (&kernel("resblocks.4.convs2.1"), Missing, "resblocks.4.convs2.1"),
    ] {
        let error = fault(name, change);
        assert!(error.contains(says), "{name} {change:?}: {error}");
    }
}
