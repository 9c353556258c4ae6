//! What bounds live hearing.

use std::time::Duration;

/// What bounds live hearing, whatever the protocol.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveConfig {
    /// Sessions at once, over all callers.
    pub max_sessions: usize,
    /// Sessions at once of one key; absent: as many as there may be.
    pub max_sessions_per_key: Option<usize>,
    /// How long a session may last.
    pub max_session: Duration,
    /// Sound of one item, and sound of a session that may wait for the model.
    pub max_item: Duration,
    /// New sound after which the item is heard again for words that are certain by now; absent: not before its end.
    pub partials: Option<Duration>,
    /// Items that are heard before their end at the same time, over all sessions.
    pub max_partials: usize,
    /// Seconds of sound that are taken in a second, once what may be ahead is used up.
    pub max_rate: usize,
    /// How far sound may be ahead of the clock.
    pub ahead: Duration,
}
