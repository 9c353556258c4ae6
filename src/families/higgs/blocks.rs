//! What was said before of a text that comes block by block.

use crate::speech::SpeechTail;

/// Frames of all that is told to the next block, at most: a minute.
const MOST_FRAMES: usize = 25 * 60;
/// Between the words of two blocks, which no text has.
const BETWEEN: char = '\u{1e}';

/// A block that was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    pub text: String,
    /// `[frames, books]`
    pub codes: Vec<u32>,
}

/// As the service hands them on: the last `most` of them.
pub fn to_tail(mut blocks: Vec<Block>, most: usize, books: usize) -> Option<SpeechTail> {
    blocks.drain(..blocks.len().saturating_sub(most));
    let frames = |blocks: &[Block]| blocks.iter().map(|block| block.codes.len() / books).sum::<usize>();
    while frames(&blocks) > MOST_FRAMES {
        blocks.remove(0);
    }
    if blocks.is_empty() {
        return None;
    }
    let said: Vec<&str> = blocks.iter().map(|block| block.text.as_str()).collect();
    let lengths = blocks.iter().map(|block| block.codes.len() as u32);
    let codes = lengths.chain(blocks.iter().flat_map(|block| block.codes.iter().copied())).collect();
    Some(SpeechTail { said: said.join(&BETWEEN.to_string()), codes })
}

/// What [`to_tail`] made; nothing where it is of another kind.
pub fn of_tail(tail: &SpeechTail) -> Vec<Block> {
    let texts: Vec<&str> = tail.said.split(BETWEEN).collect();
    let Some((lengths, mut codes)) = tail.codes.split_at_checked(texts.len()) else { return Vec::new() };
    let mut blocks = Vec::with_capacity(texts.len());
    for (text, &length) in texts.into_iter().zip(lengths) {
        let Some((own, rest)) = codes.split_at_checked(length as usize) else { return Vec::new() };
        blocks.push(Block { text: text.to_owned(), codes: own.to_vec() });
        codes = rest;
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(text: &str, frames: usize) -> Block {
        Block { text: text.to_owned(), codes: vec![7; 2 * frames] }
    }

    #[test]
    fn the_last_blocks_are_handed_on() {
        let blocks = vec![block("a", 3), block("b", 0), block("c", 2)];
        let tail = to_tail(blocks.clone(), 9, 2).unwrap();
        assert_eq!(of_tail(&tail), blocks);
        assert_eq!(of_tail(&to_tail(blocks.clone(), 1, 2).unwrap()), blocks[2..]);
        assert_eq!(to_tail(blocks, 0, 2), None);
        let long = vec![block("a", 1000), block("b", 1000)];
        assert_eq!(of_tail(&to_tail(long.clone(), 9, 2).unwrap()), long[1..]);
        let broken = SpeechTail { said: "a".to_owned(), codes: vec![5, 1].into() };
        assert!(of_tail(&broken).is_empty());
    }
}
