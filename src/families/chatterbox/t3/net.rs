//! The network as a whole.

use candle_core::Tensor;
use rand::{SeedableRng, rngs::StdRng};

use super::{
    backbone::Backbone,
    conditioning::{ConditioningEncoder, T3Conditioning},
    heads::check_width,
    prompt::{Embeddings, Prompt},
    row::T3Row,
    sampling::{PenaltyOrder, SamplingOptions},
};
use crate::{
    families::step::{choose, step},
    nn::{
        ComputeContext, Epilogue, Linear,
        sampler::Chooser,
        weights::{Bias, Loaded, Loader, WeightError},
    },
};

/// The weights of a T3. Requests share them.
#[derive(Debug)]
pub struct T3 {
    conditioning: ConditioningEncoder,
    pub(super) embeddings: Embeddings,
    pub(super) backbone: Backbone,
    /// `[width]` → logits of speech tokens.
    pub(super) head: Linear,
    ids: T3Ids,
    chooser: Chooser,
    context: ComputeContext,
}

/// Speech tokens that are special.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct T3Ids {
    pub start: u32,
    pub stop: u32,
    /// Tokens below this are codes of speech.
    pub codes: u32,
}

/// A voice that T3 was told of: `[positions, width]`. Requests in the same voice share it.
#[derive(Clone, Debug)]
pub struct T3Voice(pub(super) Tensor);

/// How a request wants its tokens.
#[derive(Clone, Copy, Debug)]
pub struct T3Request {
    pub sampling: SamplingOptions,
    /// At least one, and no more than [`T3::room`].
    pub max_new_tokens: usize,
    pub seed: u64,
}

/// Why a request cannot be met.
#[derive(Debug, thiserror::Error)]
pub enum T3Error {
    #[error("the text has {tokens} tokens, and {most} fit")]
    TextTooLong { tokens: usize, most: usize },
    #[error("the text has no tokens")]
    NoText,
    #[error("the text has the token {token}, and there are {vocabulary}")]
    NoSuchText { token: u32, vocabulary: usize },
    #[error("max_new_tokens is {asked}, where 1 to {most} is expected")]
    MaxNewTokens { asked: usize, most: usize },
    #[error("{option} is {value}, where {expected} is expected")]
    Option { option: &'static str, value: f32, expected: &'static str },
    #[error("the voice has {found} numbers of a speaker, where {expected} are expected")]
    Speaker { found: usize, expected: usize },
    #[error("the voice has {tokens} tokens of speech, and {most} fit")]
    ReferenceTooLong { tokens: usize, most: usize },
    #[error("the voice has the speech token {token}, and there are {codes}")]
    NoSuchSpeech { token: u32, codes: u32 },
    #[error(transparent)]
    Device(#[from] candle_core::Error),
}

// === impl T3 ===

impl T3 {
    /// From tensors whose names begin with `prefix`, which is empty in the published files.
    pub fn load(loader: &mut Loader<'_>, prefix: &str, ids: T3Ids) -> Loaded<Self> {
        let embeddings = Embeddings::load(loader, prefix)?;
        let (width, vocabulary) = (embeddings.width, embeddings.speech.len());
        check_width(&format!("{prefix}text_emb.weight"), width)?;
        if let Some(id) = [ids.start, ids.stop, ids.codes].iter().find(|&&id| id as usize >= vocabulary) {
            let reason = format!("has {vocabulary} rows, where one for the speech token {id} is expected");
            return Err(WeightError::tensor(format!("{prefix}speech_emb.weight"), reason).into());
        }
        for unused in ["text_head.weight", "text_head.bias"] {
            loader.weights.ignore(&format!("{prefix}{unused}"));
        }
        Ok(Self {
            conditioning: ConditioningEncoder::load(loader, &format!("{prefix}cond_enc."), width)?,
            backbone: Backbone::load(loader, &format!("{prefix}tfmr."), width)?,
            head: head(loader, &format!("{prefix}speech_head"), width, vocabulary)?,
            embeddings,
            ids,
            chooser: Chooser::default(),
            context: loader.context.clone(),
        })
    }

    pub fn ids(&self) -> T3Ids {
        self.ids
    }

    /// Whether guidance is possible.
    pub fn has_guidance(&self) -> bool {
        matches!(self.backbone, Backbone::Llama(_))
    }

    pub fn voice(&self, voice: &T3Conditioning) -> Result<T3Voice, T3Error> {
        let (found, expected) = (voice.speaker.len(), self.conditioning.speaker_size);
        if found != expected {
            return Err(T3Error::Speaker { found, expected });
        }
        if let Some(&token) = voice.prompt.iter().find(|&&token| token >= self.ids.codes) {
            return Err(T3Error::NoSuchSpeech { token, codes: self.ids.codes });
        }
        let most = self.embeddings.positions().map_or(self.positions(), |(_, speech)| speech);
        if voice.prompt.len() > most {
            return Err(T3Error::ReferenceTooLong { tokens: voice.prompt.len(), most });
        }
        let reference = self.embeddings.reference(&voice.prompt)?;
        Ok(T3Voice(self.conditioning.forward(voice, reference)?))
    }

    /// How many tokens may follow a voice and a text of so many tokens: the model knows no more positions.
    pub fn room(&self, voice: &T3Voice, text: usize) -> candle_core::Result<usize> {
        let shared = self.positions().saturating_sub(voice.0.dim(0)?).saturating_sub(text);
        Ok(self.embeddings.positions().map_or(shared, |(_, speech)| speech))
    }

