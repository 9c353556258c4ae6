//! The decoder: tokens, and what was heard, to the likelihood of the next token.

use candle_core::{DType, Result, Tensor};

use super::{
    Alignment, Features,
    layers::{CrossAttention, Loaded, Loader, Mlp, SelfAttention},
    slots::{Slot, Slots},
};
use crate::{
    families::whisper::config::Config,
    nn::{Epilogue, KvCache, LayerNorm, Linear, SequenceQueries, attend},
};

/// Tokens whose logits are looked at together; more would only take memory.
const LOGIT_ROWS: usize = 32;

/// The layers, weights only.
#[derive(Debug)]
pub(super) struct Decoder {
    /// `[vocabulary, width]`, from tokens and back.
    tokens: Linear,
    scale: f64,
    /// `[positions, width]`
    positions: Tensor,
    layers: Vec<Layer>,
    norm: LayerNorm,
}

/// Sees a layer's number and its queries to what was heard.
type Watch<'a> = dyn FnMut(usize, (&Tensor, &[SequenceQueries<'_>])) -> Result<()> + Send + 'a;

#[derive(Debug)]
struct Layer {
    itself: SelfAttention,
    heard: CrossAttention,
    mlp: Mlp,
}

// === impl Decoder ===

impl Decoder {
    pub fn load(loader: &mut Loader<'_>, config: &Config) -> Loaded<Self> {
        let width = config.d_model;
        let tokens = loader.weights.view("decoder.embed_tokens.weight", &[config.vocab_size, width])?;
        Ok(Self {
            tokens: Linear::new(&[tokens], None, width, loader.context)?,
            scale: if config.scale_embedding { (width as f64).sqrt() } else { 1.0 },
            positions: loader.table("decoder.embed_positions.weight", config.max_target_positions, width)?,
            layers: (0..config.decoder_layers).map(|at| Layer::load(loader, config, at)).collect::<Loaded<_>>()?,
            norm: loader.norm("decoder.layer_norm", width)?,
        })
    }

    /// Fills `caches`, one per layer, with the keys and values of what was heard.
    pub fn listen(&self, features: &Features, caches: &mut [KvCache]) -> Result<()> {
        for (layer, cache) in self.layers.iter().zip(caches) {
            let [keys, values] = layer.heard.cache(&features.0)?;
            cache.truncate(0);
            cache.extend(&keys, &values)?;
        }
        Ok(())
    }

    /// Feeds tokens to rows; `[all tokens, width]`, row after row, before the last norm.
    pub fn forward(&self, slots: &mut Slots, rows: &[(&Slot, &[u32])], watch: &mut Watch<'_>) -> Result<Tensor> {
        let mut x = self.embed(slots, rows)?;
        slots.check(rows)?;
        for (at, layer) in self.layers.iter().enumerate() {
            let [queries, keys, values] = layer.itself.project(&x)?;
            slots.extend(at, rows, &keys, &values)?;
            x = layer.itself.finish(&attend(&queries, &slots.said(at, rows))?, &x)?;
            let queries = layer.heard.queries(&x)?;
            let sequences = slots.heard(at, rows);
            watch(at, (&queries, &sequences))?;
            x = layer.heard.finish(&attend(&queries, &sequences)?, &x)?;
            x = layer.mlp.forward(&x)?;
        }
        Ok(x)
    }

    /// `[rows, width]` → `[rows, vocabulary]`
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        self.tokens.forward(&self.norm.forward(hidden)?, Epilogue::None)
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
        let mut weights = Vec::new();
        for head in found.into_iter().flatten() {
            weights.extend(head.flatten_all()?.to_vec1::<f32>()?);
        }
        let next = self.next(&hidden, tokens, vocabulary)?;
        let positions = weights.len() / (heads.len() * tokens.len()).max(1);
        Ok(Alignment { heads: heads.len(), tokens: tokens.len(), positions, weights, next })
    }

    /// For each token but the last, the probability of the one after it among the first `vocabulary`.
    fn next(&self, hidden: &Tensor, tokens: &[u32], vocabulary: usize) -> Result<Vec<f32>> {
        let vocabulary = vocabulary.min(self.tokens.columns());
        let mut next = Vec::with_capacity(tokens.len());
        for (block, after) in tokens[1..].chunks(LOGIT_ROWS).enumerate() {
            let logits = self.logits(&hidden.narrow(0, block * LOGIT_ROWS, after.len())?)?;
            let logits = logits.narrow(1, 0, vocabulary)?.to_dtype(DType::F32)?.contiguous()?;
            let likely = candle_nn::ops::softmax_last_dim(&logits)?.to_vec2::<f32>()?;
            next.extend(likely.iter().zip(after).map(|(row, &token)| row.get(token as usize).copied().unwrap_or(0.0)));
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
        let embedded = self.tokens.rows(&tokens)?;
        let embedded = if self.scale == 1.0 { embedded } else { (embedded * self.scale)? };
        embedded + self.positions.index_select(&positions, 0)?
    }
}

// === impl Layer ===

impl Layer {
    fn load(loader: &mut Loader<'_>, config: &Config, at: usize) -> Loaded<Self> {
        let name = format!("decoder.layers.{at}");
        Ok(Self {
            itself: SelfAttention::load(loader, &name, config.d_model)?,
            heard: CrossAttention::load(loader, &name, config.d_model)?,
            mlp: Mlp::load(loader, &name, config.d_model, config.decoder_ffn_dim)?,
        })
    }
}
