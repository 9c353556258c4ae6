//! A text that is spoken over a connection: by a task of its own, which makes no more than a client takes.

use std::sync::Arc;

use actix_web::rt::task::JoinHandle;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::{
    audio::{AudioFormat, Pcm},
    http::{
        native::{
            sound_encoder::SoundEncoder,
            sound_format::SoundFormat,
            speak::SpeakFields,
            voice::{AskedVoice, Speaker},
        },
        problem::Problem,
        realtime::{events::Events, output_settings::OutputSettings},
    },
    service::{Call, Service},
    speech::{Kind, TaskKind},
};

/// Pieces of sound that wait for a client.
const AHEAD: usize = 4;

/// A text that is being spoken. Dropping it stops that.
pub(in crate::http::realtime) struct Response {
    pub(super) ids: ResponseIds,
    pub(super) text: String,
    pub(super) metadata: Option<Map<String, Value>>,
    spoken: mpsc::Receiver<Spoken>,
    task: JoinHandle<()>,
}

/// What a response and its one item are called.
#[derive(Clone, Debug)]
pub(super) struct ResponseIds {
    pub response: String,
    pub item: String,
    /// The item before.
    pub previous: Option<String>,
}

/// What comes of a response.
#[derive(Debug)]
pub(in crate::http::realtime) enum Spoken {
    /// base64 of sound in the format that was asked for.
    Audio(String),
    /// Nothing comes after it.
    Over(Result<(), Problem>),
}

// === impl Response ===

impl Response {
    /// Has the service speak a text. `call`: of the session.
    pub fn start(
        text: String,
        output: OutputSettings,
        metadata: Option<Map<String, Value>>,
        service: Service,
        call: &Call,
        events: &mut Events,
    ) -> Self {
        let id = Uuid::new_v4().simple();
        let (response, item) = (format!("resp_{id}"), format!("item_{id}"));
        let ids = ResponseIds { response, previous: events.follow(&item), item };
        let call = Call { id: ids.response.clone(), model: output.model.clone(), deadline: None, ..call.clone() };
        let (sender, spoken) = mpsc::channel(AHEAD);
        let said = text.clone();
        #[expect(clippy::disallowed_methods, reason = "it ends with the response, which aborts it")]
        let task = actix_web::rt::spawn(async move {
            let over = speak(&service, call, said, output, &sender).await;
            // Who has gone is told nothing.
            let _ = sender.send(Spoken::Over(over)).await;
        });
        Self { ids, text, metadata, spoken, task }
    }

    /// What it is called.
    pub fn id(&self) -> &str {
        &self.ids.response
    }

    /// What comes next.
    pub async fn next(&mut self) -> Spoken {
        let gone = || Spoken::Over(Err(Problem::new(Kind::Internal, "the speech ended without its last piece")));
        self.spoken.recv().await.unwrap_or_else(gone)
    }
}

impl Drop for Response {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn speak(
    service: &Service,
    call: Call,
    text: String,
    output: OutputSettings,
    sender: &mpsc::Sender<Spoken>,
) -> Result<(), Problem> {
    let OutputSettings { format, voice, language, speed, instructions, .. } = output;
    let speaker = Speaker { service, model: call.model.as_deref(), task: TaskKind::Synthesize };
    let voice = match voice {
        Some(voice) => AskedVoice::read(&Arc::new(voice))?.find_named(speaker).await?,
        None => None,
    };
    let fields = SpeakFields { language, speed, instructions, ..SpeakFields::default() };
    let mut speaking = service.speak(call, fields.request(text, voice)).await?;
    let mut encoder = SoundEncoder::new(SoundFormat::new(AudioFormat::Pcm, Some(format.rate()))?);
    loop {
        let (bytes, over) = match speaking.next_sound().await? {
            Some(pcm) => (encoder.push(Pcm::new(pcm.mono().into_owned(), pcm.rate())).await?, false),
            None => (encoder.finish()?, true),
        };
        let gone =
            !bytes.is_empty() && sender.send(Spoken::Audio(STANDARD.encode(format.bytes(&bytes)))).await.is_err();
        if over || gone {
            return Ok(());
        }
    }
}
