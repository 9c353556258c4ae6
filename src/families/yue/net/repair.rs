//! Codes in the place of those that are none.

use std::collections::HashMap;

use super::super::tokens::BOOKS;

/// Frames of a track in which every code that is none is the one that its book has most often, the earliest of several; in
/// `before`, the frames of the same track before these, as well. 0 where a book has none at all.
pub fn repaired(before: &[[u16; BOOKS]], frames: &[[Option<u16>; BOOKS]]) -> Vec<[u16; BOOKS]> {
    let usual: [u16; BOOKS] = std::array::from_fn(|book| {
        let known = before.iter().map(|frame| frame[book]);
        most_common(known.chain(frames.iter().filter_map(|frame| frame[book])))
    });
    frames.iter().map(|frame| std::array::from_fn(|book| frame[book].unwrap_or(usual[book]))).collect()
}

/// The earliest of those that are there most often.
pub fn most_common(codes: impl Iterator<Item = u16>) -> u16 {
    let mut counts: HashMap<u16, (usize, usize)> = HashMap::new();
    for (at, code) in codes.enumerate() {
        counts.entry(code).or_insert((0, at)).0 += 1;
    }
    let best = counts.into_iter().max_by_key(|(_, (count, first))| (*count, std::cmp::Reverse(*first)));
    best.map_or(0, |(code, _)| code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_code_is_the_one_that_is_there_most_often() {
        let frame = |book_1: Option<u16>, book_2: Option<u16>| {
            std::array::from_fn(|book| match book {
                1 => book_1,
                2 => book_2,
                book => Some(book as u16),
            })
        };
        let frames = [frame(Some(9), None), frame(None, Some(4)), frame(Some(7), Some(5)), frame(Some(7), Some(5))];
        let made = repaired(&[], &frames);
        assert_eq!(made.iter().map(|frame| (frame[1], frame[2])).collect::<Vec<_>>(), [(9, 5), (7, 4), (7, 5), (7, 5)]);
        assert!(made.iter().all(|frame| frame[0] == 0 && frame[7] == 7), "what is a code stays");
        // Of several the earliest, and what was there before counts.
        assert_eq!(repaired(&[], &[frame(Some(3), None), frame(Some(8), None), frame(None, None)])[2][1..3], [3, 0]);
        assert_eq!(repaired(&made, &[frame(None, None)])[0][1..3], [7, 5]);
    }
}
