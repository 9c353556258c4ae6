//! What is to be chosen from rows of logits.

use rand::{Rng, rngs::StdRng};

use super::{
    edits::LogitEdits,
    logits::{draw, likeliest, log_sum_exp},
    shape::Shape,
};

/// What is to be chosen from a row of logits.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice<'a> {
    /// Several may be of one row.
    pub row: usize,
    pub guidance: Option<Guidance>,
    pub edits: LogitEdits<'a>,
    pub pick: Pick,
}

/// Leads the logits of what was told everything away from those of what was told less (classifier-free guidance, Ho and Salimans,
/// arXiv 2207.12598).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Guidance {
    /// The row of what was told less.
    pub untold: usize,
    pub scale: f32,
    pub rule: GuidanceRule,
}

/// How references write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuidanceRule {
    /// `told + scale * (told - untold)`
    FromTold,
    /// `untold + scale * (told - untold)`
    FromUntold,
    /// The same, of logarithms of probabilities.
    OfLogprobs,
}

/// Which tokens.
#[derive(Clone, Debug, PartialEq)]
pub enum Pick {
    /// So many of the likeliest that may be said at all: the likeliest first, of equals the first.
    Likeliest(usize),
    /// One for each of some numbers from 0 to 1, from the distribution that the temperature flattens.
    Drawn { temperature: f32, at: Vec<f64> },
    /// One at a number from 0 to 1, from probabilities that are given another shape.
    Shaped { shape: Shape, at: f64 },
    /// This one, however likely.
    Token(u32),
}

/// A token and the natural logarithm of its probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SampledToken {
    pub token: u32,
    pub logprob: f32,
}

/// What was chosen, with probabilities at temperature 1, as in openai-whisper, or in the shape of the pick; `None`: the logits are
/// no distribution.
pub type Chosen = Option<Vec<SampledToken>>;

// === impl Choice ===

impl<'a> Choice<'a> {
    /// As the logits are.
    pub fn new(row: usize, pick: Pick) -> Self {
        Self { row, guidance: None, edits: LogitEdits::default(), pick }
    }

    pub fn with_edits(self, edits: LogitEdits<'a>) -> Self {
        Self { edits, ..self }
    }

    pub fn with_guidance(self, guidance: Option<Guidance>) -> Self {
        Self { guidance, ..self }
    }

    /// What is picked from, of rows of logits.
    pub fn scores(&self, rows: &[Vec<f32>]) -> Vec<f32> {
        let mut scores = Vec::new();
        self.extend(&mut scores, |row| rows[row].as_slice());
        scores
    }

    /// `scores` is what it works on.
    pub(super) fn choose<'l>(&self, row: impl Fn(usize) -> &'l [f32], scores: &mut Vec<f32>) -> Chosen {
        scores.clear();
        self.extend(scores, row);
        self.pick.choose(scores)
    }

    fn extend<'l>(&self, scores: &mut Vec<f32>, row: impl Fn(usize) -> &'l [f32]) {
        match self.guidance {
            None => scores.extend_from_slice(row(self.row)),
            Some(guidance) => guidance.extend(scores, row(self.row), row(guidance.untold)),
        }
        self.edits.apply(scores);
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = usize> {
        std::iter::once(self.row).chain(self.guidance.map(|guidance| guidance.untold))
    }
}

// === impl Guidance ===

impl Guidance {
    fn extend(&self, scores: &mut Vec<f32>, told: &[f32], untold: &[f32]) {
        let both = told.iter().zip(untold);
        match self.rule {
            GuidanceRule::FromTold => scores.extend(both.map(|(told, untold)| told + self.scale * (told - untold))),
            GuidanceRule::FromUntold => scores.extend(both.map(|(told, untold)| untold + self.scale * (told - untold))),
            GuidanceRule::OfLogprobs => {
                let (of_told, of_untold) = (log_sum_exp(told), log_sum_exp(untold));
                scores.extend(both.map(|(told, untold)| {
                    let (told, untold) = (told - of_told, untold - of_untold);
                    self.scale * (told - untold) + untold
                }));
            }
        }
    }
}

// === impl Pick ===

impl Pick {
    /// The likeliest at temperature 0, else one that is drawn.
    pub fn one(temperature: f32, rng: &mut StdRng) -> Self {
        match temperature > 0.0 {
            true => Self::Drawn { temperature, at: vec![rng.random()] },
            false => Self::Likeliest(1),
        }
    }

    /// From `logits` `[vocabulary]`.
    pub fn choose(&self, logits: &[f32]) -> Chosen {
        let tokens = match self {
            Self::Likeliest(count) => likeliest(logits, *count),
            Self::Drawn { temperature, at } => at.iter().map(|at| draw(logits, *temperature, *at)).collect(),
            Self::Token(token) => vec![*token as usize],
            Self::Shaped { shape, at } => {
                let (token, probability) = shape.draw(logits, *at)?;
                return Some(vec![SampledToken { token: token as u32, logprob: probability.ln() }]);
            }
        };
        let total = log_sum_exp(logits);
        let sampled =
            |token: usize| logits.get(token).map(|logit| SampledToken { token: token as u32, logprob: logit - total });
        total.is_finite().then(|| tokens.into_iter().filter_map(sampled).collect())
    }

