//! The network: log-mel in, the likelihood of the next token out.
//!
//! [`Net`] is weights only. What belongs to a request lives in [`Slots`]: each row holds the keys and values of one
//! decoder sequence, and rows join ([`Slots::open`]) and leave ([`Slots::close`]) between two steps.

mod decoder;
mod encoder;
mod layers;
mod load;
mod slots;
#[cfg(test)]
mod tests;

use candle_core::{DType, Result, Tensor};

use self::{decoder::Decoder, encoder::Encoder};
use super::config::Config;
use crate::{
    model::{LoadError, ModelFiles, Placement},
    nn::{ComputeContext, Threads},
};

pub use slots::{Slot, Slots};

/// The weights of a Whisper. Two requests share them.
pub struct Net {
    config: Config,
    context: ComputeContext,
    encoder: Encoder,
    decoder: Decoder,
    /// Everything is computed on these threads, candle's own operations too.
    threads: Threads,
}

/// What the encoder heard in one window, `[positions, d_model]`.
#[derive(Clone, Debug)]
pub struct Features(Tensor);

/// Where the decoder looked while it read tokens.
#[derive(Clone, Debug)]
pub struct Alignment {
    pub heads: usize,
    pub tokens: usize,
    pub positions: usize,
    /// Cross-attention after softmax over all positions: `[heads, tokens, positions]`, row by row.
    pub weights: Vec<f32>,
    /// For each token but the last, the probability of the one after it.
    pub next: Vec<f32>,
}

// === impl Net ===

impl Net {
    /// From one or several safetensors under the hub's names, with or without the leading `model.`.
    pub fn load(
        config: Config,
        files: &ModelFiles,
        part: &str,
        placement: &Placement,
    ) -> std::result::Result<Self, LoadError> {
        let context = ComputeContext::new(&placement.device, placement.dtype);
        load::load(config, files, part, context, placement.threads, placement.weights)
    }

    /// Bytes that the weights, the slots of a full batch and the working memory take; read from headers alone.
    pub fn footprint(
        config: &Config,
        files: &ModelFiles,
        part: &str,
        placement: &Placement,
    ) -> std::result::Result<u64, LoadError> {
        load::footprint(config, files, part, placement)
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Log-mel windows, each `[num_mel_bins, 2 * max_source_positions]` row by row.
    pub fn encode(&self, mels: &[&[f32]]) -> Result<Vec<Features>> {
        let encode = |mel: &&[f32]| self.encoder.forward(&self.config, &self.context, mel).map(Features);
        self.threads.install(|| mels.iter().map(encode).collect())
    }

    /// Memory for up to `rows` sequences at once.
    pub fn slots(&self, rows: usize) -> Result<Slots> {
        Slots::new(&self.config, &self.context, rows)
    }

    /// Feeds new tokens, at least one, to each of some rows. For each row: the logits `[vocab_size]` after its last token.
    pub fn step(&self, slots: &mut Slots, rows: &[(&Slot, &[u32])]) -> Result<Vec<Vec<f32>>> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        self.threads.install(|| {
            let hidden = self.decoder.forward(slots, rows, &mut |_, _| Ok(()))?;
            let last = rows.iter().scan(0, |end, (_, tokens)| {
                *end += tokens.len() as u32;
                Some(*end - 1)
            });
            let last = Tensor::from_iter(last, hidden.device())?;
            self.decoder.logits(&hidden.index_select(&last, 0)?)?.to_dtype(DType::F32)?.to_vec2()
        })
    }

    /// Reads `tokens` after those that the row holds, and tells where the (layer, head) pairs looked. Probabilities are
    /// taken among the first `vocabulary` tokens. The row is left as it was.
    pub fn attend(
        &self,
        slots: &mut Slots,
        slot: &Slot,
        tokens: &[u32],
        heads: &[(usize, usize)],
        vocabulary: usize,
    ) -> Result<Alignment> {
        let (layers, per_layer) = (self.config.decoder_layers, self.config.decoder_attention_heads);
        if let Some((layer, head)) = heads.iter().find(|(layer, head)| *layer >= layers || *head >= per_layer) {
            candle_core::bail!("there is no head {head} in layer {layer}: there are {layers} layers of {per_layer}");
        }
        let before = slots.len(slot);
        let alignment = self.threads.install(|| self.decoder.align(slots, slot, tokens, heads, vocabulary));
        slots.rewind(slot, before);
        alignment
    }
}

impl std::fmt::Debug for Net {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Net").field("config", &self.config).field("context", &self.context).finish_non_exhaustive()
    }
}
