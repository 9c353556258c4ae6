//! Against the reference, on the fixtures that `tests/fixtures/chatterbox/t3/make.py` makes.

mod faults;
#[cfg(feature = "cuda")]
mod gpu;

use std::{collections::HashMap, path::PathBuf};

use candle_core::{DType, Device, Result, Tensor};
use serde::Deserialize;

use super::{net::T3Request, *};
use crate::families::{fixtures::folder, step::choose};
use crate::nn::{
    ComputeContext, SimdLevel,
    sampler::{Chooser, Pick},
    weights::{Loader, Weights},
};

/// Largest difference from the reference, relative to its largest number.
const TOLERANCE: f32 = 1e-4;

/// The same where a matrix unit works on split numbers.
const SPLIT: f32 = 1e-3;

/// The same of weights that are rounded to halves, to `bf16` and to eight bits. Random layers as small as the fixtures'
/// pass on much of what is rounded: found were 0.008, 0.08 and 0.21.
const F16: f32 = 1e-2;
const BF16: f32 = 1e-1;
const EIGHT_BITS: f32 = 2.5e-1;

/// Of a probability.
const PROBABILITY: f32 = 1e-4;

// === what the tests work with ===

/// The folder of a fixture.
fn fixture(of: &str) -> PathBuf {
    folder("chatterbox/t3").join(of)
}

#[derive(Deserialize)]
struct Ids {
    start: u32,
    stop: u32,
    codes: u32,
}

#[derive(Clone, Deserialize)]
struct Case {
    text: Vec<u32>,
    prompt: Vec<u32>,
    exaggeration: f32,
    options: Options,
    tokens: Vec<u32>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(default)]
struct Options {
    temperature: f32,
    repetition_penalty: f32,
    min_p: f32,
    top_p: f32,
    top_k: usize,
    cfg_weight: f32,
}

/// What the reference makes of the fixture.
struct Expected {
    ids: T3Ids,
    cases: Vec<Case>,
    tensors: HashMap<String, Tensor>,
}

impl Default for Options {
    fn default() -> Self {
        Self { temperature: 1.0, repetition_penalty: 1.0, min_p: 0.0, top_p: 1.0, top_k: 0, cfg_weight: 0.0 }
    }
}

impl Options {
    fn sampling(self) -> SamplingOptions {
        let Self { temperature, repetition_penalty, min_p, top_p, top_k, cfg_weight } = self;
        SamplingOptions { temperature, min_p, top_p, top_k, repetition_penalty, cfg_weight }
    }
}

impl Expected {
    fn read(of: &str) -> Self {
        #[derive(Deserialize)]
        struct File {
            ids: Ids,
            cases: Vec<Case>,
        }
        let json = std::fs::read(fixture(of).join("expected.json")).expect("fixture");
        let File { ids: Ids { start, stop, codes }, cases } = serde_json::from_slice(&json).expect("fixture");
        let tensors = candle_core::safetensors::load(fixture(of).join("expected.safetensors"), &Device::Cpu);
        Self { ids: T3Ids { start, stop, codes }, cases, tensors: tensors.expect("fixture") }
    }

    fn tensor(&self, name: &str, case: usize) -> &Tensor {
        &self.tensors[&format!("{name}.{case}")]
    }

    fn conditioning(&self, case: usize) -> T3Conditioning {
        let speaker = self.tensor("speaker", case).to_vec1().expect("fixture");
        let Case { prompt, exaggeration, .. } = self.cases[case].clone();
        T3Conditioning { speaker, prompt, exaggeration }
    }

    /// The reference's options, but always the likeliest token.
    fn greedy(&self, case: usize) -> T3Request {
        let case = &self.cases[case];
        let sampling = SamplingOptions { temperature: 0.0, ..case.options.sampling() };
        T3Request { sampling, max_new_tokens: case.tokens.len(), seed: 1 }
    }

    /// Cases whose tokens do not depend on the temperature.
    fn greedy_cases(&self) -> Vec<usize> {
        (0..self.cases.len()).filter(|&case| self.cases[case].options.temperature == 1.0).collect()
    }

