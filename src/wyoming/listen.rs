//! Sound to text, on one connection.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    config::Config,
    event::{SoundFormat, TranscribeWish},
    frame::Frame,
};
use crate::{
    service::{
        Call, Served, Service,
        live::{ItemLimit, LiveAsk, LiveEnd, LiveError, LiveEvent, LiveSession, Reading, TurnError},
    },
    speech::{Kind, Problem, TranscribeOptions},
};

/// How requests are counted.
const PROTOCOL: &str = "wyoming";

/// One who speaks.
pub(super) struct Listening {
    live: LiveSession,
    format: SoundFormat,
    language: Option<String>,
    /// All of the sound is here.
    whole: bool,
    /// Words were told.
    begun: bool,
}

/// A request of this protocol.
pub(super) fn call(model: Option<String>) -> Call {
    Call {
        id: Uuid::new_v4().simple().to_string(),
        protocol: PROTOCOL,
        model,
        wait: None,
        time_limit: None,
        deadline: None,
        served: Served::default(),
        keep_alive: None,
        allowance: None,
    }
}

// === impl Listening ===

impl Listening {
    pub fn begin(
        service: &Service,
        config: &Config,
        wish: &TranscribeWish,
        format: SoundFormat,
    ) -> Result<Self, LiveError> {
        let language = wish.language.clone().filter(|language| !language.is_empty());
        let model = wish.name.clone().filter(|name| !name.is_empty());
        let options = TranscribeOptions { language: language.clone(), ..TranscribeOptions::default() };
        let ask = LiveAsk { rate: format.rate, detection: None, model: model.clone(), options };
        let limit = ItemLimit { longest: config.max_audio, setting: "wyoming.max_audio" };
        let live = service.hear_live(call(model), None, ask, Some(limit))?;
        Ok(Self { live, format, language, whole: false, begun: false })
    }

    /// Whether it takes more sound now.
    pub fn reading(&self) -> Reading {
        self.live.reading()
    }

    pub fn is_whole(&self) -> bool {
        self.whole
    }

    pub fn hear(&mut self, format: SoundFormat, payload: &[u8]) -> Result<(), Problem> {
        if format != self.format {
            let message =
                "the format of the sound has changed; audio-stop and audio-start would be right before it does";
            return Err(Problem::new(Kind::Invalid, message));
        }
        self.live.hear(&format.samples(payload)?).map_err(Problem::from)
    }

    /// That was all. What is too short has no words: the answer is here already.
    pub fn stop(&mut self) -> Result<Option<Vec<Frame>>, Problem> {
        self.whole = true;
        match self.live.commit() {
            Ok(()) => Ok(None),
            Err(LiveError::Turn(TurnError::TooShort { .. })) => Ok(Some(self.transcript(""))),
            Err(error) => Err(error.into()),
        }
    }

    /// What is to be told next, and whether that was all. May be dropped and called again at any time.
    pub async fn next(&mut self) -> (Vec<Frame>, bool) {
        match self.live.next().await {
            LiveEvent::Delta { text, .. } => {
                let mut frames = self.start();
                frames.push(Frame::new("transcript-chunk", json!({"text": text})));
                (frames, false)
            }
            LiveEvent::Completed { text, .. } => (self.transcript(&text), true),
            LiveEvent::Failed { problem, .. } => (vec![error(&problem)], true),
            LiveEvent::Started { .. }
            | LiveEvent::Stopped { .. }
            | LiveEvent::Committed { .. }
            | LiveEvent::Partial { .. } => (Vec::new(), false),
        }
    }

    pub fn finish(self, end: LiveEnd) {
        self.live.finish(end);
    }

    fn start(&mut self) -> Vec<Frame> {
        let begins = !std::mem::replace(&mut self.begun, true);
        begins.then(|| Frame::new("transcript-start", self.with_language(json!({})))).into_iter().collect()
    }

    /// The whole text, for clients that know nothing of parts as well.
    fn transcript(&mut self, text: &str) -> Vec<Frame> {
        let mut frames = self.start();
        frames.push(Frame::new("transcript", self.with_language(json!({"text": text}))));
        frames.push(Frame::new("transcript-stop", Value::Null));
        frames
    }

    fn with_language(&self, mut data: Value) -> Value {
        if let Some(language) = &self.language {
            data["language"] = language.as_str().into();
        }
        data
    }
}

/// What went wrong, as a client is told.
pub(super) fn error(problem: &Problem) -> Frame {
    let code = serde_json::to_value(problem.kind).unwrap_or_default();
    Frame::new("error", json!({"text": problem.message, "code": code}))
}
