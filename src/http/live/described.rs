//! A WebSocket, as `/asyncapi.json` describes it.

use serde_json::{Map, Value, json};

/// A WebSocket, as `/asyncapi.json` describes it. Names of messages and schemas differ from those of all others.
pub(in crate::http) struct Channel {
    pub name: &'static str,
    pub address: &'static str,
    pub about: String,
    /// How a browser sends a key, which sets no headers.
    pub key: &'static str,
    /// Names and schemas of the parameters of the handshake.
    pub query: Value,
    /// What the two ways are called: what clients send, and what they are told.
    pub ways: [&'static str; 2],
    /// Messages of clients, by name.
    pub taken: Map<String, Value>,
    /// Messages to clients, by name.
    pub sent: Map<String, Value>,
    /// What the messages are made of, by name.
    pub schemas: Map<String, Value>,
}

/// A message of this name.
pub(in crate::http) fn message(name: &str, about: &str, payload: Value) -> (String, Value) {
    (name.to_owned(), json!({"name": name, "summary": about, "payload": payload}))
}
