//! The numbers are those of the reference.

use super::{
    super::{net::Sequence, row::joined},
    *,
};
use crate::nn::{ComputeContext, SimdLevel};

/// Of logits in f16, where weights are rounded to ten bits, and in bf16, which weights of the fixtures are in; keys and values have
/// ten bits in both. With those in the repository they are 6e-4 and 4e-3.
const HALF: f32 = 2e-2;
/// Where weights have eight bits, in blocks of 32: 3.5e-2 with the fixtures in the repository.
const EIGHT_BITS: f32 = 1e-1;

/// In f32, with the kernels of every processor and without.
fn every_net() -> Vec<(String, Net)> {
    let levels = SimdLevel::available().iter().map(|&level| Some(level)).chain([None]);
    levels.map(|kernels| (format!("{kernels:?}"), net_of(ComputeContext { kernels, ..exact() }))).collect()
}

fn exact() -> ComputeContext {
    ComputeContext::new(&Device::Cpu, DType::F32)
}

fn net_of(context: ComputeContext) -> Net {
    Net::load_with(context, config(), &files(), &place(Precision::F32)).unwrap()
}

#[test]
fn prompts_are_those_of_mistral_common() {
    let (config, decoding, expected) = (config(), decoding(&files()), Expected::read());
    let audio = decoding.tekken.special("[AUDIO]").unwrap();
    for case in &expected.cases {
        let windows = windows(&config, &sound(case.seconds)).len();
        let heard = vec![audio; windows * config.audio_tokens()];
        let closing = decoding.closing(case.language.as_deref()).unwrap();
        assert_eq!([&decoding.opening[..], &heard, &closing].concat(), case.prompt);
    }
    for Text { text, tokens } in &expected.texts {
        let language = text.strip_prefix("lang:").unwrap();
        let closing = decoding.closing(Some(language)).unwrap();
        assert_eq!(&closing[1..closing.len() - 1], tokens, "{text}");
    }
}

#[test]
fn spectra_are_normalised_over_the_whole_recording() {
    let (config, expected) = (config(), Expected::read());
    for (at, case) in expected.cases.iter().enumerate() {
        let sampled = |mel: &Vec<f32>| -> Vec<f32> {
            mel.chunks_exact(config.frames()).step_by(16).flat_map(|band| band.iter().copied().step_by(5)).collect()
        };
        let found: Vec<f32> = windows(&config, &sound(case.seconds)).iter().flat_map(sampled).collect();
        assert_near(&found, &expected.numbers(&format!("mel.{at}")).0, 1e-4, &format!("the spectrum of case {at}"));
    }
}

#[test]
fn what_is_heard_is_what_transformers_puts_in_the_place_of_tokens() {
    let (config, expected) = (config(), Expected::read());
    for (name, net) in every_net() {
        for (at, case) in expected.cases.iter().enumerate() {
            let hear =
                |mel: Vec<f32>| -> Vec<f32> { net.hear(&mel).unwrap().flatten_all().unwrap().to_vec1().unwrap() };
            let found: Vec<f32> = windows(&config, &sound(case.seconds)).into_iter().flat_map(hear).collect();
            // The encoder may work on split numbers, and the spectra differ a little.
            let expected = expected.numbers(&format!("embeds.{at}")).0;
            assert_near(&found, &expected, 1e-3, &format!("{name}, case {at}"));
        }
    }
}

