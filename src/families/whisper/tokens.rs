//! The vocabulary: text to ids, ids to text, and the tokens that control the decoder.

mod not_speech;

#[cfg(test)]
mod tests;

use std::panic::catch_unwind;

use tokenizers::Tokenizer;

use super::{
    generation_config::GenerationConfig,
    token_bytes::{TokenBytes, from_byte_level},
};
use crate::{
    model::{LoadError, RequestError},
    speech::{
        TranscribeMode,
        languages::{self, LANGUAGES},
    },
};

const FILE: &str = "tokenizer.json";

/// A Whisper vocabulary. Every id below [`eot`](Self::eot) is text, every id from
/// [`timestamp_begin`](Self::timestamp_begin) on is a time. The names of control tokens are openai-whisper's.
pub struct Tokens {
    tokenizer: Tokenizer,
    pieces: TokenBytes,
    pub eot: u32,
    pub sot: u32,
    /// Before text that was said earlier; without it a model takes no prompt.
    pub sot_prev: Option<u32>,
    pub no_speech: Option<u32>,
    pub no_timestamps: u32,
    /// 0.00 s; the next one is 0.02 s.
    pub timestamp_begin: u32,
    tasks: Option<Tasks>,
    language_model: Option<u32>,
    /// Code and id. Empty where the model only knows English and is not told so.
    languages: Vec<(&'static str, u32)>,
}

struct Tasks {
    transcribe: u32,
    translate: u32,
}

// === impl Tokens ===

impl Tokens {
    /// `vocabulary` is the number of ids that the model knows.
    pub fn new(json: &[u8], given: &GenerationConfig, vocabulary: usize) -> Result<Self, LoadError> {
        let tokenizer = read(json)?;
        let known = |id: &u32| (*id as usize) < vocabulary;
        let find = |name: &str| tokenizer.token_to_id(name).filter(known);
        let need = |name: &str| find(name).ok_or_else(|| malformed(format!("it has no token {name}")));
        let no_timestamps = need("<|notimestamps|>")?;
        let timestamp_begin = agreed(given, no_timestamps)? + 1;
        if timestamp_begin as usize >= vocabulary {
            return Err(malformed(format!(
                "its timestamps begin at {timestamp_begin}, and the model knows {vocabulary} tokens"
            )));
        }
        Ok(Self {
            pieces: pieces(&tokenizer),
            eot: need("<|endoftext|>")?,
            sot: need("<|startoftranscript|>")?,
            sot_prev: find("<|startofprev|>").or(given.prev_sot_token_id.filter(known)),
            no_speech: find("<|nospeech|>").or_else(|| find("<|nocaptions|>")),
            no_timestamps,
            timestamp_begin,
            tasks: tasks(given, &find).filter(|tasks| known(&tasks.transcribe) && known(&tasks.translate)),
            language_model: find("<|startoflm|>"),
            languages: match is_multilingual(given, vocabulary) {
                true => languages(given, &find).filter(|(_, id)| known(id)).collect(),
                false => Vec::new(),
            },
            tokenizer,
        })
    }

    /// Text alone: what looks like a control token is left out.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, LoadError> {
        let encoding = self.tokenizer.encode_fast(text, false).map_err(|error| malformed(error.to_string()))?;
        Ok(encoding.get_ids().iter().copied().filter(|id| *id < self.eot).collect())
    }

    /// Every id is written, incomplete characters as U+FFFD.
    pub fn decode(&self, ids: &[u32]) -> String {
        self.pieces.text(ids)
    }

    /// The bytes of a token, which may be part of a character.
    pub fn bytes(&self, id: u32) -> &[u8] {
        self.pieces.get(id)
    }

    /// [`Self::decode`] without control tokens and times.
    pub fn text(&self, ids: &[u32]) -> String {
        let text: Vec<u32> = ids.iter().copied().filter(|id| *id < self.eot).collect();
        self.decode(&text)
    }

    pub fn is_multilingual(&self) -> bool {
        !self.languages.is_empty()
    }

    /// Code and id of every language that the model can be told.
    pub fn languages(&self) -> &[(&'static str, u32)] {
        &self.languages
    }

    /// The code of a language that a caller named, or why this model does not hear it.
    pub fn language(&self, given: &str) -> Result<&'static str, RequestError> {
        let known = |code: &&str| match self.is_multilingual() {
            true => self.languages.iter().any(|(other, _)| other == code),
            false => *code == "en",
        };
        languages::code(given).filter(known).ok_or_else(|| self.unknown_language(given))
    }

