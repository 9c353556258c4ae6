//! From files to a network.

use bytes::Bytes;
use candle_nn::VarBuilder;
use candle_transformers::models::voxtral::{VoxtralLlama, VoxtralMultiModalProjector};
use parking_lot::Mutex;

use super::{
    super::{
        config::Config,
        repository::{CONFIG, PART},
    },
    spelling::Spelling,
    weight_backend::WeightBackend,
};
use crate::{
    families::weight_files,
    model::{Backing, LoadError, ModelFiles, Placement},
    nn::{
        AudioEncoder, ComputeContext,
        weights::{Loader, WeightSize, Weights},
    },
};

/// Bytes that a model takes beside its numbers: vocabulary, tables, stacks of threads.
const BESIDES: usize = 64 << 20;

pub(super) fn footprint(config: &Config, files: &ModelFiles, placement: &Placement) -> Result<u64, LoadError> {
    let all = weight_files::size(files, PART, |_| true)?;
    let encoder = weight_files::size(files, PART, Spelling::is_of_the_encoder)?;
    bytes(config, placement, (all, encoder)).ok_or_else(|| LoadError::Malformed {
        file: CONFIG.to_owned(),
        reason: "what is computed from its sizes is more than can be counted".to_owned(),
    })
}

/// `None` if nobody can count so far.
fn bytes(config: &Config, placement: &Placement, (all, encoder): (WeightSize, WeightSize)) -> Option<u64> {
    let width = placement.dtype.dtype().size_in_bytes() as u64;
    // On the CPU the encoder computes on the mapped file, which stays, and the rest is copied; elsewhere all is.
    let copied = if placement.device.is_cpu() { all.numbers - encoder.numbers } else { all.numbers };
    let mapped = if placement.device.is_cpu() { all.bytes } else { 0 };
    let workspace = config.encoder().workspace(&placement.device, placement.dtype.dtype(), 1)?.max(reading(config)?);
    let parts = [
        mapped,
        copied.checked_mul(width)?,
        (keys_and_values(config)? as u64).checked_mul(width)?,
        workspace as u64,
        spectrum(config)? as u64,
        BESIDES as u64,
    ];
    parts.into_iter().try_fold(0u64, u64::checked_add)
}

/// Numbers of the longest sequence, and of the layer that is being written anew.
fn keys_and_values(config: &Config) -> Option<usize> {
    let text = &config.text_config;
    product([2, text.num_hidden_layers.checked_add(2)?, text.num_key_value_heads, text.head_dim, config.positions()])
}

/// Bytes of what is computed while the last window of the longest sequence is read: keys and values of a layer, wide and
/// once for every head of the queries, and the scores of all heads three times; and the angles and the logits.
fn reading(config: &Config) -> Option<usize> {
    let (text, tokens) = (&config.text_config, config.audio_tokens());
    let layer = product([4, text.num_attention_heads, text.head_dim])?;
    let layer = layer.checked_add(product([3, text.num_attention_heads, tokens])?)?;
    let position = layer.checked_add(text.head_dim.checked_mul(2)?)?;
    let row = text.intermediate_size.checked_mul(3)?.checked_add(text.hidden_size.checked_mul(4)?)?;
    let beside = text.vocab_size.checked_mul(2)?.checked_add(tokens.checked_mul(row)?)?;
    position.checked_mul(config.positions())?.checked_add(beside)?.checked_mul(size_of::<f32>())
}

/// Bytes of the longest recording, padded, and of its spectrum.
fn spectrum(config: &Config) -> Option<usize> {
    const SAMPLES_PER_FRAME: usize = 160;
    let frame = SAMPLES_PER_FRAME.checked_add(config.audio_config.num_mel_bins)?;
    product([config.longest(), config.frames(), frame, size_of::<f32>()])
}

fn product<const N: usize>(factors: [usize; N]) -> Option<usize> {
    factors.into_iter().try_fold(1usize, usize::checked_mul)
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
        let shelf = WeightBackend { weights: &weights, fault: &fault, spelling };
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
    let files = weight_files::names(files, PART)?.into_iter().map(|name| open(&name).map(|bytes| (name, bytes)));
    Ok(Weights::open(&files.collect::<Result<Vec<_>, LoadError>>()?, "")?)
}
