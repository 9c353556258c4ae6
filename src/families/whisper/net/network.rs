//! The network as a whole.

use candle_core::{DType, Result, Tensor};

use super::{
    decoder::{self, Decoder},
    features::{Alignment, Features},
    load,
};
use crate::{
    families::{context, weight_files, whisper::config::Config},
    model::{LoadError, ModelFiles, Placement},
    nn::{
        self, AudioEncoder, ComputeContext, Threads,
        attention::{KvCache, Slot, Slots},
    },
};

/// The weights of a Whisper. Two requests share them.
pub struct Net {
    config: Config,
    pub(super) context: ComputeContext,
    encoder: AudioEncoder,
    decoder: Decoder,
    /// That are encoded at once.
    windows: usize,
    /// Everything is computed on these threads, candle's own operations too.
    threads: Threads,
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
        let names = weight_files::names(files, part)?;
        let context = context::with_kept(context::quantized(placement), placement, files, part, &names)?;
        let net = Self::load_with(context, config, files, part, placement)?;
        context::keep(&net.context);
        Ok(net)
    }

    pub(super) fn load_with(
        context: ComputeContext,
        config: Config,
        files: &ModelFiles,
        part: &str,
        placement: &Placement,
    ) -> std::result::Result<Self, LoadError> {
        let threads = Threads::start("whisper", placement.threads);
        let threads = threads.map_err(|error| LoadError::Device(candle_core::Error::wrap(error)))?;
        let (encoder, decoder) = threads.install(|| load::read(&config, files, part, placement, &context))?;
        let windows = load::windows(placement);
        Ok(Self { config, context, encoder, decoder, windows, threads })
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

    /// Bytes that it takes to listen to a window, about.
    pub fn listening_bytes(&self) -> Option<u64> {
        load::listening(&self.config, &self.context)
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// How many windows it is quickest to encode at once.
    pub fn windows(&self) -> usize {
        self.windows
    }

    /// Log-mel windows, each `[num_mel_bins, frames]` row by row, equally long: an even number of frames, `2 *
    /// max_source_positions` at most.
    pub fn encode(&self, mels: &[&[f32]]) -> Result<Vec<Features>> {
        let heard = self.threads.install(|| self.encoder.forward_each(&self.context, mels))?;
        Ok(heard.into_iter().map(Features).collect())
    }

    /// For up to `count` sequences at once.
    pub fn slots(&self, count: usize) -> Slots {
        Slots::new(&decoder::slot_config(&self.config, &self.context), count, &self.context)
    }

    /// A slot, without tokens, whose decoder attends to `heard`.
    pub fn open(&self, slots: &mut Slots, heard: &Features) -> Result<Slot> {
        let slot = self.open_each(slots, std::slice::from_ref(heard))?.pop();
        slot.ok_or_else(|| candle_core::Error::msg("no slot was opened"))
    }

    /// Slots, without tokens, of which each attends to what was heard in one of some equally long windows.
    pub fn open_each(&self, slots: &mut Slots, heard: &[Features]) -> Result<Vec<Slot>> {
        let fill = |caches: &mut [&mut [KvCache]]| self.decoder.fill_cross_attention(heard, caches);
        slots.open(heard.len(), |caches| self.threads.install(|| fill(caches)))
    }

    /// Feeds new tokens, at least one, to each of some rows; the logits `[rows, vocab_size]` after the last token of each, where
    /// and in the type in which they are computed. They stay as they are until the next step.
    pub fn logits(&self, slots: &mut Slots, rows: &[(&Slot, &[u32])]) -> Result<Tensor> {
        #[cfg(feature = "cuda")]
        if self.context.device.is_cuda() {
            return self.threads.install(|| self.decoder.logits_on_device(slots, rows));
        }
        self.threads.install(|| self.decoder.last_logits(slots, rows))
    }

    /// The same, on the host.
    pub fn step(&self, slots: &mut Slots, rows: &[(&Slot, &[u32])]) -> Result<Vec<Vec<f32>>> {
        nn::to_rows(&self.logits(slots, rows)?.to_dtype(DType::F32)?)
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
