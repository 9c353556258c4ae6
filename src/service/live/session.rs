//! A session: it takes sound, and has the model hear what is due.
//!
//! A model that hears as sound comes is given each item so (`stream`): one request an item, and its answer is the text. Of any
//! other the model hears the beginning of an item again and again while it grows (a partial), and all of it when it is whole,
//! exactly as it would hear a file; that text is the one that counts. One session has one request at the model at a time,
//! and texts come in the order of the items. Partials wait for each other, over all sessions, and whole items for nobody
//! but the model, so that a crowd costs early words and no text.

use std::{
    collections::VecDeque,
    future::pending,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::{BoxFuture, FutureExt};
use tokio::time::sleep;

use super::{
    agreement::{LocalAgreement, Rest},
    config::LiveConfig,
    error::LiveError,
    hearing::{hear_beginning, hear_whole},
    line::Lines,
    metrics::{LiveEnd, LiveMetrics},
    pace::Pace,
    partials::Speaker,
    room::Place,
    stream::{self, Feed, ItemTranscript},
    turns::{ItemId, ItemLimit, Turn, Turns},
};
use crate::{
    audio::{Pcm, VoiceActivity},
    service::{AudioInput, Call, MemoryShare, Service, ServiceError, TranscribeRequest},
    speech::{Problem, Segment, TaskKind, Timestamps, TranscribeOptions},
};

/// More samples than any item has.
const NEVER_AGAIN: usize = usize::MAX / 2;
/// What is shorter holds no word, and is not heard.
const WORDLESS: Duration = Duration::from_millis(50);

/// What a session is to do.
#[derive(Clone, Debug)]
pub struct LiveAsk {
    /// Of the sound, in hertz.
    pub rate: u32,
    /// How items are told apart; without it the caller says where they end.
    pub detection: Option<VoiceActivity>,
    pub model: Option<String>,
    pub options: TranscribeOptions,
}

/// What a session has to say.
#[derive(Clone, Debug)]
pub enum LiveEvent {
    /// Somebody speaks; the item begins there.
    Started { item: ItemId, at: Duration },
    /// Nobody speaks any more; the item ends there.
    Stopped { item: ItemId, at: Duration },
    /// The item is whole.
    Committed { item: ItemId },
    /// What the item seems to be so far; the next one takes its place.
    Partial { item: ItemId, text: String },
    /// These words come next in the item, for certain.
    Delta { item: ItemId, text: String },
    /// The text of the item, and what it is made of, in times of the item. All deltas of the item make the same text, unless
    /// the whole is not what its beginning promised.
    Completed { item: ItemId, text: String, seconds: f64, segments: Vec<Segment> },
    /// The item has no text.
    Failed { item: ItemId, problem: Problem },
}

/// Whether the session takes more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    Now,
    /// Sound is so far ahead of the clock.
    In(Duration),
    /// So much sound waits for the model; after the next event.
    WhenHeard,
}

/// Somebody who speaks, and what was heard of them. Dropping it stops the work.
pub struct LiveSession {
    service: Service,
    call: Call,
    config: LiveConfig,
    limit: ItemLimit,
    ask: LiveAsk,
    turns: Turns,
    pace: Pace,
    /// Of the item that is not whole.
    agreement: LocalAgreement,
    /// Samples of it that were heard.
    heard: usize,
    /// Whole items that have no text yet.
    whole: VecDeque<Whole>,
    /// At most one.
    pass: Option<Pass>,
    events: VecDeque<LiveEvent>,
    /// Memory of the sound.
    share: MemoryShare,
    /// Seconds of sound, and how many of them were taken from the allowance.
    seconds: f64,
    taken: f64,
    end: LiveEnd,
    metrics: LiveMetrics,
    /// Among those who are heard before the end.
    speaker: Speaker,
    /// When the sound was here for which the item is to be heard next.
    due_since: Option<Instant>,
    lines: Lines,
    _place: Place,
}

/// An item that has all of its sound.
struct Whole {
    item: ItemId,
    audio: Pcm,
    agreement: LocalAgreement,
    since: Instant,
}

/// The model hears.
struct Pass {
    /// All of the item, or else its beginning.
    whole: bool,
    item: ItemId,
    bytes: usize,
    /// Where the model takes the sound as it comes.
    feed: Option<Feed>,
    /// When the sound was here for which the item is heard before its end.
    due_since: Option<Instant>,
    work: BoxFuture<'static, Result<ItemTranscript, ServiceError>>,
}

/// How a pass goes on.
enum Course {
    /// What the item seems to be so far.
    Partial(String),
    Over(Result<ItemTranscript, ServiceError>),
}

// === impl Service ===

