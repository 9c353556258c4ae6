//! The policy, by example and over random residents.

use rand::{Rng, SeedableRng, rngs::StdRng};

use super::*;

fn limits(max_resident: Option<usize>, budget: Option<u64>) -> Limits {
    Limits { max_resident, budget, patience: Duration::from_secs(10) }
}

fn resident(id: usize, footprint: u64, hold: Hold) -> Resident {
    Resident { id, footprint, pinned: false, hold, reload: Duration::from_secs(1) }
}

fn idle(now: Instant, seconds: u64) -> Hold {
    Hold::Idle { since: now - Duration::from_secs(seconds) }
}

fn want(footprint: u64, since: Instant) -> Want {
    Want { footprint, since, may_evict: true }
}

/// Far enough from the beginning of time to look back.
fn start() -> Instant {
    Instant::now() + Duration::from_secs(100_000)
}

#[test]
fn without_limits_everything_fits() {
    let now = start();
    let residents = [resident(0, u64::MAX, Hold::Leased), resident(1, u64::MAX, Hold::Arriving)];
    assert_eq!(make_room(now, &limits(None, None), &residents, &want(u64::MAX, now)), Verdict::Fits);
}

#[test]
fn the_least_recently_used_goes_first_and_no_more_than_needed() {
    let now = start();
    let residents = [resident(0, 4, idle(now, 10)), resident(1, 4, idle(now, 30)), resident(2, 1, idle(now, 50))];
    let limits = limits(None, Some(9));
    assert_eq!(make_room(now, &limits, &residents, &want(1, now)), Verdict::Evict(vec![2]));
    // Number 2 alone would not do, and with number 1 gone it may stay.
    assert_eq!(make_room(now, &limits, &residents, &want(4, now)), Verdict::Evict(vec![1]));
    assert_eq!(make_room(now, &limits, &residents, &want(9, now)), Verdict::Evict(vec![2, 1, 0]));
}

#[test]
fn a_model_that_is_dear_to_reload_stays_longer() {
    let now = start();
    let mut residents = [resident(0, 4, idle(now, 20)), resident(1, 4, idle(now, 15))];
    residents[0].reload = Duration::from_secs(60);
    assert_eq!(make_room(now, &limits(Some(2), None), &residents, &want(4, now)), Verdict::Evict(vec![1]));
}

#[test]
fn memory_counts_until_it_is_reported_free() {
    let now = start();
    let residents = [resident(0, 4, Hold::Leaving)];
    assert_eq!(make_room(now, &limits(Some(1), None), &residents, &want(1, now)), Verdict::Wait { until: None });
}

#[test]
fn a_model_in_use_is_left_in_peace_until_patience_ends() {
    let now = start();
    let residents = [resident(0, 4, Hold::Leased)];
    let (limits, want) = (limits(Some(1), None), want(1, now));
    let until = now + limits.patience;
    assert_eq!(make_room(now, &limits, &residents, &want), Verdict::Wait { until: Some(until) });
    assert_eq!(make_room(until, &limits, &residents, &want), Verdict::Drain(vec![0]));
}

#[test]
fn pinned_models_stay() {
    let now = start();
    let mut residents = [resident(0, 4, idle(now, 10)), resident(1, 4, idle(now, 5))];
    residents[0].pinned = true;
    assert_eq!(make_room(now, &limits(None, Some(8)), &residents, &want(4, now)), Verdict::Evict(vec![1]));
    assert_eq!(make_room(now, &limits(None, Some(8)), &residents, &want(5, now)), Verdict::Blocked);
}

#[test]
fn what_exceeds_the_budget_is_refused_with_need_and_budget() {
    let now = start();
    let verdict = make_room(now, &limits(None, Some(8)), &[], &want(9, now));
    assert_eq!(verdict, Verdict::WontFit { need: 9, budget: 8 });
}

#[test]
fn a_preload_drives_nobody_out() {
    let now = start();
    let want = Want { may_evict: false, ..want(4, now) };
    let residents = [resident(0, 4, idle(now, 10))];
    assert_eq!(make_room(now, &limits(Some(1), None), &residents, &want), Verdict::Blocked);
    assert_eq!(make_room(now, &limits(Some(2), None), &residents, &want), Verdict::Fits);
}

#[test]
fn random_residents_get_a_verdict_that_keeps_every_promise() {
    for seed in 0..2000 {
        let random = &mut StdRng::seed_from_u64(seed);
        let now = start();
        let residents: Vec<_> = (0..random.random_range(0..6)).map(|id| any_resident(random, now, id)).collect();
        let limits = limits(
            random.random_bool(0.5).then(|| random.random_range(1..5)),
            random.random_bool(0.7).then(|| random.random_range(5..25)),
        );
        let waited = Duration::from_secs(random.random_range(0..20));
        let want =
            Want { footprint: random.random_range(1..12), since: now - waited, may_evict: random.random_bool(0.8) };
        check(seed, now, &limits, &residents, &want);
    }
}

fn any_resident(random: &mut StdRng, now: Instant, id: usize) -> Resident {
    let hold = match random.random_range(0..5) {
        0 => Hold::Arriving,
        1 => Hold::Leased,
        2 => Hold::Leaving,
        _ => idle(now, random.random_range(0..100)),
    };
    let reload = Duration::from_millis(random.random_range(0..5000));
    Resident { id, footprint: random.random_range(1..10), pinned: random.random_bool(0.2), hold, reload }
}

fn check(seed: u64, now: Instant, limits: &Limits, residents: &[Resident], want: &Want) {
    let without = |gone: &dyn Fn(&Resident) -> bool| {
        limits.admit(taken(residents.iter().filter(|resident| !gone(resident))), want)
    };
    let leaving = |resident: &Resident| resident.hold == Hold::Leaving;
    let verdict = make_room(now, limits, residents, want);
    match &verdict {
        Verdict::Fits => assert!(without(&|_| false), "seed {seed}"),
        Verdict::Evict(victims) | Verdict::Drain(victims) => {
            let patient = now < want.since + limits.patience;
            assert!(want.may_evict && !victims.is_empty(), "seed {seed}");
            for victim in residents.iter().filter(|resident| victims.contains(&resident.id)) {
                assert!(!victim.pinned && !matches!(victim.hold, Hold::Arriving | Hold::Leaving), "seed {seed}");
                let may = victim.hold != Hold::Leased || (matches!(verdict, Verdict::Drain(_)) && !patient);
                assert!(may, "seed {seed}: in use");
                let spared =
                    |other: &Resident| leaving(other) || (victims.contains(&other.id) && other.id != victim.id);
                assert!(!without(&spared), "seed {seed}: {} goes for nothing", victim.id);
            }
            let gone = |resident: &Resident| leaving(resident) || victims.contains(&resident.id);
            assert!(without(&gone), "seed {seed}: it is not enough");
        }
        Verdict::Wait { until } => {
            assert!(!without(&|_| false), "seed {seed}");
            assert!(until.is_none_or(|until| until > now), "seed {seed}");
            assert!(without(&|resident| leaving(resident) || !resident.pinned), "seed {seed}: it waits in vain");
        }
        Verdict::Blocked => {
            let movable = |resident: &Resident| leaving(resident) || (want.may_evict && !resident.pinned);
            assert!(!without(&movable), "seed {seed}: there is a way");
        }
        Verdict::WontFit { need, budget } => {
            assert!(need > budget && *need == want.footprint && limits.budget == Some(*budget), "seed {seed}");
        }
    }
}
