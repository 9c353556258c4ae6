use std::fs;

use candle_core::Device;
use serde_json::Value;

use super::{
    bert::Wordpieces,
    options::Manner,
    text::{Place, Utterance},
    voice::Sentence,
    *,
};
use crate::{
    families::{
        fixtures::{folder, programs},
        onnx::Says,
    },
    model::{Backing, Location},
    speech::{SynthesizeOptions, VoiceInput},
};

fn bytes(name: &str) -> Vec<u8> {
    fs::read(folder("vosk_tts").join(name)).expect("fixture")
}

fn fixture(name: &str) -> Value {
    serde_json::from_slice(&bytes(name)).expect("JSON")
}

/// A model of a form, as it is published.
fn files(form: &str) -> ModelFiles {
    let network = match form {
        "streams" | "placed" => "streams.onnx",
        "bertless" => "bertless.onnx",
        _ => "row.onnx",
    };
    let mut files = ModelFiles::default();
    let mut add = |name: &str, from: &str| {
        files.insert(PART, name, Location::Disk(folder("vosk_tts").join(from)));
    };
    add(NETWORK, network);
    add(CONFIG, &format!("{form}.json"));
    add(DICTIONARY, "dictionary");
    if form != "bertless" {
        add(repository::VOCABULARY, "vocab.txt");
        add(repository::BERT, "bert.onnx");
    }
    files
}

