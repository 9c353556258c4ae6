use proptest::prelude::*;

use super::{
    super::{
        VoiceChange, VoiceDetector, decode,
        testing::{Dice, tone},
    },
    *,
};

const RATE: u32 = 16_000;

fn noise(level: f32, seconds: f64) -> Vec<f32> {
    let mut dice = Dice(7);
    (0..(seconds * f64::from(RATE)) as usize).map(|_| level * dice.noise()).collect()
}

/// A voice, as far as the detector can tell: harmonics that come and go four times a second.
fn voice(level: f64, seconds: f64) -> Vec<f32> {
    let mut sum = vec![0.0; (seconds * f64::from(RATE)).round() as usize];
    for harmonic in 1..24 {
        let partial = tone(140.0 * f64::from(harmonic), level / f64::from(harmonic), RATE, seconds);
        for (index, (sum, partial)) in sum.iter_mut().zip(partial).enumerate() {
            let syllable = (index as f64 / f64::from(RATE) * 4.0 * std::f64::consts::PI).sin().abs() as f32;
            *sum += partial * syllable;
        }
    }
    sum
}

fn seconds(stretches: &[Range<usize>]) -> Vec<(f64, f64)> {
    let seconds = |sample: usize| sample as f64 / f64::from(RATE);
    stretches.iter().map(|range| (seconds(range.start), seconds(range.end))).collect()
}

fn near(found: &[(f64, f64)], expected: &[(f64, f64)]) {
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!((found.0 - expected.0).abs() < 0.08 && (found.1 - expected.1).abs() < 0.08, "{found:?} {expected:?}");
    }
}

#[test]
fn nobody_speaks_in_silence_in_noise_and_in_nothing() {
    for samples in [vec![], vec![0.0; 3], vec![0.0; 80_000], noise(0.3, 20.0), noise(1e-5, 20.0)] {
        let excerpt = VoiceActivity::default().excerpt(&Pcm::new(samples.clone(), RATE));
        assert!(excerpt.pcm.samples().is_empty(), "{} of {}", excerpt.pcm.samples().len(), samples.len());
    }
}

#[test]
fn a_voice_is_found_between_silence_and_in_noise_however_loud_the_recording_is() {
    for gain in [1.0, 0.01] {
        for noisy in [0.0, 0.01] {
            let quiet = || noise(noisy, 3.0);
            let mut samples = [quiet(), voice(0.3, 2.0), quiet(), voice(0.3, 1.0), quiet()].concat();
            let hiss = noise(noisy, 12.0);
            samples.iter_mut().zip(hiss).for_each(|(sample, hiss)| *sample = (*sample + hiss) * gain);
            let found = VoiceActivity::default().stretches(&Pcm::new(samples, RATE));
            near(&seconds(&found), &[(2.7, 5.5), (7.7, 9.5)]);
        }
    }
}

#[test]
fn what_is_kept_around_speech_is_as_asked() {
    let samples = [vec![0.0; 16_000], voice(0.3, 1.0), vec![0.0; 16_000], voice(0.3, 1.0), vec![0.0; 16_000]].concat();
    let pcm = Pcm::new(samples, RATE);
    let asked = |before, silence| VoiceActivity {
        before: Duration::from_millis(before),
        silence: Duration::from_millis(silence),
        ..VoiceActivity::default()
    };
    near(&seconds(&asked(0, 100).stretches(&pcm)), &[(1.0, 2.1), (3.0, 4.1)]);
    near(&seconds(&asked(100, 950).stretches(&pcm)), &[(0.9, 4.95)]);
}

#[test]
fn thresholds_go_from_everything_to_nothing() {
    let pcm = Pcm::new([noise(0.01, 2.0), voice(0.3, 1.0), noise(0.01, 2.0)].concat(), RATE);
    let kept = |threshold| VoiceActivity { threshold, ..VoiceActivity::default() }.excerpt(&pcm).pcm.seconds();
    assert_eq!(kept(0.0), 5.0);
    assert_eq!(kept(1.0), 0.0);
    let between: Vec<f64> = [0.0, 0.2, 0.5, 0.8, 1.0].map(kept).to_vec();
    assert!(between.is_sorted_by(|a, b| a >= b), "{between:?}");
}

#[test]
fn times_lead_back_to_the_recording() {
    let stretch = |at, from, seconds| Stretch { at, from, seconds };
    let timeline = Timeline(vec![stretch(0.0, 1.0, 2.0), stretch(2.0, 10.0, 1.0)]);
    assert_eq!([0.0, 0.5, 2.0, 2.5, 9.0].map(|at| timeline.start(at)), [1.0, 1.5, 10.0, 10.5, 11.0]);
    assert_eq!([0.0, 0.5, 2.0, 2.5, 9.0].map(|at| timeline.end(at)), [1.0, 1.5, 3.0, 10.5, 11.0]);
    assert_eq!(Timeline(vec![]).start(0.7), 0.7);
}

