//! The network: log-mel and tokens in, the likelihood of the next token out.
//!
//! The encoder is ours, the projector and the Llama are those of `candle-transformers`. [`Net`] is weights only; what
//! belongs to a request is a [`Sequence`].

mod load;
mod spelling;
mod weight_backend;

use candle_core::{Result, Tensor};
use candle_transformers::models::voxtral::{VoxtralLlama, VoxtralLlamaCache, VoxtralMultiModalProjector};

use super::config::Config;
use crate::{
    families::context,
    model::{LoadError, ModelFiles, Placement},
    nn::{AudioEncoder, ComputeContext, Threads},
};

/// The weights of a Voxtral.
pub struct Net {
    config: Config,
    context: ComputeContext,
    encoder: AudioEncoder,
    projector: VoxtralMultiModalProjector,
    llama: VoxtralLlama,
    /// Tables of angles, and no keys or values: every sequence begins as a clone of it.
    blank: VoxtralLlamaCache,
    /// Everything is computed on these threads, candle's own operations too.
    threads: Threads,
}

/// What the Llama has read.
pub struct Sequence {
    cache: VoxtralLlamaCache,
    len: usize,
}

// === impl Net ===

impl Net {
    /// From one or several safetensors, under the names of the hub or those that newer versions of transformers write.
    pub fn load(config: Config, files: &ModelFiles, placement: &Placement) -> std::result::Result<Self, LoadError> {
        let context = context::exact(placement);
        let threads = Threads::start("voxtral", placement.threads);
        let threads = threads.map_err(|error| LoadError::Device(candle_core::Error::wrap(error)))?;
        let read = || -> std::result::Result<_, LoadError> {
            let (encoder, projector, llama) = load::read(&config, files, placement.weights, &context)?;
            let text = config.candle().text_config;
            Ok((encoder, projector, llama, VoxtralLlamaCache::new(true, context.dtype, &text, &context.device)?))
        };
        let (encoder, projector, llama, blank) = threads.install(read)?;
        Ok(Self { config, context, encoder, projector, llama, blank, threads })
    }

    /// Bytes that the weights, the longest sequence and the working memory take; read from headers alone.
    pub fn footprint(
        config: &Config,
        files: &ModelFiles,
        placement: &Placement,
    ) -> std::result::Result<u64, LoadError> {
        load::footprint(config, files, placement)
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What stands in the place of a window's tokens. `mel`: `[num_mel_bins, frames]` row by row → `[tokens, width]`
    pub fn hear(&self, mel: &[f32]) -> Result<Tensor> {
        self.threads.install(|| self.project(&self.encoder.forward(&self.context, mel)?))
    }

    /// What the encoder heard, four positions side by side, as the Llama reads it.
    pub(super) fn project(&self, heard: &Tensor) -> Result<Tensor> {
        let side_by_side = (self.config.audio_tokens(), self.config.audio_config.intermediate_size);
        self.projector.forward(&heard.reshape(side_by_side)?.to_dtype(self.context.dtype)?)
    }

    /// `[tokens, width]`
    pub fn embed(&self, tokens: &[u32]) -> Result<Tensor> {
        self.threads.install(|| self.llama.embed(&Tensor::new(tokens, &self.context.device)?))
    }

    pub fn sequence(&self) -> Sequence {
        Sequence { cache: self.blank.clone(), len: 0 }
    }

    /// Reads `[rows, width]` after all that the sequence holds; the logits `[1, vocab_size]` after the last row, in the
    /// type in which they are computed.
    pub fn feed(&self, sequence: &mut Sequence, input: &Tensor) -> Result<Tensor> {
        let (rows, most) = (input.dim(0)?, self.config.positions());
        if sequence.len + rows > most {
            candle_core::bail!("a sequence of {} positions does not fit into {most}", sequence.len + rows);
        }
        let logits = self
            .threads
            .install(|| self.llama.forward_input_embed(&input.unsqueeze(0)?, sequence.len, &mut sequence.cache))?;
        sequence.len += rows;
        logits.reshape((1, ()))
    }
}
