//! Which bytes of a file are there.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// Ranges of bytes, in order, none of which touches another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Extents(Vec<Range<u64>>);

// === impl Extents ===

impl Extents {
    /// Takes ranges that were written down somewhere; `None` if they make no sense for a file of that size.
    pub(super) fn checked(self, size: u64) -> Option<Self> {
        let ordered = self.0.windows(2).all(|pair| pair[0].end < pair[1].start);
        let sound = self.0.iter().all(|range| range.start < range.end && range.end <= size);
        (ordered && sound).then_some(self)
    }

    pub(super) fn add(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let from = self.0.partition_point(|known| known.end < range.start);
        let to = self.0.partition_point(|known| known.start <= range.end);
        let touched = &self.0[from..to];
        let start = touched.first().map_or(range.start, |first| first.start.min(range.start));
        let end = touched.last().map_or(range.end, |last| last.end.max(range.end));
        self.0.splice(from..to, std::iter::once(start..end));
    }

    /// How many bytes are there.
    pub(super) fn bytes(&self) -> u64 {
        self.0.iter().map(|range| range.end - range.start).sum()
    }

    pub(super) fn ranges(&self) -> &[Range<u64>] {
        &self.0
    }

    /// After the last byte that is there.
    pub(super) fn end(&self) -> u64 {
        self.0.last().map_or(0, |range| range.end)
    }

    /// Where the range ends that holds `at`, or `at` itself if nothing is there.
    pub(super) fn reaches(&self, at: u64) -> u64 {
        let holding = self.0.iter().find(|range| range.start <= at && at < range.end);
        holding.map_or(at, |range| range.end)
    }

    /// What is not there of a file of that size, in pieces of at most `piece` bytes.
    pub(super) fn missing(&self, size: u64, piece: u64) -> Vec<Range<u64>> {
        self.gaps(0..size).into_iter().flat_map(|gap| cut(gap, piece)).collect()
    }

    /// What is not there of a range.
    pub(super) fn gaps(&self, range: Range<u64>) -> Vec<Range<u64>> {
        let Range { start, end } = range;
        let from = self.0.partition_point(|known| known.end <= start);
        let inside = || self.0[from..].iter().take_while(|known| known.start < end);
        let starts = std::iter::once(start).chain(inside().map(|known| known.end));
        let ends = inside().map(|known| known.start).chain([end]);
        starts.zip(ends).map(|(start, end)| start..end).filter(|gap| gap.start < gap.end).collect()
    }

    /// How many bytes of a range are there.
    pub(super) fn bytes_in(&self, range: Range<u64>) -> u64 {
        let missing: u64 = self.gaps(range.clone()).iter().map(|gap| gap.end - gap.start).sum();
        range.end.saturating_sub(range.start) - missing
    }
}

/// A range in pieces.
pub(super) fn cut(gap: Range<u64>, piece: u64) -> impl Iterator<Item = Range<u64>> {
    let Range { start, end } = gap;
    (start..end).step_by(usize::try_from(piece.max(1)).unwrap_or(usize::MAX)).map(move |at| at..end.min(at + piece))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_there_and_what_is_missing_make_the_whole(
            ranges in prop::collection::vec((0u64..200, 0u64..60), 0..20), piece in 1u64..50,
        ) {
            let (mut extents, mut model) = (Extents::default(), [false; 300]);
            for (start, length) in ranges {
                extents.add(start..start + length);
                model[start as usize..(start + length) as usize].fill(true);
            }
            prop_assert_eq!(extents.bytes(), model.iter().filter(|there| **there).count() as u64);
            let missing = extents.missing(300, piece);
            prop_assert!(missing.iter().all(|range| !range.is_empty() && range.end - range.start <= piece));
            for range in missing {
                for at in range {
                    prop_assert!(!std::mem::replace(&mut model[at as usize], true), "byte {} is there", at);
                }
            }
            prop_assert!(model.iter().all(|there| *there));
            prop_assert_eq!(extents.bytes_in(0..300), extents.bytes());
            prop_assert_eq!(extents.bytes_in(100..150) + extents.bytes_in(150..300) + extents.bytes_in(0..100), extents.bytes());
            prop_assert_eq!(extents.clone().checked(300), Some(extents));
        }
    }

    #[test]
    fn how_far_a_prefix_reaches() {
        let mut extents = Extents::default();
        extents.add(0..10);
        extents.add(20..30);
        assert_eq!((extents.reaches(0), extents.reaches(10), extents.reaches(25)), (10, 10, 30));
        extents.add(10..20);
        assert_eq!((extents.reaches(0), extents.missing(30, 5)), (30, vec![]));
    }

    #[test]
    fn nonsense_is_refused() {
        let read = |text: &str| serde_json::from_str::<Extents>(text).unwrap().checked(10);
        assert!(read(r#"[{"start":0,"end":4},{"start":5,"end":10}]"#).is_some());
        assert!(read(r#"[{"start":0,"end":11}]"#).is_none());
        assert!(read(r#"[{"start":4,"end":4}]"#).is_none());
        assert!(read(r#"[{"start":4,"end":6},{"start":5,"end":7}]"#).is_none());
    }
}
