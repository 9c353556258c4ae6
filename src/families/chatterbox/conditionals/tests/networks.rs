//! Each network by itself, from its spectrum on.

use super::*;
use crate::audio::{MelSpec, slaney_matrix, trim_silence};

#[test]
fn tokens_are_those_of_the_reference_for_any_length() {
    let (listener, _) = load(&contexts()[1]);
    for case in expected().tokenizations {
        let sound = sound(case.samples, RATE_16K);
        let tokens = match case.most {
            Some(most) => listener.tokenizer.tokenize_up_to(&sound, most).unwrap(),
            None => listener.tokenizer.tokenize(&sound).unwrap(),
        };
        assert_eq!(tokens, case.tokens, "{} samples, {:?}", case.samples, case.most);
        assert!(tokens.iter().all(|&token| token < listener.tokenizer.vocabulary()));
    }
}

#[test]
fn states_before_the_quantizer_are_those_of_the_reference() {
    for context in contexts() {
        let (listener, _) = load(&context);
        for (at, case) in expected().tokenizations.iter().enumerate().take(2) {
            let mel = listener.tokenizer.log_mel(&sound(case.samples, RATE_16K)).unwrap();
            let values = mel.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let every_7th = values.chunks_exact(mel.dim(1).unwrap()).flat_map(|band| band.iter().step_by(7));
            assert_like(&format!("log_mel.{at}"), &every_7th.copied().collect::<Vec<_>>(), (OF_SPECTRA, 0.0));
            let states = listener.tokenizer.states(&mel).unwrap();
            let (width, states) = (states.dim(1).unwrap(), states.flatten_all().unwrap().to_vec1::<f32>().unwrap());
            assert_like(&format!("states.{at}"), &some_rows(&states, width, 3), (0.0, OF_NETWORKS));
        }
    }
}

#[test]
fn our_filters_are_those_in_the_file() {
    let (filters, bins) = numbers(&fixture("s3gen.safetensors"), "tokenizer._mel_filters");
    let ours = slaney_matrix(&MelSpec::whisper(filters.len() / bins));
    assert_eq!(ours.len(), filters.len());
    let difference = ours.iter().zip(&filters).map(|(ours, theirs)| ours - theirs).collect::<Vec<_>>();
    assert!(largest(&difference) < 1e-5);
}

#[test]
fn the_speaker_encoder_sees_filter_banks_of_kaldi() {
    let (listener, _) = load(&contexts()[1]);
    for (at, heard) in expected().recordings.iter().enumerate() {
        let at_16k = sound(heard.samples_16k, RATE_16K);
        let features = listener.speaker.features(first_seconds(&at_16k, CONTINUED_SECONDS, RATE_16K));
        assert_like(&format!("fbank.{at}"), &some_rows(&features, 80, 19), (OF_SPECTRA, 0.0));
    }
}

#[test]
fn the_voice_encoder_sees_power_without_the_quiet_ends() {
    let (_, voice) = load(&contexts()[1]);
    for (at, heard) in expected().recordings.iter().enumerate() {
        let at_16k = sound(heard.samples_16k, RATE_16K);
        let [start, end] = heard.trimmed;
        assert_eq!(trim_silence(&at_16k, 20.0), &at_16k[start..end]);
        assert_like(&format!("voice_mel.{at}"), &some_rows(&voice.mel(&at_16k), 40, 19), (0.0, OF_SPECTRA));
    }
}
