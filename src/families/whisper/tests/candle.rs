//! The shipped model answers as `models::whisper` of candle-transformers does with the same weights: a second reference,
//! which shares no code with the first.

use candle_nn::VarBuilder;
use candle_transformers::models::whisper::{self as candle, model::Whisper as Theirs};

use super::{PART, nano_files, place};
use crate::{
    audio::{LogMel, MelSpec},
    families::whisper::{config::Config, net::Net},
};
use candle_core::{DType, Device, Tensor};

/// Largest difference, relative to the largest number. Theirs takes the tanh form of GELU everywhere, where Whisper was
/// made with the exact one; with numbers that are only rounded otherwise it would be a hundredth of this.
const TOLERANCE: f32 = 1e-2;

fn theirs(config: &Config) -> Theirs {
    let sizes = candle::Config {
        num_mel_bins: config.num_mel_bins,
        max_source_positions: config.max_source_positions,
        d_model: config.d_model,
        encoder_attention_heads: config.encoder_attention_heads,
        encoder_layers: config.encoder_layers,
        vocab_size: config.vocab_size,
        max_target_positions: config.max_target_positions,
        decoder_attention_heads: config.decoder_attention_heads,
        decoder_layers: config.decoder_layers,
        suppress_tokens: Vec::new(),
    };
    let weights = nano_files().open(PART, "model.safetensors").unwrap().to_vec();
    let weights = VarBuilder::from_buffered_safetensors(weights, DType::F32, &Device::Cpu).unwrap();
    Theirs::load(&weights, sizes).unwrap()
}

fn assert_near(what: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(0f32, |most, x| most.max(x.abs()));
    let worst = found.iter().zip(expected).fold(0f32, |most, (a, b)| most.max((a - b).abs()));
    assert!(worst <= TOLERANCE * scale, "{what}: off by {worst} of {scale}");
}

#[test]
fn encoder_and_logits_are_near_those_of_candle_transformers() {
    let files = nano_files();
    let config = Config::from_json(&files.json(PART, "config.json").unwrap()).unwrap();
    let (bands, frames, start) = (config.num_mel_bins, config.frames(), config.decoder_start_token_id.unwrap());
    let mut theirs = theirs(&config);
    let ours = Net::load(config, &files, PART, &place()).unwrap();
    let recording = super::sound(&super::recordings()[0]);
    let mel = LogMel::new(&MelSpec::whisper(bands)).log_mel_padded(recording.samples(), frames * 160);

    let heard = ours.encode(&[mel.values()]).unwrap().remove(0);
    let input = Tensor::from_slice(mel.values(), (1, bands, frames), &Device::Cpu).unwrap();
    let features = theirs.encoder.forward(&input, true).unwrap();
    let numbers = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert_near("the encoder", &numbers(&heard.0), &numbers(&features));

    let mut slots = ours.slots(1);
    let slot = ours.open(&mut slots, &heard).unwrap();
    let mut tokens = vec![start];
    for step in 0..8 {
        let found = ours.step(&mut slots, &[(&slot, &tokens[step..])]).unwrap().remove(0);
        let input = Tensor::new(tokens.as_slice(), &Device::Cpu).unwrap().unsqueeze(0).unwrap();
        let hidden = theirs.decoder.forward(&input, &features, true).unwrap();
        let logits = theirs.decoder.final_linear(&hidden.narrow(1, step, 1).unwrap()).unwrap();
        assert_near(&format!("the logits of step {step}"), &found, &numbers(&logits));
        tokens.push(crate::nn::sampler::argmax(&found) as u32);
    }
}