    fn admit(&self, t3: &T3, case: usize, request: &T3Request) -> T3Row {
        let voice = t3.voice(&self.conditioning(case)).expect("voice");
        t3.admit(&voice, &self.cases[case].text, request).expect("prompt")
    }
}

fn contexts() -> Vec<ComputeContext> {
    let context = ComputeContext::new(&Device::Cpu, DType::F32);
    let kernels = SimdLevel::available().iter().map(|&level| Some(level)).chain([None]);
    kernels.map(|kernels| ComputeContext { kernels, ..context.clone() }).collect()
}

fn tolerance(context: &ComputeContext) -> f32 {
    if context.kernels.is_some() { SPLIT } else { TOLERANCE }
}

fn model(of: &str) -> Vec<u8> {
    std::fs::read(fixture(of).join("model.safetensors")).expect("fixture")
}

fn load(model: Vec<u8>, ids: T3Ids, context: &ComputeContext) -> std::result::Result<T3, String> {
    let mut weights =
        Weights::open(&[("model.safetensors".to_owned(), model.into())], "").map_err(|e| e.to_string())?;
    let t3 = T3::load(&mut Loader { weights: &mut weights, context }, "", ids).map_err(|error| error.to_string())?;
    weights.finish().map_err(|error| error.to_string())?;
    Ok(t3)
}

fn own(of: &str, ids: T3Ids) -> T3 {
    load(model(of), ids, &ComputeContext::new(&Device::Cpu, DType::F32)).expect("fixture")
}

fn assert_close(found: &Tensor, expected: &Tensor, tolerance: f32, what: &str) {
    assert_eq!(found.dims(), expected.dims(), "{what}");
    let most = |x: &Tensor| x.abs().and_then(|x| x.max_all()).and_then(|x| x.to_scalar::<f32>()).expect(what);
    let (difference, largest) = (most(&(found - expected).expect(what)), most(expected));
    assert!(difference <= tolerance * largest.max(1.0), "{what}: {difference} of {largest}");
}

/// Every `step`th channel of all positions of all rows.
fn channels(x: &Tensor, rows: usize, step: usize) -> Result<Tensor> {
    let (positions, width) = (x.dim(0)? / rows, x.dim(1)?);
    let kept = Tensor::arange_step(0u32, width as u32, step as u32, x.device())?;
    x.index_select(&kept, 1)?.reshape((rows, positions, width.div_ceil(step)))
}

// === against the reference ===

#[test]
fn prompts_are_those_of_the_reference_and_so_is_what_the_backbone_makes_of_them() -> Result<()> {
    for of in ["llama", "gpt2"] {
        let expected = Expected::read(of);
        for context in contexts() {
            let t3 = load(model(of), expected.ids, &context).expect("fixture");
            for case in 0..expected.cases.len() {
                let what = |what: &str| format!("{what} of {of}, case {case}, {:?}", context.kernels);
                let request = expected.greedy(case);
                let voice = t3.voice(&expected.conditioning(case)).expect("voice");
                let prompt = t3.prompt(&voice, &expected.cases[case].text, &request)?;
                let embeds = channels(&prompt.embeds, prompt.sequences, 4)?;
                assert_close(&embeds, expected.tensor("embeds", case), tolerance(&context), &what("embeds"));
                let mut row = t3.row(&prompt, &request)?;
                let mut sequences = row.sequences.iter_mut().collect::<Vec<_>>();
                let hidden = t3.backbone.norm(&t3.backbone.forward(&prompt.embeds, &mut sequences)?)?;
                let hidden = channels(&hidden, prompt.sequences, 8)?;
                assert_close(&hidden, expected.tensor("hidden", case), tolerance(&context), &what("hidden"));
            }
        }
    }
    Ok(())
}