    fn unknown_language(&self, given: &str) -> RequestError {
        let codes: Vec<&str> = self.languages.iter().map(|(code, _)| *code).collect();
        let message = match self.is_multilingual() {
            true => format!("the model does not know the language {given:?}; it knows {}", codes.join(", ")),
            false => format!("the model does not know the language {given:?}; it knows English only (en)"),
        };
        RequestError::Invalid { param: "language", message }
    }

    /// What tells the decoder what to write: start, language, task. English-only models are told nothing but to start.
    pub fn sot_sequence(&self, language: &str, mode: TranscribeMode) -> Vec<u32> {
        let mut opening = vec![self.sot];
        if let Some((_, id)) = self.languages.iter().find(|(code, _)| *code == language) {
            opening.push(*id);
            opening.extend(self.tasks.as_ref().map(|tasks| tasks.of(mode)));
        }
        opening
    }

    /// Whether the model can be told to write English for another language.
    pub fn translates(&self) -> bool {
        self.is_multilingual() && self.tasks.is_some()
    }

    /// Tokens that steer the decoder and are never its answer.
    pub fn controls(&self) -> impl Iterator<Item = u32> {
        let tasks = self.tasks.iter().flat_map(|tasks| [tasks.transcribe, tasks.translate]);
        let others = [Some(self.sot), self.sot_prev, self.language_model, self.no_speech];
        tasks.chain(others.into_iter().flatten())
    }
}

impl Tasks {
    fn of(&self, mode: TranscribeMode) -> u32 {
        match mode {
            TranscribeMode::Transcribe => self.transcribe,
            TranscribeMode::Translate => self.translate,
        }
    }
}

/// The bytes of every id. Added tokens stand for themselves, all others are byte-level.
fn pieces(tokenizer: &Tokenizer) -> TokenBytes {
    let added = tokenizer.get_added_tokens_decoder();
    let mut pieces = Vec::new();
    for (token, id) in tokenizer.get_vocab(true) {
        let index = id as usize;
        pieces.resize(pieces.len().max(index + 1), Vec::new());
        pieces[index] = if added.contains_key(&id) { token.into_bytes() } else { from_byte_level(&token) };
    }
    TokenBytes::new(pieces.iter().map(Vec::as_slice))
}

/// The library panics where a decoder or a normalizer is not what it expects; nothing of it is used afterwards.
fn read(json: &[u8]) -> Result<Tokenizer, LoadError> {
    catch_unwind(|| Tokenizer::from_bytes(json))
        .map_err(|_| malformed("its content makes no sense to the tokenizer".to_owned()))?
        .map_err(|error| malformed(error.to_string()))
}

/// The two files must mean the same token.
fn agreed(given: &GenerationConfig, no_timestamps: u32) -> Result<u32, LoadError> {
    match given.no_timestamps_token_id {
        Some(other) if other != no_timestamps => Err(LoadError::Malformed {
            file: "generation_config.json".to_owned(),
            reason: format!("no_timestamps_token_id is {other}, and {FILE} has <|notimestamps|> at {no_timestamps}"),
        }),
        _ => Ok(no_timestamps),
    }
}

fn tasks(given: &GenerationConfig, find: &impl Fn(&str) -> Option<u32>) -> Option<Tasks> {
    let task = |name: &str| {
        let listed = given.task_to_id.as_ref().and_then(|tasks| tasks.get(name).copied());
        listed.or_else(|| find(&format!("<|{name}|>")))
    };
    Some(Tasks { transcribe: task("transcribe")?, translate: task("translate")? })
}

/// English-only vocabularies hold the language tokens too, so those tell nothing. Without a word on it in the
/// configuration, it is the size of OpenAI's English vocabulary that tells, as in openai-whisper.
fn is_multilingual(given: &GenerationConfig, vocabulary: usize) -> bool {
    const ENGLISH_VOCABULARY: usize = 51_864;
    given.is_multilingual.unwrap_or(given.lang_to_id.is_some() || vocabulary != ENGLISH_VOCABULARY)
}

fn languages(
    given: &GenerationConfig,
    find: &impl Fn(&str) -> Option<u32>,
) -> impl Iterator<Item = (&'static str, u32)> {
    let id = |code: &str| {
        let name = format!("<|{code}|>");
        match &given.lang_to_id {
            Some(listed) => listed.get(&name).copied(),
            None => find(&name),
        }
    };
    LANGUAGES.iter().filter_map(move |(code, _)| Some((*code, id(code)?)))
}

fn malformed(reason: String) -> LoadError {
    LoadError::Malformed { file: FILE.to_owned(), reason }
}
