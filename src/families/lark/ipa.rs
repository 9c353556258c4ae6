//! Pronunciations in the International Phonetic Alphabet, as symbols.

use super::{alphabet::Alphabet, error::LarkError};

/// Sounds that the alphabet writes otherwise, those of several letters first.
const OTHERWISE: &[(&str, &str)] = &[
    ("t͡ʃ", "ʧ"),
    ("d͡ʒ", "ʤ"),
    ("tʃ", "ʧ"),
    ("dʒ", "ʤ"),
    ("eɪ", "A"),
    ("aɪ", "I"),
    ("oʊ", "O"),
    ("əʊ", "O"),
    ("aʊ", "W"),
    ("ɔɪ", "Y"),
    ("ɝ", "ɜɹ"),
    ("ɚ", "əɹ"),
    ("a", "æ"),
    ("e", "ɛ"),
    ("o", "ɔ"),
    ("ɐ", "ə"),
    ("ɒ", "ɑ"),
    ("ɨ", "ɪ"),
    ("ʉ", "u"),
    ("g", "ɡ"),
    ("r", "ɹ"),
    ("ɾ", "T"),
    ("ʔ", "t"),
    ("ɫ", "l"),
    ("x", "k"),
    ("ʍ", "w"),
];
/// Length, ties, syllables and brackets, which English does without.
const IGNORED: &[char] = &['ː', 'ˑ', '.', '‿', '\u{361}', '\u{329}', '\u{32f}', '/', '[', ']', '(', ')'];

/// The symbols of a pronunciation.
///
/// # Errors
/// [`LarkError::Sound`] names a sound that is none of the alphabet's.
pub fn symbols(alphabet: &Alphabet, ipa: &str) -> Result<Vec<u8>, LarkError> {
    let (mut symbols, mut stress, mut rest) = (Vec::new(), None, ipa.trim());
    while let Some(sound) = rest.chars().next() {
        let written = OTHERWISE.iter().find(|(theirs, _)| rest.starts_with(theirs));
        let length = written.map_or(sound.len_utf8(), |(theirs, _)| theirs.len());
        let said = match written {
            Some((_, ours)) => alphabet.indices(ours)?,
            None if IGNORED.contains(&sound) => Vec::new(),
            None => {
                let symbol = alphabet.index(sound).filter(|_| sound == ' ' || !sound.is_ascii_punctuation());
                vec![symbol.ok_or_else(|| LarkError::Sound { sound, ipa: ipa.to_owned() })?]
            }
        };
        // Stress stands before the syllable in theirs, and before its vowel in ours.
        match sound {
            'ˈ' | 'ˌ' => stress = said.first().copied(),
            _ if alphabet.is_open(&said) => symbols.extend(stress.take().into_iter().chain(said)),
            _ => symbols.extend(said),
        }
        rest = &rest[length..];
    }
    Ok(symbols)
}
