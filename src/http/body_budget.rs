//! How much memory the bodies of all requests may take together.

use std::{sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::speech::{Fault, Kind};

/// Bytes of bodies that may be in memory at once, over all requests.
#[derive(Clone, Debug)]
pub struct BodyBudget(Arc<Semaphore>);

/// What one request has of them, until it is over.
pub(super) type Share = OwnedSemaphorePermit;

/// So many bytes are counted as one.
const UNIT: usize = 1024;

/// Other requests end in seconds.
#[derive(Debug, thiserror::Error)]
#[error("the bodies of all requests together take too much memory; `limits.max_bodies` sets the limit")]
pub(super) struct Crowded;

// === impl BodyBudget ===

impl BodyBudget {
    pub fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new((bytes / UNIT).clamp(1, Semaphore::MAX_PERMITS))))
    }

    /// Makes a share large enough for a body of `length` bytes.
    pub(super) fn grow(&self, share: &mut Option<Share>, length: usize) -> Result<(), Crowded> {
        let has = share.as_ref().map_or(0, Share::num_permits);
        let more = u32::try_from(length.div_ceil(UNIT).saturating_sub(has)).map_err(|_| Crowded)?;
        if more == 0 {
            return Ok(());
        }
        let more = self.0.clone().try_acquire_many_owned(more).map_err(|_| Crowded)?;
        match share {
            Some(share) => share.merge(more),
            None => *share = Some(more),
        }
        Ok(())
    }
}

impl Fault for Crowded {
    fn kind(&self) -> Kind {
        Kind::Busy
    }

    fn retry_after(&self) -> Option<Duration> {
        Some(Duration::from_secs(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_share_what_there_is_and_give_it_back() {
        let bodies = BodyBudget::new(10 * UNIT);
        let (mut first, mut second) = (None, None);
        for length in [1, UNIT, 6 * UNIT] {
            bodies.grow(&mut first, length).unwrap();
        }
        bodies.grow(&mut second, 4 * UNIT).unwrap();
        assert!(bodies.grow(&mut second, 4 * UNIT + 1).is_err(), "all ten are taken");
        drop(first);
        bodies.grow(&mut second, 10 * UNIT).unwrap();
    }
}
