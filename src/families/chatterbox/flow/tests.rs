//! Against what the reference makes of the fixture (`tests/fixtures/chatterbox/flow/make.py`).

use std::cell::Cell;

use bytes::Bytes;
use candle_core::{DType, Device};
use serde::Deserialize;

use super::{stack::Stack, *};
use crate::{
    families::fixtures::folder,
    nn::weights::{LayerError, Weights},
};

/// Of numbers of order 1.
const TOLERANCE: f32 = 1e-3;

/// Of the whole, where weights and what many rows are multiplied by are rounded to `bf16`.
const BF16: f32 = 2e-2;
/// The same where linear layers are quantised.
const EIGHT_BITS: f32 = 4e-2;

/// Every which band is in the fixture.
const BANDS: usize = 8;
const MEL: usize = 80;
const XVECTOR: usize = 192;

const MIXER: &str = "flow.decoder.estimator.time_embed_mixer.weight";

#[derive(Deserialize)]
struct Expected {
    steps: usize,
    mean_steps: usize,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    prompt: Vec<u32>,
    tokens: Vec<u32>,
    prompt_frames: usize,
    #[serde(rename = "final")]
    is_final: bool,
    times: (f32, f32),
}

fn fixture(name: &str) -> Bytes {
    std::fs::read(folder("chatterbox/flow").join(name)).unwrap().into()
}

fn expected() -> (Expected, Weights) {
    let tensors = Weights::open(&[("expected.safetensors".to_owned(), fixture("expected.safetensors"))], "");
    (serde_json::from_slice(&fixture("expected.json")).unwrap(), tensors.unwrap())
}

fn weights() -> Weights {
    Weights::open(&[("model.safetensors".to_owned(), fixture("model.safetensors"))], "").unwrap()
}

fn load(mut weights: Weights, context: &ComputeContext) -> Loaded<Flow> {
    let flow = Flow::load(&mut Loader { weights: &mut weights, context }, "flow")?;
    weights.finish()?;
    Ok(flow)
}

fn own() -> ComputeContext {
    ComputeContext::new(&Device::Cpu, DType::F32)
}

/// Our own kernels, and candle's operations.
fn contexts() -> [ComputeContext; 2] {
    [own(), ComputeContext { kernels: None, ..own() }]
}

fn standard(context: &ComputeContext) -> Flow {
    let mut weights = weights();
    weights.ignore(MIXER);
    load(weights, context).unwrap()
}

fn mean_flow(context: &ComputeContext) -> Flow {
    load(weights(), context).unwrap()
}

/// As `numbers` of the fixture's script: even from -2 to 2.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mixed = |at: u64| {
        let mixed = ((at + seed * 1_000_003) * 2_654_435_761 + 12_345) % (1 << 32);
        ((mixed ^ (mixed >> 15)) * 2_246_822_519) % (1 << 32)
    };
    (0..count as u64).map(|at| ((mixed(at) >> 20) as f32 - 2048.0) / 1024.0).collect()
}

fn tensor(rows: usize, columns: usize, seed: u64) -> Tensor {
    Tensor::from_vec(numbers(rows * columns, seed), (rows, columns), &Device::Cpu).unwrap()
}

fn never() -> bool {
    false
}

impl Case {
    fn reference(&self, at: usize) -> FlowReference {
        let seed = 10 * at as u64;
        let (prompt_mel, xvector) = (tensor(self.prompt_frames, MEL, seed + 1), tensor(1, XVECTOR, seed + 2));
        FlowReference { prompt_tokens: self.prompt.clone(), prompt_mel, xvector }
    }

    fn all(&self) -> Vec<u32> {
        [self.prompt.as_slice(), &self.tokens].concat()
    }

    fn frames(&self) -> usize {
        2 * self.all().len() - if self.is_final { 0 } else { 6 }
    }

    fn noise(&self, at: usize) -> impl Fn(usize, &mut [f32]) {
        let noise = numbers(self.frames() * MEL, 10 * at as u64 + 3);
        move |frame, bands| bands.copy_from_slice(&noise[frame * MEL..][..MEL])
    }

    fn mel(&self, at: usize, flow: &Flow, steps: usize, cfg_rate: f32) -> Tensor {
        let options = FlowOptions { steps, cfg_rate, finalize: self.is_final };
        flow.mel(&self.tokens, &self.reference(at), self.noise(at), options, &never).unwrap().unwrap()
    }
}

