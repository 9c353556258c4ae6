//! The codec as a whole.

use candle_core::{Result, Tensor};

use super::{
    super::dac::{
        codec::windows,
        decoder::{Decoder, DecoderKind},
        encoder::Encoder,
        sizes::LayerSizes,
        windows::{STEP, WINDOW, around, frames_at_once},
    },
    config::XCodecConfig,
    names,
    quantizer::Quantizer,
    semantic::SemanticEncoder,
};
use crate::{
    context::ComputeContext,
    hubert::Hubert,
    linear::{Epilogue, Linear},
    sinc_resample::SincResampler,
    weights::{Loaded, Loader, WeightError},
};

/// Samples of silence before and after what HuBERT hears.
const AROUND: usize = 160;

/// The weights of a codec.
#[derive(Debug)]
pub struct XCodec {
    rate: u32,
    encoder: Encoder,
    resampler: SincResampler,
    pub(super) hubert: Hubert,
    /// Every how manieth vector of HuBERT counts.
    step_of_hubert: usize,
    pub(super) semantic: SemanticEncoder,
    /// What both heard, for the quantizer.
    joined: Linear,
    pub(super) quantizer: Quantizer,
    pub(super) decoder: Decoder,
    /// Frames that a pass of the encoder makes, beside those around them.
    window: usize,
    /// Frames that a pass of the decoder makes.
    pub(super) step: usize,
    pub(super) context: ComputeContext,
}

// === impl XCodec ===

impl XCodec {
    /// Sizes are read from the tensors, of either layout; a `config` that says otherwise is refused. `of_decoder`: how that
    /// computes; codes are found as the loader's context says.
    pub fn load(loader: &mut Loader<'_>, of_decoder: &ComputeContext, config: &XCodecConfig) -> Loaded<Self> {
        config.check()?;
        names::unify(loader.weights)?;
        let unneeded: Vec<String> =
            loader.weights.names().filter(|name| names::is_unneeded(name)).map(str::to_owned).collect();
        unneeded.iter().for_each(|name| loader.weights.ignore(name));
        let sizes = LayerSizes::read(loader.weights, "acoustic_")?;
        config.agree(&sizes)?;
        let hubert = Hubert::load(loader, "semantic_model.", &config.semantic_model_config)?;
        let semantic = SemanticEncoder::load(loader, hubert.width(), config)?;
        let [hidden, depth] = loader.weights.sizes("fc.weight")?;
        if depth != sizes.hidden + semantic.columns() {
            let reason = format!("takes {depth} numbers, where {} and {} come in", sizes.hidden, semantic.columns());
            return Err(WeightError::tensor("fc.weight", reason).into());
        }
        let encoder = Encoder::load(loader, "acoustic_encoder", &sizes)?;
        let joined = loader.linear("fc", depth, hidden)?;
        let most = config.books.unwrap_or(usize::MAX);
        let quantizer = Quantizer::load(loader, of_decoder, (hidden, sizes.hidden), most)?;
        let mut decoders = Loader { weights: &mut *loader.weights, context: of_decoder };
        Ok(Self {
            rate: config.sample_rate,
            resampler: SincResampler::new(config.sample_rate, config.semantic_sample_rate),
            step_of_hubert: config.step(sizes.hop())?,
            decoder: Decoder::load(&mut decoders, "acoustic_decoder", &sizes, DecoderKind::XCodec)?,
            window: frames_at_once(sizes.widest(), WINDOW),
            step: frames_at_once(sizes.widest(), STEP),
            context: loader.context.clone(),
            encoder,
            hubert,
            semantic,
            joined,
            quantizer,
        })
    }

    /// Samples per second.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// Samples of a frame.
    pub fn hop(&self) -> usize {
        self.encoder.hop()
    }

    /// Codes of a frame, one of each book.
    pub fn books(&self) -> usize {
        self.quantizer.books()
    }

    /// How many codes a book has.
    pub fn codes(&self) -> usize {
        self.quantizer.codes()
    }

    /// Numbers of what the codes of a frame stand for, where [`Self::embed`] gives that.
    pub fn hidden(&self) -> usize {
        self.joined.columns()
    }

    /// Frames before and after a frame that its sound depends on.
    pub fn reach(&self) -> (usize, usize) {
        self.decoder.reach()
    }

    /// `[frames, books]` of samples at [`Self::rate`], for which about as many must be there as HuBERT makes a frame of.
    pub fn encode(&self, samples: &[f32]) -> Result<Vec<u32>> {
        self.encode_by(samples, self.window)
    }

    /// What codes stand for, `[frames, books]` → `[frames, hidden]`, of a codec whose books have no layers of their own.
    ///
    /// # Errors
    /// As [`Self::decode`], and of any other codec.
    pub fn embed(&self, codes: &[u32]) -> Result<Tensor> {
        self.quantizer.frames(codes)?;
        self.quantizer.embed(codes, &self.context)
    }

    pub(super) fn encode_by(&self, samples: &[f32], window: usize) -> Result<Vec<u32>> {
        let semantic = self.semantic.forward(&self.heard(samples)?)?;
        let acoustic = self.acoustic(samples, semantic.dim(0)?, window)?;
        let frames = semantic.dim(0)?.min(acoustic.dim(0)?);
        let both = Tensor::cat(&[acoustic.narrow(0, 0, frames)?, semantic.narrow(0, 0, frames)?], 1)?;
        self.quantizer.encode(&self.joined.forward(&both, Epilogue::None)?, &self.context)
    }

    /// What HuBERT makes of a sound, `[frames, width]`.
    pub(super) fn heard(&self, samples: &[f32]) -> Result<Tensor> {
        let mut heard = vec![0.0; AROUND];
        heard.extend(self.resampler.resample(samples));
        heard.resize(heard.len() + AROUND, 0.0);
        let mean = self.hubert.mean_of_states(&heard)?;
        let kept = (0..mean.dim(0)? as u32).step_by(self.step_of_hubert).collect::<Vec<_>>();
        mean.index_select(&Tensor::new(kept, mean.device())?, 0)
    }

    /// What the encoder makes of a sound, `[frames, hidden]`; with silence around it where it would be of another number of
    /// frames than `wanted`.
    pub(super) fn acoustic(&self, samples: &[f32], wanted: usize, window: usize) -> Result<Tensor> {
        if self.encoder.frames(samples.len()) == wanted {
            return self.encoded(samples, window);
        }
        let silence = vec![0.0; self.hop() / 2];
        self.encoded(&[&silence, samples, &silence].concat(), window)
    }

    fn encoded(&self, samples: &[f32], window: usize) -> Result<Tensor> {
        let (frames, hop) = (self.encoder.frames(samples.len()), self.hop());
        let mut parts = Vec::new();
        for wanted in windows(0..frames, window) {
            let heard = around(&wanted, self.encoder.reach(), frames);
            let end = if heard.end == frames { samples.len() } else { heard.end * hop };
            let vectors = self.encoder.forward_all(&self.context, samples[heard.start * hop..end].to_vec())?;
            parts.push(vectors.narrow(0, wanted.start - heard.start, wanted.len())?);
        }
        match parts.is_empty() {
            true => candle_core::bail!("{} samples are too few for a frame of {hop}", samples.len()),
            false => Tensor::cat(&parts, 0),
        }
    }
}
