//! Which models that left their accelerator stay in host memory, so that they come back at the speed of the bus.

use std::time::Instant;

use super::{
    Context, Resource, VersionId,
    model::{Model, versions_mut},
    version::ModelVersion,
    warmth::HOST,
};

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
