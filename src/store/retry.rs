//! When to try again.

use std::{future::Future, time::Duration};

use rand::Rng;

use super::StoreError;
use crate::speech::Fault;

/// Before the second try; doubles with each further one.
const BASE: Duration = Duration::from_millis(500);
/// A pause that is shorter is no news: what comes of the next try is told soon enough. So is that for which a host is left
/// alone.
const NOTABLE: Duration = Duration::from_secs(15);
/// Between two tries, at most. A server that asks for more gets it, but not from inside a fetch: the error says when.
const LONGEST: Duration = Duration::from_secs(60);

/// How often, and how far apart, something that failed for a passing reason is tried again.
#[derive(Clone, Copy, Debug)]
pub(super) struct RetryPolicy {
    /// The first try included.
    pub attempts: u32,
    pub base: Duration,
}

// === impl Patience ===

impl RetryPolicy {
    pub(super) fn new(attempts: u32) -> Self {
        Self { attempts: attempts.max(1), base: BASE }
    }

    /// Tries `step` until it succeeds, fails for good, or has used up its tries.
    pub(super) async fn retry<T, F>(&self, mut step: impl FnMut() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut tries = 0;
        loop {
            match step().await {
                Ok(value) => return Ok(value),
                Err(error) => {
                    tries += 1;
                    self.pause(tries, error).await?;
                }
            }
        }
    }

    /// Waits before the next try, after so many that failed; gives the error back when there is to be none.
    pub(super) async fn pause(&self, tries: u32, error: StoreError) -> Result<(), StoreError> {
        let wait = error.retry_after().unwrap_or(Duration::ZERO).max(self.backoff(tries));
        if !matches!(error, StoreError::Unreachable { .. }) || tries >= self.attempts || wait > LONGEST {
            return Err(error);
        }
        let (attempts, wait_seconds) = (self.attempts, (wait.as_secs_f64() * 10.0).round() / 10.0);
        if wait < NOTABLE {
            tracing::debug!(tries, attempts, wait_seconds, %error, "will try again");
        } else {
            tracing::warn!(tries, attempts, wait_seconds, %error, "will try again");
        }
        tokio::time::sleep(wait).await;
        Ok(())
    }

    /// Exponential, with up to half of it left to chance, so that many servers do not come back at the same moment.
    fn backoff(&self, tries: u32) -> Duration {
        let full = self.base.saturating_mul(2u32.saturating_pow(tries.saturating_sub(1))).min(LONGEST);
        full.mul_f64(rand::rng().random_range(0.5..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unreachable(retry_after: Option<u64>) -> StoreError {
        StoreError::Unreachable {
            host: String::new(),
            source_name: String::new(),
            reason: String::new(),
            retry_after: retry_after.map(Duration::from_secs),
        }
    }

    async fn waited(tries: u32, error: StoreError) -> Option<Duration> {
        let start = tokio::time::Instant::now();
        let retry_policy = RetryPolicy { attempts: 5, base: Duration::from_secs(1) };
        retry_policy.pause(tries, error).await.ok().map(|()| start.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_doubles_and_obeys_the_server() {
        let third = waited(3, unreachable(None)).await.unwrap();
        assert!(third >= Duration::from_secs(2) && third <= Duration::from_millis(4010), "{third:?}");
        assert!(waited(1, unreachable(Some(30))).await.unwrap() >= Duration::from_secs(30));
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends() {
        assert!(waited(5, unreachable(None)).await.is_none(), "the tries are used up");
        assert!(waited(1, unreachable(Some(3600))).await.is_none(), "an hour is for the caller to wait");
        assert!(waited(1, StoreError::Setup("wrong".into())).await.is_none(), "this will not pass");
    }
}
