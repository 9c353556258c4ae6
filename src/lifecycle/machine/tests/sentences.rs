//! What the machine promises, one sentence at a time.

use super::{super::*, world::*};
use crate::{
    lifecycle::{Failure, Footprint, Progress, Status},
    speech::Fault,
};

fn single() -> Rules {
    let limits = Limits { max_resident: Some(1), ..rules().limits };
    Rules { limits, ..rules() }
}

fn startup(on_preload_failure: OnPreloadFailure) -> Rules {
    Rules { mode: LoadMode::Startup, on_preload_failure, ..rules() }
}

fn preloaded(name: &str) -> ModelSpec {
    ModelSpec { preload: true, ..model(name) }
}

#[test]
fn the_first_request_brings_the_model_in_and_later_ones_find_it() {
    let mut world = World::of(rules(), 1);
    assert_eq!(world.status(0), Status::NotLoaded);
    let first = world.ask(0);
    assert_eq!(world.status(0), Status::Downloading);
    world.fetched(0, None);
    assert_eq!(world.status(0), Status::Loading);
    assert!(world.waits(first));
    world.loaded(0, None);
    assert_eq!(world.status(0), Status::Ready);
    let second = world.ask(0);
    assert!(world.leased(first) && world.leased(second));
}

#[test]
fn a_hundred_callers_cause_one_fetch_and_one_load() {
    let mut world = World::of(rules(), 1);
    let mut callers: Vec<_> = (0..50).map(|_| world.ask(0)).collect();
    world.fetched(0, None);
    callers.extend((0..50).map(|_| world.ask(0)));
    world.loaded(0, None);
    assert!(callers.iter().all(|caller| world.leased(*caller)));
    assert_eq!((world.counted("fetch"), world.counted("load")), (1, 1));
}

#[test]
fn a_caller_who_leaves_cancels_only_its_own_wait() {
    let mut world = World::of(rules(), 1);
    let (leaves, stays) = (world.ask(0), world.ask(0));
    world.leave(leaves);
    world.fetched(0, None);
    world.loaded(0, None);
    assert!(world.leased(stays));

    let mut world = World::of(rules(), 1);
    let only = world.ask(0);
    world.leave(only);
    world.fetched(0, None);
    world.loaded(0, None);
    assert_eq!(world.status(0), Status::Ready, "the load belongs to nobody in particular");
}

#[test]
fn who_has_no_patience_is_told_the_progress_and_the_load_goes_on() {
    let mut world = World::of(rules(), 1);
    let hasty = world.ask_for(0, LEASE, Some(Duration::ZERO), false);
    assert!(matches!(world.refusal(hasty), Unavailable::NotYet { .. }));

    let patient = world.ask_for(0, LEASE, Some(seconds(5)), false);
    let progress =
        Progress { bytes_done: 12_000_000, bytes_total: 48_000_000, eta_seconds: Some(600.0), ..Default::default() };
    let attempt = world.fetches[0].attempt;
    world.step(Event::Progress { attempt, progress });
    world.pass(seconds(5));
    let refusal = world.refusal(patient);
    assert!(refusal.to_string().contains("12 of 48 MB"), "{refusal}");
    assert_eq!(refusal.retry_after(), Some(seconds(120)), "clients obey no more than two minutes");

    world.fetched(0, None);
    world.loaded(0, None);
    let third = world.ask_for(0, LEASE, Some(Duration::ZERO), false);
    assert!(world.leased(third), "what is ready takes no patience");
}

#[test]
fn a_failure_is_answered_at_once_until_it_may_be_tried_again() {
    let mut world = World::of(rules(), 1);
    let first = world.ask(0);
    world.fetched(0, Some(transient()));
    assert!(matches!(world.refusal(first), Unavailable::Failed { permanent: false, .. }));
    assert_eq!(world.refusal(first).retry_after(), Some(seconds(1)));

    let second = world.ask(0);
    assert!(world.refusal(second).to_string().contains("the hub answers 503"));
    assert_eq!(world.counted("fetch"), 1, "not before its time");

    world.pass(seconds(1));
    assert_eq!(world.status(0), Status::Failed, "on demand, nothing is tried without being asked for");
    let third = world.ask(0);
    assert_eq!(world.counted("fetch"), 2);
    world.fetched(0, None);
    world.loaded(0, None);
    assert!(world.leased(third));
}

