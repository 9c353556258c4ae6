//! A recording that is still made while its form comes in: heard as it comes, and its words sent meanwhile. What hears it is a
//! live session like any other, with its bounds; what comes of it are the events of `stream=true`.

mod decoding;
mod words;

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use futures::{Stream, StreamExt, stream};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until, timeout};

use self::{
    decoding::{Decoding, RATE, Sound},
    words::Words,
};
use super::{
    bodies::{Event, Usage},
    form::Fields,
    respond::{answer, transcribe},
};
use crate::{
    http::{
        access,
        api::Api,
        arriving::{Arrival, ArrivingForm, ArrivingRecording},
        body,
        call::{call, keep_alive},
        exchange,
        form::Form,
        problem::Problem,
        sse,
    },
    service::{
        Call, ServiceError,
        live::{LiveAsk, LiveEnd, LiveError, LiveEvent, LiveSession, Reading},
    },
    speech::{Part, TranscribeMode, Warning},
};

/// A recording that is here after so long is a file that was sent, and not one that is made.
const SENT_WITHIN: Duration = Duration::from_secs(2);

/// An answer that is made while its recording comes in.
struct Answering {
    /// `None`: no more is heard.
    decoding: Option<Decoding>,
    live: LiveSession,
    words: Words,
    seconds: f64,
    warnings: Vec<Warning>,
    expires: Instant,
    api: Api,
}

/// What happens next.
enum FormEvent {
    Said(LiveEvent),
    Heard(Sound),
    /// It may be that more is heard now.
    Again,
    /// The session is as long as one may be, or the server stops.
    Ends,
}

/// Answers a form of which nobody knows how long it will be.
pub(in crate::http) async fn transcribe_arriving(
    api: &Api,
    request: &HttpRequest,
    payload: web::Payload,
    mode: TranscribeMode,
) -> Result<HttpResponse, Problem> {
    let limit = api.config.body_timeout;
    let reading = ArrivingForm::new(api, request, payload).read(SENT_WITHIN, may_be_heard);
    match timeout(limit, reading).await.map_err(|_| body::too_slow(limit))?? {
        Arrival::Form(form) => {
            exchange::work(request);
            transcribe(api, request, form, mode).await
        }
        Arrival::Recording(form, recording) => {
            let fields = Fields::take_without_recording(form, mode, &api.bodies)?;
            hear(api, request, fields, recording, mode).await
        }
    }
}

/// Whether what a form says so far can be done before its recording is whole.
fn may_be_heard(form: &Form) -> bool {
    let is = |name: &str, right: &[&str]| form.said(name).is_none_or(|said| said.is_empty() || right.contains(&said));
    form.says("stream")
        && is("response_format", &["json", "text"])
        && is("channels", &["mix"])
        && is("track", &["auto"])
        && !form.says("diarize")
        && form.names().all(|name| !matches!(name, "include" | "known_speaker_names"))
}

async fn hear(
    api: &Api,
    request: &HttpRequest,
    mut fields: Fields,
    recording: Box<ArrivingRecording>,
    mode: TranscribeMode,
) -> Result<HttpResponse, Problem> {
    let config = &api.config.realtime;
    let service = api.service.config();
    let (longest, origin) = (service.live.max_session, service.time_origin);
    let decoding = match Decoding::begin(recording, longest, origin, config.idle).await? {
        Ok(decoding) => decoding,
        Err(recording) => {
            // What is only known by its end is heard when that is here.
            let limit = api.config.body_timeout;
            let (recording, last) = timeout(limit, recording.whole()).await.map_err(|_| body::too_slow(limit))??;
            if !last {
                return Err(too_late());
            }
            exchange::work(request);
            fields.request.audio = recording.into();
            return answer(api, request, fields, mode).await;
        }
    };
    let keep_alive = keep_alive(request, fields.keep_alive);
    // How long it may take is for each item.
    let call = Call { keep_alive, deadline: None, ..call(request, "openai", Some(fields.model), fields.wait)? };
    let ask = LiveAsk {
        rate: RATE,
        detection: Some(fields.request.voice_activity.unwrap_or_default()),
        model: call.model.clone(),
        options: fields.request.options,
    };
    let live = api.service.hear_live(call, access::principal(request).name, ask, None)?;
    let expires = Instant::now() + live.longest();
    let (decoding, words, warnings) = (Some(decoding), Words::default(), Vec::new());
    let answering = Answering { decoding, live, words, seconds: 0.0, warnings, expires, api: api.clone() };
    Ok(sse::response(answering.events()))
}

