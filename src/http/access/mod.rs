//! Who may do what, and how much of it: keys, scopes, and the limits that hold for each key and for all together.
//!
//! One layer stands before every route. Without keys it lets everybody in; with keys it lets in who has one, and probes.
//! A route that nobody listed in `need` asks for the scope `admin`, so that forgetting one closes it.

mod credential;
mod file;
mod gate;
mod holder;
mod key;
mod keyring;
mod metrics;
mod need;
mod permit;

use std::{path::PathBuf, sync::Arc};

use actix_web::{HttpMessage, HttpRequest};

pub use self::gate::Gate;
pub use self::{
    file::KeyFileError,
    key::{Digest, Key, Limits, Scope},
    keyring::{Keyring, KeyringError},
};
pub(super) use self::{
    holder::Holder,
    need::{scope, shape},
};
use super::{Api, Problem};
use crate::{jobs::Asker, service::Allowance, speech::Kind};

/// Who may use the server, and how much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Digests of keys with the scope `infer`.
    pub keys: Vec<Digest>,
    /// Digests of keys with every scope.
    pub admin_keys: Vec<Digest>,
    /// A file of further keys.
    pub file: Option<PathBuf>,
    /// Whether `/metrics` is open to who has no key.
    pub open_metrics: bool,
    /// Of a key that names none of its own.
    pub limits: Limits,
    /// Requests that ask for work, of all callers together, that may be under way at once.
    pub concurrency: Option<usize>,
}

/// Who sent a request: the holder of a key, or anybody where there are no keys.
#[derive(Clone, Debug)]
pub(super) struct Caller(Option<Arc<Holder>>);

// === impl Caller ===

impl Caller {
    /// That of a request which came through the gate.
    fn of(request: &HttpRequest) -> Option<Arc<Holder>> {
        request.extensions().get::<Self>().and_then(|caller| caller.0.clone())
    }
}

/// What the sender of a request may use.
pub(super) fn allowance(request: &HttpRequest) -> Option<Arc<dyn Allowance>> {
    Caller::of(request).map(|holder| holder as Arc<dyn Allowance>)
}

/// Whose jobs the sender of a request sees: all, where there are no keys.
pub(super) fn asker(request: &HttpRequest) -> Asker {
    Caller::of(request).map_or(Asker::ANYBODY, |holder| Asker {
        name: Some(holder.key.name.clone()),
        sees_all: holder.may(Scope::Admin),
    })
}

/// Whether a request may change what the server has loaded: administration is open, and the key, if there are keys, has
/// the scope `admin`. For routes that the gate cannot tell apart by their path.
pub(super) fn administer(api: &Api, request: &HttpRequest) -> Result<(), Problem> {
    if !api.config.admin {
        return Err(Problem::new(Kind::Forbidden, "administration is closed here; `http.admin = true` opens it"));
    }
    match Caller::of(request) {
        Some(holder) if !holder.may(Scope::Admin) => Err(holder.lacks(Scope::Admin)),
        _ => Ok(()),
    }
}

#[cfg(test)]
pub(super) mod tests;
