//! What bounds the protocol.

use std::time::Duration;

/// What bounds the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// 0 picks a free one, which the log names; absent: the protocol is not spoken.
    pub port: Option<u16>,
    /// Connections at once.
    pub max_connections: usize,
    /// Bytes of the line of an event, and of the JSON that may follow it.
    pub max_header: usize,
    /// Bytes of the sound of an event.
    pub max_payload: usize,
    /// Sound that is transcribed in one go.
    pub max_audio: Duration,
    /// Without an event for so long a connection ends, and one that takes nothing for so long.
    pub idle: Duration,
}
