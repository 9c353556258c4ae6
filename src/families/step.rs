//! A step of all requests that a model works on: each says one thing more.

use std::collections::VecDeque;

use candle_core::Tensor;

use crate::nn::sampler::{Choice, Chooser, Chosen};

/// Sequences that our own kernels take at once. Products of more rows are cut into other blocks, and their last bits differ:
/// a request would sound otherwise in a crowd than alone. So many already keep a processor as busy as its memory.
const SEQUENCES: usize = 16;

/// A request on its way through a model.
pub(super) trait Row {
    /// Sequences that are fed for it: with guidance two.
    fn sequences(&self) -> usize;

    /// Whether it takes no part any more.
    fn is_over(&self) -> bool;
}

/// One whose tokens are chosen where the logits are.
pub(super) trait Chooses: Row {
    /// What is to be chosen from the logits of its sequences, of which the first are in row `first`.
    fn choices(&mut self, first: usize) -> Vec<Choice<'_>>;

    /// Takes that. Whether there is more to be chosen from the same logits.
    fn take(&mut self, chosen: Vec<Chosen>) -> bool;
}

/// Has `feed` take every row that is not finished a step further. `kernels`: our own are used.
pub(super) fn step<R: Row, E>(
    rows: &mut [&mut R],
    kernels: bool,
    mut feed: impl FnMut(&mut [&mut R]) -> Result<(), E>,
) -> Result<(), E> {
    let live = rows.iter_mut().map(|row| &mut **row).filter(|row| !row.is_over());
    let mut live = live.collect::<Vec<_>>();
    let most = if kernels { SEQUENCES } else { usize::MAX };
    let mut rest = live.as_mut_slice();
    while !rest.is_empty() {
        let (group, others) = rest.split_at_mut(group_len(rest, most));
        feed(group)?;
        rest = others;
    }
    Ok(())
}

/// Has every row choose from the logits `[as many for each sequence, vocabulary]` of its sequences.
pub(super) fn choose<R: Chooses>(chooser: &Chooser, logits: &Tensor, rows: &mut [&mut R]) -> candle_core::Result<()> {
    let sequences: usize = rows.iter().map(|row| row.sequences()).sum();
    let each = logits.dim(0)? / sequences.max(1);
    let firsts = rows.iter().scan(0, |next, row| {
        let first = *next;
        *next += each * row.sequences();
        Some(first)
    });
    let firsts = firsts.collect::<Vec<_>>();
    let mut open = rows.iter_mut().zip(firsts).collect::<Vec<_>>();
    while !open.is_empty() {
        let (mut choices, mut counts) = (Vec::new(), VecDeque::new());
        for (row, first) in &mut open {
            let own = row.choices(*first);
            counts.push_back(own.len());
            choices.extend(own);
        }
        let mut chosen = chooser.choose(logits, &choices)?.into_iter();
        drop(choices);
        open.retain_mut(|(row, _)| row.take(chosen.by_ref().take(counts.pop_front().unwrap_or(0)).collect()));
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
    use candle_core::Device;

    use super::*;
    use crate::nn::sampler::Pick;

    struct Counting {
        sequences: usize,
        /// The likeliest from each of its sequences, again and again until it has so many.
        wanted: usize,
        taken: Vec<u32>,
        finished: bool,
    }

    impl Row for Counting {
        fn sequences(&self) -> usize {
            self.sequences
        }

        fn is_over(&self) -> bool {
            self.finished
        }
    }

    impl Chooses for Counting {
        fn choices(&mut self, first: usize) -> Vec<Choice<'_>> {
            (first..first + self.sequences).map(|row| Choice::new(row, Pick::Likeliest(1))).collect()
        }

        fn take(&mut self, chosen: Vec<Chosen>) -> bool {
            assert_eq!(chosen.len(), self.sequences);
            self.taken.extend(chosen.into_iter().flatten().flatten().map(|sampled| sampled.token));
            self.taken.len() < self.wanted
        }
    }

    /// Logits of so many rows, each of which says its number, counted from the first one.
    fn logits(first: usize, rows: usize) -> Tensor {
        let numbers: Vec<u32> = (0..rows).map(|row| (first + row) as u32).collect();
        let same = Tensor::eye(40, candle_core::DType::F32, &Device::Cpu).unwrap();
        same.index_select(&Tensor::new(numbers, &Device::Cpu).unwrap(), 0).unwrap()
    }

    fn counting(sequences: usize) -> Counting {
        Counting { sequences, wanted: 0, taken: Vec::new(), finished: false }
    }

    #[test]
    fn each_gets_what_is_its_own_and_no_group_is_too_large() {
        let mut rows: Vec<Counting> =
            (0..9).map(|at| counting(1 + at % 3)).chain([counting(20), counting(1)]).collect();
        rows[4].finished = true;
        for (kernels, expected) in [(true, vec![16, 20, 1]), (false, vec![37])] {
            let (mut groups, mut next) = (Vec::new(), 0);
            let feed = |group: &mut [&mut Counting]| {
                let count = group.iter().map(|row| row.sequences).sum::<usize>();
                groups.push(count);
                next += count;
                choose(&Chooser::default(), &logits(next - count, count), group)
            };
            step(&mut rows.iter_mut().collect::<Vec<_>>(), kernels, feed).unwrap();
            assert_eq!(groups.iter().sum::<usize>(), expected.iter().sum::<usize>());
            assert_eq!(groups, expected);
            let taken: Vec<u32> = rows.iter_mut().flat_map(|row| std::mem::take(&mut row.taken)).collect();
            assert_eq!(taken, (0..37).collect::<Vec<_>>(), "in order");
        }
        let failed = step(&mut rows.iter_mut().collect::<Vec<_>>(), true, |_| Err("broken"));
        assert_eq!(failed, Err("broken"));
    }

    #[test]
    fn who_wants_more_of_the_same_logits_gets_it_and_the_others_do_not() {
        let mut rows = [Counting { wanted: 4, ..counting(1) }, counting(2), Counting { wanted: 3, ..counting(1) }];
        choose(&Chooser::default(), &logits(0, 4), &mut rows.iter_mut().collect::<Vec<_>>()).unwrap();
        assert_eq!(rows.map(|row| row.taken), [vec![0; 4], vec![1, 2], vec![3; 3]]);
    }
}
