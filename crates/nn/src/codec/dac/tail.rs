//! A sequence that comes bit by bit, as a layer is given it.

use candle_core::{Result, Tensor};

/// The last steps of what a layer was given, of which later steps are made, too.
#[derive(Clone, Debug)]
pub struct Tail {
    /// Steps of zeros before the first, and after the last.
    zeros: (usize, usize),
    /// Steps of which one is made, but for one.
    keep: usize,
    kept: Option<Tensor>,
}

// === impl Tail ===

impl Tail {
    pub fn new(zeros: (usize, usize), keep: usize) -> Self {
        Self { zeros, keep, kept: None }
    }

    /// Of a layer whose steps are made of as many to either side, with zeros beyond the ends.
    pub fn around(reach: usize) -> Self {
        Self::new((reach, reach), 2 * reach)
    }

    /// What was kept and what comes, `[steps, channels]`, of which as many steps can be made as there are more than those that
    /// are kept; `None`: none yet.
    pub fn follow(&mut self, x: Option<Tensor>, last: bool) -> Result<Option<Tensor>> {
        let Some(like) = x.as_ref().or(self.kept.as_ref()) else { return Ok(None) };
        let zeros = |steps: usize| Tensor::zeros((steps, like.dim(1)?), like.dtype(), like.device());
        let kept = self.kept.as_ref().map_or_else(|| zeros(self.zeros.0), |kept| Ok(kept.clone()))?;
        let after = if last { Some(zeros(self.zeros.1)?) } else { None };
        let parts: Vec<_> = [Some(kept), x, after].into_iter().flatten().filter(|part| part.dims()[0] > 0).collect();
        let all = match parts.as_slice() {
            [] => return Ok(None),
            [all] => all.clone(),
            parts => Tensor::cat(parts, 0)?,
        };
        let steps = all.dim(0)?;
        if steps <= self.keep {
            self.kept = Some(all);
            return Ok(None);
        }
        // A copy, so that the rest is not kept with it.
        self.kept = Some(all.narrow(0, steps - self.keep, self.keep)?.force_contiguous()?);
        Ok(Some(all))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn steps(numbers: &[f32]) -> Option<Tensor> {
        (!numbers.is_empty()).then(|| Tensor::from_slice(numbers, (numbers.len(), 1), &Device::Cpu).unwrap())
    }

    #[test]
    fn each_step_comes_once_with_those_around_it() {
        for parts in [&[&[1., 2., 3., 4.][..]][..], &[&[1.], &[], &[2.], &[3., 4.]], &[&[1., 2., 3.], &[4.]]] {
            let (mut tail, mut seen) = (Tail::new((2, 1), 3), Vec::new());
            for (part, last) in parts.iter().map(|part| (*part, false)).chain([(&[][..], true)]) {
                if let Some(all) = tail.follow(steps(part), last).unwrap() {
                    seen.extend(all.flatten_all().unwrap().to_vec1::<f32>().unwrap().windows(4).map(<[f32]>::to_vec));
                }
            }
            let expected = [[0., 0., 1., 2.], [0., 1., 2., 3.], [1., 2., 3., 4.], [2., 3., 4., 0.]];
            assert_eq!(seen, expected, "{parts:?}");
        }
    }

    #[test]
    fn a_layer_that_hears_nothing_around_a_step_keeps_nothing() {
        let mut tail = Tail::around(0);
        assert!(tail.follow(None, false).unwrap().is_none());
        assert_eq!(tail.follow(steps(&[1., 2.]), false).unwrap().unwrap().dims(), [2, 1]);
        assert!(tail.follow(None, true).unwrap().is_none());
    }
}
