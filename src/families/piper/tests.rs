use std::{collections::BTreeSet, fs};

use candle_core::Device;
use serde_json::Value;

use super::{
    config::VoiceConfig,
    options::Manner,
    text::{FrontEnd, joined, letters},
    voice::{Sentence, Voice},
    *,
};
use crate::{
    families::{
        espeak_ng::Clause,
        fixtures::{folder, programs},
        onnx::Says,
    },
    model::{Backing, Location},
    speech::{Pronunciation, SynthesizeOptions},
};

fn fixture(name: &str) -> Value {
    serde_json::from_slice(&fs::read(folder("piper").join(name)).expect("fixture")).expect("JSON")
}

fn voice(name: &str) -> VoiceConfig {
    serde_json::from_value(fixture(name)).expect("a voice")
}

/// The tiny voice; `config`: what is known of it.
fn files(config: &str) -> ModelFiles {
    let mut files = ModelFiles::default();
    files.insert(MODEL, "voice.onnx", Location::Disk(folder("piper").join("voice.onnx")));
    files.insert(CONFIG, config, Location::Disk(folder("piper").join(config)));
    files
}

fn place() -> Placement {
    Placement {
        device: Device::Cpu,
        dtype: Precision::F32,
        weights: Backing::Mapped,
        threads: 1,
        max_batch: 2,
        residency: Default::default(),
        references: Default::default(),
        programs: programs(),
    }
}

fn front_end() -> Option<FrontEnd> {
    match programs().survey(&PROGRAM) {
        Ok(program) => {
            Some(FrontEnd::new(voice("voice.onnx.json"), Some(EspeakPhonemizer::new(program))).expect("voice"))
        }
        Err(error) => {
            println!("skipped: {error}");
            None
        }
    }
}

/// The tiny voice that reads letters, with the library of this machine.
fn speaker() -> Option<Voice> {
    if let Err(error) = onnx::check_library(&programs(), true) {
        println!("skipped: {error}");
        return None;
    }
    let (place, files) = (place(), files("letters.onnx.json"));
    let network = Network::open("voice.onnx", &files.open(MODEL, "voice.onnx").expect("file"), &SIGNATURE, &place);
    let front_end = FrontEnd::new(voice("letters.onnx.json"), None).expect("a voice");
    Some(Voice { network: network.expect("a network"), front_end })
}

