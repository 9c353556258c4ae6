//! How the speaker of a recording sounds, for S3Gen: CAM++ over Kaldi's filter banks.

use candle_core::Result;

use crate::{
    audio::Fbank,
    nn::{
        CamPlusPlus,
        weights::{Loaded, Loader},
    },
};

/// Samples per second of what is listened to.
pub const RATE: u32 = CamPlusPlus::RATE;

/// The weights of the encoder.
pub struct SpeakerEncoder {
    fbank: Fbank,
    network: CamPlusPlus,
}

// === impl SpeakerEncoder ===

impl SpeakerEncoder {
    /// `name`: what the names of its tensors begin with, without the dot.
    pub fn load(loader: &mut Loader<'_>, name: &str) -> Loaded<Self> {
        let network = CamPlusPlus::load(loader, &format!("{name}."))?;
        Ok(Self { fbank: Fbank::new(RATE, CamPlusPlus::BANDS), network })
    }

    /// The speaker of a recording at [`RATE`], as [`CamPlusPlus::embed`] hears it.
    pub fn embed(&self, samples: &[f32]) -> Result<Vec<f32>> {
        let features = self.features(samples);
        if features.len() < CamPlusPlus::LEAST_FRAMES * CamPlusPlus::BANDS {
            candle_core::bail!("{} samples are too few to know their speaker by", samples.len());
        }
        self.network.embed(features)
    }

    /// `[frames, BANDS]`, each band without its mean.
    pub(super) fn features(&self, samples: &[f32]) -> Vec<f32> {
        self.fbank.compute_centred(samples)
    }
}