#[test]
fn the_back_off_doubles_up_to_its_bound_and_obeys_the_other_side() {
    let mut world = World::of(rules(), 1);
    let mut delays = Vec::new();
    for _ in 0..8 {
        let caller = world.ask(0);
        world.fetched(0, Some(transient()));
        let delay = world.refusal(caller).retry_after().unwrap();
        delays.push(delay.as_secs());
        world.pass(delay);
    }
    assert_eq!(delays, [1, 2, 4, 8, 16, 32, 60, 60]);

    let caller = world.ask(0);
    world.fetched(0, Some(Failure { retry_after: Some(seconds(90)), ..transient() }));
    assert_eq!(world.refusal(caller).retry_after(), Some(seconds(90)));
}

#[test]
fn a_permanent_failure_is_tried_again_only_when_somebody_says_so() {
    let mut world = World::of(rules(), 1);
    let first = world.ask(0);
    world.fetched(0, Some(permanent()));
    assert!(world.refusal(first).permanent() && world.refusal(first).retry_after().is_none());
    world.pass(seconds(100_000));
    let second = world.ask(0);
    assert!(world.refusal(second).permanent());
    assert_eq!(world.counted("fetch"), 1);

    let asked = world.ask_for(0, WaitCondition::Ready, None, true);
    world.fetched(0, None);
    world.loaded(0, None);
    assert!(world.reached(asked));
}

#[test]
fn a_switch_unloads_waits_for_the_memory_and_only_then_loads() {
    let mut world = World::of(single(), 2);
    world.bring(0);
    let caller = world.ask(1);
    world.fetched(1, None);
    assert_eq!((world.counted("unload"), world.counted("load")), (1, 1), "the other goes, nothing comes yet");
    assert!(world.notes.contains(&Note::Switching { from: vec![name("a")], to: name("b") }));
    world.ended(0);
    assert_eq!(world.counted("load"), 2);
    world.loaded(1, None);
    assert!(world.leased(caller));

    world.release(1);
    world.ask(0);
    assert_eq!(world.counted("fetch"), 2, "its files are still here");
}

#[test]
fn a_model_in_use_stays_until_patience_ends_and_then_drains() {
    let mut world = World::of(single(), 2);
    world.bring(0);
    let (first, second) = (world.ask(0), world.ask(1));
    assert!(world.leased(first));
    world.fetched(1, None);
    let third = world.ask(0);
    assert!(world.leased(third), "the same model is served on");

    world.pass(seconds(10));
    let fourth = world.ask(0);
    assert!(world.waits(fourth), "no new leases");
    world.release(0);
    assert_eq!(world.counted("unload"), 0, "not under a lease");
    world.release(0);
    assert_eq!(world.counted("unload"), 1);
    world.ended(0);
    world.loaded(1, None);
    assert!(world.leased(second));

    world.release(1);
    world.ended(1);
    world.loaded(0, None);
    assert!(world.leased(fourth), "and back");
}

#[test]
fn who_waits_for_room_in_vain_is_told_so() {
    let mut world = World::of(single(), 2);
    world.bring(0);
    world.ask(0);
    let caller = world.ask_for(1, LEASE, Some(seconds(5)), false);
    world.fetched(1, None);
    world.pass(seconds(5));
    assert!(matches!(world.refusal(caller), Unavailable::NoRoom { .. }));
}

#[test]
fn room_is_given_in_order_of_arrival() {
    let mut world = World::of(single(), 3);
    world.bring(0);
    world.ask(0);
    let (second, third) = (world.ask(1), world.ask(2));
    world.fetched(1, None);
    world.pass(seconds(1));
    world.fetched(2, None);
    world.release(0);
    world.ended(0);
    world.loaded(1, None);
    assert!(world.leased(second) && world.waits(third));
    world.release(1);
    world.ended(1);
    world.loaded(2, None);
    assert!(world.leased(third));
}

#[test]
fn a_pinned_model_stays_and_the_caller_learns_who_is_in_the_way() {
    let models = vec![ModelSpec { pinned: true, ..model("a") }, model("b")];
    let mut world = World::new(single(), models, vec![4, 4]);
    world.bring(0);
    let caller = world.ask(1);
    world.fetched(1, None);
    assert!(world.refusal(caller).to_string().contains("beside a"), "{}", world.refusal(caller));
    assert_eq!(world.status(0), Status::Ready);
}

#[test]
fn what_can_never_fit_is_refused_with_need_and_budget() {
    let limits = Limits { budget: each(10), ..rules().limits };
    let mut world = World::new(Rules { limits, ..rules() }, vec![model("a")], vec![11]);
    let first = world.ask(0);
    world.fetched(0, None);
    let second = world.ask(0);
    for caller in [first, second] {
        assert!(matches!(
            world.refusal(caller),
            Unavailable::WontFit { need: Footprint { together: 11, .. }, budget: 10, .. }
        ));
    }
    assert_eq!((world.counted("fetch"), world.counted("load")), (1, 0));
}

