use std::{collections::BTreeMap, fs, path::Path};

use super::*;
use crate::{
    families::{espeak_ng, fixtures::folder},
    model::Programs,
};

const PROGRAM: &str = "/usr/bin/espeak-ng";

fn fixture(name: &str) -> String {
    fs::read_to_string(folder("zonos/text").join(name)).expect("fixture")
}

/// With the program of this machine, if there is one.
fn front_end() -> Option<FrontEnd> {
    if !Path::new(PROGRAM).is_file() {
        println!("skipped: espeak-ng is not installed (apt-get install espeak-ng)");
        return None;
    }
    let programs = Programs { path: vec!["/usr/bin".into()], ..Programs::default() };
    Some(FrontEnd::new(programs.survey(&espeak_ng::PROGRAM).expect("espeak-ng")))
}

#[test]
fn numbers_are_words_as_the_reference_says_them() {
    let expected: BTreeMap<String, String> = serde_json::from_str(&fixture("numbers.json")).expect("fixture");
    assert!(expected.len() > 20);
    for (text, expected) in expected {
        assert_eq!(numbers::normalize(&text), expected, "{text}");
    }
}

#[test]
fn a_number_without_a_name_is_read_digit_by_digit() {
    assert_eq!(numbers::normalize(&format!("1{}2", "0".repeat(36))), format!("one{} two", " zero".repeat(36)));
}

#[test]
fn sentences_sound_as_the_reference_has_them() {
    let Some(front_end) = front_end() else { return };
    let all = fixture("phonemes.tsv");
    let (about, rows) = all.split_once('\n').expect("fixture");
    let programs = Programs { path: vec!["/usr/bin".into()], ..Programs::default() };
    let version = programs.survey(&espeak_ng::PROGRAM).expect("espeak-ng").version;
    if !about.contains(&format!("espeak-ng {version},")) {
        println!("skipped: espeak-ng {version} is not that of the fixture ({about})");
        return;
    }
    let mut compared = 0;
    for row in rows.lines() {
        let [voice, sentence, expected] = row.split('\t').collect::<Vec<_>>()[..] else { panic!("{row}") };
        let language = front_end.language(Some(voice)).expect("language");
        let found = front_end.phonemes(sentence, &[], language).expect("phonemes");
        assert_eq!(found.0, expected, "{voice}: {sentence}");
        compared += 1;
    }
    assert_eq!(compared, 150);
}

#[test]
fn what_cannot_be_spoken_is_refused_by_name() {
    let Some(front_end) = front_end() else { return };
    let english = front_end.language(None).expect("language");
    let refused = |asked| front_end.language(Some(asked)).unwrap_err().to_string();
    assert!(refused("tlh").contains("the language \"tlh\" is unknown; known are en, af"), "{}", refused("tlh"));
    let silent = front_end.phonemes("… — !", &[], english).unwrap_err().to_string();
    assert!(silent.contains("nothing that can be spoken"), "{silent}");
}

#[test]
fn japanese_in_kana_sounds_as_the_reference_has_it() {
    let Some(front_end) = front_end() else { return };
    let japanese = front_end.language(Some("ja")).expect("language");
    let all = fixture("kana.tsv");
    let mut compared = 0;
    for row in all.lines().filter(|row| !row.starts_with('#')) {
        let (text, expected) = row.split_once('\t').expect("fixture");
        assert_eq!(front_end.phonemes(text, &[], japanese).expect("phonemes").0, expected, "{text}");
        compared += 1;
    }
    assert!(compared >= 20);
    for (text, wrong) in [("きょうは 3じ", "'3' is none"), ("日本", "'日' is none"), ("きょう OK", "'O' is none")]
    {
        let refused = front_end.phonemes(text, &[], japanese).unwrap_err().to_string();
        assert!(refused.contains(wrong) && refused.contains("write how it is read"), "{refused}");
    }
}

#[test]
fn a_writer_may_say_how_a_stretch_sounds() {
    let Some(front_end) = front_end() else { return };
    let english = front_end.language(None).expect("language");
    let said = |pronunciations: &[Pronunciation]| {
        front_end.phonemes("The tomato, ripe.", pronunciations, english).expect("phonemes").0
    };
    let tomato = Pronunciation { range: 4..10, ipa: "təmˈɑːtoʊ".to_owned() };
    assert_eq!(said(&[]), "ðə təmˈeɪɾoʊ, ɹˈaɪp.");
    assert_eq!(said(&[tomato]), "ðə təmˈɑːtoʊ, ɹˈaɪp.");
}

#[test]
fn a_share_of_the_end_is_whole_words() {
    let phonemes = Phonemes("a b c d".to_owned());
    assert_eq!(phonemes.last(1.0), "a b c d");
    assert_eq!(phonemes.last(0.5), "c d");
    assert_eq!(phonemes.last(0.6), "b c d");
    assert_eq!(phonemes.last(0.01), "d");
    assert_eq!(phonemes.after("x y.").0, "x y. a b c d");
}
