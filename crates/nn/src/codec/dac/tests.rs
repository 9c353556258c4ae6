//! Against `DacModel` of transformers: `tests/fixtures/zonos/dac/make.py`.

mod faults;

use std::{collections::HashMap, path::PathBuf};

use candle_core::{DType, Device, Tensor};

use super::{sizes::Sizes, *};
use crate::{
    context::ComputeContext,
    cpu::detect::SimdLevel,
    fixtures::folder,
    weights::{Loaded, Loader, Weights},
};

/// As far as a sample may be from the reference's.
const TOLERANCE: f32 = 1e-4;

fn fixture(name: &str) -> PathBuf {
    folder("zonos/dac").join(name)
}

fn config() -> DacConfig {
    serde_json::from_slice(&std::fs::read(fixture("config.json")).unwrap()).unwrap()
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

fn load(weights: &mut Weights, context: &ComputeContext, config: &DacConfig) -> Loaded<Dac> {
    Dac::load(&mut Loader { weights, context }, context, "", config)
}

fn dac(context: &ComputeContext) -> Dac {
    let mut weights = weights();
    let dac = load(&mut weights, context, &config()).unwrap();
    weights.finish().unwrap();
    dac
}

fn expected() -> HashMap<String, Tensor> {
    candle_core::safetensors::load(fixture("expected.safetensors"), &Device::Cpu).unwrap()
}

fn numbers(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn codes(tensor: &Tensor) -> Vec<u32> {
    tensor.flatten_all().unwrap().to_dtype(DType::U32).unwrap().to_vec1().unwrap()
}

#[track_caller]
fn assert_close(found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len());
    let worst = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
    let (at, difference) = worst.expect("some numbers");
    assert!(difference <= tolerance, "number {at} is {}, not {}", found[at], expected[at]);
}

/// Codes that go through the books, of any length.
fn some_codes(dac: &Dac, frames: usize) -> Vec<u32> {
    (0..frames * dac.books()).map(|at| (at * at * 31 % 1009 % dac.codes()) as u32).collect()
}

#[test]
fn codes_are_those_of_the_reference() {
    let expected = expected();
    for context in contexts() {
        let dac = dac(&context);
        assert_eq!((dac.rate(), dac.books(), dac.codes()), (44_100, config().n_codebooks, config().codebook_size));
        let samples = numbers(&expected["samples"]);
        let frames = samples.len().div_ceil(dac.hop());
        let latents = dac.encoder.forward(&context, &samples, &(0..frames)).unwrap();
        assert_close(&numbers(&latents), &numbers(&expected["latents"]), 1e-4);
        assert_eq!(dac.encode(&samples).unwrap(), codes(&expected["codes"]));
    }
}

#[test]
fn sound_is_that_of_the_reference() {
    let expected = expected();
    for context in contexts() {
        let dac = dac(&context);
        for (given, sound) in [("codes", "decoded"), ("random_codes", "random_sound")] {
            let sound = numbers(&expected[sound]);
            assert!(sound.iter().any(|x| x.abs() > 0.3), "there should be something to hear");
            assert_close(&dac.decode(&codes(&expected[given])).unwrap(), &sound, TOLERANCE);
        }
        let vectors = dac.quantizer.decode(&codes(&expected["codes"]), &context).unwrap();
        assert_close(&numbers(&vectors), &numbers(&expected["vectors"]), 1e-4);
    }
}

/// Of a decoder in `bf16` the noise is a hundredth of the sound: what eight bits of weights leave of the codes is more.
#[test]
fn sound_in_bf16_is_near_that_of_the_reference() {
    const NOISE: f64 = 2e-2;
    let (expected, mut weights) = (expected(), weights());
    let context = ComputeContext::new(&Device::Cpu, DType::F32);
    let halved = ComputeContext::new(&Device::Cpu, DType::BF16).with_rounded_activations();
    let dac = Dac::load(&mut Loader { weights: &mut weights, context: &context }, &halved, "", &config()).unwrap();
    let (sound, exact) = (dac.decode(&codes(&expected["codes"])).unwrap(), numbers(&expected["decoded"]));
    let energy = |numbers: &mut dyn Iterator<Item = f32>| numbers.map(|x| f64::from(x).powi(2)).sum::<f64>().sqrt();
    let noise = energy(&mut sound.iter().zip(&exact).map(|(a, b)| a - b)) / energy(&mut exact.iter().copied());
    assert!(noise > 1e-4 && noise < NOISE, "{noise} of the sound");
}

#[test]
fn windows_are_coded_like_the_whole() {
    let dac = dac(&contexts()[0]);
    let samples: Vec<f32> = (0..90 * dac.hop() - 5).map(|at| (at as f32 * 0.031).sin() * 0.5).collect();
    let whole = dac.encode_by(&samples, 90).unwrap();
    assert_eq!(whole.len(), 90 * dac.books());
    for window in [1, 11, 40] {
        assert_eq!(dac.encode_by(&samples, window).unwrap(), whole);
    }
}

/// In `bf16` the sound is another, and still that of the whole: each layer rounds the same numbers.
#[test]
fn a_stream_sounds_like_the_whole() {
    for level in SimdLevel::available() {
        for dtype in [DType::F32, DType::BF16] {
            let context = ComputeContext { kernels: Some(*level), ..ComputeContext::new(&Device::Cpu, dtype) };
            let context = context.with_rounded_activations();
            // What is rounded on the way has to be the same to the last bit.
            let rounds = context.kernels.is_some_and(SimdLevel::rounds_to_bf16);
            streams_like_the_whole(&dac(&context), if rounds { 0.0 } else { 1e-5 });
        }
    }
}

#[track_caller]
fn streams_like_the_whole(dac: &Dac, tolerance: f32) {
    let codes = some_codes(dac, 100);
    let whole = dac.decode(&codes).unwrap();
    for sizes in [&[1][..], &[40], &[3, 0, 50, 1, 2], &[100], &[300]] {
        let (mut stream, mut sound, mut rest) = (DacStream::new(), Vec::new(), &codes[..]);
        for (at, size) in sizes.iter().cycle().enumerate() {
            if rest.is_empty() {
                break;
            }
            let (now, later) = rest.split_at(rest.len().min(size * dac.books()));
            sound.extend(stream.push(dac, now).unwrap());
            assert!(at < 200, "it should come to an end");
            rest = later;
        }
        let lag = 100 * dac.hop() - sound.len();
        assert!(lag > 0 && lag <= dac.reach().1 * dac.hop(), "{sizes:?}: {lag}");
        sound.extend(stream.finish(dac).unwrap());
        assert_close(&sound, &whole, tolerance);
    }
}

#[test]
fn a_frame_reaches_as_far_as_the_layers_say_and_no_further() {
    let dac = dac(&contexts()[0]);
    let (before, after) = dac.reach();
    let codes = some_codes(&dac, 60);
    let whole = dac.decode(&codes).unwrap();
    let changed = |frame: usize| {
        let mut codes = codes.clone();
        codes[frame * dac.books()] ^= 1;
        let sound = dac.decode(&codes).unwrap();
        let differs = |at: &usize| whole[*at] != sound[*at];
        let first = (0..whole.len()).find(differs).unwrap();
        (first / dac.hop(), (0..whole.len()).rfind(differs).unwrap() / dac.hop())
    };
    let (first, last) = changed(30);
    // What is changed in a frame is heard as far before it as frames after a frame are heard, and the reverse.
    assert!(30 - first <= after && last - 30 <= before, "{first}..={last} of {before}, {after}");
    assert!(30 - first + 1 >= after && last - 30 + 1 >= before, "{first}..={last} of {before}, {after}");
}

#[test]
fn a_frame_of_the_published_sizes_depends_on_ten_to_either_side() {
    // As `Decoder::load` does, of rates 8, 8, 4, 2, units of 39 steps to either side, and kernels of 7.
    let mut span = windows::Span::first(512).widened(3);
    for rate in [2, 4, 8, 8] {
        span = span.widened(39).before_transposed(2 * rate, rate, rate / 2);
    }
    assert_eq!(span.widened(3).reach(1), (10, 10));
}

#[test]
fn nothing_sounds_like_nothing() {
    let dac = dac(&contexts()[0]);
    assert!(dac.encode(&[]).unwrap().is_empty() && dac.decode(&[]).unwrap().is_empty());
    assert!(DacStream::new().finish(&dac).unwrap().is_empty());
    let short = 1 + dac.hop();
    assert_eq!(dac.encode(&vec![0.5; short]).unwrap().len(), 2 * dac.books());
    let silent = vec![0.0; 2 * dac.hop()];
    assert_eq!(dac.encode(&silent[..1]).unwrap(), dac.encode(&silent[..dac.hop()]).unwrap());
}

#[test]
fn kept_as_direction_and_length_it_is_the_same() {
    let expected = expected();
    let mut tensors = tensors();
    let (name, taken) = ("decoder.block.1.conv_t1", tensors.remove("decoder.block.1.conv_t1.weight").unwrap());
    let taken = taken.to_dtype(DType::F32).unwrap();
    let length = taken.sqr().unwrap().sum_keepdim((1, 2)).unwrap().sqrt().unwrap();
    tensors.insert(format!("{name}.parametrizations.weight.original0"), length);
    tensors.insert(format!("{name}.parametrizations.weight.original1"), (taken * 3.0).unwrap());
    let mut weights = Weights::of(tensors.into_iter().map(|(name, tensor)| {
        let numbers = numbers(&tensor.to_dtype(DType::F32).unwrap());
        (name, tensor.dims().to_vec(), numbers)
    }));
    let dac = load(&mut weights, &contexts()[0], &config()).unwrap();
    weights.finish().unwrap();
    assert_close(&dac.decode(&codes(&expected["codes"])).unwrap(), &numbers(&expected["decoded"]), TOLERANCE);
}

#[test]
fn what_a_pass_takes_is_told_by_the_configuration() {
    let published: DacConfig = serde_json::from_str(r#"{"sampling_rate": 44100}"#).unwrap();
    // 170 frames and those around them, of 96 channels at each of 512 steps, five times in four bytes.
    assert_eq!(published.working_bytes(), (170 + 64) * 96 * 512 * 5 * 4);
    let (dac, sizes) = (dac(&contexts()[0]), Sizes::read(&weights(), "").unwrap());
    assert!(config().working_bytes() >= (dac.step * sizes.layers.widest() * 4) as u64);
    let absurd = DacConfig { downsampling_ratios: vec![usize::MAX; 99], ..published };
    assert_eq!(absurd.working_bytes(), u64::MAX);
}
