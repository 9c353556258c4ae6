//! S3Gen's flow matching: from speech tokens and a reference recording to the log-mel of the same words in its voice.
//!
//! The [`encoder`] makes of the tokens, those of the reference first, an average mel; the [`solver`] goes from noise to a
//! mel along a flow whose direction the [`estimator`] tells from that average, the speaker, and the reference's mel, which
//! is given for the first frames. Published in two variants under the same names: the standard one, whose steps are guided,
//! and mean flow, which was distilled from guided ones and needs two.

mod encoder;
mod estimator;
mod noise;
mod solver;
mod stack;
#[cfg(test)]
mod tests;

use candle_core::{Result, Tensor};

pub use noise::seeded;
use {
    encoder::Encoder,
    estimator::Estimator,
    solver::{Problem, Schedule, solve},
};

use crate::nn::{
    ComputeContext, Epilogue, Linear,
    weights::{Loaded, Loader, WeightError},
};

/// The weights of the flow.
#[derive(Debug)]
pub struct Flow {
    context: ComputeContext,
    encoder: Encoder,
    /// From an x-vector to bands.
    speaker: Linear,
    estimator: Estimator,
    xvector: usize,
}

/// What is known of the voice.
#[derive(Clone, Debug)]
pub struct FlowReference {
    pub prompt_tokens: Vec<u32>,
    /// `[frames, bands]`, of the same recording as the tokens: two frames a token, and maybe one more.
    pub prompt_mel: Tensor,
    /// Of any length but 0: `[1, 192]`, or `[192]`.
    pub xvector: Tensor,
}

/// How a mel is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FlowOptions {
    pub steps: usize,
    /// How far to go from the direction without a condition past that with it; 0: only the latter is computed.
    pub cfg_rate: f32,
    /// Whether no tokens follow. The last frames see tokens after their own; if some follow, those frames are left out.
    pub finalize: bool,
}

/// Whether the matrix of such a name is quantised where linear layers are.
pub fn is_quantized(tensor: &str) -> bool {
    tensor.starts_with("flow.") && !tensor.contains("pos_bias_")
}

// === impl Flow ===

impl Flow {
    /// `name`: what the names of its tensors begin with, without the dot.
    pub fn load(loader: &mut Loader<'_>, name: &str) -> Loaded<Self> {
        let encoder = Encoder::load(loader, name)?;
        let estimator = Estimator::load(loader, &format!("{name}.decoder.estimator"))?;
        if encoder.bands() != estimator.bands() {
            let reason = format!("is of {} bands, where the estimator has {}", encoder.bands(), estimator.bands());
            return Err(WeightError::tensor(format!("{name}.encoder_proj.weight"), reason).into());
        }
        let speaker = format!("{name}.spk_embed_affine_layer");
        let [_, xvector] = loader.weights.sizes(&format!("{speaker}.weight"))?;
        let speaker = loader.linear(&speaker, xvector, encoder.bands())?;
        Ok(Self { context: loader.context.clone(), encoder, speaker, estimator, xvector })
    }

    /// Bands of a mel.
    pub fn bands(&self) -> usize {
        self.estimator.bands()
    }

    /// Frames of a token.
    pub fn frames_per_token(&self) -> usize {
        self.encoder.frames_per_token()
    }

    /// Frames at the end that are left out while tokens follow.
    pub fn lookahead(&self) -> usize {
        self.encoder.lookahead()
    }

    /// What the reference takes: ten steps with guidance of 0.7, or two of mean flow; final.
    pub fn options(&self) -> FlowOptions {
        match self.estimator.is_mean_flow() {
            false => FlowOptions { steps: 10, cfg_rate: 0.7, finalize: true },
            true => FlowOptions { steps: 2, cfg_rate: 0.0, finalize: true },
        }
    }

    /// The mel of `tokens`, `[frames, bands]` in `f32`, without the frames of the reference; none of no tokens.
    ///
    /// `noise` fills the bands of a frame with what the flow starts from, numbers of a normal distribution. Frames are
    /// counted from the first of the reference, so that noise by frame stays the same while tokens are added ([`seeded`]).
    /// `stop` is asked between the parts of the network; once it says so, there is no mel.
    pub fn mel(
        &self,
        tokens: &[u32],
        reference: &FlowReference,
        noise: impl FnMut(usize, &mut [f32]),
        options: FlowOptions,
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<Tensor>> {
        self.check(reference, &options)?;
        let prompt_frames = reference.prompt_mel.dim(0)?;
        let all = [&reference.prompt_tokens, tokens].concat();
        let left_out = if options.finalize { 0 } else { self.lookahead() };
        let frames = (all.len() * self.frames_per_token()).saturating_sub(left_out);
        if tokens.is_empty() || frames <= prompt_frames {
            return self.context.tensor(Vec::new(), &[0, self.bands()]).map(Some);
        }
        let Some(mean) = self.encoder.forward(&self.context, &all, stop)? else { return Ok(None) };
        let problem = Problem {
            mean: mean.narrow(0, 0, frames)?,
            speaker: self.speaker(&reference.xvector)?,
            prompt: reference.prompt_mel.clone(),
            noise: noise::frames(frames, self.bands(), noise),
        };
        let schedule = if self.estimator.is_mean_flow() { Schedule::Linear } else { Schedule::Cosine };
        let times = schedule.times(options.steps);
        let mel = solve(&self.estimator, &self.context, problem, &times, options.cfg_rate, stop)?;
        mel.map(|mel| mel.narrow(0, prompt_frames, frames - prompt_frames)?.contiguous()).transpose()
    }

    fn check(&self, reference: &FlowReference, options: &FlowOptions) -> Result<()> {
        let (_, bands) = reference.prompt_mel.dims2()?;
        if bands != self.bands() {
            candle_core::bail!("the reference's mel has {bands} bands, not {}", self.bands());
        }
        let numbers = reference.xvector.elem_count();
        if numbers != self.xvector {
            candle_core::bail!("the reference's x-vector has {numbers} numbers, not {}", self.xvector);
        }
        if options.steps == 0 {
            candle_core::bail!("a flow takes at least one step");
        }
        Ok(())
    }

    /// Of length 1, then as bands: `[1, bands]`.
    fn speaker(&self, xvector: &Tensor) -> Result<Tensor> {
        let xvector = xvector.reshape((1, self.xvector))?.to_device(&self.context.device)?;
        let xvector = xvector.to_dtype(candle_core::DType::F32)?;
        // As PyTorch's `normalize`, which leaves zeros as they are.
        let length = xvector.sqr()?.sum_keepdim(1)?.sqrt()?.maximum(1e-12)?;
        let unit = xvector.broadcast_div(&length)?.to_dtype(self.context.activations())?;
        self.speaker.forward(&unit, Epilogue::None)
    }
}
