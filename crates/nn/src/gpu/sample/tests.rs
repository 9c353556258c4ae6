//! What the kernel chooses, on the device of the stand-in driver, beside what the host chooses from the same logits.

use candle_core::{DType, Device, Result, Tensor};
use half::{bf16, f16};
use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::sampler::{
    Choice, Chooser, Chosen, Filters, Guidance, GuidanceRule, LogitEdits, Pick, Repetition, Shape, Unified,
};

/// Of log-probabilities: both sides add up as many numbers as a vocabulary has, in another order.
const TOLERANCE: f32 = 1e-3;
/// The same of few: one token more among a thousand equals would show.
const OF_FEW: f32 = 1e-4;
/// Of the sum of probabilities up to a token.
const NEAR: f64 = 1e-5;
/// As Whisper, Chatterbox and a codebook of Higgs Audio have them, in types in which few, many and very many logits are equal.
const VOCABULARIES: [(usize, DType); 3] = [(51866, DType::F32), (8194, DType::F16), (1026, DType::BF16)];

/// The same logits on the CPU, rounded to a type, and on the device, in rows that are wider than the vocabulary.
fn pair(rows: &[Vec<f32>], dtype: DType, device: &Device) -> Result<(Tensor, Tensor)> {
    let (count, vocabulary) = (rows.len(), rows[0].len());
    let here = Tensor::from_vec(rows.concat(), (count, vocabulary), &Device::Cpu)?;
    let wide: Vec<f32> = rows.iter().flat_map(|row| [&row[..], &[99.0; 3]].concat()).collect();
    let shape = (count, vocabulary + 3);
    let there = match dtype {
        DType::F16 => Tensor::from_vec(wide.into_iter().map(f16::from_f32).collect::<Vec<_>>(), shape, device)?,
        DType::BF16 => Tensor::from_vec(wide.into_iter().map(bf16::from_f32).collect::<Vec<_>>(), shape, device)?,
        _ => Tensor::from_vec(wide, shape, device)?,
    };
    Ok((here.to_dtype(dtype)?.to_dtype(DType::F32)?, there.narrow(1, 0, vocabulary)?))
}

fn random(rows: usize, vocabulary: usize, seed: u64) -> Vec<Vec<f32>> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut number = || (rng.random::<f32>() + rng.random::<f32>() + rng.random::<f32>() - 1.5) * 8.0;
    (0..rows).map(|_| (0..vocabulary).map(|_| number()).collect()).collect()
}

/// What both choose.
fn chosen(here: &Tensor, there: &Tensor, choices: &[Choice<'_>]) -> Result<Vec<(Chosen, Chosen)>> {
    let (expected, found) = (Chooser::default().choose(here, choices)?, Chooser::default().choose(there, choices)?);
    assert_eq!(found.len(), choices.len());
    Ok(found.into_iter().zip(expected).collect())
}

fn assert_alike((found, expected): &(Chosen, Chosen), tolerance: f32, what: &str) {
    let tokens = |chosen: &Chosen| chosen.as_ref().map(|all| all.iter().map(|one| one.token).collect::<Vec<_>>());
    assert_eq!(tokens(found), tokens(expected), "{what}");
    for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
        let near = (found.logprob - expected.logprob).abs() <= tolerance || found.logprob == expected.logprob;
        assert!(near, "{what}: {found:?}, not {expected:?}");
    }
}

/// Rules as Whisper has them after some tokens.
fn edits(vocabulary: u32, listed: &[u32], made: Vec<u32>) -> LogitEdits<'_> {
    LogitEdits {
        repetition: Repetition::new(made, 1.3),
        masked: vec![listed.into(), vec![7, 7, vocabulary, u32::MAX].into()],
        masked_ranges: vec![vocabulary - 5..u32::MAX, 3..3, 100..260],
        times_from: Some(vocabulary / 3),
        ..LogitEdits::default()
    }
}

