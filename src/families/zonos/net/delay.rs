//! The delay pattern: each book is a column later than the one before (Copet et al., arXiv 2306.05284).

/// The codes of a sequence, column by column. Frame `t` of book `k` stands in column `t + k + 1`; column 0 has no frame.
#[derive(Debug)]
pub struct DelayedCodes {
    books: usize,
    mask: u32,
    /// `[frames, books]`; what is given.
    prefix: Vec<u32>,
    /// Frames that there may be.
    most: usize,
    /// `[columns, books]`
    columns: Vec<u32>,
}

// === impl DelayedCodes ===

impl DelayedCodes {
    /// With the columns in which nothing has to be found out. `prefix`: `[frames, books]`.
    pub fn new(books: usize, mask: u32, prefix: Vec<u32>, new_frames: usize) -> Self {
        let given = prefix.len() / books;
        let mut codes = Self { books, mask, prefix, most: given + new_frames, columns: Vec::new() };
        (0..=given).for_each(|_| codes.push(&vec![mask; books]));
        codes
    }

    /// The next column: of what is not known these codes are taken.
    pub fn push(&mut self, found: &[u32]) {
        let (column, given) = (self.len(), self.given());
        for (book, &found) in found.iter().enumerate() {
            self.columns.push(match column.checked_sub(book + 1) {
                None => self.mask,
                Some(frame) if frame < given => self.prefix[frame * self.books + book],
                Some(frame) if frame < self.most => found,
                Some(_) => self.mask,
            });
        }
    }

    /// Columns.
    pub fn len(&self) -> usize {
        self.columns.len() / self.books
    }

    /// Whether every frame that there may be is there.
    pub fn is_full(&self) -> bool {
        self.len() >= self.most + self.books
    }

    pub fn column(&self, at: usize) -> &[u32] {
        &self.columns[at * self.books..][..self.books]
    }

    /// Of one book in the last columns, the earliest first.
    pub fn last(&self, book: usize, columns: usize) -> impl Iterator<Item = u32> {
        let first = self.len().saturating_sub(columns);
        (first..self.len()).map(move |at| self.column(at)[book])
    }

    /// Frames whose books are all there.
    pub fn frames(&self) -> usize {
        self.len().saturating_sub(self.books).min(self.most)
    }

    /// Frames that were given.
    pub fn given(&self) -> usize {
        self.prefix.len() / self.books
    }

    /// A frame whose books are all there.
    pub fn frame(&self, frame: usize) -> impl Iterator<Item = u32> {
        (0..self.books).map(move |book| self.column(frame + book + 1)[book])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASK: u32 = 99;

    #[test]
    fn each_book_is_a_column_later_than_the_one_before() {
        let mut codes = DelayedCodes::new(3, MASK, vec![1, 2, 3], 2);
        assert_eq!((codes.len(), codes.given(), codes.frames()), (2, 1, 0));
        assert_eq!((codes.column(0), codes.column(1)), (&[MASK; 3][..], &[1, MASK, MASK][..]));
        for at in 2..6 {
            assert!(!codes.is_full());
            codes.push(&[10 * at, 10 * at + 1, 10 * at + 2]);
        }
        let columns: Vec<&[u32]> = (2..6).map(|at| codes.column(at)).collect();
        assert_eq!(columns, [[20, 2, MASK], [30, 31, 3], [MASK, 41, 42], [MASK, MASK, 52]]);
        assert!(codes.is_full());
        let frames: Vec<Vec<u32>> = (0..codes.frames()).map(|at| codes.frame(at).collect()).collect();
        assert_eq!(frames, [[1, 2, 3], [20, 31, 42], [30, 41, 52]]);
        assert_eq!(codes.last(1, 2).collect::<Vec<_>>(), [41, MASK]);
    }

    #[test]
    fn without_a_prefix_the_first_column_is_empty() {
        let codes = DelayedCodes::new(2, MASK, Vec::new(), 1);
        assert_eq!((codes.len(), codes.column(0), codes.frames()), (1, &[MASK; 2][..], 0));
        assert_eq!(codes.last(0, 5).collect::<Vec<_>>(), [MASK]);
    }
}
