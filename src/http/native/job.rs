//! A request that becomes a job: what is kept of it.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    content::Matter,
    fields::{self, Fields},
    prediction::Prediction,
    request::NativeRequest,
    task::TaskRequest,
};
use crate::{
    http::{api::Api, problem::Problem},
    jobs::{self, JobRequest, Jobs},
    service::{Allowance, AudioInput, Recording, ServiceError},
};

/// What a text is kept as beside its job; no recording is.
const TEXT: &str = "text/plain";

/// A request that may be done as a job instead, if it takes long.
pub(in crate::http) struct JobInstead {
    /// As the caller sees them.
    pub jobs: Jobs,
    pub parameters: Value,
}

/// What is kept of a request beside its recording or its text, which is not copied for it.
pub(in crate::http) fn parameters(fields: &Fields) -> Value {
    let others = fields.iter().filter(|(name, _)| !["audio", "text"].contains(&name.as_str()));
    Value::Object(fields::normal(others.map(|(name, value)| (name.clone(), value.clone())).collect()))
}

/// A request, checked as far as it can be without doing it: a wrong one fails now and not later.
pub(in crate::http) async fn job_request(
    api: &Api,
    mut native: NativeRequest,
    parameters: Value,
    allowance: Option<Arc<dyn Allowance>>,
) -> Result<JobRequest, Problem> {
    api.service.check("jobs", native.common.model.as_deref(), native.task())?;
    let estimate = native.estimate(&api.service);
    let text = match &native.content.matter {
        Some(Matter::Text(text)) => Some(text.clone()),
        _ => None,
    };
    let audio = native.take_audio(api).await?;
    let voice = native.find_named_voice(&api.service).await?;
    let model = native.common.model.clone();
    TaskRequest::of(&api.service, native, audio.clone(), voice)?.check(&api.service, model.as_deref()).await?;
    let recording = match audio {
        Some(AudioInput::Encoded(recording)) => Some(recording),
        _ => None,
    };
    // Now and not when it runs: who has nothing left is told so, and a job that was taken is done.
    if let (Some(allowance), Some(recording)) = (&allowance, &recording) {
        allowance.take_audio(api.service.seconds(recording.clone()).await?).map_err(ServiceError::from)?;
    }
    if let (Some(allowance), Some(text)) = (&allowance, &text) {
        allowance.take_characters(text.chars().count()).map_err(ServiceError::from)?;
    }
    let recording = match (text, recording) {
        (Some(text), _) => Some(kept_text(&text)),
        (None, Some(recording)) => Some(kept(recording)),
        (None, None) => None,
    };
    // What is written elsewhere takes no room here, and what is kept is kept as text.
    let here = parameters.get("output_uri").is_none();
    let room = estimate.filter(|_| here).map_or(0, |estimate| estimate.bytes.div_ceil(3).saturating_mul(4));
    Ok(JobRequest { parameters, recording, webhook: None, key: None, estimate, room })
}

fn kept_text(text: &str) -> jobs::Recording {
    jobs::Recording { bytes: text.to_owned().into(), hint: Some(TEXT.to_owned()) }
}

fn kept(Recording { bytes, hint }: Recording) -> jobs::Recording {
    jobs::Recording { bytes, hint: hint.filter(|hint| hint != TEXT) }
}

/// What was kept, as a request works on it.
pub(in crate::http) fn matter(jobs::Recording { bytes, hint }: jobs::Recording) -> Result<Matter, Problem> {
    if hint.as_deref() != Some(TEXT) {
        return Ok(Matter::Sound(Recording { bytes, hint }.into()));
    }
    let damaged = |_| Problem::invalid("text", "the text of the job is damaged; send it again");
    std::str::from_utf8(&bytes).map(|text| Matter::Text(text.into())).map_err(damaged)
}

// === impl JobInstead ===

impl JobInstead {
    /// Takes the request down, whose answer goes to `output`.
    pub async fn submit(
        self,
        api: &Api,
        native: NativeRequest,
        output: &str,
        allowance: Option<Arc<dyn Allowance>>,
    ) -> Result<Prediction, Problem> {
        let mut parameters = self.parameters;
        parameters["output_uri"] = output.into();
        if let Some(voice) = &native.content.voice {
            // It may be one that many instances share.
            parameters["voice"] = voice.as_ref().clone();
        }
        let job = self.jobs.submit(job_request(api, native, parameters, allowance).await?).await?;
        let mut told = json!({"id": job.id, "status": job.state.phase()});
        if let Some(estimate) = job.estimate {
            told["estimate"] = json!(estimate);
        }
        Ok(Prediction::Json(json!({"job": told, "uri": output})))
    }
}
