//! Memory that requests take together: it is asked for before it is taken, and refused beyond the bound.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    runtime,
    speech::{Fault, Kind},
};

/// Bytes that all requests together may take for one purpose. A clone is the same budget.
#[derive(Clone, Debug)]
pub struct MemoryBudget {
    units: Arc<Semaphore>,
    most: usize,
    /// What is counted, for people, and the setting that bounds it.
    what: &'static str,
    setting: &'static str,
}

/// What somebody has of a budget, until it is dropped.
#[derive(Debug)]
pub struct MemoryShare {
    budget: MemoryBudget,
    permit: Option<OwnedSemaphorePermit>,
}

/// So many bytes are counted as one.
const UNIT: usize = 1024;
/// After so many bytes the allocator is asked to give them back to the system.
const LARGE: usize = 1 << 20;

/// Why there is no memory for a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutOfMemory {
    /// Other requests end in seconds.
    #[error("the {what} of all requests together take too much memory; `{setting}` sets the limit")]
    Crowded { what: &'static str, setting: &'static str },
    #[error("the {what} of this request would take {needed} bytes; `{setting}` allows {most} in all")]
    TooLarge { what: &'static str, setting: &'static str, needed: usize, most: usize },
}

/// Bytes that hold on to their share of the budget.
struct Held {
    bytes: Vec<u8>,
    _share: MemoryShare,
}

// === impl MemoryBudget ===

impl MemoryBudget {
    pub fn new(bytes: usize, what: &'static str, setting: &'static str) -> Self {
        let units = (bytes / UNIT).clamp(1, Semaphore::MAX_PERMITS);
        Self { units: Arc::new(Semaphore::new(units)), most: units.saturating_mul(UNIT), what, setting }
    }

    /// A share of so many bytes.
    pub fn share(&self, bytes: usize) -> Result<MemoryShare, OutOfMemory> {
        let mut share = self.nothing();
        share.resize(bytes)?;
        Ok(share)
    }

    /// A share that is to grow.
    pub fn nothing(&self) -> MemoryShare {
        MemoryShare { budget: self.clone(), permit: None }
    }

    /// Whether nobody has anything.
    #[cfg(test)]
    pub fn is_untouched(&self) -> bool {
        self.units.available_permits() * UNIT == self.most
    }
}

// === impl MemoryShare ===

impl MemoryShare {
    /// Makes it one of so many bytes; a smaller one is always to be had.
    pub fn resize(&mut self, bytes: usize) -> Result<(), OutOfMemory> {
        let (wanted, has) = (bytes.div_ceil(UNIT), self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits));
        if wanted <= has {
            drop(self.permit.as_mut().and_then(|permit| permit.split(has - wanted)));
            return Ok(());
        }
        let MemoryBudget { what, setting, most, .. } = self.budget;
        if bytes > most {
            return Err(OutOfMemory::TooLarge { what, setting, needed: bytes, most });
        }
        let crowded = OutOfMemory::Crowded { what, setting };
        let more = u32::try_from(wanted - has).map_err(|_| crowded.clone())?;
        let more = self.budget.units.clone().try_acquire_many_owned(more).map_err(|_| crowded)?;
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            None => self.permit = Some(more),
        }
        Ok(())
    }

    /// Takes what another share of the same budget has.
    pub fn merge(&mut self, mut other: Self) {
        match (&mut self.permit, other.permit.take()) {
            (Some(permit), Some(more)) => permit.merge(more),
            (None, more) => self.permit = more,
            (Some(_), None) => {}
        }
    }

    /// Ties the share to what it is of: it is given back when the last clone of these bytes is gone.
    pub fn hold(self, bytes: Vec<u8>) -> Bytes {
        Bytes::from_owner(Held { bytes, _share: self })
    }
}

/// The allocator keeps what was freed for whoever asks next, which after a large request is nobody.
impl Drop for MemoryShare {
    fn drop(&mut self) {
        if self.permit.as_ref().is_some_and(|permit| permit.num_permits() >= LARGE / UNIT) {
            runtime::trim_soon();
        }
    }
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Fault for OutOfMemory {
    fn kind(&self) -> Kind {
        match self {
            Self::Crowded { .. } => Kind::Busy,
            Self::TooLarge { .. } => Kind::TooLarge,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        matches!(self, Self::Crowded { .. }).then_some(Duration::from_secs(1))
    }

    fn permanent(&self) -> bool {
        matches!(self, Self::TooLarge { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget() -> MemoryBudget {
        MemoryBudget::new(10 * UNIT, "bodies", "limits.max_bodies")
    }

    #[test]
    fn requests_share_what_there_is_and_give_it_back() {
        let budget = budget();
        let (mut first, mut second) = (budget.nothing(), budget.nothing());
        for bytes in [1, UNIT, 6 * UNIT] {
            first.resize(bytes).unwrap();
        }
        second.resize(4 * UNIT).unwrap();
        assert_eq!(second.resize(4 * UNIT + 1).unwrap_err().kind(), Kind::Busy, "all ten are taken");
        first.resize(5 * UNIT).unwrap();
        second.resize(5 * UNIT).unwrap();
        drop(first);
        second.resize(10 * UNIT).unwrap();
        drop(second);
        assert!(budget.is_untouched());
    }

    #[test]
    fn what_never_fits_is_not_to_be_tried_again() {
        let refusal = budget().share(11 * UNIT).unwrap_err();
        assert_eq!((refusal.kind(), refusal.retry_after(), refusal.permanent()), (Kind::TooLarge, None, true));
        assert!(refusal.to_string().contains("limits.max_bodies"), "{refusal}");
    }

    #[test]
    fn bytes_keep_their_share_until_the_last_clone_is_gone() {
        let budget = budget();
        let bytes = budget.share(4).unwrap().hold(b"RIFF".to_vec());
        let part = bytes.slice(1..2);
        drop(bytes);
        assert!(!budget.is_untouched());
        assert_eq!(part, "I");
        drop(part);
        assert!(budget.is_untouched());
    }
}
