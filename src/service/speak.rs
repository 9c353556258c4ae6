//! A text, spoken: read as people read it, cut into chunks, said one after another by one model, and joined.

use std::{
    collections::VecDeque,
    hash::{BuildHasher, RandomState},
    time::{Duration, Instant},
};

use super::{ServiceError, metrics::Account, speech_limits::SpeechLimits};
use crate::{
    audio::{JoinSettings, Joiner, Pcm},
    lifecycle::Lease,
    model::{FlowLimits, RequestError, Responses, request},
    speech::{Measured, ModelName, Speech, SpeechEvent, SpeechSummary, Synthesize, SynthesizeOptions},
    text::{self, Boundary, Chunk, Markup, Reading},
};

/// The language of a text that does not say its own.
const USUAL_LANGUAGE: &str = "en";
/// Between two sentences.
const AFTER_SENTENCE: Duration = Duration::from_millis(250);
/// Between two paragraphs.
const AFTER_PARAGRAPH: Duration = Duration::from_millis(600);

/// A text to be spoken, as it came in, and how.
#[derive(Clone, Debug)]
pub struct SpeakRequest {
    pub text: String,
    pub markup: Markup,
    /// Whether numbers, dates, abbreviations and Markdown are read as people read them.
    pub normalize: bool,
    pub options: SynthesizeOptions,
}

/// Speech in progress. Dropping it tells the model to stop.
pub struct Speaking {
    /// Keeps the model in memory until the last piece.
    lease: Lease,
    account: Account,
    id: String,
    deadline: Instant,
    output: FlowLimits,
    /// Of sound that is gathered.
    longest: Duration,
    options: SynthesizeOptions,
    chunks: VecDeque<Chunk>,
    /// The chunk that the model says now, and what ends with it.
    now: Option<(Responses<Synthesize>, Boundary)>,
    joiner: Option<Output>,
    /// Silence before the first sound.
    lead: Duration,
    /// Of the chunk that is said now, as a factor.
    gain: f32,
    summary: SpeechSummary,
    over: bool,
}

/// A text whose model is there.
pub(super) struct SpeechStart {
    pub lease: Lease,
    pub id: String,
    pub deadline: Instant,
    pub output: FlowLimits,
    /// Of sound that is gathered.
    pub longest: Duration,
    pub options: SynthesizeOptions,
    pub chunks: VecDeque<Chunk>,
    pub characters: usize,
}

/// Where the sound of all chunks becomes one.
struct Output {
    joiner: Joiner,
    rate: u32,
    channels: usize,
}

// === impl SpeakRequest ===

impl SpeakRequest {
    /// What is to be said, in chunks that the model can say. Takes time in proportion to the text.
    pub(super) fn chunks(&self, limits: &SpeechLimits) -> Result<VecDeque<Chunk>, ServiceError> {
        let reading = Reading {
            markup: self.markup,
            language: self.options.language.as_deref().unwrap_or(USUAL_LANGUAGE),
            normalize: self.normalize,
            lexicon: None,
            limit: limits.max_text,
            scripts: limits.scripts,
        };
        let chunks: VecDeque<Chunk> = text::chunks(&text::read(&self.text, &reading)?, limits.chunks).into();
        match chunks.iter().any(|chunk| chunk.prosody().pitch != 0.0) {
            true => Err(ServiceError::Prosody("pitch")),
            false => Ok(chunks),
        }
    }
}

// === impl Speaking ===

impl Speaking {
    pub(super) fn new(start: SpeechStart, account: Account) -> Self {
        let SpeechStart { lease, id, deadline, output, longest, mut options, chunks, .. } = start;
        // One for all chunks, so that the whole can be made again. Halved often enough for JSON's numbers.
        options.seed.get_or_insert_with(|| RandomState::new().hash_one("seed") >> 11);
        Self {
            lease,
            account,
            id,
            deadline,
            output,
            longest,
            options,
            chunks,
            now: None,
            joiner: None,
            lead: Duration::ZERO,
            gain: 1.0,
            summary: SpeechSummary::default(),
            over: false,
        }
    }

    /// Who speaks.
    pub fn model(&self) -> &ModelName {
        self.lease.name()
    }

    /// The next piece; `None` after [`SpeechEvent::Done`] or after an error. Pieces of sound are joined already.
    pub async fn next(&mut self) -> Option<Result<SpeechEvent, ServiceError>> {
        if self.over {
            return None;
        }
        let piece = self.advance().await;
        match &piece {
            Ok(SpeechEvent::Audio(pcm)) => {
                self.summary.seconds += pcm.seconds();
                self.account.made(pcm.size().sound);
            }
            Ok(SpeechEvent::Done(_)) => self.account.succeed(),
            Err(error) => self.account.fail(error),
        }
        self.over = !matches!(piece, Ok(SpeechEvent::Audio(_)));
        Some(piece)
    }

