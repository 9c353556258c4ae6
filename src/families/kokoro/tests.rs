use std::fs;

use candle_core::Device;
use serde_json::Value;

use super::{
    options::Manner,
    text::{FrontEnd, LONGEST, parts},
    *,
};
use crate::{
    families::{
        fixtures::{folder, programs},
        onnx::Says,
    },
    model::{Backing, Location},
    speech::{Pronunciation, Synthesize, SynthesizeOptions, VoiceInput},
};

fn files() -> ModelFiles {
    let mut files = ModelFiles::default();
    let mut put = |from: &str, to: &str| files.insert(MODEL, to, Location::Disk(folder("kokoro").join(from)));
    put("model.onnx", "onnx/model.onnx");
    put("af_anna.bin", "voices/af_anna.bin");
    put("bm_ben.bin", "voices/bm_ben.bin");
    files
}

fn all_voices() -> Voices {
    voices(&KokoroFiles::of(&files()).expect("files"), &files()).expect("voices")
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
        Ok(program) => Some(FrontEnd::new(program, Vocabulary::default())),
        Err(error) => {
            println!("skipped: {error}");
            None
        }
    }
}

/// What is asked for, and what is said of it.
type Change = (fn(&mut SynthesizeOptions), &'static str);

#[test]
fn sounds_are_written_as_misaki_writes_them() {
    let Some(front_end) = front_end() else { return };
    let all: Value =
        serde_json::from_slice(&fs::read(folder("kokoro").join("sounds.json")).expect("fixture")).expect("JSON");
    let version = programs().survey(&PROGRAM).expect("espeak-ng").version;
    if all["espeak-ng"] != version.as_str() {
        println!("skipped: espeak-ng {version} is not that of the fixture, {}", all["espeak-ng"]);
        return;
    }
    let mut compared = 0;
    for row in all["rows"].as_array().expect("rows") {
        let field = |name: &str| row[name].as_str().expect("a text");
        let code = field("language");
        let letter = ["af_", "bf_", "ef_", "ff_", "if_", "pf_", "hf_"]
            .into_iter()
            .find(|voice| language::of_voice(voice).code == Some(code))
            .expect("a language");
        let said = front_end.sounds(field("text"), code, language::of_voice(letter)).expect("sounds");
        assert_eq!(said, field("sounds"), "{code}: {}", field("text"));
        compared += 1;
    }
    assert_eq!(compared, 18);
}

#[test]
fn a_writer_may_say_how_a_stretch_sounds() {
    let Some(front_end) = front_end() else { return };
    let english = language::of_voice("af_anna");
    let read = |text: &str, pronunciations: &[Pronunciation]| front_end.read(text, pronunciations, english);
    let tomato = Pronunciation { range: 4..10, ipa: "təmˈɑːtoʊ".to_owned() };
    let vocabulary = Vocabulary::default();
    let numbers: Vec<i64> = "ðə təmˈɑtO, ɹˈIp.".chars().filter_map(|symbol| vocabulary.number(symbol)).collect();
    let expected = [[0].as_slice(), &numbers, &[0]].concat();
    assert_eq!(read("The tomato, ripe.", &[tomato]).expect("sounds"), [expected]);
    let refused = read("… — !", &[]).unwrap_err().to_string();
    assert!(refused.contains("nothing that can be spoken"), "{refused}");
    let japanese = front_end.read("a", &[], language::of_voice("jf_alpha")).unwrap_err().to_string();
    assert!(japanese.contains("Japanese cannot be spoken"), "{japanese}");
}

#[test]
fn what_is_too_long_is_cut_where_it_hurts_least() {
    let cut = |text: &str| {
        let symbols: Vec<char> = text.chars().collect();
        parts(&symbols).into_iter().map(|part| part.iter().collect::<String>()).collect::<Vec<_>>()
    };
    assert_eq!(cut("a b."), ["a b."]);
    for (mark, kept) in [(". ", "."), (", ", ","), (" ", " ")] {
        let text = format!("{}{mark}{}", "a".repeat(400), "b".repeat(400));
        let parts = cut(&text);
        assert_eq!(parts.concat(), text);
        assert!(parts.len() == 2 && parts[0].ends_with(kept), "{mark:?}");
    }
    let unbroken = cut(&"a".repeat(2 * LONGEST + 1));
    assert_eq!(unbroken.iter().map(String::len).collect::<Vec<_>>(), [LONGEST, LONGEST, 1]);
}

#[test]
fn what_is_asked_is_checked_by_name() {
    let voices = all_voices();
    let manner = |change: fn(&mut SynthesizeOptions)| {
        let mut options = SynthesizeOptions::default();
        change(&mut options);
        Manner::of(&options, &voices).map_err(|error| error.to_string())
    };
    let named = |name: &str| Some(VoiceInput::Named(name.to_owned()));
    let of = |name: &str| Manner::of(&SynthesizeOptions { voice: named(name), ..Default::default() }, &voices);
    assert_eq!(manner(|_| {}).expect("usual").voice, of("af_anna").expect("named").voice);
    assert_eq!(of("bm_ben").expect("named").language.tag, "en-GB");
    let (a, b, blend) = (of("af_anna").unwrap(), of("bm_ben").unwrap(), of("af_anna(3)+bm_ben(1)").unwrap());
    for at in [0, 100, 255] {
        let between = 0.75 * a.voice.style(7)[at] + 0.25 * b.voice.style(7)[at];
        assert!((blend.voice.style(7)[at] - between).abs() < 1e-6);
    }
    let unknown = of("af_anna+cleo").unwrap_err().to_string();
    assert_eq!(unknown, "there is no voice \"cleo\"; there is af_anna, bm_ben");
    let cases: [Change; 3] = [
        (|o| o.speed = Some(3.0), "the speed 3 is out of range; 0.5 to 2 are possible"),
        (|o| o.language = Some("de".to_owned()), "does not speak de; it speaks en-US"),
        (|o| drop(o.options.insert("pitch".to_owned(), 3.into())), "there is no option \"pitch\""),
    ];
    for (change, said) in cases {
        let error = manner(change).unwrap_err();
        assert!(error.contains(said), "{said}: {error}");
    }
}

#[test]
fn voices_are_described_and_blends_are_theirs() {
    let described = Kokoro::ANY.described("x", &files(), &Programs::default()).expect("files");
    assert!(described.is_none(), "nothing but the name of the network says what it is");
    let mut named = files();
    named.insert(MODEL, "config.json", Location::Embedded(br#"{"model_type": "style_text_to_speech_2"}"#));
    let described = || Kokoro::ANY.described("x", &named, &Programs::default()).expect("files").expect("a model");
    let names: Vec<&str> = described().voices().iter().map(|voice| voice.name).collect();
    assert_eq!(names, ["af_anna", "bm_ben"]);
    assert!(std::ptr::eq(described().voices(), described().voices()));
    for (voice, known) in [("af_anna", true), ("af_anna(2)+bm_ben", true), ("af_anna+cleo", false), ("cleo", false)] {
        assert_eq!(described().has_voice(voice), Some(known), "{voice}");
    }
    assert_eq!(Kokoro::ANY.has_voice("cleo"), None);
}

#[test]
fn a_network_speaks_in_the_style_of_a_voice() {
    let Some(front_end) = front_end() else { return };
    if let Err(error) = onnx::check_library(&programs(), true) {
        println!("skipped: {error}");
        return;
    }
    let bytes = files().open(MODEL, "onnx/model.onnx").expect("file");
    let network = Network::open("onnx/model.onnx", &bytes, &SIGNATURE, &place()).expect("a network");
    let mut speech = Speech { network, front_end, voices: all_voices() };
    let mut said = |voice: &str, speed: f32, seed: u64| {
        let options = SynthesizeOptions {
            voice: Some(VoiceInput::Named(voice.to_owned())),
            speed: Some(speed),
            seed: Some(seed),
            ..SynthesizeOptions::default()
        };
        let asked = Synthesize { text: "Good morning to you all.".to_owned(), options, ..Synthesize::default() };
        let parts = speech.parts(&asked).expect("parts");
        assert_eq!(parts.len(), 1);
        parts.into_iter().map(|part| speech.say(part).expect("a sound")).next().expect("a part")
    };
    let anna = said("af_anna", 1.0, 1);
    assert!(anna.rate() == 24_000 && anna.seconds() > 0.1, "{}", anna.seconds());
    assert_eq!(said("af_anna", 1.0, 1), anna, "a seed is one sound");
    assert_ne!(said("af_anna", 1.0, 2), anna, "it draws numbers by chance");
    assert!(said("af_anna", 2.0, 1).seconds() < anna.seconds());
    let blend = said("af_anna+bm_ben", 1.0, 1);
    assert!(blend != anna && blend != said("bm_ben", 1.0, 1));
}
