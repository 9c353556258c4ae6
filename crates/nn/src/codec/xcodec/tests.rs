//! Against `HiggsAudioV2TokenizerModel` of transformers: `tests/fixtures/higgs/codec/make.py`.

use std::{collections::HashMap, path::PathBuf};

use candle_core::{DType, Device, Tensor};

use super::*;
use crate::{
    context::ComputeContext,
    cpu::detect::SimdLevel,
    fixtures::folder,
    sinc_resample::SincResampler,
    weights::{Loaded, Loader, Weights},
};

/// As far as a sample may be from the reference's.
const TOLERANCE: f32 = 1e-4;
/// The files of either layout.
const LAYOUTS: [(&str, &str); 2] = [("config.json", "model.safetensors"), ("boson/config.json", "boson/model.pth")];

fn file(name: &str) -> PathBuf {
    folder("higgs/codec").join(name)
}

fn weights((_, weights): (&str, &str)) -> Weights {
    let bytes = std::fs::read(file(weights)).unwrap();
    Weights::open(&[(weights.to_owned(), bytes.into())], "").unwrap()
}

fn config((config, _): (&str, &str)) -> XCodecConfig {
    serde_json::from_slice(&std::fs::read(file(config)).unwrap()).unwrap()
}

fn load(weights: &mut Weights, context: &ComputeContext, config: &XCodecConfig) -> Loaded<XCodec> {
    XCodec::load(&mut Loader { weights, context }, context, config)
}

fn codec(layout: (&str, &str), context: &ComputeContext) -> XCodec {
    let mut weights = weights(layout);
    let codec = load(&mut weights, context, &config(layout)).unwrap();
    weights.finish().unwrap();
    codec
}

fn exact() -> ComputeContext {
    ComputeContext::new(&Device::Cpu, DType::F32)
}

fn expected() -> HashMap<String, Tensor> {
    candle_core::safetensors::load(file("expected.safetensors"), &Device::Cpu).unwrap()
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

#[test]
fn codes_of_either_layout_are_those_of_the_reference() {
    let expected = expected();
    for layout in LAYOUTS {
        for context in [exact(), ComputeContext { kernels: None, ..exact() }] {
            let codec = codec(layout, &context);
            assert_eq!((codec.rate(), codec.hop()), (24_000, 960));
            let samples = numbers(&expected["samples.0"]);
            let semantic = codec.semantic.forward(&codec.heard(&samples).unwrap()).unwrap();
            assert_close(&numbers(&semantic), &numbers(&expected["semantic"]), 1e-3);
            let acoustic = codec.acoustic(&samples, semantic.dim(0).unwrap(), 100).unwrap();
            assert_close(&numbers(&acoustic), &numbers(&expected["acoustic"]), 1e-3);
            let sounds = (0..).take_while(|at| expected.contains_key(&format!("samples.{at}")));
            for at in sounds {
                let samples = numbers(&expected[&format!("samples.{at}")]);
                assert_eq!(
                    codec.encode(&samples).unwrap(),
                    codes(&expected[&format!("codes.{at}")]),
                    "{layout:?} {at}"
                );
            }
        }
    }
}

#[test]
fn sound_of_either_layout_is_that_of_the_reference() {
    let expected = expected();
    for layout in LAYOUTS {
        for context in [exact(), ComputeContext { kernels: None, ..exact() }] {
            let codec = codec(layout, &context);
            for (given, sound) in [("codes.0", "decoded.0"), ("random_codes", "decoded")] {
                let sound = numbers(&expected[sound]);
                assert!(sound.iter().any(|x| x.abs() > 0.1), "there should be something to hear");
                assert_close(&codec.decode(&codes(&expected[given])).unwrap(), &sound, TOLERANCE);
            }
        }
    }
}

#[test]
fn the_resampler_is_that_of_torchaudio() {
    let expected = expected();
    let waves = numbers(&expected["waves"]);
    for (from, made) in [(24_000, "to_16k"), (44_100, "from_44k")] {
        assert_close(&SincResampler::new(from, 16_000).resample(&waves), &numbers(&expected[made]), 1e-5);
    }
}

#[test]
fn windows_are_coded_like_the_whole() {
    let codec = codec(LAYOUTS[0], &exact());
    for rest in [0, 60, 500] {
        let samples: Vec<f32> = (0..40 * codec.hop() + rest).map(|at| (at as f32 * 0.031).sin() * 0.5).collect();
        let whole = codec.encode_by(&samples, 90).unwrap();
        for window in [1, 11] {
            assert_eq!(codec.encode_by(&samples, window).unwrap(), whole, "{rest}, {window}");
        }
    }
}

/// In `bf16` the sound is another, and still that of the whole: each layer rounds the same numbers.
#[test]
fn a_stream_sounds_like_the_whole() {
    for level in SimdLevel::available() {
        for dtype in [DType::F32, DType::BF16] {
            let context = ComputeContext { kernels: Some(*level), ..ComputeContext::new(&Device::Cpu, dtype) };
            let context = context.with_rounded_activations();
            // Were another number rounded on the way, the sound would be off by a thousandth.
            streams_like_the_whole(&codec(LAYOUTS[0], &context), 1e-5);
        }
    }
}

#[track_caller]
fn streams_like_the_whole(codec: &XCodec, tolerance: f32) {
    let codes: Vec<u32> = (0..60 * codec.books()).map(|at| (at * at * 31 % 1009 % codec.codes()) as u32).collect();
    let whole = codec.decode(&codes).unwrap();
    assert_eq!(whole.len(), 60 * codec.hop(), "each frame has its samples, whatever the rates");
    for sizes in [&[1][..], &[40], &[3, 0, 50, 1, 2], &[60]] {
        let (mut stream, mut sound, mut rest) = (XCodecStream::new(), Vec::new(), &codes[..]);
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (now, later) = rest.split_at(rest.len().min(size * codec.books()));
            sound.extend(stream.push(codec, now).unwrap());
            rest = later;
        }
        let lag = 60 * codec.hop() - sound.len();
        assert!(lag > 0 && lag <= codec.reach().1 * codec.hop(), "{sizes:?}: {lag}");
        sound.extend(stream.finish(codec).unwrap());
        assert_close(&sound, &whole, tolerance);
    }
}

