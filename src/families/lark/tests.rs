//! A tiny voice and the shipped one beside the reference's answers, `training/lark/fixtures.py`.

use std::{fs, path::Path};

use bytes::Bytes;
use safetensors::SafeTensors;

use super::{
    error::{LONGEST_SENTENCE, LarkError},
    vocoder::Vocoder,
    voice::{Manner, Voice},
};
use crate::speech::Pronunciation;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/lark");
const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/models/lark.en");

/// A log magnitude that nobody hears.
const QUIET: f32 = -30.0;

/// What the reference made.
struct Reference {
    bytes: Vec<u8>,
}

// === impl Reference ===

impl Reference {
    fn open(name: &str) -> Self {
        Self { bytes: fs::read(format!("{FIXTURES}/{name}.safetensors")).unwrap() }
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        SafeTensors::deserialize(&self.bytes).unwrap().tensor(name).unwrap().data().to_vec()
    }

    fn floats(&self, name: &str) -> Vec<f32> {
        let bytes = self.bytes(name);
        bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect()
    }

    fn numbers(&self, name: &str) -> Vec<usize> {
        let bytes = self.bytes(name);
        bytes.chunks_exact(4).map(|four| i32::from_le_bytes(four.try_into().unwrap()) as usize).collect()
    }

    fn metadata(&self, key: &str) -> String {
        let (_, head) = SafeTensors::read_metadata(&self.bytes).unwrap();
        head.metadata().as_ref().unwrap()[key].clone()
    }
}

fn load(folder: &str) -> Voice {
    let read = |name: &str| fs::read(Path::new(folder).join(name)).unwrap();
    Voice::load(&read("config.json"), Bytes::from(read("model.safetensors")), &read("lexicon.bin")).unwrap()
}

fn tiny() -> Voice {
    load(&format!("{FIXTURES}/tiny"))
}

#[track_caller]
pub fn assert_close(what: &str, ours: &[f32], theirs: &[f32], tolerance: f32) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    for (place, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        assert!((ours - theirs).abs() <= tolerance, "{what} {place}: {ours}, not {theirs}");
    }
}

/// All that the networks say, beside the reference.
fn compare(voice: &Voice, reference: &Reference, tolerance: f32) {
    let ids = reference.bytes("ids");
    assert_eq!(
        voice.front.read(&reference.metadata("text"), &[]).unwrap().ids,
        ids,
        "{}",
        reference.metadata("sounds")
    );
    let plan = voice.net.plan(&ids, 1.0).unwrap();
    assert_eq!(plan.lengths, reference.numbers("lengths"));
    assert_close("pitch", &plan.f0, &reference.floats("f0"), tolerance * 200.0);
    let bands = voice.net.decode(&plan, 0..plan.steps()).unwrap();
    assert_close("bands", &bands, &reference.floats("bands"), tolerance);
}

#[test]
fn the_tiny_voice_says_what_the_reference_says() {
    let (voice, reference) = (tiny(), Reference::open("tiny"));
    compare(&voice, &reference, 1e-3);
    let letters = voice.front.read("larks", &[]).unwrap().ids;
    assert_eq!(letters[1..letters.len() - 1], reference.bytes("word.larks"), "a word that the lexicon lacks");
}

#[test]
fn the_shipped_voice_says_what_the_reference_says() {
    let (voice, reference) = (load(SHIPPED), Reference::open("shipped"));
    compare(&voice, &reference, 5e-3);
    for word in ["sconce", "brillig", "zyzzyva"] {
        let said = voice.front.alphabet().spell(&reference.bytes(&format!("word.{word}")));
        let ours = voice.front.letters().guess(word).unwrap();
        assert_eq!(voice.front.alphabet().spell(&ours), said, "{word}");
    }
}

#[test]
fn the_shipped_voice_fits_into_the_program() {
    let files = ["config.json", "model.safetensors", "lexicon.bin"];
    let bytes: u64 = files.iter().map(|name| fs::metadata(Path::new(SHIPPED).join(name)).unwrap().len()).sum();
    assert!(bytes <= 8_000_000, "{bytes} bytes");
}