#[test]
fn logits_and_probabilities_are_those_of_the_reference() -> Result<()> {
    for of in ["llama", "gpt2"] {
        let expected = Expected::read(of);
        for context in contexts() {
            let t3 = load(model(of), expected.ids, &context).expect("fixture");
            for (at, case) in expected.cases.iter().enumerate() {
                let voice = t3.voice(&expected.conditioning(at)).expect("voice");
                let prompt = t3.prompt(&voice, &case.text, &expected.greedy(at))?;
                let mut row = t3.row(&prompt, &expected.greedy(at))?;
                for (step, &token) in case.tokens.iter().enumerate() {
                    let logits = match step {
                        0 => t3.read(&mut row, &prompt)?,
                        _ => t3.feed(&mut [&mut row])?,
                    };
                    if step % 4 == 0 {
                        let what = format!("logits of {of}, case {at}, step {step}, {:?}", context.kernels);
                        let reference = expected.tensor("logits", at).get(step / 4)?;
                        assert_close(&logits, &reference, tolerance(&context), &what);
                        row.options = case.options.sampling();
                        assert_probabilities(&row, &reference.to_vec2()?, &expected.tensor("probs", at).get(step / 4)?);
                    }
                    row.tokens.push(token);
                }
            }
        }
    }
    Ok(())
}

/// What the next token of a row is drawn from, made of the reference's logits.
fn assert_probabilities(row: &T3Row, logits: &[Vec<f32>], expected: &Tensor) {
    let logits = row.choice(0, Pick::Likeliest(1)).scores(logits);
    let logits = Tensor::new(logits, &Device::Cpu).expect("logits");
    let found = candle_nn::ops::softmax(&logits, 0).expect("softmax");
    assert_close(&found, expected, PROBABILITY, &format!("probabilities after {} tokens", row.tokens.len()));
}

/// Every type of weights that is rounded, with what it may change.
fn rounded() -> Vec<(ComputeContext, f32)> {
    let levels = SimdLevel::available().iter().map(|&level| Some(level));
    let context = |kernels, dtype| ComputeContext { kernels, ..ComputeContext::new(&Device::Cpu, dtype) };
    let of_level = |kernels| {
        let halves = [(DType::F16, F16), (DType::BF16, BF16)];
        let halves = halves.map(|(dtype, tolerance)| (context(kernels, dtype), tolerance));
        halves.into_iter().chain([(context(kernels, DType::F32).with_q8(), EIGHT_BITS)])
    };
    levels.flat_map(of_level).collect()
}

#[test]
fn logits_of_rounded_weights_are_near_the_reference_and_so_is_the_likeliest_token() -> Result<()> {
    for of in ["llama", "gpt2"] {
        let expected = Expected::read(of);
        for (context, tolerance) in rounded() {
            let t3 = load(model(of), expected.ids, &context).expect("fixture");
            let (mut same, mut all) = (0, 0);
            for case in expected.greedy_cases() {
                let voice = t3.voice(&expected.conditioning(case)).expect("voice");
                let request = expected.greedy(case);
                let prompt = t3.prompt(&voice, &expected.cases[case].text, &request)?;
                let mut row = t3.row(&prompt, &request)?;
                for (step, &token) in expected.cases[case].tokens.iter().enumerate() {
                    let logits = match step {
                        0 => t3.read(&mut row, &prompt)?,
                        _ => t3.feed(&mut [&mut row])?,
                    };
                    if step % 4 == 0 {
                        let what = format!("{of}, case {case}, step {step}, {context:?}");
                        let reference = expected.tensor("logits", case).get(step / 4)?;
                        assert_close(&logits, &reference, tolerance, &what);
                    }
                    // What it would have said, after what the reference said.
                    let said = row.tokens.len();
                    choose(&Chooser::default(), &logits, &mut [&mut row])?;
                    same += usize::from(row.tokens.get(said) == Some(&token));
                    all += 1;
                    row.tokens.truncate(said);
                    (row.tokens, row.finish) = ([&row.tokens[..], &[token]].concat(), None);
                }
            }
            assert!(same * 100 >= all * 85, "{of}, {context:?}: {same} of {all}");
        }
    }
    Ok(())
}

