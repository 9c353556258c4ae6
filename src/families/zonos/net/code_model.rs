//! The network as a whole.

use candle_core::{Result, Tensor};
use rand::{SeedableRng, rngs::StdRng};

use super::{
    super::config::ZonosConfig,
    backbone::Backbone,
    conditioning::{ConditionRange, Conditions, PrefixConditioner},
    delay::DelayedCodes,
    row::{CodeIds, CodeRow},
    sampling::SamplingOptions,
};
use crate::{
    families::step::{choose, step},
    nn::{
        ComputeContext, Embedding, Epilogue, Linear,
        sampler::Chooser,
        weights::{Loaded, Loader, WeightError},
    },
};

/// The weights. Requests share them.
#[derive(Debug)]
pub struct CodeModel {
    conditioner: PrefixConditioner,
    /// Of all books, one after another.
    pub(super) codes: Embedding,
    pub(super) backbone: Backbone,
    /// `[width]` → the logits of every book, one after another.
    pub(super) heads: Linear,
    pub(super) ids: CodeIds,
    pub(super) chooser: Chooser,
    context: ComputeContext,
}

/// How a request wants its codes.
#[derive(Clone, Debug)]
pub struct CodeRequest {
    pub sampling: SamplingOptions,
    /// At least 1.
    pub new_frames: usize,
    pub seed: u64,
    /// What was said before, `[frames, books]`; may be empty.
    pub prefix: Vec<u32>,
}

/// What the backbone reads before it speaks, for each sequence of a request.
#[derive(Debug)]
pub(super) struct Prompt {
    /// `[sequences * length, width]`
    pub embeds: Tensor,
    pub sequences: usize,
    pub length: usize,
}

/// Why a request cannot be met.
#[derive(Debug, thiserror::Error)]
pub enum CodeError {
    #[error("the text has the phoneme {id}, and there are {vocabulary}")]
    NoSuchPhoneme { id: u32, vocabulary: usize },
    #[error("this model says nothing without {0}; give one")]
    Missing(String),
    #[error("what was said before has {found} codes, where whole frames of {books} below {end} are expected")]
    Prefix { found: usize, books: usize, end: u32 },
    #[error(transparent)]
    Device(#[from] candle_core::Error),
}

// === impl CodeModel ===

impl CodeModel {
    pub fn load(loader: &mut Loader<'_>, config: &ZonosConfig) -> Loaded<Self> {
        let width = config.backbone.d_model;
        let books = loader.weights.count(|at| format!("embeddings.{at}.weight"));
        let ids = CodeIds { books, end: config.eos_token_id, mask: config.masked_token_id };
        Ok(Self {
            codes: codes(loader, ids, width)?,
            conditioner: PrefixConditioner::load(loader, "prefix_conditioner.", &config.prefix_conditioner, width)?,
            backbone: Backbone::load(loader, "backbone.", &config.backbone)?,
            heads: heads(loader, ids, width)?,
            ids,
            chooser: Chooser::default(),
            context: loader.context.clone(),
        })
    }

    pub fn books(&self) -> usize {
        self.ids.books
    }

    /// Codes of a book.
    pub fn codes(&self) -> usize {
        self.ids.end as usize
    }

    /// What a condition takes; `None`: this model does not hear of it.
    pub fn range(&self, condition: &str) -> Option<ConditionRange> {
        self.conditioner.range(condition)
    }

    /// Reads the conditions, and draws the first column.
    pub fn admit(&self, conditions: &Conditions, request: &CodeRequest) -> std::result::Result<CodeRow, CodeError> {
        self.check(conditions, request)?;
        let prompt = self.prompt(conditions, request)?;
        let mut row = self.row(&prompt, request)?;
        let logits = self.read(&mut row, &prompt)?;
        choose(&self.chooser, &logits, &mut [&mut row])?;
        Ok(row)
    }

    /// The next column of every row that is not finished. After an error the rows are of no use.
    pub fn step(&self, rows: &mut [&mut CodeRow]) -> Result<()> {
        step(rows, self.context.kernels.is_some(), |rows| choose(&self.chooser, &self.feed(rows)?, rows))
    }

    fn check(&self, conditions: &Conditions, request: &CodeRequest) -> std::result::Result<(), CodeError> {
        let vocabulary = self.conditioner.vocabulary();
        if let Some(&id) = conditions.phonemes.iter().find(|&&id| id as usize >= vocabulary) {
            return Err(CodeError::NoSuchPhoneme { id, vocabulary });
        }
        if let Some(name) = self.conditioner.missing(conditions) {
            return Err(CodeError::Missing(name.to_owned()));
        }
        let CodeIds { books, end, .. } = self.ids;
        if !request.prefix.len().is_multiple_of(books) || request.prefix.iter().any(|code| *code >= end) {
            return Err(CodeError::Prefix { found: request.prefix.len(), books, end });
        }
        Ok(())
    }

