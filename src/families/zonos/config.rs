//! `config.json`, as Zonos publishes it: what no tensor tells.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{model::LoadError, nn::llama::HeadShape};

/// The name of the file.
pub const FILE: &str = "config.json";
/// What no Zonos comes near: numbers of a state, of a head, heads, and codes.
const MOST_WIDTH: usize = 1 << 20;
const MOST_HEAD: usize = 1 << 12;
const MOST_HEADS: usize = 1 << 12;
const MOST_CODES: u32 = 1 << 20;
/// The only kind of state-space layer that a published hybrid has.
const MAMBA2: &str = "Mamba2";

#[derive(Clone, Debug, Deserialize)]
pub struct ZonosConfig {
    pub backbone: BackboneConfig,
    pub prefix_conditioner: PrefixConfig,
    #[serde(default = "usual_eos")]
    pub eos_token_id: u32,
    #[serde(default = "usual_mask")]
    pub masked_token_id: u32,
}

#[derive(Clone, Debug, Deserialize)]
pub struct BackboneConfig {
    pub d_model: usize,
    pub n_layer: usize,
    /// Empty: a transformer.
    #[serde(default)]
    pub ssm_cfg: Map<String, Value>,
    /// Of a hybrid, the layers that are attention.
    #[serde(default)]
    pub attn_layer_idx: Vec<usize>,
    pub attn_cfg: AttentionConfig,
    #[serde(default)]
    pub rms_norm: bool,
    #[serde(default = "usual_epsilon")]
    pub norm_epsilon: f32,
}

#[derive(Clone, Debug, Deserialize)]
pub struct AttentionConfig {
    pub num_heads: usize,
    pub num_heads_kv: usize,
    pub head_dim: Option<usize>,
    pub rotary_emb_dim: Option<usize>,
    /// Whether neighbours are pairs. A transformer's always were where nothing is said, a hybrid's never.
    pub rotary_emb_interleaved: Option<bool>,
    #[serde(default)]
    pub qkv_proj_bias: bool,
    #[serde(default)]
    pub out_proj_bias: bool,
}

#[derive(Clone, Debug, Deserialize)]
pub struct PrefixConfig {
    pub conditioners: Vec<ConditionerConfig>,
    pub projection: Projection,
}

#[derive(Clone, Debug, Deserialize)]
pub struct ConditionerConfig {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: ConditionerKind,
    #[serde(default)]
    pub projection: Projection,
    #[serde(default)]
    pub uncond_type: Unconditional,
    /// Numbers that are passed on, where those are not as many as the model is wide.
    pub cond_dim: Option<usize>,
    /// Numbers of a Fourier conditioner.
    pub input_dim: Option<usize>,
    pub min_val: Option<f32>,
    pub max_val: Option<f32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum ConditionerKind {
    #[serde(rename = "EspeakPhonemeConditioner")]
    Phonemes,
    #[serde(rename = "PassthroughConditioner")]
    Passthrough,
    #[serde(rename = "FourierConditioner")]
    Fourier,
    #[serde(rename = "IntegerConditioner")]
    Integer,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Projection {
    #[default]
    None,
    Linear,
    Mlp,
}

/// What stands for a value that is not given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unconditional {
    /// Nothing: it must be given.
    #[default]
    None,
    Learned,
}

fn usual_eos() -> u32 {
    1024
}

fn usual_mask() -> u32 {
    1025
}

fn usual_epsilon() -> f32 {
    1e-5
}

// === impl ZonosConfig ===

impl ZonosConfig {
    /// Whether a `config.json` is of this kind.
    pub fn is_in(config: &Value) -> bool {
        config["backbone"]["d_model"].is_u64() && config["prefix_conditioner"]["conditioners"].is_array()
    }

    /// What can be told without the tensors.
    pub fn check(&self) -> Result<(), LoadError> {
        let wrong = |reason: String| Err(LoadError::Malformed { file: FILE.to_owned(), reason });
        let backbone = &self.backbone;
        let BackboneConfig { d_model, ref attn_cfg, .. } = *backbone;
        let AttentionConfig { num_heads, num_heads_kv, .. } = *attn_cfg;
        if !(1..=MOST_HEADS).contains(&num_heads) || num_heads_kv == 0 || !num_heads.is_multiple_of(num_heads_kv) {
            let found = format!("num_heads is {num_heads} and num_heads_kv {num_heads_kv}");
            return wrong(format!("{found}; a multiple, at most {MOST_HEADS}, would be right"));
        }
        let head_dim = backbone.head_dim();
        if !(1..=MOST_WIDTH).contains(&d_model) {
            return wrong(format!("d_model is {d_model}; 1 to {MOST_WIDTH} would be right"));
        }
        if !(1..=MOST_HEAD).contains(&head_dim) || !head_dim.is_multiple_of(2) {
            return wrong(format!("head_dim is {head_dim}; an even number up to {MOST_HEAD} would be right"));
        }
        if !(0.0..1.0).contains(&backbone.norm_epsilon) {
            return wrong(format!("norm_epsilon is {}; a small number above 0 would be right", backbone.norm_epsilon));
        }
        if let Some(turned) = attn_cfg.rotary_emb_dim.filter(|turned| *turned != head_dim) {
            return wrong(format!("rotary_emb_dim is {turned}; the {head_dim} of a head would be right"));
        }
        if attn_cfg.qkv_proj_bias || attn_cfg.out_proj_bias {
            return wrong(
                "its attention has biases; qkv_proj_bias and out_proj_bias of false would be right".to_owned(),
            );
        }
        if backbone.rms_norm {
            return wrong("rms_norm is true; false would be right".to_owned());
        }
        let (eos, mask) = (self.eos_token_id, self.masked_token_id);
        if !(1..=MOST_CODES).contains(&eos) || mask != eos + 1 {
            return wrong(format!("eos_token_id is {eos} and masked_token_id {mask}; the next one would be right"));
        }
        backbone.check_ssm().or_else(wrong)
    }
}

// === impl BackboneConfig ===

impl BackboneConfig {
    pub fn is_hybrid(&self) -> bool {
        !self.ssm_cfg.is_empty()
    }

