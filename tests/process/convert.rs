//! `sconce convert`, by the example whose models change voices, and by the program, whose models do not.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use sconce::audio::{Pcm, decode, encode_wav};
use tempfile::TempDir;

use crate::program::{outcome, sconce};

const RATE: u32 = 24_000;

/// `sconce convert` with the model of tones.
fn convert(folder: &TempDir) -> Command {
    let model = folder.path().join("tone");
    fs::create_dir_all(&model).unwrap();
    fs::write(model.join("config.json"), "{\"model_type\":\"tone\"}").unwrap();
    let mut command = Command::new(example("tone"));
    command
        .env_clear()
        .env("HF_HUB_CACHE", folder.path().join("cache"))
        .env("SCONCE_MODELS__TONE__SOURCE", format!("file:{}", model.display()))
        .env("SCONCE_MODELS__TONE__FAMILY", "tone")
        .env("SCONCE_VOICES__DIR", folder.path().join("voices"))
        .current_dir(folder.path())
        .args(["convert", "--model", "tone"]);
    command
}

/// A program of `examples/`, which cargo builds with the tests.
fn example(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_sconce")).with_file_name("examples").join(name);
    assert!(path.is_file(), "{}: cargo build --examples", path.display());
    path
}

/// A recording of so many seconds, of one pitch in hertz; 0 is as loud throughout.
fn write(folder: &TempDir, name: &str, seconds: f64, pitch: f32) {
    let sample = |at: usize| (std::f32::consts::TAU * pitch * at as f32 / RATE as f32).cos() / 2.0;
    let samples = (0..(seconds * f64::from(RATE)) as usize).map(sample).collect();
    fs::write(folder.path().join(name), encode_wav(&Pcm::new(samples, RATE))).unwrap();
}

/// Seconds of a sound, and how often it turns from below to above nothing in one.
fn heard(bytes: &[u8]) -> (f64, f64) {
    let pcm = decode(bytes, None, RATE, Duration::from_secs(60)).unwrap().pcm;
    let turns = pcm.samples().windows(2).filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0).count();
    (pcm.seconds(), turns as f64 / pcm.seconds())
}

fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    write(&folder, "in.wav", 1.5, 0.0);
    write(&folder, "target.wav", 2.0, 330.0);
    folder
}

#[test]
fn a_recording_becomes_the_voice_that_is_named_or_shown() {
    let folder = folder();
    fs::create_dir(folder.path().join("voices")).unwrap();
    write(&folder, "voices/anna.wav", 2.0, 550.0);
    for (voice, out, container, wanted) in [
        (None, "a.wav", "wave", 220.0),
        (Some("low"), "b.flac", "flac", 110.0),
        (Some("anna"), "c.wav", "wave", 550.0),
        (Some("target.wav"), "d.mp3", "mp3", 330.0),
        (Some("./voices/anna.wav"), "e.ogg", "ogg", 550.0),
    ] {
        let voice: Vec<&str> = voice.into_iter().flat_map(|voice| ["--voice", voice]).collect();
        let (stdout, stderr, code) = outcome(convert(&folder).args(["in.wav", "-o", out]).args(&voice));
        assert_eq!((code, stdout.as_str()), (0, ""), "{out}: {stderr}");
        let bytes = fs::read(folder.path().join(out)).unwrap();
        let source = decode(&bytes, None, RATE, Duration::from_secs(60)).unwrap().source;
        let (seconds, pitch) = heard(&bytes);
        assert_eq!(source.container, container);
        assert!((seconds - 1.5).abs() < 0.2, "{out}: {seconds} s");
        // An mp3 has noise before its first sound, which turns more often.
        let near = if container == "mp3" { 0.3 } else { 0.08 };
        assert!((pitch - wanted).abs() < near * wanted, "{out}: {pitch}");
    }
    assert!(!folder.path().join("voices/anna.wav.part").exists());
}

#[test]
fn sound_goes_through_pipes() {
    let folder = folder();
    let mut child = convert(&folder)
        .args(["-", "--voice", "low", "--format", "pcm", "--sample-rate", "16000"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&fs::read(folder.path().join("in.wav")).unwrap()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(output.stdout.len(), 48_000, "one and a half seconds of 16 bits at 16 kHz");
}

#[test]
fn what_is_wrong_is_said_and_nothing_is_left_behind() {
    let folder = folder();
    fs::write(folder.path().join("text.txt"), "no sound").unwrap();
    write(&folder, "short.wav", 0.3, 330.0);
    for (arguments, code, part) in [
        (
            &["in.wav", "--voice", "lov"][..],
            1,
            "there is no voice \"lov\" (did you mean low?); there are: middle, low, high",
        ),
        (&["in.wav", "--voice", "short.wav"], 1, "short.wav: the recording is 0.30 s long"),
        (&["in.wav", "--voice", "nowhere.wav"], 1, "there is no voice \"nowhere.wav\""),
        (&["text.txt"], 1, "text.txt: "),
        (&["nowhere.wav"], 1, "nowhere.wav cannot be read"),
        (&["in.wav", "--sample-rate", "7"], 2, "8000..=48000"),
        (&[], 2, "<FILE>"),
    ] {
        let (_, stderr, found) = outcome(convert(&folder).args(arguments).args(["-o", "out.wav"]));
        assert!(found == code && stderr.contains(part), "{arguments:?}: {found} {stderr}");
    }
    let (_, stderr, code) = outcome(convert(&folder).args(["in.wav", "-o", "out.midi"]));
    assert!(code == 2 && stderr.contains("flac") && stderr.contains("--format"), "{code} {stderr}");
    let (_, stderr, code) = outcome(convert(&folder).args(["in.wav", "-o", "nowhere/out.wav"]));
    assert!(code == 1 && stderr.contains("nowhere/out.wav cannot be written"), "{code} {stderr}");
    let left = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(left.into_iter().all(|name| !name.contains("out") && !name.starts_with('.')));

    let (_, stderr, code) = outcome(sconce(&folder).args(["convert", "in.wav", "-o", "out.wav"]));
    assert!(code == 1 && stderr.contains("these can: ResembleAI/chatterbox"), "{code} {stderr}");
}
