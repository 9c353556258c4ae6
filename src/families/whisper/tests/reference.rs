//! The shipped model answers as transformers does; `training/fixtures.py` wrote what that is.

use std::{fs, path::PathBuf, time::Duration};

use safetensors::SafeTensors;
use serde::Deserialize;

use super::{PART, ask, heard, nano, nano_files, place, text};
use crate::{
    audio::{LogMel, MelSpec, Pcm, decode},
    families::whisper::{config::Config, net::Net, transcription_options::SAMPLE_RATE},
    speech::Timestamps,
};

/// Largest difference; logits reach 20.
const TOLERANCE: f32 = 1e-3;

/// A line of `greedy.json`.
#[derive(Deserialize)]
struct Line {
    file: String,
    timestamps: Answer,
    notimestamps: Answer,
}

#[derive(Deserialize)]
struct Answer {
    text: String,
}

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/nano").join(name)
}

fn sound(file: &str) -> Pcm {
    let bytes = fs::read(fixture("recordings").join(file)).unwrap();
    decode(&bytes, None, SAMPLE_RATE, Duration::from_secs(60)).unwrap().pcm
}

fn floats(tensors: &SafeTensors<'_>, name: &str) -> (Vec<usize>, Vec<f32>) {
    let tensor = tensors.tensor(name).unwrap();
    let number = |bytes: &[u8]| f32::from_le_bytes(bytes.try_into().unwrap());
    (tensor.shape().to_vec(), tensor.data().chunks_exact(4).map(number).collect())
}

fn integers(tensors: &SafeTensors<'_>, name: &str) -> Vec<u32> {
    let number = |bytes: &[u8]| u32::try_from(i64::from_le_bytes(bytes.try_into().unwrap())).unwrap();
    tensors.tensor(name).unwrap().data().chunks_exact(8).map(number).collect()
}

fn assert_near(name: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{name}");
    let worst = found.iter().zip(expected).fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
    assert!(worst <= TOLERANCE, "{name} differs by {worst}");
}

#[test]
fn logits_are_those_of_transformers() {
    let files = nano_files();
    let config = Config::from_json(&files.json(PART, "config.json").unwrap()).unwrap();
    let (frames, bands) = (config.frames(), config.num_mel_bins);
    let net = Net::load(config, &files, PART, &place()).unwrap();
    let bytes = fs::read(fixture("reference.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    for name in ["000", "001", "002"] {
        let mel = LogMel::new(&MelSpec::whisper(bands))
            .log_mel_padded(sound(&format!("{name}.flac")).samples(), frames * 160);
        let (shape, expected) = floats(&tensors, &format!("{name}.mel"));
        let begin: Vec<f32> = mel.values().chunks(frames).flat_map(|band| &band[..shape[1]]).copied().collect();
        assert_near("mel", &begin, &expected);

        let features = net.encode(&[mel.values()]).unwrap().remove(0);
        let mut slots = net.slots(1);
        let slot = net.open(&mut slots, &features).unwrap();
        let (shape, expected) = floats(&tensors, &format!("{name}.logits"));
        for (token, row) in integers(&tensors, &format!("{name}.prefix")).into_iter().zip(expected.chunks(shape[1])) {
            let logits = net.step(&mut slots, &[(&slot, &[token])]).unwrap().remove(0);
            assert_near("logits", &logits, row);
        }
    }
}

#[test]
fn a_hundred_recordings_have_the_same_greedy_text() {
    let lines: Vec<Line> = serde_json::from_slice(&fs::read(fixture("greedy.json")).unwrap()).unwrap();
    assert_eq!(lines.len(), 100);
    let mut model = nano();
    for timestamps in [Timestamps::Segment, Timestamps::None] {
        let greedy = |line: &Line| {
            let mut ask = ask(sound(&line.file), timestamps);
            // The first answer counts: no second try, and no silence that swallows one.
            for threshold in ["compression_ratio_threshold", "logprob_threshold", "no_speech_threshold"] {
                ask.options.options.insert(threshold.to_owned(), serde_json::Value::Null);
            }
            ask
        };
        let answers = heard(&mut *model, lines.iter().map(greedy).collect());
        for (line, segments) in lines.iter().zip(answers) {
            let answer = if timestamps == Timestamps::None { &line.notimestamps } else { &line.timestamps };
            assert_eq!(text(&segments), answer.text.trim(), "{} {timestamps:?}", line.file);
        }
    }
}
