use std::{collections::HashMap, fs, path::PathBuf};

use candle_core::{DType, Device, Result, Tensor};
use rand::{SeedableRng, rngs::StdRng};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::{super::config::ZonosConfig, code_model::Prompt, delay::DelayedCodes, row::CodeIds, *};
use crate::{
    families::{
        code_speech::FinishReason,
        fixtures::folder,
        step::{Chooses, choose},
    },
    nn::{
        ComputeContext, SimdLevel,
        sampler::{Choice, Chooser, LogitEdits, Pick, SampledToken},
        weights::{Loader, Weights},
    },
};

#[cfg(feature = "cuda")]
mod gpu;

const VARIANTS: [&str; 2] = ["transformer", "hybrid"];

/// Of the largest number, in f32: the kernels add up in another order.
const TOLERANCE: f32 = 1e-4;
/// Of logits, with weights of eight bits, and of half precision.
const EIGHT_BITS: f32 = 2.5e-1;
const F16: f32 = 1e-2;
const BF16: f32 = 1e-1;

/// The names of conditions that a fixture may have.
const NAMES: [&str; 10] = [
    "speaker",
    "emotion",
    "fmax",
    "pitch_std",
    "speaking_rate",
    "language_id",
    "vqscore_8",
    "ctc_loss",
    "dnsmos_ovrl",
    "speaker_noised",
];

#[derive(Clone, Deserialize)]
struct Case {
    conditions: HashMap<String, Vec<f32>>,
    cfg_scale: f32,
    before: Vec<Vec<u32>>,
    frames: usize,
    columns: Vec<Vec<u32>>,
}

/// What the reference makes of the fixture.
struct Expected {
    cases: Vec<Case>,
    tensors: HashMap<String, Tensor>,
}

impl Expected {
    fn read(of: &str) -> Self {
        #[derive(Deserialize)]
        struct File {
            cases: Vec<Case>,
        }
        let File { cases } = json(&format!("{of}/expected.json"));
        Self { cases, tensors: tensors(&format!("{of}/expected.safetensors")) }
    }

    fn tensor(&self, name: &str, case: usize) -> &Tensor {
        &self.tensors[&format!("{name}.{case}")]
    }
}

impl Case {
    fn conditions(&self) -> Conditions {
        let phonemes = self.conditions["espeak"].iter().map(|&id| id as u32).collect();
        let values = NAMES.iter().filter_map(|&name| Some((name, self.conditions.get(name)?.clone())));
        Conditions { phonemes, values: values.collect() }
    }

    /// The reference's options, but always the likeliest code.
    fn greedy(&self) -> CodeRequest {
        let sampling = SamplingOptions { temperature: 0.0, cfg_scale: self.cfg_scale, ..SamplingOptions::default() };
        CodeRequest { sampling, new_frames: self.frames, seed: 1, prefix: self.before.concat() }
    }
}

fn file(name: &str) -> PathBuf {
    folder("zonos/net").join(name)
}

fn json<T: DeserializeOwned>(name: &str) -> T {
    serde_json::from_slice(&fs::read(file(name)).expect("fixture")).expect("fixture")
}

fn tensors(name: &str) -> HashMap<String, Tensor> {
    candle_core::safetensors::load(file(name), &Device::Cpu).expect("fixture")
}

fn exact() -> ComputeContext {
    ComputeContext::new(&Device::Cpu, DType::F32)
}

fn contexts() -> Vec<ComputeContext> {
    let kernels = SimdLevel::available().iter().map(|&level| Some(level)).chain([None]);
    kernels.map(|kernels| ComputeContext { kernels, ..exact() }).collect()
}

fn load(of: &str, context: &ComputeContext, change: impl FnOnce(&mut Value)) -> std::result::Result<CodeModel, String> {
    let mut config: Value = json(&format!("{of}/config.json"));
    change(&mut config);
    let config: ZonosConfig = serde_json::from_value(config).map_err(|error| error.to_string())?;
    config.check().map_err(|error| error.to_string())?;
    let bytes = fs::read(file(&format!("{of}/model.safetensors"))).expect("fixture");
    let mut weights = Weights::open(&[("model.safetensors".to_owned(), bytes.into())], "").expect("fixture");
    let model = CodeModel::load(&mut Loader { weights: &mut weights, context }, &config);
    let model = model.map_err(|error| error.to_string())?;
    weights.finish().map_err(|error| error.to_string())?;
    Ok(model)
}

fn model(of: &str, context: &ComputeContext) -> CodeModel {
    load(of, context, |_| {}).expect("fixture")
}

