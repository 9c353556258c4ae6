//! A form that is read while it comes in, since its recording may still be made.

use std::time::Duration;

use actix_multipart::{Field, Multipart};
use actix_web::{HttpRequest, web};
use bytes::Bytes;
use futures::StreamExt;
use tokio::time::timeout;

use super::{
    api::Api,
    form::{Form, MOST_TEXT, hint, malformed, too_many},
    problem::Problem,
    unknown::Unknown,
};
use crate::{
    service::{MemoryBudget, MemoryShare, Recording},
    speech::Kind,
};

/// The field whose recording may still be made.
const FILE: &str = "file";
/// Bytes that are read before the other callers of the thread have their turn.
const TURN: usize = 256 << 10;

/// A form of which some is here.
pub(in crate::http) struct ArrivingForm {
    form: Form,
    parts: Multipart,
    count: usize,
    text_left: usize,
    most: usize,
    limit: usize,
    bodies: MemoryBudget,
}

/// The recording of a form that still comes in. All fields before it are here.
pub(in crate::http) struct ArrivingRecording {
    pub hint: Option<String>,
    /// What came so far, as long as it is kept.
    kept: Vec<u8>,
    share: MemoryShare,
    field: Field,
    /// All of it is here.
    over: bool,
    rest: ArrivingForm,
}

/// What is there when somebody has waited for it.
pub(in crate::http) enum Arrival {
    Form(Form),
    /// The form, and its recording, of which more is to come.
    Recording(Form, Box<ArrivingRecording>),
}

// === impl ArrivingForm ===

impl ArrivingForm {
    pub fn new(api: &Api, request: &HttpRequest, payload: web::Payload) -> Self {
        Self {
            form: Form::empty(Unknown::of(request)),
            parts: Multipart::new(request.headers(), payload),
            count: 0,
            text_left: MOST_TEXT,
            most: api.config.max_fields,
            limit: api.config.body_limit,
            bodies: api.bodies.clone(),
        }
    }

    /// Reads until all of it is here, or a recording goes on for longer than `patience` in a form that is `wanted` before it
    /// is whole.
    pub async fn read(mut self, patience: Duration, wanted: impl Fn(&Form) -> bool) -> Result<Arrival, Problem> {
        while let Some(part) = self.next().await? {
            if part.name() != Some(FILE) || !wanted(&self.form) || self.form.has_recording(FILE) {
                self.form.take_part(part, &mut self.text_left, &self.bodies).await?;
                continue;
            }
            let (hint, share) = (hint(&part), self.bodies.nothing());
            let mut recording =
                ArrivingRecording { hint, kept: Vec::new(), share, field: part, over: false, rest: self };
            match timeout(patience, recording.gather()).await {
                Ok(gathered) => gathered?,
                Err(_) => {
                    let form = std::mem::replace(&mut recording.rest.form, Form::empty(Unknown::default()));
                    return Ok(Arrival::Recording(form, Box::new(recording)));
                }
            }
            let ArrivingRecording { hint, kept, share, field, rest, .. } = recording;
            drop(field);
            self = rest;
            self.form.put_recording(FILE, Recording { bytes: share.hold(kept), hint });
        }
        Ok(Arrival::Form(self.form))
    }

    async fn next(&mut self) -> Result<Option<Field>, Problem> {
        let part = self.parts.next().await.transpose().map_err(malformed)?;
        self.count += usize::from(part.is_some());
        if self.count > self.most { Err(too_many(self.most)) } else { Ok(part) }
    }
}

// === impl ArrivingRecording ===

impl ArrivingRecording {
    /// A copy of what is kept.
    pub fn so_far(&self) -> Bytes {
        Bytes::copy_from_slice(&self.kept)
    }

    /// Nothing of it is needed any more.
    pub fn forget(&mut self) {
        self.kept = Vec::new();
        // Less is always to be had.
        let _ = self.share.resize(0);
    }

    /// What comes next; `None`: that was all. May be dropped and called again at any time.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        if self.over {
            return Ok(None);
        }
        let next = self.field.next().await.transpose().map_err(malformed)?;
        self.over = next.is_none();
        Ok(next)
    }

    /// The same, and keeps it.
    pub async fn keep_next(&mut self) -> Result<Option<Bytes>, Problem> {
        let Some(chunk) = self.next().await? else { return Ok(None) };
        let length = self.kept.len() + chunk.len();
        if length > self.rest.limit {
            return Err(too_large(self.rest.limit));
        }
        self.share.resize(length)?;
        self.kept.extend_from_slice(&chunk);
        Ok(Some(chunk))
    }

    /// Whether it was the last part of its form.
    pub async fn ends_its_form(self) -> Result<bool, Problem> {
        let Self { field, mut rest, .. } = self;
        drop(field);
        Ok(rest.next().await?.is_none())
    }

    /// All of it, and whether it is the last part of its form.
    pub async fn whole(mut self) -> Result<(Recording, bool), Problem> {
        self.gather().await?;
        let (bytes, share) =
            (std::mem::take(&mut self.kept), std::mem::replace(&mut self.share, self.rest.bodies.nothing()));
        let hint = self.hint.take();
        Ok((Recording { bytes: share.hold(bytes), hint }, self.ends_its_form().await?))
    }

    async fn gather(&mut self) -> Result<(), Problem> {
        let mut turn = TURN;
        while let Some(chunk) = self.keep_next().await? {
            match turn.checked_sub(chunk.len()) {
                Some(left) => turn = left,
                None => {
                    turn = TURN;
                    tokio::task::yield_now().await;
                }
            }
        }
        Ok(())
    }
}

fn too_large(limit: usize) -> Problem {
    let message = format!("the recording is larger than {limit} bytes; `limits.max_body` sets the limit");
    Problem::new(Kind::TooLarge, message)
}
