//! Who speaks when in recordings, as `NAME.rttm`, and how long it takes to find out. `benches/speakers.py` says how good it is.
//!
//!     cargo bench --bench speakers -- --network campplus_cn_en_common.pt --out turns meetings/*.wav
//!     cargo bench --bench speakers -- --network … --voice-network silero_vad_16k.safetensors --threshold 0.5 --out … …
#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::{fmt::Write, fs, path::PathBuf, time::Instant};

use clap::Parser;
use sconce::{
    audio::decode,
    listening::{Config, Listeners, SpeakerSettings},
};

#[derive(Debug, Parser)]
struct Arguments {
    /// As `audio.speaker_network`.
    #[arg(long)]
    network: PathBuf,
    /// As `audio.voice_network`.
    #[arg(long)]
    voice_network: Option<PathBuf>,
    /// As `audio.speaker_threshold`.
    #[arg(long, default_value_t = SpeakerSettings::default().threshold)]
    threshold: f32,
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// The folder that the turns are written to.
    #[arg(long)]
    out: PathBuf,
    recordings: Vec<PathBuf>,
    /// What cargo says to any benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let asked = Arguments::parse();
    let speakers = SpeakerSettings { threshold: asked.threshold, ..SpeakerSettings::default() };
    let config = Config { voice_network: asked.voice_network, speaker_network: Some(asked.network), speakers };
    let diarizer = Listeners::open(&config, asked.threads).expect("networks").speakers.expect("a network for speakers");
    fs::create_dir_all(&asked.out).expect("the folder can be made");
    let (mut heard, mut took) = (0.0, 0.0);
    for path in asked.recordings {
        let bytes = fs::read(&path).expect("the recording can be read");
        let pcm = decode(&bytes, None, 16_000, std::time::Duration::MAX).expect("it is a recording").pcm;
        let start = Instant::now();
        let turns = diarizer.turns(&pcm, &[], || false).expect("its speakers are told apart");
        (heard, took) = (heard + pcm.seconds(), took + start.elapsed().as_secs_f64());
        let name = path.file_stem().expect("a file").to_string_lossy().into_owned();
        let mut lines = String::new();
        for (start, end, speaker) in turns.iter() {
            let length = end - start;
            writeln!(lines, "SPEAKER {name} 1 {start:.3} {length:.3} <NA> <NA> {speaker} <NA> <NA>").expect("memory");
        }
        fs::write(asked.out.join(name).with_extension("rttm"), lines).expect("it can be written");
    }
    println!("{heard:.0} s heard in {took:.1} s, {:.0} times as fast as they were spoken", heard / took);
}
