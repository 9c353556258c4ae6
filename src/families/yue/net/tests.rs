//! Against `LlamaForCausalLM` of transformers, and what YuE's script asks of it: `tests/fixtures/yue/net/make.py`.

use std::{collections::HashMap, fs, path::PathBuf};

use candle_core::{DType, Device, Result, Tensor};
use serde::Deserialize;
use serde_json::Value;

use super::{
    super::{
        config::StageConfig,
        tokens::{BOOKS, SongIds, Words},
    },
    *,
};
use crate::{
    families::{fixtures::folder, step::Row},
    nn::{
        ComputeContext, SimdLevel,
        llama::Llama,
        sampler::{Choice, Chooser, Guidance, GuidanceRule, Pick},
        weights::{Loader, Weights},
    },
};

/// Of scores after guidance and penalty, in f32.
const TOLERANCE: f32 = 1e-3;
/// With weights of eight bits, and of half precision: logarithms of probabilities, of which the unlikely are far apart.
const EIGHT_BITS: f32 = 1.0;
const HALF: f32 = 0.3;

const STAGE_1: [&str; 2] = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];

#[derive(Deserialize)]
struct Expected {
    songs: Vec<Song>,
    rows: Vec<Vec<Refined>>,
    samplers: Vec<Sampler>,
    #[serde(skip)]
    tensors: HashMap<String, Tensor>,
}

#[derive(Deserialize)]
struct Song {
    least: usize,
    most: usize,
    sections: Vec<Section>,
}

#[derive(Deserialize)]
struct Section {
    read: Vec<u32>,
    sung: Vec<u32>,
}

#[derive(Deserialize)]
struct Refined {
    first: Vec<u16>,
    tokens: Vec<u32>,
}

#[derive(Deserialize)]
struct Sampler {
    temperature: Option<f32>,
    top_k: Option<usize>,
    top_p: Option<f32>,
}

impl Expected {
    fn read() -> Self {
        let mut expected: Self = serde_json::from_slice(&fs::read(file("expected.json")).unwrap()).unwrap();
        expected.tensors = candle_core::safetensors::load(file("expected.safetensors"), &Device::Cpu).unwrap();
        expected
    }
}

fn file(name: &str) -> PathBuf {
    folder("yue/net").join(name)
}

fn ids() -> SongIds {
    Words::read(fs::read(file("stage2/tokenizer.model")).unwrap().into()).unwrap().ids
}

fn exact() -> ComputeContext {
    ComputeContext::new(&Device::Cpu, DType::F32)
}

fn contexts() -> Vec<ComputeContext> {
    let kernels = SimdLevel::available().iter().map(|&level| Some(level)).chain([None]);
    kernels.map(|kernels| ComputeContext { kernels, ..exact() }).collect()
}

fn rounded() -> [(ComputeContext, f32); 3] {
    [
        (exact().with_q8(), EIGHT_BITS),
        (ComputeContext::new(&Device::Cpu, DType::F16), HALF),
        (ComputeContext::new(&Device::Cpu, DType::BF16).with_rounded_activations(), HALF),
    ]
}

fn load(
    folder: &str,
    files: &[&str],
    context: &ComputeContext,
    change: impl FnOnce(&mut Value, &mut Weights),
) -> std::result::Result<Llama, String> {
    let mut config: Value = serde_json::from_slice(&fs::read(file(&format!("{folder}/config.json"))).unwrap()).unwrap();
    let open = |name: &&str| ((*name).to_owned(), fs::read(file(&format!("{folder}/{name}"))).unwrap().into());
    let mut weights = Weights::open(&files.iter().map(open).collect::<Vec<_>>(), "").unwrap();
    change(&mut config, &mut weights);
    let config = StageConfig::from_json(config).map_err(|error| error.to_string())?;
    let written = ids().written();
    let logits = (folder == "stage2").then_some(written.start as usize..written.end as usize);
    let llama = Llama::load(&mut Loader { weights: &mut weights, context }, &config.llama, logits);
    let llama = llama.map_err(|error| error.to_string())?;
    weights.finish().map_err(|error| error.to_string())?;
    Ok(llama)
}

fn stage1(context: &ComputeContext) -> Stage1 {
    let llama = load("stage1", &STAGE_1, context, |_, _| {}).unwrap();
    Stage1 { llama, ids: ids(), chooser: Chooser::default() }
}

fn stage2(context: &ComputeContext) -> Stage2 {
    let llama = load("stage2", &["model.safetensors"], context, |_, _| {}).unwrap();
    Stage2 { llama, ids: ids(), chooser: Chooser::default() }
}

/// Always the likeliest, as the reference was asked for the section `at` of a song.
fn greedy(song: &Song, at: usize) -> SectionRequest {
    SectionRequest {
        sampling: SamplingOptions { temperature: 0.0, ..SamplingOptions::default() },
        guidance: if at == 0 { 1.5 } else { 1.2 },
        max_new_tokens: song.most,
        min_new_tokens: song.least,
        seed: 1,
    }
}

