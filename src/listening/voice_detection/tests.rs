use std::{path::PathBuf, time::Duration};

use super::*;

fn network() -> VoiceDetection {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/silero/network.safetensors");
    VoiceDetection::open(&file).unwrap()
}

/// What the random network of the fixture says of sound at a rate, in probabilities.
fn scores(rate: u32, pieces: usize) -> Vec<f32> {
    let detection = network();
    let mut score = SileroScore::new(detection.0.unwrap(), rate);
    let sample = |n: usize| {
        let at = n as f32 / rate as f32;
        (at * 1200.0).sin() * (at * 5.0).sin() * 0.5
    };
    let sound: Vec<f32> = (0..2 * rate as usize).map(sample).collect();
    let mut told = Vec::new();
    sound.chunks(pieces).for_each(|piece| score.push(piece, &mut |certainty| told.push(certainty)));
    told
}

#[test]
fn pieces_make_no_difference_and_other_rates_little() {
    let whole = scores(16_000, 32_000);
    assert_eq!(whole.len(), 62);
    assert_eq!(scores(16_000, 77), whole);
    // What the resampler holds back is still to come.
    let other = scores(24_000, 480);
    assert!(other.len() >= 58, "{}", other.len());
    for (at, (one, other)) in whole.iter().zip(&other).enumerate().skip(2) {
        assert!((one - other).abs() < 0.05, "{at}: {one} {other}");
    }
}

#[test]
fn places_are_those_of_the_sound() {
    let network = network().0.unwrap();
    // 125 frames of 32 ms are four seconds.
    for rate in [8_000, 16_000, 24_000, 44_100] {
        assert_eq!(SileroScore::new(network.clone(), rate).position(125), 4 * u64::from(rate));
    }
}

/// What there is behind speech.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Behind {
    Silence,
    Noise,
    Hum,
    Music,
}

/// Seconds around a change in which nobody is right or wrong.
const COLLAR: f64 = 0.25;
const RATE: u32 = 16_000;
/// Seconds of what is behind, before and after each recording.
const PAUSE: f64 = 3.0;

/// Recordings in which hardly anything but speech is to be heard: those that ship, or those of the folder that
/// `SCONCE_TEST_SPEECH` names.
fn recordings() -> Vec<Vec<f32>> {
    #[expect(clippy::disallowed_methods, reason = "a test is told by its caller what to hear")]
    let other = std::env::var_os("SCONCE_TEST_SPEECH").map(PathBuf::from);
    let folder = other.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("assets/recordings"));
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_none_or(|kind| kind != "json") && !file.ends_with("volume-in-noise.wav"));
    files.sort();
    let read = |file: &PathBuf| {
        let bytes = std::fs::read(file).unwrap();
        crate::audio::decode(&bytes, None, RATE, Duration::from_secs(120)).unwrap().pcm.samples().to_vec()
    };
    files.iter().map(read).collect()
}

/// Where they speak, every 10 ms: what is less than 35 dB below the loudest, and the short gaps within.
fn truth(samples: &[f32]) -> Vec<bool> {
    let levels: Vec<f32> =
        samples.chunks(160).map(|frame| frame.iter().map(|x| x * x).sum::<f32>() / frame.len() as f32).collect();
    let loudest = levels.iter().copied().fold(0.0, f32::max);
    let loud: Vec<usize> = (0..levels.len()).filter(|at| levels[*at] > loudest * 3e-4).collect();
    let mut speech = vec![false; levels.len()];
    for pair in loud.windows(2).filter(|pair| pair[1] - pair[0] <= 20) {
        speech[pair[0]..=pair[1]].fill(true);
    }
    speech
}

fn power(samples: &[f32]) -> f32 {
    samples.iter().map(|x| x * x).sum::<f32>() / samples.len().max(1) as f32
}

/// As loud as 1 in the mean.
fn behind(what: Behind, count: usize) -> Vec<f32> {
    let mut state = 9u32;
    let mut noise = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    let sine = |hertz: f64, at: f64| (std::f64::consts::TAU * hertz * at).sin();
    let mut low = 0.0;
    let made: Vec<f32> = (0..count)
        .map(|n| {
            let (at, white) = (n as f64 / f64::from(RATE), noise());
            low += 0.05 * (white - low);
            match what {
                Behind::Silence => 0.0,
                Behind::Noise => white * 0.3 + 3.0 * low,
                Behind::Hum => {
                    (1..9).map(|partial| sine(100.0 * f64::from(partial), at) / f64::from(partial)).sum::<f64>() as f32
                        + 0.1 * white
                }
                // A chord for half a second each, struck anew every quarter, and a drum on every beat.
                Behind::Music => {
                    let root = 220.0 * 2f64.powf([0.0, 5.0, 7.0, 3.0][(at * 2.0) as usize % 4] / 12.0);
                    let struck = (-6.0 * (at % 0.25)).exp();
                    let chord = [1.0, 1.25, 1.5, 2.0]
                        .iter()
                        .map(|ratio| sine(root * ratio, at) + 0.4 * sine(2.0 * root * ratio, at));
                    (chord.sum::<f64>() * struck) as f32 + white * 2.0 * (-40.0 * (at % 0.5)).exp() as f32
                }
            }
        })
        .collect();
    let level = power(&made).sqrt().max(f32::MIN_POSITIVE);
    made.into_iter().map(|x| x / level).collect()
}

