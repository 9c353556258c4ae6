//! From files to a network.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use candle_core::DType;

use super::{
    Net,
    decoder::Decoder,
    encoder::Encoder,
    layers::{LayerError, Loader},
    slots::Slots,
};
use crate::{
    families::whisper::config::Config,
    model::{Backing, LoadError, ModelFiles, Placement},
    nn::{ComputeContext, Threads, WeightError, Weights},
};

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// Bytes that a model takes beside its numbers: vocabulary, tables, stacks of threads. The embedded model was seen to take
/// 14 to 18 MB more than its numbers (2026-11-20, `/models/status` after a load).
const BESIDES: usize = 16 << 20;

/// Names may begin with it.
const PREFIX: &str = "model.";

/// `model.safetensors.index.json`
#[derive(serde::Deserialize)]
struct Index {
    /// Tensor to file.
    weight_map: BTreeMap<String, String>,
}

pub(super) fn load(
    config: Config,
    files: &ModelFiles,
    part: &str,
    context: ComputeContext,
    threads: usize,
    backing: Backing,
) -> Result<Net, LoadError> {
    let threads = Threads::start("whisper", threads);
    let threads = threads.map_err(|error| LoadError::Device(candle_core::Error::wrap(error)))?;
    let (encoder, decoder) = threads.install(|| {
        let open = |name: &str| files.weights(part, name, backing);
        read(&config, weights(files, part, open)?, &context)
    })?;
    Ok(Net { config, context, encoder, decoder, threads })
}

pub(super) fn footprint(
    config: &Config,
    files: &ModelFiles,
    part: &str,
    placement: &Placement,
) -> Result<u64, LoadError> {
    let (numbers, bytes) = weights(files, part, |name| files.open(part, name))?.size();
    let on_cpu = placement.device.is_cpu() && placement.dtype == DType::F32;
    // On the CPU each weight keeps at most the width that it has in the file, see `nn::Linear`.
    let weights = if on_cpu { bytes } else { numbers * placement.dtype.size_in_bytes() };
    let rows = placement.max_batch * Slots::row_bytes(config, &ComputeContext::new(&placement.device, placement.dtype));
    Ok((weights + rows + workspace(config, placement) + BESIDES) as u64)
}

/// Bytes of the encoder's activations at their widest, and of the logits of a full batch.
fn workspace(config: &Config, placement: &Placement) -> usize {
    let Config { d_model, encoder_ffn_dim, max_source_positions, encoder_attention_heads, .. } = *config;
    // Input, projections, keys and values, output; or input, norm, inner layer, output.
    let widest = (8 * d_model).max(3 * d_model + encoder_ffn_dim);
    // Without our own kernels the scores of all heads exist at once, twice.
    let scores = if placement.device.is_cpu() { 0 } else { 2 * encoder_attention_heads * max_source_positions };
    // A layer's weights in the form that a matrix unit takes.
    let split = d_model * encoder_ffn_dim;
    let logits = 2 * placement.max_batch * config.vocab_size;
    (max_source_positions * (widest + scores) + split + logits) * size_of::<f32>()
}

fn read(config: &Config, mut weights: Weights, context: &ComputeContext) -> Result<(Encoder, Decoder), LoadError> {
    // The same numbers as the token embeddings.
    weights.ignore("proj_out.weight");
    let mut loader = Loader { weights: &mut weights, context };
    let encoder = Encoder::load(&mut loader, config)?;
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
    let names = match files.optional_json::<Index>(part, INDEX)? {
        Some(index) if !files.has(part, SINGLE) => index.weight_map.into_values().collect(),
        _ => BTreeSet::from([SINGLE.to_owned()]),
    };
    let files = names.into_iter().map(|name| open(&name).map(|bytes| (name, bytes)));
    Ok(Weights::open(&files.collect::<Result<Vec<_>, LoadError>>()?, PREFIX)?)
}

impl From<WeightError> for LoadError {
    fn from(error: WeightError) -> Self {
        match error {
            WeightError::File { file, reason } => Self::Malformed { file, reason },
            WeightError::Tensor { tensor, reason } => Self::Tensor { tensor, reason },
        }
    }
}

impl From<LayerError> for LoadError {
    fn from(error: LayerError) -> Self {
        match error {
            LayerError::Weights(error) => error.into(),
            LayerError::Device(error) => Self::Device(error),
        }
    }
}
