//! Against the reference, on the fixtures that `tests/fixtures/chatterbox/text/make.py` makes.

use serde::Deserialize;

use super::{
    punctuation::{Punctuation, punctuate},
    *,
};
use crate::families::fixtures::folder;

// === what the tests work with ===

/// A file of the fixture.
fn fixture(file: &str) -> Vec<u8> {
    std::fs::read(folder("chatterbox/text").join(file)).expect("fixture")
}

#[derive(Deserialize)]
struct Expected {
    english: Vec<Case>,
    multilingual: Vec<Case>,
    turbo: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    text: String,
    #[serde(default)]
    language: String,
    normal: String,
    tokens: Vec<u32>,
    /// The same with capital letters.
    #[serde(default)]
    as_written: Vec<u32>,
}

fn expected() -> Expected {
    serde_json::from_slice(&fixture("expected.json")).expect("fixture")
}

fn multilingual(letters: LetterCase) -> MultilingualTokenizer {
    MultilingualTokenizer::from_json("m.json", &fixture("multilingual.json"), letters).expect("fixture")
}

fn with_chinese(letters: LetterCase) -> MultilingualTokenizer {
    multilingual(letters).with_cangjie("c.json", &fixture("cangjie.json")).expect("fixture")
}

/// Turbo's tokenizer from its files, after a change to one of them.
fn turbo(spoil: impl FnOnce(&mut [Vec<u8>; 4])) -> Result<Gpt2Tokenizer, TokenizerError> {
    let files = ["vocab.json", "merges.txt", "added_tokens.json", "tokenizer_config.json"];
    let mut files = files.map(|file| fixture(&format!("turbo/{file}")));
    spoil(&mut files);
    let [vocab, merges, added_tokens, config] = &files;
    let optional = |file| Some(file).filter(|file: &&[u8]| !file.is_empty());
    Gpt2Tokenizer::from_files(&Gpt2Files {
        vocab,
        merges,
        added_tokens: optional(added_tokens.as_slice()),
        config: optional(config.as_slice()),
    })
}

// === against the reference ===

#[test]
fn punctuation_is_that_of_the_reference() {
    let Expected { english, multilingual, turbo } = expected();
    let variants =
        [(Punctuation::English, english), (Punctuation::Multilingual, multilingual), (Punctuation::Turbo, turbo)];
    for (of, cases) in variants {
        for Case { text, normal, .. } in cases {
            assert_eq!(punctuate(&text, of).as_ref(), Ok(&normal), "{text:?}, {of:?}");
        }
    }
}

#[test]
fn english_tokens_are_those_of_the_reference() {
    let tokenizer = EnglishTokenizer::from_json("tokenizer.json", &fixture("tokenizer.json")).expect("fixture");
    for Case { text, tokens, .. } in expected().english {
        assert_eq!(tokenizer.encode(&text).as_ref(), Ok(&tokens), "{text:?}");
    }
}

#[test]
fn multilingual_tokens_are_those_of_the_reference() {
    let (lower, as_written) = (with_chinese(LetterCase::Lower), with_chinese(LetterCase::AsWritten));
    for Case { text, language, tokens, as_written: capital, .. } in expected().multilingual {
        assert_eq!(lower.encode(&text, &language).as_ref(), Ok(&tokens), "{text:?}");
        assert_eq!(as_written.encode(&text, &language).as_ref(), Ok(&capital), "{text:?}, as it was written");
    }
}

#[test]
fn turbo_tokens_are_those_of_the_reference_from_one_file_and_from_several() {
    let one = Gpt2Tokenizer::from_json("tokenizer.json", &fixture("turbo.json")).expect("fixture");
    let several = turbo(|_| ()).expect("fixture");
    let without_config = turbo(|files| files[3].clear()).expect("fixture");
    let without_added = turbo(|files| files[2].clear()).expect("fixture");
    for Case { text, tokens, .. } in expected().turbo {
        for (at, tokenizer) in [&one, &several, &without_config, &without_added].into_iter().enumerate() {
            assert_eq!(tokenizer.encode(&text).as_ref(), Ok(&tokens), "{text:?}, tokenizer {at}");
        }
    }
}

