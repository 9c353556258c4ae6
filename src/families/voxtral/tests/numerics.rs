//! The numbers are those of the reference.

use super::*;

/// Where weights and activations of the Llama have ten bits of precision.
const HALF: f32 = 2e-2;

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
    let (config, net, expected) = (config(), net(&files(), Precision::F32), Expected::read());
    for (at, case) in expected.cases.iter().enumerate() {
        let hear = |mel: Vec<f32>| -> Vec<f32> { net.hear(&mel).unwrap().flatten_all().unwrap().to_vec1().unwrap() };
        let found: Vec<f32> = windows(&config, &sound(case.seconds)).into_iter().flat_map(hear).collect();
        // The encoder may work on split numbers, and the spectra differ a little.
        assert_near(&found, &expected.numbers(&format!("embeds.{at}")).0, 1e-3, &format!("case {at}"));
    }
}

/// The logits before each of the expected tokens, from the reference's embeddings.
fn logits(net: &Net, expected: &Expected, at: usize) -> Vec<Vec<f32>> {
    let (case, decoding) = (&expected.cases[at], decoding(&files()));
    let heard = expected.tensors[&format!("embeds.{at}")].to_dtype(net.embed(&[0]).unwrap().dtype()).unwrap();
    let mut sequence = net.sequence();
    net.feed(&mut sequence, &net.embed(&decoding.opening).unwrap()).unwrap();
    let per_window = config().audio_tokens();
    for window in 0..heard.dim(0).unwrap() / per_window {
        net.feed(&mut sequence, &heard.narrow(0, window * per_window, per_window).unwrap()).unwrap();
    }
    let closing = decoding.closing(case.language.as_deref()).unwrap();
    let inputs = std::iter::once(closing).chain(case.ids.iter().map(|id| vec![*id]));
    let inputs = inputs.take(case.ids.len());
    let feed = |tokens: Vec<u32>| net.feed(&mut sequence, &net.embed(&tokens).unwrap()).unwrap();
    inputs.map(feed).map(|logits| logits.get(0).unwrap().to_vec1().unwrap()).collect()
}

#[test]
fn logits_are_those_of_transformers_window_by_window_and_token_by_token() {
    let expected = Expected::read();
    for (dtype, tolerance) in [(Precision::F32, TOLERANCE), (Precision::F16, HALF)] {
        let net = net(&files(), dtype);
        for at in 0..expected.cases.len() {
            let (rows, width) = expected.numbers(&format!("logits.{at}"));
            for (step, (found, row)) in logits(&net, &expected, at).iter().zip(rows.chunks(width)).enumerate() {
                assert_near(found, row, tolerance, &format!("{dtype:?}, case {at}, step {step}"));
            }
        }
    }
}

#[test]
fn a_sequence_holds_no_more_than_was_counted() {
    let (net, config) = (net(&files(), Precision::F32), config());
    let rows = Tensor::zeros((config.positions() + 1, config.text_config.hidden_size), DType::F32, &Device::Cpu);
    let error = net.feed(&mut net.sequence(), &rows.unwrap()).unwrap_err().to_string();
    assert!(error.contains("does not fit"), "{error}");
}
