//! Against `HiggsAudioV2ForConditionalGeneration` of transformers: `tests/fixtures/higgs/net/make.py`.

mod faults;
#[cfg(feature = "cuda")]
mod gpu;

use std::{collections::HashMap, fs, path::PathBuf};

use candle_core::{DType, Device, Result, Tensor};
use rand::{SeedableRng, rngs::StdRng};
use serde::Deserialize;
use serde_json::Value;

use super::{
    super::{config::HiggsConfig, names},
    rows::Rows,
    *,
};
use crate::{
    families::{code_speech::FinishReason, fixtures::folder, step::choose},
    nn::{
        ComputeContext, SimdLevel,
        sampler::{Chooser, Pick},
        weights::{Loader, Weights},
    },
};

/// Of the largest number, in f32: the kernels add up in another order.
const TOLERANCE: f32 = 1e-4;
/// Of logits, with weights of eight bits, and of half precision.
const EIGHT_BITS: f32 = 2e-1;
const HALF: f32 = 5e-2;

const LAYOUTS: [(&str, &[&str]); 2] = [
    ("transformers", &["model.safetensors"]),
    ("boson", &["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]),
];

#[derive(Deserialize)]
struct Expected {
    samplers: Vec<Sampler>,
    cases: Vec<Case>,
    #[serde(skip)]
    tensors: HashMap<String, Tensor>,
}

#[derive(Deserialize)]
struct Sampler {
    temperature: Option<f32>,
    top_k: Option<usize>,
    top_p: Option<f32>,
}

#[derive(Deserialize)]
struct Case {
    segments: Vec<Told>,
    most: usize,
    columns: Vec<Vec<u32>>,
    frames: Vec<Vec<u32>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Told {
    Text { text: Vec<u32> },
    Audio { audio: Vec<Vec<u32>>, delayed: Vec<Vec<u32>> },
}

impl Expected {
    fn read() -> Self {
        let mut expected: Self = serde_json::from_slice(&fs::read(file("expected.json")).unwrap()).unwrap();
        expected.tensors = candle_core::safetensors::load(file("expected.safetensors"), &Device::Cpu).unwrap();
        expected
    }
}

impl Case {
    fn segments(&self) -> Vec<Segment> {
        let segment = |told: &Told| match told {
            Told::Text { text } => Segment::Text(text.clone()),
            Told::Audio { delayed, .. } => Segment::Audio(delayed.concat()),
        };
        self.segments.iter().map(segment).collect()
    }

    /// Always the likeliest.
    fn greedy(&self, books: usize) -> HiggsRequest {
        let sampling = SamplingOptions { temperature: 0.0, ras_window: 0, ..SamplingOptions::default() };
        HiggsRequest { sampling, new_frames: self.most - books, seed: 1 }
    }
}

fn file(name: &str) -> PathBuf {
    folder("higgs/net").join(name)
}

fn exact() -> ComputeContext {
    ComputeContext::new(&Device::Cpu, DType::F32)
}

fn contexts() -> Vec<ComputeContext> {
    let kernels = SimdLevel::available().iter().map(|&level| Some(level)).chain([None]);
    kernels.map(|kernels| ComputeContext { kernels, ..exact() }).collect()
}

fn load_changed(
    (layout, files): (&str, &[&str]),
    context: &ComputeContext,
    change: impl FnOnce(&mut Value, &mut Weights),
) -> std::result::Result<HiggsNet, String> {
    let mut config: Value = serde_json::from_slice(&fs::read(file(&format!("{layout}/config.json"))).unwrap()).unwrap();
    let open = |name: &&str| ((*name).to_owned(), fs::read(file(&format!("{layout}/{name}"))).unwrap().into());
    let mut weights = Weights::open(&files.iter().map(open).collect::<Vec<_>>(), "").unwrap();
    change(&mut config, &mut weights);
    let config = HiggsConfig::from_json(config).map_err(|error| error.to_string())?;
    names::unify(&mut weights).map_err(|error| error.to_string())?;
    let net = HiggsNet::load(&mut Loader { weights: &mut weights, context }, &config);
    let net = net.map_err(|error| error.to_string())?;
    weights.finish().map_err(|error| error.to_string())?;
    Ok(net)
}

fn load(layout: (&str, &[&str]), context: &ComputeContext) -> HiggsNet {
    load_changed(layout, context, |_, _| {}).unwrap()
}

#[track_caller]
fn assert_close(found: &Tensor, expected: &Tensor, tolerance: f32, what: &str) {
    assert_eq!(found.dims(), expected.dims(), "{what}");
    let most = |x: &Tensor| x.abs().and_then(|x| x.max_all()).and_then(|x| x.to_scalar::<f32>()).expect(what);
    let (difference, largest) = (most(&(found - expected).expect(what)), most(expected));
    assert!(difference <= tolerance * largest.max(1.0), "{what}: {difference} of {largest}");
}

/// The columns so far.
fn columns(row: &HiggsRow, books: usize) -> Vec<Vec<u32>> {
    row.columns().chunks_exact(books).map(<[u32]>::to_vec).collect()
}

/// Prefix and rest of segments, cut before the last.
fn admit(net: &HiggsNet, segments: &[Segment], request: &HiggsRequest) -> HiggsRow {
    let (rest, beginning) = segments.split_last().unwrap();
    let (prefix, _) = net.read_prefix(if beginning.is_empty() { &segments[..1] } else { beginning }).unwrap();
    match beginning.is_empty() {
        // A single segment is cut within.
        true => {
            let Segment::Text(ids) = rest else { panic!("a text was expected") };
            let (first, last) = ids.split_at(ids.len() / 2);
            let (prefix, _) = net.read_prefix(&[Segment::Text(first.to_vec())]).unwrap();
            net.admit(&prefix, &[Segment::Text(last.to_vec())], request).unwrap()
        }
        false => net.admit(&prefix, std::slice::from_ref(rest), request).unwrap(),
    }
}

// === against the reference ===

#[test]
fn embeddings_and_the_state_after_each_layer_are_those_of_the_reference() -> Result<()> {
    let expected = Expected::read();
    for layout in LAYOUTS {
        for context in contexts() {
            let net = load(layout, &context);
            for (at, case) in expected.cases.iter().enumerate() {
                let what = |what: &str| format!("{what} of {}, case {at}, {:?}", layout.0, context.kernels);
                let (embeds, is_audio) = net.embed(&case.segments())?;
                assert_close(&embeds, &expected.tensors[&format!("embeds.{at}")], 1e-6, &what("embeddings"));
                let mut states = Vec::new();
                let mut sequence = net.sequence(embeds.dim(0)?)?;
                let rows = Rows::new(&is_audio, &embeds)?;
                let last =
                    net.forward_watched(&embeds, &rows, &mut [&mut sequence], |state| states.push(state.clone()))?;
                states.push(last);
                let kept = Tensor::arange_step(0u32, embeds.dim(1)? as u32, 4, &Device::Cpu)?;
                let states = Tensor::stack(&states, 0)?.index_select(&kept, 2)?;
                assert_close(&states, &expected.tensors[&format!("hidden.{at}")], TOLERANCE, &what("states"));
            }
        }
    }
    Ok(())
}

#[test]
fn logits_and_the_likeliest_codes_are_those_of_the_reference_late_and_on_time() -> Result<()> {
    let expected = Expected::read();
    for layout in LAYOUTS {
        for context in contexts() {
            let net = load(layout, &context);
            let books = net.ids().books;
            for (at, case) in expected.cases.iter().enumerate() {
                let what = format!("{}, case {at}, {:?}", layout.0, context.kernels);
                let mut row = admit(&net, &case.segments(), &case.greedy(books));
                let mut step = 1;
                while !row.finished() {
                    if step % 4 == 0 {
                        let mut copy = net.sequence(row.sequence.len() + 1)?;
                        copy.begin_as(&row.sequence)?;
                        let (embeds, _) = net.embed(&[Segment::Audio(row.last().to_vec())])?;
                        let hidden = net.forward_watched(&embeds, &Rows::Audio, &mut [&mut copy], |_| {})?;
                        let logits = net.logits(&hidden)?.flatten_all()?;
                        let reference = expected.tensors[&format!("logits.{at}")].get(step / 4)?;
                        assert_close(&logits, &reference, TOLERANCE, &what);
                    }
                    net.step(&mut [&mut row])?;
                    step += 1;
                }
                assert_eq!(columns(&row, books), case.columns, "{what}");
                // The reference gives the frame of the end as well, with a code in the place of the end.
                let frames = row.codes(0..row.frames());
                let ended = row.finish() == Some(FinishReason::Stopped);
                let codes = case.frames.concat().into_iter().map(|code| code.min(net.ids().codes - 1));
                assert_eq!(frames, codes.take(frames.len()).collect::<Vec<_>>(), "{what}");
                let kept = case.frames.len() - row.frames();
                assert!(if ended { kept > 0 } else { kept == 0 }, "{what}: {kept}");
                assert_eq!(ended, at + 1 == expected.cases.len(), "{what}");
            }
        }
    }
    Ok(())
}

#[test]
fn recordings_are_delayed_as_in_the_reference() {
    let net = load(LAYOUTS[0], &exact());
    let mut seen = 0;
    for case in Expected::read().cases {
        for told in case.segments {
            if let Told::Audio { audio, delayed: expected } = told {
                assert_eq!(delayed(&audio.concat(), net.ids()), expected.concat());
                seen += 1;
            }
        }
    }
    assert!(seen > 2);
}

#[test]
fn what_is_drawn_from_is_that_of_the_reference() {
    let expected = Expected::read();
    let logits: Vec<Vec<f32>> = expected.tensors["drawn"].to_vec2().unwrap();
    for (at, options) in expected.samplers.iter().enumerate() {
        let probabilities: Vec<Vec<f32>> = expected.tensors[&format!("probabilities.{at}")].to_vec2().unwrap();
        let options = SamplingOptions {
            temperature: options.temperature.unwrap_or(1.0),
            top_k: options.top_k.unwrap_or(0),
            top_p: options.top_p.unwrap_or(1.0),
            ..SamplingOptions::default()
        };
        for (logits, expected) in logits.iter().zip(&probabilities) {
            let mut filtered = logits.clone();
            options.edits().apply(&mut filtered);
            let most = filtered.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let weights: Vec<f32> = filtered.iter().map(|logit| (logit - most).exp()).collect();
            let sum: f32 = weights.iter().sum();
            for (weight, expected) in weights.iter().zip(expected) {
                assert!((weight / sum - expected).abs() < 1e-5, "{options:?}: {} for {expected}", weight / sum);
            }
        }
    }
}

#[test]
fn logits_of_rounded_weights_are_near_the_reference() -> Result<()> {
    let expected = Expected::read();
    for (context, tolerance) in [
        (exact().with_q8(), EIGHT_BITS),
        (ComputeContext::new(&Device::Cpu, DType::F16), HALF),
        (ComputeContext::new(&Device::Cpu, DType::BF16).with_rounded_activations(), HALF),
    ] {
        let net = load(LAYOUTS[0], &context);
        for (at, case) in expected.cases.iter().enumerate() {
            let (embeds, is_audio) = net.embed(&case.segments())?;
            let mut sequence = net.sequence(embeds.dim(0)?)?;
            let rows = Rows::new(&is_audio, &embeds)?;
            let hidden = net.forward_watched(&embeds, &rows, &mut [&mut sequence], |_| {})?;
            let logits = net.logits(&hidden.narrow(0, hidden.dim(0)? - 1, 1)?)?.flatten_all()?;
            let reference = expected.tensors[&format!("logits.{at}")].get(0)?;
            let what = format!("case {at}, {:?}", context.dtype);
            assert_close(&logits, &reference, tolerance, &what);
        }
    }
    Ok(())
}

// === rows ===

/// With chance in it.
fn drawn(seed: u64) -> HiggsRequest {
    HiggsRequest { sampling: SamplingOptions { temperature: 1.0, ..SamplingOptions::default() }, new_frames: 30, seed }
}

#[test]
fn a_row_in_a_batch_is_the_row_alone_whenever_it_joins() -> Result<()> {
    let cases = Expected::read().cases;
    for context in
        [exact(), exact().with_q8(), ComputeContext::new(&Device::Cpu, DType::BF16).with_rounded_activations()]
    {
        let net = load(LAYOUTS[0], &context);
        let admit = |at: usize| admit(&net, &cases[at % cases.len()].segments(), &drawn(at as u64));
        let mut alone = Vec::new();
        for at in 0..6 {
            let mut row = admit(at);
            while !row.finished() {
                net.step(&mut [&mut row])?;
            }
            alone.push(row.columns().to_vec());
        }
        let mut rows: Vec<HiggsRow> = Vec::new();
        for step in 0..80 {
            if step % 3 == 0 && rows.len() < 6 {
                rows.push(admit(rows.len()));
            }
            net.step(&mut rows.iter_mut().collect::<Vec<_>>())?;
        }
        assert!(rows.iter().all(HiggsRow::finished));
        let together: Vec<Vec<u32>> = rows.iter().map(|row| row.columns().to_vec()).collect();
        assert_eq!(together, alone, "{:?}", context.dtype);
    }
    Ok(())
}

#[test]
fn a_kept_beginning_is_one_that_is_read_anew() {
    let net = load(LAYOUTS[0], &exact());
    let segments = Expected::read().cases[2].segments();
    let (beginning, rest) = segments.split_at(4);
    let cache = PrefixCache::new(1 << 20);
    let mut reads = 0;
    let mut said = Vec::new();
    for _ in 0..2 {
        let prefix = cache.get_or_read("scene", || {
            reads += 1;
            net.read_prefix(beginning)
        });
        let mut row = net.admit(&prefix.unwrap(), rest, &drawn(5)).unwrap();
        while !row.finished() {
            net.step(&mut [&mut row]).unwrap();
        }
        said.push(row.columns().to_vec());
    }
    assert_eq!((reads, &said[0]), (1, &said[1]));
    let (anew, bytes) = net.read_prefix(beginning).unwrap();
    assert_eq!(bytes, net.position_bytes() * anew.len() as u64);
    let mut row = net.admit(&anew, rest, &drawn(5)).unwrap();
    while !row.finished() {
        net.step(&mut [&mut row]).unwrap();
    }
    assert_eq!(row.columns(), said[0]);
    // What is too large is made for each.
    let none = PrefixCache::new(bytes - 1);
    for _ in 0..2 {
        none.get_or_read("scene", || {
            reads += 1;
            net.read_prefix(beginning)
        })
        .unwrap();
    }
    assert_eq!(reads, 3);
}

/// The column after the beginning, of logits for each book, where some columns were there before.
fn second_column(
    options: SamplingOptions,
    books: usize,
    logits: &[f32],
    before: &[u32],
    seed: u64,
) -> Option<Vec<u32>> {
    let codes = (logits.len() / books) as u32 - 2;
    let ids = CodeIds { books, codes, begin: codes, end: codes + 1 };
    let sequence = load(LAYOUTS[0], &exact()).sequence(1).unwrap();
    let mut row = HiggsRow::new(sequence, options, StdRng::seed_from_u64(seed), ids, before.to_vec(), 30);
    // So many columns of beginnings that no book is late.
    for _ in 0..books {
        row.push(&vec![ids.begin; books]);
    }
    let logits = Tensor::new(logits, &Device::Cpu).unwrap().reshape((books, ())).unwrap();
    choose(&Chooser::default(), &logits, &mut [&mut row]).unwrap();
    (row.finish() != Some(FinishReason::Lost)).then(|| row.last().to_vec())
}

#[test]
fn a_code_that_was_there_too_often_is_drawn_anew_from_all() {
    let mut logits = vec![0.0; 40];
    logits[7] = 3.0;
    let often = SamplingOptions { temperature: 0.0, ras_window: 7, ras_repeats: 2, ..SamplingOptions::default() };
    let draws = |history: &[u32]| -> Vec<u32> {
        (0..200).map(|seed| second_column(often, 1, &logits, history, seed).unwrap()[0]).collect()
    };
    assert!(draws(&[7, 1, 2]).iter().all(|code| *code == 7));
    let again = draws(&[7, 1, 7]);
    assert!(again.iter().any(|code| *code != 7) && again.contains(&7));
    let never = SamplingOptions { ras_window: 0, ..often };
    assert_eq!(second_column(never, 1, &logits, &[7, 7, 7], 3), Some(vec![7]));
    assert_eq!(second_column(often, 1, &[f32::NAN; 3], &[], 3), None);
}

/// Chosen together, codes are those of a choice after the other, whichever of them are drawn anew.
#[test]
fn each_book_draws_its_numbers_after_those_before_it() {
    const BOOKS: usize = 4;
    let options = SamplingOptions { temperature: 0.8, ras_repeats: 1, ..SamplingOptions::default() };
    let drawn = |logits: &[f32], rng: &mut StdRng| Pick::one(1.0, rng).choose(logits).unwrap()[0].token;
    let mut anew = [0; BOOKS + 1];
    for seed in 0..60 {
        let mut logits: Vec<f32> = (0..BOOKS as u32 * 40).map(|at| (at as f32 * 1.7 + seed as f32).sin()).collect();
        // What was there is likely.
        (0..BOOKS).for_each(|book| logits[book * 40 + 3] = 4.0);
        let mut rng = StdRng::seed_from_u64(seed);
        let mut again = 0;
        let expected = logits.chunks_exact(40).map(|logits| {
            let mut edited = logits.to_vec();
            options.edits().apply(&mut edited);
            match drawn(&edited, &mut rng) {
                3 => {
                    again += 1;
                    drawn(logits, &mut rng)
                }
                code => code,
            }
        });
        let expected = expected.collect::<Vec<_>>();
        assert_eq!(second_column(options, BOOKS, &logits, &[3; BOOKS], seed), Some(expected), "{again} anew");
        anew[again] += 1;
    }
    assert!(anew[1..=3].iter().all(|times| *times > 0), "{anew:?}");
}
