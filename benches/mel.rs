//! What hearing costs before the model starts: half a minute of sound, decoded, resampled, and made into a spectrum.
//!
//! `cargo bench --bench mel`

use std::{f32::consts::TAU, hint::black_box, time::Duration};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sconce::audio::{LogMel, MelSpec, Pcm, decode, encode_wav, resample};

const SECONDS: u32 = 30;

/// A rising tone: nothing in it is silent, nothing repeats.
fn sound(rate: u32) -> Pcm {
    let seconds = |n: u32| n as f32 / rate as f32;
    Pcm::new((0..SECONDS * rate).map(|n| 0.5 * (TAU * (100.0 + 50.0 * seconds(n)) * seconds(n)).sin()).collect(), rate)
}

/// MP3 frames need no header of their own: the recording of the tests, again and again.
fn mp3() -> Vec<u8> {
    include_bytes!("../tests/fixtures/audio/stereo.mp3").repeat(SECONDS as usize * 10 / 3)
}

fn mel(criterion: &mut Criterion) {
    let sound = sound(16_000);
    let mut group = criterion.benchmark_group("log_mel");
    for bands in [80, 128] {
        let mel = LogMel::new(&MelSpec::whisper(bands));
        group.bench_function(format!("{bands} bands"), |bencher| {
            bencher.iter(|| mel.log_mel(black_box(sound.samples())))
        });
    }
}

fn resampling(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("resample");
    for rate in [44_100, 48_000] {
        let sound = sound(rate);
        group.bench_function(format!("{rate} to 16000 Hz"), |bencher| {
            bencher.iter(|| resample(black_box(&sound), 16_000))
        });
    }
}

fn decoding(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    for (name, file) in [("mp3", mp3()), ("wav", encode_wav(&sound(44_100)))] {
        group.throughput(Throughput::Bytes(file.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| decode(black_box(&file), None, 16_000, Duration::from_secs(60)).expect("it is sound"))
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(3));
    targets = mel, resampling, decoding
}
criterion_main!(benches);
