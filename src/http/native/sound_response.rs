//! Sound as OpenAI's clients are sent it: the bytes of a file, or events with them.

use actix_web::{HttpResponse, error};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use futures::stream;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::sound::EncodedSound;
use crate::{
    audio::AudioFormat,
    http::{problem::Problem, sse},
    speech::SpeechSummary,
};

/// How the sound is written.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = SpeechFormat)]
pub(in crate::http) enum FileFormat {
    #[default]
    Mp3,
    /// In Ogg.
    Opus,
    /// In ADTS.
    Aac,
    Flac,
    Wav,
    /// Signed 16-bit little-endian samples, at 24 kHz unless `sample_rate` says otherwise.
    Pcm,
}

/// How the sound is sent.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::http) enum StreamFormat {
    #[default]
    Audio,
    Sse,
}

/// The first bytes are awaited before the status is sent, so that a request which fails at once fails with its status.
pub(in crate::http) async fn respond(
    mut sound: EncodedSound,
    stream_format: StreamFormat,
) -> Result<HttpResponse, Problem> {
    let first = sound.next().await.transpose()?;
    Ok(match stream_format {
        StreamFormat::Audio => bytes(sound, first),
        StreamFormat::Sse => sse::response(events(sound, first)),
    })
}

/// A failure in its midst breaks the body off: it is never a short success.
fn bytes(sound: EncodedSound, first: Option<Bytes>) -> HttpResponse {
    let media_type = sound.format().media_type();
    let body = stream::unfold((sound, first), |(mut sound, first)| async move {
        let bytes = match first {
            Some(bytes) => Ok(bytes),
            None => sound.next().await?.map_err(|problem| error::ErrorInternalServerError(problem.message)),
        };
        Some((bytes, (sound, None)))
    });
    HttpResponse::Ok()
        .content_type(media_type)
        // nginx would gather the stream otherwise.
        .insert_header(("x-accel-buffering", "no"))
        .streaming(body)
}

/// `speech.audio.delta` with base64, then `speech.audio.done`; or an error.
fn events(sound: EncodedSound, first: Option<Bytes>) -> impl stream::Stream<Item = Value> {
    stream::unfold((Some(sound), first), |(sound, first)| async move {
        let mut sound = sound?;
        let next = match first {
            Some(bytes) => Some(Ok(bytes)),
            None => sound.next().await,
        };
        Some(match next {
            Some(Ok(bytes)) => (delta(&bytes), (Some(sound), None)),
            Some(Err(problem)) => (problem.openai_body(), (None, None)),
            None => (done(&sound), (None, None)),
        })
    })
}

fn delta(bytes: &Bytes) -> Value {
    json!({"type": "speech.audio.delta", "audio": BASE64_STANDARD.encode(bytes)})
}

/// Models here do not count what they read in tokens. `marks` is a field of ours, where the model knows them, and so is
/// `watermark`, where something marks the sound.
fn done(sound: &EncodedSound) -> Value {
    let SpeechSummary { tokens, marks, .. } = sound.summary.clone().unwrap_or_default();
    let usage = json!({"input_tokens": 0, "output_tokens": tokens, "total_tokens": tokens});
    let mut done = json!({"type": "speech.audio.done", "usage": usage});
    if let Some(watermark) = sound.watermark() {
        done["watermark"] = watermark.into();
    }
    if !marks.is_empty() {
        done["marks"] = json!(marks);
    }
    done
}

// === impl FileFormat ===

impl From<FileFormat> for AudioFormat {
    fn from(format: FileFormat) -> Self {
        match format {
            FileFormat::Mp3 => Self::Mp3,
            FileFormat::Opus => Self::Opus,
            FileFormat::Aac => Self::Aac,
            FileFormat::Flac => Self::Flac,
            FileFormat::Wav => Self::Wav,
            FileFormat::Pcm => Self::Pcm,
        }
    }
}
