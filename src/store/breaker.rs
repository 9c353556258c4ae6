//! Leaves a host alone that failed several times in a row, so that many transfers together do not hammer what is down.
//!
//! ```text
//!          FAILURES in a row             pause over: one may try
//! Closed ────────────────────► Open ──────────────────────────────► HalfOpen
//!   ▲                            ▲                                     │ │
//!   │                            └────────────── it failed ────────────┘ │
//!   └─────────────────────────── it succeeded ────────────────────────────┘
//! ```

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// More than one fetch tries by itself, so that a breaker opens only where several of them find the host down.
const FAILURES: u32 = 8;
/// How long an open breaker keeps everybody away. Long enough to spare a host that restarts, short enough that a
/// waiting fetch sits it out.
const PAUSE: Duration = Duration::from_secs(10);

/// The breakers of all hosts that were ever asked, by authority (`host:port`).
#[derive(Default)]
pub(super) struct Breakers(Mutex<BTreeMap<String, Breaker>>);

/// What is known of one host.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Breaker {
    Closed {
        failures: u32,
    },
    Open {
        until: Instant,
    },
    /// One request is out to see whether the host is back; it counts as lost at `until`.
    HalfOpen {
        until: Instant,
    },
}

// === impl Breakers ===

impl Breakers {
    /// Whether a host may be asked now; if not, how long to wait.
    pub(super) fn admit(&self, host: &str) -> Result<(), Duration> {
        let mut all = self.0.lock();
        let Some(breaker) = all.get_mut(host) else { return Ok(()) };
        let (next, verdict) = breaker.admit(Instant::now());
        *breaker = next;
        verdict
    }

    /// What came of asking it.
    pub(super) fn report(&self, host: &str, answered: bool) {
        let mut all = self.0.lock();
        let breaker = all.entry(host.to_owned()).or_insert(Breaker::CLOSED);
        let next = breaker.after(answered, Instant::now());
        if breaker.is_opened_by(next) {
            tracing::warn!(host, pause_seconds = PAUSE.as_secs(), "left alone: it failed too often in a row");
        }
        *breaker = next;
    }
}

// === impl Breaker ===

impl Breaker {
    const CLOSED: Self = Self::Closed { failures: 0 };

    /// Whether the host is left alone from now on. That it still is, after one more look, is no news.
    fn is_opened_by(self, next: Self) -> bool {
        matches!((self, next), (Self::Closed { .. }, Self::Open { .. }))
    }

    fn admit(self, now: Instant) -> (Self, Result<(), Duration>) {
        match self {
            Self::Closed { .. } => (self, Ok(())),
            Self::Open { until } | Self::HalfOpen { until } if now < until => (self, Err(until - now)),
            Self::Open { .. } | Self::HalfOpen { .. } => (Self::HalfOpen { until: now + PAUSE }, Ok(())),
        }
    }

    fn after(self, answered: bool, now: Instant) -> Self {
        match (answered, self) {
            (true, _) => Self::CLOSED,
            (false, Self::Closed { failures }) if failures + 1 < FAILURES => Self::Closed { failures: failures + 1 },
            (false, Self::Closed { .. } | Self::HalfOpen { .. }) => Self::Open { until: now + PAUSE },
            // Somebody who was admitted before it opened.
            (false, Self::Open { .. }) => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(now: Instant) -> Breaker {
        (0..FAILURES).fold(Breaker::CLOSED, |breaker, _| breaker.after(false, now))
    }

    #[test]
    fn it_opens_after_failures_in_a_row_only() {
        let now = Instant::now();
        assert_eq!(opened(now), Breaker::Open { until: now + PAUSE });
        let almost = (1..FAILURES).fold(Breaker::CLOSED, |breaker, _| breaker.after(false, now));
        assert_eq!(almost.after(true, now), Breaker::CLOSED, "a success forgets what was before");
        assert_eq!(almost.admit(now).1, Ok(()));
    }

    #[test]
    fn after_the_pause_one_may_try() {
        let now = Instant::now();
        let open = opened(now);
        assert_eq!(open.admit(now), (open, Err(PAUSE)));
        let (half, admitted) = open.admit(now + PAUSE);
        assert_eq!(admitted, Ok(()));
        assert!(half.admit(now + PAUSE).1.is_err(), "only one");
        assert_eq!(half.after(true, now + PAUSE), Breaker::CLOSED);
        assert!(Breaker::CLOSED.is_opened_by(open) && !half.is_opened_by(half.after(false, now + PAUSE)), "told once");
        assert_eq!(half.after(false, now + PAUSE), Breaker::Open { until: now + PAUSE * 2 });
        assert_eq!(half.admit(now + PAUSE * 2).1, Ok(()), "the one that tried was never heard of again");
    }

    #[test]
    fn hosts_do_not_answer_for_each_other() {
        let breakers = Breakers::default();
        (0..FAILURES).for_each(|_| breakers.report("down:80", false));
        assert!(breakers.admit("down:80").is_err());
        assert_eq!(breakers.admit("up:80"), Ok(()));
    }
}
