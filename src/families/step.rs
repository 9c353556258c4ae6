//! A step of all requests that a model works on: each says one thing more.

/// Sequences that our own kernels take at once. Products of more rows are cut into other blocks, and their last bits differ:
/// a request would sound otherwise in a crowd than alone. So many already keep a processor as busy as its memory.
const SEQUENCES: usize = 16;

/// A request on its way through a model.
pub(super) trait Row {
    /// Sequences that are fed for it: with guidance two.
    fn sequences(&self) -> usize;

    /// Whether it takes no part any more.
    fn is_over(&self) -> bool;

    /// Takes the logits after each of its sequences.
    fn take(&mut self, logits: &[Vec<f32>]);
}

/// Has every row that is not finished take the logits that `feed` gives for its sequences. `kernels`: our own are used.
pub(super) fn step<R: Row, E>(
    rows: &mut [&mut R],
    kernels: bool,
    mut feed: impl FnMut(&mut [&mut R]) -> Result<Vec<Vec<f32>>, E>,
) -> Result<(), E> {
    let live = rows.iter_mut().map(|row| &mut **row).filter(|row| !row.is_over());
    let mut live = live.collect::<Vec<_>>();
    let most = if kernels { SEQUENCES } else { usize::MAX };
    let mut rest = live.as_mut_slice();
    while !rest.is_empty() {
        let (group, others) = rest.split_at_mut(group_len(rest, most));
        let logits = feed(group)?;
        let mut logits = logits.as_slice();
        for row in group {
            let (own, others) = logits.split_at(row.sequences());
            row.take(own);
            logits = others;
        }
        rest = others;
    }
    Ok(())
}

/// How many of the first rows are fed together: at least one, and of no more than `most` sequences.
fn group_len<R: Row>(rows: &[&mut R], most: usize) -> usize {
    let ends = rows.iter().scan(0usize, |end, row| {
        *end += row.sequences();
        Some(*end)
    });
    ends.take_while(|&end| end <= most).count().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting {
        sequences: usize,
        taken: Vec<f32>,
        finished: bool,
    }

    impl Row for Counting {
        fn sequences(&self) -> usize {
            self.sequences
        }

        fn is_over(&self) -> bool {
            self.finished
        }

        fn take(&mut self, logits: &[Vec<f32>]) {
            assert_eq!(logits.len(), self.sequences);
            self.taken.extend(logits.concat());
        }
    }

    #[test]
    fn each_gets_what_is_its_own_and_no_group_is_too_large() {
        let of = |sequences| Counting { sequences, taken: Vec::new(), finished: false };
        let mut rows: Vec<Counting> = (0..9).map(|at| of(1 + at % 3)).chain([of(20), of(1)]).collect();
        rows[4].finished = true;
        for (kernels, expected) in [(true, vec![16, 20, 1]), (false, vec![37])] {
            let (mut groups, mut next) = (Vec::new(), 0.0);
            let feed = |group: &mut [&mut Counting]| {
                let count = group.iter().map(|row| row.sequences).sum::<usize>();
                groups.push(count);
                let logits = (0..count).map(|at| vec![next + at as f32]).collect::<Vec<_>>();
                next += count as f32;
                Ok::<_, ()>(logits)
            };
            step(&mut rows.iter_mut().collect::<Vec<_>>(), kernels, feed).unwrap();
            assert_eq!(groups.iter().sum::<usize>(), expected.iter().sum::<usize>());
            assert_eq!(groups, expected);
            let taken: Vec<f32> = rows.iter_mut().flat_map(|row| std::mem::take(&mut row.taken)).collect();
            assert_eq!(taken, (0..37).map(|at| at as f32).collect::<Vec<_>>(), "in order");
        }
        let failed = step(&mut rows.iter_mut().collect::<Vec<_>>(), true, |_| Err::<Vec<Vec<f32>>, _>("broken"));
        assert_eq!(failed, Err("broken"));
    }
}
