//! The policy, by example and over random residents.

use rand::{Rng, SeedableRng, rngs::StdRng};

use super::*;

fn limits(max_resident: Option<usize>, budget: Option<u64>) -> Limits {
    let budget = Budget { each: budget, ..Budget::default() };
    Limits { max_resident, budget, warm: 0, room_patience: Duration::from_secs(10) }
}

/// In memory for long.
fn resident(id: u64, footprint: u64, holder: Holder) -> Resident {
    let since = start() - Duration::from_secs(1000);
    let (device, reload) = ("cpu".into(), Duration::from_secs(1));
    Resident { id, device, footprint, pinned: false, since, holder, gap: None, returns: None, reload }
}

fn idle(now: Instant, seconds: u64) -> Holder {
    Holder::Idle { since: now - Duration::from_secs(seconds) }
}

fn want(footprint: u64, since: Instant) -> RoomRequest {
    RoomRequest { device: "cpu".into(), footprint, since, may_evict: true, instead_of: None }
}

/// Far enough from the beginning of time to look back, and always the same.
fn start() -> Instant {
    static START: std::sync::LazyLock<Instant> =
        std::sync::LazyLock::new(|| Instant::now() + Duration::from_secs(100_000));
    *START
}

#[test]
fn without_limits_everything_fits() {
    let now = start();
    let residents = [resident(0, u64::MAX, Holder::Leased), resident(1, u64::MAX, Holder::Arriving)];
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
    let residents = [resident(0, 4, Holder::Leaving)];
    assert_eq!(make_room(now, &limits(Some(1), None), &residents, &want(1, now)), Verdict::Wait { until: None });
}

#[test]
fn a_model_in_use_is_left_in_peace_until_patience_ends() {
    let now = start();
    let residents = [resident(0, 4, Holder::Leased)];
    let (limits, want) = (limits(Some(1), None), want(1, now));
    let until = now + limits.room_patience;
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
    let want = RoomRequest { may_evict: false, ..want(4, now) };
    let residents = [resident(0, 4, idle(now, 10))];
    assert_eq!(make_room(now, &limits(Some(1), None), &residents, &want), Verdict::Blocked);
    assert_eq!(make_room(now, &limits(Some(2), None), &residents, &want), Verdict::Fits);
}

#[test]
fn each_device_has_its_own_budget() {
    let now = start();
    let mut limits = limits(None, Some(8));
    limits.budget.of.insert("cuda:0".to_owned(), 20);
    let elsewhere = Resident { device: "cuda:0".into(), ..resident(0, 16, idle(now, 10)) };
    let here = resident(1, 4, idle(now, 5));
    let want = |device: &str, footprint| RoomRequest { device: device.into(), ..want(footprint, now) };
    let residents = [elsewhere, here];
    assert_eq!(make_room(now, &limits, &residents, &want("cpu", 4)), Verdict::Fits);
    assert_eq!(make_room(now, &limits, &residents, &want("cuda:0", 4)), Verdict::Fits);
    assert_eq!(make_room(now, &limits, &residents, &want("cpu", 5)), Verdict::Evict(vec![1]));
    assert_eq!(make_room(now, &limits, &residents, &want("cuda:0", 5)), Verdict::Evict(vec![0]));
    assert_eq!(make_room(now, &limits, &residents, &want("metal", 9)), Verdict::WontFit { need: 9, budget: 8 });
}

#[test]
fn a_model_has_its_turn_before_it_goes_for_somebody_who_waited_longer() {
    let now = start();
    let limits = limits(Some(1), None);
    let newcomer = Resident { since: now, ..resident(0, 4, Holder::Leased) };
    let want = want(4, now - Duration::from_secs(60));
    let turn_ends = now + limits.room_patience;
    assert_eq!(
        make_room(now, &limits, std::slice::from_ref(&newcomer), &want),
        Verdict::Wait { until: Some(turn_ends) }
    );
    assert_eq!(make_room(turn_ends, &limits, &[newcomer], &want), Verdict::Drain(vec![0]));
}

#[test]
fn a_moment_between_two_requests_is_not_idleness() {
    let now = start();
    let limits = limits(Some(1), None);
    let want = want(4, now);
    let after = |gap: f64, idle_milliseconds: u64| {
        let since = now - Duration::from_millis(idle_milliseconds);
        let gap = Some(Duration::from_secs_f64(gap));
        make_room(now, &limits, &[Resident { gap, ..resident(0, 4, Holder::Idle { since }) }], &want)
    };
    let evicted = Verdict::Evict(vec![0]);
    let waits = |milliseconds| Verdict::Wait { until: Some(now + Duration::from_millis(milliseconds)) };
    assert_eq!(after(0.1, 50), waits(350), "some times as long as last time");
    assert_eq!(after(0.001, 10), waits(40), "but never less than a moment");
    assert_eq!(after(0.9, 100), waits(900), "and never more than a reload costs");
    assert_eq!(after(0.1, 400), evicted, "nobody came");
    assert_eq!(after(2.0, 0), evicted, "its requests are so rare that a reload costs less");
}

#[test]
fn who_was_told_to_come_back_finds_the_model_if_it_comes_within_its_turn() {
    let now = start();
    let limits = limits(Some(1), None);
    let want = want(4, now);
    let after = |returns: u64, seconds: u64| {
        let came = Resident { since: now, ..resident(0, 4, Holder::Idle { since: now }) };
        let returns = Some(now + Duration::from_secs(returns));
        make_room(now + Duration::from_secs(seconds), &limits, &[Resident { returns, ..came }], &want)
    };
    let waits = |seconds| Verdict::Wait { until: Some(now + Duration::from_secs(seconds)) };
    assert_eq!(after(5, 0), waits(5 + LATENESS.as_secs()));
    assert_eq!(after(5, 6), Verdict::Evict(vec![0]), "nobody came");
    assert_eq!(after(60, 0), waits(limits.room_patience.as_secs()), "no longer than a turn");
    assert_eq!(after(60, 10), Verdict::Drain(vec![0]));
}

