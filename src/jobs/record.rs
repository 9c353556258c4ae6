//! A job as it is written down, as it is asked for, and as it is shown.

use std::{fmt, time::Duration};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    progress::Progress,
    state::{Phase, State},
    timestamp::Timestamp,
};

/// The name of a job. Later ones sort behind earlier ones.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(transparent)]
pub struct JobId(String);

/// On whose behalf something is done: whose jobs are added, and which can be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Of new jobs.
    pub name: Option<String>,
    /// Whether jobs of others can be seen as well.
    pub sees_all: bool,
}

/// What somebody wants done.
#[derive(Clone, Debug)]
pub struct JobRequest {
    /// What is wanted, in the worker's words, without the recording.
    pub parameters: Value,
    pub recording: Option<Recording>,
    /// Who is told at the end.
    pub webhook: Option<String>,
    /// The caller's name for this request: the same one again is the same job.
    pub key: Option<String>,
    /// What is known of its result, as it is shown.
    pub estimate: Option<Estimate>,
    /// Bytes that its result takes here, at most; 0 where nobody knows, or where it goes elsewhere.
    pub room: u64,
}

/// What a job makes at most, as far as that can be told before it is begun.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize, utoipa::ToSchema)]
pub struct Estimate {
    /// Of a text with sections, such as lyrics: those that are made.
    pub sections: usize,
    /// Of sound.
    pub seconds: f64,
    /// Of its sound as it is written, all stems together.
    pub bytes: u64,
}

/// What a worker gets.
#[derive(Clone, Debug)]
pub struct WorkItem {
    pub id: JobId,
    pub parameters: Value,
    pub recording: Option<Recording>,
    /// How far an earlier try came, in the worker's words.
    pub checkpoint: Option<Bytes>,
}

/// A recording as it came in, or a text: what lies beside a job.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    pub bytes: Bytes,
    /// What it is, in the worker's words: a media type, or a file name, which may be wrong.
    pub hint: Option<String>,
}

/// A job, as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    pub id: JobId,
    pub created: Timestamp,
    pub state: State,
    pub estimate: Option<Estimate>,
    pub progress: Option<Progress>,
    /// Of one that waits for its turn.
    pub turn: Option<Turn>,
    pub webhook: Option<Webhook>,
    /// Of one that succeeded; lists leave it out.
    pub result: Option<Value>,
}

/// When a job that waits may be begun.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Turn {
    /// 1: the next.
    pub position: usize,
    /// Until it is done, if those before it take as long as those that ended lately; `None` while none has.
    pub eta: Option<Duration>,
}

/// A job, as it is written down. Its recording and its result lie beside it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(super) struct Record {
    pub id: JobId,
    pub created: Timestamp,
    /// Who submitted it, where principals have names.
    #[serde(default)]
    pub owner: Option<String>,
    #[serde(rename = "ask")]
    pub parameters: Value,
    /// Of its recording, if it has one.
    pub hint: Option<String>,
    pub recorded: bool,
    /// What lies beside it, in bytes.
    pub bytes: u64,
    /// Of its checkpoint, which lies there as well; 0 without one.
    #[serde(default)]
    pub checkpoint: u64,
    pub key: Option<Key>,
    pub webhook: Option<Webhook>,
    #[serde(default)]
    pub estimate: Option<Estimate>,
    /// Bytes that its result may take.
    #[serde(default)]
    pub room: u64,
    pub state: State,
}

/// An `Idempotency-Key` and the digest of what came with it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(super) struct Key {
    pub name: String,
    pub digest: String,
}

/// Somebody who is to be told, and how far that is.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Webhook {
    pub url: String,
    pub delivery: Delivery,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Delivery {
    /// It was tried so often, and is tried again then.
    Pending {
        tries: u32,
        due: Timestamp,
    },
    Delivered,
    GivenUp,
}

/// [`Delivery`] without what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WebhookState {
    Pending,
    Delivered,
    GivenUp,
}

// === impl JobId ===

impl JobId {
    pub(super) fn new(now: Timestamp) -> Self {
        let random = uuid::Uuid::new_v4().simple().to_string();
        Self(format!("job-{:012x}{}", now.milliseconds(), &random[..20]))
    }

    /// One that a caller names; whether there is such a job is seen when it is looked up.
    pub fn named(name: &str) -> Self {
        Self(name.to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl Principal ===

impl Principal {
    /// One of whom nothing is known, where nobody is known.
    pub const ANYBODY: Self = Self { name: None, sees_all: true };

    pub(super) fn sees(&self, record: &Record) -> bool {
        self.sees_all || (self.name.is_some() && self.name == record.owner)
    }
}

// === impl Webhook ===

impl Webhook {
    pub fn state(&self) -> WebhookState {
        match self.delivery {
            Delivery::Pending { .. } => WebhookState::Pending,
            Delivery::Delivered => WebhookState::Delivered,
            Delivery::GivenUp => WebhookState::GivenUp,
        }
    }
}

// === impl Record ===

impl Record {
    pub fn new(request: &JobRequest, owner: Option<String>, now: Timestamp) -> Self {
        let JobRequest { parameters, recording, webhook, key, estimate, room } = request;
        let pending = |url: &String| Webhook { url: url.clone(), delivery: Delivery::Pending { tries: 0, due: now } };
        Self {
            id: JobId::new(now),
            created: now,
            owner,
            parameters: parameters.clone(),
            hint: recording.as_ref().and_then(|recording| recording.hint.clone()),
            recorded: recording.is_some(),
            bytes: recording.as_ref().map_or(0, |recording| recording.bytes.len() as u64),
            checkpoint: 0,
            key: key.as_ref().map(|name| Key { name: name.clone(), digest: digest(request) }),
            webhook: webhook.as_ref().map(pending),
            estimate: *estimate,
            room: *room,
            state: State::Queued { interruptions: 0, due: now, reason: None },
        }
    }

    pub fn phase(&self) -> Phase {
        self.state.phase()
    }

    /// All that lies beside it, in bytes.
    pub fn held(&self) -> u64 {
        self.bytes + self.checkpoint
    }

    pub fn view(&self, progress: Option<Progress>) -> View {
        View {
            id: self.id.clone(),
            created: self.created,
            state: self.state.clone(),
            estimate: self.estimate,
            progress,
            turn: None,
            webhook: self.webhook.clone(),
            result: None,
        }
    }

    /// When the webhook is to be tried, if it is: not before the end of the job.
    pub fn delivery_due(&self) -> Option<Timestamp> {
        match self.webhook.as_ref()?.delivery {
            Delivery::Pending { due, .. } if self.phase().is_end() => Some(due),
            _ => None,
        }
    }
}

/// Of all that makes two requests the same.
pub(super) fn digest(request: &JobRequest) -> String {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    hash.update(request.parameters.to_string());
    hash.update([0]);
    hash.update(request.webhook.as_deref().unwrap_or_default());
    hash.update([0]);
    hash.update(request.recording.as_ref().map_or(&[][..], |recording| &recording.bytes));
    hex::encode(hash.finalize())
}
