//! How the speaker of a recording sounds, for S3Gen: CAM++ (Wang et al., arXiv 2303.00332) over Kaldi's filter banks.
//!
//! Convolutions over time and frequency, then three groups of densely connected layers over time, in which each layer
//! hears all before it and is masked by its surroundings, then mean and deviation over time.

mod dense;
mod head;
mod mask;
mod normed;
mod pooling;

use candle_core::{DType, Result};

use self::{
    dense::{Group, Transit},
    head::Head,
};
use crate::{
    audio::Fbank,
    nn::{
        ComputeContext, Conv1d, Epilogue, Linear, ScaleShift,
        weights::{Loaded, Loader},
    },
};

/// Samples per second of what is listened to.
pub const RATE: u32 = 16_000;
/// Filters of the bank.
const BANDS: usize = 80;
/// Frames from one tap to the next, in each group.
const DILATIONS: [usize; 3] = [1, 2, 2];
/// Frames that one frame after the head is made of.
const STRIDE: usize = 2;

/// The weights of the encoder.
pub struct SpeakerEncoder {
    fbank: Fbank,
    head: Head,
    tdnn: Conv1d,
    groups: Vec<(Group, Transit)>,
    out: ScaleShift,
    dense: Linear,
    context: ComputeContext,
}

// === impl SpeakerEncoder ===

impl SpeakerEncoder {
    /// `name`: what the names of its tensors begin with, without the dot.
    pub fn load(loader: &mut Loader<'_>, name: &str) -> Loaded<Self> {
        let head = Head::load(loader, &format!("{name}.head"), BANDS)?;
        let name = format!("{name}.xvector");
        let tdnn = normed::conv1d(loader, &format!("{name}.tdnn"), head.width(), STRIDE)?;
        let mut width = tdnn.config().columns;
        let mut groups = Vec::new();
        for (at, dilation) in DILATIONS.into_iter().enumerate() {
            let group = Group::load(loader, &format!("{name}.block{}", at + 1), width, dilation)?;
            let transit = Transit::load(loader, &format!("{name}.transit{}", at + 1), group.width())?;
            width = transit.width();
            groups.push((group, transit));
        }
        let (dense, nonlinear) = (format!("{name}.dense.linear"), format!("{name}.dense.nonlinear"));
        Ok(Self {
            fbank: Fbank::new(RATE, BANDS),
            head,
            tdnn,
            groups,
            out: normed::scale_shift(loader, &format!("{name}.out_nonlinear"), width)?,
            dense: normed::linear(loader, &dense, &nonlinear, pooling::WIDENS * width)?,
            context: loader.context.clone(),
        })
    }

    /// The speaker of a recording at [`RATE`]; the numbers may be of any size. A second of sound takes about 5 MB of
    /// memory, so that nobody should let it hear an hour.
    pub fn embed(&self, samples: &[f32]) -> Result<Vec<f32>> {
        let features = self.features(samples);
        let frames = features.len() / BANDS;
        // Of a single frame after the head nobody knows how it deviates.
        if frames <= STRIDE {
            candle_core::bail!("{} samples are too few to know their speaker by", samples.len());
        }
        let x = self.head.forward(&self.context.tensor(features, &[frames, BANDS])?)?;
        let x = self.tdnn.forward(&x, Epilogue::None)?.relu()?;
        let x = self.groups.iter().try_fold(x, |x, (group, transit)| transit.forward(&group.forward(&x)?))?;
        let pooled = pooling::mean_and_deviation(&self.out.forward_relu(&x)?)?;
        self.dense.forward(&pooled, Epilogue::None)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1()
    }

    /// `[frames, BANDS]`, each band without its mean.
    pub(super) fn features(&self, samples: &[f32]) -> Vec<f32> {
        let mut features = self.fbank.compute(samples);
        let frames = features.len() / BANDS;
        for band in 0..BANDS {
            let of_band = || features.iter().skip(band).step_by(BANDS);
            let mean = (of_band().copied().map(f64::from).sum::<f64>() / frames.max(1) as f64) as f32;
            features.iter_mut().skip(band).step_by(BANDS).for_each(|value| *value -= mean);
        }
        features
    }
}
