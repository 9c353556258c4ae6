//! What every handler stands on.

use actix_web::HttpRequest;
use prometheus::Registry;

use super::{
    access::{self, Gate, Scope},
    config::Config,
    draining::Draining,
    parsers::Parsers,
    problem::Problem,
};
use crate::{
    jobs::Jobs,
    remote::Remote,
    service::{MemoryBudget, Service},
    speech::Kind,
};

/// What every handler stands on. Cloned into each HTTP thread.
#[derive(Clone)]
pub struct Api {
    pub service: Service,
    /// What callers may name by address.
    pub remote: Remote,
    pub jobs: Jobs,
    pub registry: Registry,
    pub config: Config,
    /// What this replica is called.
    pub name: String,
    pub draining: Draining,
    /// Request bodies, and what is made of them before a model has it.
    pub bodies: MemoryBudget,
    pub parsers: Parsers,
    pub gate: Gate,
}

// === impl Api ===

impl Api {
    /// Whether a request may change what the server has loaded: administration is open, and the key, if there are keys,
    /// has the scope `admin`. For routes that the gate cannot tell apart by their path.
    pub(super) fn administer(&self, request: &HttpRequest) -> Result<(), Problem> {
        if !self.config.admin {
            return Err(Problem::new(Kind::Forbidden, "administration is closed here; `http.admin = true` opens it"));
        }
        access::require(request, Scope::Admin)
    }

    /// Whether [`Self::administer`] would let a request in.
    pub(super) fn may_administer(&self, request: &HttpRequest) -> bool {
        self.config.admin && access::may(request, Scope::Admin)
    }
}