#[test]
fn the_likeliest_after_edits_are_those_of_the_host() -> Result<()> {
    let device = Device::new_cuda_with_stream(0)?;
    for (at, (vocabulary, dtype)) in VOCABULARIES.into_iter().enumerate() {
        let rows = 8;
        let mut logits = random(rows, vocabulary, at as u64);
        // Text that is likelier than all times, in half of them.
        let text = vocabulary / 4 + 20;
        logits.iter_mut().step_by(2).for_each(|row| row[text] = 40.0);
        let (here, there) = pair(&logits, dtype, &device)?;
        let listed: Vec<u32> = (0..vocabulary as u32).step_by(17).collect();
        let picks = |row: usize| [Pick::Likeliest(1), Pick::Likeliest(9), Pick::Token(row as u32 * 31)];
        let choices: Vec<_> = (0..rows)
            .flat_map(|row| picks(row).map(|pick| (row, pick)))
            .map(|(row, pick)| {
                let made = vec![row as u32, 5, 5, 300, 400, vocabulary as u32 + 1, text as u32];
                Choice::new(row, pick).with_edits(edits(vocabulary as u32, &listed, made))
            })
            .collect();
        let both = chosen(&here, &there, &choices)?;
        for (choice, both) in choices.iter().zip(&both) {
            assert_alike(both, TOLERANCE, &format!("{vocabulary} in {dtype:?}, row {}, {:?}", choice.row, choice.pick));
        }
        let first: Vec<u32> = both.iter().step_by(3).map(|(found, _)| found.as_ref().unwrap()[0].token).collect();
        assert!(first.iter().step_by(2).all(|token| *token == text as u32), "text: {first:?}");
        assert!(first.iter().skip(1).step_by(2).all(|token| *token >= vocabulary as u32 / 3), "times: {first:?}");
    }
    Ok(())
}

#[test]
fn filters_leave_what_they_leave_on_the_host() -> Result<()> {
    let device = Device::new_cuda_with_stream(0)?;
    let none = Filters { temperature: 0.0, top_k: 0, min_p: 0.0, top_p: 1.0 };
    let filters = [
        Filters { top_k: 50, ..none },
        Filters { top_k: 1, temperature: 0.3, ..none },
        Filters { top_k: 5000, ..none },
        Filters { min_p: 0.05, temperature: 0.8, ..none },
        Filters { min_p: 1.0, ..none },
        Filters { top_p: 0.0, ..none },
        Filters { top_p: 0.52, ..none },
        Filters { top_p: 0.95, temperature: 1.7, ..none },
        Filters { top_k: 60, min_p: 0.01, top_p: 0.9, temperature: 0.7 },
    ];
    // As many equals as can be, and some that may never be said.
    let mut flat = vec![0.25; 1026];
    flat[..40].fill(f32::NEG_INFINITY);
    flat[500..520].fill(1.0);
    let rows = [random(1, 1026, 5), vec![flat, vec![1.0; 1026]]].concat();
    for dtype in [DType::F32, DType::BF16] {
        let (here, there) = pair(&rows, dtype, &device)?;
        for row in 0..rows.len() {
            let edits = |filters, late_repetition| LogitEdits {
                filters: Some(filters),
                late_repetition,
                ..LogitEdits::default()
            };
            let late = edits(filters[8], Repetition::new(vec![3, 501, 502, 900], 2.0));
            let all = filters.iter().map(|filters| edits(*filters, None)).chain([late]);
            // The probabilities of these tell of all that are left.
            let choices: Vec<_> = all.map(|edits| Choice::new(row, Pick::Likeliest(40)).with_edits(edits)).collect();
            for (both, choice) in chosen(&here, &there, &choices)?.iter().zip(&choices) {
                assert_alike(both, OF_FEW, &format!("{dtype:?}, row {row}, {:?}", choice.edits));
            }
        }
    }
    Ok(())
}

#[test]
fn draws_are_those_of_the_host_at_the_same_numbers() -> Result<()> {
    let device = Device::new_cuda_with_stream(0)?;
    let mut rng = StdRng::seed_from_u64(11);
    for (seed, (vocabulary, dtype)) in VOCABULARIES.into_iter().enumerate() {
        let (here, there) = pair(&random(2, vocabulary, seed as u64), dtype, &device)?;
        let (mut draws, mut apart) = (0, 0);
        for temperature in [0.2, 1.0, 3.0] {
            for filtered in [false, true] {
                let filters = Filters { temperature: 1.2, top_k: 200, min_p: 0.0, top_p: 0.95 };
                let edits = LogitEdits {
                    masked_ranges: vec![0..30, 35..40],
                    filters: filtered.then_some(filters),
                    ..LogitEdits::default()
                };
                let at: Vec<f64> = [0.0, 0.999_999].into_iter().chain((0..40).map(|_| rng.random())).collect();
                let choice =
                    |row| Choice::new(row, Pick::Drawn { temperature, at: at.clone() }).with_edits(edits.clone());
                for (row, (found, expected)) in chosen(&here, &there, &[choice(1), choice(0)])?.into_iter().enumerate()
                {
                    let mut logits = here.get(1 - row)?.to_vec1::<f32>()?;
                    edits.apply(&mut logits);
                    let cumulative = cumulative(&logits, temperature);
                    let (found, expected) = (found.unwrap(), expected.unwrap());
                    assert_eq!(found.len(), at.len());
                    for ((found, expected), at) in found.iter().zip(&expected).zip(&at) {
                        let token = found.token as usize;
                        let from = token.checked_sub(1).map_or(0.0, |before| cumulative[before]);
                        let within = from - NEAR..=cumulative[token] + NEAR;
                        assert!(within.contains(at), "{token} at {at}, not in {within:?}");
                        assert!(logits[token].is_finite(), "{token} may not be said");
                        draws += 1;
                        apart += usize::from(found.token != expected.token);
                    }
                }
            }
        }
        assert!(apart * 100 < draws, "{apart} of {draws} differ in {vocabulary}");
    }
    Ok(())
}

