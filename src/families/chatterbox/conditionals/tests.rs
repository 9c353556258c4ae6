//! Parity with `chatterbox-tts` on small random networks; `tests/fixtures/chatterbox/reference/make.py` made the reference.

mod faults;
mod networks;

use bytes::Bytes;
use candle_core::{DType, Device};
use safetensors::SafeTensors;
use serde::Deserialize;

use super::*;
use crate::{
    families::fixtures::folder,
    nn::{ComputeContext, weights::Weights},
};

/// Of spectra with a logarithm: as they are.
const OF_SPECTRA: f32 = 1e-4;
/// Of what networks make: of the largest number.
const OF_NETWORKS: f32 = 1e-3;

#[derive(Deserialize)]
struct Expected {
    tokenizations: Vec<Tokenization>,
    recordings: Vec<Heard>,
}

#[derive(Deserialize)]
struct Tokenization {
    samples: usize,
    most: Option<usize>,
    tokens: Vec<u32>,
}

#[derive(Deserialize)]
struct Heard {
    samples_24k: usize,
    samples_16k: usize,
    trimmed: [usize; 2],
    t3: Vec<u32>,
    t3_turbo: Vec<u32>,
    s3: Vec<u32>,
    mel_frames: usize,
}

fn fixture(name: &str) -> Bytes {
    std::fs::read(folder("chatterbox/reference").join(name)).expect("the file is there").into()
}

fn expected() -> Expected {
    serde_json::from_slice(&fixture("expected.json")).unwrap()
}

/// The numbers of a tensor of `expected.safetensors`, and of one of its rows.
fn reference(name: &str) -> (Vec<f32>, usize) {
    numbers(&fixture("expected.safetensors"), name)
}

fn numbers(file: &[u8], name: &str) -> (Vec<f32>, usize) {
    let tensors = SafeTensors::deserialize(file).unwrap();
    let tensor = tensors.tensor(name).unwrap();
    let numbers = tensor.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
    (numbers.collect(), tensor.shape().last().copied().unwrap())
}

/// With our own kernels, and with candle's operations.
fn contexts() -> [ComputeContext; 2] {
    let context = ComputeContext::new(&Device::Cpu, DType::F32);
    [ComputeContext { kernels: None, ..context.clone() }, context]
}

fn weights(file: &str) -> Weights {
    Weights::open(&[(file.to_owned(), fixture(file))], "").unwrap()
}

/// From all tensors of both files and no other.
fn load(context: &ComputeContext) -> (Listener, VoiceEncoder) {
    let (mut s3gen, mut ve) = (weights("s3gen.safetensors"), weights("ve.safetensors"));
    let listener = Listener::load(&mut Loader { weights: &mut s3gen, context }).unwrap();
    let voice = VoiceEncoder::load(&mut Loader { weights: &mut ve, context }).unwrap();
    s3gen.finish().unwrap();
    ve.finish().unwrap();
    (listener, voice)
}

/// The same sound as in `make.py`.
fn sound(samples: usize, rate: u32) -> Vec<f32> {
    let rate = i64::from(rate);
    let sample = |at: i64| {
        let syllable = at * 10 / rate;
        let loudness = if syllable < 4 { 0 } else { [0, 1, 4, 8, 6, 3, 7, 2][syllable as usize % 8] };
        let step = (400 + 37 * (syllable * 7 % 11)) * 16_000 / rate;
        let saw = at * step % 65_536 - 32_768;
        let mixed = (at as u32).wrapping_mul(2_654_435_761).wrapping_add(12_345);
        let noise = i64::from((mixed ^ (mixed >> 15)).wrapping_mul(2_246_822_519) >> 19);
        (2 * saw * loudness + 2 * (noise - 4096) * (loudness + 1)) as f32 / (1 << 20) as f32
    };
    (0..samples as i64).map(sample).collect()
}

/// Every `step`-th row of `width` numbers.
fn some_rows(numbers: &[f32], width: usize, step: usize) -> Vec<f32> {
    numbers.chunks_exact(width).step_by(step).flatten().copied().collect()
}

fn largest(numbers: &[f32]) -> f32 {
    numbers.iter().fold(0.0, |most, x| x.abs().max(most))
}

/// Holds numbers against those of the reference: within `absolute`, or `relative` to the largest.
fn assert_like(name: &str, found: &[f32], (absolute, relative): (f32, f32)) {
    let (expected, _) = reference(name);
    assert_eq!(found.len(), expected.len(), "{name}");
    let differences = found.iter().zip(&expected).map(|(found, expected)| found - expected).collect::<Vec<_>>();
    let (difference, most) = (largest(&differences), largest(&expected));
    assert!(difference <= absolute.max(relative * most), "{name}: {difference} of {most}");
}

#[test]
fn conditionals_are_those_of_the_reference() {
    for context in contexts() {
        let (listener, voice) = load(&context);
        for (at, heard) in expected().recordings.iter().enumerate() {
            let (at_24k, at_16k) = (sound(heard.samples_24k, RATE_24K), sound(heard.samples_16k, RATE_16K));
            let recording = Recording { at_24k: &at_24k, at_16k: &at_16k };
            let t3 = listener.voice_prompt(&voice, recording, PromptLength::LLAMA).unwrap();
            let s3gen = listener.spoken_prompt(recording).unwrap();
            assert_eq!(t3.tokens, heard.t3);
            assert_eq!(s3gen.tokens, heard.s3);
            assert_eq!(s3gen.mel.len(), heard.mel_frames * BANDS);
            assert_like(&format!("prompt_mel.{at}"), &some_rows(&s3gen.mel, BANDS, 9), (OF_SPECTRA, 0.0));
            assert_like(&format!("x_vector.{at}"), &s3gen.speaker, (0.0, OF_NETWORKS));
            assert_like(&format!("voice.{at}"), &t3.voice, (0.0, OF_NETWORKS));
        }
    }
}

#[test]
fn turbo_is_given_more_tokens() {
    let (listener, voice) = load(&contexts()[1]);
    for heard in expected().recordings {
        let at_16k = sound(heard.samples_16k, RATE_16K);
        let recording = Recording { at_24k: &[], at_16k: &at_16k };
        assert_eq!(listener.voice_prompt(&voice, recording, PromptLength::GPT2).unwrap().tokens, heard.t3_turbo);
    }
}
