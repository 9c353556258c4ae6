//! What other people's players make of our files: needs ffmpeg, and is skipped by name without it.

use std::process::{Command, Stdio};

use super::*;

/// Standard output, or nothing without the program.
fn output(program: &str, arguments: &[&str]) -> Option<Vec<u8>> {
    let done = match Command::new(program).args(arguments).stdin(Stdio::null()).output() {
        Ok(done) => done,
        Err(_) => {
            eprintln!("SKIPPED audio::encode::tests::players: {program} is not installed");
            return None;
        }
    };
    assert!(done.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    Some(done.stdout)
}

/// Container and codec as ffprobe calls them.
fn names(format: AudioFormat) -> Option<(&'static str, &'static str)> {
    match format {
        AudioFormat::Wav => Some(("wav", "pcm_s16le")),
        AudioFormat::Pcm => None, // says nothing of itself
        AudioFormat::Mp3 => Some(("mp3", "mp3")),
        AudioFormat::Opus => Some(("ogg", "opus")),
        AudioFormat::Flac => Some(("flac", "flac")),
        AudioFormat::Aac => Some(("aac", "aac")),
    }
}

/// The samples that ffmpeg decodes, interleaved; at the rate that it was written at.
fn played(path: &str, rate: u32) -> Option<Vec<f32>> {
    let rate = rate.to_string();
    let raw = output("ffmpeg", &["-v", "error", "-i", path, "-ar", &rate, "-f", "f32le", "-c:a", "pcm_f32le", "-"])?;
    Some(raw.chunks_exact(4).map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])).collect())
}

#[test]
fn ffmpeg_finds_every_format_right_and_hears_the_same() {
    let folder = tempfile::tempdir().unwrap();
    for (format, (container, codec)) in AudioFormat::ALL.into_iter().filter_map(|f| Some((f, names(f)?))) {
        for (rate, channels, whole) in [(24_000, 1, true), (24_000, 2, false), (44_100, 2, true), (8_000, 1, false)] {
            let pcm = sound(rate, channels, 0.7);
            let file = if whole { encode(&pcm, format).unwrap() } else { streamed(&pcm, format, 999) };
            let path = folder.path().join(format!("sound.{}", format.extension()));
            std::fs::write(&path, &file).unwrap();
            let path = path.to_str().unwrap();
            let name = format!("{format} of {rate} Hz x {channels}, whole: {whole}");

            let entries = "format=format_name:stream=codec_name,sample_rate,channels";
            let Some(probe) = output("ffprobe", &["-v", "error", "-show_entries", entries, "-of", "csv=p=0", path])
            else {
                return;
            };
            let written = format.nearest_rate(rate);
            let shown = if format == AudioFormat::Opus { 48_000 } else { written };
            let expected = format!("{codec},{shown},{channels}\n{container}\n");
            assert_eq!(String::from_utf8_lossy(&probe), expected, "{name}");

            let Some(samples) = played(path, written) else { return };
            let expected = resample(&pcm, written).unwrap();
            let run_up = run_up(format, whole) * channels;
            let extra = samples.len() as i64 - (expected.samples().len() + run_up) as i64;
            let most = (padding(format, whole) * channels + 1) as i64;
            assert!((0..=most).contains(&extra), "{name}: {extra} samples too many");
            let ratio = ratio(expected.samples(), &samples[run_up..]);
            println!("{name}: {ratio:.1} dB");
            assert!(ratio > least(format), "{name}: {ratio:.1} dB");
        }
    }
}
