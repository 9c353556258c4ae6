//! The dictionary of a folder: compressed JSON, from words to sounds, or to sounds by part of speech.

use std::{collections::BTreeMap, io::Read};

use flate2::read::GzDecoder;
use serde::Deserialize;

use super::super::{alphabet::Alphabet, error::LarkError, lexicon::Lexicon};

/// Of one file, unpacked: ten times what the published ones have.
const MOST_BYTES: u64 = 32 << 20;

/// The part of speech that stands for all that are not listed.
const ANY: &str = "DEFAULT";

/// Sounds that the networks never saw, and what they were called instead.
const OTHERWISE: [(&str, &str); 2] = [("ɾ", "T"), ("ʔ", "t")];

/// The dictionary has these as they are said alone.
const WEAK: &[(&str, &str)] = &[("a", "ɐ"), ("an", "ɐn"), ("the", "ðə"), ("to", "tə"), ("i", "ˌI")];

#[derive(Deserialize)]
#[serde(untagged)]
enum Entry {
    Sounds(String),
    ByPart(BTreeMap<String, Option<String>>),
}

// === impl Entry ===

impl Entry {
    fn sounds(&self) -> Option<&str> {
        match self {
            Self::Sounds(sounds) => Some(sounds),
            Self::ByPart(parts) => parts.get(ANY)?.as_deref(),
        }
    }
}

/// All words of some files, given by name and content; the first that has a word counts.
pub fn read(alphabet: &Alphabet, files: &[(&str, &[u8])]) -> Result<Lexicon, LarkError> {
    let mut words = BTreeMap::new();
    for (word, sounds) in WEAK {
        words.insert((*word).to_owned(), alphabet.indices(sounds)?);
    }
    for (file, packed) in files {
        add(&mut words, alphabet, packed).map_err(|reason| LarkError::File { file: (*file).to_owned(), reason })?;
    }
    Lexicon::of(&words)
}

/// Names count after words that are written like them.
fn add(words: &mut BTreeMap<String, Vec<u8>>, alphabet: &Alphabet, packed: &[u8]) -> Result<(), String> {
    let entries = unpack(packed)?;
    let (common, names): (Vec<_>, Vec<_>) = entries.iter().partition(|(word, _)| !word.contains(char::is_uppercase));
    for (word, entry) in common.into_iter().chain(names) {
        let Some(sounds) = entry.sounds() else { continue };
        let sounds = OTHERWISE.iter().fold(sounds.to_owned(), |sounds, (theirs, ours)| sounds.replace(theirs, ours));
        let sounds = alphabet.indices(&sounds).map_err(|error| format!("{word:?}: {error}"))?;
        words.entry(word.to_lowercase()).or_insert(sounds);
    }
    Ok(())
}

fn unpack(packed: &[u8]) -> Result<BTreeMap<String, Entry>, String> {
    let mut json = Vec::new();
    let read = GzDecoder::new(packed).take(MOST_BYTES + 1).read_to_end(&mut json).map_err(|error| error.to_string())?;
    if read as u64 > MOST_BYTES {
        return Err(format!("it unpacks to more than {MOST_BYTES} bytes"));
    }
    serde_json::from_slice(&json).map_err(|error| error.to_string())
}
