//! Against torch's operations, which were held against the reference: `tests/fixtures/zonos/speaker/make.py`.

use std::{collections::HashMap, path::PathBuf};

use bytes::Bytes;
use candle_core::{Device, Tensor};

use super::*;
use crate::{families::fixtures::folder, model::LoadError, nn::weights::Weights};

const NETWORK: &str = "ResNet293_SimAM_ASP_base.pt";
const LDA: &str = "ResNet293_SimAM_ASP_base_LDA-128.pt";

fn fixture(name: &str) -> PathBuf {
    folder("zonos/speaker").join(name)
}

fn file(name: &str) -> (String, Bytes) {
    (name.to_owned(), std::fs::read(fixture(name)).unwrap().into())
}

fn contexts() -> [ComputeContext; 2] {
    let own = ComputeContext::new(&Device::Cpu, DType::F32);
    [own.clone(), ComputeContext { kernels: None, ..own }]
}

/// From whatever the files are called and hold.
fn load(
    network: (String, Bytes),
    lda: (String, Bytes),
    context: &ComputeContext,
) -> std::result::Result<SpeakerEncoder, LoadError> {
    let (mut network, mut lda) = (Weights::open(&[network], "model.")?, Weights::open(&[lda], "")?);
    let encoder = SpeakerEncoder::load(
        &mut Loader { weights: &mut network, context },
        &mut Loader { weights: &mut lda, context },
    )?;
    network.finish()?;
    lda.finish()?;
    Ok(encoder)
}

fn encoder(context: &ComputeContext) -> SpeakerEncoder {
    load(file(NETWORK), file(LDA), context).unwrap()
}

fn expected() -> HashMap<String, Tensor> {
    candle_core::safetensors::load(fixture("expected.safetensors"), &Device::Cpu).unwrap()
}

fn numbers(tensor: &Tensor) -> Vec<f32> {
    tensor.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

#[track_caller]
fn assert_close(found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len());
    let worst = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
    let (at, difference) = worst.expect("some numbers");
    assert!(difference <= tolerance, "number {at} is {}, not {}", found[at], expected[at]);
}

#[test]
fn the_spectrum_is_that_of_torchaudio() {
    let (expected, encoder) = (expected(), encoder(&contexts()[0]));
    let (mel, frames) = encoder.mel.compute(&numbers(&expected["samples.0"])).unwrap();
    assert_eq!([frames, encoder.mel.bands()], expected["mel.0"].dims());
    assert_close(&mel, &numbers(&expected["mel.0"]), 1e-3);
}

#[test]
fn each_stage_is_that_of_the_reference() {
    let expected = expected();
    for context in contexts() {
        let encoder = encoder(&context);
        let stages = encoder.front.stages(&expected["mel.0"]).unwrap();
        for (at, stage) in stages.iter().enumerate() {
            let expected = &expected[&format!("layer{}.0", at + 1)];
            assert_eq!(stage.dims(), expected.dims());
            assert_close(&numbers(stage), &numbers(expected), 1e-3);
        }
        assert_eq!(numbers(&encoder.front.forward(&expected["mel.0"]).unwrap()), numbers(&stages[3]));
        let pooled = encoder.pooling.forward(&stages[3]).unwrap();
        assert_close(&numbers(&pooled), &numbers(&expected["pooled.0"]), 1e-3);
        let speaker = encoder.bottleneck.forward(&pooled, Epilogue::None).unwrap();
        assert_close(&numbers(&speaker), &numbers(&expected["speaker.0"]), 1e-3);
    }
}

#[test]
fn speakers_are_those_of_the_reference() {
    let expected = expected();
    for context in contexts() {
        let encoder = encoder(&context);
        for case in 0..2 {
            let found = encoder.embed(&numbers(&expected[&format!("samples.{case}")])).unwrap();
            let expected = numbers(&expected[&format!("embedding.{case}")]);
            assert_eq!(found.len(), encoder.width());
            assert_close(&found, &expected, 1e-3);
        }
    }
}

#[test]
fn safetensors_are_the_same_encoder() {
    let convert = |name: &str| {
        let tensors = candle_core::pickle::read_all(fixture(name)).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        candle_core::safetensors::save(&tensors.into_iter().collect(), file.path()).unwrap();
        (name.replace(".pt", ".safetensors"), Bytes::from(std::fs::read(file.path()).unwrap()))
    };
    let context = &contexts()[0];
    let samples = numbers(&expected()["samples.0"]);
    let found = load(convert(NETWORK), convert(LDA), context).unwrap().embed(&samples).unwrap();
    assert_eq!(found, encoder(context).embed(&samples).unwrap());
}

#[test]
fn too_little_and_too_much_are_refused() {
    let encoder = encoder(&contexts()[0]);
    let error = |samples: usize| encoder.embed(&vec![0.1; samples]).unwrap_err().to_string();
    assert!(error(0).contains("0 samples are too few"));
    assert!(error(256).contains("256 samples are too few"));
    assert!(encoder.embed(&[0.1; 257]).unwrap().iter().all(|x| x.is_finite()));
    assert!(encoder.embed(&[0.0; 16_000]).unwrap().iter().all(|x| x.is_finite()), "silence is heard, too");
    assert!(error(60 * 16_000 + 1).contains("60 s are enough"));
}

/// A file with these bytes as its pickle.
fn pickled(pickle: &[u8]) -> Bytes {
    use std::io::Write;

    use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, content) in [("a/data.pkl", pickle), ("a/version", b"3\n"), ("a/byteorder", b"little")] {
        zip.start_file(name, stored).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner().into()
}

