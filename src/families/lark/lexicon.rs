//! Words and how they are said.
//!
//! The file (`training/lark/lexicon.py` writes it): the number of words, the bytes of their spellings and of their
//! sounds, each a little-endian `u32`; then one zlib stream of both. A spelling is the number of bytes that it shares
//! with the one before (plus 32, so that it is no line feed), its own bytes, and a line feed; spellings rise. Sounds are indices of symbols, ended by 0.

use std::{collections::BTreeMap, io::Read};

use flate2::read::ZlibDecoder;

use super::error::LarkError;

/// Of both parts, unpacked.
const MOST_BYTES: usize = 64 << 20;

/// Of a word: longer ones are not looked up.
const LONGEST: usize = 255;

/// Added to the number of bytes that a spelling shares.
const SHIFT: u8 = 32;

/// A pronouncing dictionary.
#[derive(Debug, Default)]
pub struct Lexicon {
    spellings: Bag,
    sounds: Bag,
}

/// Strings one after another.
#[derive(Debug, Default)]
struct Bag {
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<u32>,
}

// === impl Lexicon ===

impl Lexicon {
    /// Unpacks a file. `symbols`: how many there are.
    pub fn open(file: &[u8], symbols: usize) -> Result<Self, LarkError> {
        let (spellings, sounds, count) = unpack(file)?;
        let lexicon = Self { spellings: read_spellings(&spellings)?, sounds: read_sounds(&sounds, symbols)? };
        if [lexicon.spellings.len(), lexicon.sounds.len()] != [count; 2] {
            return Err(fault(&format!(
                "{count} words were promised, and {} spellings with {} pronunciations came",
                lexicon.spellings.len(),
                lexicon.sounds.len()
            )));
        }
        Ok(lexicon)
    }

    /// Of words in lower case and their symbols.
    pub fn of(words: &BTreeMap<String, Vec<u8>>) -> Result<Self, LarkError> {
        let mut lexicon = Self::default();
        for (word, sounds) in words {
            lexicon.spellings.bytes.extend_from_slice(word.as_bytes());
            lexicon.spellings.end()?;
            lexicon.sounds.bytes.extend_from_slice(sounds);
            lexicon.sounds.end()?;
        }
        Ok(lexicon)
    }

    fn len(&self) -> usize {
        self.spellings.len()
    }

    /// The symbols of a word in lower case.
    pub fn get(&self, word: &str) -> Option<&[u8]> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = (low + high) / 2;
            match self.spellings.get(middle).cmp(word.as_bytes()) {
                std::cmp::Ordering::Equal => return Some(self.sounds.get(middle)),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }
}

// === impl Bag ===

impl Bag {
    fn len(&self) -> usize {
        self.ends.len()
    }

    fn get(&self, place: usize) -> &[u8] {
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start as usize..self.ends[place] as usize]
    }

    /// Ends the string that was written last.
    fn end(&mut self) -> Result<(), LarkError> {
        self.ends.push(u32::try_from(self.bytes.len()).map_err(|_| fault("it is too large"))?);
        Ok(())
    }
}

/// Both parts of a file, and how many words it promises.
fn unpack(file: &[u8]) -> Result<(Vec<u8>, Vec<u8>, usize), LarkError> {
    let (head, packed) = file.split_at_checked(12).ok_or_else(|| fault("its head is cut off"))?;
    let number = |place: usize| u32::from_le_bytes([head[place], head[place + 1], head[place + 2], head[place + 3]]);
    let [count, spellings, sounds] = [0, 4, 8].map(|place| number(place) as usize);
    if spellings.saturating_add(sounds) > MOST_BYTES {
        return Err(fault(&format!("it unpacks to more than {MOST_BYTES} bytes")));
    }
    let mut bytes = Vec::with_capacity(spellings + sounds);
    let most = (spellings + sounds) as u64 + 1;
    ZlibDecoder::new(packed).take(most).read_to_end(&mut bytes).map_err(|error| fault(&error.to_string()))?;
    if bytes.len() != spellings + sounds {
        return Err(fault(&format!("{} bytes were promised, and {} came", spellings + sounds, bytes.len())));
    }
    let rest = bytes.split_off(spellings);
    Ok((bytes, rest, count))
}

