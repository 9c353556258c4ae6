//! The tokens of both stages: words, codes of sound, and what parts them.

use bytes::Bytes;

use super::sentencepiece::SentencePiece;
use crate::model::LoadError;

/// The name of the file.
pub const FILE: &str = "tokenizer.model";
/// Books that the second stage writes, the first of which it is given.
pub const BOOKS: usize = 8;
/// What no codebook comes near.
const MOST_CODES: u32 = 1 << 16;

/// Words to tokens, and the tokens that no text has.
#[derive(Debug)]
pub struct Words {
    pieces: SentencePiece,
    pub ids: SongIds,
}

/// Tokens that are no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SongIds {
    /// Sound begins, and ends.
    pub begin: u32,
    pub end: u32,
    /// The codes that follow are of X-Codec.
    pub xcodec: u32,
    /// Before the codes that the second stage is given, and after them.
    pub stage_1: u32,
    pub stage_2: u32,
    /// The first code of the first book; all others follow it, book by book.
    pub codes: u32,
    /// Codes of a book.
    pub of_book: u32,
}

// === impl Words ===

impl Words {
    pub fn read(content: Bytes) -> Result<Self, LoadError> {
        let pieces = SentencePiece::read(FILE, content)?;
        let malformed = |reason: String| LoadError::Malformed { file: FILE.to_owned(), reason };
        let id = |piece: &str| pieces.id(piece).ok_or_else(|| malformed(format!("it has no piece {piece}")));
        let code = |book: usize, code: u32| pieces.id(&format!("<xcodec/{book}/{code}>"));
        let of_book = (0..MOST_CODES).take_while(|&at| code(0, at).is_some()).count() as u32;
        let ids = SongIds {
            begin: id("<SOA>")?,
            end: id("<EOA>")?,
            xcodec: id("<xcodec>")?,
            stage_1: id("<stage_1>")?,
            stage_2: id("<stage_2>")?,
            codes: id("<xcodec/0/0>")?,
            of_book,
        };
        let all = (0..BOOKS).flat_map(|book| (0..of_book).map(move |code| (book, code)));
        match all.enumerate().find(|(at, (book, number))| code(*book, *number) != Some(ids.codes + *at as u32)) {
            Some((_, (book, code))) => {
                let reason =
                    format!("the piece <xcodec/{book}/{code}> is not where it belongs: codes lie book by book");
                Err(malformed(reason))
            }
            None => Ok(Self { pieces, ids }),
        }
    }

    pub fn encode(&self, text: &str) -> Vec<u32> {
        self.pieces.encode(text)
    }
}

// === impl SongIds ===

impl SongIds {
    /// The token of a code of the first book.
    pub fn token(&self, code: u16) -> u32 {
        self.codes + u32::from(code)
    }

    /// What a token is in the first book, if it is of it.
    pub fn code(&self, token: u32) -> Option<u16> {
        let code = token.checked_sub(self.codes).filter(|code| *code < self.of_book)?;
        u16::try_from(code).ok()
    }

    /// Tokens of the books that the second stage writes.
    pub fn written(&self) -> std::ops::Range<u32> {
        self.codes + self.of_book..self.codes + BOOKS as u32 * self.of_book
    }
}
