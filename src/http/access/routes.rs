//! What each route needs of its caller, and whether it asks for work: one table, read before any handler is called.

use actix_web::http::Method;

use super::key::Scope;
use crate::http::{config::Config, problem::Shape};

/// What a caller needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing: a probe has no key.
    Nothing,
    A(Scope),
}

/// Who may come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    /// Whoever looks; for anything else a key that may use models.
    Probe,
    /// Whoever may use models.
    Infer,
    /// They may look, and administrators change.
    Look,
}

/// A line of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Route {
    /// As it stands in requests.
    path: &'static str,
    /// Whatever begins with it is it as well.
    below: bool,
    access: Access,
    /// It asks for work whatever its method is: a WebSocket begins as a `GET`.
    live: bool,
}

/// The lines in the order in which they are looked up. What is in none of them needs the scope `admin`.
const TABLE: &[Route] = &[
    // Probes of the platforms. `AIP_HEALTH_ROUTE` is one more.
    Route::probe("/health"),
    Route::probe("/health/live"),
    Route::probe("/health/ready"),
    Route::probe("/ping"),
    Route::probe("/v2/health/live"),
    Route::probe("/v2/health/ready"),
    // The page holds nothing; what it shows it asks for with a key.
    Route::probe("/"),
    Route::probe("/console/").below(),
    // What this program can be asked stands in its source as well. A browser cannot send a key with an address.
    Route::probe("/openapi.json"),
    Route::probe("/asyncapi.json"),
    Route::probe("/docs"),
    Route::probe("/docs/").below(),
    // `AIP_PREDICT_ROUTE` is one more.
    Route::infer("/predict"),
    Route::infer("/invocations"),
    Route::infer("/generate"),
    Route::infer("/asr"),
    Route::infer("/inference"),
    Route::infer("/openai/deployments/").below(),
    Route::infer("/metrics"),
    Route::infer("/models/status"),
    Route::infer("/models/events"),
    Route::infer("/v2"),
    Route::infer("/v2/models"),
    Route::infer("/v2/models/").below(),
    Route::infer("/v2/repository/index"),
    Route::look("/v1/audio/voices").below(),
    Route::look("/v1/audio/models"),
    Route::infer("/v1/realtime").live(),
    Route::infer("/vosk").live(),
    Route::infer("/v1/").below(),
];

/// The table, and the routes that the configuration adds to it.
#[derive(Clone, Debug)]
pub(in crate::http) struct Routes {
    table: &'static [Route],
    health: Option<String>,
    predict: Option<String>,
    open_metrics: bool,
}

// === impl Route ===

impl Route {
    const fn new(path: &'static str, access: Access) -> Self {
        Self { path, below: false, access, live: false }
    }

    const fn probe(path: &'static str) -> Self {
        Self::new(path, Access::Probe)
    }

    pub(super) const fn infer(path: &'static str) -> Self {
        Self::new(path, Access::Infer)
    }

    const fn look(path: &'static str) -> Self {
        Self::new(path, Access::Look)
    }

    const fn below(self) -> Self {
        Self { below: true, ..self }
    }

    /// The same, with work in every request.
    pub(super) const fn live(self) -> Self {
        Self { live: true, ..self }
    }

    fn is(&self, path: &str) -> bool {
        path == self.path || (self.below && path.starts_with(self.path))
    }
}

// === impl Routes ===

impl Routes {
    pub(in crate::http) fn new(config: &Config) -> Self {
        Self::with(TABLE, config)
    }

    pub(super) fn with(table: &'static [Route], config: &Config) -> Self {
        let (health, predict) = (config.health_route.clone(), config.predict_route.clone());
        Self { table, health, predict, open_metrics: config.access.open_metrics }
    }

    /// What a request needs, by its path as it was sent: a path that is written in another way than the table has it
    /// needs more, never less.
    pub(super) fn need(&self, method: &Method, path: &str) -> Need {
        let looks = method == Method::GET || method == Method::HEAD;
        match self.access(path) {
            Some(Access::Probe) if looks => Need::Nothing,
            Some(Access::Infer) if looks && path == "/metrics" && self.open_metrics => Need::Nothing,
            Some(Access::Probe | Access::Infer) => Need::A(Scope::Infer),
            Some(Access::Look) if looks => Need::A(Scope::Infer),
            Some(Access::Look) | None => Need::A(Scope::Admin),
        }
    }

    fn access(&self, path: &str) -> Option<Access> {
        match path {
            path if self.health.as_deref() == Some(path) => Some(Access::Probe),
            path if self.predict.as_deref() == Some(path) => Some(Access::Infer),
            path => self.find(path).map(|route| route.access),
        }
    }

    fn find(&self, path: &str) -> Option<&'static Route> {
        self.table.iter().find(|route| route.is(path))
    }

    /// The scope that a route needs, for documentation.
    pub(in crate::http) fn scope(&self, method: &Method, path: &str) -> Option<&'static str> {
        match self.need(method, path) {
            Need::Nothing => None,
            Need::A(scope) => Some(scope.as_str()),
        }
    }

    /// Whether a request asks for work, which allowances are about; looking at what there is costs next to nothing.
    pub(in crate::http) fn is_work(&self, method: &Method, path: &str) -> bool {
        method == Method::POST || self.find(path).is_some_and(|route| route.live)
    }

    /// The protocol in which a path is answered.
    pub(in crate::http) fn shape(&self, path: &str) -> Shape {
        let vertex = [&self.health, &self.predict].into_iter().flatten().any(|route| route == path);
        match path {
            _ if vertex => Shape::Google,
            // Ours, beside theirs.
            path if path == "/v1/jobs" || path.starts_with("/v1/jobs/") => Shape::Google,
            path if path.starts_with("/v1/") || path.starts_with("/openai/") => Shape::OpenAi,
            path if path == "/v2" || path.starts_with("/v2/") => Shape::Oip,
            _ => Shape::Google,
        }
    }
}
