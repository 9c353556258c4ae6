//! What candle-transformers has of a Voxtral: a second reference, which shares no code with the first.

use candle_nn::VarBuilder;
use candle_transformers::models::voxtral::{
    VoxtralConfig, VoxtralEncoder, VoxtralEncoderConfig, VoxtralLlama, VoxtralLlamaCache, VoxtralLlamaConfig,
    VoxtralMultiModalProjector,
};

use super::*;

fn weights() -> VarBuilder<'static> {
    VarBuilder::from_buffered_safetensors(fixture("model.safetensors"), DType::F32, &Device::Cpu).unwrap()
}

fn numbers(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// Its encoder takes the tanh form of GELU after the convolutions, where the model was made with the exact one.
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
    let theirs = VoxtralEncoder::new(&sizes, weights().pp("audio_tower")).unwrap();
    let mel = Tensor::from_vec(mel, (1, encoder.bands, config.frames()), &Device::Cpu).unwrap();
    let heard = net.project(&theirs.forward(&mel).unwrap()).unwrap();
    let difference = difference(&numbers(&heard), &expected.numbers("embeds.0").0);
    assert!((1e-4..5e-2).contains(&difference), "{difference}");
}

/// What it makes of rows of sound among tokens, and what its projector makes of what was heard.
#[test]
fn candles_projector_and_language_model_agree() {
    let (config, net) = (config(), net(&files(), Precision::F32));
    let (llama, text, audio) = (config.llama(), &config.text_config, &config.audio_config);
    let text_config = VoxtralLlamaConfig {
        hidden_size: text.hidden_size,
        intermediate_size: text.intermediate_size,
        vocab_size: text.vocab_size,
        num_hidden_layers: text.num_hidden_layers,
        num_attention_heads: llama.heads,
        num_key_value_heads: llama.shared,
        head_dim: llama.head_dim,
        use_flash_attn: false,
        rms_norm_eps: llama.epsilon.into(),
        rope_theta: llama.theta,
        max_position_embeddings: 64,
        tie_word_embeddings: false,
    };
    let (mut cache, theirs) = (
        VoxtralLlamaCache::new(true, DType::F32, &text_config, &Device::Cpu).unwrap(),
        VoxtralLlama::load(weights().pp("language_model"), &text_config).unwrap(),
    );
    let audio_config = VoxtralEncoderConfig { intermediate_size: audio.intermediate_size, ..Default::default() };
    let sizes = VoxtralConfig { audio_config, text_config, ..Default::default() };
    let projector = VoxtralMultiModalProjector::new(&sizes, weights().pp("multi_modal_projector")).unwrap();

    let count = config.audio_tokens() * audio.intermediate_size;
    let heard = (0..count).map(|at| (at as f32 * 0.37).sin()).collect::<Vec<_>>();
    let heard = Tensor::from_vec(heard, (config.audio_tokens(), audio.intermediate_size), &Device::Cpu).unwrap();
    let projected = net.project(&heard).unwrap();
    assert_near(&numbers(&projected), &numbers(&projector.forward(&heard).unwrap()), TOLERANCE, "the projector");

    let mut sequence = net.sequence(64).unwrap();
    let input = Tensor::cat(&[net.embed(&[1, 3, 25]).unwrap(), projected, net.embed(&[4, 34]).unwrap()], 0).unwrap();
    let mut found = net.logits(&net.read(&mut sequence, &input).unwrap()).unwrap();
    let mut expected = theirs.forward_input_embed(&input.unsqueeze(0).unwrap(), 0, &mut cache).unwrap();
    for step in 0..8 {
        assert_near(&numbers(&found), &numbers(&expected), TOLERANCE, &format!("step {step}"));
        let (token, at) = (crate::nn::sampler::argmax(&numbers(&expected)) as u32, sequence.len());
        found = net.next(&[token], &mut [&mut sequence]).unwrap();
        let input = net.embed(&[token]).unwrap().unsqueeze(0).unwrap();
        expected = theirs.forward_input_embed(&input, at, &mut cache).unwrap();
    }
}
