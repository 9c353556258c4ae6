//! One model goes so that another can come: who goes, when, for how long, and what if the other does not come.

use super::{super::*, world::*};
use crate::{
    lifecycle::{KeepAlive, Status},
    speech::Fault,
};

fn single() -> Rules {
    let limits = Limits { max_resident: Some(1), ..rules().limits };
    Rules { limits, ..rules() }
}

fn brought_back(world: &World) -> usize {
    world.noted(|note| matches!(note, Note::BringingBack { .. }))
}

#[test]
fn what_went_for_a_model_that_does_not_come_is_brought_back() {
    let mut world = World::of(single(), 2);
    world.bring(0);
    let caller = world.ask(1);
    world.fetched(1, None);
    world.ended(0);
    world.loaded(1, Some(transient()));
    assert!(matches!(world.refusal(caller), Unavailable::Failed { .. }));
    assert_eq!((brought_back(&world), world.status(0), world.status(1)), (1, Status::Loading, Status::Failed));
    world.loaded(0, None);
    let served = world.ask(0);
    assert!(world.leased(served), "what served before serves again");
    assert_eq!(world.counted("fetch"), 2, "from the files that are here");
}

#[test]
fn nobody_is_brought_back_into_room_that_somebody_else_wants() {
    let mut world = World::of(single(), 3);
    world.bring(0);
    world.ask(1);
    world.fetched(1, None);
    world.pass(seconds(1));
    let third = world.ask(2);
    world.fetched(2, None);
    world.ended(0);
    world.loaded(1, Some(transient()));
    world.loaded(2, None);
    assert!(world.leased(third));
    assert_eq!(world.status(0), Status::NotLoaded);
}

#[test]
fn a_failure_beside_others_changes_nothing_for_them() {
    let mut world = World::of(rules(), 2);
    world.bring(0);
    world.ask(0);
    world.ask(1);
    world.fetched(1, None);
    world.loaded(1, Some(permanent()));
    assert_eq!((world.status(0), brought_back(&world)), (Status::Ready, 0));
}

#[test]
fn who_waits_for_room_knows_its_place_and_when_to_expect_it() {
    let mut world = World::of(single(), 3);
    world.bring(0);
    world.ask(0);
    let second = world.ask_for(1, LEASE, Some(seconds(4)), false);
    world.fetched(1, None);
    world.pass(seconds(1));
    let third = world.ask_for(2, LEASE, Some(seconds(3)), false);
    world.fetched(2, None);
    // A turn of ten seconds is left to the first by nine; an unmeasured load is taken to last a second.
    let estimate = |world: &World, model| (world.view(model).place, world.view(model).expected_in.unwrap().as_secs());
    assert_eq!(estimate(&world, 1), (Some(1), 10));
    assert_eq!(estimate(&world, 2), (Some(2), 21), "its turn, and that of the one before");
    world.pass(seconds(3));
    let said = |waiter| world.refusal(waiter).to_string();
    assert!(said(second).contains("other models are in use; it is next, expected in about 7 s"), "{}", said(second));
    assert!(said(third).contains("it is number 2 of those who wait, expected in about 18 s"), "{}", said(third));
    assert_eq!(world.refusal(third).retry_after().unwrap().as_secs(), 18);
}

#[test]
fn those_who_wait_for_one_device_do_not_hold_up_those_who_wait_for_another() {
    let limits = Limits { budget: each(4), ..rules().limits };
    let mut world = World::of(Rules { limits, ..rules() }, 3);
    world.devices = vec!["cpu", "cpu", "cuda:0"];
    world.bring(0);
    world.ask(0);
    let (waits, comes) = (world.ask(1), world.ask(2));
    world.fetched(1, None);
    world.fetched(2, None);
    world.loaded(2, None);
    assert!(world.waits(waits) && world.leased(comes));
    assert_eq!((world.view(1).place, world.view(2).place), (Some(1), None));
}

#[test]
fn requests_that_come_mixed_are_served_model_by_model() {
    let mut world = World::of(single(), 2);
    let callers: Vec<_> = (0..20).map(|at| world.ask(at % 2)).collect();
    world.fetched(0, None);
    world.fetched(1, None);
    world.loaded(0, None);
    for _ in 0..10 {
        world.release(0);
    }
    world.ended(0);
    world.loaded(1, None);
    assert!(callers.iter().all(|caller| world.leased(*caller)));
    assert_eq!(world.noted(|note| matches!(note, Note::Switching { .. })), 1);
}

