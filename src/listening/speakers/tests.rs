//! Mixtures of voices whose turns are known, by a network of random weights: it was never trained, but sounds that are unlike
//! get unlike vectors from it as well.

use std::{collections::BTreeMap, path::PathBuf, sync::LazyLock};

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use tempfile::TempDir;

use super::*;
use crate::nn::weights::Weights;

const RATE: u32 = 16_000;

/// The speaker network of the fixture of Chatterbox. A network that was not trained says much the same of everything, so that
/// here the mean of what it says of these voices is taken away, in the mean of its last norm.
fn network() -> &'static Path {
    static FILE: LazyLock<TempDir> = LazyLock::new(|| {
        let fixture =
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/chatterbox/reference/s3gen.safetensors");
        let raw = SpeakerNetwork::open(&fixture).unwrap();
        let said: Vec<_> = ['a', 'b', 'c'].iter().map(|who| raw.embed_as_it_is(&speaker(*who, 3.0)).unwrap()).collect();
        let bytes = std::fs::read(fixture).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let norm = "speaker_encoder.xvector.dense.nonlinear.batchnorm";
        let mut weights = Weights::open(&[("s3gen.safetensors".to_owned(), bytes.clone().into())], "").unwrap();
        let mut numbers = |name: &str| weights.take(&format!("{norm}.{name}"), &[raw.width()]).unwrap();
        let shift = |(at, (mean, variance)): (usize, (&f32, &f32))| {
            let more = said.iter().map(|said| said[at]).sum::<f32>() / said.len() as f32;
            mean + more * (variance + 1e-5).sqrt()
        };
        let (means, variances) = (numbers("running_mean"), numbers("running_var"));
        let shifted = means.iter().zip(&variances).enumerate().map(shift);
        let shifted: Vec<u8> = shifted.flat_map(f32::to_le_bytes).collect();
        let mut tensors: BTreeMap<String, TensorView<'_>> = file.tensors().into_iter().collect();
        tensors.retain(|name, _| name.starts_with("speaker_encoder."));
        let changed = TensorView::new(Dtype::F32, vec![means.len()], &shifted).unwrap();
        tensors.insert(format!("{norm}.running_mean"), changed);
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("speakers.safetensors"), safetensors::serialize(tensors, None).unwrap())
            .unwrap();
        folder
    });
    static PATH: LazyLock<PathBuf> = LazyLock::new(|| FILE.path().join("speakers.safetensors"));
    &PATH
}

fn diarizer(threshold: f32, most: usize) -> Diarizer {
    Diarizer::open(network(), SpeakerSettings { threshold, most }, VoiceDetection::default(), 1).unwrap()
}

/// A voice: partials of a pitch that come and go as syllables do, around a formant.
fn voice(pitch: f64, formant: f64, width: f64, seconds: f64) -> Vec<f32> {
    let sample = |n: usize| {
        let at = n as f64 / f64::from(RATE);
        let partials = (1..(7500.0 / pitch) as usize).map(|partial| {
            let hertz = pitch * partial as f64;
            let loudness = (-((hertz - formant) / width).powi(2)).exp() + 0.001;
            loudness * (std::f64::consts::TAU * hertz * at).sin()
        });
        (partials.sum::<f64>() * (0.3 + (at * 9.0).sin().abs()) / 12.0) as f32
    };
    (0..(seconds * f64::from(RATE)) as usize).map(sample).collect()
}

fn speaker(name: char, seconds: f64) -> Vec<f32> {
    match name {
        'a' => voice(110.0, 300.0, 200.0, seconds),
        'b' => voice(230.0, 3500.0, 300.0, seconds),
        _ => voice(600.0, 600.0, 100.0, seconds),
    }
}

/// Turns with pauses between them: who, and for how long.
fn talk(turns: &[(char, f64)]) -> (Pcm, Vec<(f64, f64, char)>) {
    let (mut sound, mut truth) = (vec![0.0; RATE as usize / 2], Vec::new());
    let seconds = |sound: &Vec<f32>| sound.len() as f64 / f64::from(RATE);
    for (who, length) in turns {
        let start = seconds(&sound);
        sound.extend(speaker(*who, *length));
        truth.push((start, seconds(&sound), *who));
        sound.extend(vec![0.0; RATE as usize / 2]);
    }
    // No room is silent, and nothing at all is unlike any voice.
    let mut state = 5u32;
    for sample in &mut sound {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *sample += 0.003 * ((state >> 8) as f32 / (1 << 23) as f32 - 1.0);
    }
    (Pcm::new(sound, RATE), truth)
}

fn turns(diarizer: &Diarizer, pcm: &Pcm, known: &[KnownSpeaker]) -> SpeakerTurns {
    diarizer.turns(pcm, known, || false).unwrap()
}

#[test]
fn a_reference_in_which_nobody_speaks_is_named() {
    let (pcm, _) = talk(&[('a', 3.0)]);
    let silent = KnownSpeaker { name: "Nobody".to_owned(), voice: Pcm::new(vec![0.0; 32_000], RATE) };
    let error = diarizer(0.6, 16).turns(&pcm, &[silent], || false).unwrap_err();
    assert_eq!((error.kind(), error.to_string().contains("\"Nobody\"")), (Kind::Invalid, true), "{error}");
}

#[test]
fn there_are_no_more_speakers_than_may_be() {
    let (pcm, _) = talk(&[('a', 4.0), ('b', 3.0), ('c', 2.0)]);
    let found = turns(&diarizer(0.6, 2), &pcm, &[]);
    assert_eq!(found.names().len(), 2, "{found:?}");
    // All that are spoken are somebody's.
    assert!(found.iter().map(|(start, end, _)| end - start).sum::<f64>() > 8.0, "{found:?}");
    // Where everybody is like everybody there is one.
    assert_eq!(turns(&diarizer(-1.0, 16), &pcm, &[]).names(), ["A"]);
}

#[test]
fn in_silence_and_in_nothing_nobody_speaks_and_a_word_is_somebodys() {
    for samples in [vec![], vec![0.0; 100], vec![0.0; 80_000]] {
        assert_eq!(turns(&diarizer(0.6, 16), &Pcm::new(samples, RATE), &[]), SpeakerTurns::default());
    }
    let (pcm, _) = talk(&[('a', 0.3)]);
    assert_eq!(turns(&diarizer(0.6, 16), &pcm, &[]).names(), ["A"]);
}

#[test]
fn it_ends_when_nobody_waits() {
    let (pcm, _) = talk(&[('a', 3.0)]);
    assert!(matches!(diarizer(0.6, 16).turns(&pcm, &[], || true), Err(DiarizationError::Stopped)));
}

#[test]
fn a_file_that_is_no_such_network_is_refused_with_what_would_be_right() {
    let folder = TempDir::new().unwrap();
    let open = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let opened = Diarizer::open(&path, SpeakerSettings::default(), VoiceDetection::default(), 1);
        opened.err().unwrap().to_string()
    };
    for error in [open("other.safetensors", b"no tensors"), open("other.bin", b"no archive")] {
        assert!(error.contains("audio.speaker_network") && error.contains("campplus_cn_common.bin"), "{error}");
    }
    let silero =
        std::fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/silero/network.safetensors"));
    let error = open("silero.safetensors", &silero.unwrap());
    assert!(error.contains("head.conv1.weight is missing"), "{error}");
    let missing = Diarizer::open(&folder.path().join("none"), SpeakerSettings::default(), VoiceDetection::default(), 1);
    assert!(missing.err().unwrap().to_string().contains("cannot be read"));
}
