//! `tekken.json`: the vocabulary of Mistral's models. Special tokens come first; after them the tokens of text, each a
//! string of bytes, in the order in which they are put together from shorter ones.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;

use super::repository::VOCABULARY;
use crate::model::LoadError;

/// The published file is below 20 MB.
const MOST_BYTES: usize = 128 << 20;
/// Tokens, special ones included; ten times as many as there are.
const MOST_TOKENS: usize = 1 << 21;
/// Of a token.
const MOST_TOKEN_BYTES: usize = 4096;

/// A vocabulary.
#[derive(Debug)]
pub struct Tekken {
    /// Names of the special tokens, by id.
    special: Vec<String>,
    /// How many ids are special; not all of them have a name.
    first: usize,
    /// The tokens of text, one after the other.
    bytes: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<usize>,
}

#[derive(Deserialize)]
struct File {
    config: Sizes,
    vocab: Vec<Entry>,
    special_tokens: Vec<Special>,
}

#[derive(Deserialize)]
struct Sizes {
    default_vocab_size: usize,
    default_num_special_tokens: usize,
}

#[derive(Deserialize)]
struct Entry {
    rank: usize,
    token_bytes: String,
}

#[derive(Deserialize)]
struct Special {
    rank: usize,
    token_str: String,
}

// === impl Tekken ===

impl Tekken {
    /// # Errors
    /// What is wrong with the file, and where.
    pub fn from_json(json: &[u8]) -> Result<Self, LoadError> {
        if json.len() > MOST_BYTES {
            return Err(malformed(format!("it has {} bytes, and {MOST_BYTES} are the most", json.len())));
        }
        let file: File = serde_json::from_slice(json).map_err(|error| malformed(error.to_string()))?;
        let Sizes { default_vocab_size: all, default_num_special_tokens: first } = file.config;
        if all > MOST_TOKENS || first > all || all - first > file.vocab.len() {
            let reason = format!("{first} special tokens and {} others do not make {all}", file.vocab.len());
            return Err(malformed(reason));
        }
        let (bytes, ends) = text_tokens(&file.vocab[..all - first])?;
        Ok(Self { special: special_tokens(file.special_tokens, first)?, first, bytes, ends })
    }

    /// How many tokens there are.
    pub fn len(&self) -> usize {
        self.first + self.ends.len()
    }

    /// The id of a special token.
    ///
    /// # Errors
    /// It is not there.
    pub fn special(&self, name: &str) -> Result<u32, LoadError> {
        let id = self.special.iter().position(|special| special == name).filter(|_| !name.is_empty());
        id.map(|id| id as u32).ok_or_else(|| malformed(format!("it has no special token {name}")))
    }

    /// The bytes of a token of text; of any other there are none.
    pub fn bytes(&self, id: u32) -> &[u8] {
        (id as usize).checked_sub(self.first).map_or(&[], |rank| self.ranked(rank))
    }

    /// The tokens of a word, which is what the vocabulary's pattern leaves whole: of two neighbours, those that make the
    /// token of the lowest rank become one, until none do.
    ///
    /// # Errors
    /// A byte of it has no token.
    pub fn encode_word(&self, word: &str) -> Result<Vec<u32>, LoadError> {
        let word = word.as_bytes();
        let mut cuts: Vec<usize> = (0..=word.len()).collect();
        let join = |cuts: &[usize], at: usize| self.rank(&word[cuts[at]..cuts[at + 2]]).map(|rank| (rank, at));
        while let Some((_, at)) = (0..cuts.len().saturating_sub(2)).filter_map(|at| join(&cuts, at)).min() {
            cuts.remove(at + 1);
        }
        let piece = |ends: &[usize]| self.rank(&word[ends[0]..ends[1]]).map(|rank| (self.first + rank) as u32);
        let ids: Option<Vec<u32>> = cuts.windows(2).map(piece).collect();
        ids.ok_or_else(|| malformed("not every byte has a token".to_owned()))
    }

    /// Looks through all of them, which is quick enough for the few words of a prompt.
    fn rank(&self, bytes: &[u8]) -> Option<usize> {
        (0..self.ends.len()).find(|rank| self.ranked(*rank) == bytes)
    }

    fn ranked(&self, rank: usize) -> &[u8] {
        let Some(&end) = self.ends.get(rank) else { return &[] };
        let start = rank.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..end]
    }
}

