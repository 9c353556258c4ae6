//! What a route asks of its caller.

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

/// Probes of the platforms. `AIP_HEALTH_ROUTE` is one more.
const PROBES: [&str; 6] = ["/health", "/health/live", "/health/ready", "/ping", "/v2/health/live", "/v2/health/ready"];

/// Routes for whoever may use models. What is in neither list needs the scope `admin`.
const FOR_USERS: [&str; 12] = [
    "/",
    "/predict",
    "/invocations",
    "/generate",
    "/metrics",
    "/models/status",
    "/models/events",
    "/openapi.json",
    "/docs",
    "/v2",
    "/v2/models",
    "/v2/repository/index",
];
/// And all that is below these.
const BELOW_FOR_USERS: [&str; 3] = ["/v1/", "/v2/models/", "/docs/"];
/// But what is here may only be looked at by them.
const ONLY_LOOKS: &str = "/v1/audio/voices";

/// What a request needs, by its path as it was sent: a path that is written in another way than the list has it needs
/// more, never less.
pub(super) fn need(method: &Method, path: &str, config: &Config) -> Need {
    let looks = method == Method::GET || method == Method::HEAD;
    let is = |route: &Option<String>| route.as_deref() == Some(path);
    let open = PROBES.contains(&path) || is(&config.health_route) || (config.access.open_metrics && path == "/metrics");
    if looks && open {
        return Need::Nothing;
    }
    let for_users = FOR_USERS.contains(&path)
        || PROBES.contains(&path)
        || BELOW_FOR_USERS.iter().any(|folder| path.starts_with(folder))
        || is(&config.health_route)
        || is(&config.predict_route);
    Need::A(if for_users && (looks || !path.starts_with(ONLY_LOOKS)) { Scope::Infer } else { Scope::Admin })
}

/// The scope that a route needs, for documentation.
pub(in crate::http) fn scope(method: &Method, path: &str, config: &Config) -> Option<&'static str> {
    match need(method, path, config) {
        Need::Nothing => None,
        Need::A(scope) => Some(scope.as_str()),
    }
}

/// Whether a request asks for work, which allowances are about; looking at what there is costs next to nothing.
pub(super) fn is_work(method: &Method) -> bool {
    method == Method::POST
}

/// The protocol in which a path is answered.
pub(in crate::http) fn shape(path: &str, config: &Config) -> Shape {
    let vertex = [&config.health_route, &config.predict_route].into_iter().flatten().any(|route| route == path);
    match path {
        _ if vertex => Shape::Google,
        // Ours, beside theirs.
        path if path == "/v1/jobs" || path.starts_with("/v1/jobs/") => Shape::Google,
        path if path.starts_with("/v1/") => Shape::OpenAi,
        path if path == "/v2" || path.starts_with("/v2/") => Shape::Oip,
        _ => Shape::Google,
    }
}
