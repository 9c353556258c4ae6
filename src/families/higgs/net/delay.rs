//! The delay pattern: each book is a column later than the one before (Copet et al., arXiv 2306.05284).

use super::row::CodeIds;

/// Whole frames, `[frames, books]`, as the network is given a recording: a column of beginnings, then each book a column later
/// than the one before, with beginnings before its codes and ends after them. `[frames + books + 1, books]`
pub fn delayed(frames: &[u32], ids: &CodeIds) -> Vec<u32> {
    let CodeIds { books, begin, end, .. } = *ids;
    let count = frames.len() / books;
    let columns = count + books + 1;
    let code = |column: usize, book: usize| match column.checked_sub(book + 1) {
        None => begin,
        Some(frame) if frame < count => frames[frame * books + book],
        Some(_) => end,
    };
    (0..columns).flat_map(|column| (0..books).map(move |book| code(column, book))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_book_is_a_column_later_than_the_one_before() {
        let ids = CodeIds { books: 3, codes: 7, begin: 8, end: 9 };
        let columns = delayed(&[1, 2, 3, 4, 5, 6], &ids);
        let expected = [[8, 8, 8], [1, 8, 8], [4, 2, 8], [9, 5, 3], [9, 9, 6], [9, 9, 9]];
        assert_eq!(columns, expected.concat());
        assert_eq!(delayed(&[], &ids).len(), 4 * 3);
    }
}