impl Service {
    /// Begins a session. `who` holds the key, if there are keys; `limit` is how long an item may be, where the protocol has a
    /// bound of its own.
    pub fn hear_live(
        &self,
        call: Call,
        who: Option<String>,
        ask: LiveAsk,
        limit: Option<ItemLimit>,
    ) -> Result<LiveSession, LiveError> {
        let config = self.config().live;
        self.check(call.protocol, ask.model.as_deref(), TaskKind::Transcribe)?;
        let (place, speaker) = (self.live.enter(who, &config)?, self.live.partials.speaker());
        let metrics = self.live_metrics.clone();
        let limit = limit.unwrap_or(ItemLimit { longest: config.max_item, setting: "live.max_item" });
        let turns = Turns::new(ask.rate, limit, ask.detection, self.listeners.voices.clone());
        let pace = Pace::new(config.max_rate, config.ahead, Instant::now());
        metrics.sessions.with_label_values(&[call.protocol]).inc();
        Ok(LiveSession {
            service: self.clone(),
            config,
            limit,
            ask,
            turns,
            pace,
            agreement: LocalAgreement::default(),
            heard: 0,
            whole: VecDeque::new(),
            pass: None,
            events: VecDeque::new(),
            share: self.sound_memory(),
            seconds: 0.0,
            taken: 0.0,
            end: LiveEnd::Left,
            metrics,
            speaker,
            due_since: None,
            lines: self.live.lines.clone(),
            call,
            _place: place,
        })
    }
}

// === impl LiveSession ===

impl LiveSession {
    /// How long it may last.
    pub fn longest(&self) -> Duration {
        self.config.max_session
    }

    pub fn ask(&self) -> &LiveAsk {
        &self.ask
    }

    /// From now on it does this, or goes on as before.
    pub fn set(&mut self, ask: LiveAsk) -> Result<(), LiveError> {
        self.service.check(self.call.protocol, ask.model.as_deref(), TaskKind::Transcribe)?;
        self.turns.set(ask.rate, ask.detection)?;
        self.ask = ask;
        Ok(())
    }

    /// Whether it takes more now.
    pub fn reading(&self) -> Reading {
        let waiting: f64 = self.whole.iter().map(|whole| whole.audio.seconds()).sum();
        let wait = self.pace.wait(Instant::now());
        match waiting >= self.limit.longest.as_secs_f64() {
            true => Reading::WhenHeard,
            false if wait.is_zero() => Reading::Now,
            false => Reading::In(wait),
        }
    }

    /// A message is here that holds no sound.
    pub fn notice(&mut self) {
        self.pace.take(Duration::ZERO, Instant::now());
    }

    /// Takes what follows, at the rate that was asked for, or nothing of it. What follows from it is told by [`Self::next`].
    pub fn hear(&mut self, samples: &[f32]) -> Result<(), LiveError> {
        let seconds = samples.len() as f64 / f64::from(self.turns.rate());
        self.pace.take(Duration::from_secs_f64(seconds), Instant::now());
        self.share.resize(self.bytes() + size_of_val(samples))?;
        let mut turns = Vec::new();
        self.turns.push(samples, |turn| turns.push(turn))?;
        self.seconds += seconds;
        self.metrics.audio_seconds.with_label_values(&[self.call.protocol]).inc_by(seconds);
        turns.into_iter().for_each(|turn| self.turn(turn));
        self.note_what_is_due();
        self.feed();
        self.settle();
        self.pay()
    }

    /// The item is whole.
    pub fn commit(&mut self) -> Result<(), LiveError> {
        let turn = self.turns.commit()?;
        self.turn(turn);
        self.settle();
        Ok(())
    }

    /// There is no more sound: what is heard of an item is all of it, and what is kept of silence is nothing.
    pub fn end(&mut self) {
        // What is too short for an item has no text.
        if self.turns.current().is_none() || self.commit().is_err() {
            self.clear();
        }
    }

    /// Forgets what belongs to no whole item.
    pub fn clear(&mut self) {
        self.turns.clear();
        self.forget();
        self.settle();
    }

    /// Whether nothing that was said waits for its text.
    pub fn is_done(&self) -> bool {
        self.whole.is_empty() && self.events.is_empty()
    }

    /// What it has to say next. May be dropped and called again at any time.
    pub async fn next(&mut self) -> LiveEvent {
        loop {
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            self.begin();
            let Some(pass) = &mut self.pass else { return pending().await };
            match pass.course().await {
                Course::Partial(text) => {
                    let item = pass.item;
                    self.overheard(item, text);
                }
                Course::Over(outcome) => {
                    let Some(pass) = self.pass.take() else { continue };
                    self.passed(pass, outcome);
                }
            }
            self.settle();
        }
    }

    /// It is over, and why.
    pub fn finish(mut self, end: LiveEnd) {
        self.end = end;
    }

