//! What candle-transformers has of a Voxtral and is not used here, and why.

use candle_nn::VarBuilder;
use candle_transformers::models::voxtral::{VoxtralEncoder, VoxtralEncoderConfig};

use super::*;

/// Its encoder takes the tanh form of GELU after the convolutions. Once it agrees as ours does, it may serve.
#[test]
fn candles_encoder_is_near_but_not_exact() {
    let (config, net, expected) = (config(), net(&files(), Precision::F32), Expected::read());
    let mel = windows(&config, &sound(expected.cases[0].seconds)).remove(0);
    let encoder = config.encoder();
    let sizes = VoxtralEncoderConfig {
        hidden_size: encoder.width,
        intermediate_size: encoder.inner,
        num_hidden_layers: encoder.layers,
        num_attention_heads: encoder.heads,
        num_mel_bins: encoder.bands,
        max_source_positions: encoder.positions,
        ..VoxtralEncoderConfig::default()
    };
    let weights = fixture("model.safetensors");
    let weights = VarBuilder::from_buffered_safetensors(weights, DType::F32, &Device::Cpu).unwrap();
    let theirs = VoxtralEncoder::new(&sizes, weights.pp("audio_tower")).unwrap();
    let mel = Tensor::from_vec(mel, (1, encoder.bands, config.frames()), &Device::Cpu).unwrap();
    let heard = net.project(&theirs.forward(&mel).unwrap()).unwrap();
    let heard: Vec<f32> = heard.flatten_all().unwrap().to_vec1().unwrap();
    let difference = difference(&heard, &expected.numbers("embeds.0").0);
    assert!((1e-4..5e-2).contains(&difference), "{difference}");
}
