//! How much memory a network takes, from headers alone.

use super::super::{
    config::Config,
    repository::{CONFIG, PART},
};
use crate::{
    families::{context, weight_files},
    model::{LoadError, ModelFiles, Placement, Precision},
    nn::ComputeContext,
};

/// Bytes that a model takes beside its numbers: vocabulary, tables, stacks of threads.
const BESIDES: u64 = 64 << 20;

/// Bytes of the weights, of the sequences that are there at once, and of what it takes to answer them.
pub(super) fn footprint(config: &Config, files: &ModelFiles, placement: &Placement) -> Result<u64, LoadError> {
    let weights = weights(config, files, placement)?;
    let context = context::quantized(placement);
    let all =
        sequences(config, &context, placement.max_batch).zip(reading(config, &context)).zip(logits(config, placement));
    let all = all.and_then(|((sequences, reading), logits)| {
        [weights?, sequences, reading, logits, spectrum(config)?, BESIDES].into_iter().try_fold(0u64, u64::checked_add)
    });
    all.ok_or_else(|| LoadError::Malformed {
        file: CONFIG.to_owned(),
        reason: "what is computed from its sizes is more than can be counted".to_owned(),
    })
}

/// `None` if nobody can count so far.
fn weights(config: &Config, files: &ModelFiles, placement: &Placement) -> Result<Option<u64>, LoadError> {
    let sum = weight_files::size(files, PART, |_| true)?;
    let width = placement.dtype.dtype().size_in_bytes() as u64;
    let stored = match placement.dtype {
        Precision::Q8 => Some(weight_files::q8_bytes(files, PART, is_quantized)?),
        // On the CPU each weight keeps at most the width that it has in the file, see `nn::Linear`.
        Precision::F32 if placement.device.is_cpu() => return Ok(Some(sum.bytes)),
        _ => sum.numbers.checked_mul(width),
    };
    if !config.text_config.tie_word_embeddings {
        return Ok(stored);
    }
    // What looks tokens up and what tells the next are the same numbers, and each has its own of them.
    let table = weight_files::size(files, PART, is_table)?;
    let head = if placement.dtype == Precision::Q8 { Some(table.q8_bytes) } else { table.numbers.checked_mul(width) };
    Ok(stored.zip(head).and_then(|(stored, head)| stored.checked_add(head)))
}

/// Whether the matrix of such a name is a layer, and no table.
fn is_quantized(name: &str) -> bool {
    !name.ends_with("embed_positions.weight") && !is_table(name)
}

/// Of tokens.
fn is_table(name: &str) -> bool {
    name.ends_with("embed_tokens.weight")
}

/// Bytes of the keys and values of all sequences that are there at once.
fn sequences(config: &Config, context: &ComputeContext, requests: usize) -> Option<u64> {
    let text = &config.text_config;
    let shape = config.llama().shape(text.hidden_size);
    let position = shape.position_bytes(text.num_hidden_layers, context);
    position.checked_mul(config.pool(requests.max(1))? as u64)
}

/// Bytes of what is computed while a window is heard and read, at the widest.
pub(super) fn reading(config: &Config, context: &ComputeContext) -> Option<u64> {
    let encoder = config.encoder().workspace(&context.device, context.dtype, 1)?;
    u64::try_from(encoder.max(language_model(config, context)?)).ok()
}

/// Of them those of the language model: input, norm and output of a layer, and within it the queries, keys and values, turned, and
/// what is attended to; or both halves of the inner layer, and what the gate lets through.
fn language_model(config: &Config, context: &ComputeContext) -> Option<usize> {
    let (text, rows) = (&config.text_config, config.positions(1, 0));
    let heads = text.num_attention_heads.checked_add(text.num_key_value_heads)?;
    let widest = product([3, heads, text.head_dim])?.max(text.intermediate_size.checked_mul(3)?);
    let layers = product([rows, text.hidden_size.checked_mul(3)?.checked_add(widest)?, size_of::<f32>()])?;
    // Where kernels of ours attend there are no scores of more than a few positions at once.
    if context.kernels.is_some() || context.device.is_cuda() {
        return Some(layers);
    }
    // The scores of a window at the end of the longest recording, before the softmax, with a mask, and after it.
    let longest = config.positions(config.longest(), Config::max_new_tokens(config.longest()));
    product([3, text.num_attention_heads, rows, longest, size_of::<f32>()])?.checked_add(layers)
}

/// Bytes of the logits of a full batch.
fn logits(config: &Config, placement: &Placement) -> Option<u64> {
    u64::try_from(product([2, placement.max_batch, config.text_config.vocab_size, size_of::<f32>()])?).ok()
}

/// Bytes of the longest recording, padded, and of its spectrum: one is read at a time.
fn spectrum(config: &Config) -> Option<u64> {
    const SAMPLES_PER_FRAME: usize = 160;
    let frame = SAMPLES_PER_FRAME.checked_add(config.audio_config.num_mel_bins)?;
    u64::try_from(product([config.longest(), config.frames(), frame, size_of::<f32>()])?).ok()
}

fn product<const N: usize>(factors: [usize; N]) -> Option<usize> {
    factors.into_iter().try_fold(1usize, usize::checked_mul)
}
