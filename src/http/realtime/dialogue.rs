//! What is said over a connection.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::{
    client::{self, ClientEvent, Misunderstood},
    events::Events,
    response::{Ending, Message, Response, ResponseRequest, Spoken},
    server::ServerEvent,
    session::ShownSession,
    settings::Settings,
};
use crate::{
    http::{
        live::{Dialogue, Farewell, Misstep},
        problem::Problem,
    },
    service::{
        Call, Service,
        live::{LiveAsk, LiveEvent, LiveSession},
    },
    speech::{Kind, TaskKind},
};

/// One session, as OpenAI's clients know it.
pub(super) struct Realtime {
    settings: Settings,
    events: Events,
    service: Service,
    /// Whose session it is.
    call: Call,
    /// Texts that no response has said yet.
    texts: Vec<String>,
    /// The one that is being said.
    response: Option<Response>,
    /// Seconds since 1970.
    expires_at: u64,
}

// === impl Realtime ===

impl Realtime {
    pub fn new(settings: Settings, events: Events, service: Service, call: Call) -> Self {
        Self { settings, events, service, call, texts: Vec::new(), response: None, expires_at: 0 }
    }

    /// As the service is asked to hear.
    pub fn ask(&self) -> LiveAsk {
        self.settings.ask()
    }

    fn do_as_told(&mut self, event: ClientEvent, live: &mut LiveSession) -> Result<Vec<ServerEvent>, Misstep> {
        if !matches!(event, ClientEvent::Append(_)) {
            live.notice();
        }
        match event {
            ClientEvent::Append(samples) => Ok(live.hear(&samples).map(|()| Vec::new())?),
            ClientEvent::Commit => Ok(live.commit().map(|()| Vec::new())?),
            ClientEvent::Clear => {
                live.clear();
                Ok(vec![ServerEvent::Cleared {}])
            }
            ClientEvent::Update { session, beta_name } => Ok(vec![self.update(session, live, beta_name)?]),
            ClientEvent::CreateItem(message) => Ok(self.create_item(message)?),
            ClientEvent::CreateResponse(request) => Ok(self.respond(*request)?),
            ClientEvent::CancelResponse(id) => Ok(self.cancel(id.as_deref())?),
        }
    }

    fn update(&mut self, session: Value, live: &mut LiveSession, beta_name: bool) -> Result<ServerEvent, Misstep> {
        let mut settings = self.settings.updated(session, self.events.dialect())?;
        let speaks = settings.output.model.as_deref();
        if speaks.is_some() {
            self.service.check(self.call.protocol, speaks, TaskKind::Synthesize).map_err(Problem::from)?;
        }
        if settings.output.instructions.is_some()
            && !self.service.follows_instructions(speaks).map_err(Problem::from)?
        {
            settings.output.instructions = None;
        }
        live.set(settings.ask())?;
        self.events.with_logprobs(settings.logprobs);
        self.settings = settings;
        Ok(self.events.updated(self.shown(), beta_name))
    }

    fn create_item(&mut self, message: Message) -> Result<Vec<ServerEvent>, Problem> {
        let text = message.text("item")?;
        let most = self.service.config().max_text;
        let so_far = self.texts.iter().chain([&text]).map(|text| text.chars().count()).sum::<usize>();
        if so_far > most {
            let error = format!(
                "texts of {so_far} characters wait for a response; at most {most} would be right (`limits.max_text`)"
            );
            return Err(Problem::new(Kind::TooLarge, error).about("item"));
        }
        self.texts.push(text.clone());
        Ok(self.events.text_item(message.id, message.role, text))
    }

    fn respond(&mut self, request: ResponseRequest) -> Result<Vec<ServerEvent>, Problem> {
        if let Some(response) = &self.response {
            let message = format!(
                "{} is being said; response.cancel, or to wait for response.done, would be right",
                response.id()
            );
            return Err(Problem::invalid("response", message));
        }
        let given = request.text()?;
        let output = request.over(&self.settings.output)?;
        let texts = given.map_or_else(|| std::mem::take(&mut self.texts), |text| vec![text]);
        let text = texts.join("\n\n");
        if text.trim().is_empty() {
            let message = "there is nothing to say: this server reads aloud and thinks of no answers. A text in response.input, \
                           or in a conversation.item.create before, would be right";
            return Err(Problem::new(Kind::Unsupported, message).about("response.input"));
        }
        let response =
            Response::start(text, output, request.metadata, self.service.clone(), &self.call, &mut self.events);
        let events = response.begun(self.events.dialect());
        self.response = Some(response);
        Ok(events)
    }

