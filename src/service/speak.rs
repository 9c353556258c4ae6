//! A text, spoken: read as people read it, cut into chunks, said one after another by one model, and joined.

mod attempt;
mod output;

use std::{
    collections::VecDeque,
    hash::{BuildHasher, RandomState},
    time::{Duration, Instant},
};

use self::{
    attempt::{Attempt, Block, Step},
    output::Output,
};
use super::{ServiceError, error::ImplausibleLength, metrics::Account, speech_limits::SpeechLimits};
use crate::{
    audio::Pcm,
    lifecycle::Lease,
    model::{FlowLimits, request},
    speech::{
        Checkpoint, Measured, ModelName, Pronunciation, Speech, SpeechEvent, SpeechSummary, SpeechTail, Synthesize,
        SynthesizeOptions,
    },
    text::{self, Boundary, Chunk, LengthCheck, Lexicon, Markup, Reading},
};

/// The language of a text that does not say its own, for a model that speaks several.
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
    /// Whether the sound is brought to the loudness of EBU R128; as configured if absent.
    pub normalize_loudness: Option<bool>,
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
    check: LengthCheck,
    /// Nobody listens before the end.
    patient: bool,
    /// The chunk that the model says now.
    now: Option<Attempt>,
    normalize_loudness: bool,
    /// Whether the sound of chunks is joined as speech is.
    joined: bool,
    /// From the first sound on.
    sound: Option<Output>,
    /// Silence before the first sound.
    lead: Duration,
    /// Of the chunk that is said now, as a factor.
    gain: f32,
    /// Of the chunk before it.
    before: Option<SpeechTail>,
    /// Whether it is said in one go, so that the model can go on with it elsewhere.
    one_chunk: bool,
    /// Where the model goes on.
    checkpoint: Option<Checkpoint>,
    /// Sound of other stems that may leave.
    stems: VecDeque<(&'static str, Pcm)>,
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
    pub check: LengthCheck,
    pub normalize_loudness: bool,
    /// Whether the sound of chunks is joined as speech is.
    pub joined: bool,
    pub characters: usize,
}

// === impl SpeakRequest ===

impl SpeakRequest {
    /// What is to be said, in chunks that the model can say. Takes time in proportion to the text.
    pub(super) fn chunks(
        &self,
        limits: &SpeechLimits,
        lexicon: Option<&Lexicon>,
    ) -> Result<VecDeque<Chunk>, ServiceError> {
        if limits.whole {
            return Ok([text::whole(&self.text, limits.max_text)?].into());
        }
        let reading = Reading {
            markup: self.markup,
            language: self.options.language.as_deref().or(limits.language).unwrap_or(USUAL_LANGUAGE),
            normalize: self.normalize,
            lexicon,
            limit: limits.max_text,
            scripts: limits.scripts,
            tags: limits.tags,
        };
        let chunks: VecDeque<Chunk> = text::chunks(&text::read(&self.text, &reading)?, limits.chunks).into();
        match !limits.follows_pitch && chunks.iter().any(|chunk| chunk.prosody().pitch != 0.0) {
            true => Err(ServiceError::Prosody("pitch")),
            false => Ok(chunks),
        }
    }
}

// === impl Speaking ===

