//! The decoder: tokens, and what was heard, to the likelihood of the next token.

use candle_core::{DType, Device, Result, Tensor};

use super::{
    cross_attention::CrossAttention,
    features::{Alignment, Features},
};
use crate::{
    families::whisper::config::Config,
    nn::{
        ComputeContext, EPSILON, LayerNorm, Mlp, SelfAttention, TiedEmbedding,
        attention::{
            KvCache, KvCacheConfig, KvCacheDtype, SequenceQueries, Slot, SlotConfig, Slots, attend, extend_each,
        },
        weights::{Loaded, Loader},
    },
};

/// Tokens whose logits are looked at together; more would only take memory.
const LOGIT_ROWS: usize = 32;

/// The layers, weights only.
#[derive(Debug)]
pub(super) struct Decoder {
    pub(super) tokens: TiedEmbedding,
    pub(super) scale: f64,
    /// `[positions, width]`
    pub(super) positions: Tensor,
    pub(super) layers: Vec<Layer>,
    pub(super) norm: LayerNorm,
}

/// Sees a layer's number and its queries to what was heard.
type Watch<'a> = dyn FnMut(usize, (&Tensor, &[SequenceQueries<'_>])) -> Result<()> + Send + 'a;

#[derive(Debug)]
pub(super) struct Layer {
    pub(super) self_attention: SelfAttention,
    pub(super) cross_attention: CrossAttention,
    pub(super) mlp: Mlp,
}

/// What a slot holds. The cache of cross-attention is read whole at every step, and of several slots it is more than the
/// weights are: half of it is half the time and half the memory. Whoever asked for full precision gets it there as well.
/// The other grows by a token a step, and is small beside it.
pub(super) fn slot_config(config: &Config, context: &ComputeContext) -> SlotConfig {
    let heads = config.decoder_attention_heads;
    let cache = |capacity, dtype| KvCacheConfig { heads, head_dim: config.d_model / heads, capacity, dtype };
    let cross = if context.is_exact() { KvCacheDtype::Full } else { KvCacheDtype::Half };
    SlotConfig {
        layers: config.decoder_layers,
        self_attention: cache(config.max_target_positions, KvCacheDtype::Full),
        cross_attention: cache(config.max_source_positions, cross),
    }
}

// === impl Decoder ===

impl Decoder {
    pub fn load(loader: &mut Loader<'_>, config: &Config) -> Loaded<Self> {
        let width = config.d_model;
        Ok(Self {
            tokens: loader.tied_embedding("decoder.embed_tokens", config.vocab_size, width)?,
            scale: if config.scale_embedding { (width as f64).sqrt() } else { 1.0 },
            positions: loader.table("decoder.embed_positions.weight", config.max_target_positions, width)?,
            layers: (0..config.decoder_layers).map(|at| Layer::load(loader, config, at)).collect::<Loaded<_>>()?,
            norm: loader.layer_norm("decoder.layer_norm", width, EPSILON)?,
        })
    }

    /// Fills the empty caches of some sequences, one per layer, with the keys and values of what each has heard: equally much.
    pub fn fill_cross_attention(&self, heard: &[Features], caches: &mut [&mut [KvCache]]) -> Result<()> {
        let all = match heard {
            [Features(one)] => one.clone(),
            several => Tensor::cat(&several.iter().map(|Features(heard)| heard).collect::<Vec<_>>(), 0)?,
        };
        for (at, layer) in self.layers.iter().enumerate() {
            let [keys, values] = layer.cross_attention.keys_values(&all)?;
            extend_each(&mut caches.iter_mut().map(|caches| &mut caches[at]).collect::<Vec<_>>(), &keys, &values)?;
        }
        Ok(())
    }

    /// Feeds tokens to rows; `[all tokens, width]`, row after row, before the last norm.
    pub fn forward(&self, slots: &mut Slots, rows: &[(&Slot, &[u32])], watch: &mut Watch<'_>) -> Result<Tensor> {
        let mut x = self.embed(slots, rows)?;
        slots.check(rows)?;
        for (at, layer) in self.layers.iter().enumerate() {
            let [queries, keys, values] = layer.self_attention.project_in(&x)?;
            slots.extend(at, rows, &keys, &values)?;
            x = layer.self_attention.project_out(&attend(&queries, &slots.self_attention(at, rows))?, &x)?;
            let queries = layer.cross_attention.queries(&x)?;
            let sequences = slots.cross_attention(at, rows);
            watch(at, (&queries, &sequences))?;
            x = layer.cross_attention.project_out(&attend(&queries, &sequences)?, &x)?;
            x = layer.mlp.forward(&x)?;
        }
        Ok(x)
    }

