use serde::Deserialize;

use super::{super::fixtures, *};

#[derive(Deserialize)]
struct Expected {
    encode: Vec<Text>,
    decode: Vec<Text>,
    not_speech: Vec<u32>,
}

#[derive(Deserialize)]
struct Text {
    text: String,
    ids: Vec<u32>,
}

/// The fixture's vocabulary with another generation configuration.
fn tokens(given: &GenerationConfig) -> Result<Tokens, LoadError> {
    let files = fixtures::files();
    Tokens::new(&files.open("model", "tokenizer.json").unwrap(), given, fixtures::config().vocab_size)
}

#[test]
fn ids_and_texts_are_those_of_openai_whisper() {
    let (tokens, expected) = (fixtures::tokens(), fixtures::read::<Expected>("tokens.json"));
    for case in expected.encode {
        assert_eq!(tokens.encode(&case.text).unwrap(), case.ids, "{:?}", case.text);
    }
    for case in expected.decode {
        assert_eq!(tokens.decode(&case.ids), case.text, "{:?}", case.ids);
    }
    let mut not_speech = tokens.not_speech().unwrap();
    not_speech.sort_unstable();
    not_speech.dedup();
    assert_eq!(not_speech, expected.not_speech);
}

#[test]
fn a_file_at_which_the_library_panics_is_malformed() {
    for text in [
        r#"{"model": {"type": "BPE", "vocab": {}, "merges": []}, "decoder": {"type": "ByteLevel", x}}"#,
        r#"{"model": {"type": "BPE", "vocab": {}, "merges": []}, "normalizer": {"type": "Precompiled", "precompiled_charsmap": "AA=="}}"#,
    ] {
        let error = Tokens::new(text.as_bytes(), &GenerationConfig::default(), 9).err().expect("an error");
        assert!(matches!(&error, LoadError::Malformed { file, .. } if file == FILE), "{error}");
    }
}

#[test]
fn a_prompt_cannot_hold_control_tokens() {
    let tokens = fixtures::tokens();
    let ids = tokens.encode("a<|endoftext|><|startoftranscript|><|0.00|>b").unwrap();
    assert!(ids.iter().all(|id| *id < tokens.eot), "{ids:?}");
}

#[test]
fn the_opening_tells_language_and_task() {
    let tokens = fixtures::tokens();
    let names = |ids: Vec<u32>| ids.iter().map(|id| tokens.decode(&[*id])).collect::<String>();
    assert_eq!(names(tokens.sot_sequence("de", TranscribeMode::Translate)), "<|startoftranscript|><|de|><|translate|>");
    assert_eq!(
        names(tokens.sot_sequence("en", TranscribeMode::Transcribe)),
        "<|startoftranscript|><|en|><|transcribe|>"
    );
    assert_eq!(tokens.decode(&[tokens.no_timestamps, tokens.timestamp_begin]), "<|notimestamps|><|0.00|>");
}

#[test]
fn an_english_model_is_told_nothing_although_its_vocabulary_knows_languages() {
    let english = tokens(&GenerationConfig { is_multilingual: Some(false), ..GenerationConfig::default() }).unwrap();
    assert_eq!(english.sot_sequence("en", TranscribeMode::Transcribe), [english.sot]);
    assert!(!english.translates());
    assert_eq!(english.language("English"), Ok("en"));
    let error = english.language("de").unwrap_err().to_string();
    assert!(error.contains("English only"), "{error}");
}

#[test]
fn a_language_that_the_model_does_not_know_is_answered_with_those_that_it_knows() {
    let tokens = fixtures::tokens();
    assert_eq!(tokens.language("Japanese"), Ok("ja"));
    for given in ["yue", "klingon", ""] {
        let error = tokens.language(given).unwrap_err();
        assert!(matches!(&error, RequestError::Invalid { param: "language", .. }), "{error:?}");
        assert!(error.to_string().contains("en, zh, de, es, ru, ko, fr, ja"), "{error}");
    }
}

#[test]
fn the_configuration_may_list_the_languages() {
    let listed = [("<|ja|>".to_owned(), 265 + 120), ("<|en|>".to_owned(), u32::MAX)];
    let tokens = tokens(&GenerationConfig { lang_to_id: Some(listed.into()), ..GenerationConfig::default() }).unwrap();
    assert_eq!(tokens.languages(), [("ja", 385)], "an id that the model does not know is left out");
}

#[test]
fn files_that_contradict_each_other_are_refused() {
    let error = tokens(&GenerationConfig { no_timestamps_token_id: Some(7), ..GenerationConfig::default() })
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("no_timestamps_token_id is 7"), "{error}");
}

#[test]
fn a_foreign_vocabulary_is_refused_with_what_it_lacks() {
    for (json, said) in [
        (r#"{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}"#, "<|notimestamps|>"),
        ("{", "tokenizer.json"),
        ("[]", "tokenizer.json"),
    ] {
        let error = Tokens::new(json.as_bytes(), &GenerationConfig::default(), 100).err().unwrap().to_string();
        assert!(error.contains(said), "{error}");
    }
}
