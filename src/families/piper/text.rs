//! From a text to the numbers that a voice reads: what PyPI's `piper-tts` makes of it, which voices were trained with.

use std::ops::Range;

use icu_normalizer::DecomposingNormalizerBorrowed;

use super::config::{BEGIN, END, PAD, VoiceConfig};
use crate::{
    families::espeak_ng::{Clause, EspeakPhonemizer},
    model::{LoadError, RequestError},
    speech::Pronunciation,
    text::{PhonemeError, sentences},
};

/// Symbols of a sentence, at most: what is longer is said in parts. A minute of speech has about as many, and attention takes
/// memory by the square of them.
const LONGEST: usize = 800;

/// The front end of one voice.
pub struct FrontEnd {
    /// `None`: letters are what it reads.
    phonemizer: Option<EspeakPhonemizer>,
    config: VoiceConfig,
}

/// A sentence, symbol by symbol.
type Symbols = Vec<String>;

// === impl FrontEnd ===

impl FrontEnd {
    /// `phonemizer`: of a voice that reads sounds.
    pub fn new(config: VoiceConfig, phonemizer: Option<EspeakPhonemizer>) -> Result<Self, LoadError> {
        let voice = &config.espeak.voice;
        if let Some(phonemizer) = &phonemizer {
            phonemizer.check(voice).map_err(|error| LoadError::Unsupported(format!("of its espeak.voice, {error}")))?;
        }
        Ok(Self { phonemizer, config })
    }

    /// Something short that can be said.
    pub fn any_sentence(&self) -> Vec<i64> {
        let mut symbols = self.config.phoneme_id_map.keys().filter(|symbol| symbol.chars().all(char::is_alphanumeric));
        let letter = symbols.next().cloned().unwrap_or_else(|| PAD.to_owned());
        self.ids(&[letter]).unwrap_or_else(|| self.config.phoneme_id_map.get(PAD).cloned().unwrap_or_default())
    }

    pub fn config(&self) -> &VoiceConfig {
        &self.config
    }

    /// The sentences of a text, each as the network reads it, from its beginning to its end. Where somebody says how a stretch
    /// sounds, that is taken.
    pub fn read(&self, text: &str, pronunciations: &[Pronunciation]) -> Result<Vec<Vec<i64>>, RequestError> {
        let mut all: Vec<Symbols> = Vec::new();
        let mut from = 0;
        for Pronunciation { range, ipa } in pronunciations {
            self.add(text.get(from..range.start).unwrap_or_default(), from > 0, &mut all)?;
            add_given(ipa, spaces_around(text, range), &mut all);
            from = range.end;
        }
        self.add(text.get(from..).unwrap_or_default(), from > 0, &mut all)?;
        let parts = all.iter().flat_map(|symbols| parts(symbols));
        let said: Vec<Vec<i64>> = parts.filter_map(|symbols| self.ids(symbols)).collect();
        match said.is_empty() {
            false => Ok(said),
            true => Err(invalid("the text has nothing that can be spoken; words would be right".to_owned())),
        }
    }

    /// `goes_on`: what stands before it belongs to its first sentence, and a mark that it begins with to that.
    fn add(&self, text: &str, goes_on: bool, all: &mut Vec<Symbols>) -> Result<(), RequestError> {
        let mark = text.chars().next().filter(|first| goes_on && ".,:;!?".contains(*first));
        if let (Some(mark), Some(last)) = (mark, all.last_mut()) {
            last.push(mark.to_string());
            last.extend(",:;".contains(mark).then(|| " ".to_owned()));
        }
        let goes_on = goes_on && !mark.is_some_and(|mark| ".!?".contains(mark));
        let text = mark.map_or(text, |mark| &text[mark.len_utf8()..]);
        if text.trim().is_empty() {
            return Ok(());
        }
        let mut new = self.symbols(text)?.into_iter();
        if let Some(last) = all.last_mut().filter(|_| goes_on) {
            last.extend(new.next().unwrap_or_default());
        }
        all.extend(new);
        Ok(())
    }

