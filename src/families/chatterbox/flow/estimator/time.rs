//! What the estimator is told about time.

use candle_core::{Result, Tensor};

use crate::nn::{
    ComputeContext, Epilogue, Linear,
    activation::silu,
    weights::{Bias, Loaded, Loader, WeightError},
};

/// Times are from 0 to 1, positions of sinusoids from 0 to this.
const SCALE: f64 = 1000.0;

/// The longest wavelength, over 2π.
const LONGEST: f64 = 10_000.0;

/// Sinusoids through two layers; of mean flow those of two times, mixed.
#[derive(Debug)]
pub struct TimeEmbedding {
    sinusoids: usize,
    first: Linear,
    second: Linear,
    mixer: Option<Linear>,
}

// === impl TimeEmbedding ===

impl TimeEmbedding {
    pub fn load(loader: &mut Loader<'_>, estimator: &str) -> Loaded<Self> {
        let [first, second] = ["linear_1", "linear_2"].map(|layer| format!("{estimator}.time_mlp.{layer}"));
        let weight = format!("{first}.weight");
        let [inner, sinusoids] = loader.weights.sizes(&weight)?;
        if sinusoids < 4 || !sinusoids.is_multiple_of(2) {
            return Err(WeightError::tensor(
                weight,
                format!("takes {sinusoids} sinusoids, which are not half sines, half cosines"),
            )
            .into());
        }
        let [width, _] = loader.weights.sizes(&format!("{second}.weight"))?;
        Ok(Self {
            sinusoids,
            first: loader.linear(&first, sinusoids, inner)?,
            second: loader.linear(&second, inner, width)?,
            mixer: mixer(loader, estimator, width)?,
        })
    }

    /// Numbers of a time.
    pub fn width(&self) -> usize {
        self.second.columns()
    }

    pub fn is_mixed(&self) -> bool {
        self.mixer.is_some()
    }

    /// `[1, width]`, of the time at which a step begins and, if they are mixed, of that at which it ends.
    pub fn forward(&self, context: &ComputeContext, (from, to): (f32, f32)) -> Result<Tensor> {
        let from_embedding = self.embed(context, from)?;
        match &self.mixer {
            None => Ok(from_embedding),
            Some(mixer) => {
                let both = Tensor::cat(&[&from_embedding, &self.embed(context, to)?], 1)?;
                mixer.forward(&both, Epilogue::None)
            }
        }
    }

    fn embed(&self, context: &ComputeContext, time: f32) -> Result<Tensor> {
        let sinusoids = context.tensor(sinusoids(time, self.sinusoids), &[1, self.sinusoids])?;
        self.second.forward(&silu(&self.first.forward(&sinusoids, Epilogue::None)?)?, Epilogue::None)
    }
}

fn mixer(loader: &mut Loader<'_>, estimator: &str, width: usize) -> Loaded<Option<Linear>> {
    let name = format!("{estimator}.time_embed_mixer");
    match loader.weights.has(&format!("{name}.weight")) {
        true => loader.linear_with(&name, 2 * width, width, Bias::Absent).map(Some),
        false => Ok(None),
    }
}

/// Sines, then cosines.
fn sinusoids(time: f32, count: usize) -> Vec<f32> {
    let half = count / 2;
    let angle = |at: usize| SCALE * f64::from(time) * (-LONGEST.ln() * at as f64 / (half - 1) as f64).exp();
    let sines = (0..half).map(|at| angle(at).sin() as f32);
    sines.chain((0..half).map(|at| angle(at).cos() as f32)).collect()
}
