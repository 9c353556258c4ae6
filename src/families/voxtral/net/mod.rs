//! The network: log-mel and tokens in, the likelihood of the next token out.
//!
//! [`Net`] is weights only; what belongs to a request is a [`Sequence`].

mod footprint;
mod language_model;
mod load;
mod projector;
mod spelling;

use candle_core::{Result, Tensor};

use self::{language_model::LanguageModel, projector::Projector};
use super::{config::Config, repository::PART};
pub use crate::nn::llama::Sequence;
use crate::{
    families::{context, weight_files},
    model::{LoadError, ModelFiles, Placement},
    nn::{AudioEncoder, ComputeContext, Threads},
};

/// The weights of a Voxtral. Requests share them.
pub struct Net {
    config: Config,
    context: ComputeContext,
    encoder: AudioEncoder,
    projector: Projector,
    pub(super) language_model: LanguageModel,
    /// Everything is computed on these threads, candle's own operations too.
    threads: Threads,
}

// === impl Net ===

impl Net {
    /// From one or several safetensors, under the names of the hub or those that newer versions of transformers write.
    pub fn load(config: Config, files: &ModelFiles, placement: &Placement) -> std::result::Result<Self, LoadError> {
        let names = weight_files::names(files, PART)?;
        let context = context::with_kept(context::quantized(placement), placement, files, PART, &names)?;
        let net = Self::load_with(context, config, files, placement)?;
        context::keep(&net.context);
        Ok(net)
    }

    pub(super) fn load_with(
        context: ComputeContext,
        config: Config,
        files: &ModelFiles,
        placement: &Placement,
    ) -> std::result::Result<Self, LoadError> {
        let threads = Threads::start("voxtral", placement.threads);
        let threads = threads.map_err(|error| LoadError::Device(candle_core::Error::wrap(error)))?;
        let (encoder, projector, language_model) =
            threads.install(|| load::read(&config, files, placement, &context))?;
        Ok(Self { config, context, encoder, projector, language_model, threads })
    }

    /// Bytes that the weights, the sequences of a full batch and the working memory take; read from headers alone.
    pub fn footprint(
        config: &Config,
        files: &ModelFiles,
        placement: &Placement,
    ) -> std::result::Result<u64, LoadError> {
        footprint::footprint(config, files, placement)
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Whether our own kernels compute.
    pub fn has_kernels(&self) -> bool {
        self.context.kernels.is_some()
    }

    /// Bytes that it takes to answer a request whose sequence has so many positions, about.
    pub fn request_bytes(&self, positions: usize) -> Option<u64> {
        let sequence = self.language_model.position_bytes().checked_mul(positions as u64)?;
        sequence.checked_add(footprint::reading(&self.config, &self.context)?)
    }

    /// What stands in the place of a window's tokens. `mel`: `[num_mel_bins, frames]` row by row → `[tokens, width]`
    pub fn hear(&self, mel: &[f32]) -> Result<Tensor> {
        self.threads.install(|| self.project(&self.encoder.forward(&self.context, mel)?))
    }

    /// What the encoder heard, some positions side by side, as the language model reads it.
    pub(super) fn project(&self, heard: &Tensor) -> Result<Tensor> {
        let side_by_side = (self.config.audio_tokens(), self.config.audio_config.intermediate_size);
        self.projector.forward(&heard.reshape(side_by_side)?)
    }

    /// `[tokens, width]`
    pub fn embed(&self, tokens: &[u32]) -> Result<Tensor> {
        self.threads.install(|| self.language_model.embed(tokens))
    }

    /// With room for so many positions.
    pub fn sequence(&self, positions: usize) -> Result<Sequence> {
        self.threads.install(|| self.language_model.sequence(positions))
    }

    /// Reads `[rows, width]` after all that the sequence holds. The state after the last row, `[1, width]`. Whatever it read before,
    /// the same rows give the same numbers.
    pub fn read(&self, sequence: &mut Sequence, input: &Tensor) -> Result<Tensor> {
        self.threads.install(|| self.language_model.read(input, sequence))
    }

    /// What comes after a state: `[1, vocab_size]`, in the type in which it is computed.
    pub fn logits(&self, state: &Tensor) -> Result<Tensor> {
        self.threads.install(|| self.language_model.logits(state))
    }

    /// Feeds a token to each of some sequences: the logits of the next, `[sequences, vocab_size]`, in the type in which they are
    /// computed. They stay as they are until the next step.
    pub fn next(&self, tokens: &[u32], sequences: &mut [&mut Sequence]) -> Result<Tensor> {
        self.threads.install(|| self.language_model.next(tokens, sequences))
    }
}
