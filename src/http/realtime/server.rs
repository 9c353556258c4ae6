//! What clients are told.

use serde_json::{Value, json};
use uuid::Uuid;

use super::settings::Dialect;
use crate::{
    http::problem::Problem,
    service::live::{ItemId, LiveEvent},
    speech::Logprob,
};

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
    pub fn created(&self, session: Value) -> Value {
        let kind = match self.dialect {
            Dialect::Ga => "session.created",
            Dialect::Beta => "transcription_session.created",
        };
        event(kind, json!({"session": session}))
    }

    /// How it is set now; under the name of the beta if it was asked so.
    pub fn updated(&self, session: Value, beta_name: bool) -> Value {
        let kind = if beta_name { "transcription_session.updated" } else { "session.updated" };
        event(kind, json!({"session": session}))
    }

    pub fn cleared(&self) -> Value {
        event("input_audio_buffer.cleared", json!({}))
    }

    /// What was wrong with an event of the client, or with the session. `code` is a more exact one than the problem's.
    pub fn error(&self, problem: &Problem, code: Option<&str>, event_id: Option<&str>) -> Value {
        let mut error = problem.openai_body()["error"].take();
        error["event_id"] = event_id.into();
        if let Some(code) = code {
            error["code"] = code.into();
        }
        event("error", json!({"error": error}))
    }

    /// What the session says, in one or more events.
    pub fn of(&mut self, said: LiveEvent) -> Vec<Value> {
        let transcription = |name: &str| format!("conversation.item.input_audio_transcription.{name}");
        match said {
            LiveEvent::Started { item, at } => {
                let body = json!({"audio_start_ms": at.as_millis() as u64, "item_id": self.item(item)});
                vec![event("input_audio_buffer.speech_started", body)]
            }
            LiveEvent::Stopped { item, at } => {
                let body = json!({"audio_end_ms": at.as_millis() as u64, "item_id": self.item(item)});
                vec![event("input_audio_buffer.speech_stopped", body)]
            }
            LiveEvent::Committed { item } => self.committed(item),
            // What may be taken back is not told.
            LiveEvent::Partial { .. } => Vec::new(),
            LiveEvent::Delta { item, text } => {
                let body = json!({"item_id": self.item(item), "content_index": 0, "delta": text});
                vec![event(&transcription("delta"), body)]
            }
            LiveEvent::Completed { item, text, seconds, segments } => {
                let mut body = json!({
                    "item_id": self.item(item), "content_index": 0, "transcript": text,
                    "usage": {"type": "duration", "seconds": seconds},
                });
                if self.logprobs {
                    body["logprobs"] = segments.iter().flat_map(|segment| &segment.logprobs).map(shown).collect();
                }
                vec![event(&transcription("completed"), body)]
            }
            LiveEvent::Failed { item, problem } => {
                let error = problem.openai_body()["error"].take();
                let body = json!({"item_id": self.item(item), "content_index": 0, "error": error});
                vec![event(&transcription("failed"), body)]
            }
        }
    }

    fn committed(&mut self, item: ItemId) -> Vec<Value> {
        let previous = self.previous.replace(item).map(|previous| self.item(previous));
        let content = json!([{"type": "input_audio", "transcript": null}]);
        let whole = json!({
            "id": self.item(item), "object": "realtime.item", "type": "message", "role": "user",
            "status": "completed", "content": content,
        });
        let told = |kind| event(kind, json!({"previous_item_id": previous, "item": whole}));
        let committed = json!({"previous_item_id": previous, "item_id": self.item(item)});
        let mut events = vec![event("input_audio_buffer.committed", committed)];
        match self.dialect {
            Dialect::Ga => events.extend(["conversation.item.added", "conversation.item.done"].map(told)),
            Dialect::Beta => events.push(told("conversation.item.created")),
        }
        events
    }

    fn item(&self, item: ItemId) -> String {
        format!("item_{}_{}", &self.mark[..12], item.0)
    }
}

fn shown(logprob: &Logprob) -> Value {
    json!({"token": logprob.token, "logprob": logprob.logprob, "bytes": logprob.bytes})
}

fn event(kind: &str, mut body: Value) -> Value {
    body["type"] = kind.into();
    body["event_id"] = format!("event_{}", Uuid::new_v4().simple()).into();
    body
}