    /// By the second, so that small pieces cost what they are.
    fn pay(&mut self) -> Result<(), LiveError> {
        let Some(allowance) = &self.call.allowance else { return Ok(()) };
        while self.taken < self.seconds {
            allowance.take_audio(1.0)?;
            self.taken += 1.0;
        }
        Ok(())
    }

    fn turn(&mut self, turn: Turn) {
        match turn {
            Turn::Started { item, at } => self.events.push_back(LiveEvent::Started { item, at }),
            Turn::Stopped { item, at } => self.events.push_back(LiveEvent::Stopped { item, at }),
            Turn::Whole { item, samples } => {
                self.conclude(item, &samples);
                let agreement = self.forget();
                let (audio, since) = (Pcm::new(samples, self.turns.rate()), Instant::now());
                self.whole.push_back(Whole { item, audio, agreement, since });
                self.events.push_back(LiveEvent::Committed { item });
            }
        }
    }

    /// The model is given what came of an item that it hears as it comes.
    fn feed(&mut self) {
        let (Some(pass), Some((item, samples))) = (&mut self.pass, self.turns.current()) else { return };
        if let Some(feed) = pass.feed.as_mut().filter(|_| pass.item == item) {
            feed.give(samples);
            pass.bytes = feed.given() * size_of::<f32>();
        }
    }

    /// The item is whole: who hears it as it comes is given the rest, and the answer is its text.
    fn conclude(&mut self, item: ItemId, samples: &[f32]) {
        let Some(pass) = self.pass.as_mut().filter(|pass| pass.item == item) else { return };
        if let Some(feed) = &mut pass.feed {
            feed.give(samples);
            feed.finish();
            pass.whole = true;
        }
    }

    /// Nothing of the item that is not whole is heard any more; gives what was certain of it.
    fn forget(&mut self) -> LocalAgreement {
        drop(self.pass.take_if(|pass| !pass.whole));
        (self.heard, self.due_since) = (0, None);
        std::mem::take(&mut self.agreement)
    }

    /// Has the model hear what is due, if it is free.
    fn begin(&mut self) {
        if self.pass.is_some() {
            return;
        }
        self.pass = self.begin_whole().or_else(|| self.begin_partial());
        self.settle();
    }

    fn begin_whole(&self) -> Option<Pass> {
        let Whole { item, audio, .. } = self.whole.front()?;
        let (service, request) = (self.service.clone(), self.request(audio.clone()));
        let (call, bytes) = (self.call(), size_of_val(audio.samples()));
        let until = Instant::now() + service.config().request_timeout;
        let work = if audio.duration() < WORDLESS {
            futures::future::ready(Ok(ItemTranscript::default())).boxed()
        } else {
            let lines = self.lines.clone();
            async move { hear_whole(service, lines, call, request, until).await }.boxed()
        };
        Some(Pass { whole: true, item: *item, bytes, feed: None, due_since: None, work })
    }

    /// What is heard of an item that is not whole, if that is to be heard by now.
    fn due(&self) -> Option<(ItemId, &[f32])> {
        let step = self.speaker.step(self.config.partials?).as_secs_f64() * f64::from(self.turns.rate());
        let due = if self.hears_live() { self.heard } else { self.heard.saturating_add(step as usize) };
        self.turns.current().filter(|(_, samples)| samples.len() >= due.max(1))
    }

    fn note_what_is_due(&mut self) {
        if self.due_since.is_none() && self.due().is_some() {
            self.due_since = Some(Instant::now());
        }
    }

    fn begin_partial(&mut self) -> Option<Pass> {
        let (item, samples) = self.due()?;
        if self.hears_live() {
            return Some(self.begin_stream(item, samples));
        }
        let (heard, audio) = (samples.len(), Pcm::new(samples.to_vec(), self.turns.rate()));
        let (service, bytes) = (self.service.clone(), size_of_val(audio.samples()));
        let (mut request, call, turn) = (self.request(audio), self.call(), self.speaker.ask());
        // Nobody is told where they stand before the end.
        request.options.timestamps = request.options.timestamps.min(Timestamps::Segment);
        let work = async move {
            let turn = turn.await;
            let heard = hear_beginning(&service, call, request).await;
            turn.over();
            heard
        };
        self.heard = heard;
        let due_since = self.due_since.take();
        Some(Pass { whole: false, item, bytes, feed: None, due_since, work: work.boxed() })
    }

    fn begin_stream(&self, item: ItemId, samples: &[f32]) -> Pass {
        let (mut feed, sound) = Feed::new();
        feed.give(samples);
        let (service, options, rate) = (self.service.clone(), self.ask.options.clone(), self.turns.rate());
        let work = stream::hear(service, self.call(), options, rate, sound);
        let bytes = size_of_val(samples);
        Pass { whole: false, item, bytes, feed: Some(feed), due_since: None, work: work.boxed() }
    }

