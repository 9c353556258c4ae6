//! What a client is told of a text that is spoken.

use super::spoken::Response;
use crate::http::{
    problem::Problem,
    realtime::{
        events::message,
        server::{Content, Item, ServerEvent, ShownResponse, StatusDetails},
        settings::Dialect,
    },
};

/// How a response ends.
#[derive(Debug)]
pub(in crate::http::realtime) enum Ending {
    Completed,
    /// By the client.
    Cancelled,
    /// Somebody spoke.
    Interrupted,
    Failed(Problem),
}

/// An event about the one part of the one item of a response.
macro_rules! of_part {
    ($response:expr, $event:ident $($field:ident = $value:expr)?) => {
        ServerEvent::$event {
            response_id: $response.ids.response.clone(),
            item_id: $response.ids.item.clone(),
            output_index: 0,
            content_index: 0,
            $($field: $value,)?
        }
    };
}

// === impl Response ===

impl Response {
    /// It has begun.
    pub fn begun(&self, dialect: Dialect) -> Vec<ServerEvent> {
        let (response_id, previous_item_id) = (self.ids.response.clone(), self.ids.previous.clone());
        let item = Item { content: Vec::new(), ..self.item("in_progress", dialect) };
        let added = match dialect {
            Dialect::Ga => ServerEvent::ItemAdded { previous_item_id, item: item.clone() },
            Dialect::Beta => ServerEvent::ItemCreated { previous_item_id, item: item.clone() },
        };
        vec![
            ServerEvent::ResponseCreated { response: self.shown("in_progress", None, Vec::new()) },
            ServerEvent::OutputItemAdded { response_id, output_index: 0, item },
            added,
            of_part!(self, ContentPartAdded part = Content::Audio { transcript: String::new() }),
            of_part!(self, TranscriptDelta delta = self.text.clone()),
        ]
    }

    /// The next sound, as base64.
    pub fn sounded(&self, audio: String) -> ServerEvent {
        of_part!(self, AudioDelta delta = audio)
    }

    /// It is over.
    pub fn ended(&self, ending: Ending, dialect: Dialect) -> Vec<ServerEvent> {
        let (status, details) = ending.shown();
        let item = self.item(if details.is_none() { "completed" } else { "incomplete" }, dialect);
        let (response_id, previous_item_id) = (self.ids.response.clone(), self.ids.previous.clone());
        let mut events = vec![
            of_part!(self, AudioDone),
            of_part!(self, TranscriptDone transcript = self.text.clone()),
            of_part!(self, ContentPartDone part = Content::Audio { transcript: self.text.clone() }),
            ServerEvent::OutputItemDone { response_id, output_index: 0, item: item.clone() },
        ];
        if dialect == Dialect::Ga {
            events.push(ServerEvent::ItemDone { previous_item_id, item: item.clone() });
        }
        events.push(ServerEvent::ResponseDone { response: self.shown(status, details, vec![item]) });
        events
    }

    fn item(&self, status: &'static str, dialect: Dialect) -> Item {
        let transcript = self.text.clone();
        let content = match dialect {
            Dialect::Ga => Content::OutputAudio { transcript },
            Dialect::Beta => Content::Audio { transcript },
        };
        message(self.ids.item.clone(), "assistant", status, content)
    }

    fn shown(&self, status: &'static str, status_details: Option<StatusDetails>, output: Vec<Item>) -> ShownResponse {
        let (id, metadata) = (self.ids.response.clone(), self.metadata.clone());
        ShownResponse { id, object: "realtime.response", status, status_details, output, metadata }
    }
}

// === impl Ending ===

impl Ending {
    /// The status, and why it is no better one.
    fn shown(self) -> (&'static str, Option<StatusDetails>) {
        match self {
            Self::Completed => ("completed", None),
            Self::Cancelled => ("cancelled", Some(StatusDetails::Cancelled { reason: "client_cancelled" })),
            Self::Interrupted => ("cancelled", Some(StatusDetails::Cancelled { reason: "turn_detected" })),
            Self::Failed(problem) => {
                ("failed", Some(StatusDetails::Failed { error: problem.openai_body()["error"].take() }))
            }
        }
    }
}