    /// Feeds tokens to rows; the logits after the last token of each, `[rows, vocabulary]` in the type in which they are computed.
    pub fn last_logits(&self, slots: &mut Slots, rows: &[(&Slot, &[u32])]) -> Result<Tensor> {
        let hidden = self.forward(slots, rows, &mut |_, _| Ok(()))?;
        let last = match rows.iter().all(|(_, tokens)| tokens.len() == 1) {
            true => hidden,
            false => hidden.index_select(&last_of(rows, hidden.device())?, 0)?,
        };
        self.logits(&last)
    }

    /// `[rows, width]` → `[rows, vocabulary]`
    fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        self.tokens.logits(&self.norm.forward(hidden)?)
    }

    /// See [`super::Net::attend`]; the row keeps the tokens.
    pub fn align(
        &self,
        slots: &mut Slots,
        slot: &Slot,
        tokens: &[u32],
        heads: &[(usize, usize)],
        vocabulary: usize,
    ) -> Result<Alignment> {
        let mut found = vec![None; heads.len()];
        let hidden = self.forward(slots, &[(slot, tokens)], &mut |layer, (queries, sequences)| {
            let wanted = heads.iter().zip(&mut found).filter(|((of, _), _)| *of == layer).collect::<Vec<_>>();
            if !wanted.is_empty() {
                let weights = sequences[0].weights(queries)?;
                for ((_, head), place) in wanted {
                    *place = Some(weights.get(*head)?);
                }
            }
            Ok(())
        })?;
        // One copy for all heads.
        let found = found.into_iter().flatten().collect::<Vec<_>>();
        let weights = match found.is_empty() {
            true => Vec::new(),
            false => Tensor::cat(&found, 0)?.flatten_all()?.to_vec1()?,
        };
        let next = self.next(&hidden, tokens, vocabulary)?;
        let positions = weights.len() / (heads.len() * tokens.len()).max(1);
        Ok(Alignment { heads: heads.len(), tokens: tokens.len(), positions, weights, next })
    }

    /// For each token but the last, the probability of the one after it among the first `vocabulary`.
    fn next(&self, hidden: &Tensor, tokens: &[u32], vocabulary: usize) -> Result<Vec<f32>> {
        let vocabulary = vocabulary.min(self.tokens.vocabulary());
        let mut next = Vec::with_capacity(tokens.len());
        for (block, after) in tokens[1..].chunks(LOGIT_ROWS).enumerate() {
            let logits = self.logits(&hidden.narrow(0, block * LOGIT_ROWS, after.len())?)?;
            let logits = logits.narrow(1, 0, vocabulary)?.to_dtype(DType::F32)?.contiguous()?;
            let likely = candle_nn::ops::softmax_last_dim(&logits)?;
            // Only what is asked for leaves a device.
            let known = after.iter().map(|token| (*token).min(vocabulary as u32 - 1)).collect::<Vec<_>>();
            let known = Tensor::from_vec(known, (after.len(), 1), likely.device())?;
            let likely = likely.gather(&known, 1)?.flatten_all()?.to_vec1::<f32>()?;
            let is_known = |token: u32| (token as usize) < vocabulary;
            next.extend(likely.iter().zip(after).map(|(likely, &token)| if is_known(token) { *likely } else { 0.0 }));
        }
        Ok(next)
    }

    fn embed(&self, slots: &Slots, rows: &[(&Slot, &[u32])]) -> Result<Tensor> {
        let tokens = rows.iter().flat_map(|(_, tokens)| tokens.iter().copied()).collect::<Vec<u32>>();
        let mut positions = Vec::with_capacity(tokens.len());
        for (slot, tokens) in rows {
            let first = slots.len(slot) as u32;
            positions.extend(first..first + tokens.len() as u32);
        }
        let positions = Tensor::new(positions.as_slice(), self.positions.device())?;
        let embedded = self.tokens.forward(&tokens)?;
        let embedded = if self.scale == 1.0 { embedded } else { (embedded * self.scale)? };
        embedded + self.positions.index_select(&positions, 0)?
    }
}

/// Where among all tokens the last one of each row is.
fn last_of(rows: &[(&Slot, &[u32])], device: &Device) -> Result<Tensor> {
    let last = rows.iter().scan(0, |end, (_, tokens)| {
        *end += tokens.len() as u32;
        Some(*end - 1)
    });
    Tensor::from_iter(last, device)
}

// === impl Layer ===

impl Layer {
    fn load(loader: &mut Loader<'_>, config: &Config, at: usize) -> Loaded<Self> {
        let name = format!("decoder.layers.{at}");
        Ok(Self {
            self_attention: SelfAttention::load(loader, &name, config.d_model)?,
            cross_attention: CrossAttention::load(loader, &name, config.d_model)?,
            mlp: Mlp::load(loader, &name, config.d_model, config.decoder_ffn_dim)?,
        })
    }
}