fn assert_close(found: &Tensor, expected: &Tensor, tolerance: f32, what: &str) {
    assert_eq!(found.dims(), expected.dims(), "{what}");
    let most = |x: &Tensor| x.abs().and_then(|x| x.max_all()).and_then(|x| x.to_scalar::<f32>()).expect(what);
    let (difference, largest) = (most(&(found - expected).expect(what)), most(expected));
    assert!(difference <= tolerance * largest.max(1.0), "{what}: {difference} of {largest}");
}

/// The logits of all books of two sequences after guidance, `[books, logits]`.
fn guided(model: &CodeModel, logits: &Tensor, scale: f32) -> Result<Tensor> {
    let (rows, books) = (logits.to_dtype(DType::F32)?.to_vec2()?, model.books());
    assert_eq!(rows.len(), 2 * books);
    let options = SamplingOptions { cfg_scale: scale, ..SamplingOptions::default() };
    let scores = |book: usize| {
        let choice = Choice::new(book, Pick::Likeliest(1)).with_guidance(Some(options.guidance(books + book)));
        choice.scores(&rows)
    };
    Tensor::new((0..books).map(scores).collect::<Vec<_>>(), &Device::Cpu)
}

// === against the reference ===

#[test]
fn prefixes_and_the_state_after_each_layer_are_those_of_the_reference() -> Result<()> {
    for of in VARIANTS {
        let expected = Expected::read(of);
        for context in contexts() {
            let model = model(of, &context);
            for (at, case) in expected.cases.iter().enumerate() {
                let what = |what: &str| format!("{what} of {of}, case {at}, {:?}", context.kernels);
                let told = case.conditions();
                let untold = Conditions { phonemes: told.phonemes.clone(), ..Conditions::default() };
                let both = Tensor::stack(&[model.conditioned(&told)?, model.conditioned(&untold)?], 0)?;
                assert_close(&both, expected.tensor("prefix", at), TOLERANCE, &what("prefix"));
                let prompt = model.prompt(&told, &case.greedy())?;
                let mut row = model.row(&prompt, &case.greedy())?;
                let mut states = Vec::new();
                let mut sequences = row.sequences.iter_mut().collect::<Vec<_>>();
                model.backbone.forward_watched(&prompt.embeds, &mut sequences, |state| states.push(state.clone()))?;
                let states = Tensor::stack(&states, 0)?;
                let Prompt { sequences, length, .. } = prompt;
                let (layers, width) = (states.dim(0)?, states.dim(2)?);
                let kept = Tensor::arange_step(0u32, width as u32, 8, &Device::Cpu)?;
                let states = states.index_select(&kept, 2)?.reshape((layers, sequences, length, width.div_ceil(8)))?;
                assert_close(&states, expected.tensor("hidden", at), TOLERANCE, &what("states"));
            }
        }
    }
    Ok(())
}

#[test]
fn logits_after_guidance_and_the_likeliest_codes_are_those_of_the_reference() -> Result<()> {
    for of in VARIANTS {
        let expected = Expected::read(of);
        for context in contexts() {
            let model = model(of, &context);
            for (at, case) in expected.cases.iter().enumerate() {
                let (told, request) = (case.conditions(), case.greedy());
                let prompt = model.prompt(&told, &request)?;
                let mut row = model.row(&prompt, &request)?;
                let mut step = 0;
                while !row.finished() {
                    let logits =
                        if step == 0 { model.read(&mut row, &prompt)? } else { model.feed(&mut [&mut row])? };
                    if step % 8 == 0 {
                        let what = format!("logits of {of}, case {at}, step {step}, {:?}", context.kernels);
                        let reference = expected.tensor("logits", at).get(step / 8)?;
                        assert_close(&guided(&model, &logits, case.cfg_scale)?, &reference, TOLERANCE, &what);
                    }
                    choose(&Chooser::default(), &logits, &mut [&mut row])?;
                    step += 1;
                }
                let columns: Vec<&[u32]> = (0..row.codes.len()).map(|column| row.codes.column(column)).collect();
                assert_eq!(columns, case.columns, "{of}, case {at}, {:?}", context.kernels);
                assert_eq!((row.finish(), row.frames()), (Some(FinishReason::Full), case.frames));
            }
        }
    }
    Ok(())
}