fn front_end(form: &str) -> FrontEnd {
    let config = config(&files(form)).expect("a configuration");
    let dictionary = Dictionary::read(bytes("dictionary").into(), |phone| config.knows(phone)).expect("words");
    FrontEnd { config, dictionary }
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

/// A model with the library of this machine.
fn voice(form: &str) -> Option<Voice> {
    if let Err(error) = onnx::check_library(&programs(), true) {
        println!("skipped: {error}");
        return None;
    }
    let (place, files) = (place(), files(form));
    let network = Network::open(NETWORK, &files.open(PART, NETWORK).expect("file"), &SIGNATURE, &place);
    let network = network.expect("a network");
    let bert = Bert::load(&files, &place, network.takes(voice::BERT)).expect("a BERT");
    Some(Voice { network, bert, front_end: front_end(form) })
}

/// What is asked for, and what is said of it.
type Change = (fn(&mut SynthesizeOptions), &'static str);

fn one(front_end: &FrontEnd, text: &str, has_bert: bool) -> Utterance {
    let mut all = front_end.read(text, has_bert).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(all.len(), 1, "{text}");
    all.remove(0)
}

#[test]
fn symbols_and_the_words_that_they_are_of_are_those_of_the_reference() {
    let wordpieces = Wordpieces::read(&bytes("vocab.txt")).expect("a vocabulary");
    let mut compared = 0;
    for row in fixture("front.json")["rows"].as_array().expect("rows") {
        let (form, text) = (row["form"].as_str().expect("a form"), row["text"].as_str().expect("a text"));
        let has_bert = form != "bertless";
        let said = one(&front_end(form), text, has_bert);
        assert_eq!(serde_json::to_value(&said.ids).expect("JSON"), row["ids"], "{form}: {text}");
        let streams = said.streams() > 1;
        let tokens = wordpieces.tokens(&said.text, streams).expect("tokens");
        let found: Vec<usize> = said.places.iter().map(|place| tokens.at(*place)).collect();
        // The reference counts words on both sides, and goes astray where they are cut otherwise.
        if has_bert && !(streams && text.contains('(')) {
            assert_eq!(serde_json::to_value(found).expect("JSON"), row["tokens"], "{form}: {text}");
        }
        compared += 1;
    }
    assert_eq!(compared, 100);
}

#[test]
fn a_word_has_its_own_vector_however_a_bert_cuts_it() {
    let wordpieces = Wordpieces::read(&bytes("vocab.txt")).expect("a vocabulary");
    let said = one(&front_end("streams"), "кое-что (мир) вода", true);
    let tokens = wordpieces.tokens(&said.text, true).expect("tokens");
    let last = said.places.iter().rposition(|place| *place != Place::End).expect("a word");
    let word = wordpieces.tokens("вода", true).expect("tokens");
    assert_eq!(tokens.ids[tokens.at(said.places[last])], word.ids[1]);
    assert_eq!(tokens.at(Place::End), tokens.ids.len() - 1);
}

#[test]
fn texts_are_cut_at_sentences_and_where_they_are_too_long() {
    for form in ["blanks", "no_blanks", "streams", "placed"] {
        let front_end = front_end(form);
        let read = |text: &str| front_end.read(text, true).map_err(|error| error.to_string());
        assert_eq!(read("Привет, мир! Как дела?\nВода…").expect("sentences").len(), 3);
        assert_eq!(read("Вода. … — !").expect("sentences").len(), 1, "{form}: what has no word is passed over");
        let long = read(&"подводный мир ".repeat(200)).expect("parts");
        assert!(long.len() > 5 && long.iter().all(|part| part.places.len() <= 1000), "{form}: {}", long.len());
        let refused = read(&"щ".repeat(2000)).unwrap_err();
        assert!(refused.contains("\"щщщщщщщщщщщщщщщщщщщщ\" is too long without a blank"), "{refused}");
        for nothing in ["…", "?! —", ""] {
            assert!(read(nothing).unwrap_err().contains("nothing that can be spoken"), "{form}");
        }
        for (unread, said) in [("Мир 5 вода", "cannot read \"5\""), ("Это OpenAI", "cannot read \"openai\"")]
        {
            let refused = read(unread).unwrap_err();
            assert!(refused.contains(said) && refused.contains("Russian letters"), "{form}: {refused}");
        }
        let quoted = |text: &str| one(&front_end, text, true).ids;
        assert_eq!(quoted("«Привет» – мир…"), quoted("\"Привет\" - мир..."), "{form}: marks of print are marks");
        assert_eq!(quoted("Привет,  \t мир"), quoted("Привет, мир"), "{form}");
    }
}

#[test]
fn what_is_asked_is_checked_by_name() {
    let config = front_end("streams").config;
    let manner = |change: fn(&mut SynthesizeOptions)| {
        let mut options = SynthesizeOptions::default();
        change(&mut options);
        Manner::of(&options, &config).map_err(|error| error.to_string())
    };
    let usual = manner(|_| {}).expect("a manner");
    assert_eq!((usual.speech_rate, usual.noise_level, usual.duration_noise_level, usual.speaker), (0.9, 0.8, 0.7, 0));
    assert_eq!(manner(|o| o.speed = Some(2.0)).expect("a manner").speech_rate, 1.8);
    assert_eq!(manner(|o| o.voice = Some(VoiceInput::Named("2".to_owned()))).expect("a manner").speaker, 2);
    for language in ["ru", "ru-RU", "Russian", ""] {
        let options = SynthesizeOptions { language: Some(language.to_owned()), ..Default::default() };
        assert!(Manner::of(&options, &config).is_ok(), "{language}");
    }
    let cases: [Change; 5] = [
        (|o| o.voice = Some(VoiceInput::Named("3".to_owned())), "there is no voice \"3\"; there is 0, 1, 2"),
        (|o| o.language = Some("de".to_owned()), "this model speaks Russian (ru), not de"),
        (|o| o.speed = Some(0.01), "the speed 0.01 is out of range; 0.11 to 11.11 are possible"),
        (|o| drop(o.options.insert("noise_level".to_owned(), 3.into())), "noise_level is 3; 0 to 2 would be right"),
        (|o| drop(o.options.insert("noise_w".to_owned(), 1.into())), "unknown field `noise_w`"),
    ];
    for (change, said) in cases {
        let error = manner(change).unwrap_err();
        assert!(error.contains(said), "{said}: {error}");
    }
}

#[test]
fn networks_make_the_sound_that_the_reference_makes() {
    let expected = fixture("expected.json");
    for (form, sound) in expected["sounds"].as_object().expect("forms") {
        let Some(mut voice) = voice(form) else { return };
        let said = one(&voice.front_end, expected["text"].as_str().expect("a text"), voice.bert.is_some());
        let manner = Manner { noise_level: 0.0, speech_rate: 0.9, duration_noise_level: 0.0, speaker: 1, seed: 1 };
        let mut say = |manner| voice.say(Sentence { utterance: said.clone(), manner }).expect("a sound");
        let found = say(manner);
        let sound: Vec<f32> = serde_json::from_value(sound.clone()).expect("samples");
        assert_eq!((found.samples().len(), found.rate()), (sound.len(), 22_050), "{form}");
        for (found, expected) in found.samples().iter().zip(&sound) {
            assert!((found * 32_767.0 - expected).abs() < 1.5, "{form}: {found} {expected}");
        }
        assert_ne!(say(Manner { speaker: 2, ..manner }), found, "{form}: another speaker");
        let drawn = |seed| Manner { noise_level: 0.8, duration_noise_level: 0.8, seed, ..manner };
        let (first, other) = (say(drawn(1)), say(drawn(2)));
        assert!(say(drawn(1)) == first && other != first, "{form}: a seed is one sound");
    }
}

#[test]
fn speakers_are_as_many_as_the_network_has() {
    let described = |files: &ModelFiles| VoskTts::ANY.described("voice", files, &Programs::default());
    let (first, again) = (described(&files("streams")), described(&files("placed")));
    let (first, again) = (first.expect("a model").expect("a model"), again.expect("a model").expect("a model"));
    let names: Vec<&str> = first.voices().iter().map(|voice| voice.name).collect();
    assert_eq!((names, first.voices()[0].sample_rate), (vec!["0", "1", "2"], 22_050));
    assert_eq!(first.voices()[0].languages, ["ru"]);
    assert!(std::ptr::eq(first.voices(), again.voices()));
    assert!(described(&ModelFiles::default()).expect("nothing").is_none());
}

#[test]
fn what_belongs_together_has_to_be_there() {
    if let Err(error) = onnx::check_library(&programs(), true) {
        println!("skipped: {error}");
        return;
    }
    let load = |files: &ModelFiles| VoskTts::ANY.load(files, &place()).map(drop).map_err(|error| error.to_string());
    load(&files("streams")).expect("a model");
    let with = |form: &str, name: &str, from: &str| {
        let mut files = files(form);
        files.insert(PART, name, Location::Disk(folder("vosk_tts").join(from)));
        load(&files).unwrap_err()
    };
    assert_eq!(with("bertless", NETWORK, "row.onnx"), "the file bert/vocab.txt is missing");
    assert_eq!(with("bertless", CONFIG, "streams.json"), "the file bert/vocab.txt is missing");
    assert!(with("streams", repository::VOCABULARY, "dictionary").contains("bert/vocab.txt is not what it should be"));
    assert!(with("streams", repository::BERT, "row.onnx").contains("its input \"input\" is none of input_ids"));
    assert!(with("streams", DICTIONARY, "vocab.txt").contains("dictionary is not what it should be: line 1"));
}
