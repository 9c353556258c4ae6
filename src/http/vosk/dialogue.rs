//! What is said over a connection.

use std::{collections::VecDeque, time::Duration};

use actix_ws::CloseCode;
use serde_json::json;

use super::{
    client::{self, ClientMessage},
    result::RecognitionResult,
    settings::Settings,
};
use crate::{
    http::{
        live::{Dialogue, Farewell, Misstep},
        problem::Problem,
    },
    service::{
        Service,
        live::{ItemId, LiveEnd, LiveEvent, LiveSession},
    },
};

/// One session, as Vosk's clients know it: each message of sound has one answer, and the end of the sound has one more.
pub(super) struct Vosk {
    settings: Settings,
    service: Service,
    /// Where the items begin whose text is not there.
    began: VecDeque<(ItemId, Duration)>,
    /// What the item that is spoken seems to be so far.
    partial: String,
    /// What was heard and is still to be told, at the next message.
    heard: VecDeque<RecognitionResult>,
    /// A byte that is half a sample.
    half: Option<u8>,
    /// All of the sound is here.
    ended: bool,
}

// === impl Vosk ===

impl Vosk {
    pub fn new(settings: Settings, service: Service) -> Self {
        let (began, heard) = (VecDeque::new(), VecDeque::new());
        Self { settings, service, began, partial: String::new(), heard, half: None, ended: false }
    }

    fn take(&mut self, text: &str, live: &mut LiveSession) -> Result<(), Misstep> {
        match client::read(text)? {
            ClientMessage::Config(config) => {
                let settings = self.settings.updated(config)?;
                live.set(settings.ask(&self.service.catalog()))?;
                self.settings = settings;
            }
            ClientMessage::End => {
                live.end();
                self.ended = true;
            }
        }
        Ok(())
    }

    /// 16 bits, little-endian; a message may end within a sample.
    fn samples(&mut self, bytes: &[u8]) -> Vec<f32> {
        let all: Vec<u8> = self.half.take().into_iter().chain(bytes.iter().copied()).collect();
        let pairs = all.chunks_exact(2);
        self.half = pairs.remainder().first().copied();
        pairs.map(|pair| f32::from(i16::from_le_bytes([pair[0], pair[1]])) / 32_768.0).collect()
    }

    fn shown(&self, heard: &RecognitionResult) -> String {
        heard.shown(self.settings.max_alternatives > 0).to_string()
    }

    fn forget(&mut self, item: ItemId) -> Duration {
        self.partial.clear();
        let at = self.began.iter().position(|(began, _)| *began == item);
        at.and_then(|at| self.began.remove(at)).map(|(_, at)| at).unwrap_or_default()
    }
}

impl Dialogue for Vosk {
    fn text(&mut self, text: &str, live: &mut LiveSession) -> Result<Vec<String>, Farewell> {
        live.notice();
        if self.ended {
            return Ok(Vec::new());
        }
        self.take(text, live).map(|()| Vec::new()).map_err(farewell)
    }

    fn bytes(&mut self, bytes: &[u8], live: &mut LiveSession) -> Result<Vec<String>, Farewell> {
        if self.ended {
            live.notice();
            return Ok(Vec::new());
        }
        let samples = self.samples(bytes);
        live.hear(&samples).map_err(|error| farewell(error.into()))?;
        let answer = match self.heard.pop_front() {
            Some(heard) => self.shown(&heard),
            None => json!({"partial": self.partial}).to_string(),
        };
        Ok(vec![answer])
    }

    /// Nothing is told before the client sends the next message: it counts on one answer for each.
    fn said(&mut self, event: LiveEvent) -> Vec<String> {
        match event {
            LiveEvent::Started { item, at } => self.began.push_back((item, at)),
            LiveEvent::Partial { text, .. } => self.partial = text,
            LiveEvent::Completed { item, segments, .. } => {
                let at = self.forget(item);
                let heard = RecognitionResult::new(&segments, at);
                self.heard.extend((!heard.is_nothing()).then_some(heard));
            }
            LiveEvent::Failed { item, problem } => {
                self.forget(item);
                self.heard.push_back(RecognitionResult::failed(&problem));
            }
            LiveEvent::Stopped { .. } | LiveEvent::Committed { .. } | LiveEvent::Delta { .. } => {}
        }
        Vec::new()
    }

    fn ended(&mut self, live: &LiveSession, stopping: bool) -> Option<Vec<String>> {
        let through = self.ended && live.is_done();
        if !through && (!stopping || self.heard.is_empty()) {
            return None;
        }
        let all = RecognitionResult::joined(std::mem::take(&mut self.heard));
        Some(vec![self.shown(&all)])
    }

    fn problem(&self, problem: &Problem, code: &'static str) -> String {
        json!({"error": problem.message, "code": code}).to_string()
    }
}

/// The protocol has no word for a mistake, so that whoever makes one is told, and the connection ends.
fn farewell(Misstep { problem, over }: Misstep) -> Farewell {
    match over {
        true => Farewell::over_allowance(problem),
        false => Farewell::told(LiveEnd::Malformed, problem, "invalid_message", CloseCode::Policy),
    }
}
