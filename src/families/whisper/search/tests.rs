use rand::SeedableRng;

use super::*;
use crate::nn::sampler::log_sum_exp;

const END: u32 = 0;
/// Tokens of the language below, the end included.
const SIZE: usize = 4;

fn options(beam_size: usize) -> SearchOptions {
    SearchOptions { beam_size, patience: 1.0, best_of: 1, length_penalty: 1.0 }
}

/// What a small language makes likely after some tokens: anything, but the same each time.
fn logits(made: &[u32]) -> Vec<f32> {
    let sum = made.iter().fold(1u32, |sum, token| sum.wrapping_mul(31).wrapping_add(token + 7));
    (0..SIZE as u32).map(|token| (sum.wrapping_mul(token + 3) % 17) as f32 / 4.0).collect()
}

fn rng() -> StdRng {
    StdRng::seed_from_u64(1)
}

/// Has a search take what it picks from the logits after each of its sequences, which `rules` edit.
fn take_logits(
    search: &mut Search,
    logits: Vec<Vec<f32>>,
    rules: impl Fn(&mut [f32]),
    longest: usize,
    rng: &mut StdRng,
) -> Result<bool, NoDistribution> {
    let picks = search.picks(rng);
    let chosen = logits.into_iter().zip(picks).map(|(mut logits, pick)| {
        rules(&mut logits);
        pick.choose(&logits)
    });
    search.take(chosen.collect::<Vec<_>>(), END, longest)
}

fn run(options: &SearchOptions, temperature: f32, longest: usize) -> Hypothesis {
    let (mut search, mut rng) = (Search::new(options, temperature), rng());
    for _ in 0..=longest {
        let answers = search.live().iter().map(|hypothesis| logits(&hypothesis.tokens)).collect();
        if take_logits(&mut search, answers, |_| (), longest, &mut rng).unwrap() {
            return search.best();
        }
    }
    panic!("it never ends");
}

/// Every text of up to `longest` tokens with its score, the best first.
fn every(longest: usize) -> Vec<(Vec<u32>, f32)> {
    fn grow(made: &[u32], so_far: f32, longest: usize, found: &mut Vec<(Vec<u32>, f32)>) {
        let logits = logits(made);
        let total = log_sum_exp(&logits);
        let score = |sum: f32| sum / made.len().max(1) as f32;
        if made.len() == longest {
            found.push((made.to_vec(), score(so_far)));
            return;
        }
        found.push((made.to_vec(), score(so_far + logits[END as usize] - total)));
        for (token, logit) in logits.iter().enumerate().skip(1) {
            grow(&[made, &[token as u32]].concat(), so_far + logit - total, longest, found);
        }
    }
    let mut found = Vec::new();
    grow(&[], 0.0, longest, &mut found);
    found.sort_by(|a, b| b.1.total_cmp(&a.1));
    found
}

#[test]
fn a_beam_of_one_takes_the_likeliest_token_each_time() {
    let found = run(&options(1), 0.0, 6);
    for (at, token) in found.tokens.iter().enumerate() {
        let logits = logits(&found.tokens[..at]);
        assert!(logits.iter().all(|other| *other <= logits[*token as usize]), "{found:?}");
    }
}

#[test]
fn a_beam_that_is_wide_and_patient_enough_finds_the_best_of_all_texts() {
    let wide = SearchOptions { patience: 4.0, ..options(300) };
    let (best, score) = every(5).remove(0);
    let found = run(&wide, 0.0, 5);
    assert_eq!(found.tokens, best);
    assert!((found.score(1.0) - score).abs() < 1e-5, "{found:?} {score}");
}

#[test]
fn a_beam_finds_what_the_likeliest_first_token_leads_away_from() {
    // Of 1 nothing follows that is likely; of 2 the end does.
    let garden_path = |made: &[u32]| match made {
        [] => vec![-9.0, 0.6, 0.4, -9.0],
        [2] => vec![9.0, 0.0, 0.0, 0.0],
        _ => vec![0.0; SIZE],
    };
    let run = |size: usize| {
        let (mut search, mut rng) = (Search::new(&options(size), 0.0), rng());
        loop {
            let answers = search.live().iter().map(|hypothesis| garden_path(&hypothesis.tokens)).collect();
            if take_logits(&mut search, answers, |_| (), 4, &mut rng).unwrap() {
                return search.best();
            }
        }
    };
    assert_eq!(run(1).tokens[..1], [1]);
    assert_eq!(run(2).tokens, [2]);
    assert!(run(2).score(1.0) > run(1).score(1.0));
}

#[test]
fn a_beam_ends_when_enough_is_finished_and_not_before() {
    let mut search = Search::new(&SearchOptions { patience: 1.5, ..options(2) }, 0.0);
    let ends = |first: f32| vec![first, 1.0, 0.5, 0.0];
    assert!(!take_logits(&mut search, vec![ends(2.0)], |_| (), 9, &mut rng()).unwrap());
    assert_eq!(search.live().iter().map(|live| live.tokens.clone()).collect::<Vec<_>>(), [[1], [2]]);
    assert!(!take_logits(&mut search, vec![ends(1.5), ends(-9.0)], |_| (), 9, &mut rng()).unwrap());
    // Three of two, at last: half of three is rounded to the even one, and this is none.
    assert!(take_logits(&mut search, vec![ends(1.5), ends(1.5)], |_| (), 9, &mut rng()).unwrap());
    assert_eq!(search.finished.len(), 3);
}

#[test]
fn what_is_masked_is_not_followed_and_nothing_left_ends_it() {
    let only = |allowed: u32| {
        move |logits: &mut [f32]| {
            let all = logits.iter_mut().enumerate();
            all.filter(|(at, _)| *at != allowed as usize).for_each(|(_, logit)| *logit = f32::NEG_INFINITY);
        }
    };
    let mut search = Search::new(&options(3), 0.0);
    assert!(!take_logits(&mut search, vec![vec![0.0; SIZE]], only(2), 9, &mut rng()).unwrap());
    assert_eq!(search.live().len(), 1);
    assert!(take_logits(&mut search, vec![vec![0.0; SIZE]], only(END), 9, &mut rng()).unwrap());
    assert_eq!(search.best().tokens, [2]);
}

#[test]
fn what_is_no_distribution_is_an_error() {
    for options in [options(1), options(3)] {
        let mut search = Search::new(&options, 0.0);
        let given = vec![vec![f32::NAN; SIZE]];
        assert_eq!(take_logits(&mut search, given, |_| (), 9, &mut rng()), Err(NoDistribution));
    }
}

#[test]
fn a_length_penalty_above_one_prefers_longer_texts() {
    let text = |length: usize, logprob: f32| Hypothesis {
        tokens: vec![1; length],
        logprobs: vec![logprob / length as f32; length],
        from: 0,
    };
    let best = |length_penalty: f32| {
        let mut search = Search::new(&SearchOptions { length_penalty, ..options(2) }, 0.0);
        search.finished = vec![text(2, -2.0), text(4, -6.0)];
        search.best().tokens.len()
    };
    assert_eq!((best(0.0), best(1.0), best(2.0)), (2, 2, 4));
}