#[test]
fn the_likeliest_tokens_are_those_of_the_reference() {
    for of in ["llama", "gpt2"] {
        let expected = Expected::read(of);
        for context in contexts() {
            let t3 = load(model(of), expected.ids, &context).expect("fixture");
            for case in expected.greedy_cases() {
                let mut row = expected.admit(&t3, case, &expected.greedy(case));
                while !row.finished() {
                    t3.step(&mut [&mut row]).expect("step");
                }
                assert_eq!(row.finish(), Some(FinishReason::Full));
                assert_eq!(row.tokens(), expected.cases[case].tokens, "{of}, case {case}, {:?}", context.kernels);
            }
        }
    }
}

// === many at once ===

/// Every case several times, some drawn, each with a seed of its own.
fn crowd(expected: &Expected) -> Vec<(usize, T3Request)> {
    let request = |at: usize| {
        let case = at % expected.cases.len();
        let mut request = expected.greedy(case);
        request.sampling.temperature = [0.0, 0.8, 1.5][at / expected.cases.len() % 3];
        (case, T3Request { max_new_tokens: 8 + at, seed: at as u64, ..request })
    };
    (0..6 * expected.cases.len()).map(request).collect()
}

#[test]
fn a_request_says_the_same_alone_and_among_others_that_come_and_go() {
    for of in ["llama", "gpt2"] {
        let expected = Expected::read(of);
        let exact = ComputeContext::new(&Device::Cpu, DType::F32);
        for context in [exact.clone(), exact.with_q8()] {
            says_the_same_in_a_crowd(of, &expected, &context);
        }
    }
}

fn says_the_same_in_a_crowd(of: &str, expected: &Expected, context: &ComputeContext) {
    let t3 = load(model(of), expected.ids, context).expect("fixture");
    let crowd = crowd(expected);
    let alone = crowd.iter().map(|(case, request)| {
        let mut row = expected.admit(&t3, *case, request);
        while !row.finished() {
            t3.step(&mut [&mut row]).expect("step");
        }
        row.tokens().to_vec()
    });
    let alone = alone.collect::<Vec<_>>();
    // Three join before each step, and who is finished stays and is passed over.
    let mut rows: Vec<T3Row> = Vec::new();
    while rows.len() < crowd.len() || rows.iter().any(|row| !row.finished()) {
        let joining = crowd.iter().skip(rows.len()).take(3);
        let joining = joining.map(|(case, request)| expected.admit(&t3, *case, request));
        rows.extend(joining.collect::<Vec<_>>());
        t3.step(&mut rows.iter_mut().collect::<Vec<_>>()).expect("step");
    }
    for (row, alone) in rows.iter().zip(alone) {
        assert_eq!(row.tokens(), alone, "{of}");
    }
}

#[test]
fn seeds_tell_draws_apart() {
    let expected = Expected::read("gpt2");
    let t3 = own("gpt2", expected.ids);
    let drawn = |seed| {
        let mut request = T3Request { seed, ..expected.greedy(0) };
        request.sampling = SamplingOptions { temperature: 2.0, ..SamplingOptions::GPT2 };
        let mut row = expected.admit(&t3, 0, &request);
        while !row.finished() {
            t3.step(&mut [&mut row]).expect("step");
        }
        row.tokens().to_vec()
    };
    assert_eq!(drawn(1), drawn(1));
    assert_ne!(drawn(1), drawn(2));
}

#[test]
fn a_row_ends_with_the_stop_token_and_does_not_have_it() {
    for of in ["llama", "gpt2"] {
        let expected = Expected::read(of);
        let tokens = &expected.cases[0].tokens;
        // The first of the reference's tokens from the tenth on that was not there before stands for stop.
        let at = (10..tokens.len()).find(|&at| !tokens[..at].contains(&tokens[at])).expect("fixture");
        let t3 = own(of, T3Ids { stop: tokens[at], ..expected.ids });
        let mut row = expected.admit(&t3, 0, &expected.greedy(0));
        for _ in 0..tokens.len() {
            t3.step(&mut [&mut row]).expect("step");
        }
        assert_eq!((row.finish(), row.tokens()), (Some(FinishReason::Stopped), &tokens[..at]), "{of}");
    }
}
