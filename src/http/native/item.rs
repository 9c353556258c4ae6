//! An instance, or a body without the envelope, and where its answer goes.

use std::sync::Arc;

use actix_web::HttpRequest;
use serde_json::{Value, json};

use super::{
    fields::Fields,
    prediction::Prediction,
    request::NativeRequest,
    task::{Running, TaskRequest},
};
use crate::{
    http::{
        api::Api,
        call::{call, keep_alive},
        problem::Problem,
    },
    service::{Call, Recording},
};

/// One thing to be done.
pub(in crate::http) struct Item {
    call: Call,
    request: NativeRequest,
    /// The recording, where the body is one.
    body: Option<Recording>,
    /// What `audio` is, where the request does not say it.
    default_audio: Option<Arc<Value>>,
    /// The object that the answer is written to.
    output: Option<String>,
}

/// An item whose answer is being made.
pub(in crate::http) struct RunningItem {
    pub running: Running,
    output: Option<String>,
}

// === impl Item ===

impl Item {
    /// `output` may depend on the format of the answer.
    pub fn new(
        request: &HttpRequest,
        fields: Fields,
        body: Option<Recording>,
        output: impl FnOnce(&NativeRequest) -> Option<String>,
    ) -> Result<Self, Problem> {
        let native = NativeRequest::read(fields)?;
        let common = &native.common;
        let call = Call {
            keep_alive: keep_alive(request, common.keep_alive),
            ..call(request, "vertex", common.model.clone(), common.wait)?
        };
        let output = output(&native);
        Ok(Self { call, request: native, body, default_audio: None, output })
    }

    /// The same, with a recording that others share.
    pub fn with_default_audio(self, audio: Option<Arc<Value>>) -> Self {
        Self { default_audio: audio, ..self }
    }

    /// The whole answer, or where it is.
    pub async fn predict(self, api: &Api) -> Result<Prediction, Problem> {
        let RunningItem { running, output } = self.start(api).await?;
        deliver(api, running.whole(|_| {}).await?, output).await
    }

    /// Brings the request to its model.
    pub async fn start(self, api: &Api) -> Result<RunningItem, Problem> {
        let Self { call, mut request, body, default_audio, output } = self;
        api.service.check(call.protocol, call.model.as_deref(), request.task())?;
        let format = request.common.response_format.unwrap_or_default();
        let audio = request.take_audio(api, body, default_audio).await?;
        let running = TaskRequest::of(request, audio.map(Into::into))?.start(&api.service, call, format).await?;
        Ok(RunningItem { running, output })
    }
}

// === impl RunningItem ===

impl RunningItem {
    /// What is to be sent of the whole answer.
    pub async fn deliver(self, api: &Api, whole: Prediction) -> Result<Prediction, Problem> {
        deliver(api, whole, self.output).await
    }
}

/// What is to be sent: the answer, or where it was written.
async fn deliver(api: &Api, prediction: Prediction, output: Option<String>) -> Result<Prediction, Problem> {
    let Some(uri) = output else { return Ok(prediction) };
    let (content_type, bytes) = prediction.into_file();
    let written = api.remote.write(&uri, bytes, content_type).await;
    written.map_err(|error| Problem::from(error).about("output_uri"))?;
    Ok(Prediction::Json(json!({"uri": uri})))
}
