//! From files to a network.

use bytes::Bytes;
use candle_core::DType;

use super::decoder::{self, Decoder};
use crate::{
    families::whisper::config::Config,
    model::{Backing, LoadError, ModelFiles, Placement},
    nn::{
        AudioEncoder, AudioEncoderConfig, ComputeContext,
        weights::{INDEX, Loader, SINGLE, ShardIndex, Weights},
    },
};

/// Bytes that a model takes beside its numbers: vocabulary, tables, stacks of threads. The embedded model was seen to take
/// 14 to 18 MB more than its numbers (2026-11-20, `/models/status` after a load).
const BESIDES: usize = 16 << 20;

/// Names may begin with it.
const PREFIX: &str = "model.";

pub(super) fn footprint(
    config: &Config,
    files: &ModelFiles,
    part: &str,
    placement: &Placement,
) -> Result<u64, LoadError> {
    let (numbers, bytes) = weights(files, part, |name| files.open(part, name))?.size();
    let context = ComputeContext::new(&placement.device, placement.dtype);
    let on_cpu = placement.device.is_cpu() && placement.dtype == DType::F32;
    // On the CPU each weight keeps at most the width that it has in the file, see `nn::Linear`.
    let weights = if on_cpu { bytes } else { numbers * placement.dtype.size_in_bytes() };
    let slots = placement.max_batch * decoder::slot_config(config, &context).bytes(&context);
    Ok((weights + slots + workspace(config, placement) + BESIDES) as u64)
}

/// Bytes of the encoder's activations at their widest, and of the logits of a full batch.
fn workspace(config: &Config, placement: &Placement) -> usize {
    let logits = 2 * placement.max_batch * config.vocab_size * size_of::<f32>();
    encoder_config(config).workspace(&placement.device) + logits
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
    backing: Backing,
    context: &ComputeContext,
) -> Result<(AudioEncoder, Decoder), LoadError> {
    let mut weights = weights(files, part, |name| files.weights(part, name, backing))?;
    // The same numbers as the token embeddings.
    weights.ignore("proj_out.weight");
    let mut loader = Loader { weights: &mut weights, context };
    let encoder = AudioEncoder::load(&mut loader, "encoder", encoder_config(config))?;
    let decoder = Decoder::load(&mut loader, config)?;
    weights.finish()?;
    Ok((encoder, decoder))
}

/// The tensors of all files that hold some: of one, or of those that the index names.
fn weights(
    files: &ModelFiles,
    part: &str,
    open: impl Fn(&str) -> Result<Bytes, LoadError>,
) -> Result<Weights, LoadError> {
    let names = match files.optional_json::<ShardIndex>(part, INDEX)? {
        Some(index) if !files.has(part, SINGLE) => index.files(),
        _ => [SINGLE.to_owned()].into(),
    };
    let files = names.into_iter().map(|name| open(&name).map(|bytes| (name, bytes)));
    Ok(Weights::open(&files.collect::<Result<Vec<_>, LoadError>>()?, PREFIX)?)
}