fn sing(stage: &Stage1, read: &[u32], request: &SectionRequest) -> Result<Vec<u32>> {
    let mut row = stage.open(read, request)?;
    while !row.is_over() {
        stage.step(&mut [&mut row])?;
    }
    Ok(row.sung().to_vec())
}

/// What is blocked is so in both; everything else is close.
#[track_caller]
fn assert_close(found: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        match expected.is_finite() {
            true => assert!((found - expected).abs() <= tolerance, "{what}: {found} for {expected} at {at}"),
            false => assert_eq!(found, expected, "{what}, at {at}"),
        }
    }
}

/// The scores of every fourth token where those sung before are the reference's, whatever would be chosen.
fn compare(stage: &Stage1, expected: &Expected, tolerance: f32, what: &str) -> Result<()> {
    for (name, song) in expected.songs.iter().enumerate() {
        for (at, Section { read, sung }) in song.sections.iter().enumerate() {
            let what = format!("{what}, song {name}, section {at}");
            let reference: Vec<Vec<f32>> = expected.tensors[&format!("scores.{name}.{at}")].to_vec2()?;
            let request = greedy(song, at);
            let mut told = stage.llama.sequence(read.len() + sung.len())?;
            let mut untold = stage.llama.sequence(sung.len() + 1)?;
            let mut before = read.clone();
            let mut hidden =
                [stage.llama.read(read, &mut told)?, stage.llama.read(&read[read.len() - 1..], &mut untold)?];
            for (step, token) in sung.iter().enumerate() {
                let logits: Vec<Vec<f32>> = stage.llama.logits(&Tensor::cat(&hidden, 0)?)?.to_vec2()?;
                if let Some(reference) = reference.get(step / 4).filter(|_| step % 4 == 0) {
                    let blocked = super::sampling::Blocked { below: stage.ids.end, next: step < song.least };
                    let (scale, rule) = (request.guidance, GuidanceRule::OfLogprobs);
                    let choice = Choice::new(0, Pick::Likeliest(1))
                        .with_guidance(Some(Guidance { untold: 1, scale, rule }))
                        .with_edits(request.sampling.edits(&before, blocked));
                    let scores = choice.scores(&logits);
                    assert_close(&scores, reference, tolerance, &format!("{what}, step {step}"));
                }
                before.push(*token);
                hidden = [stage.llama.read(&[*token], &mut told)?, stage.llama.read(&[*token], &mut untold)?];
            }
        }
    }
    Ok(())
}

// === stage 1 ===

#[test]
fn scores_after_guidance_and_penalty_are_those_of_the_reference() -> Result<()> {
    let expected = Expected::read();
    for context in contexts() {
        compare(&stage1(&context), &expected, TOLERANCE, &format!("{:?}", context.kernels))?;
    }
    for (context, tolerance) in rounded() {
        compare(&stage1(&context), &expected, tolerance, &format!("{:?}, q8 {}", context.dtype, context.q8))?;
    }
    Ok(())
}

#[test]
fn the_likeliest_tokens_are_those_of_the_reference() -> Result<()> {
    let expected = Expected::read();
    let mut ended = 0;
    for context in contexts() {
        let stage = stage1(&context);
        for (name, song) in expected.songs.iter().enumerate() {
            for (at, Section { read, sung }) in song.sections.iter().enumerate() {
                let found = sing(&stage, read, &greedy(song, at))?;
                // An end is written where there is none.
                ended += usize::from(found.last() == Some(&stage.ids.end));
                let expected = if found.last() == Some(&stage.ids.end) { &sung[..] } else { &sung[..sung.len() - 1] };
                assert_eq!(found, expected, "song {name}, section {at}, {:?}", context.kernels);
            }
        }
    }
    assert!(ended > 0, "one section ends by itself");
    Ok(())
}

#[test]
fn what_is_drawn_from_is_that_of_the_reference() -> Result<()> {
    let expected = Expected::read();
    let scores: Vec<Vec<f32>> = expected.tensors["drawn"].to_vec2()?;
    for (at, options) in expected.samplers.iter().enumerate() {
        let probabilities: Vec<Vec<f32>> = expected.tensors[&format!("kept.{at}")].to_vec2()?;
        let options = SamplingOptions {
            temperature: options.temperature.unwrap_or(1.0),
            top_k: options.top_k.unwrap_or(0),
            top_p: options.top_p.unwrap_or(1.0),
            repetition_penalty: 1.0,
        };
        for (scores, expected) in scores.iter().zip(&probabilities) {
            let mut kept = scores.clone();
            options.edits(&[], super::sampling::Blocked { below: 0, next: false }).apply(&mut kept);
            let most = kept.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let weights: Vec<f32> = kept.iter().map(|score| (score - most).exp()).collect();
            let sum: f32 = weights.iter().sum();
            for (weight, expected) in weights.iter().zip(expected) {
                assert!((weight / sum - expected).abs() < 1e-5, "{options:?}: {} for {expected}", weight / sum);
            }
        }
    }
    Ok(())
}

