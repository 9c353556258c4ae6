//! The symbols that a network reads, each with its number.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::model::LoadError;

/// Runs of symbols with numbers that follow each other, of Kokoro-82M v1.0; between two of them are numbers of none.
const USUAL: &[(i64, &str)] = &[
    (1, ";:,.!?"),
    (9, "—…\"()“” \u{303}ʣʥʦʨᵝꭧAI"),
    (31, "O"),
    (33, "Q"),
    (35, "ST"),
    (39, "W"),
    (41, "Yᵊabcdef"),
    (50, "hijklmnopqrstuvwxyzɑɐɒæ"),
    (75, "βɔɕç"),
    (80, "ɖðʤə"),
    (85, "ɚɛɜ"),
    (90, "ɟ"),
    (92, "ɡ"),
    (99, "ɥ"),
    (101, "ɨɪʝ"),
    (110, "ɯɰŋɳɲɴø"),
    (118, "ɸθœ"),
    (123, "ɹ"),
    (125, "ɾɻ"),
    (128, "ʁɽʂʃʈʧ"),
    (135, "ʊʋ"),
    (138, "ʌɣɤ"),
    (142, "χʎ"),
    (147, "ʒʔ"),
    (156, "ˈˌː"),
    (162, "ʰ"),
    (164, "ʲ"),
    (169, "↓"),
    (171, "→↗↘"),
    (177, "ᵻ"),
];
/// What no model comes near.
const MOST: i64 = 1 << 16;

/// Symbol → number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vocabulary(BTreeMap<char, i64>);

/// `tokenizer.json`, as the hub has it; and `config.json`, where that holds the table.
#[derive(Debug, Deserialize)]
struct Written {
    vocab: Option<BTreeMap<String, i64>>,
    model: Option<WrittenModel>,
}

#[derive(Debug, Deserialize)]
struct WrittenModel {
    vocab: Option<BTreeMap<String, i64>>,
}

// === impl Vocabulary ===

impl Vocabulary {
    /// That of a file; `None`: it has none.
    pub fn read(file: &str, bytes: &[u8]) -> Result<Option<Self>, LoadError> {
        let wrong = |reason: String| LoadError::Malformed { file: file.to_owned(), reason };
        let written: Written = serde_json::from_slice(bytes).map_err(|error| wrong(error.to_string()))?;
        let Some(vocab) = written.vocab.or(written.model.and_then(|model| model.vocab)) else { return Ok(None) };
        if let Some((symbol, number)) = vocab.iter().find(|(_, number)| !(0..MOST).contains(*number)) {
            return Err(wrong(format!(
                "its vocabulary gives {symbol:?} the number {number}; 0 to {MOST} would be right"
            )));
        }
        let single = |(symbol, number): (String, i64)| {
            let mut chars = symbol.chars();
            chars.next().filter(|_| chars.next().is_none()).map(|symbol| (symbol, number))
        };
        let symbols: BTreeMap<char, i64> = vocab.into_iter().filter_map(single).collect();
        match symbols.keys().any(|symbol| symbol.is_alphabetic()) {
            true => Ok(Some(Self(symbols))),
            false => Err(wrong("its vocabulary has no letters".to_owned())),
        }
    }

    /// The number of a symbol; `None`: it is not read.
    pub fn number(&self, symbol: char) -> Option<i64> {
        self.0.get(&symbol).copied()
    }
}

impl Default for Vocabulary {
    fn default() -> Self {
        let symbols = USUAL.iter().flat_map(|(first, run)| run.chars().zip(*first..));
        Self(symbols.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_symbols_have_their_numbers() {
        let usual = Vocabulary::default();
        assert_eq!(usual.0.len(), 114);
        for (symbol, number) in [
            (';', 1),
            (' ', 16),
            ('\u{303}', 17),
            ('I', 25),
            ('T', 36),
            ('Y', 41),
            ('f', 48),
            ('z', 68),
            ('æ', 72),
            ('ə', 83),
            ('ø', 116),
            ('ʧ', 133),
            ('ɤ', 140),
            ('ʔ', 148),
            ('ː', 158),
            ('↘', 173),
            ('ᵻ', 177),
        ] {
            assert_eq!(usual.number(symbol), Some(number), "{symbol}");
        }
        assert_eq!((usual.number('$'), usual.number('g')), (None, None));
    }

    #[test]
    fn a_table_is_read_wherever_it_stands() {
        let read = |text: &str| Vocabulary::read("tokenizer.json", text.as_bytes());
        let expected = Some(Vocabulary(BTreeMap::from([('a', 3), (' ', 1)])));
        assert_eq!(read(r#"{"model": {"vocab": {"a": 3, " ": 1, "pad": 0}}}"#).unwrap(), expected);
        assert_eq!(read(r#"{"vocab": {"a": 3, " ": 1}}"#).unwrap(), expected);
        assert_eq!(read(r#"{"model_type": "style_text_to_speech_2"}"#).unwrap(), None);
        let refused = |text: &str| read(text).unwrap_err().to_string();
        assert!(refused("[").starts_with("tokenizer.json is not what it should be"));
        assert!(refused(r#"{"vocab": {"a": -1}}"#).contains("gives \"a\" the number -1"));
        assert!(refused(r#"{"vocab": {".": 1}}"#).contains("has no letters"));
    }
}
