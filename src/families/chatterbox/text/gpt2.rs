//! The tokenizer of Turbo and Nano: that of GPT-2, with tokens for sounds such as `[laugh]`.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use tokenizers::{
    AddedToken, Tokenizer,
    models::bpe::{BPE, Vocab},
    pre_tokenizers::byte_level::ByteLevel,
};

use super::{
    error::{TextError, TokenizerError},
    punctuation::{Punctuation, punctuate},
};

const VOCAB: &str = "vocab.json";
const MERGES: &str = "merges.txt";
const ADDED: &str = "added_tokens.json";
const CONFIG: &str = "tokenizer_config.json";

/// GPT-2's own special token.
const END_OF_TEXT: &str = "<|endoftext|>";

/// The tokenizer of Turbo and Nano.
pub struct Gpt2Tokenizer(Tokenizer);

/// The files of such a tokenizer where it is not in one, by their content.
#[derive(Clone, Copy, Debug)]
pub struct Gpt2Files<'a> {
    /// `vocab.json`
    pub vocab: &'a [u8],
    /// `merges.txt`
    pub merges: &'a [u8],
    /// `added_tokens.json`
    pub added_tokens: Option<&'a [u8]>,
    /// `tokenizer_config.json`, which tells more of the same tokens.
    pub config: Option<&'a [u8]>,
}

/// The one field of `tokenizer_config.json` that is of use here.
#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    added_tokens_decoder: BTreeMap<String, Added>,
}

/// A token that is looked for before all others.
#[derive(Deserialize)]
struct Added {
    content: String,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    special: bool,
}

// === impl Gpt2Tokenizer ===

impl Gpt2Tokenizer {
    /// From one file, `tokenizer.json`.
    pub fn from_json(file: &str, content: &[u8]) -> Result<Self, TokenizerError> {
        Tokenizer::from_bytes(content).map(Self).map_err(|error| TokenizerError::new(file, error))
    }

    pub fn from_files(files: &Gpt2Files<'_>) -> Result<Self, TokenizerError> {
        let vocab = json::<HashMap<String, u32>>(VOCAB, files.vocab)?.into_iter().collect::<Vocab>();
        let bpe = BPE::builder().vocab_and_merges(vocab, merges(files.merges)?);
        let bpe = bpe.build().map_err(|error| TokenizerError::new(MERGES, error))?;
        let mut tokenizer = Tokenizer::new(bpe);
        let bytes = ByteLevel::default().add_prefix_space(false);
        tokenizer.with_pre_tokenizer(Some(bytes));
        add(&mut tokenizer, added(files)?)?;
        Ok(Self(tokenizer))
    }

    /// A text as it was written to tokens. There is no start and no stop.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TextError> {
        let text = punctuate(text, Punctuation::Turbo)?;
        let encoded = self.0.encode(text, true).map_err(|error| TextError::Tokens(error.to_string()))?;
        Ok(encoded.get_ids().to_vec())
    }
}

// === impl Added ===

impl Added {
    fn new(content: String) -> Self {
        let special = content == END_OF_TEXT;
        Self { content, lstrip: false, rstrip: false, single_word: false, special }
    }
}

fn json<'a, T: Deserialize<'a>>(file: &str, content: &'a [u8]) -> Result<T, TokenizerError> {
    serde_json::from_slice(content).map_err(|error| TokenizerError::new(file, error))
}

/// Pairs of tokens that become one, the first of them first: one pair a line, after a line with a version.
fn merges(content: &[u8]) -> Result<Vec<(String, String)>, TokenizerError> {
    let text = std::str::from_utf8(content).map_err(|error| TokenizerError::new(MERGES, error))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with("#version"));
    let pair = |(at, line): (usize, &str)| {
        let pair = line.split_once(' ').map(|(left, right)| (left.to_owned(), right.to_owned()));
        pair.ok_or_else(|| {
            TokenizerError::new(MERGES, format!("line {} is {line:?}, where a pair is expected", at + 1))
        })
    };
    lines.map(pair).collect()
}

/// By their ids.
fn added(files: &Gpt2Files<'_>) -> Result<BTreeMap<u32, Added>, TokenizerError> {
    let mut tokens = BTreeMap::new();
    if let Some(content) = files.added_tokens {
        let ids: HashMap<String, u32> = json(ADDED, content)?;
        tokens.extend(ids.into_iter().map(|(token, id)| (id, Added::new(token))));
    }
    if let Some(content) = files.config {
        for (id, token) in json::<Config>(CONFIG, content)?.added_tokens_decoder {
            let id = id.parse().map_err(|_| TokenizerError::new(CONFIG, format!("{id:?} is no id of a token")))?;
            tokens.insert(id, token);
        }
    }
    Ok(tokens)
}

/// New tokens get the ids after the vocabulary's; where a file says otherwise it is not for this vocabulary.
fn add(tokenizer: &mut Tokenizer, tokens: BTreeMap<u32, Added>) -> Result<(), TokenizerError> {
    let end = tokenizer.token_to_id(END_OF_TEXT).map(|id| (id, Added::new(END_OF_TEXT.to_owned())));
    let missing = end.filter(|(id, _)| !tokens.contains_key(id));
    for (id, token) in missing.into_iter().chain(tokens) {
        let wanted = AddedToken::from(token.content.as_str(), token.special)
            .lstrip(token.lstrip)
            .rstrip(token.rstrip)
            .single_word(token.single_word)
            .normalized(false);
        tokenizer.add_tokens(&[wanted]);
        let found = tokenizer.token_to_id(&token.content);
        if found != Some(id) {
            let found = found.map_or("no id".to_owned(), |found| found.to_string());
            return Err(TokenizerError::new(
                ADDED,
                format!("{} has the id {id}, and after {VOCAB} it would have {found}", token.content),
            ));
        }
    }
    Ok(())
}