fn assert_close(found: &Tensor, expected: &mut Weights, name: &str) {
    let shape = expected.shape(name).unwrap().to_vec();
    let found = found.to_vec2::<f32>().unwrap();
    assert_eq!((found.len(), found.first().map_or(0, Vec::len)), (shape[0], MEL), "{name}");
    let exact = expected.take(name, &shape).unwrap();
    let found = found.iter().flat_map(|row| row.iter().step_by(BANDS));
    let off = found.zip(&exact).map(|(found, exact)| (found - exact).abs() / exact.abs().max(1.0));
    let off = off.fold(0.0, |most: f32, off| if off.is_nan() { off } else { most.max(off) });
    assert!(off < TOLERANCE, "{name}: {off}");
}

#[test]
fn the_encoder_gives_the_mean() {
    for context in contexts() {
        let (expected, mut tensors) = expected();
        let flow = standard(&context);
        for (at, case) in expected.cases.iter().enumerate() {
            let mean = flow.encoder.forward(&context, &case.all(), &never).unwrap().unwrap();
            assert_close(&mean, &mut tensors, &format!("mu.{at}"));
        }
    }
}

/// One estimate of the case, of one sequence or, below it, of the same without a condition.
fn estimate(flow: &Flow, context: &ComputeContext, at: usize, case: &Case, sequences: usize) -> Tensor {
    let (frames, seed) = (case.frames(), 10 * at as u64);
    let mean = flow.encoder.forward(context, &case.all(), &never).unwrap().unwrap().narrow(0, 0, frames).unwrap();
    let state = tensor(frames, MEL, seed + 3);
    let prompt = case.reference(at).prompt_mel.pad_with_zeros(0, 0, frames - case.prompt_frames).unwrap();
    let speaker = tensor(1, MEL, seed + 4).broadcast_as((frames, MEL)).unwrap();
    let x = Tensor::cat(&[&state, &mean, &speaker, &prompt], 1).unwrap();
    let blind =
        Tensor::cat(&[&state, &Tensor::zeros((frames, 3 * MEL), DType::F32, &Device::Cpu).unwrap()], 1).unwrap();
    let x = Tensor::cat(&[x, blind][..sequences], 0).unwrap();
    let mut memory = flow.estimator.memory(Stack { sequences, frames }, context).unwrap();
    flow.estimator.forward(context, &x, case.times, &mut memory, &never).unwrap().unwrap()
}

#[test]
fn an_estimate_is_the_reference_s() {
    for context in contexts() {
        let (expected, mut tensors) = expected();
        let (standard, mean_flow) = (standard(&context), mean_flow(&context));
        for (at, case) in expected.cases.iter().enumerate() {
            let frames = case.frames();
            let both = estimate(&standard, &context, at, case, 2);
            let alone = estimate(&standard, &context, at, case, 1);
            let upper = both.narrow(0, 0, frames).unwrap();
            let leaked = (&upper - alone).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
            assert!(leaked < 1e-4, "{at}: {leaked} from one sequence to another");
            assert_close(&upper, &mut tensors, &format!("conditional.{at}"));
            assert_close(&both.narrow(0, frames, frames).unwrap(), &mut tensors, &format!("unconditional.{at}"));
            assert_close(&estimate(&mean_flow, &context, at, case, 1), &mut tensors, &format!("mean.{at}"));
        }
    }
}

#[test]
fn a_mel_is_the_reference_s() {
    for context in contexts() {
        let (expected, mut tensors) = expected();
        let (standard, mean_flow) = (standard(&context), mean_flow(&context));
        for (at, case) in expected.cases.iter().enumerate() {
            let guided = case.mel(at, &standard, expected.steps, 0.7);
            assert_close(&guided, &mut tensors, &format!("mel.{at}"));
            assert_close(&case.mel(at, &standard, expected.steps, 0.0), &mut tensors, &format!("unguided.{at}"));
            assert_close(&case.mel(at, &mean_flow, expected.mean_steps, 0.0), &mut tensors, &format!("mean_mel.{at}"));
        }
    }
}

/// Weights have few bits then; where the processor multiplies `bf16`, activations have too, and beside weights of eight bits
/// everywhere.
#[test]
fn a_mel_of_few_bits_is_near_the_exact_one() {
    let halved = ComputeContext::new(&Device::Cpu, DType::BF16).with_rounded_activations();
    let quantized = halved.clone().with_q8();
    let (expected, exact) = (expected().0, standard(&own()));
    for (context, tolerance) in [(halved, BF16), (quantized, EIGHT_BITS)] {
        let flow = standard(&context);
        for (at, case) in expected.cases.iter().enumerate() {
            let [found, exact] = [&flow, &exact].map(|flow| case.mel(at, flow, expected.steps, 0.7));
            let norm = |x: &Tensor| x.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap().sqrt();
            let off = norm(&(found - &exact).unwrap()) / norm(&exact);
            assert!(off < tolerance, "{at}: {off}");
        }
    }
}

