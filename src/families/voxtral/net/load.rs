//! From files to a network.

use bytes::Bytes;
use candle_nn::VarBuilder;
use candle_transformers::models::voxtral::{VoxtralLlama, VoxtralMultiModalProjector};
use parking_lot::Mutex;

use super::{
    super::{config::Config, repository::PART},
    shelf::Shelf,
    spelling::Spelling,
};
use crate::{
    model::{Backing, LoadError, ModelFiles, Placement},
    nn::{
        AudioEncoder, ComputeContext,
        weights::{INDEX, Loader, SINGLE, ShardIndex, Weights},
    },
};

/// Bytes that a model takes beside its numbers: vocabulary, tables, stacks of threads.
const BESIDES: usize = 64 << 20;

pub(super) fn footprint(config: &Config, files: &ModelFiles, placement: &Placement) -> Result<u64, LoadError> {
    let weights = weights(files, |name| files.open(PART, name))?;
    let (all, bytes) = weights.size();
    let (encoder, _) = weights.size_under(&Spelling::of(&weights).stored("audio_tower."));
    let width = placement.dtype.size_in_bytes();
    // On the CPU the encoder computes on the mapped file, which stays, and the rest is copied; elsewhere all is.
    let weights = if placement.device.is_cpu() { bytes + (all - encoder) * width } else { all * width };
    let workspace = config.encoder().workspace(&placement.device).max(reading(config));
    Ok((weights + keys_and_values(config) * width + workspace + spectrum(config) + BESIDES) as u64)
}

/// Numbers of the longest sequence, and of the layer that is being written anew.
fn keys_and_values(config: &Config) -> usize {
    let text = &config.text_config;
    2 * (text.num_hidden_layers + 2) * text.num_key_value_heads * text.head_dim * config.positions()
}

/// Bytes of what is computed while the last window of the longest sequence is read: keys and values of a layer, wide and
/// once for every head of the queries, and the scores of all heads three times; and the angles and the logits.
fn reading(config: &Config) -> usize {
    let text = &config.text_config;
    let heads = text.num_attention_heads;
    let layer = 4 * heads * text.head_dim + 3 * heads * config.audio_tokens();
    let beside = 2 * text.vocab_size + config.audio_tokens() * (3 * text.intermediate_size + 4 * text.hidden_size);
    ((layer + 2 * text.head_dim) * config.positions() + beside) * size_of::<f32>()
}

/// Bytes of the longest recording, padded, and of its spectrum.
fn spectrum(config: &Config) -> usize {
    const SAMPLES_PER_FRAME: usize = 160;
    config.longest() * config.frames() * (SAMPLES_PER_FRAME + config.audio_config.num_mel_bins) * size_of::<f32>()
}

pub(super) fn read(
    config: &Config,
    files: &ModelFiles,
    backing: Backing,
    context: &ComputeContext,
) -> Result<(AudioEncoder, VoxtralMultiModalProjector, VoxtralLlama), LoadError> {
    let mut weights = weights(files, |name| files.weights(PART, name, backing))?;
    let spelling = Spelling::of(&weights);
    let tower = spelling.stored("audio_tower");
    let encoder = AudioEncoder::load(&mut Loader { weights: &mut weights, context }, &tower, config.encoder())?;
    if config.text_config.tie_word_embeddings {
        weights.ignore(&spelling.stored("language_model.lm_head.weight"));
    }
    let (weights, fault) = (Mutex::new(weights), Mutex::new(None));
    let (projector, llama) = {
        let shelf = Shelf { weights: &weights, fault: &fault, spelling };
        let named = VarBuilder::from_backend(Box::new(shelf), context.dtype, context.device.clone());
        let candle = config.candle();
        let projector = VoxtralMultiModalProjector::new(&candle, named.pp("multi_modal_projector"));
        (projector, VoxtralLlama::load(named.pp("language_model"), &candle.text_config))
    };
    if let Some(fault) = fault.into_inner() {
        return Err(fault);
    }
    weights.into_inner().finish()?;
    Ok((encoder, projector?, llama?))
}

/// The tensors of all files that hold some: of one, or of those that the index names.
fn weights(files: &ModelFiles, open: impl Fn(&str) -> Result<Bytes, LoadError>) -> Result<Weights, LoadError> {
    let names = match files.optional_json::<ShardIndex>(PART, INDEX)? {
        Some(index) if !files.has(PART, SINGLE) => index.files(),
        _ => [SINGLE.to_owned()].into(),
    };
    let files = names.into_iter().map(|name| open(&name).map(|bytes| (name, bytes)));
    Ok(Weights::open(&files.collect::<Result<Vec<_>, LoadError>>()?, "")?)
}