#[test]
fn the_shipped_voice_speaks_at_a_plausible_pace_and_loudness() {
    let voice = load(SHIPPED);
    let samples = speak(&voice, "The river is wide here, and nobody knows how deep it may be.", 1.0, 1);
    let seconds = samples.len() as f32 / voice.sample_rate() as f32;
    assert!((2.5..6.0).contains(&seconds), "{seconds} seconds");
    let loudest = samples.iter().fold(0.0_f32, |loudest, sample| loudest.max(sample.abs()));
    assert!((0.1..1.0).contains(&loudest), "the loudest sample is {loudest}");
}

#[test]
fn the_harmonics_sound_as_the_reference_has_them() {
    let (voice, reference) = (tiny(), Reference::open("tiny"));
    let mut bands = reference.floats("bands");
    let half = voice.signal.bands();
    bands.chunks_exact_mut(2 * half).for_each(|row| row[half..].fill(QUIET));
    let (mut vocoder, mut samples) = (Vocoder::new(&voice.signal, &reference.floats("f0"), 1), Vec::new());
    vocoder.push(&bands, &mut samples);
    vocoder.finish(&mut samples);
    assert_close("sample", &samples, &reference.floats("samples"), 2e-4);
}

#[test]
fn noise_has_the_power_that_its_bands_say() {
    let signal = tiny().signal;
    let frames = 80;
    let row = [vec![QUIET; signal.bands()], vec![0.5_f32.ln(); signal.bands()]].concat();
    let (mut vocoder, mut samples) = (Vocoder::new(&signal, &vec![0.0; frames], 3), Vec::new());
    vocoder.push(&row.repeat(frames), &mut samples);
    vocoder.finish(&mut samples);
    let inner = &samples[signal.window..samples.len() - signal.window];
    let power = inner.iter().map(|x| x * x).sum::<f32>() / inner.len() as f32;
    // Each bin of power ¼, through a window whose square is 3/8 on average and a sum that divides by 3/2.
    let expected = 0.25 / signal.window as f32 * 0.375 * (signal.window / signal.hop) as f32 / (1.5 * 1.5);
    assert!((power / expected - 1.0).abs() < 0.1, "{power}, where {expected} was expected");
}

#[test]
fn blocks_are_cut_out_of_the_whole() {
    assert_blocks_are_cut_out_of_the_whole(&tiny());
}

pub fn assert_blocks_are_cut_out_of_the_whole(voice: &Voice) {
    let ids = voice.front.read("Hello there, hello, the apple to the lark", &[]).unwrap().ids;
    let plan = voice.net.plan(&ids, 0.5).unwrap();
    let whole = voice.net.decode(&plan, 0..plan.steps()).unwrap();
    let width = whole.len() / plan.steps();
    for size in [1, 7, 24] {
        for start in (0..plan.steps()).step_by(size) {
            let steps = start..(start + size).min(plan.steps());
            let part = voice.net.decode(&plan, steps.clone()).unwrap();
            assert_close("block", &part, &whole[steps.start * width..steps.end * width], 1e-4);
        }
    }
}

fn speak(voice: &Voice, text: &str, speed: f32, seed: u64) -> Vec<f32> {
    voice.synthesize(text, &[], manner(speed, seed)).unwrap().flat_map(Result::unwrap).collect()
}

fn manner(speed: f32, seed: u64) -> Manner {
    Manner { speed, pitch: 0.0, seed }
}

#[test]
fn a_seed_fixes_every_sample_and_another_changes_the_noise() {
    let (voice, text) = (tiny(), "the lark, the lark, the lark");
    let first = speak(&voice, text, 1.0, 7);
    assert_eq!(first, speak(&voice, text, 1.0, 7));
    let other = speak(&voice, text, 1.0, 8);
    assert_eq!(first.len(), other.len());
    assert_ne!(first, other);
    assert!(first.iter().all(|sample| sample.is_finite()));
}

