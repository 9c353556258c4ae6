//! The holder of a key, and what is left of its allowance.

use std::{fmt, num::NonZeroU32, sync::Arc, time::Duration};

use governor::{
    DefaultDirectRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    key::{Key, Limits, Scope},
    metrics::{Metrics, Refusal},
};
use crate::{
    http::problem::Problem,
    service::{Allowance, OverAllowance},
    speech::Kind,
};

/// When to come back after a refusal that ends when another request does.
pub(super) const SOON: Duration = Duration::from_secs(1);

/// A key and its meters.
pub(in crate::http) struct Holder {
    pub(super) key: Key,
    meters: Arc<Meters>,
    metrics: Metrics,
}

/// What was used. It outlives a change of the key itself, so that a new key of the same name is no new allowance.
struct Meters {
    limits: Limits,
    requests: Option<DefaultDirectRateLimiter>,
    audio: Option<DefaultDirectRateLimiter>,
    slots: Option<Arc<Semaphore>>,
}

// === impl Holder ===

impl Holder {
    /// `before` is who held the key of this name until now, if anybody did.
    pub(super) fn new(key: Key, before: Option<&Self>, metrics: Metrics) -> Self {
        let kept = before.map(|before| before.meters.clone()).filter(|meters| meters.limits == key.limits);
        let meters = kept.unwrap_or_else(|| Arc::new(Meters::new(key.limits)));
        Self { key, meters, metrics }
    }

    pub(super) fn may(&self, scope: Scope) -> bool {
        self.key.scopes.contains(&scope)
    }

    pub(super) fn lacks(&self, scope: Scope) -> Problem {
        self.metrics.refused(&self.key.name, Refusal::Scope);
        let (name, scope) = (&self.key.name, scope.as_str());
        Problem::new(Kind::Forbidden, format!("the key {name} does not have the scope {scope}, which this route needs"))
    }

    /// Takes one request from the allowance.
    pub(super) fn request(&self) -> Result<(), Problem> {
        self.metrics.asked(&self.key.name);
        let Some((bucket, per_minute)) = self.meters.requests.as_ref().zip(self.key.limits.requests_per_minute) else {
            return Ok(());
        };
        bucket.check().map_err(|until| {
            self.metrics.refused(&self.key.name, Refusal::Requests);
            let message = format!("the key {} may send {per_minute} requests a minute, and has", self.key.name);
            Problem::busy(message, until.wait_time_from(DefaultClock::default().now()))
        })
    }

    /// One of the places for requests that are under way; `None` where they are not counted.
    pub(super) fn slot(&self) -> Result<Option<OwnedSemaphorePermit>, Problem> {
        let Some(slots) = &self.meters.slots else { return Ok(None) };
        slots.clone().try_acquire_owned().map(Some).map_err(|_| {
            self.metrics.refused(&self.key.name, Refusal::Concurrency);
            let most = self.key.limits.concurrency.map_or(0, NonZeroU32::get);
            Problem::busy(format!("the key {} may have {most} requests under way, and has", self.key.name), SOON)
        })
    }
}

impl Allowance for Holder {
    fn take_audio(&self, seconds: f64) -> Result<(), OverAllowance> {
        let whole = NonZeroU32::new(seconds.ceil() as u32).unwrap_or(NonZeroU32::MIN);
        if let Some((bucket, per_minute)) = self.meters.audio.as_ref().zip(self.key.limits.audio_seconds_per_minute) {
            let refused = match bucket.check_n(whole) {
                Ok(Ok(())) => None,
                Ok(Err(until)) => Some(OverAllowance::Spent {
                    who: self.key.name.clone(),
                    per_minute: per_minute.get(),
                    retry_after: until.wait_time_from(DefaultClock::default().now()),
                }),
                Err(_) => Some(OverAllowance::TooLong {
                    who: self.key.name.clone(),
                    per_minute: per_minute.get(),
                    seconds: whole.get(),
                }),
            };
            if let Some(refused) = refused {
                self.metrics.refused(&self.key.name, Refusal::Audio);
                return Err(refused);
            }
        }
        self.metrics.heard(&self.key.name, seconds);
        Ok(())
    }
}

impl fmt::Debug for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Holder").field("key", &self.key).finish_non_exhaustive()
    }
}

// === impl Meters ===

impl Meters {
    fn new(limits: Limits) -> Self {
        let bucket = |per_minute: NonZeroU32| RateLimiter::direct(Quota::per_minute(per_minute));
        let slots = |most: NonZeroU32| Arc::new(Semaphore::new(most.get() as usize));
        Self {
            limits,
            requests: limits.requests_per_minute.map(bucket),
            audio: limits.audio_seconds_per_minute.map(bucket),
            slots: limits.concurrency.map(slots),
        }
    }
}