fn text_tokens(vocabulary: &[Entry]) -> Result<(Vec<u8>, Vec<usize>), LoadError> {
    let (mut bytes, mut ends) = (Vec::new(), Vec::with_capacity(vocabulary.len()));
    for (at, Entry { rank, token_bytes }) in vocabulary.iter().enumerate() {
        if *rank != at {
            return Err(malformed(format!("the rank {rank} stands where {at} is expected")));
        }
        let token = STANDARD.decode(token_bytes).ok().filter(|token| (1..=MOST_TOKEN_BYTES).contains(&token.len()));
        bytes.extend(token.ok_or_else(|| malformed(format!("the bytes of rank {at} are not base64 of a token")))?);
        ends.push(bytes.len());
    }
    Ok((bytes, ends))
}

/// By id; what has no name there has none here.
fn special_tokens(listed: Vec<Special>, first: usize) -> Result<Vec<String>, LoadError> {
    let mut names = vec![String::new(); first];
    for Special { rank, token_str } in listed {
        match names.get_mut(rank) {
            Some(name) if name.is_empty() => *name = token_str,
            _ => return Err(malformed(format!("there is no place for the special token {token_str}"))),
        }
    }
    Ok(names)
}

fn malformed(reason: String) -> LoadError {
    LoadError::Malformed { file: VOCABULARY.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// To what a file should not be.
    type Change<'a> = &'a dyn Fn(&mut Value);

    /// `<s>` and `</s>`, a place without a name, then a, b, c, ab, bc, abc, €'s first two bytes and its last.
    fn file() -> Value {
        let vocabulary = ["YQ==", "Yg==", "Yw==", "YWI=", "YmM=", "YWJj", "4oI=", "rA=="];
        let entry = |(rank, bytes): (usize, &&str)| json!({"rank": rank, "token_bytes": bytes, "token_str": null});
        json!({
            "config": {"pattern": ".", "default_vocab_size": 11, "default_num_special_tokens": 3},
            "vocab": vocabulary.iter().enumerate().map(entry).collect::<Vec<_>>(),
            "special_tokens": [{"rank": 0, "token_str": "<s>"}, {"rank": 1, "token_str": "</s>", "is_control": true}],
        })
    }

    fn read(file: &Value) -> Result<Tekken, String> {
        Tekken::from_json(file.to_string().as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn special_tokens_come_first_and_have_no_bytes() {
        let tekken = read(&file()).unwrap();
        assert_eq!((tekken.len(), tekken.special("</s>").unwrap()), (11, 1));
        assert_eq!(
            [0, 2, 3, 6, 10, 11, u32::MAX].map(|id| tekken.bytes(id)),
            [b"", b"", &b"a"[..], b"ab", b"\xac", b"", b""]
        );
        let missing = tekken.special("[TRANSCRIBE]").unwrap_err().to_string();
        assert!(missing.contains("tekken.json") && missing.contains("no special token [TRANSCRIBE]"), "{missing}");
        assert!(tekken.special("").is_err(), "a place without a name is not a token without a name");
    }

    #[test]
    fn the_lowest_rank_is_joined_first() {
        let tekken = read(&file()).unwrap();
        // ab (3) before bc (4), then abc (5).
        for (word, ids) in [("abc", &[8][..]), ("bc", &[7]), ("abab", &[6, 6]), ("cab", &[5, 6]), ("", &[])] {
            assert_eq!(tekken.encode_word(word).unwrap(), ids, "{word}");
        }
        assert!(tekken.encode_word("abd").is_err());
    }

    #[test]
    fn more_tokens_than_are_used_may_stand_there() {
        let mut file = file();
        file["config"]["default_vocab_size"] = json!(6);
        assert_eq!(read(&file).unwrap().len(), 6);
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said() {
        let changed = |change: Change| {
            let mut file = file();
            change(&mut file);
            read(&file).unwrap_err()
        };
        let cases: [(&str, Change); 8] = [
            ("do not make 512", &|file| file["config"]["default_vocab_size"] = json!(512)),
            ("do not make 1", &|file| file["config"]["default_vocab_size"] = json!(1)),
            ("do not make 4294967296", &|file| file["config"]["default_vocab_size"] = json!(1u64 << 32)),
            ("the rank 9 stands where 2", &|file| file["vocab"][2]["rank"] = json!(9)),
            ("the bytes of rank 3", &|file| file["vocab"][3]["token_bytes"] = json!("*")),
            ("the bytes of rank 0", &|file| file["vocab"][0]["token_bytes"] = json!("")),
            ("no place for the special token <x>", &|file| {
                file["special_tokens"][1] = json!({"rank": 3, "token_str": "<x>"});
            }),
            ("missing field `special_tokens`", &|file| drop(file.as_object_mut().unwrap().remove("special_tokens"))),
        ];
        for (said, change) in cases {
            let error = changed(change);
            assert!(error.contains(said) && error.starts_with("tekken.json is not"), "{error}");
        }
    }
}
