//! The network as a whole.

use candle_core::{Result, Tensor};
use rand::{SeedableRng, rngs::StdRng};

use super::{
    super::config::HiggsConfig,
    layer::Layer,
    prefix::Prefix,
    row::{CodeIds, HiggsRow},
    rows::{Rows, Segment},
    sampling::SamplingOptions,
};
#[cfg(feature = "cuda")]
use crate::nn::llama::Repeating;
use crate::{
    families::step::{choose, step},
    nn::{
        ComputeContext, Embedding, Epilogue, Linear, RmsNorm, Rope,
        llama::{HeadShape, Sequence, positions},
        sampler::Chooser,
        weights::{Bias, Loaded, Loader, WeightError},
    },
};

/// The weights. Requests share them.
#[derive(Debug)]
pub struct HiggsNet {
    words: Embedding,
    /// Of all books, one after another.
    pub(super) codes: Embedding,
    pub(super) layers: Vec<Layer>,
    pub(super) norm: RmsNorm,
    /// `[width]` → the logits of every book, one after another.
    pub(super) head: Linear,
    rope: Rope,
    shape: HeadShape,
    ids: CodeIds,
    chooser: Chooser,
    context: ComputeContext,
    #[cfg(feature = "cuda")]
    pub(super) repeating: Option<Repeating>,
}

/// How a request wants its codes.
#[derive(Clone, Copy, Debug)]
pub struct HiggsRequest {
    pub sampling: SamplingOptions,
    /// At least 1.
    pub new_frames: usize,
    pub seed: u64,
}

/// Why a request cannot be met.
#[derive(Debug, thiserror::Error)]
pub enum HiggsError {
    #[error("the text has the token {id}, and there are {vocabulary}")]
    NoSuchToken { id: u32, vocabulary: usize },
    #[error("a recording has {found} codes, where whole columns of {books} below {end} are expected")]
    NoSuchCode { found: usize, books: usize, end: usize },
    #[error("there is nothing to read")]
    Nothing,
    #[error(transparent)]
    Device(#[from] candle_core::Error),
}

type Read<T> = std::result::Result<T, HiggsError>;

// === impl HiggsNet ===

impl HiggsNet {
    /// From tensors whose names are those of `transformers`.
    pub fn load(loader: &mut Loader<'_>, config: &HiggsConfig) -> Loaded<Self> {
        let ids = config.codes;
        let [vocabulary, width] = loader.weights.sizes("model.embed_tokens.weight")?;
        let shape = HeadShape { heads: config.heads, shared: config.shared, head_dim: config.head_dim(width) };
        let count = loader.weights.count(|at| format!("model.layers.{at}.input_layernorm.weight"));
        if let Some(said) = config.layers.filter(|said| *said != count) {
            let name = format!("model.layers.{}.input_layernorm.weight", count.min(said));
            let reason = format!("does not match config.json: there are {count} layers, and it says {said}");
            return Err(WeightError::tensor(name, reason).into());
        }
        let epsilon = config.epsilon;
        let layer = |loader: &mut Loader<'_>, at: usize| {
            Layer::load(loader, &format!("model.layers.{at}"), width, shape, epsilon)
        };
        let rows = ids.books * ids.of_book();
        let rope = Rope::new(shape.head_dim, config.rope.theta, config.rope.long, loader.context);
        Ok(Self {
            words: loader.embedding("model.embed_tokens", vocabulary, width)?,
            codes: loader.embedding("model.embed_audio_tokens.embed_audio_tokens", rows, width)?,
            // At least one, which is then found missing.
            layers: (0..count.max(1)).map(|at| layer(loader, at)).collect::<Loaded<_>>()?,
            norm: loader.rms_norm("model.norm", width, epsilon)?,
            head: loader.linear_with("audio_lm_head", width, rows, Bias::Absent)?,
            #[cfg(feature = "cuda")]
            repeating: Repeating::new(Some(&rope), shape, loader.context)?,
            rope,
            shape,
            ids,
            chooser: Chooser::default(),
            context: loader.context.clone(),
        })
    }

    pub fn ids(&self) -> &CodeIds {
        &self.ids
    }

    /// Bytes that a sequence takes for each position; what cannot be counted is very much.
    pub fn position_bytes(&self) -> u64 {
        self.shape.position_bytes(self.layers.len(), &self.context)
    }

    /// What requests begin with, and how many bytes it takes to keep it.
    pub fn read_prefix(&self, segments: &[Segment]) -> Read<(Prefix, u64)> {
        let positions = self.positions(segments)?;
        let mut sequence = self.sequence(positions)?;
        self.feed_segments(segments, &mut sequence)?;
        let bytes = self.position_bytes().saturating_mul(positions as u64);
        Ok((Prefix { sequence, audio: self.last_columns(&[], segments) }, bytes))
    }

    /// Goes on after what it begins with, and draws the first column.
    pub fn admit(&self, prefix: &Prefix, segments: &[Segment], request: &HiggsRequest) -> Read<HiggsRow> {
        // A column for each frame, for each book that is late, and of beginnings; the last is not fed.
        let columns = request.new_frames + self.ids.books;
        let capacity = prefix.len() + self.positions(segments)? + columns;
        let mut sequence = self.sequence(capacity)?;
        sequence.begin_as(&prefix.sequence)?;
        let hidden = self.feed_segments(segments, &mut sequence)?;
        let before = self.last_columns(&prefix.audio, segments);
        let rng = StdRng::seed_from_u64(request.seed);
        let mut row = HiggsRow::new(sequence, request.sampling, rng, self.ids, before, request.new_frames);
        choose(&self.chooser, &self.logits(&hidden)?, &mut [&mut row])?;
        Ok(row)
    }

