//! What is said over a connection.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::{
    client::{self, ClientEvent, Misunderstood},
    server::{Events, ServerEvent},
    session::ShownSession,
    settings::Settings,
};
use crate::{
    http::{
        live::{Dialogue, Farewell, Misstep},
        problem::Problem,
    },
    service::{
        Service,
        live::{LiveEvent, LiveSession},
    },
    speech::{Kind, TaskKind},
};

/// One session, as OpenAI's clients know it.
pub(super) struct Realtime {
    settings: Settings,
    events: Events,
    service: Service,
    /// Seconds since 1970.
    expires_at: u64,
}

// === impl Realtime ===

impl Realtime {
    pub fn new(settings: Settings, events: Events, service: Service) -> Self {
        Self { settings, events, service, expires_at: 0 }
    }

    fn do_as_told(&mut self, event: ClientEvent, live: &mut LiveSession) -> Result<Option<ServerEvent>, Misstep> {
        match event {
            ClientEvent::Append(samples) => Ok(live.hear(&samples).map(|()| None)?),
            ClientEvent::Commit => {
                live.notice();
                Ok(live.commit().map(|()| None)?)
            }
            ClientEvent::Clear => {
                live.notice();
                live.clear();
                Ok(Some(ServerEvent::Cleared {}))
            }
            ClientEvent::Update { session, beta_name } => {
                live.notice();
                self.update(session, live, beta_name).map(Some)
            }
        }
    }

    fn update(&mut self, session: Value, live: &mut LiveSession, beta_name: bool) -> Result<ServerEvent, Misstep> {
        let settings = self.settings.updated(session, self.events.dialect())?;
        live.set(settings.ask())?;
        self.events.with_logprobs(settings.logprobs);
        self.settings = settings;
        Ok(self.events.updated(self.shown(), beta_name))
    }

    /// As a client is told how the session is set.
    fn shown(&self) -> ShownSession {
        let catalog = self.service.catalog();
        let model = self.settings.model.as_deref();
        let entry = catalog.resolve_for(model, TaskKind::Transcribe);
        let name = entry.map_or_else(|_| model.unwrap_or_default().to_owned(), |entry| entry.name.to_string());
        self.settings.shown(self.events.session_id(), self.expires_at, name, self.events.dialect())
    }
}

impl Dialogue for Realtime {
    fn opening(&mut self, live: &LiveSession) -> Vec<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.expires_at = (now + live.longest()).as_secs();
        vec![self.events.created(self.shown()).text()]
    }

    fn text(&mut self, text: &str, live: &mut LiveSession) -> Result<Vec<String>, Farewell> {
        let read = client::read(text, self.settings.format, self.events.dialect());
        let (event, event_id) = match read {
            Ok(read) => read,
            Err(misunderstood) => {
                let Misunderstood { problem, event_id } = *misunderstood;
                live.notice();
                return Ok(vec![self.events.error(&problem, None, event_id.as_deref()).text()]);
            }
        };
        match self.do_as_told(event, live) {
            Ok(answer) => Ok(answer.into_iter().map(|event| event.text()).collect()),
            Err(Misstep { problem, over: true }) => Err(Farewell::over_allowance(problem)),
            Err(Misstep { problem, over: false }) => {
                Ok(vec![self.events.error(&problem, None, event_id.as_deref()).text()])
            }
        }
    }

    fn bytes(&mut self, _bytes: &[u8], live: &mut LiveSession) -> Result<Vec<String>, Farewell> {
        live.notice();
        let message = "a binary message is no event; a text message of JSON, with the sound as base64, would be right";
        Ok(vec![self.events.error(&Problem::new(Kind::Invalid, message), None, None).text()])
    }

    fn said(&mut self, event: LiveEvent) -> Vec<String> {
        self.events.of(event).into_iter().map(|event| event.text()).collect()
    }

    /// A client ends by closing the connection.
    fn ended(&mut self, _live: &LiveSession, _stopping: bool) -> Option<Vec<String>> {
        None
    }

    fn problem(&self, problem: &Problem, code: &'static str) -> String {
        self.events.error(problem, Some(code), None).text()
    }
}
