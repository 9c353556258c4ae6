//! The alphabet of a folder, and English in it.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{
    super::{
        alphabet::Alphabet, config::Config, error::LarkError, frontend::FrontEnd, letters::GraphemeToPhoneme,
        lexicon::Lexicon,
    },
    files::VOCABULARY,
};
use crate::{model::EMBEDDED, nn::weights::Weights};

/// The voice inside this program, whose sounds are among those of every Hibari.
const OURS: &str = "lark.en";

/// Quotes and brackets are read over.
const SILENT: &[char] = &['"', '“', '”', '(', ')'];

/// A vowel of the dictionary that our own voice is without.
const REDUCED: char = 'ᵻ';

/// From JSON, `{symbol: number}`.
pub fn alphabet(vocabulary: &[u8]) -> Result<Alphabet, LarkError> {
    let fault = |reason: String| LarkError::File { file: VOCABULARY.to_owned(), reason };
    let numbers: BTreeMap<char, u8> = serde_json::from_slice(vocabulary).map_err(|error| fault(error.to_string()))?;
    let last = numbers.values().copied().max().unwrap_or(0);
    let mut symbols = vec![None; usize::from(last) + 1];
    for (symbol, number) in numbers.into_iter().filter(|(symbol, _)| !SILENT.contains(symbol)) {
        symbols[usize::from(number)] = Some(symbol);
    }
    let ours = config()?;
    Alphabet::new(symbols, &format!("{}{REDUCED}", ours.vowels)).map_err(|error| fault(error.to_string()))
}

/// English by a dictionary, and by the guesses of our own voice.
pub fn front_end(alphabet: Alphabet, lexicon: Lexicon) -> Result<FrontEnd, LarkError> {
    let config = config()?;
    let mut weights = Weights::open(&[(OURS.to_owned(), Bytes::from_static(file("model.safetensors")?))], "")?;
    let letters = GraphemeToPhoneme::load(&mut weights, &config)?;
    let mut symbols = vec![0];
    for symbol in config.symbols.iter().skip(1) {
        let known = alphabet.index(*symbol).ok_or(LarkError::Symbol(*symbol));
        symbols
            .push(known.map_err(|error| LarkError::File { file: VOCABULARY.to_owned(), reason: error.to_string() })?);
    }
    FrontEnd::new(&config, alphabet, lexicon, letters.in_symbols(symbols))
}

fn config() -> Result<Config, LarkError> {
    Config::from_slice(file("config.json")?)
}

fn file(name: &str) -> Result<&'static [u8], LarkError> {
    let ours = EMBEDDED.iter().find(|model| model.name == OURS).and_then(|model| model.file(name));
    ours.ok_or_else(|| LarkError::Config(format!("this program was built without {OURS}")))
}
