//! What a protocol knows of a request beside what is asked.

use actix_web::HttpRequest;

use super::{access, problem::Problem, request_id::RequestId, served, wait};
use crate::service::Call;

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
    Ok(Call { id, protocol, model, wait, time_limit: None, served, keep_alive: None, allowance })
}