/// Each stage alone and all together, of what a penalty and a mask leave.
#[test]
fn draws_from_shapes_are_those_of_the_host_at_the_same_numbers() -> Result<()> {
    let device = Device::new_cuda_with_stream(0)?;
    let plain = Shape { temperature: 1.0, unified: None, top_p: 0.0, top_k: 0, min_p: 0.0 };
    let unified = Some(Unified { linear: 0.5, confidence: 0.4, quadratic: 0.02 });
    let shapes = [
        plain,
        Shape { temperature: 0.3, ..plain },
        Shape { unified, ..plain },
        Shape { unified: Some(Unified { linear: 1.5, confidence: -0.3, quadratic: 0.0 }), ..plain },
        Shape { top_p: 0.52, ..plain },
        Shape { top_p: 1.0, temperature: 2.0, ..plain },
        Shape { top_k: 7, ..plain },
        Shape { top_k: 5000, ..plain },
        Shape { min_p: 0.1, ..plain },
        Shape { min_p: 1.0, ..plain },
        Shape { temperature: 1.7, unified, top_p: 0.9, top_k: 60, min_p: 0.05 },
    ];
    let mut rng = StdRng::seed_from_u64(5);
    let (vocabulary, mut draws, mut apart) = (1025, 0, 0);
    // Of halves many are equal.
    for dtype in [DType::F32, DType::BF16] {
        let (here, there) = pair(&random(2, vocabulary, 8), dtype, &device)?;
        let rows = here.to_vec2::<f32>()?;
        let said = vec![3, 3, 3, 700, 5, vocabulary as u32 + 1, 5];
        let edits = LogitEdits {
            repetition: Repetition::new(said, 3.0).map(Repetition::each_time),
            masked_ranges: std::iter::once(1024..u32::MAX).collect(),
            ..LogitEdits::default()
        };
        for shape in shapes {
            let numbers = [0.0, 0.999_999].into_iter().chain((0..4).map(|_| rng.random())).collect::<Vec<_>>();
            let choice = |at| Choice {
                guidance: Some(Guidance { untold: 1, scale: 2.0, rule: GuidanceRule::FromUntold }),
                ..Choice::new(0, Pick::Shaped { shape, at }).with_edits(edits.clone())
            };
            let choices: Vec<_> = numbers.iter().map(|at| choice(*at)).collect();
            let scores = choices[0].scores(&rows);
            let probabilities = shape.probabilities(&scores).expect("a distribution");
            let cumulative = sums(probabilities.iter().map(|probability| f64::from(*probability)));
            for ((found, expected), at) in chosen(&here, &there, &choices)?.into_iter().zip(&numbers) {
                let (found, expected) = (found.unwrap()[0], expected.unwrap()[0]);
                let token = found.token as usize;
                let from = token.checked_sub(1).map_or(0.0, |before| cumulative[before]);
                let within = from - NEAR..=cumulative[token] + NEAR;
                assert!(within.contains(at), "{dtype:?}, {shape:?}: {token} at {at}, not in {within:?}");
                draws += 1;
                if found.token == expected.token {
                    let difference = (found.logprob - expected.logprob).abs();
                    assert!(difference < TOLERANCE, "{dtype:?}, {shape:?}: {found:?}, not {expected:?}");
                } else {
                    apart += 1;
                }
            }
        }
    }
    assert!(apart * 100 < draws, "{apart} of {draws} differ");
    Ok(())
}

/// The sums of the flattened probabilities up to each token.
fn cumulative(logits: &[f32], temperature: f32) -> Vec<f64> {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    sums(logits.iter().map(|logit| (f64::from(logit - most) / f64::from(temperature)).exp()))
}

/// Of the weights up to each, as a share of all.
fn sums(weights: impl Iterator<Item = f64>) -> Vec<f64> {
    let sums = weights.scan(0.0, |sum, weight| {
        *sum += weight;
        Some(*sum)
    });
    let sums = sums.collect::<Vec<f64>>();
    let all = sums[sums.len() - 1];
    sums.into_iter().map(|sum| sum / all).collect()
}

