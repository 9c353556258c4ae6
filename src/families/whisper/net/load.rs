//! From files to a network.

use bytes::Bytes;

use super::decoder::{self, Decoder};
use crate::{
    families::{
        context, weight_files,
        whisper::{config::Config, repository::CONFIG},
    },
    model::{LoadError, ModelFiles, Placement, Precision},
    nn::{
        AudioEncoder, AudioEncoderConfig, ComputeContext,
        weights::{Loader, Weights},
    },
};

/// Bytes that a model takes beside its numbers: vocabulary, tables, stacks of threads. The embedded model was seen to take
/// 14 to 18 MB more than its numbers (2026-11-20, `/models/status` after a load).
const BESIDES: u64 = 16 << 20;

/// That an accelerator encodes at once: more take memory, and no less time each.
const MOST_WINDOWS: usize = 8;

/// Names may begin with it.
const PREFIX: &str = "model.";

pub(super) fn footprint(
    config: &Config,
    files: &ModelFiles,
    part: &str,
    placement: &Placement,
) -> Result<u64, LoadError> {
    let sum = weight_files::size(files, part, |_| true)?;
    let weights = match placement.dtype {
        Precision::Q8 => Some(weight_files::q8_bytes(files, part, is_quantized)?),
        // On the CPU each weight keeps at most the width that it has in the file, see `nn::Linear`.
        Precision::F32 if placement.device.is_cpu() => Some(sum.bytes),
        other => sum.numbers.checked_mul(other.dtype().size_in_bytes() as u64),
    };
    let weights = weights.ok_or_else(|| too_large(CONFIG, "its tensors"))?;
    let slots = slots(config, placement).ok_or_else(|| {
        too_large(CONFIG, "decoder_layers, d_model, max_source_positions and max_target_positions, in each of a batch,")
    })?;
    let workspace = workspace(config, placement).ok_or_else(|| {
        too_large(CONFIG, "d_model, encoder_ffn_dim, max_source_positions and vocab_size, in a batch,")
    })?;
    let parts = [weights, slots, workspace, BESIDES];
    let all = parts.into_iter().try_fold(0u64, u64::checked_add);
    all.ok_or_else(|| too_large(CONFIG, "what is computed from its sizes"))
}

/// Bytes of the caches of a full batch; `None` if nobody can count so far.
fn slots(config: &Config, placement: &Placement) -> Option<u64> {
    let context = context::quantized(placement);
    let slot = decoder::slot_config(config, &context).bytes(&context)?;
    u64::try_from(slot.checked_mul(placement.max_batch)?).ok()
}

/// Bytes of the encoder's activations at their widest, and of the logits of a full batch; `None` if nobody can count so
/// far.
fn workspace(config: &Config, placement: &Placement) -> Option<u64> {
    let logits = config.vocab_size.checked_mul(2 * size_of::<f32>())?.checked_mul(placement.max_batch)?;
    let dtype = placement.dtype.dtype();
    let encoder = encoder_config(config).workspace(&placement.device, dtype, windows(placement))?;
    u64::try_from(encoder.checked_add(logits)?).ok()
}

/// How many windows are encoded at once.
pub(super) fn windows(placement: &Placement) -> usize {
    if placement.device.is_cpu() { 1 } else { placement.max_batch.min(MOST_WINDOWS) }
}

/// Bytes that it takes to listen to a window at the widest; `None` if nobody can count so far.
pub(super) fn listening(config: &Config, context: &ComputeContext) -> Option<u64> {
    u64::try_from(encoder_config(config).workspace(&context.device, context.dtype, 1)?).ok()
}

fn too_large(file: &str, fields: &str) -> LoadError {
    LoadError::Malformed { file: file.to_owned(), reason: format!("{fields} make more bytes than can be counted") }
}

/// Whether the matrix of such a name is a layer, and no table of positions.
fn is_quantized(name: &str) -> bool {
    !name.ends_with("embed_positions.weight")
}

fn encoder_config(config: &Config) -> AudioEncoderConfig {
    AudioEncoderConfig {
        bands: config.num_mel_bins,
        positions: config.max_source_positions,
        width: config.d_model,
        layers: config.encoder_layers,
        heads: config.encoder_attention_heads,
        inner: config.encoder_ffn_dim,
    }
}

pub(super) fn read(
    config: &Config,
    files: &ModelFiles,
    part: &str,
    placement: &Placement,
    context: &ComputeContext,
) -> Result<(AudioEncoder, Decoder), LoadError> {
    let mut weights = weights(files, part, |name| context::weights(context, files, part, name, placement))?;
    // The same numbers as the token embeddings.
    weights.ignore("proj_out.weight");
    let mut loader = Loader { weights: &mut weights, context };
    let encoder = AudioEncoder::load(&mut loader, "encoder", encoder_config(config))?;
    let decoder = Decoder::load(&mut loader, config)?;
    weights.finish()?;
    Ok((encoder, decoder))
}

/// The tensors of all files that hold some.
fn weights(
    files: &ModelFiles,
    part: &str,
    open: impl Fn(&str) -> Result<Bytes, LoadError>,
) -> Result<Weights, LoadError> {
    let files = weight_files::names(files, part)?.into_iter().map(|name| open(&name).map(|bytes| (name, bytes)));
    Ok(Weights::open(&files.collect::<Result<Vec<_>, LoadError>>()?, PREFIX)?)
}
