//! The Whisper network on the CPU: one window through the encoder, its projection for the decoder, and one decoder step.
//!
//!     cargo bench --bench whisper                  # all sizes, on every core
//!     cargo bench --bench whisper -- base          # one size
//!     SCONCE_BENCH_THREADS=1 cargo bench --bench whisper
//!
//! Weights are random (seeded) and, like those that were published, exactly representable in half precision. The
//! decoder steps at position 64, the middle of a typical window.
#![allow(clippy::disallowed_methods, reason = "a benchmark takes its parameters from the environment")]

#[path = "support/network.rs"]
mod network;

use std::{cell::LazyCell, hint::black_box, time::Duration};

use criterion::{Criterion, criterion_group, criterion_main};
use network::{BASE, SMALL, Shape, TINY, net, noise};
use sconce::{
    families::whisper::net::{Net, Slot},
    model::Precision,
};

/// Tokens that a row holds before the step that is timed.
const POSITION: usize = 64;

fn bench(criterion: &mut Criterion) {
    let threads = std::env::var("SCONCE_BENCH_THREADS").ok().and_then(|threads| threads.parse().ok());
    let threads = threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    for shape @ Shape { name, .. } in [TINY, BASE, SMALL] {
        // Made only when one of its benchmarks is chosen.
        bench_size(criterion, name, &LazyCell::new(|| net(shape, threads, Precision::F32)));
    }
}

fn bench_size(criterion: &mut Criterion, name: &str, net: &LazyCell<Net, impl FnOnce() -> Net>) {
    let mut group = criterion.benchmark_group(name);
    group.sample_size(20).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(5));
    group.bench_function("encoder", |bencher| {
        let mel = noise(net);
        bencher.iter(|| net.encode(black_box(&[&mel])).expect("features"));
    });
    group.bench_function("open", |bencher| {
        let features = net.encode(&[&noise(net)]).expect("features").remove(0);
        let mut slots = net.slots(1);
        bencher.iter(|| {
            let slot = net.open(&mut slots, &features).expect("a row");
            slots.close(slot);
        });
    });
    for rows in [1, 8] {
        group.bench_function(format!("step/{rows}"), |bencher| {
            let features = net.encode(&[&noise(net)]).expect("features").remove(0);
            let mut slots = net.slots(rows);
            let open: Vec<Slot> = (0..rows).map(|_| net.open(&mut slots, &features).expect("a row")).collect();
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

criterion_group!(benches, bench);
criterion_main!(benches);
