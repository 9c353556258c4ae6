//! Who sent a request that came through the gate.

use std::sync::Arc;

use actix_web::{HttpMessage, HttpRequest};

use super::{holder::Holder, key::Scope};
use crate::{http::problem::Problem, jobs::Principal, service::Allowance};

/// Who sent a request: the holder of a key, or anybody where there are no keys.
#[derive(Clone, Debug)]
pub(super) struct Caller(pub(super) Option<Arc<Holder>>);

// === impl Caller ===

impl Caller {
    /// That of a request which came through the gate.
    fn of(request: &HttpRequest) -> Option<Arc<Holder>> {
        request.extensions().get::<Self>().and_then(|caller| caller.0.clone())
    }
}

/// What the sender of a request may use.
pub(in crate::http) fn allowance(request: &HttpRequest) -> Option<Arc<dyn Allowance>> {
    Caller::of(request).map(|holder| holder as Arc<dyn Allowance>)
}

/// Whose jobs the sender of a request sees: all, where there are no keys.
pub(in crate::http) fn principal(request: &HttpRequest) -> Principal {
    Caller::of(request).map_or(Principal::ANYBODY, |holder| Principal {
        name: Some(holder.key.name.clone()),
        sees_all: holder.may(Scope::Admin),
    })
}

/// [`require`] for who only wants to know: nothing is refused, and nothing is counted.
pub(in crate::http) fn may(request: &HttpRequest, scope: Scope) -> bool {
    Caller::of(request).is_none_or(|holder| holder.may(scope))
}

/// Whether the sender of a request has a scope, which it has where there are no keys.
pub(in crate::http) fn require(request: &HttpRequest, scope: Scope) -> Result<(), Problem> {
    match Caller::of(request) {
        Some(holder) if !holder.may(scope) => Err(holder.lacks(scope)),
        _ => Ok(()),
    }
}