#[test]
fn guided_rows_are_those_of_the_host() -> Result<()> {
    let device = Device::new_cuda_with_stream(0)?;
    let (here, there) = pair(&random(3, 1026, 3), DType::F16, &device)?;
    for rule in [GuidanceRule::FromTold, GuidanceRule::FromUntold, GuidanceRule::OfLogprobs] {
        // Its penalty depends on which scores are below zero.
        let edits = LogitEdits {
            repetition: Repetition::new((0..1026).step_by(2).collect::<Vec<_>>(), 3.0),
            late_repetition: Repetition::new(vec![900, 4, 4, 3, 4, 900], 1.5).map(Repetition::each_time),
            ..LogitEdits::default()
        };
        let choice = |row, untold| Choice {
            guidance: Some(Guidance { untold, scale: 1.5, rule }),
            ..Choice::new(row, Pick::Likeliest(5)).with_edits(edits.clone())
        };
        for both in chosen(&here, &there, &[choice(0, 2), choice(2, 1), choice(1, 1)])? {
            assert_alike(&both, OF_FEW, &format!("{rule:?}"));
        }
    }
    Ok(())
}

#[test]
fn what_is_no_distribution_gives_no_token() -> Result<()> {
    let device = Device::new_cuda_with_stream(0)?;
    let vocabulary = 1026;
    let with = |at: usize, logit: f32| {
        let mut row = random(1, vocabulary, 9).remove(0);
        row[at] = logit;
        row
    };
    let never = f32::NEG_INFINITY;
    let rows = [
        with(700, f32::NAN),
        with(0, f32::NAN),
        with(1025, f32::INFINITY),
        vec![never; vocabulary],
        vec![f32::NAN; vocabulary],
        with(5, never),
    ];
    let (here, there) = pair(&rows, DType::F32, &device)?;
    let unified = Some(Unified { linear: 0.5, confidence: 0.4, quadratic: 0.0 });
    let shaped = |unified| {
        let shape = Shape { temperature: 1.0, unified, top_p: 0.9, top_k: 20, min_p: 0.1 };
        Pick::Shaped { shape, at: 0.4 }
    };
    let picks = [
        Pick::Likeliest(1),
        Pick::Likeliest(4),
        Pick::Drawn { temperature: 1.0, at: vec![0.3, 0.7] },
        Pick::Token(4),
        shaped(None),
        shaped(unified),
    ];
    let masked = LogitEdits { masked: vec![vec![700].into()], ..LogitEdits::default() };
    for pick in picks {
        let choice = |row| Choice::new(row, pick.clone());
        let mut choices: Vec<_> = (0..rows.len()).map(choice).collect();
        // What is masked need be no number, and a single one may be left.
        choices.push(choice(0).with_edits(masked.clone()));
        choices
            .push(choice(5).with_edits(LogitEdits { masked_ranges: vec![1..900, 900..2000], ..LogitEdits::default() }));
        let both = chosen(&here, &there, &choices)?;
        for (at, (found, expected)) in both.iter().enumerate() {
            assert_eq!(found.is_none(), at < 5, "{pick:?}, {at}");
            assert_alike(&(found.clone(), expected.clone()), OF_FEW, &format!("{pick:?}, {at}"));
        }
    }
    Ok(())
}

#[test]
fn a_chooser_serves_whatever_comes() -> Result<()> {
    let device = Device::new_cuda_with_stream(0)?;
    let chooser = Chooser::default();
    for (rows, vocabulary) in [(1, 1026), (3, 8194), (2, 40), (3, 8194), (1, 1)] {
        let (here, there) = pair(&random(rows, vocabulary, 1), DType::F32, &device)?;
        let choices: Vec<_> = (0..rows).rev().map(|row| Choice::new(row, Pick::Likeliest(row + 1))).collect();
        let found = chooser.choose(&there, &choices)?;
        for both in found.into_iter().zip(Chooser::default().choose(&here, &choices)?) {
            assert_alike(&both, TOLERANCE, &format!("{rows} of {vocabulary}"));
        }
        assert_eq!(chooser.choose(&there, &[])?, []);
        assert!(chooser.choose(&there, &[Choice::new(rows, Pick::Token(0))]).is_err());
    }
    // A type that the kernel does not know goes to the host.
    let doubles = Tensor::from_vec(vec![0f64, 2.0, 1.0], (1, 3), &device)?;
    assert!(super::Workspace::default().choose(&doubles, &[Choice::new(0, Pick::Likeliest(1))])?.is_none());
    Ok(())
}