    /// What is said of the text and the columns that are given; with guidance a second time with the text alone.
    pub(super) fn prompt(&self, conditions: &Conditions, request: &CodeRequest) -> Result<Prompt> {
        let codes = self.delayed(request);
        let columns = (0..codes.len()).flat_map(|at| codes.column(at)).copied().collect::<Vec<_>>();
        let given = self.embed(&columns)?;
        let untold = Conditions { phonemes: conditions.phonemes.clone(), ..Conditions::default() };
        let guided = (request.sampling.cfg_scale != 1.0).then_some(&untold);
        let mut parts = Vec::new();
        for conditions in std::iter::once(conditions).chain(guided) {
            parts.extend([self.conditioner.forward(conditions)?, given.clone()]);
        }
        let (embeds, sequences) = (Tensor::cat(&parts, 0)?, parts.len() / 2);
        Ok(Prompt { length: embeds.dim(0)? / sequences, embeds, sequences })
    }

    /// What the backbone is first given of conditions, `[positions, width]`.
    #[cfg(test)]
    pub(super) fn conditioned(&self, conditions: &Conditions) -> Result<Tensor> {
        self.conditioner.forward(conditions)
    }

    pub(super) fn row(&self, prompt: &Prompt, request: &CodeRequest) -> Result<CodeRow> {
        // A column for each frame and for each book that is late; the last is not fed.
        let capacity = prompt.length + request.new_frames + self.ids.books;
        let sequences = (0..prompt.sequences).map(|_| self.backbone.sequence(capacity));
        let sequences = sequences.collect::<Result<Vec<_>>>()?;
        let (rng, codes) = (StdRng::seed_from_u64(request.seed), self.delayed(request));
        Ok(CodeRow::new(sequences, request.sampling, rng, self.ids, codes, request.new_frames))
    }

    /// Feeds a row its prompt. For each of its sequences: the logits of the first column.
    pub(super) fn read(&self, row: &mut CodeRow, prompt: &Prompt) -> Result<Tensor> {
        let hidden = self.backbone.forward(&prompt.embeds, &mut row.sequences.iter_mut().collect::<Vec<_>>())?;
        let last = (1..=prompt.sequences).map(|sequence| (sequence * prompt.length - 1) as u32);
        let last = Tensor::from_iter(last, hidden.device())?;
        self.logits(&hidden.index_select(&last, 0)?)
    }

    /// Feeds each row its last column. For each of their sequences: the logits of the next.
    pub(super) fn feed(&self, rows: &mut [&mut CodeRow]) -> Result<Tensor> {
        let each = |row: &&mut CodeRow| row.last().repeat(row.sequences.len());
        let columns = rows.iter().flat_map(each).collect::<Vec<_>>();
        let mut sequences = rows.iter_mut().flat_map(|row| row.sequences.iter_mut()).collect::<Vec<_>>();
        #[cfg(feature = "cuda")]
        if let Some(logits) = self.step_on_device(&self.ids.places(&columns), &mut sequences)? {
            return self.by_book(&logits);
        }
        self.logits(&self.backbone.forward(&self.embed(&columns)?, &mut sequences)?)
    }

    fn delayed(&self, request: &CodeRequest) -> DelayedCodes {
        DelayedCodes::new(self.ids.books, self.ids.mask, request.prefix.clone(), request.new_frames)
    }

    /// `[columns, books]` → `[columns, width]`
    fn embed(&self, columns: &[u32]) -> Result<Tensor> {
        let (places, books) = (self.ids.places(columns), self.ids.books);
        let of_book = |book: usize| places.iter().skip(book).step_by(books).copied().collect::<Vec<_>>();
        let first = self.codes.forward(&of_book(0))?;
        (1..books).try_fold(first, |sum, book| sum + self.codes.forward(&of_book(book))?)
    }

    /// `[rows, width]` → of each row the logits of all books, `[rows * books, codes]`, in the type in which they are computed.
    fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        self.by_book(&self.heads.forward(&self.backbone.norm.forward(hidden)?, Epilogue::None)?)
    }

    /// `[rows, books * codes]` → `[rows * books, codes]`
    fn by_book(&self, logits: &Tensor) -> Result<Tensor> {
        logits.reshape(((), self.ids.logits()))
    }
}

/// One table of all books, of which there is at least one, that is then found missing. Each has a row for every code, for the end
/// and for nothing; what more a file has is never looked up.
fn codes(loader: &mut Loader<'_>, ids: CodeIds, width: usize) -> Loaded<Embedding> {
    let mut tables = Vec::with_capacity(ids.books);
    for name in (0..ids.books.max(1)).map(|book| format!("embeddings.{book}.weight")) {
        let [rows, _] = loader.weights.sizes(&name)?;
        if rows < ids.rows() {
            let reason = format!("has {rows} rows, where one for the code {} is expected", ids.mask);
            return Err(WeightError::tensor(name, reason).into());
        }
        tables.push(loader.weights.view(&name, &[rows, width])?.part(0..ids.rows() * width));
    }
    Ok(Embedding::joined(&tables, width, loader.context)?)
}

/// One layer of all heads, each of which has a row for every code and for the end.
fn heads(loader: &mut Loader<'_>, ids: CodeIds, width: usize) -> Loaded<Linear> {
    let view = |book: usize| loader.weights.view(&format!("heads.{book}.weight"), &[ids.logits(), width]);
    let views = (0..ids.books).map(view).collect::<std::result::Result<Vec<_>, _>>()?;
    Ok(Linear::quantizable(&views, None, width, loader.context)?)
}