#[test]
fn who_takes_the_place_of_a_model_comes_beside_it_or_instead_of_it() {
    let now = start();
    let want = RoomRequest { instead_of: Some(0), ..want(4, now) };
    let verdict = |budget, hold, pinned| {
        let old = Resident { pinned, ..resident(0, 4, hold) };
        make_room(now, &limits(None, Some(budget)), &[old], &want)
    };
    assert_eq!(verdict(8, Holder::Leased, false), Verdict::Fits);
    assert_eq!(verdict(7, Holder::Leased, false), Verdict::Drain(vec![0]), "nobody waits but its own callers");
    assert_eq!(verdict(7, idle(now, 0), true), Verdict::Drain(vec![0]), "a pinned model stays, at another revision");
    for hold in [Holder::Arriving, Holder::Leaving] {
        assert_eq!(verdict(7, hold, false), Verdict::Wait { until: None });
    }
    assert_eq!(verdict(3, Holder::Leased, false), Verdict::WontFit { need: 4, budget: 3 });
}

#[test]
fn under_lower_limits_the_least_worthy_go_and_pinned_ones_stay() {
    let now = start();
    let residents = [
        resident(0, 4, Holder::Leased),
        resident(1, 4, idle(now, 10)),
        resident(2, 4, idle(now, 30)),
        resident(3, 4, Holder::Leaving),
    ];
    assert_eq!(excess(now, &limits(None, Some(12)), &residents), Vec::<u64>::new());
    assert_eq!(excess(now, &limits(None, Some(11)), &residents), [2]);
    assert_eq!(excess(now, &limits(Some(1), None), &residents), [2, 1]);
    assert_eq!(excess(now, &limits(None, Some(3)), &residents), [2, 1, 0]);
    let pinned = residents.map(|resident| Resident { pinned: true, ..resident });
    assert_eq!(excess(now, &limits(Some(1), None), &pinned), Vec::<u64>::new());
}

#[test]
fn random_residents_get_a_verdict_that_keeps_every_promise() {
    for seed in 0..2000 {
        let random = &mut StdRng::seed_from_u64(seed);
        let now = start();
        let residents: Vec<_> = (0..random.random_range(0..6)).map(|id| any_resident(random, now, id)).collect();
        let mut limits = limits(
            random.random_bool(0.5).then(|| random.random_range(1..5)),
            random.random_bool(0.7).then(|| random.random_range(5..25)),
        );
        if random.random_bool(0.5) {
            limits.budget.of.insert("cuda:0".to_owned(), random.random_range(5..25));
        }
        let waited = Duration::from_secs(random.random_range(0..20));
        let want = RoomRequest {
            device: any_device(random),
            may_evict: random.random_bool(0.8),
            instead_of: random.random_bool(0.3).then(|| random.random_range(0..6)),
            ..want(random.random_range(1..12), now - waited)
        };
        check(seed, now, &limits, &residents, &want);
    }
}

fn any_device(random: &mut StdRng) -> Arc<str> {
    if random.random_bool(0.3) { "cuda:0" } else { "cpu" }.into()
}

fn any_resident(random: &mut StdRng, now: Instant, id: u64) -> Resident {
    let hold = match random.random_range(0..5) {
        0 => Holder::Arriving,
        1 => Holder::Leased,
        2 => Holder::Leaving,
        _ => idle(now, random.random_range(0..100)),
    };
    Resident {
        device: any_device(random),
        pinned: random.random_bool(0.2),
        since: now - Duration::from_secs(random.random_range(0..30)),
        gap: random.random_bool(0.5).then(|| Duration::from_millis(random.random_range(0..3000))),
        returns: random.random_bool(0.3).then(|| now + Duration::from_secs(random.random_range(0..20))),
        reload: Duration::from_millis(random.random_range(0..5000)),
        ..resident(id, random.random_range(1..10), hold)
    }
}

fn check(seed: u64, now: Instant, limits: &Limits, residents: &[Resident], want: &RoomRequest) {
    let without =
        |gone: &dyn Fn(&Resident) -> bool| limits.admit(residents.iter().filter(|resident| !gone(resident)), want);
    let former = |resident: &Resident| want.instead_of == Some(resident.id);
    let leaving = |resident: &Resident| resident.holder == Holder::Leaving || former(resident);
    let verdict = make_room(now, limits, residents, want);
    match &verdict {
        Verdict::Fits => assert!(without(&|_| false), "seed {seed}"),
        Verdict::Drain(victims) if victims.iter().all(|victim| want.instead_of == Some(*victim)) => {
            assert!(!without(&|_| false) && without(&former), "seed {seed}: both would fit");
        }
        Verdict::Evict(victims) | Verdict::Drain(victims) => {
            assert!(want.may_evict && !victims.is_empty(), "seed {seed}");
            for victim in residents.iter().filter(|resident| victims.contains(&resident.id)) {
                assert!(!victim.pinned && !matches!(victim.holder, Holder::Arriving | Holder::Leaving), "seed {seed}");
                let had_its_turn = now >= victim.since.max(want.since) + limits.room_patience;
                let idle = victim.holder != Holder::Leased && victim.pause(now, limits).is_none();
                let may = idle || (matches!(verdict, Verdict::Drain(_)) && had_its_turn);
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
            let fits = limits.budget.on(&want.device).is_none_or(|budget| want.footprint <= budget);
            assert!(!fits && need > budget && *need == want.footprint, "seed {seed}");
        }
    }
}