#[test]
fn an_idle_model_goes_after_its_time_and_one_in_use_does_not() {
    let models = vec![ModelSpec { idle_ttl: Some(seconds(30)), ..model("a") }];
    let mut world = World::new(rules(), models, vec![4]);
    world.bring(0);
    world.pass(seconds(29));
    world.ask(0);
    world.pass(seconds(100));
    assert_eq!(world.status(0), Status::Ready);
    world.release(0);
    world.pass(seconds(29));
    assert_eq!(world.status(0), Status::Ready, "it counts from the end of the last lease");
    world.pass(seconds(1));
    assert_eq!(world.counted("unload"), 1);
    world.ended(0);
    assert_eq!(world.status(0), Status::NotLoaded);
}

#[test]
fn an_unload_that_is_asked_for_drains_and_tells_when_the_memory_is_free() {
    let mut world = World::of(rules(), 1);
    world.bring(0);
    world.ask(0);
    let asked = world.ask_for(0, WaitCondition::Unloaded, None, true);
    let later = world.ask(0);
    world.release(0);
    assert!(world.waits(asked) && world.waits(later));
    world.ended(0);
    assert!(world.reached(asked));
    world.loaded(0, None);
    assert!(world.leased(later), "who came later gets it back");

    let mut world = World::of(rules(), 1);
    let nothing_to_do = world.ask_for(0, WaitCondition::Unloaded, None, true);
    assert!(world.reached(nothing_to_do));
}

#[test]
fn files_alone_can_be_asked_for() {
    let mut world = World::of(rules(), 1);
    let asked = world.ask_for(0, WaitCondition::Fetched, None, true);
    world.fetched(0, None);
    assert!(world.reached(asked));
    assert_eq!((world.status(0), world.counted("load")), (Status::NotLoaded, 0));
    let caller = world.ask(0);
    world.loaded(0, None);
    assert!(world.leased(caller));
    assert_eq!(world.counted("fetch"), 1);
}

#[test]
fn a_request_that_joins_a_fetch_has_it_loaded() {
    let mut world = World::of(rules(), 1);
    let files = world.ask_for(0, WaitCondition::Fetched, None, true);
    let caller = world.ask(0);
    world.fetched(0, None);
    assert!(world.reached(files) && world.waits(caller));
    world.loaded(0, None);
    assert!(world.leased(caller));
}

#[test]
fn on_demand_loads_nothing_at_the_start() {
    let mut world = World::new(rules(), vec![preloaded("a")], vec![4]);
    world.step(Event::Start);
    assert_eq!(world.counted("fetch"), 0);
    assert!(world.machine.preload_complete());
}

#[test]
fn a_start_is_complete_when_every_preloaded_model_was_ready() {
    let models = vec![preloaded("a"), preloaded("b"), model("c")];
    let mut world = World::new(startup(OnPreloadFailure::Retry), models, vec![4; 3]);
    world.step(Event::Start);
    for version in [0, 1] {
        assert!(!world.machine.preload_complete());
        world.fetched(version, None);
        world.loaded(version, None);
    }
    assert!(world.machine.preload_complete());
    assert_eq!(world.status(2), Status::NotLoaded);
    let attempt = world.ask_for(0, WaitCondition::Unloaded, None, true);
    world.ended(0);
    assert!(world.reached(attempt) && world.machine.preload_complete(), "what was complete stays so");
}

#[test]
fn a_preload_that_fails_is_tried_again_by_itself_and_says_why_it_is_not_there() {
    let mut world = World::new(startup(OnPreloadFailure::Retry), vec![preloaded("a")], vec![4]);
    world.step(Event::Start);
    world.fetched(0, Some(transient()));
    assert_eq!(world.machine.preload_failed().as_deref(), Some("a: the hub answers 503"));
    assert_eq!(world.machine.next_deadline(world.now), Some(world.now + seconds(1)));
    world.pass(seconds(1));
    assert_eq!(world.counted("fetch"), 2);
    world.fetched(0, None);
    world.loaded(0, None);
    assert!(world.machine.preload_complete() && world.machine.preload_failed().is_none());
}

