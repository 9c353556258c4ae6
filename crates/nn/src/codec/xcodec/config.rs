//! What `config.json` says of a codec that no tensor tells.

use serde::Deserialize;

use super::super::dac::{sizes::LayerSizes, windows::WINDOW};
use crate::{hubert::HubertConfig, sinc_resample::SincResampler, weights::WeightError};

/// The rates that a codec may have, in hertz.
const RATES: std::ops::RangeInclusive<u32> = 1_000..=384_000;
/// What no units come near.
const DILATIONS: std::ops::RangeInclusive<usize> = 1..=1024;
/// Of the filters that resample: those from 44.1 kHz to 16 kHz have 82 000.
const MOST_TAPS: usize = 1 << 20;
/// Activations of a window that are there at once.
const LIVE: u64 = 6;

/// `config.json` of a codec in either layout. What is not there is as published.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(default)]
pub struct XCodecConfig {
    /// Samples per second.
    pub sample_rate: u32,
    /// Of what HuBERT hears.
    pub semantic_sample_rate: u32,
    /// Samples of a frame of HuBERT.
    pub downsample_factor: usize,
    /// Between the taps of the semantic encoder's units, one after the other.
    pub block_dilations: Vec<usize>,
    pub acoustic_model_config: Option<AcousticConfig>,
    pub semantic_model_config: HubertConfig,
    /// In Boson's layout: rates of the encoder's stages.
    pub ratios: Option<Vec<usize>>,
    /// Books that are of use, where that is fewer than there are.
    #[serde(skip)]
    pub books: Option<usize>,
}

/// Of the encoder and decoder.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct AcousticConfig {
    pub downsampling_ratios: Option<Vec<usize>>,
    pub upsampling_ratios: Option<Vec<usize>>,
}

// === impl XCodecConfig ===

impl Default for XCodecConfig {
    fn default() -> Self {
        Self {
            sample_rate: 24_000,
            semantic_sample_rate: 16_000,
            downsample_factor: 320,
            block_dilations: vec![1, 1],
            acoustic_model_config: None,
            semantic_model_config: HubertConfig::default(),
            ratios: None,
            books: None,
        }
    }
}

impl XCodecConfig {
    /// Of the first X-Codec, of 16 kHz, which tells nothing but by its tensors and by the configuration of its HuBERT.
    pub fn at_16_khz(semantic_model_config: HubertConfig, books: usize) -> Self {
        Self { sample_rate: 16_000, books: Some(books), semantic_model_config, ..Self::default() }
    }

    /// Bytes that encoding so many samples works with at once, at most, beside the weights; HuBERT is so wide.
    pub fn working_bytes(&self, samples: usize, width: usize) -> u64 {
        let heard = samples as u64 * u64::from(self.semantic_sample_rate) / u64::from(self.sample_rate.max(1));
        let semantic = self.semantic_model_config.working_bytes(usize::try_from(heard).unwrap_or(usize::MAX), width);
        semantic.max(LIVE * (WINDOW * size_of::<f32>()) as u64)
    }

    /// What no codec is like, whatever its tensors are.
    pub(super) fn check(&self) -> Result<(), WeightError> {
        for (name, rate) in [("sample_rate", self.sample_rate), ("semantic_sample_rate", self.semantic_sample_rate)] {
            if !RATES.contains(&rate) {
                let (least, most) = (RATES.start(), RATES.end());
                return Err(fault(format!("{name} is {rate}, where {least} to {most} is expected")));
            }
        }
        if self.downsample_factor == 0 {
            return Err(fault("downsample_factor is 0, where at least 1 is expected".to_owned()));
        }
        if let Some(wrong) = self.block_dilations.iter().find(|dilation| !DILATIONS.contains(dilation)) {
            let (least, most) = (DILATIONS.start(), DILATIONS.end());
            return Err(fault(format!("block_dilations has {wrong}, where {least} to {most} is expected")));
        }
        match SincResampler::taps(self.sample_rate, self.semantic_sample_rate) <= MOST_TAPS {
            true => Ok(()),
            false => Err(fault(format!(
                "sample_rate {} and semantic_sample_rate {} have no ratio of small numbers",
                self.sample_rate, self.semantic_sample_rate
            ))),
        }
    }

    /// Whether the tensors say the same.
    pub(super) fn agree(&self, sizes: &LayerSizes) -> Result<(), WeightError> {
        let down: Vec<usize> = sizes.down.iter().map(|stage| stage.rate).collect();
        let up: Vec<usize> = sizes.up.iter().map(|stage| stage.rate).collect();
        let acoustic = self.acoustic_model_config.as_ref();
        let lists = [
            ("downsampling_ratios", acoustic.and_then(|acoustic| acoustic.downsampling_ratios.as_ref()), &down),
            ("upsampling_ratios", acoustic.and_then(|acoustic| acoustic.upsampling_ratios.as_ref()), &up),
            ("ratios", self.ratios.as_ref(), &down),
        ];
        match lists.into_iter().find(|(_, said, found)| said.is_some_and(|said| said != *found)) {
            Some((name, said, found)) => Err(fault(format!(
                "{name} is {:?}, where the tensors have {found:?}",
                said.cloned().unwrap_or_default()
            ))),
            None => Ok(()),
        }
    }

    /// Every how manieth frame of HuBERT is one of the codec, of so many samples.
    pub(super) fn step(&self, hop: usize) -> Result<usize, WeightError> {
        let heard = hop as u64 * u64::from(self.semantic_sample_rate) / u64::from(self.sample_rate);
        match usize::try_from(heard).unwrap_or(usize::MAX) / self.downsample_factor {
            0 => Err(fault(format!("a frame of {hop} samples is shorter than one of HuBERT"))),
            step => Ok(step),
        }
    }
}

fn fault(reason: String) -> WeightError {
    WeightError::File { file: "config.json".to_owned(), reason }
}
