//! The first X-Codec, of 16 kHz, against `XcodecModel` of transformers: `tests/fixtures/yue/sound/make.py`.

use std::{collections::HashMap, path::PathBuf};

use candle_core::{DType, Device, Tensor};

use super::*;
use crate::{
    context::ComputeContext,
    fixtures::folder,
    hubert::HubertConfig,
    weights::{Loaded, Loader, Weights},
};

/// As far as a number may be from the reference's.
const TOLERANCE: f32 = 1e-3;
/// Books that are of use, of twelve.
const BOOKS: usize = 8;
/// The files of either layout.
const LAYOUTS: [&str; 2] = ["final_ckpt/ckpt_00360000.pth", "xcodec/model.safetensors"];

fn file(name: &str) -> PathBuf {
    folder("yue/sound").join(name)
}

fn weights(layout: &str) -> Weights {
    let bytes = std::fs::read(file(layout)).unwrap();
    Weights::open(&[(layout.to_owned(), bytes.into())], "codec_model.").unwrap()
}

fn config() -> XCodecConfig {
    let hubert = std::fs::read(file("semantic_ckpts/hf_1_325000/config.json")).unwrap();
    XCodecConfig::at_16_khz(serde_json::from_slice::<HubertConfig>(&hubert).unwrap(), BOOKS)
}

fn load(weights: &mut Weights, context: &ComputeContext) -> Loaded<XCodec> {
    XCodec::load(&mut Loader { weights, context }, context, &config())
}

fn codec(layout: &str, context: &ComputeContext) -> XCodec {
    let mut weights = weights(layout);
    let codec = load(&mut weights, context).unwrap();
    weights.finish().unwrap();
    codec
}

fn contexts() -> [ComputeContext; 2] {
    let exact = ComputeContext::new(&Device::Cpu, DType::F32);
    [exact.clone(), ComputeContext { kernels: None, ..exact }]
}

fn expected() -> HashMap<String, Tensor> {
    candle_core::safetensors::load(file("expected.safetensors"), &Device::Cpu).unwrap()
}

fn codes(tensor: &Tensor) -> Vec<u32> {
    tensor.flatten_all().unwrap().to_dtype(DType::U32).unwrap().to_vec1().unwrap()
}

#[track_caller]
fn assert_close(found: &Tensor, expected: &Tensor) {
    assert_eq!(found.dims(), expected.dims());
    let far = (found - expected).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
    assert!(far <= TOLERANCE, "off by {far}");
}

#[test]
fn codes_of_either_layout_are_those_of_the_reference() {
    let expected = expected();
    for layout in LAYOUTS {
        for context in contexts() {
            let codec = codec(layout, &context);
            assert_eq!((codec.rate(), codec.hop(), codec.books()), (16_000, 320, BOOKS));
            let samples: Vec<f32> = expected["samples.0"].to_vec1().unwrap();
            let mut states = Vec::new();
            let silence = vec![0.0; 160];
            let heard = [&silence[..], &samples, &silence].concat();
            codec.hubert.forward_watched(&heard, |state| states.push(state.clone())).unwrap();
            assert_close(&Tensor::stack(&states, 0).unwrap(), &expected["hidden"]);
            let semantic = codec.semantic.forward(&codec.heard(&samples).unwrap()).unwrap();
            assert_close(&semantic, &expected["semantic"]);
            assert_close(&codec.acoustic(&samples, semantic.dim(0).unwrap(), 100).unwrap(), &expected["acoustic"]);
            let sounds = (0..).take_while(|at| expected.contains_key(&format!("samples.{at}")));
            for at in sounds {
                let samples: Vec<f32> = expected[&format!("samples.{at}")].to_vec1().unwrap();
                assert_eq!(codec.encode(&samples).unwrap(), codes(&expected[&format!("codes.{at}")]), "{layout} {at}");
            }
        }
    }
}

#[test]
fn sound_of_either_layout_is_that_of_the_reference() {
    let expected = expected();
    let random = codes(&expected["random_codes"]);
    assert!(expected["decoded"].abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap() > 0.1);
    for layout in LAYOUTS {
        for context in contexts() {
            let codec = codec(layout, &context);
            let sound = codec.decode(&random).unwrap();
            assert_close(&Tensor::from_vec(sound, 320 * 20, &Device::Cpu).unwrap(), &expected["decoded"]);
            assert_close(&codec.embed(&random).unwrap(), &expected["embedded"]);
            assert_eq!(codec.hidden(), expected["embedded"].dim(1).unwrap());
        }
    }
}

#[test]
fn a_stream_sounds_like_the_whole() {
    let codec = codec(LAYOUTS[0], &contexts()[0]);
    let codes: Vec<u32> = (0..40 * BOOKS).map(|at| (at * at * 31 % 1009 % codec.codes()) as u32).collect();
    let whole = codec.decode(&codes).unwrap();
    let (mut stream, mut sound) = (XCodecStream::new(), Vec::new());
    for codes in codes.chunks(7 * BOOKS) {
        sound.extend(stream.push(&codec, codes).unwrap());
    }
    sound.extend(stream.finish(&codec).unwrap());
    assert_eq!((sound.len(), whole.len()), (40 * 320, 40 * 320));
    let far = sound.iter().zip(&whole).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(far <= 1e-5, "off by {far}");
}

#[test]
fn what_makes_no_codec_is_named() {
    let mut narrow = weights(LAYOUTS[0]);
    narrow.ignore_all("quantizer.vq.layers.0.");
    let error = load(&mut narrow, &contexts()[0]).expect_err("a fault").to_string();
    assert!(error.contains("quantizers.0.codebook.embed is missing"), "{error}");
    let codec = codec(LAYOUTS[0], &contexts()[0]);
    assert!(codec.embed(&[0]).unwrap_err().to_string().contains("no whole frames"));
    assert!(codec.embed(&[9999; BOOKS]).unwrap_err().to_string().contains("there is no code 9999"));
}