    /// Whether the model takes an item as it comes, as far as that is known before it is loaded.
    fn hears_live(&self) -> bool {
        let catalog = self.service.catalog();
        let entry = catalog.resolve_for(self.ask.model.as_deref(), TaskKind::Transcribe);
        entry.is_ok_and(|entry| entry.family.is_some_and(|family| family.hears_live()))
    }

    /// What is taken from the allowance is taken when it comes in.
    fn call(&self) -> Call {
        Call { model: self.ask.model.clone(), allowance: None, ..self.call.clone() }
    }

    fn request(&self, audio: Pcm) -> TranscribeRequest {
        let options = self.ask.options.clone();
        TranscribeRequest {
            audio: AudioInput::Samples(Arc::new(audio)),
            options,
            voice_activity: None,
            known_speakers: Vec::new(),
        }
    }

    fn passed(&mut self, pass: Pass, outcome: Result<ItemTranscript, ServiceError>) {
        let item = pass.item;
        match outcome {
            Ok(heard) if pass.whole => self.complete(heard),
            Ok(heard) => {
                if let Some(since) = pass.due_since {
                    let seconds = self.metrics.partial_seconds.with_label_values(&[self.call.protocol]);
                    seconds.observe(since.elapsed().as_secs_f64());
                }
                self.overheard(item, heard.text);
            }
            // It is not begun again before the item is whole, and then it is heard as a file would be.
            Err(error) if pass.feed.is_some() => {
                tracing::debug!(request = self.call.id, %error, "an item was not heard as it came");
                if !pass.whole {
                    self.heard = NEVER_AGAIN;
                }
            }
            Err(error) if pass.whole => {
                self.whole.pop_front();
                self.events.push_back(LiveEvent::Failed { item, problem: error.into() });
            }
            // The whole is heard all the same, and says what is wrong.
            Err(error) => tracing::debug!(request = self.call.id, %error, "the beginning of an item was not heard"),
        }
    }

    /// What an item that is not whole, or whose text is not there, seems to be.
    fn overheard(&mut self, item: ItemId, text: String) {
        let agreement = match self.whole.front_mut().filter(|whole| whole.item == item) {
            Some(whole) => &mut whole.agreement,
            None => &mut self.agreement,
        };
        let certain = agreement.hear(&text);
        self.events.push_back(LiveEvent::Partial { item, text });
        self.events.extend(certain.map(|text| LiveEvent::Delta { item, text }));
    }

    fn complete(&mut self, ItemTranscript { text, segments }: ItemTranscript) {
        let Some(Whole { item, audio, agreement, since }) = self.whole.pop_front() else { return };
        let protocol = [self.call.protocol];
        self.metrics.final_seconds.with_label_values(&protocol).observe(since.elapsed().as_secs_f64());
        match agreement.rest(&text) {
            Rest::Follows(rest) if rest.is_empty() => {}
            Rest::Follows(rest) => self.events.push_back(LiveEvent::Delta { item, text: rest }),
            Rest::Differs => self.metrics.revised.with_label_values(&protocol).inc(),
        }
        self.events.push_back(LiveEvent::Completed { item, text, seconds: audio.seconds(), segments });
    }

    /// Bytes of sound that it holds.
    fn bytes(&self) -> usize {
        let whole: usize = self.whole.iter().map(|whole| size_of_val(whole.audio.samples())).sum();
        self.turns.bytes() + whole + self.pass.as_ref().map_or(0, |pass| pass.bytes)
    }

    /// Gives back what it does not hold any more. What a copy for the model takes beyond the share is bounded by what the
    /// share is of, and is not refused, since the sound is here already.
    fn settle(&mut self) {
        let _ = self.share.resize(self.bytes());
    }
}

impl Drop for LiveSession {
    fn drop(&mut self) {
        self.metrics.sessions.with_label_values(&[self.call.protocol]).dec();
        self.metrics.ended.with_label_values(&[self.call.protocol, self.end.as_str()]).inc();
    }
}

// === impl Pass ===

impl Pass {
    /// May be dropped and called again at any time.
    async fn course(&mut self) -> Course {
        let Some(feed) = &mut self.feed else { return Course::Over((&mut self.work).await) };
        tokio::select! {
            biased;
            Some(text) = feed.partial() => Course::Partial(text),
            outcome = &mut self.work => Course::Over(outcome),
        }
    }
}

// === impl Reading ===

impl Reading {
    /// When it may have changed by time alone; never, where only an event can say so.
    pub async fn changes(self) {
        match self {
            Self::In(wait) => sleep(wait).await,
            Self::Now | Self::WhenHeard => pending().await,
        }
    }
}
