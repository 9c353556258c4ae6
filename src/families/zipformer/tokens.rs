//! The table of symbols, `tokens.txt`: a symbol and its number a line.

use std::collections::BTreeMap;

use crate::model::LoadError;

/// Bytes of a table.
const LONGEST: usize = 16 << 20;
/// Symbols, as many as the largest models of many languages have some times over.
const MOST: usize = 1 << 20;
/// Begins a word (SentencePiece).
pub const WORD: char = '▁';
/// What stands for nothing that is heard.
const UNKNOWN: &str = "<unk>";
/// A space is a symbol of models that write letter by letter, and its line begins with the number.
const SPACE: &str = " ";

/// Number → symbol.
#[derive(Debug)]
pub struct Tokens {
    symbols: Vec<String>,
    unknown: Option<usize>,
}

// === impl Tokens ===

impl Tokens {
    pub fn read(file: &str, bytes: &[u8]) -> Result<Self, LoadError> {
        let wrong = |reason: String| LoadError::Malformed { file: file.to_owned(), reason };
        if bytes.len() > LONGEST {
            return Err(wrong(format!("it has {} bytes; {LONGEST} at most would be right", bytes.len())));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| wrong("it is no text in UTF-8".to_owned()))?;
        let mut symbols: BTreeMap<usize, String> = BTreeMap::new();
        for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let line = line.trim_end();
            let (symbol, number) = line.rsplit_once([' ', '\t']).unwrap_or((SPACE, line));
            let number = number.trim().parse().ok().filter(|number| *number < MOST).ok_or_else(|| {
                let begins: String = line.chars().take(40).collect();
                wrong(format!("line {}: {begins:?} is no symbol and its number", at + 1))
            })?;
            let symbol = if symbol.trim().is_empty() { SPACE } else { symbol.trim() };
            if symbols.insert(number, symbol.to_owned()).is_some() {
                return Err(wrong(format!("line {}: the number {number} was there before", at + 1)));
            }
        }
        if symbols.len() < 2 || symbols.keys().copied().ne(0..symbols.len()) {
            return Err(wrong("its numbers are not 0 and all that follow".to_owned()));
        }
        let symbols: Vec<String> = symbols.into_values().collect();
        let unknown = symbols.iter().position(|symbol| symbol == UNKNOWN);
        Ok(Self { symbols, unknown })
    }

    pub fn len(&self) -> usize {
        self.symbols.len()
    }

    /// Whether a number is of a symbol that is written; the first one is no symbol, but silence.
    pub fn is_written(&self, number: usize) -> bool {
        number != 0 && Some(number) != self.unknown && number < self.symbols.len()
    }

    /// Whether a word begins with a symbol, at the latest.
    pub fn begins_word(&self, number: usize) -> bool {
        let symbol = self.symbols.get(number).map_or("", String::as_str);
        symbol.starts_with([WORD, ' ']) || symbol.chars().all(stands_alone)
    }

    /// What is written by these numbers, with a space before each word that asks for one. Bytes (`<0xE4>`) are put together.
    pub fn text(&self, numbers: impl IntoIterator<Item = usize>) -> String {
        let mut bytes = Vec::new();
        for symbol in numbers.into_iter().filter_map(|number| self.symbols.get(number)) {
            match symbol.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>')) {
                Some(hex) if hex.len() == 2 => bytes.extend(u8::from_str_radix(hex, 16)),
                _ => bytes.extend(symbol.replace(WORD, " ").into_bytes()),
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// Chinese and Japanese are written without spaces: each character has a place of its own.
fn stands_alone(c: char) -> bool {
    matches!(c, '\u{2E80}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Tokens, String> {
        Tokens::read("tokens.txt", text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn symbols_are_written_one_after_another() {
        let tokens = read("<blk> 0\n▁при 1\nвет 2\n<unk>\t3\n<0xD0> 4\n<0xBC> 5\n好 6\n▁ 7\n 8\n").unwrap();
        assert_eq!((tokens.text([1, 2, 1]), tokens.text([4, 5, 99])), (" привет при".to_owned(), "м".to_owned()));
        assert_eq!((tokens.text([7, 6, 8]), tokens.len()), (" 好 ".to_owned(), 9));
        let begins: Vec<bool> = (1..9).map(|number| tokens.begins_word(number)).collect();
        assert_eq!(begins, [true, false, false, false, false, true, true, true]);
        let written: Vec<bool> = [0, 1, 3, 9].map(|number| tokens.is_written(number)).to_vec();
        assert_eq!(written, [false, true, false, false]);
    }

    #[test]
    fn what_is_no_table_is_named() {
        for (text, said) in [
            ("", "its numbers are not 0 and all that follow"),
            ("a 0\nb 2\n", "its numbers are not 0 and all that follow"),
            ("a 0\nb 0\n", "line 2: the number 0 was there before"),
            ("a 0\nb c\n", "line 2: \"b c\" is no symbol and its number"),
            ("a 0\nb -1\n", "is no symbol and its number"),
            ("a 99999999999\n", "is no symbol and its number"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(said) && error.starts_with("tokens.txt is not"), "{text:?}: {error}");
        }
        assert!(Tokens::read("tokens.txt", b"\xff 0").unwrap_err().to_string().contains("no text in UTF-8"));
    }
}
