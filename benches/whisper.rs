//! The Whisper network on the CPU: one window through the encoder, its projection for the decoder, and one decoder step.
//!
//!     cargo bench --bench whisper                  # all sizes, on every core
//!     cargo bench --bench whisper -- base          # one size
//!     SCONCE_BENCH_THREADS=1 cargo bench --bench whisper
//!
//! Weights are random (seeded) and, like those that were published, exactly representable in half precision. The
//! decoder steps at position 64, the middle of a typical window.
#![allow(clippy::disallowed_methods, reason = "a benchmark takes its parameters from the environment")]

use std::{hint::black_box, time::Duration};

use candle_core::{DType, Device};
use criterion::{Criterion, criterion_group, criterion_main};
use half::f16;
use safetensors::{Dtype, tensor::TensorView};
use sconce::{
    families::whisper::{
        config::Config,
        net::{Net, Slot},
    },
    model::{Backing, Location, ModelFiles, Placement},
};
use serde_json::json;

/// Name, width, heads, layers of the encoder and of the decoder.
const SIZES: [(&str, usize, usize, usize); 3] = [("tiny", 384, 6, 4), ("base", 512, 8, 6), ("small", 768, 12, 12)];

/// Tokens that a row holds before the step that is timed.
const POSITION: usize = 64;

struct Random(u64);

fn config(width: usize, heads: usize, layers: usize) -> Config {
    let json = json!({
        "model_type": "whisper", "activation_function": "gelu", "d_model": width,
        "encoder_layers": layers, "encoder_attention_heads": heads, "encoder_ffn_dim": 4 * width,
        "decoder_layers": layers, "decoder_attention_heads": heads, "decoder_ffn_dim": 4 * width,
        "num_mel_bins": 80, "max_source_positions": 1500, "max_target_positions": 448, "vocab_size": 51865,
    });
    Config::from_json(&json).expect("a valid configuration")
}

/// Every tensor of such a network, with its shape.
fn shapes(config: &Config) -> Vec<(String, Vec<usize>)> {
    let (width, mut all) = (config.d_model, Vec::new());
    let mut add = |name: String, shape: &[usize]| all.push((name, shape.to_vec()));
    add("encoder.conv1.weight".into(), &[width, config.num_mel_bins, 3]);
    add("encoder.conv2.weight".into(), &[width, width, 3]);
    add("encoder.conv1.bias".into(), &[width]);
    add("encoder.conv2.bias".into(), &[width]);
    add("encoder.embed_positions.weight".into(), &[config.max_source_positions, width]);
    add("decoder.embed_positions.weight".into(), &[config.max_target_positions, width]);
    add("decoder.embed_tokens.weight".into(), &[config.vocab_size, width]);
    for (half, layers) in [("encoder", config.encoder_layers), ("decoder", config.decoder_layers)] {
        let mut norms = vec![format!("{half}.layer_norm")];
        for layer in (0..layers).map(|at| format!("{half}.layers.{at}")) {
            for attention in ["self_attn", "encoder_attn"].into_iter().take(if half == "encoder" { 1 } else { 2 }) {
                norms.push(format!("{layer}.{attention}_layer_norm"));
                for projection in ["q_proj", "k_proj", "v_proj", "out_proj"] {
                    add(format!("{layer}.{attention}.{projection}.weight"), &[width, width]);
                    if projection != "k_proj" {
                        add(format!("{layer}.{attention}.{projection}.bias"), &[width]);
                    }
                }
            }
            norms.push(format!("{layer}.final_layer_norm"));
            add(format!("{layer}.fc1.weight"), &[4 * width, width]);
            add(format!("{layer}.fc1.bias"), &[4 * width]);
            add(format!("{layer}.fc2.weight"), &[width, 4 * width]);
            add(format!("{layer}.fc2.bias"), &[width]);
        }
        for norm in norms {
            add(format!("{norm}.weight"), &[width]);
            add(format!("{norm}.bias"), &[width]);
        }
    }
    all
}

fn net(config: &Config, threads: usize) -> Net {
    let mut random = Random(1);
    let tensor = |(name, shape): (String, Vec<usize>)| {
        let numbers = 0..shape.iter().product::<usize>();
        let scale = (config.d_model as f32).sqrt().recip();
        let data: Vec<u8> = numbers.flat_map(|_| f16::from_f32(random.next() * scale).to_le_bytes()).collect();
        (name, shape, data)
    };
    let tensors: Vec<_> = shapes(config).into_iter().map(tensor).collect();
    let view = |shape: &Vec<usize>, data| TensorView::new(Dtype::F16, shape.clone(), data).expect("a tensor");
    let views = tensors.iter().map(|(name, shape, data)| (name, view(shape, data.as_slice())));
    let file = safetensors::serialize(views, None).expect("safetensors");
    let mut files = ModelFiles::default();
    files.insert("model", "model.safetensors", Location::Embedded(file.leak()));
    let place = Placement { device: Device::Cpu, dtype: DType::F32, weights: Backing::Mapped, threads, max_batch: 8 };
    Net::load(config.clone(), &files, "model", &place).expect("a network")
}

fn bench(criterion: &mut Criterion) {
    let threads = std::env::var("SCONCE_BENCH_THREADS").ok().and_then(|threads| threads.parse().ok());
    let threads = threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    for (name, width, heads, layers) in SIZES {
        bench_size(criterion, name, &config(width, heads, layers), threads);
    }
}

fn bench_size(criterion: &mut Criterion, name: &str, config: &Config, threads: usize) {
    let mut group = criterion.benchmark_group(name);
    group.sample_size(20).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(5));
    // Made only when one of its benchmarks is chosen.
    let net = std::cell::LazyCell::new(|| net(config, threads));
    let mut random = Random(2);
    let mel: Vec<f32> = (0..config.num_mel_bins * config.frames()).map(|_| random.next()).collect();
    group.bench_function("encoder", |bencher| bencher.iter(|| net.encode(black_box(&[&mel])).expect("features")));
    group.bench_function("open", |bencher| {
        let features = net.encode(&[&mel]).expect("features").remove(0);
        let mut slots = net.slots(1).expect("slots");
        bencher.iter(|| {
            let slot = slots.open(&net, &features).expect("a row");
            slots.close(slot);
        });
    });
    for rows in [1, 8] {
        group.bench_function(format!("step/{rows}"), |bencher| {
            let features = net.encode(&[&mel]).expect("features").remove(0);
            let mut slots = net.slots(rows).expect("slots");
            let open: Vec<Slot> = (0..rows).map(|_| slots.open(&net, &features).expect("a row")).collect();
            let prompt: Vec<u32> = (0..POSITION as u32).collect();
            net.step(&mut slots, &open.iter().map(|slot| (slot, prompt.as_slice())).collect::<Vec<_>>())
                .expect("prompt");
            let next: Vec<(&Slot, &[u32])> = open.iter().map(|slot| (slot, &prompt[..1])).collect();
            bencher.iter(|| {
                open.iter().for_each(|slot| slots.rewind(slot, POSITION));
                net.step(&mut slots, black_box(&next)).expect("logits")
            });
        });
    }
    group.finish();
}

impl Random {
    /// From -1 to 1.
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
