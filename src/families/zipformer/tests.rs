use std::fs;

use candle_core::Device;
use serde_json::Value;

use super::{
    repository::TransducerFiles,
    search::{Said, Search},
    stream::Chunks,
    transducer::Encoded,
    *,
};
use crate::{
    audio::{FbankStream, decode},
    families::fixtures::{folder, programs},
    model::{Backing, Location, Placement},
};

/// The exports of the tiny model.
const WHOLE: &str = "encoder.onnx";
const CHUNKS: &str = "encoder.chunks.onnx";

fn expected() -> Value {
    let bytes = fs::read(folder("zipformer").join("expected.json")).expect("fixture");
    serde_json::from_slice(&bytes).expect("JSON")
}

fn samples() -> Vec<f32> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = folder.join(expected()["recording"].as_str().expect("a path"));
    let bytes = fs::read(path).expect("a recording");
    let decoded = decode(&bytes, None, transducer::RATE, std::time::Duration::from_secs(60)).expect("sound");
    decoded.pcm.samples().to_vec()
}

fn files(encoder: &str) -> ModelFiles {
    let mut files = ModelFiles::default();
    for (name, from) in
        [("am/encoder.onnx", encoder), ("am/decoder.onnx", "decoder.onnx"), ("am/joiner.onnx", "joiner.onnx")]
    {
        files.insert(PART, name, Location::Disk(folder("zipformer").join(from)));
    }
    files.insert(PART, "lang/tokens.txt", Location::Disk(folder("zipformer").join("tokens.txt")));
    files
}

fn place() -> Placement {
    Placement {
        device: Device::Cpu,
        dtype: Precision::F32,
        weights: Backing::Mapped,
        threads: 1,
        max_batch: 2,
        residency: Default::default(),
        references: Default::default(),
        programs: programs(),
    }
}

/// With the library of this machine.
fn open(encoder: &str) -> Option<(Transducer, Tokens)> {
    if let Err(error) = onnx::check_library(&programs(), true) {
        println!("skipped: {error}");
        return None;
    }
    let files = files(encoder);
    let found = TransducerFiles::of(&files).expect("a model");
    let tokens = Tokens::read("tokens.txt", &files.open(PART, &found.tokens).expect("file")).expect("a table");
    Some((Transducer::open(&found, &files, &place()).expect("networks"), tokens))
}

/// What is said at each vector, counted on from those before.
fn found(
    encoded: &Encoded,
    search: &mut Search,
    (transducer, tokens): (&mut Transducer, &Tokens),
    penalty: f32,
    before: usize,
) -> Vec<(Said, f64)> {
    let step = |(at, vector): (usize, &[f32])| {
        let said = search.step(vector, transducer, tokens, penalty).expect("a step");
        said.map(|said| (said, transducer.seconds(before + at)))
    };
    encoded.vectors().enumerate().filter_map(step).collect()
}

fn compare(said: &[(Said, f64)], tokens: &Tokens, expected: &Value) {
    let symbols: Vec<String> = said.iter().map(|(said, _)| tokens.text([said.symbol])).collect();
    let times: Vec<f64> = said.iter().map(|(_, at)| (at * 100.0).round() / 100.0).collect();
    assert_eq!(serde_json::to_value(symbols).expect("JSON"), expected["tokens"]);
    assert_eq!(serde_json::to_value(times).expect("JSON"), expected["times"]);
    let text = tokens.text(said.iter().map(|(said, _)| said.symbol));
    assert_eq!(text.trim(), expected["text"].as_str().expect("a text").trim());
    assert!(said.iter().all(|(said, _)| said.logprob < 0.0));
}

#[test]
fn filter_banks_are_those_of_kaldi() {
    let (fbank, samples, expected) = (crate::audio::Fbank::below(16_000, 80, 7600.0), samples(), expected());
    let mut stream = FbankStream::new(&fbank);
    let frames = [stream.push(&fbank, &samples), stream.end(&fbank)].concat();
    assert_eq!(serde_json::json!(frames.len() / 80), expected["fbank"]["frames"]);
    for (at, row) in expected["fbank"]["rows"].as_object().expect("rows") {
        let at: usize = at.parse().expect("a frame");
        for (band, (found, expected)) in frames[80 * at..].iter().zip(row.as_array().expect("a row")).enumerate() {
            let expected = expected.as_f64().expect("a number");
            assert!((f64::from(*found) - expected).abs() < 2e-3, "frame {at}, band {band}: {found} {expected}");
        }
    }
}