#[test]
fn a_request_says_how_long_its_model_stays() {
    let zero = KeepAlive::For(Duration::ZERO);
    let mut world = World::of(rules(), 1);
    world.bring(0);
    world.ask_to_keep(0, zero);
    world.ask(0);
    world.release(0);
    assert_eq!(world.status(0), Status::Ready, "in use");
    world.release(0);
    assert_eq!(world.counted("unload"), 1, "right after its last request");
    world.ended(0);

    world.bring(0);
    world.ask(0);
    world.release(0);
    world.pass(seconds(1000));
    assert_eq!(world.status(0), Status::Ready, "what was said is over with the unloading");

    world.ask_to_keep(0, KeepAlive::For(seconds(30)));
    world.release(0);
    assert_eq!(world.view(0).expires_at, Some(world.now + seconds(30)));
    world.ask(0);
    world.release(0);
    assert_eq!(world.view(0).expires_at, Some(world.now + seconds(30)), "who says nothing changes nothing");
    world.pass(seconds(30));
    assert_eq!(world.counted("unload"), 2);
}

#[test]
fn the_latest_request_says_how_long_and_a_pinned_model_stays_anyway() {
    let specs = vec![ModelSpec { idle_ttl: Some(seconds(5)), ..model("a") }, ModelSpec { pinned: true, ..model("b") }];
    let mut world = World::new(rules(), specs, vec![4, 4]);
    world.bring(0);
    world.bring(1);
    world.ask_to_keep(0, KeepAlive::For(seconds(30)));
    world.ask_to_keep(0, KeepAlive::Forever);
    world.ask_to_keep(1, KeepAlive::For(Duration::ZERO));
    world.release(0);
    world.release(0);
    world.release(1);
    world.pass(seconds(100_000));
    assert_eq!((world.status(0), world.status(1)), (Status::Ready, Status::Ready));
    let asked = world.ask_for(0, WaitCondition::Unloaded, None, true);
    world.ended(0);
    assert!(world.reached(asked), "until told");
}

#[test]
fn a_model_that_is_to_stay_still_makes_room() {
    let mut world = World::of(single(), 2);
    world.bring(0);
    world.ask_to_keep(0, KeepAlive::Forever);
    world.release(0);
    let caller = world.ask(1);
    world.fetched(1, None);
    world.ended(0);
    world.loaded(1, None);
    assert!(world.leased(caller));
}

#[test]
fn a_failed_preload_ends_the_process_in_every_mode_that_preloads_and_only_at_the_start() {
    for mode in [LoadMode::Startup, LoadMode::Background] {
        let rules = Rules { mode, on_preload_failure: OnPreloadFailure::Exit, ..rules() };
        let mut world =
            World::new(rules.clone(), vec![ModelSpec { preload: true, ..model("a") }, model("b")], vec![4; 2]);
        world.step(Event::Start);
        world.fetched(0, Some(transient()));
        assert_eq!(world.exits.len(), 1, "{mode:?}");

        world.pass(seconds(1));
        world.fetched(0, None);
        world.loaded(0, None);
        world.specs[1].preload = true;
        world.configure(rules, &[0, 1]);
        world.fetched(1, Some(transient()));
        assert_eq!(world.exits.len(), 1, "a model that comes later ends nothing");
        assert!(world.machine.preload_complete() && world.machine.preload_failed().is_none());
        world.pass(seconds(1));
        assert_eq!(world.fetches.len(), 1, "but it is tried again");
    }
}

#[test]
fn a_preload_that_is_left_to_the_first_request_says_so() {
    let rules = Rules { mode: LoadMode::Startup, on_preload_failure: OnPreloadFailure::Lazy, ..rules() };
    let mut world = World::new(rules, vec![ModelSpec { preload: true, ..model("a") }], vec![4]);
    world.step(Event::Start);
    world.fetched(0, Some(transient()));
    assert_eq!(world.noted(|note| matches!(note, Note::PreloadFailed { lazy: true, .. })), 1);
}
