//! A `tokenizer.model` of SentencePiece (Kudo and Richardson, arXiv 1808.06226): byte pair encoding, as its own library does it.
//!
//! Of two neighbours that are a piece together the pair with the best score is merged first, the leftmost where several have it. What
//! no piece has is said by its bytes.

use std::{
    cmp::Ordering,
    collections::{BinaryHeap, HashMap},
};

use bytes::Bytes;

use crate::{
    families::protobuf::{Damaged, Fields, Value},
    model::LoadError,
};

/// What stands for a space.
const SPACE: &str = "\u{2581}";
/// Kinds of models, and of pieces, by their numbers in `sentencepiece_model.proto`.
const BPE: u64 = 2;
const NORMAL: u64 = 1;
const USER_DEFINED: u64 = 4;
const UNUSED: u64 = 5;
const BYTE: u64 = 6;

/// Pieces of text, and their ids.
#[derive(Debug)]
pub struct SentencePiece {
    /// Pieces that may be merged, with their scores.
    normal: HashMap<String, (u32, f32)>,
    /// All of them.
    ids: HashMap<String, u32>,
    /// Those of the 256 bytes.
    bytes: Vec<u32>,
    leads: bool,
}

/// What a model says of itself.
struct Spec {
    kind: u64,
    byte_fallback: bool,
    charsmap: bool,
    /// A space is put before a text.
    leads: bool,
    remove_whitespace: bool,
    escape_whitespace: bool,
}

/// A stretch of the text that is one piece so far, among its neighbours.
#[derive(Clone, Copy, Debug)]
struct Symbol {
    start: usize,
    /// Empty: it became part of the one before.
    len: usize,
    previous: Option<usize>,
    next: Option<usize>,
}

/// Two neighbours that are a piece together.
#[derive(Debug)]
struct Pair {
    score: f32,
    left: usize,
    right: usize,
    /// Bytes of both, when they were found.
    len: usize,
}

// === impl SentencePiece ===

impl SentencePiece {
    /// `file`: its name, for errors.
    pub fn read(file: &str, content: Bytes) -> Result<Self, LoadError> {
        let malformed = |reason: String| LoadError::Malformed { file: file.to_owned(), reason };
        let (pieces, spec) = parse(content).map_err(|error| malformed(error.to_string()))?;
        spec.check().map_err(malformed)?;
        let (mut normal, mut ids, mut bytes) = (HashMap::new(), HashMap::new(), vec![None; 256]);
        for (id, (piece, score, kind)) in pieces.into_iter().enumerate() {
            let id = u32::try_from(id).map_err(|_| malformed("it has too many pieces".to_owned()))?;
            match kind {
                NORMAL => {
                    normal.insert(piece.clone(), (id, score));
                }
                BYTE => {
                    let byte = byte_of(&piece).ok_or_else(|| malformed(format!("{piece} is no byte")))?;
                    bytes[usize::from(byte)] = Some(id);
                }
                USER_DEFINED | UNUSED => {
                    let reason =
                        format!("its piece {piece} is user-defined or unused, which this server does not read");
                    return Err(malformed(reason));
                }
                _ => {}
            }
            ids.insert(piece, id);
        }
        let bytes = bytes.into_iter().collect::<Option<Vec<_>>>();
        let bytes = bytes.ok_or_else(|| malformed("it has no piece for some bytes".to_owned()))?;
        Ok(Self { normal, ids, bytes, leads: spec.leads })
    }

    /// Of a whole piece, whatever kind it is.
    pub fn id(&self, piece: &str) -> Option<u32> {
        self.ids.get(piece).copied()
    }