#[test]
fn the_options_are_those_of_the_variant() {
    assert_eq!(standard(&own()).options(), FlowOptions { steps: 10, cfg_rate: 0.7, finalize: true });
    assert_eq!(mean_flow(&own()).options(), FlowOptions { steps: 2, cfg_rate: 0.0, finalize: true });
}

#[test]
fn nothing_gives_nothing_and_one_token_gives_its_frames() {
    let flow = mean_flow(&own());
    let reference = FlowReference {
        prompt_tokens: vec![],
        prompt_mel: Tensor::zeros((0, MEL), DType::F32, &Device::Cpu).unwrap(),
        xvector: Tensor::zeros(XVECTOR, DType::F32, &Device::Cpu).unwrap(),
    };
    let mel = |tokens: &[u32], finalize| {
        let options = FlowOptions { finalize, ..flow.options() };
        flow.mel(tokens, &reference, seeded(1), options, &never).unwrap().unwrap()
    };
    assert_eq!(mel(&[], true).dims(), [0, MEL]);
    assert_eq!(mel(&[1], true).dims(), [2, MEL]);
    assert_eq!(mel(&[1, 2, 3], false).dims(), [0, MEL]);
    assert_eq!(mel(&[1, 2, 3, 4], false).dims(), [2, MEL]);
    assert!(mel(&[1], true).abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap().is_finite());
}

#[test]
fn work_ends_when_it_is_told_to() {
    let flow = mean_flow(&own());
    let (expected, _) = expected();
    let case = &expected.cases[0];
    let asked = Cell::new(0);
    let mel = |last| {
        asked.set(0);
        let stop = || asked.replace(asked.get() + 1) == last;
        flow.mel(&case.tokens, &case.reference(0), seeded(1), flow.options(), &stop).unwrap()
    };
    assert!(mel(usize::MAX).is_some());
    let all = asked.get();
    assert!(all > 2, "{all}");
    for last in 0..all {
        assert!(mel(last).is_none());
        assert_eq!(asked.get(), last + 1);
    }
}

#[test]
fn what_does_not_fit_is_an_error() {
    let flow = mean_flow(&own());
    let (expected, _) = expected();
    let good = expected.cases[0].reference(0);
    let error = |tokens: &[u32], reference: &FlowReference, steps| {
        let options = FlowOptions { steps, ..flow.options() };
        flow.mel(tokens, reference, seeded(1), options, &never).unwrap_err().to_string()
    };
    assert!(error(&[1 << 20], &good, 1).contains("1048576"));
    assert!(error(&[1], &good, 0).contains("at least one step"));
    let narrow = FlowReference { prompt_mel: tensor(4, 79, 1), ..good.clone() };
    assert!(error(&[1], &narrow, 1).contains("79 bands"));
    let short = FlowReference { xvector: tensor(1, 8, 1), ..good };
    assert!(error(&[1], &short, 1).contains("8 numbers"));
}

/// What is wrong with the fixture's tensors once `change` has left one out or given it another shape.
fn fault_of(name: &str, change: impl Fn(&mut Vec<usize>) -> bool) -> Option<LayerError> {
    let bytes = fixture("model.safetensors");
    let stored = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let tensors = stored.iter().filter_map(|(at, view)| {
        let mut shape = view.shape().to_vec();
        (at != name || change(&mut shape)).then(|| {
            let count = shape.iter().product();
            (at.to_owned(), shape, vec![0.5; count])
        })
    });
    load(Weights::of(tensors.collect::<Vec<_>>()), &own()).err()
}

#[test]
fn a_tensor_that_is_missing_or_of_another_shape_is_named() {
    // These tell that there is a block; without them another tensor of it is the stranger.
    let telling = ["norm_mha.weight", "norm1.weight", "block1.block.0.weight"];
    let bytes = fixture("model.safetensors");
    for name in safetensors::SafeTensors::deserialize(&bytes).unwrap().names() {
        if name.contains("s.1.") || name.contains(".1.1.") {
            continue; // one block of each kind will do
        }
        let without = fault_of(name, |_| false).map(|error| error.to_string());
        assert_eq!(without.is_none(), name == MIXER, "{name}");
        let error = without.unwrap_or_default();
        assert!(
            name == MIXER || error.contains(name) || telling.iter().any(|end| name.ends_with(end)),
            "{name}: {error}"
        );

        let deeper = fault_of(name, |shape| {
            shape.push(1);
            true
        });
        assert!(deeper.unwrap().to_string().contains(name), "{name}");

        for size in [0, 61] {
            let other = fault_of(name, |shape| {
                shape[0] = size;
                true
            });
            let any_size_will_do = size > 0 && name == "flow.input_embedding.weight";
            assert_eq!(other.is_none(), any_size_will_do, "{name}, {size}");
        }
    }
}