#[test]
fn logits_of_rounded_weights_are_near_the_reference() -> Result<()> {
    for of in VARIANTS {
        let expected = Expected::read(of);
        let halves = [(DType::F16, F16), (DType::BF16, BF16)];
        let halves = halves.map(|(dtype, tolerance)| (ComputeContext::new(&Device::Cpu, dtype), tolerance));
        for (context, tolerance) in halves.into_iter().chain([(exact().with_q8(), EIGHT_BITS)]) {
            let model = model(of, &context);
            for (at, case) in expected.cases.iter().enumerate() {
                let (told, request) = (case.conditions(), case.greedy());
                let prompt = model.prompt(&told, &request)?;
                let logits = model.read(&mut model.row(&prompt, &request)?, &prompt)?;
                let what = format!("logits of {of}, case {at}, {context:?}");
                let reference = expected.tensor("logits", at).get(0)?;
                assert_close(&guided(&model, &logits, case.cfg_scale)?, &reference, tolerance, &what);
            }
        }
    }
    Ok(())
}

#[test]
fn each_stage_of_the_sampler_is_that_of_the_reference() -> Result<()> {
    #[derive(Deserialize)]
    struct Sampler {
        options: Vec<HashMap<String, f32>>,
        columns: Vec<Vec<u32>>,
    }
    let Sampler { options, columns } = json("sampler.json");
    let expected = tensors("sampler.safetensors");
    let rows = expected["logits"].to_vec2::<f32>()?;
    let usual = SamplingOptions { min_p: 0.0, ..SamplingOptions::default() };
    let mut penalised = rows.clone();
    for (book, logits) in penalised.iter_mut().enumerate() {
        let history = columns[columns.len() - 2..].iter().map(|column| column[book]).collect();
        LogitEdits { repetition: usual.repetition(history), ..LogitEdits::default() }.apply(logits);
    }
    assert_close(&Tensor::new(penalised, &Device::Cpu)?, &expected["penalised"], 1e-6, "penalised");
    for (at, said) in options.iter().enumerate() {
        let number = |name: &str, usual: f32| said.get(name).copied().unwrap_or(usual);
        let options = SamplingOptions {
            temperature: number("temperature", 1.0),
            top_p: number("top_p", 0.0),
            top_k: number("top_k", 0.0) as usize,
            min_p: number("min_p", 0.0),
            linear: number("linear", 0.0),
            confidence: number("conf", 0.0),
            quadratic: number("quad", 0.0),
            ..usual
        };
        let found: Option<Vec<_>> = rows.iter().map(|logits| options.shape().probabilities(logits)).collect();
        let found = Tensor::new(found.expect("a distribution"), &Device::Cpu)?;
        assert_close(&found, &expected[&format!("probabilities.{at}")], 1e-5, &format!("{said:?}"));
    }
    Ok(())
}

#[test]
fn what_follows_the_end_of_the_first_book_is_as_in_the_reference() {
    #[derive(Deserialize)]
    struct Endings {
        end: u32,
        cases: Vec<Ending>,
    }
    #[derive(Deserialize)]
    struct Ending {
        before: Vec<Vec<u32>>,
        frames: usize,
        drawn: Vec<Vec<u32>>,
        columns: Vec<Vec<u32>>,
        sound: usize,
    }
    let Endings { end, cases } = json("endings.json");
    for (at, case) in cases.iter().enumerate() {
        let ids = CodeIds { books: case.drawn[0].len(), end, mask: end + 1 };
        let codes = DelayedCodes::new(ids.books, ids.mask, case.before.concat(), case.frames);
        let (sampling, rng) = (SamplingOptions::default(), StdRng::seed_from_u64(1));
        let mut row = CodeRow::new(Vec::new(), sampling, rng, ids, codes, case.frames);
        for drawn in &case.drawn {
            if row.finished() {
                break;
            }
            row.take(drawn.iter().map(|&token| Some(vec![SampledToken { token, logprob: 0.0 }])).collect());
        }
        let columns: Vec<&[u32]> = (0..row.codes.len()).map(|column| row.codes.column(column)).collect();
        assert_eq!(columns, case.columns, "case {at}");
        assert_eq!(row.frames(), case.sound - case.before.len(), "case {at}");
        assert!(row.codes(0..row.frames()).iter().all(|code| *code < end));
    }
}

// === many at once ===

/// Every case several times, some drawn, some without guidance, each with a seed of its own.
fn crowd(expected: &Expected) -> Vec<(usize, CodeRequest)> {
    let request = |at: usize| {
        let case = at % expected.cases.len();
        let mut request = expected.cases[case].greedy();
        request.sampling.temperature = [0.0, 0.8, 1.5][at / expected.cases.len() % 3];
        request.sampling.cfg_scale = if at % 4 == 3 { 1.0 } else { request.sampling.cfg_scale };
        (case, CodeRequest { new_frames: 4 + at, seed: at as u64, ..request })
    };
    (0..4 * expected.cases.len()).map(request).collect()
}

