//! What the model is given, and what it takes.

use std::{fs, path::PathBuf};

use serde::Deserialize;

use super::{
    lyrics::Lyrics,
    prompt::{Prompter, SongReference},
    sentencepiece::SentencePiece,
    tokens::{BOOKS, FILE, Words},
};
use crate::families::fixtures::folder;

#[derive(Deserialize)]
struct Spelled {
    ids: Ids,
    texts: Vec<Text>,
}

#[derive(Deserialize)]
struct Ids {
    begin: u32,
    end: u32,
    xcodec: u32,
    stage_1: u32,
    stage_2: u32,
    codes: u32,
}

#[derive(Deserialize)]
struct Text {
    text: String,
    ids: Vec<u32>,
}

#[derive(Deserialize)]
struct Prompt {
    genre: String,
    lyrics: String,
    mix: Option<Vec<u16>>,
    tracks: Option<(Vec<u16>, Vec<u16>)>,
    sections: Vec<Vec<u32>>,
}

fn file(name: &str) -> PathBuf {
    folder("yue").join(name)
}

fn words() -> Words {
    Words::read(fs::read(file("net/stage2/tokenizer.model")).unwrap().into()).unwrap()
}

fn read<T: serde::de::DeserializeOwned>(name: &str) -> T {
    serde_json::from_slice(&fs::read(file(name)).unwrap()).unwrap()
}

#[test]
fn texts_have_the_tokens_that_the_library_of_sentencepiece_gives_them() {
    let (words, spelled): (Words, Spelled) = (words(), read("net/words.json"));
    for Text { text, ids } in &spelled.texts {
        assert_eq!(words.encode(text), *ids, "{text:?}");
    }
    let (found, expected) = (words.ids, spelled.ids);
    assert_eq!(
        [found.begin, found.end, found.xcodec, found.stage_1, found.stage_2, found.codes],
        [expected.begin, expected.end, expected.xcodec, expected.stage_1, expected.stage_2, expected.codes]
    );
    assert_eq!(found.written().len(), (BOOKS - 1) * found.of_book as usize);
    let special = [found.begin, found.end, found.codes];
    assert!(!words.encode("<SOA><EOA><xcodec/0/0>").iter().any(|id| special.contains(id)), "letters, and no more");
}

#[test]
fn prompts_are_as_the_reference_writes_them() {
    let (words, prompts): (Words, Vec<Prompt>) = (words(), read("net/prompts.json"));
    let prompter = Prompter { words: &words };
    for Prompt { genre, lyrics, mix, tracks, sections } in prompts {
        let reference = match (mix, tracks) {
            (Some(mix), _) => Some(SongReference::Mix(mix)),
            (None, Some((vocals, instrumental))) => Some(SongReference::Tracks { vocals, instrumental }),
            (None, None) => None,
        };
        let lyrics = Lyrics::parse(&lyrics).unwrap();
        assert_eq!(lyrics.sections.len(), sections.len());
        for (at, (section, expected)) in lyrics.sections.iter().zip(&sections).enumerate() {
            let mut found = if at == 0 { prompter.head(&genre, &lyrics, reference.as_ref()) } else { Vec::new() };
            found.extend(prompter.section(section, at == 0));
            assert_eq!(found, *expected, "section {at}");
        }
    }
}

#[test]
fn a_tokenizer_of_another_kind_is_refused() {
    let content = fs::read(file("net/stage2/tokenizer.model")).unwrap();
    let refused = |content: Vec<u8>| SentencePiece::read(FILE, content.into()).map(|_| ()).unwrap_err().to_string();
    // The settings of the trainer and of the normaliser, said once more: the last counts.
    for (added, told) in [
        (&[0x12, 2, 0x18, 1][..], "model_type is 1"),
        (&[0x12, 3, 0x98, 2, 0], "byte_fallback false"),
        (&[0x1a, 2, 0x20, 1], "normalizer changes texts"),
        (&[0x0a, 5, 0x0a, 1, b'x', 0x18, 4], "its piece x is user-defined"),
    ] {
        let error = refused([&content[..], added].concat());
        assert!(error.contains(told) && error.contains(FILE), "{error}");
    }
    for damaged in [Vec::new(), content[..content.len() - 3].to_vec(), b"no model".to_vec()] {
        assert!(refused(damaged).contains(FILE));
    }
    let cut = content.windows(12).position(|window| window == b"<xcodec/1/0>").unwrap();
    let mut other = content;
    other[cut + 8] = b'9';
    let error = Words::read(other.into()).unwrap_err().to_string();
    assert!(error.contains("<xcodec/1/0> is not where it belongs"), "{error}");
}