#[test]
fn a_recording_has_the_symbols_and_times_that_the_reference_hears() {
    let Some((mut transducer, tokens)) = open(WHOLE) else { return };
    assert_eq!((transducer.chunk, transducer.stride, transducer.context), (None, 4, 2));
    for (penalty, expected) in expected()["whole"].as_object().expect("penalties") {
        let mut stream = FbankStream::new(&transducer.fbank);
        let frames = [stream.push(&transducer.fbank, &samples()), stream.end(&transducer.fbank)].concat();
        let mut states = transducer.states();
        let encoded = transducer.encode(frames, &mut states).expect("vectors");
        let mut search = Search::new(&transducer);
        let penalty = penalty.parse().expect("a number");
        let said = found(&encoded, &mut search, (&mut transducer, &tokens), penalty, 0);
        compare(&said, &tokens, expected);
    }
}

#[test]
fn sound_as_it_comes_has_the_symbols_and_times_that_the_reference_hears() {
    let Some((mut transducer, tokens)) = open(CHUNKS) else { return };
    let chunk = transducer.chunk.expect("chunks");
    assert_eq!((chunk.length, chunk.hop, transducer.stride), (45, 32, 4));
    for (penalty, expected) in expected()["chunks"].as_object().expect("penalties") {
        for piece in [997, 16_000] {
            let (mut chunks, mut states) = (Chunks::new(&transducer.fbank, chunk), transducer.states());
            let (mut search, mut said, mut vectors) = (Search::new(&transducer), Vec::new(), 0);
            let samples = samples();
            let mut pieces = samples.chunks(piece);
            loop {
                while let Some(frames) = chunks.next() {
                    let encoded = transducer.encode(frames, &mut states).expect("vectors");
                    let penalty = penalty.parse().expect("a number");
                    said.extend(found(&encoded, &mut search, (&mut transducer, &tokens), penalty, vectors));
                    vectors += encoded.len();
                }
                match pieces.next() {
                    Some(piece) => chunks.push(&transducer.fbank, piece),
                    None if vectors * 4 >= samples.len() / 160 => break,
                    None => chunks.end(&transducer.fbank),
                }
            }
            compare(&said, &tokens, expected);
        }
    }
}

#[test]
fn models_are_told_apart_by_their_files_and_names() {
    let described = |name: &str, files: &ModelFiles| Zipformer::ANY.described(name, files, &Programs::default());
    let (one, other) = (described("vosk-model-ru", &files(WHOLE)), described("zipformer-ru", &files(CHUNKS)));
    let (one, other) = (one.expect("a model").expect("a model"), other.expect("a model").expect("a model"));
    assert!(std::ptr::addr_eq(one, other), "both hear Russian");
    assert!(described("nothing", &ModelFiles::default()).expect("nothing").is_none());
    let listing: Vec<String> = files(WHOLE).names(PART).map(str::to_owned).collect();
    assert!(Zipformer::ANY.recognises_files(&listing) && !Zipformer::ANY.recognises_files(&listing[1..]));
}

#[test]
fn networks_that_do_not_fit_are_named() {
    if let Err(error) = onnx::check_library(&programs(), true) {
        println!("skipped: {error}");
        return;
    }
    let load = |files: &ModelFiles| Zipformer::ANY.load(files, &place()).map(drop).map_err(|error| error.to_string());
    load(&files(WHOLE)).expect("a model");
    let with = |name: &str, from: &str| {
        let mut files = files(WHOLE);
        files.insert(PART, name, Location::Disk(folder("zipformer").join(from)));
        load(&files).unwrap_err()
    };
    assert!(with("am/encoder.onnx", "joiner.onnx").contains("am/encoder.onnx is not what it should be"));
    assert!(with("am/decoder.onnx", "joiner.onnx").contains("its input \"encoder_out\" is none of y"));
    assert!(with("am/joiner.onnx", "decoder.onnx").contains("its input \"y\" is none of encoder_out, decoder_out"));
    assert!(with("lang/tokens.txt", "make.py").contains("lang/tokens.txt is not what it should be"));
}
