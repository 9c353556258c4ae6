//! Steps that an accelerator repeats, on the stand-in of `tests/cuda`, beside the CPU.

use candle_core::{DType, Device, Result, Tensor};

use super::{Llama, LlamaConfig, Sequence};
use crate::{
    context::ComputeContext,
    rope::LongContext,
    weights::{Loader, Weights},
};

const VOCABULARY: usize = 11;

fn llama(context: &ComputeContext) -> Llama {
    let (width, heads, shared, head_dim, inner) = (24, 4, 2, 8, 40);
    let mut weights = Vec::new();
    let mut add = |name: &str, shape: &[usize]| {
        let (seed, count) = (weights.len() as f32, shape.iter().product());
        let number = |at: usize| ((at as f32 * 0.7 + seed).sin() + if shape.len() == 1 { 2.0 } else { 0.0 }) / 2.0;
        weights.push((name.to_owned(), shape.to_vec(), (0..count).map(number).collect()));
    };
    add("model.embed_tokens.weight", &[VOCABULARY, width]);
    for layer in (0..2).map(|at| format!("model.layers.{at}")) {
        add(&format!("{layer}.input_layernorm.weight"), &[width]);
        add(&format!("{layer}.post_attention_layernorm.weight"), &[width]);
        for (name, rows) in [("q_proj", heads), ("k_proj", shared), ("v_proj", shared)] {
            add(&format!("{layer}.self_attn.{name}.weight"), &[rows * head_dim, width]);
        }
        add(&format!("{layer}.self_attn.o_proj.weight"), &[width, heads * head_dim]);
        add(&format!("{layer}.mlp.gate_proj.weight"), &[inner, width]);
        add(&format!("{layer}.mlp.up_proj.weight"), &[inner, width]);
        add(&format!("{layer}.mlp.down_proj.weight"), &[width, inner]);
    }
    add("model.norm.weight", &[width]);
    add("lm_head.weight", &[VOCABULARY, width]);
    let long = LongContext { factor: 8.0, low: 1.0, high: 4.0, trained: 8192.0 };
    let config = LlamaConfig {
        layers: Some(2),
        heads,
        shared,
        head_dim: Some(head_dim),
        epsilon: 1e-5,
        theta: 1e4,
        long: Some(long),
    };
    Llama::load(&mut Loader { weights: &mut Weights::of(weights), context }, &config, None).expect("all are there")
}

fn here(x: &Tensor) -> Result<Vec<f32>> {
    match x.device().is_cuda() {
        true => crate::gpu::to_host(x),
        false => x.flatten_all()?.to_vec1(),
    }
}

/// Sequences join one by one, so that numbers of rows come again, and none is as long as another.
#[test]
fn steps_on_a_gpu_give_what_the_cpu_gives() -> Result<()> {
    let plain = ComputeContext { kernels: None, ..ComputeContext::new(&Device::Cpu, DType::F32) };
    let there = ComputeContext::new(&Device::new_cuda_with_stream(0)?, DType::F32);
    let (plain, there) = (llama(&plain), llama(&there));
    let sequences = |llama: &Llama| (0..3).map(|_| llama.sequence(20)).collect::<Result<Vec<Sequence>>>();
    let (mut of_plain, mut of_there) = (sequences(&plain)?, sequences(&there)?);
    for step in 0..12 {
        let live = (step / 4 + 1).min(3);
        let tokens: Vec<u32> = (0..live).map(|row| (step * 5 + row * 3) as u32 % VOCABULARY as u32).collect();
        let expected = plain.next(&tokens, &mut of_plain[..live].iter_mut().collect::<Vec<_>>())?;
        let found = there.next(&tokens, &mut of_there[..live].iter_mut().collect::<Vec<_>>())?;
        for (found, expected) in here(&found)?.iter().zip(here(&expected)?) {
            assert!((found - expected).abs() < 1e-4 * expected.abs().max(1.0), "step {step}: {found}, not {expected}");
        }
        assert_eq!(of_there[0].len(), step + 1);
    }
    Ok(())
}
