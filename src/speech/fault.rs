//! What a failure means, said once where it happens; the HTTP status is chosen at the edge, in `http::problem`.

use std::time::Duration;

/// The meaning of a failure, as far as a caller can act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The request is wrong and will be wrong again.
    Invalid,
    /// No model or route of that name.
    NotFound,
    /// The route has no such method.
    WrongMethod,
    /// Understood, but this model or build cannot do it.
    Unsupported,
    /// The body or the recording exceeds a limit.
    TooLarge,
    /// The body did not arrive in time.
    TooSlow,
    /// The body is of a type that is not taken here.
    UnsupportedMedia,
    /// The queue is full; try again soon.
    Busy,
    /// The model is on its way; try again later.
    Loading,
    /// The model cannot be had at present, for a reason that the message gives.
    Unavailable,
    /// The model can never fit into the memory that it may use.
    WontFit,
    /// The caller's own time limit passed.
    Deadline,
    /// The caller left.
    Cancelled,
    /// The caller did not say who it is, or is not known.
    Unauthenticated,
    /// The operation is closed by configuration, or to this caller.
    Forbidden,
    /// The server is going down.
    Stopping,
    /// Our fault.
    Internal,
}

/// An error that knows what it means to a caller. `Display` is the text that a client may read: it says what was wrong
/// and what would be right, and holds no path of the host and no `Debug` output.
pub trait Fault: std::error::Error + Send + Sync {
    fn kind(&self) -> Kind;

    /// When a retry makes sense, if it does.
    fn retry_after(&self) -> Option<Duration> {
        None
    }

    /// Whether the same request can ever succeed without somebody changing something.
    fn permanent(&self) -> bool {
        !matches!(
            self.kind(),
            Kind::Busy | Kind::Loading | Kind::Unavailable | Kind::Deadline | Kind::TooSlow | Kind::Stopping
        )
    }

    /// The request field at fault.
    fn param(&self) -> Option<&str> {
        None
    }

    /// The model that would have to come first, and what is known of when.
    fn awaited(&self) -> Option<Awaited> {
        None
    }
}

/// A model that a request waited for in vain.
#[derive(Clone, Debug, PartialEq, serde::Deserialize, serde::Serialize)]
pub struct Awaited {
    pub model: String,
    /// Until it is there, as far as that can be told.
    pub eta: Option<Duration>,
}