/// What is asked for, and what is said of it.
type Change = (fn(&mut SynthesizeOptions), &'static str);

#[test]
fn sounds_have_the_numbers_that_the_reference_gives_them() {
    let front_end = FrontEnd::new(voice("letters.onnx.json"), None).expect("voice");
    let mut compared = 0;
    for row in fixture("front.json")["rows"].as_array().expect("rows") {
        let clause = |it: &Value| Clause {
            phonemes: it[0].as_str().expect("sounds").to_owned(),
            mark: it[1].as_str().expect("a mark").chars().next(),
            ends_sentence: it[2].as_bool().expect("a flag"),
        };
        let clauses: Vec<Clause> = row["clauses"].as_array().expect("clauses").iter().map(clause).collect();
        let symbols = joined(&clauses).into_iter().map(|sentence| front_end.merged(letters(&sentence)));
        let ids: Vec<Vec<i64>> = symbols.filter_map(|symbols| front_end.ids(&symbols)).collect();
        assert_eq!(serde_json::to_value(ids).expect("JSON"), row["ids"], "{}", row["text"]);
        compared += 1;
    }
    assert!(compared > 24);
}

#[test]
fn sentences_have_the_numbers_that_the_reference_gives_them() {
    let Some(_) = front_end() else { return };
    let all = fixture("front.json");
    let program = programs().survey(&PROGRAM).expect("espeak-ng");
    if all["espeak-ng"] != program.version.as_str() {
        println!("skipped: espeak-ng {} is not that of the fixture, {}", program.version, all["espeak-ng"]);
        return;
    }
    let mut compared = BTreeSet::new();
    for row in all["rows"].as_array().expect("rows").iter().filter(|row| row["same"] == true) {
        let language = row["voice"].as_str().expect("a voice");
        let mut config = voice("voice.onnx.json");
        config.espeak.voice = language.to_owned();
        let front_end = FrontEnd::new(config, Some(EspeakPhonemizer::new(program.clone()))).expect("voice");
        let text = row["text"].as_str().expect("a text");
        let ids = front_end.read(text, &[]).expect("sounds");
        assert_eq!(serde_json::to_value(ids).expect("JSON"), row["ids"], "{language}: {text}");
        compared.insert((language, text));
    }
    assert!(compared.len() >= 20, "{}", compared.len());
}

#[test]
fn a_writer_may_say_how_a_stretch_sounds() {
    let Some(front_end) = front_end() else { return };
    let text = "The tomato, ripe.";
    let said = |ipa: &str| {
        let pronunciation = Pronunciation { range: 4..10, ipa: ipa.to_owned() };
        front_end.read(text, &[pronunciation]).expect("sounds")
    };
    let ids = |symbols: &str| front_end.ids(&letters(symbols)).expect("sounds");
    assert_eq!(said("təmˈɑːtoʊ"), [ids("ðˈə təmˈɑːtoʊ, ɹˈaɪp.")]);
    let last = Pronunciation { range: 4..10, ipa: "təmˈɑːtoʊ".to_owned() };
    let two = front_end.read("One, tomato! Two.", &[Pronunciation { range: 5..11, ..last }]).expect("sounds");
    assert_eq!(two, [ids("wˈʌn, təmˈɑːtoʊ!"), ids("tˈuː.")]);
    let first = Pronunciation { range: 0..3, ipa: "ðiː".to_owned() };
    assert_eq!(front_end.read("The end.", &[first]).expect("sounds"), [ids("ðiː ˈɛnd.")]);
}

#[test]
fn letters_are_read_as_they_are_and_what_is_unknown_is_left_out() {
    let front_end = FrontEnd::new(voice("letters.onnx.json"), None).expect("voice");
    let read = |text| front_end.read(text, &[]).expect("letters");
    let ids = |symbols: &str| front_end.ids(&letters(symbols)).expect("letters");
    assert_eq!(read("a b! c!"), [ids("a b!"), ids("c!")], "a sentence each");
    assert_eq!(ids("ab"), [1, 0, 14, 0, 15, 0, 2], "pads between all");
    assert_eq!(read("a漢b"), read("ab"));
    assert_eq!(ids("é").len(), 7, "an accent is a symbol of its own");
    let refused = front_end.read("漢字 … !", &[]).unwrap_err().to_string();
    assert!(refused.contains("nothing that can be spoken"), "{refused}");
    let long = read(&"abcd ".repeat(1000));
    assert!(long.len() > 5 && long.iter().all(|ids| ids.len() <= 2 * 800 + 3), "{}", long.len());
}

#[test]
fn clusters_are_one_symbol() {
    let mut config = voice("letters.onnx.json");
    config.vowel_clusters = vec![vec!["o".to_owned(), "ʊ".to_owned()]];
    let front_end = FrontEnd::new(config, None).expect("voice");
    assert_eq!(front_end.merged(letters("toʊ oʊ")), ["t", "oʊ", " ", "oʊ"]);
}

#[test]
fn what_is_asked_is_checked_by_name() {
    let config = voice("voice.onnx.json");
    let manner = |change: fn(&mut SynthesizeOptions)| {
        let mut options = SynthesizeOptions::default();
        change(&mut options);
        Manner::of(&options, &config).map_err(|error| error.to_string())
    };
    let usual = manner(|_| {}).expect("a manner");
    assert_eq!((usual.length_scale, usual.noise_scale, usual.speaker), (1.5, 0.667, 0));
    assert_eq!(manner(|o| o.speed = Some(2.0)).expect("a manner").length_scale, 0.75);
    let named = manner(|o| o.voice = Some(crate::speech::VoiceInput::Named("cleo".to_owned()))).expect("a manner");
    assert_eq!(named.speaker, 2);
    for language in ["en", "en-GB", "English"] {
        let options = SynthesizeOptions { language: Some(language.to_owned()), ..Default::default() };
        assert!(Manner::of(&options, &config).is_ok(), "{language}");
    }
    let cases: [Change; 5] = [
        (|o| o.voice = Some(crate::speech::VoiceInput::Named("zoe".to_owned())), "there is anna, ben, cleo"),
        (|o| o.language = Some("de".to_owned()), "this voice speaks en-US, not de"),
        (|o| o.speed = Some(0.01), "the speed 0.01 is out of range; 0.15 to 15.00 are possible"),
        (|o| drop(o.options.insert("noise_w".to_owned(), 3.into())), "noise_w is 3; 0 to 2 would be right"),
        (|o| drop(o.options.insert("pitch".to_owned(), 3.into())), "unknown field `pitch`"),
    ];
    for (change, said) in cases {
        let error = manner(change).unwrap_err();
        assert!(error.contains(said), "{said}: {error}");
    }
}

#[test]
fn a_network_makes_the_sound_that_the_reference_makes() {
    let Some(mut speaker) = speaker() else { return };
    let expected = fixture("expected.json");
    let ids: Vec<i64> = serde_json::from_value(expected["ids"].clone()).expect("numbers");
    let sound: Vec<f32> = serde_json::from_value(expected["sound"].clone()).expect("samples");
    let loudest = sound.iter().fold(0.0_f32, |loudest, sample| loudest.max(sample.abs()));
    let manner = Manner { noise_scale: 0.0, length_scale: 1.5, noise_w: 0.0, speaker: 1, seed: 1 };
    let mut said = |manner| speaker.say(Sentence { symbols: ids.clone(), manner }).expect("a sound");
    let found = said(manner);
    assert_eq!((found.samples().len(), found.rate()), (sound.len(), 16_000));
    for (found, expected) in found.samples().iter().zip(&sound) {
        assert!((found - expected / loudest).abs() < 1e-5, "{found} {expected}");
    }
    assert_ne!(said(Manner { speaker: 2, ..manner }), found, "another speaker");
}

#[test]
fn a_seed_is_one_sound() {
    let Some(mut speaker) = speaker() else { return };
    let ids = speaker.front_end.read("a seed is one sound", &[]).expect("letters").remove(0);
    let manner = |seed| Manner { noise_scale: 0.7, length_scale: 1.5, noise_w: 0.8, speaker: 0, seed };
    let mut sound = |seed| speaker.say(Sentence { symbols: ids.clone(), manner: manner(seed) }).expect("a sound");
    let (first, other) = (sound(1), sound(2));
    assert_eq!(sound(1), first);
    assert_ne!(other, first);
    assert_eq!(sound(2), other);
}

#[test]
fn speakers_are_voices_and_alike_descriptions_are_one() {
    let described = || Piper::ANY.described("voice", &files("voice.onnx.json"), &Programs::default());
    let (first, again) = (described().expect("voice").expect("voice"), described().expect("voice").expect("voice"));
    let names: Vec<&str> = first.voices().iter().map(|voice| voice.name).collect();
    assert_eq!((names, first.voices()[0].sample_rate), (vec!["anna", "ben", "cleo"], 16_000));
    assert_eq!(first.voices()[0].languages, ["en-US"]);
    assert!(std::ptr::eq(first.voices(), again.voices()));
    assert!(first.program().is_some());
    let letters = Piper::ANY.described("voice", &files("letters.onnx.json"), &Programs::default());
    assert!(letters.expect("voice").expect("voice").program().is_none(), "nobody has to tell sounds");
    assert!(Piper::ANY.described("x", &ModelFiles::default(), &Programs::default()).expect("nothing").is_none());
}
