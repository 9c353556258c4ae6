//! What clients say.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{
    format::SoundFormat,
    response::{Message, ResponseRequest},
    session::{BetaSession, ShownSession},
    settings::{Dialect, read_field},
};
use crate::{http::problem::Problem, speech::Kind};

/// What holds no sound is short. A value of two letters takes a hundred bytes once it is parsed.
const LONGEST_WITHOUT_SOUND: usize = 64 << 10;
/// Longer names of events are not repeated.
const LONGEST_ID: usize = 512;

/// What a client says.
#[derive(Debug, PartialEq)]
pub(super) enum ClientEvent {
    /// `beta_name`: the answer is of that name.
    Update {
        session: Value,
        beta_name: bool,
    },
    Append(Vec<f32>),
    Commit,
    Clear,
    CreateItem(Message),
    CreateResponse(Box<ResponseRequest>),
    /// That one, or whichever there is.
    CancelResponse(Option<String>),
}

/// What a client sends, as `/asyncapi.json` describes it. `event_id` is what the client calls it: an `error` names it so.
#[derive(Serialize, ToSchema)]
#[serde(tag = "type")]
#[expect(dead_code, reason = "describes what is read with no copy of its sound")]
pub(super) enum DescribedEvent {
    /// Sets the session; what it does not name stays.
    #[serde(rename = "session.update")]
    Update { event_id: Option<String>, session: ShownSession },
    /// The same in the beta.
    #[serde(rename = "transcription_session.update")]
    BetaUpdate { event_id: Option<String>, session: Box<BetaSession> },
    /// The next sound.
    #[serde(rename = "input_audio_buffer.append")]
    Append {
        event_id: Option<String>,
        /// base64 of sound in the format of the session.
        audio: String,
    },
    /// The item is over; it needs 100 ms of sound.
    #[serde(rename = "input_audio_buffer.commit")]
    Commit { event_id: Option<String> },
    /// What belongs to no whole item is to be forgotten.
    #[serde(rename = "input_audio_buffer.clear")]
    Clear { event_id: Option<String> },
    /// A text that is to be spoken.
    #[serde(rename = "conversation.item.create")]
    CreateItem { event_id: Option<String>, item: Message },
    /// What was created since the response before is spoken, or what is given here.
    #[serde(rename = "response.create")]
    CreateResponse { event_id: Option<String>, response: Option<Box<ResponseRequest>> },
    /// Nothing more is said.
    #[serde(rename = "response.cancel")]
    CancelResponse { event_id: Option<String>, response_id: Option<String> },
}

/// What is wrong with what a client said, and which event it was.
#[derive(Debug)]
pub(super) struct Misunderstood {
    pub problem: Problem,
    pub event_id: Option<String>,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    event_id: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Append<'a> {
    #[serde(borrow)]
    audio: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Update {
    session: Option<Value>,
}

#[derive(Deserialize)]
struct CreateItem {
    item: Option<Value>,
}

#[derive(Deserialize)]
struct CreateResponse {
    response: Option<Value>,
}

#[derive(Deserialize)]
struct CancelResponse {
    response_id: Option<String>,
}

/// An event, and what its sender calls it.
pub(super) fn read(
    text: &str,
    format: SoundFormat,
    dialect: Dialect,
) -> Result<(ClientEvent, Option<String>), Box<Misunderstood>> {
    let head: Head<'_> = serde_json::from_str(text).map_err(|error| {
        let message = format!("the message is no event: {error}; a JSON object with type would be right");
        Box::new(Misunderstood { problem: Problem::new(Kind::Invalid, message), event_id: None })
    })?;
    let event_id = head.event_id.as_deref().filter(|id| id.len() <= LONGEST_ID).map(str::to_owned);
    match event(text, head.kind.as_deref(), format, dialect) {
        Ok(event) => Ok((event, event_id)),
        Err(problem) => Err(Box::new(Misunderstood { problem, event_id })),
    }
}

