//! What `config.json` says of a HuBERT that no tensor tells.

use serde::Deserialize;

use crate::weights::WeightError;

/// Numbers of a head of every published one.
const HEAD_DIM: usize = 64;
/// Numbers that the first convolution makes at once: 32 MB.
pub const WINDOW: usize = 1 << 23;
/// Bytes that a window takes at its widest: what a layer is given and makes, and the frames of a convolution side by side.
const WINDOW_BYTES: u64 = 6 * (WINDOW * size_of::<f32>()) as u64;
/// Samples of a frame, at most.
const MOST_STRIDE: usize = 1 << 14;

/// `config.json` of a `HubertModel`. What is not there is as in `transformers`.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(default)]
pub struct HubertConfig {
    pub num_attention_heads: Option<usize>,
    /// Of each convolution of the feature extractor.
    pub conv_stride: Vec<usize>,
    pub layer_norm_eps: f32,
    pub feat_extract_norm: String,
    pub feat_proj_layer_norm: bool,
    pub do_stable_layer_norm: bool,
    pub conv_pos_batch_norm: bool,
}

// === impl HubertConfig ===

impl Default for HubertConfig {
    fn default() -> Self {
        Self {
            num_attention_heads: None,
            conv_stride: vec![5, 2, 2, 2, 2, 2, 2],
            layer_norm_eps: 1e-5,
            feat_extract_norm: "group".to_owned(),
            feat_proj_layer_norm: true,
            do_stable_layer_norm: false,
            conv_pos_batch_norm: false,
        }
    }
}

impl HubertConfig {
    /// Of a network so wide.
    pub fn heads(&self, width: usize) -> usize {
        self.num_attention_heads.unwrap_or((width / HEAD_DIM).max(1))
    }

    /// Bytes of activations of so many samples at once, at most, beside the weights, of a network so wide.
    pub fn working_bytes(&self, samples: usize, width: usize) -> u64 {
        let frames = samples / self.conv_stride.iter().product::<usize>().max(1);
        // Queries, keys, values, their cache, what is added to, and the wider part between two layers; and a window of features.
        let layers = frames.saturating_mul(width).saturating_mul(12);
        (layers as u64).saturating_mul(size_of::<f32>() as u64).saturating_add(WINDOW_BYTES)
    }

    pub(super) fn check(&self) -> Result<(), WeightError> {
        let wrong = |reason: String| Err(WeightError::File { file: "config.json".to_owned(), reason });
        let hop = self.conv_stride.iter().try_fold(1usize, |hop, &stride| hop.checked_mul(stride));
        if hop.is_none_or(|hop| hop == 0 || hop > MOST_STRIDE) {
            let strides = &self.conv_stride;
            return wrong(format!("conv_stride is {strides:?}, which must multiply to 1 to {MOST_STRIDE}"));
        }
        if self.feat_extract_norm != "group" {
            return wrong(format!("feat_extract_norm is {:?}, where \"group\" is expected", self.feat_extract_norm));
        }
        if self.do_stable_layer_norm || self.conv_pos_batch_norm || !self.feat_proj_layer_norm {
            let expected = "do_stable_layer_norm and conv_pos_batch_norm must be false, and feat_proj_layer_norm true";
            return wrong(expected.to_owned());
        }
        match (0.0..1.0).contains(&self.layer_norm_eps) {
            true => Ok(()),
            false => wrong(format!("layer_norm_eps is {}, where a small number is expected", self.layer_norm_eps)),
        }
    }
}