    /// Reads voice and text, and speaks the first token. `text`: with start and stop, where the tokenizer has those.
    pub fn admit(&self, voice: &T3Voice, text: &[u32], request: &T3Request) -> Result<T3Row, T3Error> {
        self.check(voice, text, request)?;
        let prompt = self.prompt(voice, text, request)?;
        let mut row = self.row(&prompt, request)?;
        let logits = self.read(&mut row, &prompt)?;
        choose(&self.chooser, &logits, &mut [&mut row])?;
        Ok(row)
    }

    /// The next token of every row that is not finished. After an error the rows are of no use.
    pub fn step(&self, rows: &mut [&mut T3Row]) -> candle_core::Result<()> {
        step(rows, self.context.kernels.is_some(), |rows| choose(&self.chooser, &self.feed(rows)?, rows))
    }

    pub(super) fn prompt(&self, voice: &T3Voice, text: &[u32], request: &T3Request) -> candle_core::Result<Prompt> {
        let guided = self.has_guidance() && request.sampling.cfg_weight > 0.0;
        self.embeddings.prompt(&voice.0, text, self.ids.start, guided)
    }

    /// Feeds a row its prompt. For each of its sequences: the logits of the first token.
    pub(super) fn read(&self, row: &mut T3Row, prompt: &Prompt) -> candle_core::Result<Tensor> {
        let hidden = self.backbone.forward(&prompt.embeds, &mut row.sequences.iter_mut().collect::<Vec<_>>())?;
        let last = (1..=prompt.sequences).map(|sequence| (sequence * prompt.length - 1) as u32);
        let last = Tensor::from_iter(last, hidden.device())?;
        self.logits(&self.backbone.norm(&hidden.index_select(&last, 0)?)?)
    }

    /// Feeds each row its last token. For each of their sequences: the logits of the next, until the next are fed.
    pub(super) fn feed(&self, rows: &mut [&mut T3Row]) -> candle_core::Result<Tensor> {
        let (mut tokens, mut positions) = (Vec::new(), Vec::new());
        for row in rows.iter() {
            let last = row.tokens.last().copied().unwrap_or(row.start);
            tokens.extend(row.sequences.iter().map(|_| last));
            // The start token had position 0.
            positions.extend(row.sequences.iter().map(|_| row.tokens.len() as u32));
        }
        let mut sequences = rows.iter_mut().flat_map(|row| row.sequences.iter_mut()).collect::<Vec<_>>();
        #[cfg(feature = "cuda")]
        if let Some(logits) = self.repeat(&tokens, &positions, &mut sequences)? {
            return Ok(logits);
        }
        let x = self.embeddings.speech(&tokens, &positions)?;
        let hidden = self.backbone.forward(&x, &mut sequences)?;
        self.logits(&self.backbone.norm(&hidden)?)
    }

    /// `[rows, width]` → `[rows, speech tokens]`, in the type in which they are computed.
    fn logits(&self, hidden: &Tensor) -> candle_core::Result<Tensor> {
        self.head.forward(hidden, Epilogue::None)
    }

    pub(super) fn row(&self, prompt: &Prompt, request: &T3Request) -> candle_core::Result<T3Row> {
        // The last token is not fed.
        let capacity = prompt.length + request.max_new_tokens - 1;
        let sequence = |_| self.backbone.sequence(capacity);
        Ok(T3Row {
            sequences: (0..prompt.sequences).map(sequence).collect::<candle_core::Result<_>>()?,
            options: request.sampling,
            order: if self.has_guidance() { PenaltyOrder::BeforeFilters } else { PenaltyOrder::AfterFilters },
            rng: StdRng::seed_from_u64(request.seed),
            start: self.ids.start,
            stop: self.ids.stop,
            max_new_tokens: request.max_new_tokens,
            tokens: Vec::new(),
            finish: None,
        })
    }

    fn check(&self, voice: &T3Voice, text: &[u32], request: &T3Request) -> Result<(), T3Error> {
        if let Some((option, value, expected)) = request.sampling.fault() {
            return Err(T3Error::Option { option, value, expected });
        }
        let vocabulary = self.embeddings.text.len();
        if let Some(&token) = text.iter().find(|&&token| token as usize >= vocabulary) {
            return Err(T3Error::NoSuchText { token, vocabulary });
        }
        if text.is_empty() {
            return Err(T3Error::NoText);
        }
        let (tokens, asked) = (text.len(), request.max_new_tokens);
        // With positions in the backbone alone, all that is fed shares them: voice, text, start, and all but the last token.
        let room = self.positions().saturating_sub(voice.0.dim(0)?);
        let (most_text, most_new) = self.embeddings.positions().unwrap_or((room.saturating_sub(asked), room));
        if asked == 0 || asked > most_new {
            return Err(T3Error::MaxNewTokens { asked, most: most_new });
        }
        if tokens > most_text {
            return Err(T3Error::TextTooLong { tokens, most: most_text });
        }
        Ok(())
    }

    /// Of the backbone.
    fn positions(&self) -> usize {
        self.backbone.positions().unwrap_or(usize::MAX)
    }
}

/// Those of the GPT-2 models have a bias.
fn head(loader: &mut Loader<'_>, name: &str, width: usize, vocabulary: usize) -> Loaded<Linear> {
    let bias = if loader.weights.has(&format!("{name}.bias")) { Bias::Present } else { Bias::Absent };
    loader.linear_with(name, width, vocabulary, bias)
}
