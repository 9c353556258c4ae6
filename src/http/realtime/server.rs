//! What clients are told.

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{session::ShownSession, settings::Dialect};
use crate::{
    http::problem::{Problem, schemas::OpenAiErrorBody},
    service::live::{ItemId, LiveEvent},
    speech::Logprob,
};

/// What a client is told.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type")]
pub(super) enum ServerEvent {
    /// The session begins, and how it is set.
    #[serde(rename = "session.created")]
    Created { session: ShownSession },
    /// The same in the beta.
    #[serde(rename = "transcription_session.created")]
    BetaCreated { session: ShownSession },
    /// How the session is set from now on.
    #[serde(rename = "session.updated")]
    Updated { session: ShownSession },
    /// The same, of `transcription_session.update` in the beta.
    #[serde(rename = "transcription_session.updated")]
    BetaUpdated { session: ShownSession },
    /// Somebody speaks; the item begins there.
    #[serde(rename = "input_audio_buffer.speech_started")]
    SpeechStarted {
        /// Milliseconds of the session, with what is kept before speech.
        audio_start_ms: u64,
        item_id: String,
    },
    /// Nobody speaks any more; the item ends there.
    #[serde(rename = "input_audio_buffer.speech_stopped")]
    SpeechStopped {
        /// Milliseconds of the session, with what is kept after speech.
        audio_end_ms: u64,
        item_id: String,
    },
    /// An item is whole.
    #[serde(rename = "input_audio_buffer.committed")]
    Committed {
        /// The item before it.
        #[schema(required = true)]
        previous_item_id: Option<String>,
        item_id: String,
    },
    /// What belonged to no whole item is forgotten.
    #[serde(rename = "input_audio_buffer.cleared")]
    Cleared {},
    /// An item is whole.
    #[serde(rename = "conversation.item.added")]
    ItemAdded {
        #[schema(required = true)]
        previous_item_id: Option<String>,
        item: Item,
    },
    /// An item is whole.
    #[serde(rename = "conversation.item.done")]
    ItemDone {
        #[schema(required = true)]
        previous_item_id: Option<String>,
        item: Item,
    },
    /// An item is whole, in the beta.
    #[serde(rename = "conversation.item.created")]
    ItemCreated {
        #[schema(required = true)]
        previous_item_id: Option<String>,
        item: Item,
    },
    /// The next words of an item, for certain.
    #[serde(rename = "conversation.item.input_audio_transcription.delta")]
    Delta { item_id: String, content_index: usize, delta: String },
    /// The whole text of an item.
    #[serde(rename = "conversation.item.input_audio_transcription.completed")]
    Completed {
        item_id: String,
        content_index: usize,
        transcript: String,
        usage: Usage,
        /// Only if `include` asks for them.
        #[serde(skip_serializing_if = "Option::is_none")]
        logprobs: Option<Vec<Logprob>>,
    },
    /// An item has no text, and why.
    #[serde(rename = "conversation.item.input_audio_transcription.failed")]
    Failed {
        item_id: String,
        content_index: usize,
        #[schema(value_type = OpenAiErrorBody)]
        error: Value,
    },
    /// What was wrong with an event of the client, or with the session.
    #[serde(rename = "error")]
    Error {
        #[schema(value_type = EventError)]
        error: Value,
    },
}

/// What was wrong, and with what: as `http::problem` writes it, with one field more.
#[derive(Serialize, ToSchema)]
struct EventError {
    #[serde(flatten)]
    error: OpenAiErrorBody,
    /// The client's own name of its event.
    #[schema(required = true)]
    event_id: Option<String>,
}

/// A stretch of the sound that is transcribed by itself.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Item {
    id: String,
    /// `realtime.item`.
    object: &'static str,
    /// `message`.
    r#type: &'static str,
    /// `user`.
    role: &'static str,
    /// `completed`.
    status: &'static str,
    content: [Content; 1],
}

/// The sound of an item; its text comes in an event of its own.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Content {
    /// `input_audio`.
    r#type: &'static str,
    #[schema(required = true)]
    transcript: Option<String>,
}

/// What is counted.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = RealtimeUsage)]
pub(super) struct Usage {
    /// `duration`.
    r#type: &'static str,
    /// Of sound.
    seconds: f64,
}

/// An event with the name that it has alone.
#[derive(Serialize)]
struct Named<'a> {
    event_id: String,
    #[serde(flatten)]
    event: &'a ServerEvent,
}

