//! A vocabulary of a published size: its tokens that control the decoder are where the published ones are, and the words
//! are made up.

use serde_json::{Map, Value, json};

use super::shapes::vocabularies::{ENGLISH, V3};
use crate::speech::languages::LANGUAGES;

/// Times from 0.00 to 30.00 s, in steps of 0.02 s.
const TIMES: usize = 1501;
/// The language that only the latest vocabulary has.
const CANTONESE: &str = "yue";

/// The ids of one.
pub(super) struct Vocabulary {
    size: usize,
}

// === impl Vocabulary ===

impl Vocabulary {
    pub fn of_size(size: usize) -> Self {
        Self { size }
    }

    /// What its `tokenizer.json` says.
    pub fn tokenizer(&self) -> Value {
        let controls = self.controls();
        let texts = self.size - controls.len();
        let added: Vec<Value> = controls.iter().enumerate().map(|(at, content)| added(texts + at, content)).collect();
        let vocabulary: Map<String, Value> =
            words().take(texts).enumerate().map(|(id, word)| (word, id.into())).collect();
        let byte_level =
            json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
        json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": added, "normalizer": null,
            "pre_tokenizer": byte_level, "post_processor": null, "decoder": byte_level,
            "model": {
                "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "",
                "end_of_word_suffix": "", "fuse_unk": false, "byte_fallback": false, "vocab": vocabulary, "merges": [],
            },
        })
    }

    /// What its `generation_config.json` says. Every word may be said.
    pub fn generation(&self) -> Value {
        json!({"is_multilingual": self.size != ENGLISH, "suppress_tokens": [], "begin_suppress_tokens": []})
    }

    /// Everything that is no text, in the order of its ids.
    fn controls(&self) -> Vec<String> {
        let languages = LANGUAGES.iter().map(|(code, _)| *code).filter(|code| self.size == V3 || *code != CANTONESE);
        let begin = ["endoftext", "startoftranscript"];
        let end = ["translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps"];
        let names = begin.into_iter().chain(languages).chain(end).map(|name| format!("<|{name}|>"));
        names.chain((0..TIMES).map(|step| format!("<|{:.2}|>", step as f64 * 0.02))).collect()
    }
}

fn added(id: usize, content: &str) -> Value {
    json!({
        "id": id, "content": content, "special": true, "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": false,
    })
}

/// First a token for every byte, in the order and the letters of GPT-2's vocabulary; then words.
fn words() -> impl Iterator<Item = String> {
    let printable = |byte: &u32| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    let others = (0..=0xff_u32).filter(move |byte| !printable(byte)).zip(0x100..).map(|(_, letter)| letter);
    let bytes = (0..=0xff).filter(printable).chain(others).filter_map(char::from_u32).map(String::from);
    bytes.chain((0..).map(word))
}

/// A space, and a word of four letters, which no other number has.
fn word(number: u32) -> String {
    let letter = |at: u32| char::from(b'a' + (number / 26_u32.pow(at) % 26) as u8);
    format!("Ġ{}", (0..4).rev().map(letter).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            super::{generation_config::GenerationConfig, tokens::Tokens},
            shapes::vocabularies::MULTILINGUAL,
        },
        *,
    };

    fn tokens(size: usize) -> Tokens {
        let vocabulary = Vocabulary::of_size(size);
        let given: GenerationConfig = serde_json::from_value(vocabulary.generation()).unwrap();
        Tokens::new(vocabulary.tokenizer().to_string().as_bytes(), &given, size).unwrap()
    }

    /// Those of `openai/whisper-tiny.en`, `-tiny` and `-large-v3`.
    #[test]
    fn what_controls_the_decoder_is_where_the_published_ones_have_it() {
        for (size, end, languages, times) in
            [(ENGLISH, 50_256, 0, 50_363), (MULTILINGUAL, 50_257, 99, 50_364), (V3, 50_257, 100, 50_365)]
        {
            let tokens = tokens(size);
            assert_eq!((tokens.eot, tokens.sot, tokens.timestamp_begin), (end, end + 1, times), "{size}");
            assert_eq!(tokens.languages().len(), languages, "{size}");
            assert_eq!(tokens.timestamp_begin as usize + TIMES, size);
            assert!(tokens.sot_prev.is_some() && tokens.no_speech.is_some());
        }
    }

    #[test]
    fn words_are_text() {
        let tokens = tokens(MULTILINGUAL);
        assert_eq!(tokens.encode(" ").unwrap(), [220], "as GPT-2 has it");
        assert_eq!(tokens.text(&[39, 256, 257]), "H aaaa aaab");
    }
}
