//! Symbols that are written but not spoken: brackets around remarks, notes around songs, speaker marks.

use super::Tokens;
use crate::model::LoadError;

/// Suppressed where one token writes them, with or without a space before. Source: openai/whisper, `tokenizer.py`.
const SYMBOLS: &str = "\" # ( ) * + / : ; < = > @ [ \\ ] ^ _ ` { | } ~ 「 」 『 』 << >> <<< >>> -- --- -( -[ (' (\" (( )) \
                       ((( ))) [[ ]] {{ }} ♪♪ ♪♪♪";

/// Suppressed by their first token. Their neighbours in Unicode, which share it, are not spoken either.
const NOTES: &str = "♩ ♪ ♫ ♬ ♭ ♮ ♯";

/// Allowed within a word, not before one.
const WITHIN_WORDS: [&str; 2] = [" -", " '"];

impl Tokens {
    /// The ids of all of them, where the checkpoint itself lists none.
    pub fn not_speech(&self) -> Result<Vec<u32>, LoadError> {
        let mut ids = Vec::new();
        for text in WITHIN_WORDS {
            ids.extend(self.encode(text)?.first());
        }
        for symbol in SYMBOLS.split(' ') {
            for written in [self.encode(symbol)?, self.encode(&format!(" {symbol}"))?] {
                ids.extend(written.first().filter(|_| written.len() == 1));
            }
        }
        for note in NOTES.split(' ') {
            ids.extend(self.encode(note)?.first());
            ids.extend(self.encode(&format!(" {note}"))?.first());
        }
        Ok(ids)
    }
}