/// Makes events of one session.
pub(super) struct Events {
    dialect: Dialect,
    /// In the names of this session's items.
    mark: String,
    previous: Option<ItemId>,
    logprobs: bool,
}

// === impl Events ===

impl Events {
    pub fn new(dialect: Dialect) -> Self {
        Self { dialect, mark: Uuid::new_v4().simple().to_string(), previous: None, logprobs: false }
    }

    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// What the session is called.
    pub fn session_id(&self) -> String {
        format!("sess_{}", self.mark)
    }

    /// Whether texts come with their log-probabilities.
    pub fn with_logprobs(&mut self, logprobs: bool) {
        self.logprobs = logprobs;
    }

    /// How the session is set at its beginning.
    pub fn created(&self, session: ShownSession) -> ServerEvent {
        match self.dialect {
            Dialect::Ga => ServerEvent::Created { session },
            Dialect::Beta => ServerEvent::BetaCreated { session },
        }
    }

    /// How it is set now; under the name of the beta if it was asked so.
    pub fn updated(&self, session: ShownSession, beta_name: bool) -> ServerEvent {
        match beta_name {
            true => ServerEvent::BetaUpdated { session },
            false => ServerEvent::Updated { session },
        }
    }

    /// What was wrong with an event of the client, or with the session. `code` is a more exact one than the problem's.
    pub fn error(&self, problem: &Problem, code: Option<&str>, event_id: Option<&str>) -> ServerEvent {
        let mut error = problem.openai_body()["error"].take();
        error["event_id"] = event_id.into();
        if let Some(code) = code {
            error["code"] = code.into();
        }
        ServerEvent::Error { error }
    }

    /// What the session says, in one or more events.
    pub fn of(&mut self, said: LiveEvent) -> Vec<ServerEvent> {
        let one = match said {
            LiveEvent::Started { item, at } => {
                ServerEvent::SpeechStarted { audio_start_ms: at.as_millis() as u64, item_id: self.item(item) }
            }
            LiveEvent::Stopped { item, at } => {
                ServerEvent::SpeechStopped { audio_end_ms: at.as_millis() as u64, item_id: self.item(item) }
            }
            LiveEvent::Committed { item } => return self.committed(item),
            // What may be taken back is not told.
            LiveEvent::Partial { .. } => return Vec::new(),
            LiveEvent::Delta { item, text } => {
                ServerEvent::Delta { item_id: self.item(item), content_index: 0, delta: text }
            }
            LiveEvent::Completed { item, text, seconds, segments } => ServerEvent::Completed {
                item_id: self.item(item),
                content_index: 0,
                transcript: text,
                usage: Usage { r#type: "duration", seconds },
                logprobs: self.logprobs.then(|| segments.into_iter().flat_map(|segment| segment.logprobs).collect()),
            },
            LiveEvent::Failed { item, problem } => {
                let error = problem.openai_body()["error"].take();
                ServerEvent::Failed { item_id: self.item(item), content_index: 0, error }
            }
        };
        vec![one]
    }

    fn committed(&mut self, item: ItemId) -> Vec<ServerEvent> {
        let previous_item_id = self.previous.replace(item).map(|previous| self.item(previous));
        let (id, previous) = (self.item(item), || previous_item_id.clone());
        let whole = || Item {
            id: id.clone(),
            object: "realtime.item",
            r#type: "message",
            role: "user",
            status: "completed",
            content: [Content { r#type: "input_audio", transcript: None }],
        };
        let committed = ServerEvent::Committed { previous_item_id: previous(), item_id: id.clone() };
        match self.dialect {
            Dialect::Ga => vec![
                committed,
                ServerEvent::ItemAdded { previous_item_id: previous(), item: whole() },
                ServerEvent::ItemDone { previous_item_id: previous(), item: whole() },
            ],
            Dialect::Beta => vec![committed, ServerEvent::ItemCreated { previous_item_id: previous(), item: whole() }],
        }
    }

    fn item(&self, item: ItemId) -> String {
        format!("item_{}_{}", &self.mark[..12], item.0)
    }
}

// === impl ServerEvent ===

impl ServerEvent {
    /// As it is sent.
    pub fn text(&self) -> String {
        json!(Named { event_id: format!("event_{}", Uuid::new_v4().simple()), event: self }).to_string()
    }
}