#[test]
fn a_request_says_the_same_alone_and_among_others_that_come_and_go() {
    for of in VARIANTS {
        let expected = Expected::read(of);
        for context in [exact(), exact().with_q8()] {
            let model = model(of, &context);
            let crowd = crowd(&expected);
            let admit = |(case, request): &(usize, CodeRequest)| {
                model.admit(&expected.cases[*case].conditions(), request).expect("prompt")
            };
            let alone = crowd.iter().map(|asked| {
                let mut row = admit(asked);
                while !row.finished() {
                    model.step(&mut [&mut row]).expect("step");
                }
                row.codes(0..row.frames())
            });
            let alone = alone.collect::<Vec<_>>();
            // Three join before each step, and who is finished stays and is passed over.
            let mut rows: Vec<CodeRow> = Vec::new();
            while rows.len() < crowd.len() || rows.iter().any(|row| !row.finished()) {
                let joining = crowd.iter().skip(rows.len()).take(3).map(admit);
                rows.extend(joining.collect::<Vec<_>>());
                model.step(&mut rows.iter_mut().collect::<Vec<_>>()).expect("step");
            }
            for (row, alone) in rows.iter().zip(alone) {
                assert_eq!(row.codes(0..row.frames()), alone, "{of}");
            }
        }
    }
}

#[test]
fn seeds_tell_draws_apart() {
    let expected = Expected::read("hybrid");
    let model = model("hybrid", &exact());
    let drawn = |seed| {
        let mut request = CodeRequest { seed, ..expected.cases[0].greedy() };
        request.sampling.temperature = 2.0;
        let mut row = model.admit(&expected.cases[0].conditions(), &request).expect("prompt");
        while !row.finished() {
            model.step(&mut [&mut row]).expect("step");
        }
        row.codes(0..row.frames())
    };
    assert_eq!(drawn(1), drawn(1));
    assert_ne!(drawn(1), drawn(2));
}

// === what is wrong ===

#[test]
fn a_checkpoint_with_the_configuration_of_another_kind_is_refused_by_name() {
    type Change = fn(&mut Value);
    let ssm = serde_json::json!({"layer": "Mamba2"});
    let cases: [(&str, Change, &str); 6] = [
        ("hybrid", |c| c["backbone"]["ssm_cfg"] = serde_json::json!({}), "config.json describes a transformer"),
        ("hybrid", |c| c["backbone"]["attn_layer_idx"] = serde_json::json!([0, 1, 3]), "has one that attends here"),
        ("hybrid", |c| c["backbone"]["n_layer"] = serde_json::json!(9), "there are 5 layers, and n_layer is 9"),
        (
            "transformer",
            |c| c["backbone"]["attn_cfg"]["num_heads_kv"] = serde_json::json!(1),
            "in_proj.weight has the shape",
        ),
        ("transformer", |c| c["eos_token_id"] = serde_json::json!(70), "eos_token_id is 70"),
        (
            "transformer",
            |c| c["prefix_conditioner"]["conditioners"][2]["input_dim"] = serde_json::json!(7),
            "where config.json has 7 numbers from 0 to 1",
        ),
    ];
    for (of, change, said) in cases {
        let error = load(of, &exact(), change).unwrap_err();
        assert!(error.contains(said), "{said}: {error}");
    }
    let reverse = |config: &mut Value| {
        config["backbone"]["ssm_cfg"] = ssm.clone();
        config["backbone"]["attn_layer_idx"] = serde_json::json!([0]);
    };
    let error = load("transformer", &exact(), reverse).unwrap_err();
    assert!(error.contains("config.json describes a hybrid"), "{error}");
}

#[test]
fn what_a_request_cannot_have_is_named() {
    let expected = Expected::read("transformer");
    let model = model("transformer", &exact());
    let case = &expected.cases[0];
    let refused = |conditions: &Conditions, request: &CodeRequest| {
        model.admit(conditions, request).err().map(|error| error.to_string()).expect("an error")
    };
    let strange = Conditions { phonemes: vec![1, 500], ..Conditions::default() };
    assert!(refused(&strange, &case.greedy()).contains("the phoneme 500, and there are 189"));
    for prefix in [vec![1; 7], vec![64; 9]] {
        let error = refused(&case.conditions(), &CodeRequest { prefix, ..case.greedy() });
        assert!(error.contains("whole frames of 9 below 64"), "{error}");
    }
}
