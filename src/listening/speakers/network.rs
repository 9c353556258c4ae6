//! How a voice sounds, as a vector of length 1.

use std::path::Path;

use candle_core::{DType, Device, Result};

use crate::{
    audio::Fbank,
    listening::network_file::{NetworkFault, NetworkFile, not_such_a_network},
    nn::{CamPlusPlus, ComputeContext, weights::Loader},
};

/// The setting that names the network's file.
pub const SETTING: &str = "audio.speaker_network";
/// What the names of CAM++'s tensors begin with: nothing in 3D-Speaker's own file, and this in Chatterbox' S3Gen, of which it
/// is a part.
const PREFIXES: [&str; 2] = ["", "speaker_encoder."];
/// A tensor that each has.
const FIRST: &str = "head.conv1.weight";

pub struct SpeakerNetwork {
    fbank: Fbank,
    network: CamPlusPlus,
    width: usize,
}

// === impl SpeakerNetwork ===

impl SpeakerNetwork {
    /// Samples per second of what is listened to.
    pub const RATE: u32 = CamPlusPlus::RATE;

    pub fn open(path: &Path) -> std::result::Result<Self, NetworkFault> {
        let expected = "CAM++ as 3D-Speaker publishes it (campplus_cn_common.bin), or Chatterbox' s3gen.safetensors";
        // The file may hold much else, and goes.
        let context = ComputeContext { detached: true, ..ComputeContext::new(&Device::Cpu, DType::F32) };
        let network = NetworkFile { setting: SETTING, path, expected }.read(|weights| {
            let prefix = PREFIXES.into_iter().find(|prefix| weights.has(&format!("{prefix}{FIRST}")));
            let prefix = prefix.ok_or_else(|| not_such_a_network(FIRST))?;
            weights.ignore_all_but(prefix);
            CamPlusPlus::load(&mut Loader { weights, context: &context }, prefix)
        })?;
        let width = network.width();
        Ok(Self { fbank: Fbank::new(Self::RATE, CamPlusPlus::BANDS), network, width })
    }

    /// Numbers of a vector.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The voice in some sound, of length 1; of sound that is too short for the network, what follows from silence.
    pub fn embed(&self, samples: &[f32]) -> Result<Vec<f32>> {
        self.embed_as_it_is(samples).map(unit)
    }

    /// The same, of any length.
    pub(super) fn embed_as_it_is(&self, samples: &[f32]) -> Result<Vec<f32>> {
        let mut features = self.fbank.compute_centred(samples);
        let least = CamPlusPlus::LEAST_FRAMES * CamPlusPlus::BANDS;
        features.resize(features.len().max(least), 0.0);
        self.network.embed(features)
    }
}

/// The direction of the sum; `None`: there are none.
pub fn mean(vectors: &[Vec<f32>]) -> Option<Vec<f32>> {
    let mut sum = vectors.first()?.clone();
    for vector in &vectors[1..] {
        sum.iter_mut().zip(vector).for_each(|(sum, more)| *sum += more);
    }
    Some(unit(sum))
}

fn unit(vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    vector.into_iter().map(|x| x / length).collect()
}
