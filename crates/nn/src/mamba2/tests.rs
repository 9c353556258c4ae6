#[cfg(feature = "cuda")]
mod gpu;

use candle_core::Device;

use super::*;
use crate::weights::Weights;

const WIDTH: usize = 24;

fn numbers(count: usize, seed: f32) -> Vec<f32> {
    (0..count).map(|at| (at as f32 * 0.37 + seed).sin()).collect()
}

fn mixer(context: &ComputeContext) -> Mamba2 {
    let (inner, heads, state, taps) = (48, 3, 21, 4);
    let channels = inner + 2 * state;
    let tensor = |name: &str, shape: &[usize], seed: f32| {
        (format!("mixer.{name}"), shape.to_vec(), numbers(shape.iter().product(), seed))
    };
    let mut weights = Weights::of([
        tensor("in_proj.weight", &[inner + channels + heads, WIDTH], 0.0),
        tensor("conv1d.weight", &[channels, 1, taps], 1.0),
        tensor("conv1d.bias", &[channels], 2.0),
        tensor("dt_bias", &[heads], 3.0),
        tensor("A_log", &[heads], 4.0),
        tensor("D", &[heads], 5.0),
        tensor("norm.weight", &[inner], 6.0),
        tensor("out_proj.weight", &[WIDTH, inner], 7.0),
    ]);
    let mixer = Loader { weights: &mut weights, context }.mamba2("mixer", WIDTH).unwrap();
    weights.finish().unwrap();
    assert_eq!(mixer.sizes(), Mamba2Sizes { inner, heads, state, taps });
    mixer
}

fn furthest(a: &Tensor, b: &Tensor) -> f32 {
    (a - b).unwrap().abs().unwrap().max_all().unwrap().to_scalar().unwrap()
}

fn contexts() -> Vec<ComputeContext> {
    let context = ComputeContext::new(&Device::Cpu, DType::F32);
    let levels = SimdLevel::available().iter().map(|&level| Some(level)).chain([None]);
    levels.map(|kernels| ComputeContext { kernels, ..context.clone() }).collect()
}

#[test]
fn both_forms_agree_at_once_and_step_by_step() -> Result<()> {
    let count = 2 * CHUNK + 9;
    let x = Tensor::from_vec(numbers(count * WIDTH, 9.0), (count, WIDTH), &Device::Cpu)?;
    let zeros = x.zeros_like()?;
    let mut all = Vec::new();
    for context in contexts() {
        let mixer = mixer(&context);
        let whole = mixer.forward(&x, &zeros, &mut [&mut mixer.state()?])?;
        let mut state = mixer.state()?;
        let row = |row: usize, count: usize| Result::Ok((x.narrow(0, row, count)?, zeros.narrow(0, row, count)?));
        let (first, none) = row(0, CHUNK + 3)?;
        let mut parts = vec![mixer.forward(&first, &none, &mut [&mut state])?];
        for at in CHUNK + 3..count {
            let (x, none) = row(at, 1)?;
            parts.push(mixer.forward(&x, &none, &mut [&mut state])?);
        }
        let off = furthest(&whole, &Tensor::cat(&parts, 0)?);
        assert!(off < 1e-4, "{:?}: {off}", context.kernels);
        all.push(whole);
    }
    for one in &all {
        assert!(furthest(one, &all[0]) < 1e-4, "{}", furthest(one, &all[0]));
    }
    Ok(())
}

#[test]
fn sequences_do_not_hear_each_other() -> Result<()> {
    for context in contexts() {
        let mixer = mixer(&context);
        let x = |seed| Tensor::from_vec(numbers(5 * WIDTH, seed), (5, WIDTH), &Device::Cpu);
        let (first, second) = (x(0.0)?, x(50.0)?);
        let alone = |x: &Tensor| mixer.forward(x, &x.zeros_like()?, &mut [&mut mixer.state()?]);
        let both = Tensor::cat(&[&first, &second], 0)?;
        let (mut one, mut other) = (mixer.state()?, mixer.state()?);
        let made = mixer.forward(&both, &both.zeros_like()?, &mut [&mut one, &mut other])?;
        let expected = Tensor::cat(&[alone(&first)?, alone(&second)?], 0)?;
        assert!(furthest(&made, &expected) < 1e-5, "{:?}", context.kernels);
    }
    Ok(())
}

#[test]
fn softplus_is_right_where_its_exponential_is_none() {
    assert_eq!(softplus(200.0), 200.0);
    assert!((softplus(0.0) - 2f32.ln()).abs() < 1e-7);
    assert!(softplus(-200.0) >= 0.0 && softplus(-200.0) < 1e-30);
    let x = Tensor::new(&[200f32, 0.0, -200.0], &Device::Cpu).unwrap();
    let found = softplus_of(&x).unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(found, [200.0, softplus(0.0), 0.0]);
}

#[test]
fn tensors_that_do_not_match_are_named() {
    let tensor = |name: &str, shape: &[usize]| (name.to_owned(), shape.to_vec(), vec![0.0; shape.iter().product()]);
    for (heads, channels, said) in [(5, 90, "a multiple of the 5 heads"), (3, 48, "twice the states")] {
        let mut weights = Weights::of([
            tensor("m.dt_bias", &[heads]),
            tensor("m.norm.weight", &[48]),
            tensor("m.conv1d.weight", &[channels, 1, 4]),
        ]);
        let context = ComputeContext::new(&Device::Cpu, DType::F32);
        let error = Loader { weights: &mut weights, context: &context }.mamba2("m", 8).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}