fn read_spellings(part: &[u8]) -> Result<Bag, LarkError> {
    let (mut bag, mut word) = (Bag::default(), Vec::new());
    for line in part.split_inclusive(|&byte| byte == b'\n') {
        let (&shared, own) = line.split_first().ok_or_else(|| fault("a spelling is empty"))?;
        let shared = shared.checked_sub(SHIFT).ok_or_else(|| fault("a spelling shares less than nothing"))?;
        let own = own.strip_suffix(b"\n").ok_or_else(|| fault("the last spelling is cut off"))?;
        let before = word.clone();
        word.truncate(usize::from(shared));
        word.extend_from_slice(own);
        if word <= before || word.len() > LONGEST {
            return Err(fault(&format!("{:?} is out of order", String::from_utf8_lossy(&word))));
        }
        bag.bytes.extend_from_slice(&word);
        bag.end()?;
    }
    Ok(bag)
}

fn read_sounds(part: &[u8], symbols: usize) -> Result<Bag, LarkError> {
    if part.last().is_some_and(|&last| last != 0) {
        return Err(fault("the last pronunciation is cut off"));
    }
    let mut bag = Bag::default();
    for &index in part {
        match index {
            0 => bag.end()?,
            _ if usize::from(index) < symbols => bag.bytes.push(index),
            _ => return Err(fault(&format!("a pronunciation has symbol {index} of {symbols}"))),
        }
    }
    Ok(bag)
}

fn fault(reason: &str) -> LarkError {
    LarkError::Lexicon(reason.to_owned())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::ZlibEncoder};

    use super::*;

    fn pack(count: u32, spellings: &[u8], sounds: &[u8]) -> Vec<u8> {
        let mut packer = ZlibEncoder::new(Vec::new(), Compression::default());
        packer.write_all(&[spellings, sounds].concat()).unwrap();
        let lengths = [count, u32::try_from(spellings.len()).unwrap(), u32::try_from(sounds.len()).unwrap()];
        [lengths.map(u32::to_le_bytes).concat(), packer.finish().unwrap()].concat()
    }

    #[test]
    fn finds_the_words_that_it_has_and_no_others() {
        let file = pack(3, b" lark\n$s\n!inden\n", &[5, 6, 0, 5, 6, 7, 0, 8, 0]);
        let lexicon = Lexicon::open(&file, 9).unwrap();
        assert_eq!(lexicon.get("lark"), Some([5, 6].as_slice()));
        assert_eq!(lexicon.get("larks"), Some([5, 6, 7].as_slice()));
        assert_eq!(lexicon.get("linden"), Some([8].as_slice()));
        for unknown in ["", "a", "larksp", "zz", "lar"] {
            assert_eq!(lexicon.get(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn a_file_that_lies_is_refused() {
        let good = pack(1, b" lark\n", &[5, 0]);
        assert!(Lexicon::open(&good, 6).is_ok());
        let liars = [
            ("cut in the head", good[..7].to_vec(), 6),
            ("cut in the middle", good[..good.len() - 6].to_vec(), 6),
            ("more words promised", pack(2, b" lark\n", &[5, 0]), 6),
            ("a symbol too many", pack(1, b" lark\n", &[5, 0]), 5),
            ("no end of a spelling", pack(1, b" lark", &[5, 0]), 6),
            ("no end of a pronunciation", pack(1, b" lark\n", &[5]), 6),
            ("out of order", pack(2, b" b\n a\n", &[5, 0, 5, 0]), 6),
            ("less than nothing shared", pack(1, b"\0lark\n", &[5, 0]), 6),
            ("too large", [1u32, u32::MAX, 1].map(u32::to_le_bytes).concat(), 6),
        ];
        for (name, file, symbols) in liars {
            assert!(matches!(Lexicon::open(&file, symbols), Err(LarkError::Lexicon(_))), "{name}");
        }
    }
}