    /// The next column of every row that is not finished. After an error the rows are of no use.
    pub fn step(&self, rows: &mut [&mut HiggsRow]) -> Result<()> {
        step(rows, self.context.kernels.is_some(), |rows| choose(&self.chooser, &self.feed(rows)?, rows))
    }

    /// Rows that some segments are, each of which is there.
    pub fn positions(&self, segments: &[Segment]) -> Read<usize> {
        let (vocabulary, books, end) = (self.words.len(), self.ids.books, self.ids.of_book());
        let mut positions = 0;
        for segment in segments {
            positions += match segment {
                Segment::Text(ids) => match ids.iter().find(|id| **id as usize >= vocabulary) {
                    Some(&id) => return Err(HiggsError::NoSuchToken { id, vocabulary }),
                    None => ids.len(),
                },
                Segment::Audio(codes) => {
                    if !codes.len().is_multiple_of(books) || codes.iter().any(|code| *code as usize >= end) {
                        return Err(HiggsError::NoSuchCode { found: codes.len(), books, end });
                    }
                    codes.len() / books
                }
            };
        }
        if positions == 0 { Err(HiggsError::Nothing) } else { Ok(positions) }
    }

    pub(super) fn sequence(&self, capacity: usize) -> Result<Sequence> {
        Sequence::new(self.layers.len(), &self.shape.cache(capacity, &self.context), &self.context)
    }

    /// What segments are to the layers, `[rows, width]`, and which of them are of sound.
    pub(super) fn embed(&self, segments: &[Segment]) -> Result<(Tensor, Vec<bool>)> {
        let (mut parts, mut is_audio) = (Vec::with_capacity(segments.len()), Vec::new());
        for segment in segments {
            let (part, audio) = match segment {
                Segment::Text(ids) if ids.is_empty() => continue,
                Segment::Audio(codes) if codes.is_empty() => continue,
                Segment::Text(ids) => (self.words.forward(ids)?, false),
                Segment::Audio(codes) => (self.embed_columns(codes)?, true),
            };
            is_audio.resize(is_audio.len() + part.dim(0)?, audio);
            parts.push(part);
        }
        Ok((Tensor::cat(&parts, 0)?, is_audio))
    }

    /// Feeds as many rows to each of some sequences; `watch` sees the state after each layer. The state after the last norm.
    pub(super) fn forward_watched(
        &self,
        x: &Tensor,
        rows: &Rows,
        sequences: &mut [&mut Sequence],
        mut watch: impl FnMut(&Tensor),
    ) -> Result<Tensor> {
        let rotation = self.rope.at(&positions(sequences, x.dim(0)? / sequences.len().max(1)))?;
        let mut x = x.clone();
        for (at, layer) in self.layers.iter().enumerate() {
            x = layer.forward(at, &x, rows, &rotation, sequences)?;
            watch(&x);
        }
        self.norm.forward(&x)
    }

    /// The state after the last row, `[1, width]`.
    fn feed_segments(&self, segments: &[Segment], sequence: &mut Sequence) -> Result<Tensor> {
        let (x, is_audio) = self.embed(segments)?;
        let rows = Rows::new(&is_audio, &x)?;
        let hidden = self.forward_watched(&x, &rows, &mut [sequence], |_| {})?;
        hidden.narrow(0, hidden.dim(0)? - 1, 1)
    }

    /// Feeds each row its last column. For each: the logits of the next, until the next are fed.
    fn feed(&self, rows: &mut [&mut HiggsRow]) -> Result<Tensor> {
        let columns: Vec<u32> = rows.iter().flat_map(|row| row.last()).copied().collect();
        let mut sequences = rows.iter_mut().map(|row| &mut row.sequence).collect::<Vec<_>>();
        #[cfg(feature = "cuda")]
        if let Some(logits) = self.repeat(&columns, &mut sequences)? {
            return self.by_book(&logits);
        }
        let x = self.embed_columns(&columns)?;
        self.logits(&self.forward_watched(&x, &Rows::Audio, &mut sequences, |_| {})?)
    }

    /// `[columns, books]` → `[columns, width]`
    fn embed_columns(&self, columns: &[u32]) -> Result<Tensor> {
        let columns = self.in_table(columns);
        let of_book = |book: usize| columns.iter().skip(book).step_by(self.ids.books).copied().collect::<Vec<_>>();
        let first = self.codes.forward(&of_book(0))?;
        (1..self.ids.books).try_fold(first, |sum, book| sum + self.codes.forward(&of_book(book))?)
    }

    /// Codes of columns, `[columns, books]`, as rows of the table of all books.
    pub(super) fn in_table(&self, columns: &[u32]) -> Vec<u32> {
        let firsts = (0..self.ids.books).map(|book| (book * self.ids.of_book()) as u32).cycle();
        columns.iter().zip(firsts).map(|(code, first)| code + first).collect()
    }

    /// `[rows, width]` → `[rows * books, codes]`, in the type in which they are computed.
    pub(super) fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        self.by_book(&self.head.forward(hidden, Epilogue::None)?)
    }

    /// `[rows, books * codes]` → `[rows * books, codes]`
    pub(super) fn by_book(&self, logits: &Tensor) -> Result<Tensor> {
        logits.reshape((logits.dim(0)? * self.ids.books, self.ids.of_book()))
    }

    /// Of all recordings in a row, as many columns as count for repetition at most.
    fn last_columns(&self, before: &[u32], segments: &[Segment]) -> Vec<u32> {
        const MOST: usize = 100;
        let mut columns = before.to_vec();
        for segment in segments {
            if let Segment::Audio(codes) = segment {
                columns.extend(codes);
            }
        }
        columns.drain(..columns.len().saturating_sub(MOST * self.ids.books));
        columns
    }
}