/// A sequence that read a case as the reference heard it, with room for all that follows, and the logits of the first token.
fn read(net: &Net, expected: &Expected, at: usize) -> (Sequence, Tensor) {
    let (config, case, decoding) = (config(), &expected.cases[at], decoding(&files()));
    let (heard, tokens) = (&expected.tensors[&format!("embeds.{at}")], config.audio_tokens());
    let windows = heard.dim(0).unwrap() / tokens;
    let closing = decoding.closing(case.language.as_deref()).unwrap();
    let mut sequence = net.sequence(config.positions(windows, case.ids.len())).unwrap();
    let mut state = None;
    for window in 0..windows {
        let before = if window == 0 { &decoding.opening[..] } else { &[] };
        let after = if window + 1 == windows { &closing[..] } else { &[] };
        let input = joined(net, before, heard.narrow(0, window * tokens, tokens).unwrap(), after).unwrap();
        state = Some(net.read(&mut sequence, &input).unwrap());
    }
    (sequence, net.logits(&state.unwrap()).unwrap())
}

/// The logits before each of the expected tokens, from the reference's embeddings.
fn logits(net: &Net, expected: &Expected, at: usize) -> Vec<Vec<f32>> {
    let (mut sequence, first) = read(net, expected, at);
    let ids = &expected.cases[at].ids;
    let next = |id: &u32| net.next(&[*id], &mut [&mut sequence]).unwrap();
    let all = std::iter::once(first).chain(ids[..ids.len() - 1].iter().map(next));
    all.map(|logits| logits.flatten_all().unwrap().to_vec1().unwrap()).collect()
}

fn assert_logits(net: &Net, expected: &Expected, tolerance: f32, what: &str) {
    for at in 0..expected.cases.len() {
        let (rows, width) = expected.numbers(&format!("logits.{at}"));
        let found = logits(net, expected, at);
        assert_eq!(found.len() * width, rows.len());
        for (step, (found, row)) in found.iter().zip(rows.chunks(width)).enumerate() {
            assert_near(found, row, tolerance, &format!("{what}, case {at}, step {step}"));
        }
    }
}

#[test]
fn logits_are_those_of_transformers_window_by_window_and_token_by_token() {
    let expected = Expected::read();
    for (name, net) in every_net() {
        assert_logits(&net, &expected, TOLERANCE, &name);
    }
}

#[test]
fn logits_are_near_those_of_transformers_in_every_type_that_a_processor_has() {
    let expected = Expected::read();
    for (dtype, tolerance) in [(Precision::F16, HALF), (Precision::Bf16, HALF), (Precision::Q8, EIGHT_BITS)] {
        assert_logits(&net(&files(), dtype), &expected, tolerance, &format!("{dtype:?}"));
    }
    for &level in SimdLevel::available() {
        let net = net_of(ComputeContext { kernels: Some(level), ..exact() }.with_q8());
        assert_logits(&net, &expected, EIGHT_BITS, &format!("eight bits, {level:?}"));
    }
}

/// To the last bit, however many others are fed with it.
#[test]
fn a_sequence_in_company_has_the_logits_that_it_has_alone() {
    let expected = Expected::read();
    for &level in SimdLevel::available() {
        let net = net_of(ComputeContext { kernels: Some(level), ..exact() });
        let alone: Vec<_> = (0..expected.cases.len()).map(|at| logits(&net, &expected, at)).collect();
        let mut sequences: Vec<_> = (0..12).map(|row| read(&net, &expected, row % 4).0).collect();
        for step in 0..7 {
            let tokens: Vec<u32> = (0..sequences.len()).map(|row| expected.cases[row % 4].ids[step]).collect();
            let together = net.next(&tokens, &mut sequences.iter_mut().collect::<Vec<_>>()).unwrap();
            for (row, found) in together.to_vec2::<f32>().unwrap().into_iter().enumerate() {
                assert_eq!(found, alone[row % 4][step + 1], "{level:?}, row {row}, step {step}");
            }
        }
    }
}

#[test]
fn a_sequence_holds_no_more_than_was_counted() {
    let (net, config) = (net(&files(), Precision::F32), config());
    let positions = config.positions(1, 3);
    let rows = Tensor::zeros((positions + 1, config.text_config.hidden_size), DType::F32, &Device::Cpu);
    assert!(net.read(&mut net.sequence(positions).unwrap(), &rows.unwrap()).is_err());
}