    pub fn head_dim(&self) -> usize {
        self.attn_cfg.head_dim.unwrap_or(self.d_model / self.attn_cfg.num_heads.max(1))
    }

    pub fn shape(&self) -> HeadShape {
        let AttentionConfig { num_heads, num_heads_kv, .. } = self.attn_cfg;
        HeadShape { heads: num_heads, shared: num_heads_kv, head_dim: self.head_dim() }
    }

    /// Whether a layer does, and keeps no state.
    pub fn attends(&self, layer: usize) -> bool {
        !self.is_hybrid() || self.attn_layer_idx.contains(&layer)
    }

    pub fn is_interleaved(&self) -> bool {
        self.attn_cfg.rotary_emb_interleaved.unwrap_or(!self.is_hybrid())
    }

    fn check_ssm(&self) -> Result<(), String> {
        if !self.is_hybrid() {
            return Ok(());
        }
        if self.ssm_cfg.get("layer").and_then(Value::as_str) != Some(MAMBA2) {
            return Err(format!("ssm_cfg has another layer; {MAMBA2} would be right"));
        }
        match self.ssm_cfg.get("ngroups").and_then(Value::as_u64).unwrap_or(1) {
            1 => Ok(()),
            groups => Err(format!("ssm_cfg has {groups} groups; 1 would be right")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config(change: impl FnOnce(&mut Value)) -> Value {
        let mut config = json!({
            "backbone": {"d_model": 32, "n_layer": 2, "attn_cfg": {"num_heads": 4, "num_heads_kv": 2}},
            "prefix_conditioner": {"projection": "linear", "conditioners": [
                {"name": "espeak", "type": "EspeakPhonemeConditioner"},
                {"name": "fmax", "type": "FourierConditioner", "max_val": 24000, "uncond_type": "learned"},
            ]},
        });
        change(&mut config);
        config
    }

    fn checked(config: Value) -> Result<ZonosConfig, String> {
        let config: ZonosConfig = serde_json::from_value(config).map_err(|error| error.to_string())?;
        config.check().map_err(|error| error.to_string()).map(|()| config)
    }

    #[test]
    fn what_is_not_said_is_as_published() {
        let plain = checked(config(|_| {})).unwrap();
        assert_eq!((plain.eos_token_id, plain.masked_token_id, plain.backbone.head_dim()), (1024, 1025, 8));
        assert!(plain.backbone.is_interleaved() && !plain.backbone.is_hybrid());
        let hybrid = checked(config(|config| config["backbone"]["ssm_cfg"] = json!({"layer": "Mamba2"}))).unwrap();
        assert!(hybrid.backbone.is_hybrid() && !hybrid.backbone.is_interleaved());
        assert!(ZonosConfig::is_in(&config(|_| {})));
        assert!(!ZonosConfig::is_in(&json!({"model_type": "whisper"})));
    }

    #[test]
    fn what_cannot_be_is_named() {
        type Change = fn(&mut Value);
        let cases: [(Change, &str); 7] = [
            (|c| c["backbone"]["attn_cfg"]["num_heads_kv"] = json!(3), "num_heads is 4 and num_heads_kv 3"),
            (|c| c["backbone"]["attn_cfg"]["head_dim"] = json!(7), "head_dim is 7"),
            (|c| c["backbone"]["attn_cfg"]["rotary_emb_dim"] = json!(4), "rotary_emb_dim is 4; the 8 of a head"),
            (|c| c["backbone"]["rms_norm"] = json!(true), "rms_norm is true"),
            (|c| c["backbone"]["ssm_cfg"] = json!({"layer": "Mamba1"}), "Mamba2 would be right"),
            (|c| c["backbone"]["ssm_cfg"] = json!({"layer": "Mamba2", "ngroups": 2}), "has 2 groups"),
            (|c| c["masked_token_id"] = json!(7), "eos_token_id is 1024 and masked_token_id 7"),
        ];
        for (change, said) in cases {
            let error = checked(config(change)).unwrap_err();
            assert!(error.contains(said), "{said}: {error}");
        }
        let error =
            checked(config(|c| c["prefix_conditioner"]["conditioners"][0]["type"] = json!("Other"))).unwrap_err();
        assert!(error.contains("Other"), "{error}");
    }
}
