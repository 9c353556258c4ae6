//! Against `HubertModel` of transformers, as part of a codec: `tests/fixtures/higgs/codec/make.py`.

use std::collections::HashMap;

use candle_core::{DType, Device};

use super::*;
use crate::{
    codec::XCodecConfig, cpu::detect::SimdLevel, fixtures::folder, sinc_resample::SincResampler, weights::Weights,
};

/// Of the reference's numbers, which are about 1.
const TOLERANCE: f32 = 1e-4;

fn expected() -> HashMap<String, Tensor> {
    candle_core::safetensors::load(folder("higgs/codec").join("expected.safetensors"), &Device::Cpu).unwrap()
}

fn load(context: &ComputeContext, change: impl Fn(&mut HubertConfig)) -> Loaded<Hubert> {
    let folder = folder("higgs/codec");
    let config = std::fs::read(folder.join("config.json")).unwrap();
    let mut config = serde_json::from_slice::<XCodecConfig>(&config).unwrap().semantic_model_config;
    change(&mut config);
    let bytes = std::fs::read(folder.join("model.safetensors")).unwrap();
    let mut weights = Weights::open(&[("model.safetensors".to_owned(), bytes.into())], "").unwrap();
    Hubert::load(&mut Loader { weights: &mut weights, context }, "semantic_model.", &config)
}

/// What the codec has it hear of its first sound.
fn heard() -> Vec<f32> {
    let samples: Vec<f32> = expected()["samples.0"].to_vec1().unwrap();
    let silence = vec![0.0; 160];
    [&silence[..], &SincResampler::new(24_000, 16_000).resample(&samples), &silence[..]].concat()
}

#[track_caller]
fn assert_close(found: &Tensor, expected: &Tensor, tolerance: f32) {
    assert_eq!(found.dims(), expected.dims());
    let difference = (found - expected).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
    assert!(difference <= tolerance, "{difference}");
}

#[test]
fn the_state_after_each_layer_is_that_of_the_reference() {
    let (states, samples) = (&expected()["hidden"], heard());
    let exact = ComputeContext::new(&Device::Cpu, DType::F32);
    let levels = SimdLevel::available().iter().map(|&level| Some(level)).chain([None]);
    for context in levels.map(|kernels| ComputeContext { kernels, ..exact.clone() }) {
        let hubert = load(&context, |_| {}).unwrap();
        assert_eq!(hubert.frames(samples.len()), states.dim(1).unwrap());
        let mut found = Vec::new();
        hubert.forward_watched(&samples, |state| found.push(state.clone())).unwrap();
        assert_close(&Tensor::stack(&found, 0).unwrap(), states, TOLERANCE);
        assert_close(&hubert.mean_of_states(&samples).unwrap(), &states.mean(0).unwrap(), TOLERANCE);
    }
}

#[test]
fn too_little_and_what_is_of_another_kind_are_refused() {
    let context = ComputeContext::new(&Device::Cpu, DType::F32);
    let hubert = load(&context, |_| {}).unwrap();
    assert_eq!((hubert.frames(399), hubert.frames(400), hubert.frames(720)), (0, 1, 2));
    let error = hubert.mean_of_states(&[0.1; 399]).unwrap_err().to_string();
    assert!(error.contains("399 samples are too few for a frame, which takes 400"), "{error}");
    type Change = fn(&mut HubertConfig);
    let cases: [(Change, &str); 5] = [
        (|c| c.feat_extract_norm = "layer".to_owned(), "feat_extract_norm is \"layer\""),
        (|c| c.do_stable_layer_norm = true, "do_stable_layer_norm"),
        (|c| c.conv_stride = vec![5, 2], "conv_layers.2.conv.weight does not match config.json: there are 7 layers"),
        (|c| c.conv_stride = vec![0], "conv_stride is [0]"),
        (|c| c.num_attention_heads = Some(3), "which 3 heads do not divide"),
    ];
    for (change, said) in cases {
        let error = load(&context, change).expect_err(said).to_string();
        assert!(error.contains(said), "{said}: {error}");
    }
}