#[test]
fn speed_is_honoured() {
    let (voice, text) = (tiny(), "hello there, hello there, hello there");
    let [slow, plain, fast] = [0.5, 1.0, 2.0].map(|speed| speak(&voice, text, speed, 1).len() as f32);
    assert!((slow / plain - 2.0).abs() < 0.2, "{slow} samples at half the speed of {plain}");
    // A sound lasts one step at least, so the fast one cannot quite follow.
    assert!((1.3..=2.2).contains(&(plain / fast)), "{fast} samples at twice the speed of {plain}");
}

#[test]
fn the_first_block_is_short_and_all_blocks_make_the_length() {
    let voice = tiny();
    let utterance = voice.synthesize("hello there, the apple to the lark", &[], manner(0.25, 1)).unwrap();
    let steps: usize = utterance.lengths().iter().sum();
    let blocks: Vec<usize> = utterance.map(|block| block.unwrap().len()).collect();
    let signal = &voice.signal;
    assert!(blocks.len() > 2, "{blocks:?}");
    assert!(blocks[0] > 0 && blocks[0] < signal.sample_rate, "the first block has {} samples", blocks[0]);
    assert_eq!(blocks.iter().sum::<usize>(), steps * signal.frames_per_step * signal.hop);
}

#[test]
fn what_cannot_be_said_is_refused() {
    let voice = tiny();
    for nothing in ["", "   ", "?!", "🎵", "123", "…"] {
        assert!(matches!(voice.synthesize(nothing, &[], manner(1.0, 1)), Err(LarkError::Nothing)), "{nothing:?}");
    }
    let long = "lark ".repeat(LONGEST_SENTENCE);
    assert!(matches!(voice.synthesize(&long, &[], manner(1.0, 1)), Err(LarkError::TooLong(_))));
    for speed in [0.0, -1.0, 0.1, 5.0, f32::NAN, f32::INFINITY] {
        assert!(matches!(voice.synthesize("lark", &[], manner(speed, 1)), Err(LarkError::Speed(_))), "{speed}");
    }
}

#[test]
fn marks_cling_and_small_words_mind_what_follows() {
    let voice = tiny();
    let said = |text: &str| {
        let ids = voice.front.read(text, &[]).unwrap().ids;
        voice.front.alphabet().spell(&ids[1..ids.len() - 1])
    };
    assert_eq!(said("Hello — the apple; THE LARK!"), "həlˈO— ði ˈæpᵊl; ðə lˈɑɹk!");
    assert_eq!(said("to the lark to apple"), "tə ðə lˈɑɹk tu ˈæpᵊl");
    assert_eq!(said("(lark) 'lark' \"lark\""), "lˈɑɹk lˈɑɹk lˈɑɹk");
    assert_eq!(said("lark's lark’s"), "lˈɑɹks lˈɑɹks");
    assert_eq!(said("BX"), "bˈiˈɛks", "letters by their names");
}

#[test]
fn a_word_sounds_as_its_pronunciation_says() {
    let voice = load(SHIPPED);
    let said = |text: &str, range: std::ops::Range<usize>, ipa: &str| {
        let pronunciation = Pronunciation { range, ipa: ipa.to_owned() };
        let phrase = voice.front.read(text, &[pronunciation]);
        phrase.map(|phrase| voice.front.alphabet().spell(&phrase.ids[1..phrase.ids.len() - 1]))
    };
    assert_eq!(said("a tomato.", 2..8, "təˈmɑːtoʊ").unwrap(), "ə təmˈɑtO.");
    assert_eq!(said("gif", 0..3, "/d͡ʒɪf/").unwrap(), "ʤɪf");
    assert_eq!(said("rare, chair", 6..11, "t͡ʃeɪɚ").unwrap().split(' ').next_back().unwrap(), "ʧAəɹ");
    let error = said("fuß", 0..4, "fyːs").unwrap_err().to_string();
    assert!(error.starts_with("'y' in the pronunciation \"fyːs\" is no sound"), "{error}");
    assert!(said("x", 0..1, "a!").is_err(), "a mark is no sound");
}

