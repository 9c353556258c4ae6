//! What the backbone reads before it speaks.

use candle_core::{Result, Tensor};

use crate::nn::{
    Embedding,
    weights::{Loaded, Loader},
};

/// From tokens to vectors.
#[derive(Debug)]
pub(super) struct Embeddings {
    pub text: Embedding,
    pub speech: Embedding,
    /// Learned; absent where the backbone has its own.
    pub positions: Option<Positions>,
    pub width: usize,
}

#[derive(Debug)]
pub(super) struct Positions {
    pub text: Embedding,
    pub speech: Embedding,
}

/// The prompts of a request's sequences.
#[derive(Debug)]
pub(super) struct Prompt {
    /// `[sequences * length, width]`
    pub embeds: Tensor,
    pub sequences: usize,
    pub length: usize,
}

// === impl Embeddings ===

impl Embeddings {
    pub fn load(loader: &mut Loader<'_>, prefix: &str) -> Loaded<Self> {
        let [words, width] = loader.weights.sizes(&format!("{prefix}text_emb.weight"))?;
        let [sounds, _] = loader.weights.sizes(&format!("{prefix}speech_emb.weight"))?;
        let learned = loader.weights.has(&format!("{prefix}text_pos_emb.emb.weight"));
        Ok(Self {
            text: loader.embedding(&format!("{prefix}text_emb"), words, width)?,
            speech: loader.embedding(&format!("{prefix}speech_emb"), sounds, width)?,
            positions: learned.then(|| Positions::load(loader, prefix, width)).transpose()?,
            width,
        })
    }

    /// Positions of text and of speech that have an embedding, where those are T3's own.
    pub fn positions(&self) -> Option<(usize, usize)> {
        self.positions.as_ref().map(|positions| (positions.text.len(), positions.speech.len()))
    }

    /// Speech of a reference, from position 0 on. `[tokens, width]`; `None` without tokens.
    pub fn reference(&self, tokens: &[u32]) -> Result<Option<Tensor>> {
        if tokens.is_empty() {
            return Ok(None);
        }
        let positions = (0..tokens.len() as u32).collect::<Vec<_>>();
        self.speech(tokens, &positions).map(Some)
    }

    /// Speech tokens at these positions. `[tokens, width]`
    pub fn speech(&self, tokens: &[u32], positions: &[u32]) -> Result<Tensor> {
        let embedded = self.speech.forward(tokens)?;
        match &self.positions {
            Some(learned) => embedded + learned.speech.forward(positions)?,
            None => Ok(embedded),
        }
    }

    /// The prompt after a voice, `[positions, width]`; with guidance a second one, which is not told the text.
    pub fn prompt(&self, voice: &Tensor, text: &[u32], start: u32, guided: bool) -> Result<Prompt> {
        let words = self.text.forward(text)?;
        let silence = guided.then(|| words.zeros_like()).transpose()?;
        let start = self.start(start)?;
        let mut parts = Vec::new();
        for words in [Some(words), silence].into_iter().flatten() {
            parts.extend([voice.clone(), self.placed(&words)?, start.clone()]);
        }
        let (embeds, sequences) = (Tensor::cat(&parts, 0)?, parts.len() / 3);
        Ok(Prompt { length: embeds.dim(0)? / sequences, embeds, sequences })
    }

    fn placed(&self, words: &Tensor) -> Result<Tensor> {
        match &self.positions {
            Some(learned) => words + learned.text.forward(&(0..words.dim(0)? as u32).collect::<Vec<_>>())?,
            None => Ok(words.clone()),
        }
    }

    /// Where positions are T3's own the reference feeds the start token twice, both times at position 0, and no other way
    /// gives its tokens.
    fn start(&self, token: u32) -> Result<Tensor> {
        match self.positions {
            Some(_) => self.speech(&[token; 2], &[0; 2]),
            None => self.speech(&[token], &[0]),
        }
    }
}

// === impl Positions ===

impl Positions {
    fn load(loader: &mut Loader<'_>, prefix: &str, width: usize) -> Loaded<Self> {
        let mut table = |of: &str| {
            let name = format!("{prefix}{of}_pos_emb.emb");
            let [rows, _] = loader.weights.sizes(&format!("{name}.weight"))?;
            loader.embedding(&name, rows, width)
        };
        Ok(Self { text: table("text")?, speech: table("speech")? })
    }
}
