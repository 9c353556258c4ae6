//! What clients are told.

use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{session::ShownSession, settings::Dialect};
use crate::{http::problem::schemas::OpenAiErrorBody, speech::Logprob};

/// What events are called in the beta, and today.
pub(super) const BETA_NAMES: [(&str, &str); 4] = [
    ("response.audio.delta", "response.output_audio.delta"),
    ("response.audio.done", "response.output_audio.done"),
    ("response.audio_transcript.delta", "response.output_audio_transcript.delta"),
    ("response.audio_transcript.done", "response.output_audio_transcript.done"),
];

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
    /// A text is going to be spoken.
    #[serde(rename = "response.created")]
    ResponseCreated { response: ShownResponse },
    /// What it will be.
    #[serde(rename = "response.output_item.added")]
    OutputItemAdded { response_id: String, output_index: usize, item: Item },
    /// What it will be.
    #[serde(rename = "response.content_part.added")]
    ContentPartAdded { response_id: String, item_id: String, output_index: usize, content_index: usize, part: Content },
    /// What is going to be said.
    #[serde(rename = "response.output_audio_transcript.delta")]
    TranscriptDelta { response_id: String, item_id: String, output_index: usize, content_index: usize, delta: String },
    /// The next sound.
    #[serde(rename = "response.output_audio.delta")]
    AudioDelta {
        response_id: String,
        item_id: String,
        output_index: usize,
        content_index: usize,
        /// base64 of sound in the format of `audio.output`.
        delta: String,
    },
    /// No more sound comes.
    #[serde(rename = "response.output_audio.done")]
    AudioDone { response_id: String, item_id: String, output_index: usize, content_index: usize },
    /// All that was to be said.
    #[serde(rename = "response.output_audio_transcript.done")]
    TranscriptDone {
        response_id: String,
        item_id: String,
        output_index: usize,
        content_index: usize,
        transcript: String,
    },
    /// What it was.
    #[serde(rename = "response.content_part.done")]
    ContentPartDone { response_id: String, item_id: String, output_index: usize, content_index: usize, part: Content },
    /// What it was.
    #[serde(rename = "response.output_item.done")]
    OutputItemDone { response_id: String, output_index: usize, item: Item },
    /// How it ended.
    #[serde(rename = "response.done")]
    ResponseDone { response: ShownResponse },
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

/// A stretch of the sound that is transcribed by itself, a text of the client, or what is spoken.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Item {
    pub id: String,
    /// `realtime.item`.
    pub object: &'static str,
    /// `message`.
    pub r#type: &'static str,
    /// `user`, `assistant` or `system`.
    pub role: String,
    /// `in_progress`, `completed` or `incomplete`.
    pub status: &'static str,
    pub content: Vec<Content>,
}

/// What an item holds.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Content {
    /// The sound of an item; its text comes in an event of its own.
    InputAudio {
        #[schema(required = true)]
        transcript: Option<String>,
    },
    /// A text of the client.
    InputText { text: String },
    /// What is spoken.
    OutputAudio { transcript: String },
    /// The same as a part, and in the beta.
    Audio { transcript: String },
}

/// A text that is spoken.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = RealtimeResponse)]
pub(super) struct ShownResponse {
    pub id: String,
    /// `realtime.response`.
    pub object: &'static str,
    /// `in_progress`, `completed`, `cancelled` or `failed`.
    pub status: &'static str,
    /// Why it is not completed.
    #[schema(required = true)]
    pub status_details: Option<StatusDetails>,
    pub output: Vec<Item>,
    #[schema(required = true)]
    pub metadata: Option<Map<String, Value>>,
}

/// Why a response is not completed.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum StatusDetails {
    Cancelled {
        /// `client_cancelled` or `turn_detected`: somebody spoke.
        reason: &'static str,
    },
    Failed {
        #[schema(value_type = OpenAiErrorBody)]
        error: Value,
    },
}

/// What is counted.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = RealtimeUsage)]
pub(super) struct Usage {
    /// `duration`.
    pub r#type: &'static str,
    /// Of sound.
    pub seconds: f64,
}

// === impl ServerEvent ===

impl ServerEvent {
    /// As it is sent.
    pub fn text(&self, dialect: Dialect) -> String {
        let mut event = json!(self);
        if dialect == Dialect::Beta
            && let Some((beta, _)) = BETA_NAMES.iter().find(|(_, today)| event["type"] == *today)
        {
            event["type"] = (*beta).into();
        }
        event["event_id"] = format!("event_{}", Uuid::new_v4().simple()).into();
        event.to_string()
    }
}