fn too_late() -> Problem {
    Problem::invalid("file", "the field file is the last of a form that is sent while its recording is made")
}

// === impl Answering ===

impl Answering {
    fn events(self) -> impl Stream<Item = Value> {
        let events = stream::unfold(Some(self), |answering| async move {
            let mut answering = answering?;
            if answering.decoding.is_none() && answering.live.is_done() {
                return Some((vec![json!(answering.done())], None));
            }
            match answering.step().await {
                Ok(events) => Some((events.iter().map(|event| json!(event)).collect(), Some(answering))),
                Err((end, problem)) => {
                    answering.live.finish(end);
                    Some((vec![problem.openai_body()], None))
                }
            }
        });
        events.flat_map(stream::iter)
    }

    async fn step(&mut self) -> Result<Vec<Event>, (LiveEnd, Problem)> {
        let reading = self.live.reading();
        let draining = self.api.draining.clone();
        let happening = tokio::select! {
            biased;
            () = draining.begun(), if self.decoding.is_some() => FormEvent::Ends,
            () = sleep_until(self.expires), if self.decoding.is_some() => FormEvent::Ends,
            said = self.live.next() => FormEvent::Said(said),
            heard = heard(&mut self.decoding), if reading == Reading::Now => FormEvent::Heard(heard),
            () = reading.changes() => FormEvent::Again,
        };
        match happening {
            FormEvent::Said(said) => self.said(said),
            FormEvent::Heard(Sound::Samples(samples)) => self.hear(&samples),
            FormEvent::Heard(Sound::End { broke_off }) => {
                self.warnings.extend(broke_off.then_some(Warning::TRUNCATED));
                self.end().await
            }
            FormEvent::Heard(Sound::Wrong(error)) => Err((LiveEnd::Malformed, ServiceError::Audio(error).into())),
            FormEvent::Again => Ok(Vec::new()),
            FormEvent::Ends => {
                self.warnings.push(Warning::TRUNCATED);
                self.decoding = None;
                self.live.end();
                Ok(Vec::new())
            }
        }
    }

    fn hear(&mut self, samples: &[f32]) -> Result<Vec<Event>, (LiveEnd, Problem)> {
        self.seconds += samples.len() as f64 / f64::from(RATE);
        match self.live.hear(samples) {
            Ok(()) => Ok(Vec::new()),
            Err(error) => {
                let end =
                    if matches!(error, LiveError::Allowance(_)) { LiveEnd::Allowance } else { LiveEnd::Malformed };
                Err((end, error.into()))
            }
        }
    }

    /// The recording is over: what is left of it is an item.
    async fn end(&mut self) -> Result<Vec<Event>, (LiveEnd, Problem)> {
        self.live.end();
        let followed = match self.decoding.take() {
            Some(decoding) => decoding.leaves_more().await,
            None => false,
        };
        if followed { Err((LiveEnd::Malformed, too_late())) } else { Ok(Vec::new()) }
    }

    fn said(&mut self, event: LiveEvent) -> Result<Vec<Event>, (LiveEnd, Problem)> {
        let delta = match event {
            LiveEvent::Delta { item, text } => Some(self.words.delta(item, &text)),
            LiveEvent::Completed { text, .. } => {
                self.words.complete(&text);
                None
            }
            LiveEvent::Failed { problem, .. } => return Err((LiveEnd::Left, problem)),
            LiveEvent::Started { .. }
            | LiveEvent::Stopped { .. }
            | LiveEvent::Committed { .. }
            | LiveEvent::Partial { .. } => None,
        };
        let delta = delta.map(|delta| Event::Delta { delta, part: Part::WHOLE, logprobs: None, segment_id: None });
        Ok(delta.into_iter().collect())
    }

    fn done(&mut self) -> Event {
        Event::Done {
            text: self.words.whole(),
            logprobs: None,
            usage: Usage::of(self.seconds),
            warnings: std::mem::take(&mut self.warnings),
        }
    }
}

async fn heard(decoding: &mut Option<Decoding>) -> Sound {
    match decoding {
        Some(decoding) => decoding.next().await,
        None => std::future::pending().await,
    }
}