#[test]
fn a_section_among_others_is_the_section_alone_whenever_it_joins() -> Result<()> {
    let songs = Expected::read().songs;
    for context in
        [exact(), exact().with_q8(), ComputeContext::new(&Device::Cpu, DType::BF16).with_rounded_activations()]
    {
        let stage = stage1(&context);
        let read = |at: usize| songs[at % songs.len()].sections[0].read.clone();
        let request = |at: usize| SectionRequest {
            sampling: SamplingOptions { temperature: 1.0, ..SamplingOptions::default() },
            guidance: if at == 2 { 1.0 } else { 1.5 },
            seed: at as u64,
            ..greedy(&songs[0], 0)
        };
        let alone = (0..5).map(|at| sing(&stage, &read(at), &request(at))).collect::<Result<Vec<_>>>()?;
        let mut rows: Vec<Stage1Row> = Vec::new();
        for step in 0..60 {
            if step % 3 == 0 && rows.len() < 5 {
                rows.push(stage.open(&read(rows.len()), &request(rows.len()))?);
            }
            stage.step(&mut rows.iter_mut().collect::<Vec<_>>())?;
        }
        let together: Vec<Vec<u32>> = rows.iter().map(|row| row.sung().to_vec()).collect();
        assert_eq!(together, alone, "{:?}", context.dtype);
        assert!(rows.iter().all(Row::is_over));
    }
    Ok(())
}

// === stage 2 ===

#[test]
fn all_codes_are_those_of_a_model_that_reads_everything_anew_for_each_frame() -> Result<()> {
    let expected = Expected::read();
    for context in contexts() {
        let stage = stage2(&context);
        for (set, blocks) in expected.rows.iter().enumerate() {
            let mut rows = blocks.iter().map(|block| stage.admit(&block.first)).collect::<Result<Vec<_>>>()?;
            while rows.iter().any(|row| !row.finished()) {
                stage.step(&mut rows.iter_mut().collect::<Vec<_>>())?;
            }
            for (row, block) in rows.iter().zip(blocks) {
                assert_eq!(row.tokens(), block.tokens, "rows {set}, {:?}", context.kernels);
                assert_eq!(row.codes().len(), block.first.len());
                assert!(row.codes().iter().zip(&block.first).all(|(frame, first)| frame[0] == Some(*first)));
            }
        }
    }
    Ok(())
}

#[test]
fn a_block_that_joins_late_is_the_block_alone() -> Result<()> {
    let expected = Expected::read();
    let stage = stage2(&exact());
    let blocks: Vec<&Refined> = expected.rows.iter().flatten().collect();
    let mut rows: Vec<Stage2Row> = Vec::new();
    for step in 0..200 {
        if step % 5 == 0 && rows.len() < blocks.len() {
            rows.push(stage.admit(&blocks[rows.len()].first)?);
        }
        stage.step(&mut rows.iter_mut().collect::<Vec<_>>())?;
    }
    for (row, block) in rows.iter().zip(blocks) {
        assert!(row.finished() && !row.lost());
        assert_eq!(row.tokens(), block.tokens);
    }
    Ok(())
}

#[test]
fn a_token_of_another_book_is_no_code() {
    let stage = stage2(&exact());
    let of_book = stage.ids.of_book;
    let mut row = stage.admit(&[3]).unwrap();
    // The second book's place has a code of the third, the third's one of the second.
    let token = |book: u32, code: u32| stage.ids.codes + book * of_book + code;
    row.tokens =
        vec![token(0, 3), token(2, 1), token(1, 1), token(3, 7), token(4, 0), token(5, 1), token(6, 2), token(7, 3)];
    let expected: [Option<u16>; BOOKS] = [Some(3), None, None, Some(7), Some(0), Some(1), Some(2), Some(3)];
    assert_eq!(row.codes(), [expected]);
}

// === faults ===

#[test]
fn what_does_not_match_is_named() {
    let change =
        |change: fn(&mut Value, &mut Weights)| load("stage2", &["model.safetensors"], &exact(), change).unwrap_err();
    let error = change(|config, _| config["num_hidden_layers"] = 9.into());
    assert!(error.contains(".input_layernorm.weight") && error.contains("it says 9"), "{error}");
    let error = change(|_, weights| weights.ignore("lm_head.weight"));
    assert!(error.contains("lm_head.weight is missing"), "{error}");
    let error = change(|config, _| config["num_attention_heads"] = 1.into());
    assert!(error.contains("num_key_value_heads"), "{error}");
    let error = change(|config, _| {
        let width = config["hidden_size"].clone();
        (config["num_attention_heads"], config["num_key_value_heads"]) = (width.clone(), width);
        config["head_dim"] = Value::Null;
    });
    assert!(error.contains("heads of as many numbers, an even count, are expected"), "{error}");
    let mut nothing = Weights::of([]);
    let config = StageConfig::from_json(serde_json::json!({"num_attention_heads": 2})).unwrap();
    let error = Llama::load(&mut Loader { weights: &mut nothing, context: &exact() }, &config.llama, None).unwrap_err();
    assert!(error.to_string().contains("model.embed_tokens.weight is missing"), "{error}");
    let stage = stage2(&exact());
    let error = stage.llama.read(&[100_000], &mut stage.llama.sequence(2).unwrap()).unwrap_err();
    assert!(error.to_string().contains("no token 100000"), "{error}");
}