/// What was really said, in every recording that the project ships, lies within the stretches.
#[test]
fn no_word_of_a_real_recording_is_lost() {
    #[derive(serde::Deserialize)]
    struct Truth {
        file: String,
        segments: Vec<Said>,
    }
    #[derive(serde::Deserialize)]
    struct Said {
        start: f64,
        end: f64,
    }
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/recordings");
    let truths: Vec<Truth> = serde_json::from_slice(&std::fs::read(folder.join("recordings.json")).unwrap()).unwrap();
    for truth in truths {
        let bytes = std::fs::read(folder.join(&truth.file)).unwrap();
        let pcm = decode(&bytes, None, RATE, Duration::from_secs(60)).unwrap().pcm;
        let found = seconds(&VoiceActivity::default().stretches(&pcm));
        for said in truth.segments {
            let within = |(start, end): &(f64, f64)| *start <= said.start && *end >= said.end.min(pcm.seconds());
            assert!(found.iter().any(within), "{}: {}..{} in {found:?}", truth.file, said.start, said.end);
            let live: Vec<_> = live(pcm.samples(), 480).iter().map(|(start, end)| (start - 0.3, *end)).collect();
            assert!(live.iter().any(within), "{}: {}..{} in {live:?}", truth.file, said.start, said.end);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn an_excerpt_is_what_its_timeline_says(levels in proptest::collection::vec(0u8..3, 1..12)) {
        let parts = levels.iter().map(|level| match level {
            0 => vec![0.0; 8_000],
            1 => noise(0.02, 0.5),
            _ => voice(0.4, 0.5),
        });
        let pcm = Pcm::new(parts.collect::<Vec<_>>().concat(), RATE);
        let Excerpt { pcm: kept, timeline } = VoiceActivity::default().excerpt(&pcm);
        for index in (0..kept.samples().len()).step_by(997) {
            let at = (timeline.start(index as f64 / f64::from(RATE)) * f64::from(RATE)).round() as usize;
            prop_assert_eq!(kept.samples()[index], pcm.samples()[at]);
        }
        let ends: Vec<f64> = (0..10).map(|tenth| timeline.end(kept.seconds() * f64::from(tenth) / 10.0)).collect();
        prop_assert!(ends.is_sorted() && ends.iter().all(|end| *end <= pcm.seconds()), "{:?}", ends);
    }
}

// === while the sound comes in ===

/// In seconds: where speech begins, and where its pause is over; the end of the sound where it is not.
fn live(samples: &[f32], piece: usize) -> Vec<(f64, f64)> {
    let mut detector = VoiceDetector::new(RATE, VoiceActivity::default());
    let mut found: Vec<Range<usize>> = Vec::new();
    for piece in samples.chunks(piece.max(1)) {
        detector.push(piece, |change| match change {
            VoiceChange::Started(at) => found.push(at as usize..samples.len()),
            VoiceChange::Stopped(at) => found.last_mut().unwrap().end = at as usize,
        });
    }
    seconds(&found)
}

#[test]
fn while_it_comes_in_nobody_speaks_in_silence_and_in_noise() {
    for samples in [vec![], vec![0.0; 3], vec![0.0; 80_000], noise(1e-5, 20.0), noise(0.005, 20.0)] {
        assert_eq!(live(&samples, 480), []);
    }
    // More noise than in a room, from the beginning: for a second nobody can tell.
    let found = live(&noise(0.3, 20.0), 480);
    assert!(found.len() == 1 && found[0].0 < 0.2 && found[0].1 < 1.7, "{found:?}");
}

#[test]
fn while_it_comes_in_a_voice_is_found_between_silence_and_in_noise() {
    for gain in [1.0, 0.03] {
        for noisy in [0.0, 0.01] {
            let quiet = || noise(noisy, 3.0);
            let mut samples = [quiet(), voice(0.3, 2.0), quiet(), voice(0.3, 1.0), quiet()].concat();
            let hiss = noise(noisy, 12.0);
            samples.iter_mut().zip(hiss).for_each(|(sample, hiss)| *sample = (*sample + hiss) * gain);
            near(&live(&samples, 1000), &[(3.0, 5.5), (8.0, 9.5)]);
        }
    }
}

#[test]
fn who_speaks_from_the_very_beginning_is_heard() {
    near(&live(&[voice(0.3, 2.0), vec![0.0; 16_000]].concat(), 160), &[(0.0, 2.5)]);
}

#[test]
fn how_sound_is_cut_into_pieces_makes_no_difference() {
    let samples = [noise(0.01, 1.0), voice(0.2, 1.3), noise(0.01, 2.0)].concat();
    let whole = live(&samples, samples.len());
    assert_eq!(whole.len(), 1);
    for piece in [1, 7, 159, 160, 161, 512, 4801] {
        assert_eq!(live(&samples, piece), whole, "{piece}");
    }
}

#[test]
fn after_a_rest_the_next_word_begins_anew() {
    let mut detector = VoiceDetector::new(RATE, VoiceActivity::default());
    let mut starts = 0;
    for _ in 0..3 {
        detector.push(&voice(0.3, 1.0), |change| starts += usize::from(matches!(change, VoiceChange::Started(_))));
        assert!(detector.speaks());
        detector.rest();
    }
    assert_eq!(starts, 3);
}