#[test]
fn a_preload_that_fails_for_good_waits_for_an_explicit_ask() {
    let mut world = World::new(startup(OnPreloadFailure::Retry), vec![preloaded("a")], vec![4]);
    world.step(Event::Start);
    world.fetched(0, Some(permanent()));
    assert_eq!(world.machine.next_deadline(world.now), None);
    assert!(world.machine.preload_failed().is_some());
    world.ask_for(0, WaitCondition::Ready, None, true);
    world.fetched(0, None);
    world.loaded(0, None);
    assert!(world.machine.preload_complete());
}

#[test]
fn a_failed_preload_ends_the_process_or_becomes_lazy_as_configured() {
    let mut world = World::new(startup(OnPreloadFailure::Exit), vec![preloaded("a")], vec![4]);
    world.step(Event::Start);
    world.fetched(0, Some(transient()));
    assert!(world.exits[0].contains("a could not be loaded: the hub answers 503"), "{:?}", world.exits);

    let mut world = World::new(startup(OnPreloadFailure::Lazy), vec![preloaded("a")], vec![4]);
    world.step(Event::Start);
    world.fetched(0, Some(transient()));
    assert!(world.machine.preload_complete() && world.exits.is_empty());
    world.pass(seconds(100));
    assert_eq!(world.counted("fetch"), 1);
    world.ask(0);
    assert_eq!(world.counted("fetch"), 2, "the first request tries again");
}

#[test]
fn preloads_do_not_drive_each_other_out() {
    let limits = Limits { max_resident: Some(1), ..rules().limits };
    let rules = Rules { limits, ..startup(OnPreloadFailure::Retry) };
    let mut world = World::new(rules, vec![preloaded("a"), preloaded("b")], vec![4, 4]);
    world.step(Event::Start);
    world.fetched(0, None);
    world.loaded(0, None);
    world.fetched(1, None);
    assert_eq!((world.status(0), world.status(1)), (Status::Ready, Status::NotLoaded));
    assert_eq!(world.machine.preload_failed().as_deref(), Some("b: it does not fit beside a"));

    let caller = world.ask(1);
    world.ended(0);
    world.loaded(1, None);
    assert!(world.leased(caller) && world.machine.preload_complete(), "a request does");
}

#[test]
fn a_model_that_breaks_is_brought_back_with_growing_pauses() {
    let mut world = World::of(rules(), 1);
    let mut pauses = Vec::new();
    for _ in 0..3 {
        world.ask(0);
        world.fetched(0, None);
        world.loaded(0, None);
        world.died(0);
        let refused = world.ask(0);
        let pause = world.refusal(refused).retry_after().unwrap();
        pauses.push(pause.as_secs());
        world.pass(pause);
    }
    assert_eq!(pauses, [1, 2, 4]);

    world.bring(0);
    world.pass(rules().retry_max);
    world.died(0);
    let refused = world.ask(0);
    assert_eq!(world.refusal(refused).retry_after(), Some(seconds(1)), "it had served for long");
}

#[test]
fn draining_serves_by_what_is_in_memory_and_brings_nothing_in() {
    let mut world = World::of(rules(), 3);
    world.bring(0);
    let (loading, downloading) = (world.ask(1), world.ask(2));
    world.fetched(1, None);
    world.step(Event::Drain);
    assert_eq!(*world.refusal(loading), Unavailable::Stopping);
    assert_eq!(*world.refusal(downloading), Unavailable::Stopping);
    let (served, cold) = (world.ask(0), world.ask(2));
    assert!(matches!(world.told[&served], Told::Leased));
    assert_eq!(*world.refusal(cold), Unavailable::Stopping);

    world.step(Event::Stop);
    let late = world.ask(0);
    assert_eq!(*world.refusal(late), Unavailable::Stopping);
}

#[test]
fn stopping_refuses_everybody_and_unloads_when_leases_end() {
    let mut world = World::of(rules(), 4);
    world.bring(0);
    world.bring(1);
    world.ask(1);
    let (loading, downloading) = (world.ask(2), world.ask(3));
    world.fetched(2, None);
    world.step(Event::Stop);
    assert_eq!(*world.refusal(loading), Unavailable::Stopping);
    assert_eq!(*world.refusal(downloading), Unavailable::Stopping);
    assert!(world.fetches.is_empty(), "the download is given up");
    let late = world.ask(0);
    assert_eq!(*world.refusal(late), Unavailable::Stopping);

    world.ended(0);
    world.loaded(2, None);
    world.ended(2);
    assert!(!world.machine.at_rest(), "one is in use");
    world.release(1);
    world.ended(1);
    assert!(world.machine.at_rest());
}
