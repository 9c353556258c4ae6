//! What a protocol knows of a request beside what is asked.

use actix_web::{HttpRequest, web};

use super::{access, api::Api, problem::Problem, request_id::RequestId, served, wait};
use crate::{lifecycle::KeepAlive, service::Call};

/// `keep_alive`, as the document describes it.
#[derive(utoipa::ToSchema)]
#[serde(untagged)]
#[schema(as = KeepAlive)]
#[expect(dead_code, reason = "only described")]
pub(super) enum KeepAliveSchema {
    /// Seconds; 0 unloads the model right after, anything negative keeps it.
    Seconds(f64),
    /// Such as `5m` or `1h30m`.
    Duration(String),
}

/// What a protocol knows of a request beside what is asked.
pub(super) fn call(
    request: &HttpRequest,
    protocol: &'static str,
    model: Option<String>,
    wait: Option<f64>,
) -> Result<Call, Problem> {
    let wait = match wait {
        Some(seconds) => Some(wait::seconds("wait", seconds)?),
        None => wait::preferred_wait(request),
    };
    let (id, served, allowance) = (RequestId::of(request), served::slot(request), access::allowance(request));
    let deadline = wait::deadline(request, None)?;
    Ok(Call { id, protocol, model, wait, time_limit: None, deadline, served, keep_alive: None, allowance })
}

/// How long the model is to stay, as far as the caller may say so: that a model goes or stays is administration, and of
/// whom administration is closed to the wish is not kept.
pub(super) fn keep_alive(request: &HttpRequest, wanted: Option<KeepAlive>) -> Option<KeepAlive> {
    let api = request.app_data::<web::Data<Api>>()?;
    wanted.filter(|_| api.administer(request).is_ok())
}