/// All recordings with pauses between them, and something behind them, so many decibels below the speech. And where somebody
/// speaks, every 10 ms.
fn mixture(recordings: &[Vec<f32>], what: Behind, decibels: f32) -> (Pcm, Vec<bool>) {
    let pause = (PAUSE * f64::from(RATE)) as usize;
    let (mut sound, mut speech) = (vec![0.0; pause], vec![false; pause / 160]);
    for samples in recordings {
        let said = truth(samples);
        let loudness: Vec<f32> =
            samples.chunks(160).zip(&said).filter(|(_, said)| **said).map(|(frame, _)| power(frame)).collect();
        let level = (loudness.iter().sum::<f32>() / loudness.len() as f32).sqrt();
        let whole = samples.len() / 160 * 160;
        sound.extend(samples[..whole].iter().map(|x| 0.05 * x / level));
        speech.extend(&said[..whole / 160]);
        sound.extend(vec![0.0; pause]);
        speech.extend(vec![false; pause / 160]);
    }
    let gain = 0.05 * 10f32.powf(-decibels / 20.0);
    sound.iter_mut().zip(behind(what, speech.len() * 160)).for_each(|(x, noise)| *x += gain * noise);
    (Pcm::new(sound, RATE), speech)
}

/// The parts of speech that are missed, and of the rest that are taken for speech, away from changes.
fn faults(detection: &VoiceDetection, pcm: &Pcm, speech: &[bool]) -> (f64, f64) {
    let settings =
        VoiceActivity { threshold: 0.5, before: Duration::from_millis(100), silence: Duration::from_millis(100) };
    let mut found = vec![false; speech.len()];
    for stretch in detection.excerpt(settings, pcm).timeline.stretches() {
        let at = |seconds: f64| ((seconds * 100.0).round() as usize).min(found.len());
        let (start, end) = (at(stretch.start), at(stretch.end));
        found[start..end].fill(true);
    }
    let reach = (COLLAR * 100.0) as usize;
    let is_clear = |at: usize| {
        let around = &speech[at.saturating_sub(reach)..(at + reach).min(speech.len())];
        around.iter().all(|other| *other == speech[at])
    };
    let clear: Vec<usize> = (0..speech.len()).filter(|at| is_clear(*at)).collect();
    let part = |is: bool| {
        let of: Vec<_> = clear.iter().filter(|at| speech[**at] == is).collect();
        of.iter().filter(|at| found[***at] != is).count() as f64 / of.len().max(1) as f64
    };
    (part(true), part(false))
}

/// Ours always; Silero's where `SCONCE_TEST_SILERO` names its file. With `--nocapture` it prints what docs/AUDIO.md says.
#[test]
fn speech_is_found_before_silence_noise_and_music() {
    #[expect(clippy::disallowed_methods, reason = "a test is told by its caller where a network is")]
    let file = std::env::var_os("SCONCE_TEST_SILERO").map(PathBuf::from);
    let silero = file.map(|file| VoiceDetection::open(&file).unwrap());
    if silero.is_none() {
        eprintln!("SCONCE_TEST_SILERO names no file, so that Silero's network was not heard");
    }
    let recordings = recordings();
    for (what, decibels) in [
        (Behind::Silence, 0.0),
        (Behind::Noise, 20.0),
        (Behind::Noise, 10.0),
        (Behind::Noise, 5.0),
        (Behind::Hum, 10.0),
        (Behind::Music, 20.0),
        (Behind::Music, 10.0),
        (Behind::Music, 5.0),
    ] {
        let (pcm, speech) = mixture(&recordings, what, decibels);
        let ours = faults(&VoiceDetection::default(), &pcm, &speech);
        let theirs = silero.as_ref().map(|silero| faults(silero, &pcm, &speech));
        eprintln!("{what:?} {decibels} dB below: ours {ours:.3?}, Silero's {theirs:.3?}");
        if what != Behind::Music && decibels != 5.0 {
            assert!(ours.0 < 0.15 && ours.1 < 0.15, "{what:?} {decibels}: {ours:?}");
        }
        if let Some((missed, made_up)) = theirs {
            assert!(missed < 0.2 && made_up < 0.2, "{what:?} {decibels}: {theirs:?}");
        }
    }
}
