//! `POST /v1/audio/voice-conversions`: speech in, the same speech by another voice out.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    http::{
        api::Api,
        body::{self, Shape},
        call::{call, keep_alive},
        form::Form,
        native::{
            fields,
            sound::EncodedSound,
            sound_format::SoundFormat,
            sound_response::{FileFormat, StreamFormat, respond},
            voice::{AskedVoice, Speaker},
        },
        problem::Problem,
        wait,
    },
    lifecycle::KeepAlive,
    service::{Call, ConvertRequest, Recording},
    speech::{ConvertOptions, TaskKind, VoiceInput},
};

const KNOWN: &str =
    "file, model, voice, target, response_format, sample_rate, stream, seed, options, wait, timeout, keep_alive";

/// The form of a conversion.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes a form, which is read field by field")]
pub(super) struct VoiceConversionForm {
    /// The recording that is to be spoken by another voice.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    /// A name or an alias; the default of those that convert if absent.
    model: Option<String>,
    /// Whose voice it becomes: one of `/v1/audio/voices`, or `a:0.7,b:0.3`; the model's default if absent.
    voice: Option<String>,
    /// Instead of a voice: a recording of the speaker, 1 to 60 seconds long.
    #[schema(value_type = Option<String>, format = Binary)]
    target: Option<Vec<u8>>,
    response_format: Option<FileFormat>,
    /// Hertz, 8000 to 48000; the model's own if absent.
    sample_rate: Option<u32>,
    /// The sound as events, as `stream_format: sse` of `/v1/audio/speech` has it.
    stream: Option<bool>,
    /// Equal seeds convert alike.
    seed: Option<u64>,
    /// Knobs of the model's family, as a JSON object.
    options: Option<String>,
    /// Seconds to wait for the model.
    wait: Option<f64>,
    /// Seconds in which the whole answer is wanted; the header `X-Request-Timeout` says the same.
    timeout: Option<f64>,
    /// How long the model is to stay in memory afterwards.
    keep_alive: Option<String>,
}

/// A form, understood but for the voice.
struct Fields {
    file: Recording,
    model: Option<String>,
    voice: Voice,
    format: SoundFormat,
    stream_format: StreamFormat,
    options: ConvertOptions,
    wait: Option<f64>,
    timeout: Option<f64>,
    keep_alive: Option<KeepAlive>,
}

enum Voice {
    Usual,
    Asked(AskedVoice),
    Sample(Recording),
}

/// Speech to the same speech by another voice, sent while it is made.
#[utoipa::path(
    post, path = "/v1/audio/voice-conversions", operation_id = "voice_conversions", tag = "OpenAI",
    request_body(content = VoiceConversionForm, content_type = "multipart/form-data"),
    responses(
        (status = 200, description = "The sound, or events of it", content(
            (Vec<u8> = "audio/mpeg"), (String = "text/event-stream"),
        )),
    ),
)]
pub(super) async fn voice_conversions(
    api: web::Data<Api>,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    answer(&api, &request, payload).await.unwrap_or_else(|problem| problem.openai())
}

async fn answer(api: &Api, request: &HttpRequest, payload: web::Payload) -> Result<HttpResponse, Problem> {
    let body = body::read(request, payload, api).await?;
    let Shape::Form = body.shape() else {
        return Err(body.not_taken("multipart/form-data, with the recording as the field file"));
    };
    let fields = Fields::take(Form::read(api, request, body).await?)?;
    let Fields { file, model, voice, format, stream_format, options, wait, timeout, keep_alive: stay } = fields;
    api.service.check("openai", model.as_deref(), TaskKind::Convert)?;
    let voice = voice.find(api, model.as_deref()).await?;
    let deadline = wait::deadline(request, timeout)?;
    let call = Call { keep_alive: keep_alive(request, stay), deadline, ..call(request, "openai", model, wait)? };
    let asked = ConvertRequest { audio: file.into(), options: ConvertOptions { voice, ..options } };
    let converted =
        api.service.convert(call, asked).await.map_err(|error| Problem::from(error).renamed("audio", "file"));
    respond(EncodedSound::new(converted?, format), stream_format).await
}

// === impl Fields ===

impl Fields {
    fn take(mut form: Form) -> Result<Self, Problem> {
        let (file, target) = (form.file()?, form.optional_recording("target"));
        let format = form.text("response_format")?.map(file_format).transpose()?.unwrap_or_default();
        let rate = form.parse("sample_rate", "a number of hertz")?;
        let stream = form.parse::<bool>("stream", "true or false")?.unwrap_or(false);
        let options = form.text("options")?.map(|text| fields::options(&text)).transpose()?.unwrap_or_default();
        let fields = Self {
            file,
            model: form.text("model")?,
            voice: Voice::of(form.text("voice")?, target)?,
            format: SoundFormat::new(format.into(), rate)?,
            stream_format: if stream { StreamFormat::Sse } else { StreamFormat::Audio },
            options: ConvertOptions { voice: None, seed: form.parse("seed", "a whole number")?, options },
            wait: form.parse("wait", "a number of seconds")?,
            timeout: form.parse("timeout", "a number of seconds")?,
            keep_alive: form.parse("keep_alive", "a number of seconds, or a duration such as 5m")?,
        };
        form.finish(KNOWN)?;
        Ok(fields)
    }
}

fn file_format(name: String) -> Result<FileFormat, Problem> {
    serde_json::from_value(Value::String(name))
        .map_err(|error| Problem::invalid("response_format", format!("response_format: {error}")))
}

// === impl Voice ===

impl Voice {
    fn of(name: Option<String>, target: Option<Recording>) -> Result<Self, Problem> {
        match (name, target) {
            (Some(_), Some(_)) => Err(Problem::invalid(
                "target",
                "voice and target both say whose voice it is to become; send one of them",
            )),
            (Some(name), None) => Ok(Self::Asked(AskedVoice::named(&name)?)),
            (None, Some(target)) => Ok(Self::Sample(target)),
            (None, None) => Ok(Self::Usual),
        }
    }

    async fn find(self, api: &Api, model: Option<&str>) -> Result<Option<VoiceInput>, Problem> {
        let speaker = Speaker { service: &api.service, model, task: TaskKind::Convert };
        match self {
            Self::Usual => Ok(None),
            Self::Asked(voice) => voice.find_named(speaker).await,
            Self::Sample(sample) => {
                let found = api.service.voices().of_sample(sample, None).await;
                Ok(Some(VoiceInput::Reference(found.map_err(|error| Problem::from(error).about("target"))?)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use utoipa::PartialSchema;

    use super::*;

    #[test]
    fn the_described_fields_are_the_known_ones() {
        let schema = serde_json::to_value(VoiceConversionForm::schema()).unwrap();
        let described: Vec<&str> = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        let mut known: Vec<&str> = KNOWN.split(", ").collect();
        known.sort_by_key(|name| described.iter().position(|described| described == name));
        assert_eq!(described, known);
    }
}
