//! Which models that left their accelerator stay in host memory, so that they come back at the speed of the bus.

use std::time::Instant;

use super::{
    Context, Effect, Resource, Stock, VersionId,
    model::{Model, versions_mut},
    version::ModelVersion,
};

/// The device whose memory is the host's.
const HOST: &str = "cpu";

/// Whether the files of a version are held in host memory.
pub(super) enum Warmth<F> {
    Cold,
    /// They are to be, since it left its device then, if there is room.
    Due(Instant),
    /// They are being read.
    Warming(Instant),
    Warm(Instant, F),
}

/// A version whose files are held, or are to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Candidate {
    id: VersionId,
    /// Of its files.
    bytes: u64,
    /// When it left its device.
    since: Instant,
}

/// Holds what may be held, and lets the rest go: the bytes count as the host's, of which models that live there come first.
pub(super) fn settle<R: Resource, F: Clone>(models: &mut [Model<R, F>], cx: &mut Context<'_, R, F>) {
    let candidates = models.iter().flat_map(Model::versions).filter_map(candidate).collect();
    let kept = kept(room(models, cx), candidates);
    for version in versions_mut(models).filter(|version| !version.warmth.is_cold()) {
        if kept.contains(&version.id()) { version.warm(cx) } else { version.cool(cx) }
    }
}

/// Those who left last, as many as there is room for.
fn kept(room: u64, mut candidates: Vec<Candidate>) -> Vec<VersionId> {
    candidates.sort_by_key(|candidate| std::cmp::Reverse((candidate.since, candidate.id)));
    let mut left = room;
    let fits = |candidate: &Candidate| left.checked_sub(candidate.bytes).map(|rest| left = rest).is_some();
    candidates.into_iter().filter(fits).map(|candidate| candidate.id).collect()
}

/// Bytes that may be held.
fn room<R: Resource, F: Clone>(models: &[Model<R, F>], cx: &Context<'_, R, F>) -> u64 {
    let limits = &cx.rules.limits;
    let residents = models.iter().flat_map(Model::versions).filter_map(ModelVersion::resident);
    let taken = residents.filter(|resident| *resident.device == *HOST).map(|resident| resident.footprint);
    let taken = taken.fold(0u64, u64::saturating_add);
    let host = limits.budget.on(HOST).map_or(u64::MAX, |budget| budget.saturating_sub(taken));
    limits.warm.min(host)
}

fn candidate<R: Resource, F: Clone>(version: &ModelVersion<R, F>) -> Option<Candidate> {
    let (since, stock) = (version.warmth.since()?, version.stock()?);
    Some(Candidate { id: version.id(), bytes: stock.size, since })
}

// === impl Warmth ===

impl<F> Warmth<F> {
    /// Of a version that has left its device: where that is the host's memory, nothing is gained.
    pub fn of(stock: &Stock<F>, now: Instant) -> Self {
        if *stock.device == *HOST { Self::Cold } else { Self::Due(now) }
    }

    /// The files, if they are held; from now on whoever asked holds them.
    pub fn take(&mut self) -> Option<F> {
        match std::mem::replace(self, Self::Cold) {
            Self::Warm(_, files) => Some(files),
            Self::Cold | Self::Due(_) | Self::Warming(_) => None,
        }
    }

    fn is_cold(&self) -> bool {
        matches!(self, Self::Cold)
    }

    fn since(&self) -> Option<Instant> {
        match self {
            Self::Cold => None,
            Self::Due(since) | Self::Warming(since) | Self::Warm(since, _) => Some(*since),
        }
    }
}

// === impl ModelVersion ===

impl<R: Resource, F: Clone> ModelVersion<R, F> {
    pub fn is_warm(&self) -> bool {
        matches!(self.warmth, Warmth::Warm(..))
    }

    /// They were read, or could not be.
    pub fn warmed(&mut self, cx: &mut Context<'_, R, F>, files: Option<F>) {
        match (&self.warmth, files) {
            (Warmth::Warming(since), Some(files)) => self.warmth = Warmth::Warm(*since, files),
            (Warmth::Warming(_), None) => self.warmth = Warmth::Cold,
            // Nobody wants them any more.
            (_, Some(files)) => cx.out.push(Effect::Cool { files }),
            (_, None) => {}
        }
    }

    pub fn cool(&mut self, cx: &mut Context<'_, R, F>) {
        cx.out.extend(self.warmth.take().map(|files| Effect::Cool { files }));
    }

    fn warm(&mut self, cx: &mut Context<'_, R, F>) {
        if let (Warmth::Due(since), Some(stock)) = (&self.warmth, self.stock()) {
            let (since, files) = (*since, stock.files.clone());
            cx.out.push(Effect::Warm { version: self.id(), spec: self.spec().clone(), files });
            self.warmth = Warmth::Warming(since);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn those_who_left_last_stay() {
        let now = Instant::now();
        let candidate =
            |(id, bytes, seconds): (u64, u64, u64)| Candidate { id, bytes, since: now + Duration::from_secs(seconds) };
        let kept = |room, all: &[(u64, u64, u64)]| {
            let mut kept = kept(room, all.iter().copied().map(candidate).collect());
            kept.sort_unstable();
            kept
        };
        let three = [(1, 40, 10), (2, 40, 30), (3, 40, 20)];
        assert_eq!(kept(120, &three), [1, 2, 3], "to the last byte");
        assert_eq!(kept(119, &three), [2, 3]);
        assert_eq!(kept(40, &three), [2]);
        assert_eq!(kept(0, &three), [0u64; 0]);
        assert_eq!(kept(50, &[(1, 40, 10), (2, 60, 20)]), [1], "one that is too large takes nobody's place");
        assert_eq!(kept(u64::MAX, &[(1, u64::MAX, 10), (2, 1, 20)]), [2]);
    }
}