impl Speaking {
    pub(super) fn new(start: SpeechStart, account: Account) -> Self {
        let SpeechStart {
            lease,
            id,
            deadline,
            output,
            longest,
            mut options,
            chunks,
            check,
            normalize_loudness,
            joined,
            ..
        } = start;
        let one_chunk = chunks.iter().filter(|chunk| !chunk.spans.is_empty()).count() == 1;
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
            check,
            patient: false,
            now: None,
            normalize_loudness,
            joined,
            sound: None,
            lead: Duration::ZERO,
            gain: 1.0,
            before: None,
            one_chunk,
            checkpoint: None,
            stems: VecDeque::new(),
            summary: SpeechSummary::default(),
            over: false,
        }
    }

    /// For somebody who has no use for a part: each chunk is held back until all of it is there, so that what goes wrong in
    /// the midst of it can be mended.
    pub fn patiently(self) -> Self {
        Self { patient: true, ..self }
    }

    /// From where an earlier try of the same request came to. Of a text that is said in several chunks there is none.
    pub fn going_on(self, checkpoint: Option<Checkpoint>) -> Self {
        Self { checkpoint: checkpoint.filter(|_| self.one_chunk), ..self }
    }

    /// Who speaks.
    pub fn model(&self) -> &ModelName {
        self.lease.name()
    }

    /// What marks the sound, where something does.
    pub fn watermark(&self) -> Option<&'static str> {
        self.lease.watermark()
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
            Ok(SpeechEvent::Stem(..) | SpeechEvent::Progress(_) | SpeechEvent::Checkpoint(_)) => {}
            Ok(SpeechEvent::Done(_)) => self.account.succeed(),
            Err(error) => self.account.fail(error),
        }
        self.over = matches!(piece, Ok(SpeechEvent::Done(_)) | Err(_));
        Some(piece)
    }

    /// The next stretch of sound, where nothing else is of use; `None` after the last.
    pub async fn next_sound(&mut self) -> Result<Option<Pcm>, ServiceError> {
        loop {
            match self.next().await.transpose()? {
                Some(SpeechEvent::Audio(pcm)) => return Ok(Some(pcm)),
                Some(SpeechEvent::Done(_)) | None => return Ok(None),
                Some(SpeechEvent::Stem(..) | SpeechEvent::Progress(_) | SpeechEvent::Checkpoint(_)) => {}
            }
        }
    }

    /// Waits for the last piece, and gives all of them as one sound.
    ///
    /// # Errors
    /// Beside those of the model, [`ServiceError::TooLong`] where there is more than is gathered at once.
    pub async fn whole(self) -> Result<Speech, ServiceError> {
        self.patiently().gathered().await
    }

    async fn gathered(mut self) -> Result<Speech, ServiceError> {
        let (mut blocks, mut length) = (Vec::new(), Duration::ZERO);
        while let Some(piece) = self.next().await {
            match piece? {
                SpeechEvent::Audio(block) => {
                    length += block.duration();
                    blocks.push(block);
                }
                SpeechEvent::Stem(..) | SpeechEvent::Progress(_) | SpeechEvent::Checkpoint(_) => {}
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
            if let Some((stem, pcm)) = self.stems.pop_front() {
                return Ok(SpeechEvent::Stem(stem, pcm));
            }
            let samples = match &mut self.now {
                Some(attempt) => match attempt.next().await? {
                    Step::Sound(blocks) => self.push(blocks)?,
                    Step::Done(blocks, summary) => self.end_chunk(blocks, summary)?,
                    // Another process would have to say all chunks before it again.
                    Step::Told(SpeechEvent::Checkpoint(_)) if !self.one_chunk => continue,
                    Step::Told(event) => return Ok(event),
                    Step::ImplausibleLength(implausible) => {
                        self.try_again(implausible)?;
                        continue;
                    }
                },
                None => match self.chunks.pop_front() {
                    Some(chunk) => {
                        self.begin(chunk, 1)?;
                        continue;
                    }
                    None => return Ok(self.finish()),
                },
            };
            if let Some(pcm) = self.sound.as_ref().and_then(|sound| sound.pcm(samples)) {
                return Ok(SpeechEvent::Audio(pcm));
            }
        }
    }

    /// Gives the model its next chunk, for the `number`th time.
    fn begin(&mut self, chunk: Chunk, number: u32) -> Result<(), ServiceError> {
        if chunk.spans.is_empty() {
            self.lead += rest_after(chunk.end);
            return Ok(());
        }
        self.gain = 10.0_f32.powf(chunk.prosody().volume / 20.0);
        let pace = self.options.speed.unwrap_or(1.0) * chunk.prosody().rate;
        let seed = self.options.seed.map(|seed| seed.wrapping_add(u64::from(number - 1)));
        let options = SynthesizeOptions { speed: Some(pace), seed, ..self.options.clone() };
        let (text, pitch) = (chunk.text(), chunk.prosody().pitch);
        let (pronunciations, before) = (pronunciations(&chunk), self.before.clone());
        let checkpoint = self.checkpoint.take();
        let ask = Synthesize { text, pronunciations, pitch, before, checkpoint, options };
        let (request, responses) = request(self.id.clone(), ask, Some(self.deadline));
        self.lease.submit(request.bounded(self.output))?;
        self.now = Some(Attempt::new(chunk, responses, (self.check, pace), number, self.patient));
        Ok(())
    }

    /// What cannot be what the text says is said once more, as long as nobody heard it.
    fn try_again(&mut self, implausible: ImplausibleLength) -> Result<(), ServiceError> {
        let Some(attempt) = self.now.take() else { return Ok(()) };
        match attempt.again() {
            Some(number) => {
                tracing::warn!(request = self.id, model = %self.model(), %implausible, "a chunk is said once more");
                self.begin(attempt.chunk, number)
            }
            None => Err(implausible.into()),
        }
    }

    /// Blocks of the chunk at hand.
    fn push(&mut self, blocks: Vec<Block>) -> Result<Vec<f32>, ServiceError> {
        let mut samples = Vec::new();
        for Block { stem, pcm } in blocks {
            if let Some(stem) = stem {
                self.stems.push_back((stem, pcm));
                continue;
            }
            let sound = match &mut self.sound {
                Some(sound) => sound,
                none => {
                    let sound = none.insert(Output::new(&pcm, self.normalize_loudness, self.joined)?);
                    samples.append(&mut sound.silence(std::mem::take(&mut self.lead)));
                    sound
                }
            };
            samples.append(&mut sound.push(&pcm, self.gain)?);
        }
        Ok(samples)
    }

    fn end_chunk(&mut self, blocks: Vec<Block>, summary: SpeechSummary) -> Result<Vec<f32>, ServiceError> {
        let mut samples = self.push(blocks)?;
        self.add(summary);
        let end = self.now.take().map_or(Boundary::Word, |attempt| attempt.chunk.end);
        if let Some(sound) = &mut self.sound {
            samples.append(&mut sound.end_block(rest_after(end)));
        }
        Ok(samples)
    }

    /// Of a chunk whose sound was pushed.
    fn add(&mut self, chunk: SpeechSummary) {
        self.before = chunk.tail;
        self.summary.tokens += chunk.tokens;
        self.summary.seed = self.options.seed;
        if let Some(sound) = &self.sound {
            self.summary.marks.extend(chunk.marks.into_iter().filter_map(|mark| sound.placed(mark)));
        }
    }

    /// What was held back, then the end.
    fn finish(&mut self) -> SpeechEvent {
        match self.sound.take().and_then(Output::finish) {
            Some(pcm) => SpeechEvent::Audio(pcm),
            None => SpeechEvent::Done(std::mem::take(&mut self.summary)),
        }
    }
}

/// How stretches of a chunk's text sound.
fn pronunciations(chunk: &Chunk) -> Vec<Pronunciation> {
    let mut end = 0;
    let spans = chunk.spans.iter().filter_map(|span| {
        let start = end;
        end += span.text.len();
        span.phonemes.as_ref().map(|ipa| Pronunciation { range: start..end, ipa: ipa.clone() })
    });
    spans.collect()
}

/// How long the voice rests after a chunk.
pub fn rest_after(end: Boundary) -> Duration {
    match end {
        Boundary::Word | Boundary::Clause => Duration::ZERO,
        Boundary::Sentence => AFTER_SENTENCE,
        Boundary::Paragraph => AFTER_PARAGRAPH,
        Boundary::Pause(length) => length,
    }
}
