//! How a speaker sounds: CAM++ (Wang et al., arXiv 2303.00332), over Kaldi's filter banks.
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
    ComputeContext, Conv1d, Epilogue, Linear, ScaleShift,
    weights::{Loaded, Loader},
};

/// Frames from one tap to the next, in each group.
const DILATIONS: [usize; 3] = [1, 2, 2];
/// Frames that one frame after the head is made of.
const STRIDE: usize = 2;

/// The weights of the network.
pub struct CamPlusPlus {
    head: Head,
    tdnn: Conv1d,
    groups: Vec<(Group, Transit)>,
    out: ScaleShift,
    dense: Linear,
    context: ComputeContext,
}

// === impl CamPlusPlus ===

impl CamPlusPlus {
    /// Samples per second of what is listened to.
    pub const RATE: u32 = 16_000;
    /// Filters of the bank.
    pub const BANDS: usize = 80;
    /// Of fewer frames nobody knows how one after the head deviates.
    pub const LEAST_FRAMES: usize = STRIDE + 1;

    /// `prefix`: what the names of its tensors begin with, with the dot.
    pub fn load(loader: &mut Loader<'_>, prefix: &str) -> Loaded<Self> {
        let head = Head::load(loader, &format!("{prefix}head"), Self::BANDS)?;
        let name = format!("{prefix}xvector");
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
            head,
            tdnn,
            groups,
            out: normed::scale_shift(loader, &format!("{name}.out_nonlinear"), width)?,
            dense: normed::linear(loader, &dense, &nonlinear, pooling::WIDENS * width)?,
            context: loader.context.clone(),
        })
    }

    /// Numbers that describe a speaker.
    pub fn width(&self) -> usize {
        self.dense.columns()
    }

    /// The speaker in filter banks `[frames, BANDS]`, at least [`Self::LEAST_FRAMES`], each band without its mean; the numbers
    /// may be of any size. A second of sound takes about 5 MB of memory, so that nobody should let it hear an hour.
    pub fn embed(&self, features: Vec<f32>) -> Result<Vec<f32>> {
        let frames = features.len() / Self::BANDS;
        if frames < Self::LEAST_FRAMES {
            candle_core::bail!("{frames} frames are too few to know their speaker by");
        }
        let x = self.head.forward(&self.context.tensor(features, &[frames, Self::BANDS])?)?;
        let x = self.tdnn.forward(&x, Epilogue::None)?.relu()?;
        let x = self.groups.iter().try_fold(x, |x, (group, transit)| transit.forward(&group.forward(&x)?))?;
        let pooled = pooling::mean_and_deviation(&self.out.forward_relu(&x)?)?;
        self.dense.forward(&pooled, Epilogue::None)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1()
    }
}
