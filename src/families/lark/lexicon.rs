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

/// Spellings in full are no more than so many times as long as without what they share: of English words it is 1.7 times,
/// and a file that means no good could make it eighty.
const MOST_SHARED: usize = 4;

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

/// What a file says of itself.
#[derive(Clone, Copy, Debug)]
struct Head {
    count: usize,
    /// Bytes of both parts, unpacked.
    spellings: usize,
    sounds: usize,
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
        let (head, packed) = Head::read(file)?;
        let (spellings, sounds) = unpack(head, packed)?;
        let lexicon =
            Self { spellings: read_spellings(&spellings, head)?, sounds: read_sounds(&sounds, symbols, head)? };
        if [lexicon.spellings.len(), lexicon.sounds.len()] != [head.count; 2] {
            return Err(fault(&format!(
                "{} words were promised, and {} spellings with {} pronunciations came",
                head.count,
                lexicon.spellings.len(),
                lexicon.sounds.len()
            )));
        }
        Ok(lexicon)
    }

    /// Bytes of memory that a file takes at most, by what it begins with.
    pub fn footprint(beginning: &[u8]) -> Result<usize, LarkError> {
        Head::read(beginning).map(|(head, _)| head.footprint())
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

// === impl Head ===

impl Head {
    /// And what follows it.
    fn read(file: &[u8]) -> Result<(Self, &[u8]), LarkError> {
        let (head, packed) = file.split_at_checked(12).ok_or_else(|| fault("its head is cut off"))?;
        let number =
            |place: usize| u32::from_le_bytes([head[place], head[place + 1], head[place + 2], head[place + 3]]);
        let [count, spellings, sounds] = [0, 4, 8].map(|place| number(place) as usize);
        if spellings.saturating_add(sounds) > MOST_BYTES {
            return Err(fault(&format!("it unpacks to more than {MOST_BYTES} bytes")));
        }
        // Each has a symbol and an end.
        if count > sounds / 2 {
            return Err(fault(&format!("{count} words cannot be said in {sounds} bytes")));
        }
        Ok((Self { count, spellings, sounds }, packed))
    }

    /// Bytes of memory: spellings in full, sounds, and where each ends.
    fn footprint(self) -> usize {
        self.spellings * MOST_SHARED + self.sounds + 2 * self.count * size_of::<u32>()
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

/// Both parts of a file.
fn unpack(head: Head, packed: &[u8]) -> Result<(Vec<u8>, Vec<u8>), LarkError> {
    let promised = head.spellings + head.sounds;
    let mut bytes = Vec::with_capacity(promised);
    ZlibDecoder::new(packed)
        .take(promised as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| fault(&error.to_string()))?;
    if bytes.len() != promised {
        return Err(fault(&format!("{promised} bytes were promised, and {} came", bytes.len())));
    }
    let rest = bytes.split_off(head.spellings);
    Ok((bytes, rest))
}

fn read_spellings(part: &[u8], head: Head) -> Result<Bag, LarkError> {
    let (mut bag, mut word) = (Bag::default(), Vec::new());
    for line in part.split_inclusive(|&byte| byte == b'\n').take(head.count + 1) {
        let (&shared, own) = line.split_first().ok_or_else(|| fault("a spelling is empty"))?;
        let shared = shared.checked_sub(SHIFT).ok_or_else(|| fault("a spelling shares less than nothing"))?;
        let own = own.strip_suffix(b"\n").ok_or_else(|| fault("the last spelling is cut off"))?;
        let before = word.clone();
        word.truncate(usize::from(shared));
        word.extend_from_slice(own);
        if word <= before || word.len() > LONGEST {
            return Err(fault(&format!("{:?} is out of order", String::from_utf8_lossy(&word))));
        }
        if bag.bytes.len() + word.len() > head.spellings * MOST_SHARED {
            return Err(fault(&format!("its spellings are more than {MOST_SHARED} times as long as they are written")));
        }
        bag.bytes.extend_from_slice(&word);
        bag.end()?;
    }
    Ok(bag)
}

fn read_sounds(part: &[u8], symbols: usize, head: Head) -> Result<Bag, LarkError> {
    if part.last().is_some_and(|&last| last != 0) {
        return Err(fault("the last pronunciation is cut off"));
    }
    let mut bag = Bag::default();
    for &index in part {
        match index {
            0 if bag.len() > head.count => break,
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

    /// Words that share a hundred letters, so that most of them is not written.
    fn shared(count: u8) -> Vec<u8> {
        let first = format!(" {}\n", "x".repeat(100)).into_bytes();
        let more = (1..count).flat_map(|at| [100 + SHIFT, b'a' + at, b'\n']);
        first.into_iter().chain(more).collect()
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
            ("longer than written", pack(9, &shared(9), &[5, 0].repeat(9)), 6),
            ("more words than sounds", pack(9, &shared(9), &[5, 0]), 6),
            ("too large", [1u32, u32::MAX, 1].map(u32::to_le_bytes).concat(), 6),
        ];
        for (name, file, symbols) in liars {
            assert!(matches!(Lexicon::open(&file, symbols), Err(LarkError::Lexicon(_))), "{name}");
        }
    }

    #[test]
    fn what_it_takes_is_known_by_its_head() {
        let file = pack(3, b" lark\n$s\n!inden\n", &[5, 6, 0, 5, 6, 7, 0, 8, 0]);
        let most = Lexicon::footprint(&file[..12]).unwrap();
        let Lexicon { spellings, sounds } = Lexicon::open(&file, 9).unwrap();
        let bytes = |bag: &Bag| bag.bytes.len() + bag.ends.len() * size_of::<u32>();
        assert!((bytes(&spellings) + bytes(&sounds)..=100).contains(&most), "{most}");
        let largest = [1, u32::try_from(MOST_BYTES).unwrap() - 2, 2].map(u32::to_le_bytes).concat();
        assert!(Lexicon::footprint(&largest).unwrap() > 3 * MOST_BYTES);
    }
}
