//! One thing to be done, and where its answer goes.

use actix_web::HttpRequest;
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{
    render,
    request::{Ask, Format},
};
use crate::{
    http::{api::Api, call::call, problem::Problem},
    service::{Call, Recording, Transcription},
    speech::{TaskKind, Timestamps, Transcript},
};

/// How the answers of a request are given, which `parameters` say beside what is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::http) struct Delivery {
    /// `gs://…` or `s3://…`: answers are written there, and what is sent says where.
    pub output_uri: Option<String>,
    /// As server-sent events, while they are made.
    pub stream: bool,
}

/// An instance, or a body without the envelope.
pub(in crate::http) struct Item {
    call: Call,
    ask: Ask,
    /// The recording, where the body is one.
    raw: Option<Recording>,
    /// The object that the answer is written to.
    output: Option<String>,
}

/// An item whose answer is being made.
pub(in crate::http) struct Begun {
    pub transcription: Transcription,
    pub timestamps: Timestamps,
    format: Format,
    output: Option<String>,
}

/// An answer.
pub(in crate::http) enum Prediction {
    Json(Value),
    Text(Format, String),
}

// === impl Delivery ===

impl Delivery {
    /// Takes the fields of the delivery out of those of a request.
    pub fn take(fields: &mut Map<String, Value>) -> Result<Self, Problem> {
        let output_uri = output_uri(fields)?;
        let stream = match fields.remove("stream") {
            None => false,
            // A query has texts only.
            Some(value) => value.as_bool().or_else(|| value.as_str()?.parse().ok()).ok_or_else(|| {
                Problem::invalid("stream", format!("stream is {value}; true or false would be right"))
            })?,
        };
        Ok(Self { output_uri, stream })
    }

    /// The object below the prefix that an instance without one of its own is written to.
    pub fn output_of(&self, instance: usize, format: Format) -> Option<String> {
        let prefix = self.output_uri.as_ref()?.trim_end_matches('/');
        Some(format!("{prefix}/{instance}.{}", render::extension(format)))
    }
}

/// Takes the field `output_uri` out of others.
pub(in crate::http) fn output_uri(fields: &mut Map<String, Value>) -> Result<Option<String>, Problem> {
    match fields.remove("output_uri") {
        None => Ok(None),
        Some(Value::String(uri)) => Ok(Some(uri)),
        Some(other) => {
            Err(Problem::invalid("output_uri", format!("output_uri is {other}; gs:// or s3:// and a place is right")))
        }
    }
}

// === impl Item ===

impl Item {
    pub fn new(
        request: &HttpRequest,
        ask: Ask,
        raw: Option<Recording>,
        output: Option<String>,
    ) -> Result<Self, Problem> {
        let call = Call { keep_alive: ask.keep_alive, ..call(request, "vertex", ask.model.clone(), ask.wait)? };
        Ok(Self { call, ask, raw, output })
    }

    /// The whole answer, or where it is.
    pub async fn predict(self, api: &Api) -> Result<Prediction, Problem> {
        let Begun { transcription, timestamps, format, output } = self.begin(api).await?;
        let heard = transcription.whole().await?;
        deliver(api, &heard, timestamps, format, output).await
    }

    /// Brings the recording to the model.
    pub async fn begin(self, api: &Api) -> Result<Begun, Problem> {
        let Self { call, mut ask, raw, output } = self;
        if ask.task() != TaskKind::Transcribe {
            return Err(api.service.refuse(call.protocol, call.model.as_deref(), ask.task()).into());
        }
        let format = ask.response_format.unwrap_or_default();
        let recording = ask.recording(api, raw).await?;
        let listen = ask.listen(recording)?;
        let timestamps = listen.options.timestamps;
        Ok(Begun { transcription: api.service.transcribe(call, listen).await?, timestamps, format, output })
    }
}

// === impl Begun ===

impl Begun {
    /// The whole answer, of what was gathered while it was made.
    pub async fn finish(self, api: &Api, heard: &Transcript) -> Result<Prediction, Problem> {
        deliver(api, heard, self.timestamps, self.format, self.output).await
    }
}

/// What is to be sent: the answer, or where it was written.
async fn deliver(
    api: &Api,
    heard: &Transcript,
    timestamps: Timestamps,
    format: Format,
    output: Option<String>,
) -> Result<Prediction, Problem> {
    let prediction = Prediction::of(heard, timestamps, format);
    let Some(uri) = output else { return Ok(prediction) };
    let (content_type, bytes) = prediction.into_file();
    let written = api.remote.write(&uri, bytes, content_type).await;
    written.map_err(|error| Problem::from(error).about("output_uri"))?;
    Ok(Prediction::Json(json!({"uri": uri})))
}

// === impl Prediction ===

impl Prediction {
    fn of(heard: &Transcript, timestamps: Timestamps, format: Format) -> Self {
        match format {
            Format::Json => Self::Json(render::prediction(heard, timestamps)),
            format => Self::Text(format, render::text(heard, format)),
        }
    }

    /// As it stands in the envelope.
    pub fn into_json(self) -> Value {
        match self {
            Self::Json(value) => value,
            Self::Text(_, text) => Value::String(text),
        }
    }

    /// As it stands by itself.
    pub fn into_file(self) -> (&'static str, Bytes) {
        match self {
            Self::Json(value) => (render::media_type(Format::Json), value.to_string().into()),
            Self::Text(format, text) => (render::media_type(format), text.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(fields: Value) -> Result<Delivery, Problem> {
        let Value::Object(mut fields) = fields else { panic!("no object") };
        let delivery = Delivery::take(&mut fields)?;
        assert!(fields.is_empty(), "{fields:?}");
        Ok(delivery)
    }

    #[test]
    fn each_instance_has_an_object_of_its_own() {
        let delivery = delivery(json!({"output_uri": "gs://bucket/out/"})).unwrap();
        assert_eq!(delivery.output_of(0, Format::Json).unwrap(), "gs://bucket/out/0.json");
        assert_eq!(delivery.output_of(12, Format::Srt).unwrap(), "gs://bucket/out/12.srt");
        assert_eq!(Delivery::default().output_of(0, Format::Json), None);
    }

    #[test]
    fn what_says_how_is_of_its_type() {
        assert!(delivery(json!({"stream": true})).unwrap().stream);
        assert!(delivery(json!({"stream": "true"})).unwrap().stream);
        assert!(delivery(json!({"stream": "perhaps"})).is_err());
        assert!(delivery(json!({"output_uri": 7})).is_err());
    }
}