    fn cancel(&mut self, id: Option<&str>) -> Result<Vec<ServerEvent>, Problem> {
        match self.response.take_if(|response| id.is_none_or(|id| id == response.id())) {
            Some(response) => Ok(response.ended(Ending::Cancelled, self.events.dialect())),
            None => {
                let message = "there is no such response, or it is over";
                Err(Problem::invalid("response_id", message))
            }
        }
    }

    /// What becomes of a response: it is over, or goes on.
    fn tell(&mut self, response: Response, spoken: Spoken) -> Vec<ServerEvent> {
        let ending = match spoken {
            Spoken::Audio(audio) => {
                let event = response.sounded(audio);
                self.response = Some(response);
                return vec![event];
            }
            Spoken::Over(Ok(())) => Ending::Completed,
            Spoken::Over(Err(problem)) => Ending::Failed(problem),
        };
        response.ended(ending, self.events.dialect())
    }

    /// As a client is told how the session is set.
    fn shown(&self) -> ShownSession {
        let catalog = self.service.catalog();
        let called = |model: Option<&str>, task| {
            let entry = catalog.resolve_for(model, task);
            entry.map_or_else(|_| model.map(str::to_owned), |entry| Some(entry.name.to_string()))
        };
        let hears = called(self.settings.model.as_deref(), TaskKind::Transcribe);
        let speaks = called(self.settings.output.model.as_deref(), TaskKind::Synthesize);
        self.settings.shown(self.events.session_id(), self.expires_at, [hears, speaks], self.events.dialect())
    }

    fn texts(&self, events: impl IntoIterator<Item = ServerEvent>) -> Vec<String> {
        events.into_iter().map(|event| event.text(self.events.dialect())).collect()
    }
}

impl Dialogue for Realtime {
    fn opening(&mut self, live: &LiveSession) -> Vec<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.expires_at = (now + live.longest()).as_secs();
        self.texts([self.events.created(self.shown())])
    }

    fn text(&mut self, text: &str, live: &mut LiveSession) -> Result<Vec<String>, Farewell> {
        let read = client::read(text, self.settings.format, self.events.dialect());
        let (event, event_id) = match read {
            Ok(read) => read,
            Err(misunderstood) => {
                let Misunderstood { problem, event_id } = *misunderstood;
                live.notice();
                return Ok(self.texts([self.events.error(&problem, None, event_id.as_deref())]));
            }
        };
        match self.do_as_told(event, live) {
            Ok(events) => Ok(self.texts(events)),
            Err(Misstep { problem, over: true }) => Err(Farewell::over_allowance(problem)),
            Err(Misstep { problem, over: false }) => {
                Ok(self.texts([self.events.error(&problem, None, event_id.as_deref())]))
            }
        }
    }

    fn bytes(&mut self, _bytes: &[u8], live: &mut LiveSession) -> Result<Vec<String>, Farewell> {
        live.notice();
        let message = "a binary message is no event; a text message of JSON, with the sound as base64, would be right";
        Ok(self.texts([self.events.error(&Problem::new(Kind::Invalid, message), None, None)]))
    }

    fn said(&mut self, event: LiveEvent) -> Vec<String> {
        let interrupts = self.settings.interrupt && matches!(event, LiveEvent::Started { .. });
        let interrupted = self.response.take_if(|_| interrupts);
        let mut events = self.events.of(event);
        if let Some(response) = interrupted {
            events.extend(response.ended(Ending::Interrupted, self.events.dialect()));
        }
        self.texts(events)
    }

    async fn next(&mut self) -> Vec<String> {
        let Some(response) = &mut self.response else { return std::future::pending().await };
        let spoken = response.next().await;
        let events = self.response.take().map(|response| self.tell(response, spoken));
        self.texts(events.unwrap_or_default())
    }

    fn is_done(&self) -> bool {
        self.response.is_none()
    }

    /// A client ends by closing the connection.
    fn ended(&mut self, _live: &LiveSession, _stopping: bool) -> Option<Vec<String>> {
        None
    }

    fn problem(&self, problem: &Problem, code: &'static str) -> String {
        self.events.error(problem, Some(code), None).text(self.events.dialect())
    }
}
