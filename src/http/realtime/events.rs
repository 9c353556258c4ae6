//! How events are made of what happens in a session.

use uuid::Uuid;

use super::{
    server::{Content, Item, ServerEvent, Usage},
    session::ShownSession,
    settings::Dialect,
};
use crate::{
    http::problem::Problem,
    service::live::{ItemId, LiveEvent},
};

/// Makes events of one session.
pub(super) struct Events {
    dialect: Dialect,
    /// In the names of this session's items.
    mark: String,
    /// The item before.
    previous: Option<String>,
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

    /// What was heard, in one or more events.
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
        let (item_id, previous_item_id) = (self.item(item), self.previous.clone());
        let content = Content::InputAudio { transcript: None };
        let whole = message(item_id.clone(), "user", "completed", content);
        let committed = ServerEvent::Committed { previous_item_id, item_id };
        std::iter::once(committed).chain(self.whole(whole)).collect()
    }

    /// An item that is there at once.
    fn whole(&mut self, item: Item) -> Vec<ServerEvent> {
        let previous_item_id = self.follow(&item.id);
        match self.dialect {
            Dialect::Ga => vec![
                ServerEvent::ItemAdded { previous_item_id: previous_item_id.clone(), item: item.clone() },
                ServerEvent::ItemDone { previous_item_id, item },
            ],
            Dialect::Beta => vec![ServerEvent::ItemCreated { previous_item_id, item }],
        }
    }

    /// A text of the client.
    pub fn text_item(&mut self, id: Option<String>, role: Option<String>, text: String) -> Vec<ServerEvent> {
        let id = id.unwrap_or_else(|| format!("item_{}", Uuid::new_v4().simple()));
        let role = role.unwrap_or_else(|| "user".to_owned());
        self.whole(message(id, &role, "completed", Content::InputText { text }))
    }

    /// The item after the one before, which is given.
    pub fn follow(&mut self, id: &str) -> Option<String> {
        self.previous.replace(id.to_owned())
    }

    fn item(&self, item: ItemId) -> String {
        format!("item_{}_{}", &self.mark[..12], item.0)
    }
}

/// An item with one part.
pub(super) fn message(id: String, role: &str, status: &'static str, content: Content) -> Item {
    Item { id, object: "realtime.item", r#type: "message", role: role.to_owned(), status, content: vec![content] }
}
