//! What each word means where it stands: WordPiece tokens, and a vector for each of a small BERT.

use std::fmt;

use tokenizers::{
    Tokenizer, models::wordpiece::WordPiece, normalizers::bert::BertNormalizer, pre_tokenizers::bert::BertPreTokenizer,
};

use super::{
    repository::{BERT, PART, VOCABULARY},
    text::Place,
};
use crate::{
    families::onnx::{InputType, Network, Numbers, RunError, Signature, Taken},
    model::{LoadError, ModelFiles, Placement},
};

const SIGNATURE: Signature = Signature {
    inputs: &[
        Taken { names: &[TOKENS], types: &[InputType::I64, InputType::I32], required: true },
        Taken { names: &[MASK], types: &[InputType::I64, InputType::I32], required: false },
        Taken { names: &[TYPES], types: &[InputType::I64, InputType::I32], required: false },
    ],
    states: false,
};
const TOKENS: &str = "input_ids";
const MASK: &str = "attention_mask";
const TYPES: &str = "token_type_ids";

/// Bytes of a vocabulary.
const LONGEST: usize = 16 << 20;
/// A word that is not in the vocabulary.
const UNKNOWN: &str = "[UNK]";
const FIRST: &str = "[CLS]";
const LAST: &str = "[SEP]";
/// What continues a word begins with it.
const CONTINUED: char = '#';
/// Marks that a model which reads them as streams does not have among its words.
const MARKS: &str = "-,.?!;:\"";

/// A network and its vocabulary.
#[derive(Debug)]
pub struct Bert {
    network: Network,
    wordpieces: Wordpieces,
}

/// The vocabulary.
pub struct Wordpieces {
    tokenizer: Tokenizer,
    first: i64,
    last: i64,
}

/// The tokens of a text.
#[derive(Debug, PartialEq, Eq)]
pub struct Tokens {
    /// From `[CLS]` to `[SEP]`.
    pub ids: Vec<i64>,
    /// Where a word or a mark begins: the byte, and which of the tokens it is.
    begins: Vec<(usize, usize)>,
}

// === impl Bert ===

impl Bert {
    /// That of a model; `None`: it has none. `wanted`: the network takes one.
    pub fn load(files: &ModelFiles, place: &Placement, wanted: bool) -> Result<Option<Self>, LoadError> {
        match (wanted, files.has(PART, VOCABULARY)) {
            (false, _) => Ok(None),
            (true, false) => Err(LoadError::Missing(VOCABULARY.to_owned())),
            (true, true) => {
                let wordpieces = Wordpieces::read(&files.open(PART, VOCABULARY)?)?;
                let network = Network::open(BERT, &files.open(PART, BERT)?, &SIGNATURE, place)?;
                Ok(Some(Self { network, wordpieces }))
            }
        }
    }

    /// For each place in a text the vector of the word there, place after place, and how long a vector is. `streams`: marks
    /// are no words.
    pub fn vectors(&mut self, text: &str, places: &[Place], streams: bool) -> Result<(Vec<f32>, usize), RunError> {
        let tokens = self.wordpieces.tokens(text, streams).map_err(|error| RunError::new(&error))?;
        let count = tokens.ids.len();
        let row = |number: i64| (vec![1, count], Numbers::Integers(vec![number; count]));
        let ((mask_shape, mask), (types_shape, types)) = (row(1), row(0));
        let given = vec![
            (TOKENS, vec![1, count], Numbers::Integers(tokens.ids.clone())),
            (MASK, mask_shape, mask),
            (TYPES, types_shape, types),
        ];
        let all = self.network.run(given, 0, 0)?;
        if all.is_empty() || !all.len().is_multiple_of(count) {
            return Err(RunError::new("bert/model.onnx does not give a vector for each token"));
        }
        let width = all.len() / count;
        let vectors = places.iter().flat_map(|place| {
            let token = tokens.at(*place);
            all[token * width..][..width].iter().copied()
        });
        Ok((vectors.collect(), width))
    }
}

// === impl Wordpieces ===

impl Wordpieces {
    /// `vocab.txt`: a token a line.
    pub fn read(bytes: &[u8]) -> Result<Self, LoadError> {
        let wrong = |reason: String| LoadError::Malformed { file: VOCABULARY.to_owned(), reason };
        if bytes.len() > LONGEST {
            return Err(wrong(format!("it has {} bytes; {LONGEST} at most would be right", bytes.len())));
        }
        let vocabulary = WordPiece::read_bytes(bytes).map_err(|error| wrong(error.to_string()))?;
        let id = |token: &str| {
            vocabulary.get(token).map(|id| i64::from(*id)).ok_or_else(|| wrong(format!("it has no {token}")))
        };
        let (first, last) = (id(FIRST)?, id(LAST)?);
        id(UNKNOWN)?;
        let model = WordPiece::builder().vocab(vocabulary).unk_token(UNKNOWN.to_owned()).build();
        let mut tokenizer = Tokenizer::new(model.map_err(|error| wrong(error.to_string()))?);
        // Letters stay as they are.
        tokenizer.with_normalizer(Some(BertNormalizer::new(true, true, Some(false), false)));
        tokenizer.with_pre_tokenizer(Some(BertPreTokenizer));
        Ok(Self { tokenizer, first, last })
    }

    pub fn tokens(&self, text: &str, streams: bool) -> Result<Tokens, String> {
        let encoded = self.tokenizer.encode(text, false).map_err(|error| error.to_string())?;
        let ids = encoded.get_ids().iter().map(|id| i64::from(*id));
        let ids = [self.first].into_iter().chain(ids).chain([self.last]).collect();
        let begins = |token: &str| {
            let first = token.chars().next();
            first != Some(CONTINUED) && !(streams && first.is_some_and(|first| MARKS.contains(first)))
        };
        let all = encoded.get_tokens().iter().zip(encoded.get_offsets()).enumerate();
        let begins = all.filter(|(_, (token, _))| begins(token)).map(|(at, (_, (byte, _)))| (*byte, at + 1)).collect();
        Ok(Tokens { ids, begins })
    }
}

impl fmt::Debug for Wordpieces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wordpieces").finish_non_exhaustive()
    }
}

// === impl Tokens ===

impl Tokens {
    /// Which token says what stands at a place: the first that begins there or after it.
    pub fn at(&self, place: Place) -> usize {
        let last = self.ids.len() - 1;
        match place {
            Place::Begin => 0,
            Place::End => last,
            Place::Byte(byte) => {
                let next = self.begins.partition_point(|(begin, _)| *begin < byte);
                self.begins.get(next).map_or(last, |(_, token)| *token)
            }
        }
    }
}
