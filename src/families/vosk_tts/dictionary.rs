//! How words sound: a line each, `word probability sound sound …`. The published one has some millions of them.
//!
//! It is read where it lies: beside its bytes there is a number for each line, in the order of the words.

use bytes::Bytes;

use super::repository::DICTIONARY;
use crate::model::LoadError;

/// Bytes of all of it, of a line, and how many lines.
const MOST_BYTES: usize = 512 << 20;
const LONGEST_LINE: usize = 1024;
const MOST_LINES: usize = 1 << 24;

/// Words and their sounds.
#[derive(Debug)]
pub struct Dictionary {
    text: Bytes,
    /// Where the line of a word begins, in the order of the words: of a word that stands there more than once the likeliest.
    lines: Vec<u32>,
}

/// A line, taken apart.
struct Entry<'a> {
    word: &'a str,
    probability: f64,
    sounds: &'a str,
}

// === impl Dictionary ===

impl Dictionary {
    /// `knows`: whether there is such a sound.
    pub fn read(text: Bytes, knows: impl Fn(&str) -> bool) -> Result<Self, LoadError> {
        let wrong = |reason: String| LoadError::Malformed { file: DICTIONARY.to_owned(), reason };
        if text.len() > MOST_BYTES {
            return Err(wrong(format!("it has {} bytes; {MOST_BYTES} at most would be right", text.len())));
        }
        let all = std::str::from_utf8(&text).map_err(|_| wrong("it is no text in UTF-8".to_owned()))?;
        let mut entries = Vec::new();
        for (number, line) in all.split('\n').enumerate() {
            let of_line = |reason: String| wrong(format!("line {}: {reason}", number + 1));
            if line.len() > LONGEST_LINE {
                return Err(of_line(format!("it has {} bytes; {LONGEST_LINE} at most would be right", line.len())));
            }
            if line.trim().is_empty() {
                continue;
            }
            let entry = Entry::read(line).ok_or_else(|| {
                let begins: String = line.chars().take(40).collect();
                of_line(format!("{begins:?} is no word with a probability and its sounds"))
            })?;
            if let Some(unknown) = entry.sounds.split_whitespace().find(|sound| !knows(sound)) {
                return Err(of_line(format!("the sound {unknown:?} has no number in config.json")));
            }
            // What is said to be never so is not.
            if entry.probability > 0.0 {
                entries.push((entry.word, entry.probability, line.as_ptr() as usize - all.as_ptr() as usize));
            }
            if entries.len() > MOST_LINES {
                return Err(wrong(format!("it has more than {MOST_LINES} lines")));
            }
        }
        // Among equal ones the first, as in the reference.
        entries.sort_by(|a, b| a.0.cmp(b.0).then(b.1.total_cmp(&a.1)));
        entries.dedup_by(|later, first| later.0 == first.0);
        let lines = entries.iter().map(|(.., at)| *at as u32).collect();
        Ok(Self { text, lines })
    }

    /// The sounds of a word in small letters; `None`: it is not there.
    pub fn sounds(&self, word: &str) -> Option<Vec<String>> {
        let found = self.lines.binary_search_by(|at| self.entry(*at).map_or("", |entry| entry.word).cmp(word)).ok()?;
        Some(self.entry(self.lines[found])?.sounds.split_whitespace().map(str::to_owned).collect())
    }

    fn entry(&self, at: u32) -> Option<Entry<'_>> {
        let rest = self.text.get(at as usize..)?;
        let line = rest.split(|byte| *byte == b'\n').next()?;
        Entry::read(std::str::from_utf8(line).ok()?)
    }
}

// === impl Entry ===

impl<'a> Entry<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let (word, rest) = line.trim().split_once(char::is_whitespace)?;
        let (probability, sounds) = rest.trim_start().split_once(char::is_whitespace)?;
        let probability = probability.parse().ok().filter(|it: &f64| it.is_finite())?;
        Some(Self { word, probability, sounds: sounds.trim() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &'static str) -> Result<Dictionary, String> {
        Dictionary::read(Bytes::from_static(text.as_bytes()), |sound| sound.len() < 4)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_likeliest_of_a_word_is_how_it_sounds() {
        let dictionary = read("замок 0.4 z a0\nвода 1.0 v a0\r\nзамок 0.6 z a1\n\nзамок 0.6 z a2\nнет 0 n\n").unwrap();
        let sounds = |word| dictionary.sounds(word).map(|sounds| sounds.join(" "));
        assert_eq!(sounds("замок").as_deref(), Some("z a1"));
        assert_eq!(sounds("вода").as_deref(), Some("v a0"));
        assert_eq!((sounds("нет"), sounds(""), sounds("я")), (None, None, None));
    }

    #[test]
    fn what_is_no_line_is_named_by_its_number() {
        for (text, said) in [
            ("вода 1.0 v\nвода", "dictionary is not what it should be: line 2: \"вода\" is no word"),
            ("вода один v", "line 1: \"вода один v\" is no word with a probability"),
            ("вода nan v", "is no word with a probability"),
            ("вода 1.0 звук", "line 1: the sound \"звук\" has no number in config.json"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(said), "{said}: {error}");
        }
        let of = |bytes: Vec<u8>| Dictionary::read(bytes.into(), |_| true).unwrap_err().to_string();
        assert!(of(vec![0xff]).contains("no text in UTF-8"));
        assert!(of(vec![b'a'; 2000]).contains("line 1: it has 2000 bytes; 1024 at most would be right"));
    }
}
