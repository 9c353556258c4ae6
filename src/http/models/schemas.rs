//! What these routes answer, for `/openapi.json`. The bodies are written by hand, since their keys are names of models;
//! schemathesis holds them against this.
#![allow(dead_code, reason = "describes what the handlers write")]

use std::collections::BTreeMap;

use utoipa::{
    ToSchema,
    openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, Type},
};

use crate::{
    http::{problem::schemas::GoogleError, wait},
    model::Residency,
};

/// How the server is.
#[derive(ToSchema)]
pub(in crate::http) struct Health {
    /// What this replica is called.
    server: String,
    #[schema(inline)]
    status: HealthStatus,
    #[schema(inline)]
    load_mode: LoadMode,
    #[schema(inline)]
    models: HealthModels,
    /// What is wrong with jobs; absent where nothing is.
    #[schema(inline, nullable = false)]
    jobs: Option<HealthJobs>,
}

/// Jobs cannot be written down just now.
#[derive(ToSchema)]
struct HealthJobs {
    error: String,
}

#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
enum HealthStatus {
    Healthy,
    Loading,
    Unhealthy,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
enum LoadMode {
    Startup,
    OnDemand,
    Background,
}

/// The models that load at start, the default one and those in use, by name.
#[derive(ToSchema)]
struct HealthModels {
    #[schema(inline)]
    status: ModelState,
    /// The model of requests that name none.
    default: String,
    #[serde(flatten)]
    models: BTreeMap<String, serde_json::Value>,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
enum ModelState {
    NotLoaded,
    Downloading,
    Loading,
    Ready,
    Failed,
}

/// Whether requests should be sent here.
#[derive(ToSchema)]
pub(in crate::http) struct Readiness {
    ready: bool,
    #[schema(inline)]
    status: HealthStatus,
}

/// Whether the server should be left running.
#[derive(ToSchema)]
pub(in crate::http) struct Liveness {
    live: bool,
    /// The model that is busy without a step.
    #[schema(nullable = false)]
    stalled: Option<String>,
    /// The accelerator that this process has lost.
    #[schema(inline, nullable = false)]
    lost: Option<LostDevice>,
}

/// An accelerator that computes nothing any more for this process.
#[derive(ToSchema)]
pub(in crate::http) struct LostDevice {
    /// `cuda:0`
    device: String,
    /// What its driver answers.
    reason: String,
}

/// Every model that there is.
#[derive(ToSchema)]
pub(in crate::http) struct ModelsStatus {
    /// What this replica is called.
    server: String,
    #[schema(inline)]
    load_mode: LoadMode,
    /// The model of requests that name none.
    default: String,
    /// Whether whoever asked may load, update and unload models.
    may_administer: bool,
    /// Whether the speakers of a recording can be told apart (`diarize`).
    tells_speakers: bool,
    /// By name.
    models: BTreeMap<String, ModelStatus>,
}

/// One event of `GET /models/events`: the models that load at start or are in use.
#[derive(ToSchema)]
pub(in crate::http) struct StatusEvent {
    #[schema(inline)]
    load_mode: LoadMode,
    stopping: bool,
    /// By name.
    models: BTreeMap<String, ModelStatus>,
}

/// What a model is and how far it is. There are more fields, by its state.
#[derive(ToSchema)]
struct ModelStatus {
    #[schema(inline)]
    status: ModelState,
    /// Its files are on this machine.
    #[schema(nullable = false)]
    fetched: Option<bool>,
    /// `cpu`, `cuda:0`, `metal`; when ready.
    #[schema(nullable = false)]
    device: Option<String>,
    /// What marks the sound that it makes; when ready, where something does.
    #[schema(nullable = false)]
    watermark: Option<String>,
    /// How its parts share the device, where they could do otherwise: all `together`, or `in_turns`; when ready.
    residency: Option<Residency>,
    /// Sounds that it makes of one text, which can be asked for by these names.
    #[schema(nullable = false)]
    stems: Option<Vec<String>>,
    /// SPDX expression or name, of the weights; null where it is not known.
    licence: Option<String>,
    /// What that licence asks for, where it has to be agreed to before the files are fetched.
    #[schema(nullable = false)]
    licence_notice: Option<String>,
    /// Null where it is not known.
    million_parameters: Option<u32>,
    /// The configuration names it, or it is the default.
    #[schema(nullable = false)]
    listed: Option<bool>,
    #[schema(nullable = false, inline)]
    error: Option<Failure>,
    /// The program of another project that speaks for it.
    #[schema(nullable = false, inline)]
    program: Option<Program>,
    /// The process that the model is, as long as it runs.
    #[schema(nullable = false, inline)]
    process: Option<Process>,
    /// The model that speaks in its place as long as it cannot be loaded.
    #[schema(nullable = false, inline)]
    fallback: Option<Fallback>,
}

/// A program of another project.
#[derive(ToSchema)]
struct Program {
    command: String,
    version: String,
}

/// A process that is a model.
#[derive(ToSchema)]
struct Process {
    name: String,
    /// What it does not share with the rest of the machine: `network`, `processes`, `users`, `privileges`. Nothing: it runs
    /// like any program of its user.
    apart: Vec<String>,
    /// It, and all that it began.
    processes: u64,
    memory_bytes: u64,
}

/// A model that speaks in the place of another.
#[derive(ToSchema)]
struct Fallback {
    model: String,
    /// Whether it does so now.
    speaks: bool,
}

/// The last failure of a model.
#[derive(ToSchema)]
struct Failure {
    message: String,
    /// Not tried again until somebody asks for it.
    permanent: bool,
    /// Failures in a row.
    attempts: u32,
}

/// What became of the models that were asked for.
#[derive(ToSchema)]
pub(in crate::http) struct Outcome {
    #[schema(inline)]
    status: OutcomeStatus,
    message: String,
    /// By name.
    models: BTreeMap<String, ModelStatus>,
}

/// A failure of one model, or of all that was asked.
#[derive(ToSchema)]
#[serde(untagged)]
pub(in crate::http) enum LoadFailure {
    OneFailed(Outcome),
    Refused(GoogleError),
}

#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
enum OutcomeStatus {
    Success,
    Accepted,
    Failed,
}

/// Truth, or a number of seconds.
pub(in crate::http) fn wait() -> Schema {
    let truth = ObjectBuilder::new().schema_type(Type::Boolean);
    let seconds = ObjectBuilder::new().schema_type(Type::Number).minimum(Some(0.0)).maximum(Some(wait::LONGEST_WAIT));
    OneOfBuilder::new()
        .item(truth)
        .item(seconds)
        .item(ObjectBuilder::new().schema_type(Type::Null))
        .description(Some("`true`: as long as a request would; `false`: not at all; or a number of seconds."))
        .build()
        .into()
}