#[test]
fn what_makes_no_codec_is_named() {
    let error = |change: &dyn Fn(&mut XCodecConfig)| {
        let mut config = config(LAYOUTS[0]);
        change(&mut config);
        load(&mut weights(LAYOUTS[0]), &exact(), &config).expect_err("a fault").to_string()
    };
    type Change<'a> = &'a dyn Fn(&mut XCodecConfig);
    let cases: [(Change<'_>, &str); 7] = [
        (&|c| c.sample_rate = 383_999, "have no ratio of small numbers"),
        (&|c| c.block_dilations = vec![1, usize::MAX], "block_dilations has"),
        (&|c| c.sample_rate = 0, "sample_rate is 0, where 1000 to 384000 is expected"),
        (&|c| c.downsample_factor = 0, "downsample_factor is 0"),
        (&|c| c.downsample_factor = 100_000, "a frame of 960 samples is shorter than one of HuBERT"),
        (&|c| c.ratios = Some(vec![2, 2]), "ratios is [2, 2], where the tensors have [8, 5, 4, 2, 3]"),
        (&|c| c.block_dilations.push(1), "res_units.2.conv1.weight is missing"),
    ];
    for (change, said) in cases {
        let error = error(change);
        assert!(error.contains(said), "{said}: {error}");
    }
    let mut half = weights(LAYOUTS[1]);
    half.rename(|name| name.strip_prefix("fc_prior.").map(|rest| format!("fc.{rest}"))).unwrap();
    let error = load(&mut half, &exact(), &config(LAYOUTS[1])).err().unwrap().to_string();
    assert!(error.contains("converted by half"), "{error}");
    let codec = codec(LAYOUTS[0], &exact());
    assert!(codec.decode(&[0]).unwrap_err().to_string().contains("no whole frames"));
    assert!(codec.decode(&vec![9999; codec.books()]).unwrap_err().to_string().contains("there is no code 9999"));
    assert!(codec.encode(&[0.1; 100]).is_err());
}
