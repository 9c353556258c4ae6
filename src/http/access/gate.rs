//! The layer before every route.

use std::sync::Arc;

use actix_web::{
    Error, HttpMessage, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        StatusCode,
        header::{HeaderValue, WWW_AUTHENTICATE},
    },
    middleware::Next,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    caller::Caller,
    credential,
    holder::{Holder, SOON},
    key::Scope,
    keyring::Keyring,
    metrics::{NOBODY, Refusal},
    permit::{Permits, Permitted},
    routes::{Need, Routes},
};
use crate::{
    http::{
        config::Config,
        problem::{Problem, Shape},
    },
    speech::Kind,
};

/// Lets in who may come in, as long as there is room. A clone is the same gate.
#[derive(Clone)]
pub struct Gate {
    keyring: Keyring,
    routes: Arc<Routes>,
    /// Places for requests under way, of all callers together.
    slots: Option<Arc<Semaphore>>,
}

// === impl Gate ===

impl Gate {
    pub fn new(keyring: Keyring, config: &Config) -> Self {
        Self::before(Routes::new(config), keyring)
    }

    pub(super) fn before(routes: Routes, keyring: Keyring) -> Self {
        let slots = keyring.config().concurrency.map(|most| Arc::new(Semaphore::new(most)));
        Self { keyring, routes: Arc::new(routes), slots }
    }

    /// What is known of the routes.
    pub(in crate::http) fn routes(&self) -> &Routes {
        &self.routes
    }

    /// Whether a request needs a key.
    pub(in crate::http) fn asks_for_keys(&self) -> bool {
        self.keyring.asks_for_keys()
    }

    /// The layer.
    pub async fn pass<B: MessageBody + 'static>(
        self,
        request: ServiceRequest,
        next: Next<B>,
    ) -> Result<ServiceResponse<BoxBody>, Error> {
        match self.admit(&request) {
            Ok(permits) => {
                let response = next.call(request).await?.map_into_boxed_body();
                if permits.iter().all(Option::is_none) {
                    return Ok(response);
                }
                Ok(response.map_body(|_, body| BoxBody::new(Permitted::new(body, permits))))
            }
            Err(problem) => {
                let response = refusal(&problem, self.routes.shape(request.path()));
                Ok(request.into_response(response))
            }
        }
    }

    /// Decides, and notes who the caller is.
    fn admit(&self, request: &ServiceRequest) -> Result<Permits, Problem> {
        let Need::A(scope) = self.routes.need(request.method(), request.path()) else {
            return Ok([None, None]);
        };
        let holder = if self.keyring.asks_for_keys() { Some(self.holder(request, scope)?) } else { None };
        let permits = if self.routes.is_work(request.method(), request.path()) {
            self.permits(holder.as_deref())?
        } else {
            [None, None]
        };
        request.extensions_mut().insert(Caller(holder));
        Ok(permits)
    }

    /// Who holds the first key of the request that is known here. What it may do is what its key may: a request that
    /// brings two is never let in by the one and counted for the other.
    fn holder(&self, request: &ServiceRequest, scope: Scope) -> Result<Arc<Holder>, Problem> {
        let refused = |why, message: &str| {
            self.keyring.metrics().refused(NOBODY, why);
            Problem::new(Kind::Unauthenticated, message)
        };
        let mut keys = credential::keys(request.headers()).peekable();
        if keys.peek().is_none() {
            let message = "this server asks for a key; send it as `Authorization: Bearer <key>`";
            return Err(refused(Refusal::NoKey, message));
        }
        let known = keys.find_map(|key| self.keyring.find(key));
        let holder = known.ok_or_else(|| refused(Refusal::UnknownKey, "this key is not known here"))?;
        if holder.may(scope) { Ok(holder) } else { Err(holder.lacks(scope)) }
    }

    /// A request that is refused for want of room has cost its key nothing.
    fn permits(&self, holder: Option<&Holder>) -> Result<Permits, Problem> {
        let permits = [self.slot()?, holder.map_or(Ok(None), Holder::slot)?];
        holder.map_or(Ok(()), Holder::request)?;
        Ok(permits)
    }

    fn slot(&self) -> Result<Option<OwnedSemaphorePermit>, Problem> {
        let Some(slots) = &self.slots else { return Ok(None) };
        slots.clone().try_acquire_owned().map(Some).map_err(|_| {
            self.keyring.metrics().refused(NOBODY, Refusal::Concurrency);
            Problem::busy("as many requests are under way as this server takes (`limits.concurrency`)", SOON)
        })
    }
}

/// With what RFC 6750 wants to be said of keys.
fn refusal(problem: &Problem, shape: Shape) -> HttpResponse {
    let mut response = problem.answer(shape);
    let challenge = match problem.status() {
        StatusCode::UNAUTHORIZED => Some(r#"Bearer realm="sconce""#),
        StatusCode::FORBIDDEN => Some(r#"Bearer realm="sconce", error="insufficient_scope""#),
        _ => None,
    };
    if let Some(challenge) = challenge {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    response
}