    /// Nothing in a text ends or begins anything: what looks like a special piece is letters.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        if text.is_empty() {
            return Vec::new();
        }
        let lead = if self.leads { SPACE } else { "" };
        let text = format!("{lead}{}", text.replace(' ', SPACE));
        let mut symbols = symbols(&text);
        let mut pairs = BinaryHeap::new();
        for right in 1..symbols.len() {
            pairs.extend(self.pair(&text, &symbols, right - 1, right));
        }
        while let Some(Pair { left, right, len, .. }) = pairs.pop() {
            // Either became part of something else.
            if symbols[left].len == 0 || symbols[right].len == 0 || symbols[left].len + symbols[right].len != len {
                continue;
            }
            let next = symbols[right].next;
            symbols[left] = Symbol { len, next, ..symbols[left] };
            symbols[right].len = 0;
            if let Some(next) = next {
                symbols[next].previous = Some(left);
                pairs.extend(self.pair(&text, &symbols, left, next));
            }
            if let Some(previous) = symbols[left].previous {
                pairs.extend(self.pair(&text, &symbols, previous, left));
            }
        }
        let pieces = symbols.iter().filter(|symbol| symbol.len > 0);
        pieces.flat_map(|symbol| self.spelled(&text[symbol.start..symbol.start + symbol.len])).collect()
    }

    fn pair(&self, text: &str, symbols: &[Symbol], left: usize, right: usize) -> Option<Pair> {
        let len = symbols[left].len + symbols[right].len;
        let piece = &text[symbols[left].start..symbols[left].start + len];
        let (_, score) = self.normal.get(piece)?;
        Some(Pair { score: *score, left, right, len })
    }

    /// A piece, or its bytes.
    fn spelled(&self, piece: &str) -> Vec<u32> {
        match self.normal.get(piece) {
            Some((id, _)) => vec![*id],
            None => piece.bytes().map(|byte| self.bytes[usize::from(byte)]).collect(),
        }
    }
}

/// One a character.
fn symbols(text: &str) -> Vec<Symbol> {
    let count = text.chars().count();
    let symbol = |(at, (start, letter)): (usize, (usize, char))| Symbol {
        start,
        len: letter.len_utf8(),
        previous: at.checked_sub(1),
        next: Some(at + 1).filter(|next| *next < count),
    };
    text.char_indices().enumerate().map(symbol).collect()
}

/// `<0x0A>`
fn byte_of(piece: &str) -> Option<u8> {
    let digits = piece.strip_prefix("<0x")?.strip_suffix('>').filter(|digits| digits.len() == 2)?;
    u8::from_str_radix(digits, 16).ok()
}

// === reading ===

type Piece = (String, f32, u64);

fn parse(content: Bytes) -> Result<(Vec<Piece>, Spec), Damaged> {
    let mut pieces = Vec::new();
    let mut spec = Spec {
        kind: 1,
        byte_fallback: false,
        charsmap: false,
        leads: true,
        remove_whitespace: true,
        escape_whitespace: true,
    };
    for field in Fields::of(content) {
        match field? {
            (1, piece) => pieces.push(parse_piece(piece.message()?)?),
            (2, trainer) => {
                for field in trainer.message()? {
                    match field? {
                        (3, Value::Integer(kind)) => spec.kind = kind,
                        (35, Value::Integer(fallback)) => spec.byte_fallback = fallback != 0,
                        _ => {}
                    }
                }
            }
            (3, normalizer) => {
                for field in normalizer.message()? {
                    match field? {
                        (2, Value::Bytes(map)) => spec.charsmap = !map.is_empty(),
                        (3, Value::Integer(leads)) => spec.leads = leads != 0,
                        (4, Value::Integer(remove)) => spec.remove_whitespace = remove != 0,
                        (5, Value::Integer(escape)) => spec.escape_whitespace = escape != 0,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    if pieces.is_empty() { Err(Damaged) } else { Ok((pieces, spec)) }
}

fn parse_piece(fields: Fields) -> Result<Piece, Damaged> {
    let mut piece = (String::new(), 0.0, NORMAL);
    for field in fields {
        match field? {
            (1, text) => piece.0 = text.text()?,
            (2, Value::Word(score)) => piece.1 = f32::from_bits(score),
            (3, Value::Integer(kind)) => piece.2 = kind,
            _ => {}
        }
    }
    Ok(piece)
}

// === impl Spec ===

impl Spec {
    /// Whether it is of the one kind that is read here, that of Llama.
    fn check(&self) -> Result<(), String> {
        let (kind, fallback) = (self.kind, self.byte_fallback);
        if kind != BPE || !fallback {
            return Err(format!(
                "its model_type is {kind} and its byte_fallback {fallback}; {BPE} (BPE) and true would be right"
            ));
        }
        if self.charsmap || self.remove_whitespace || !self.escape_whitespace {
            let right = "one that leaves all letters and spaces as they are would be right";
            return Err(format!("its normalizer changes texts; {right}"));
        }
        Ok(())
    }
}

// === impl Pair ===

impl PartialEq for Pair {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Pair {}

impl PartialOrd for Pair {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Pair {
    /// The best score, then the leftmost.
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then(other.left.cmp(&self.left))
    }
}
