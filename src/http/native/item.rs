//! An instance, or a body without the envelope, and where its answer goes.

use actix_web::HttpRequest;

use super::{
    content::{Content, Matter},
    delivery::deliver,
    fields::Fields,
    job::{self, JobInstead},
    prediction::Prediction,
    request::NativeRequest,
    task::{Running, SoundRetention, TaskRequest},
};
use crate::{
    http::{
        access,
        api::Api,
        call::{call, keep_alive},
        problem::Problem,
        unknown::Unknown,
        wait,
    },
    service::Call,
};

/// One thing to be done.
pub(in crate::http) struct Item {
    call: Call,
    request: NativeRequest,
    /// The object that the answer is written to.
    output: Option<String>,
    /// What may be done instead, where the answer is to be written.
    job: Option<JobInstead>,
}

/// An item whose answer is being made.
pub(in crate::http) struct RunningItem {
    pub running: Running,
    output: Option<String>,
}

// === impl Item ===

impl Item {
    /// `body` is what is worked on, where the body is that, and `defaults` what others share. `output` may depend on the
    /// format of the answer.
    pub fn new(
        api: &Api,
        request: &HttpRequest,
        fields: Fields,
        body: Option<Matter>,
        defaults: &Content,
        output: impl FnOnce(&NativeRequest) -> Option<String>,
    ) -> Result<Self, Problem> {
        let mut parameters = job::parameters(&fields);
        let native = NativeRequest::read(&api.service, fields, body, defaults, &Unknown::of(request))?;
        let common = &native.common;
        let call = Call {
            keep_alive: keep_alive(request, common.keep_alive),
            deadline: wait::deadline(request, common.timeout)?,
            ..call(request, "vertex", common.model.clone(), common.wait)?
        };
        let output = output(&native);
        let job = output.is_some().then(|| {
            if let Some(fields) = parameters.as_object_mut()
                && api.administer(request).is_err()
            {
                // As of every other request.
                fields.remove("keep_alive");
            }
            JobInstead { jobs: api.jobs.seen_by(access::principal(request)), parameters }
        });
        Ok(Self { call, request: native, output, job })
    }

    /// The whole answer, or where it is, or the job that it is made by: what takes longer than a connection lasts is handed on
    /// where the answer is to be written somewhere.
    pub async fn predict(mut self, api: &Api) -> Result<Prediction, Problem> {
        if let (Some(job), Some(output)) = (self.job.take_if(|_| self.request.takes_long(&api.service)), &self.output) {
            return job.submit(api, self.request, output, self.call.allowance).await;
        }
        let RunningItem { running, output } = self.start(api, SoundRetention::Sound).await?;
        deliver(&api.remote, running.whole(|_| {}).await?, output).await
    }

    /// Brings the request to its model. Its pieces are sent as they come, and its sound with them.
    pub async fn start_streaming(self, api: &Api) -> Result<RunningItem, Problem> {
        let keep = if self.output.is_some() { SoundRetention::Sound } else { SoundRetention::Nothing };
        self.start(api, keep).await
    }

    async fn start(self, api: &Api, keep: SoundRetention) -> Result<RunningItem, Problem> {
        let Self { call, mut request, output, .. } = self;
        api.service.check(call.protocol, call.model.as_deref(), request.task())?;
        let audio = request.take_audio(api).await?;
        let voice = request.find_voice(api).await?;
        let task = TaskRequest::of(&api.service, request, audio, voice)?;
        Ok(RunningItem { running: task.start(&api.service, call, keep).await?, output })
    }
}

// === impl RunningItem ===

impl RunningItem {
    /// What is to be sent of the whole answer.
    pub async fn deliver(self, api: &Api, whole: Prediction) -> Result<Prediction, Problem> {
        deliver(&api.remote, whole, self.output).await
    }
}