fn event(text: &str, kind: Option<&str>, format: SoundFormat, dialect: Dialect) -> Result<ClientEvent, Problem> {
    let kind = kind.ok_or_else(|| Problem::invalid("type", "the event has no type"))?;
    if kind == "input_audio_buffer.append" {
        let Append { audio } = parse(text)?;
        let audio = audio.ok_or_else(|| Problem::invalid("audio", "audio is missing; base64 would be right"))?;
        return format.samples(&audio).map(ClientEvent::Append);
    }
    if text.len() > LONGEST_WITHOUT_SOUND {
        let message = format!("the event has {} bytes; at most {LONGEST_WITHOUT_SOUND} would be right", text.len());
        return Err(Problem::new(Kind::TooLarge, message));
    }
    match kind {
        "input_audio_buffer.commit" => Ok(ClientEvent::Commit),
        "input_audio_buffer.clear" => Ok(ClientEvent::Clear),
        "conversation.item.create" => {
            let CreateItem { item } = parse(text)?;
            let item = item.ok_or_else(|| Problem::invalid("item", "item is missing; a message would be right"))?;
            Ok(ClientEvent::CreateItem(read_field("item", item)?))
        }
        "response.create" => {
            let CreateResponse { response } = parse(text)?;
            let response = response.map(|response| read_field("response", response)).transpose()?;
            Ok(ClientEvent::CreateResponse(response.unwrap_or_default()))
        }
        "response.cancel" => {
            let CancelResponse { response_id } = parse(text)?;
            Ok(ClientEvent::CancelResponse(response_id))
        }
        "session.update" => update(text, false),
        "transcription_session.update" if dialect == Dialect::Beta => update(text, true),
        "transcription_session.update" => {
            let message = "transcription_session.update is for the header `OpenAI-Beta: realtime=v1`; session.update would be right";
            Err(Problem::invalid("type", message))
        }
        other => {
            let other: String = other.chars().take(64).collect();
            let message = format!(
                "there is no event {other:?} here; session.update, input_audio_buffer.append, .commit and .clear, \
                 conversation.item.create and response.create and .cancel are"
            );
            Err(Problem::invalid("type", message))
        }
    }
}

fn update(text: &str, beta_name: bool) -> Result<ClientEvent, Problem> {
    let Update { session } = parse(text)?;
    let session = session.ok_or_else(|| Problem::invalid("session", "session is missing"))?;
    Ok(ClientEvent::Update { session, beta_name })
}

fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Problem> {
    serde_json::from_str(text).map_err(|error| Problem::new(Kind::Invalid, format!("the event is malformed: {error}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(event: Value) -> Result<(ClientEvent, Option<String>), Box<Misunderstood>> {
        read(&event.to_string(), SoundFormat::Pcm, Dialect::Ga)
    }

    #[test]
    fn events_are_read_with_the_names_that_their_senders_give_them() {
        let append = json!({"type": "input_audio_buffer.append", "event_id": "e1", "audio": "AEA="});
        assert_eq!(said(append).unwrap(), (ClientEvent::Append(vec![0.5]), Some("e1".to_owned())));
        assert_eq!(said(json!({"type": "input_audio_buffer.commit"})).unwrap(), (ClientEvent::Commit, None));
        assert_eq!(said(json!({"type": "input_audio_buffer.clear"})).unwrap(), (ClientEvent::Clear, None));
        let update = said(json!({"type": "session.update", "session": {}})).unwrap().0;
        assert_eq!(update, ClientEvent::Update { session: json!({}), beta_name: false });
    }

    #[test]
    fn what_is_no_event_is_told() {
        let long = "x".repeat(LONGEST_WITHOUT_SOUND);
        let cases = [
            (
                json!({"type": "output_audio_buffer.clear", "event_id": "e7"}),
                "there is no event \"output_audio_buffer.clear\"",
            ),
            (json!({"type": "conversation.item.create", "event_id": "e7"}), "item is missing"),
            (
                json!({"type": "conversation.item.create", "event_id": "e7", "item": {"type": "message"}}),
                "missing field `content`",
            ),
            (json!({"type": "response.create", "event_id": "e7", "response": {"tools": []}}), "unknown field `tools`"),
            (json!({"type": "response.cancel", "event_id": "e7", "response_id": 7}), "the event is malformed"),
            (json!({"event_id": "e7"}), "the event has no type"),
            (json!({"type": "input_audio_buffer.append", "event_id": "e7"}), "audio is missing"),
            (json!({"type": "input_audio_buffer.append", "event_id": "e7", "audio": 5}), "the event is malformed"),
            (json!({"type": "session.update", "event_id": "e7"}), "session is missing"),
            (json!({"type": "session.update", "event_id": "e7", "session": long}), "at most 65536"),
            (json!({"type": "transcription_session.update", "event_id": "e7"}), "session.update would be right"),
        ];
        for (event, message) in cases {
            let Misunderstood { problem, event_id } = *said(event).unwrap_err();
            assert!(problem.message.contains(message), "{problem}");
            assert_eq!(event_id.as_deref(), Some("e7"), "{problem}");
        }
        for text in ["", "{", "[]", "5", "{\"type\": 5}"] {
            let misunderstood = read(text, SoundFormat::Pcm, Dialect::Ga).unwrap_err();
            assert!(misunderstood.problem.message.contains("a JSON object with type would be right"), "{text}");
        }
    }
}