    fn symbols(&self, text: &str) -> Result<Vec<Symbols>, RequestError> {
        let Some(phonemizer) = &self.phonemizer else {
            return Ok(sentences(text).into_iter().map(|sentence| letters(sentence.trim())).collect());
        };
        let clauses = phonemizer.clauses(&self.config.espeak.voice, text).map_err(of_text)?;
        Ok(joined(&clauses).iter().map(|sentence| self.merged(letters(sentence))).collect())
    }

    /// With clusters of vowels as one symbol each, the longest first.
    pub(super) fn merged(&self, symbols: Symbols) -> Symbols {
        let clusters = &self.config.vowel_clusters;
        let (mut merged, mut rest) = (Vec::new(), symbols.as_slice());
        while let Some((first, after)) = rest.split_first() {
            let found = clusters.iter().filter(|cluster| cluster.len() > 1 && rest.starts_with(cluster));
            match found.max_by_key(|cluster| cluster.len()) {
                Some(cluster) => {
                    merged.push(cluster.concat());
                    rest = &rest[cluster.len()..];
                }
                None => {
                    merged.push(first.clone());
                    rest = after;
                }
            }
        }
        merged
    }

    /// A pad after every symbol but the last; `None` where nothing of it is known. What is not known is left out.
    pub(super) fn ids(&self, symbols: &[String]) -> Option<Vec<i64>> {
        let map = &self.config.phoneme_id_map;
        let spoken = |symbol: &&String| symbol.chars().any(char::is_alphanumeric) && map.contains_key(*symbol);
        symbols.iter().find(spoken)?;
        let (begin, pad, end) = (map.get(BEGIN)?, map.get(PAD)?, map.get(END)?);
        let mut ids = [begin.as_slice(), pad].concat();
        for symbol in symbols.iter().filter_map(|symbol| map.get(symbol)) {
            ids.extend(symbol);
            ids.extend(pad);
        }
        ids.extend(end);
        Some(ids)
    }
}

/// Sentences of clauses, as they sound, with their marks.
pub(super) fn joined(clauses: &[Clause]) -> Vec<String> {
    let (mut all, mut sentence) = (Vec::new(), String::new());
    for clause in clauses {
        sentence += &clause.phonemes;
        sentence.extend(clause.mark);
        if matches!(clause.mark, Some(',' | ':' | ';')) {
            sentence.push(' ');
        }
        if clause.ends_sentence {
            all.push(std::mem::take(&mut sentence));
        }
    }
    all.extend((!sentence.is_empty()).then_some(sentence));
    all
}

/// Every character by itself, accents apart from what they stand on.
pub(super) fn letters(text: &str) -> Symbols {
    DecomposingNormalizerBorrowed::new_nfd().normalize(text).chars().map(String::from).collect()
}

/// As it sounds, with a space where one stands before or after it.
fn add_given(ipa: &str, (before, after): (bool, bool), all: &mut Vec<Symbols>) {
    if all.is_empty() {
        all.push(Symbols::new());
    }
    if let Some(last) = all.last_mut() {
        let apart = last.last().is_some_and(|symbol| symbol == " ");
        last.extend((before && !apart).then(|| " ".to_owned()));
        last.extend(letters(ipa.trim()));
        last.extend(after.then(|| " ".to_owned()));
    }
}

fn spaces_around(text: &str, range: &Range<usize>) -> (bool, bool) {
    let part = |range: Range<usize>| text.get(range).unwrap_or_default();
    (part(0..range.start).ends_with(char::is_whitespace), part(range.end..text.len()).starts_with(char::is_whitespace))
}

/// What is longer than can be said at once is cut between words.
fn parts(symbols: &[String]) -> Vec<&[String]> {
    let (mut parts, mut rest) = (Vec::new(), symbols);
    while rest.len() > LONGEST {
        let space = rest[..LONGEST].iter().rposition(|symbol| symbol == " ");
        let (part, after) = rest.split_at(space.map_or(LONGEST, |space| space + 1));
        parts.push(part);
        rest = after;
    }
    parts.push(rest);
    parts
}

fn of_text(error: PhonemeError) -> RequestError {
    match error {
        PhonemeError::Failed(reason) => {
            tracing::warn!(%reason, "espeak-ng did not say how a text sounds");
            RequestError::Broken
        }
        error => invalid(error.to_string()),
    }
}

fn invalid(message: String) -> RequestError {
    RequestError::Invalid { param: "text", message }
}
