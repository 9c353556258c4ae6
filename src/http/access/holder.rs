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
    characters: Option<DefaultDirectRateLimiter>,
    slots: Option<Arc<Semaphore>>,
}

/// Why a bucket does not give what is asked of it.
enum Short {
    ForNow {
        retry_after: Duration,
    },
    /// It holds less when it is full.
    ForEver,
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

    /// Takes so much out of a bucket, if there is one; the error says how much it holds as well.
    fn take(
        &self,
        bucket: Option<&DefaultDirectRateLimiter>,
        per_minute: Option<NonZeroU32>,
        amount: NonZeroU32,
        why: Refusal,
    ) -> Result<(), (Short, u32)> {
        let Some((bucket, per_minute)) = bucket.zip(per_minute) else { return Ok(()) };
        let short = match bucket.check_n(amount) {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(until)) => Short::ForNow { retry_after: until.wait_time_from(DefaultClock::default().now()) },
            Err(_) => Short::ForEver,
        };
        self.metrics.refused(&self.key.name, why);
        Err((short, per_minute.get()))
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
        let per_minute = self.key.limits.audio_seconds_per_minute;
        self.take(self.meters.audio.as_ref(), per_minute, whole, Refusal::Audio).map_err(|(short, per_minute)| {
            let who = self.key.name.clone();
            match short {
                Short::ForNow { retry_after } => OverAllowance::Spent { who, per_minute, retry_after },
                Short::ForEver => OverAllowance::TooLong { who, per_minute, seconds: whole.get() },
            }
        })?;
        self.metrics.heard(&self.key.name, seconds);
        Ok(())
    }

    fn take_characters(&self, characters: usize) -> Result<(), OverAllowance> {
        let Some(whole) = u32::try_from(characters).ok().and_then(NonZeroU32::new) else { return Ok(()) };
        let per_minute = self.key.limits.characters_per_minute;
        self.take(self.meters.characters.as_ref(), per_minute, whole, Refusal::Characters).map_err(
            |(short, per_minute)| {
                let who = self.key.name.clone();
                match short {
                    Short::ForNow { retry_after } => OverAllowance::CharactersSpent { who, per_minute, retry_after },
                    Short::ForEver => OverAllowance::TextTooLong { who, per_minute, characters: whole.get() },
                }
            },
        )?;
        self.metrics.read(&self.key.name, characters);
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
            characters: limits.characters_per_minute.map(bucket),
            slots: limits.concurrency.map(slots),
        }
    }
}