#[test]
fn words_lie_where_they_are_heard() {
    let voice = load(SHIPPED);
    let text = "Good morning, it is half past seven.";
    let utterance = voice.synthesize(text, &[], manner(1.0, 1)).unwrap();
    let steps: usize = utterance.lengths().iter().sum();
    let marks = utterance.into_marks();
    let words: Vec<&str> = marks.iter().map(|mark| mark.text.as_str()).collect();
    assert_eq!(words, ["Good", "morning", "it", "is", "half", "past", "seven"]);
    let mut before = 0.0;
    for mark in &marks {
        assert!(before <= mark.start && mark.start < mark.end, "{mark:?}");
        before = mark.end;
    }
    assert!(marks[0].start > 0.0, "there is silence at the beginning");
    assert!(before <= steps as f64 * 0.025, "{before}");
    let slow = voice.synthesize(text, &[], manner(0.5, 1)).unwrap().into_marks();
    assert!((slow[6].end / before - 2.0).abs() < 0.2, "{} {before}", slow[6].end);
}

#[test]
fn pitch_moves_the_voice_and_nothing_else() {
    let voice = load(SHIPPED);
    let say = |pitch| -> Vec<f32> {
        let manner = Manner { pitch, ..manner(1.0, 1) };
        voice.synthesize("Are you all here now?", &[], manner).unwrap().flat_map(Result::unwrap).collect()
    };
    let [low, plain, high] = [-12.0, 0.0, 12.0].map(|pitch| {
        let samples = say(pitch);
        assert_eq!(samples.len(), say(0.0).len());
        period(&samples)
    });
    assert!((low / plain - 2.0).abs() < 0.2 && (plain / high - 2.0).abs() < 0.2, "{low} {plain} {high}");
}

/// Samples after which the loudest tenth of a second is most like itself.
fn period(samples: &[f32]) -> f32 {
    let size = 2400;
    let power = |at: &usize| samples[*at..at + size].iter().map(|x| x * x).sum::<f32>();
    let at = (0..samples.len() - 2 * size).step_by(240).max_by(|a, b| power(a).total_cmp(&power(b))).unwrap();
    let like = |lag: usize| {
        let (one, other) = (&samples[at..at + size], &samples[at + lag..at + lag + size]);
        one.iter().zip(other).map(|(a, b)| a * b).sum::<f32>() / (power(&at) * power(&(at + lag))).sqrt()
    };
    // The first of those that are nearly as like as the likest: a double period is as like.
    let likest = (40..480).map(like).fold(0.0, f32::max);
    (40..480).find(|&lag| like(lag) > 0.85 * likest && like(lag) >= like(lag + 1)).unwrap() as f32
}

#[test]
fn files_that_do_not_fit_are_refused_with_a_reason() {
    let read = |name: &str| fs::read(format!("{FIXTURES}/tiny/{name}")).unwrap();
    let (config, weights, lexicon) = (read("config.json"), Bytes::from(read("model.safetensors")), read("lexicon.bin"));
    let text = String::from_utf8(config.clone()).unwrap();
    let cases = [
        (r#""model_type": "lark""#, r#""model_type": "whisper""#, "model_type"),
        (r#""hop": 300"#, r#""hop": 301"#, "hops"),
        (r#""kernel": 7"#, r#""kernel": 6"#, "out of range"),
        (r#""width": 24"#, r#""width": 25"#, "has the shape"),
        (r#""sample_rate": 24000"#, r#""sample_rate": 1"#, "sample_rate"),
        (r#""voiced": 40.0"#, r#""voiced": 0"#, "voiced"),
    ];
    for (from, to, reason) in cases {
        assert!(text.contains(from), "{from}");
        let error = Voice::load(text.replace(from, to).as_bytes(), weights.clone(), &lexicon).unwrap_err().to_string();
        assert!(error.contains(reason), "{to}: {error}");
    }
    assert!(Voice::load(b"{", weights.clone(), &lexicon).is_err());
    assert!(Voice::load(&config, weights.slice(..100), &lexicon).is_err());
    assert!(Voice::load(&config, weights, &lexicon[..20]).is_err());
}
