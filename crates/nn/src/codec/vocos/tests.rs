//! Against the package `vocos`: `tests/fixtures/yue/sound/make.py`.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};

use super::*;
use crate::{context::ComputeContext, fixtures::folder, weights::Weights};

fn weights() -> Weights {
    let bytes = std::fs::read(folder("yue/sound").join("decoders/decoder_131000.pth")).unwrap();
    Weights::open(&[("decoder_131000.pth".to_owned(), bytes.into())], "").unwrap()
}

fn load(context: &ComputeContext) -> Vocos {
    let mut weights = weights();
    let vocos = Vocos::load(&mut Loader { weights: &mut weights, context }).unwrap();
    weights.finish().unwrap();
    vocos
}

fn expected() -> HashMap<String, Tensor> {
    candle_core::safetensors::load(folder("yue/sound").join("expected.safetensors"), &Device::Cpu).unwrap()
}

fn exact() -> ComputeContext {
    ComputeContext::new(&Device::Cpu, DType::F32)
}

#[track_caller]
fn assert_close(found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len());
    let far = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(far <= tolerance, "off by {far}");
}

#[test]
fn sound_is_that_of_the_reference_however_long() {
    let expected = expected();
    for context in [exact(), ComputeContext { kernels: None, ..exact() }] {
        let vocos = load(&context);
        let sounds = (0..).take_while(|at| expected.contains_key(&format!("vectors.{at}")));
        for at in sounds {
            let sound: Vec<f32> = expected[&format!("sound.{at}")].to_vec1().unwrap();
            assert!(sound.iter().any(|x| x.abs() > 0.05), "there should be something to hear");
            assert_close(&vocos.decode(&expected[&format!("vectors.{at}")]).unwrap(), &sound, 1e-4);
        }
    }
}

#[test]
fn windows_sound_like_the_whole() {
    let mut vocos = load(&exact());
    let vectors: Vec<f32> = (0..97 * vocos.depth()).map(|at| ((at * at * 31 % 1009) as f32 / 500.0) - 1.0).collect();
    let vectors = Tensor::from_vec(vectors, (97, vocos.depth()), &Device::Cpu).unwrap();
    let whole = vocos.decode(&vectors).unwrap();
    assert_eq!(whole.len(), 97 * vocos.hop());
    for step in [1, 13, 96] {
        vocos.step = step;
        assert_close(&vocos.decode(&vectors).unwrap(), &whole, 1e-5);
    }
}

#[test]
fn what_makes_no_vocoder_is_named() {
    let error = |change: &dyn Fn(&mut Weights)| {
        let mut weights = weights();
        change(&mut weights);
        Vocos::load(&mut Loader { weights: &mut weights, context: &exact() }).expect_err("a fault").to_string()
    };
    type Change<'a> = &'a dyn Fn(&mut Weights);
    let without = |name: &'static str| move |weights: &mut Weights| weights.ignore_all(name);
    let cases: [(Change<'_>, &str); 4] = [
        (&without("head.out."), "the tensor head.out.bias is missing"),
        (&without("head.istft"), "the tensor head.istft.window is missing"),
        (&without("backbone.convnext."), "the tensor backbone.convnext.0.dwconv.weight is missing"),
        (&without("backbone.embed"), "the tensor backbone.embed.weight is missing"),
    ];
    for (change, said) in cases {
        let error = error(change);
        assert!(error.contains(said), "{said}: {error}");
    }
}