    /// Waits for the last piece, and gives all of them as one sound.
    ///
    /// # Errors
    /// Beside those of the model, [`ServiceError::TooLong`] where there is more than is gathered at once.
    pub async fn whole(mut self) -> Result<Speech, ServiceError> {
        let (mut blocks, mut length) = (Vec::new(), Duration::ZERO);
        while let Some(piece) = self.next().await {
            match piece? {
                SpeechEvent::Audio(block) => {
                    length += block.duration();
                    blocks.push(block);
                }
                SpeechEvent::Done(summary) => {
                    let audio = Pcm::joined(&blocks).ok_or(ServiceError::Internal("the model made no sound"))?;
                    return Ok(Speech { model: self.model().clone(), audio, summary });
                }
            }
            if length > self.longest {
                let error = ServiceError::TooLong { limit: self.longest };
                self.account.fail(&error);
                return Err(error);
            }
        }
        Err(ServiceError::Internal("the speech ended without its last piece"))
    }

    async fn advance(&mut self) -> Result<SpeechEvent, ServiceError> {
        loop {
            let mut samples = Vec::new();
            match &mut self.now {
                Some((responses, end)) => match responses.next().await.unwrap_or(Err(RequestError::Gone))? {
                    SpeechEvent::Audio(pcm) => self.push(&pcm, &mut samples)?,
                    SpeechEvent::Done(summary) => {
                        let gap = gap(*end);
                        self.now = None;
                        self.add(summary);
                        if let Some(output) = &mut self.joiner {
                            output.joiner.end_block(gap, &mut samples);
                        }
                    }
                },
                None => match self.chunks.pop_front() {
                    Some(chunk) => self.begin(chunk)?,
                    None => return Ok(self.finish()),
                },
            }
            if let Some(pcm) = self.joiner.as_ref().and_then(|output| output.pcm(samples)) {
                return Ok(SpeechEvent::Audio(pcm));
            }
        }
    }

    /// Gives the model its next chunk.
    fn begin(&mut self, chunk: Chunk) -> Result<(), ServiceError> {
        if chunk.spans.is_empty() {
            self.lead += gap(chunk.end);
            return Ok(());
        }
        self.gain = 10.0_f32.powf(chunk.prosody().volume / 20.0);
        let pace = self.options.speed.unwrap_or(1.0) * chunk.prosody().rate;
        let options = SynthesizeOptions { speed: Some(pace), ..self.options.clone() };
        let ask = Synthesize { text: chunk.text(), options };
        let (request, responses) = request(self.id.clone(), ask, Some(self.deadline));
        self.lease.submit(request.bounded(self.output))?;
        self.now = Some((responses, chunk.end));
        Ok(())
    }

    fn push(&mut self, pcm: &Pcm, samples: &mut Vec<f32>) -> Result<(), ServiceError> {
        let (rate, channels) = (pcm.rate(), pcm.channels());
        let lead = std::mem::take(&mut self.lead);
        let output = self.joiner.get_or_insert_with(|| {
            let silence = (lead.as_secs_f64() * f64::from(rate)) as usize * channels;
            samples.resize(silence, 0.0);
            Output { joiner: Joiner::new(rate, channels, &JoinSettings::default()), rate, channels }
        });
        if (output.rate, output.channels) != (rate, channels) {
            return Err(ServiceError::Internal("the model changed its sample rate"));
        }
        match self.gain {
            1.0 => output.joiner.push(pcm.samples(), samples),
            gain => output.joiner.push(&pcm.samples().iter().map(|sample| sample * gain).collect::<Vec<_>>(), samples),
        }
        Ok(())
    }

    fn add(&mut self, chunk: SpeechSummary) {
        self.summary.tokens += chunk.tokens;
        self.summary.seed = self.options.seed;
    }

    /// What was held back, then the end.
    fn finish(&mut self) -> SpeechEvent {
        let mut samples = Vec::new();
        if let Some(Output { joiner, rate, channels }) = self.joiner.take() {
            joiner.finish(&mut samples);
            if !samples.is_empty() {
                return SpeechEvent::Audio(Pcm::interleaved(samples, rate, channels));
            }
        }
        SpeechEvent::Done(std::mem::take(&mut self.summary))
    }
}

// === impl Output ===

impl Output {
    fn pcm(&self, samples: Vec<f32>) -> Option<Pcm> {
        (!samples.is_empty()).then(|| Pcm::interleaved(samples, self.rate, self.channels))
    }
}

/// How long the voice rests after a chunk.
fn gap(end: Boundary) -> Duration {
    match end {
        Boundary::Word | Boundary::Clause => Duration::ZERO,
        Boundary::Sentence => AFTER_SENTENCE,
        Boundary::Paragraph => AFTER_PARAGRAPH,
        Boundary::Pause(length) => length,
    }
}