#[test]
fn a_pickle_that_wants_more_than_tensors_is_refused_and_nothing_of_it_runs() {
    let context = &contexts()[0];
    let marker = std::env::temp_dir().join("sconce-speaker-pickle-ran");
    let hostile = format!("cposix\nsystem\n(S'touch {}'\ntR.", marker.display());
    for (network, lda) in [(hostile.as_bytes(), None), (hostile.as_bytes(), Some(()))] {
        let bad = pickled(network);
        let error = match lda {
            None => load((NETWORK.to_owned(), bad), file(LDA), context),
            Some(()) => load(file(NETWORK), (LDA.to_owned(), bad), context),
        };
        let Err(error) = error else { panic!("it should be refused") };
        let error = error.to_string();
        assert!(error.contains("posix.system") && error.contains("only plain tensors are read"), "{error}");
        assert!(error.contains(if lda.is_some() { LDA } else { NETWORK }), "{error}");
    }
    assert!(!marker.exists());
}

#[test]
fn files_that_are_no_speaker_encoder_are_refused() {
    let context = &contexts()[0];
    let error = |network: (String, Bytes), lda: (String, Bytes)| match load(network, lda, context) {
        Err(error) => error.to_string(),
        Ok(_) => panic!("it should be refused"),
    };
    let (network, lda) = (file(NETWORK), file(LDA));
    assert!(error((NETWORK.to_owned(), lda.1.clone()), lda.clone()).contains("front.conv1.weight is missing"));
    assert!(error(network.clone(), (LDA.to_owned(), network.1.clone())).contains("the tensor weight is missing"));
    assert!(error((NETWORK.to_owned(), Bytes::from_static(b"nothing")), lda).contains(NETWORK));
}

/// What is done to a tensor.
#[derive(Clone, Copy, Debug)]
enum Change {
    Missing,
    /// This axis gets this size.
    Axis(usize, usize),
}

/// What loading says where a tensor of the network, or else of the LDA, is not as it should be.
fn fault(name: &str, change: Change) -> String {
    let read = |of: &str| candle_core::pickle::read_all(fixture(of)).unwrap().into_iter().collect::<HashMap<_, _>>();
    let (mut network, mut lda) = (read(NETWORK), read(LDA));
    let tensors = if network.contains_key(name) { &mut network } else { &mut lda };
    let old = tensors.remove(name).expect(name);
    if let Change::Axis(axis, size) = change {
        let mut shape = old.dims().to_vec();
        shape[axis] = size;
        tensors.insert(name.to_owned(), Tensor::ones(shape, DType::F32, &Device::Cpu).unwrap());
    }
    let weights = |tensors: HashMap<String, Tensor>| {
        Weights::of(tensors.into_iter().map(|(name, tensor)| (name, tensor.dims().to_vec(), numbers(&tensor))))
    };
    let (mut network, mut lda, [context, _]) = (weights(network), weights(lda), contexts());
    let network = &mut Loader { weights: &mut network, context: &context };
    let Err(error) = SpeakerEncoder::load(network, &mut Loader { weights: &mut lda, context: &context }) else {
        panic!("{name} is {change:?}")
    };
    error.to_string()
}

#[test]
fn tensors_that_make_no_encoder_are_named() {
    use Change::{Axis, Missing};
    for (name, change, says) in [
        ("front.conv1.weight", Missing, "front.conv1.weight is missing"),
        ("front.conv1.weight", Axis(1, 3), "front.conv1.weight has the shape"),
        ("front.conv1.weight", Axis(0, 0), "where 4 sizes of at least 1 are expected"),
        ("front.bn1.running_var", Axis(0, 3), "front.bn1.running_var has the shape"),
        ("front.layer1.0.conv1.weight", Missing, "front.layer1.0.conv1.weight is missing"),
        ("front.layer2.0.downsample.0.weight", Missing, "front.layer2.0.downsample.0.weight is missing"),
        ("front.layer2.0.downsample.1.bias", Missing, "front.layer2.0.downsample.1.bias is missing"),
        ("front.layer3.0.conv2.weight", Axis(2, 5), "front.layer3.0.conv2.weight has the shape"),
        ("front.layer4.0.bn2.running_mean", Missing, "front.layer4.0.bn2.running_mean is missing"),
        ("pooling.attention.0.weight", Axis(1, 33), "takes 33 channels, which are no multiple of"),
        ("pooling.attention.2.weight", Axis(0, 3), "pooling.attention.2.weight has the shape"),
        ("pooling.attention.3.weight", Axis(0, 9), "pooling.attention.3.weight has the shape"),
        ("bottleneck.weight", Axis(1, 9), "bottleneck.weight has the shape"),
        ("bottleneck.bias", Missing, "bottleneck.bias is missing"),
        ("weight", Axis(1, 9), "the tensor weight has the shape"),
        ("bias", Missing, "the tensor bias is missing"),
    ] {
        let error = fault(name, change);
        assert!(error.contains(says), "{name} {change:?}: {error}");
    }
}

#[test]
fn what_a_recording_takes_can_be_told_before() {
    // Half a minute in 64 planes: 61 MB each of five activations.
    assert_eq!(working_bytes(30, 64), 3000 * 80 * 64 * 5 * 4);
    assert_eq!(working_bytes(u64::MAX, u64::MAX), u64::MAX);
}