// === what is wrong ===

#[test]
fn there_must_be_something_to_say() {
    for of in [Punctuation::English, Punctuation::Multilingual, Punctuation::Turbo] {
        for text in ["", " ", "\n\t\u{a0}\u{1f}"] {
            assert_eq!(punctuate(text, of), Err(TextError::Empty));
        }
    }
}

#[test]
fn a_language_that_is_not_spoken_is_told_those_that_are() {
    let tokenizer = multilingual(LetterCase::Lower);
    let known = "ar, da, de, el, en, es, fi, fr, hi, it, ko, ms, nl, no, pl, pt, ru, sv, sw, tr";
    assert_eq!(tokenizer.languages().join(", "), known);
    assert_eq!(with_chinese(LetterCase::Lower).languages().join(", "), format!("{known}, zh"));
    let error = |language: &str| tokenizer.encode("Hello.", language).expect_err(language).to_string();
    assert_eq!(error("xx"), format!("the language \"xx\" is unknown; known are {known}"));
    assert_eq!(error(""), format!("the language \"\" is unknown; known are {known}"));
    for (code, name) in [("zh", "Chinese"), ("JA", "Japanese"), ("he", "Hebrew")] {
        let error = error(code);
        assert!(error.starts_with(&format!("{name} cannot be spoken: the model reads {name} ")), "{error}");
        assert!(error.ends_with(&format!("; spoken are {known}")), "{error}");
    }
}

#[test]
fn a_language_without_a_tag_among_the_tokens_is_unknown() {
    let content = String::from_utf8(fixture("multilingual.json")).expect("fixture").replace("[sw]", "[yy]");
    let tokenizer = MultilingualTokenizer::from_json("m.json", content.as_bytes(), LetterCase::Lower).expect("fixture");
    assert!(!tokenizer.languages().contains(&"sw"));
    let error = tokenizer.encode("Habari", "sw").expect_err("sw").to_string();
    assert!(error.starts_with("the language \"sw\" is unknown; known are ar, da"), "{error}");
}

#[test]
fn a_tokenizer_that_is_none_is_named() {
    let error = EnglishTokenizer::from_json("tokenizer.json", b"{").map(|_| ()).expect_err("error").to_string();
    assert!(error.starts_with("tokenizer.json is not what it should be: "), "{error}");
    let content = String::from_utf8(fixture("tokenizer.json")).expect("fixture").replace("[START]", "[BEGIN]");
    let error = EnglishTokenizer::from_json("t.json", content.as_bytes()).map(|_| ()).expect_err("error").to_string();
    assert_eq!(error, "t.json is not what it should be: it has no token [START]");
}

#[test]
fn files_of_turbo_that_do_not_fit_each_other_are_named() {
    let error = |spoil: fn(&mut [Vec<u8>; 4])| turbo(spoil).map(|_| ()).expect_err("error").to_string();
    let begins = |error: String, with: &str| assert!(error.starts_with(with), "{error}");
    begins(error(|files| files[0].truncate(9)), "vocab.json is not what it should be: ");
    begins(error(|files| files[1].extend(b"alone\n")), "merges.txt is not what it should be: line ");
    begins(error(|files| files[1].extend(b"\xff \xff\n")), "merges.txt is not what it should be: ");
    begins(error(|files| files[1].extend(b"no such\n")), "merges.txt is not what it should be: ");
    begins(error(|files| files[2] = b"[]".to_vec()), "added_tokens.json is not what it should be: ");
    begins(error(|files| files[3] = b"7".to_vec()), "tokenizer_config.json is not what it should be: ");
    let error = error(|files| files[2] = br#"{"[sing]": 4000}"#.to_vec());
    begins(error, "added_tokens.json is not what it should be: [sing] has the id 4000, and after vocab.json it would");
}