    /// How many tokens, at most.
    #[cfg(feature = "cuda")]
    pub(crate) fn count(&self) -> usize {
        match self {
            Self::Likeliest(count) => *count,
            Self::Drawn { at, .. } => at.len(),
            Self::Token(_) | Self::Shaped { .. } => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};
    use rand::SeedableRng;

    use super::{super::Chooser, *};

    fn logits(rows: &[[f32; 3]]) -> Tensor {
        Tensor::new(rows.concat(), &Device::Cpu).unwrap().reshape((rows.len(), 3)).unwrap()
    }

    fn tokens(chosen: &Chosen) -> Vec<u32> {
        chosen.iter().flatten().map(|sampled| sampled.token).collect()
    }

    #[test]
    fn each_choice_is_made_from_its_row_as_it_was() {
        let logits = logits(&[[0.0, 2.0, 1.0], [f32::NAN, 0.0, 0.0]]);
        let masked = LogitEdits { masked: vec![vec![1].into()], ..LogitEdits::default() };
        let choices = [
            Choice::new(0, Pick::Likeliest(1)).with_edits(masked),
            Choice::new(1, Pick::Token(1)),
            Choice::new(0, Pick::Likeliest(9)),
            Choice::new(0, Pick::Drawn { temperature: 1.0, at: vec![0.0, 0.5, 0.999] }),
            Choice::new(0, Pick::Token(7)),
        ];
        let chosen = Chooser::default().choose(&logits, &choices).unwrap();
        assert_eq!(chosen[1], None);
        let found: Vec<_> = chosen.iter().map(tokens).collect();
        assert_eq!(found, [&[2][..], &[], &[1, 2, 0], &[0, 1, 2], &[]]);
        assert!(Chooser::default().choose(&logits, &[Choice::new(2, Pick::Token(0))]).is_err(), "there are two");
    }

    #[test]
    fn guidance_leads_away_from_what_was_told_less() {
        let logits = logits(&[[0.0, 1.0, 2.0], [0.0, 0.0, 3.0]]);
        let guided = |scale, rule| {
            let guidance = Some(Guidance { untold: 1, scale, rule });
            let choice = Choice::new(0, Pick::Likeliest(3)).with_guidance(guidance);
            Chooser::default().choose(&logits, &[choice]).unwrap().remove(0).unwrap()
        };
        let order = |sampled: &[SampledToken]| sampled.iter().map(|sampled| sampled.token).collect::<Vec<_>>();
        assert_eq!(order(&guided(0.0, GuidanceRule::FromTold)), [2, 1, 0]);
        assert_eq!(order(&guided(1.0, GuidanceRule::FromTold)), [1, 2, 0]);
        // 0, 2, 1
        for (scale, rule) in
            [(1.0, GuidanceRule::FromTold), (2.0, GuidanceRule::FromUntold), (2.0, GuidanceRule::OfLogprobs)]
        {
            let logprob = guided(scale, rule)[0].logprob;
            let expected = 2.0 - (1f32 + 2f32.exp() + 1f32.exp()).ln();
            assert!((logprob - expected).abs() < 1e-5, "{rule:?}: {logprob}, not {expected}");
        }
    }

    fn rng() -> StdRng {
        StdRng::seed_from_u64(7)
    }

    /// One token.
    fn sample(logits: &[f32], temperature: f32, rng: &mut StdRng) -> Option<SampledToken> {
        Pick::one(temperature, rng).choose(logits).map(|chosen| chosen[0])
    }

    #[test]
    fn without_temperature_the_likeliest_is_taken() {
        let choice = sample(&[0.0, 2.0, f32::NEG_INFINITY, 2.0], 0.0, &mut rng()).unwrap();
        assert_eq!(choice.token, 1);
        let expected = (2f32.exp() / (1.0 + 2.0 * 2f32.exp())).ln();
        assert!((choice.logprob - expected).abs() < 1e-6, "{} {expected}", choice.logprob);
    }

    #[test]
    fn draws_follow_the_flattened_distribution() {
        let (logits, mut rng) = ([0.0, 1.0, f32::NEG_INFINITY], rng());
        let ones = (0..20_000).filter(|_| sample(&logits, 0.5, &mut rng).unwrap().token == 1).count();
        let expected = 2f64.exp() / (1.0 + 2f64.exp());
        assert!((ones as f64 / 20_000.0 - expected).abs() < 0.01, "{ones}");
    }

    #[test]
    fn equal_seeds_draw_alike() {
        let logits: Vec<f32> = (0..50).map(|id| (id as f32).sin()).collect();
        let drawn =
            |mut rng: StdRng| -> Vec<u32> { (0..30).map(|_| sample(&logits, 1.0, &mut rng).unwrap().token).collect() };
        assert_eq!(drawn(rng()), drawn(rng()));
    }

    #[test]
    fn what_is_no_distribution_gives_no_token() {
        for logits in [[f32::NAN, 0.0], [f32::INFINITY, 0.0], [f32::NEG_INFINITY; 2]] {
            assert_eq!(sample(&logits, 0.0, &mut rng()), None, "{logits:?}");
            assert_eq!(sample(&logits, 1.0, &mut rng()), None, "{logits:?}");
        }
    }
}
