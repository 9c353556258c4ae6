//! The configuration changes while the machine runs.

use super::{super::*, world::*};
use crate::lifecycle::{Footprint, Status};

fn at(model: &ModelSpec, revision: &str) -> ModelSpec {
    model.at(revision).expect("a revision")
}

#[test]
fn a_model_that_is_added_can_be_asked_for() {
    let mut world = World::of(rules(), 2);
    world.configure(rules(), &[0]);
    let refused = world.ask(1);
    assert!(matches!(world.refusal(refused), Unavailable::NotServed { .. }));
    world.configure(rules(), &[0, 1]);
    world.bring(1);
    assert_eq!(world.status(1), Status::Ready);
}

#[test]
fn a_model_that_is_removed_drains_and_is_forgotten() {
    let mut world = World::of(rules(), 2);
    world.bring(0);
    world.ask(0);
    let waiting = world.ask(1);
    world.configure(rules(), &[]);
    let late = world.ask(0);
    for refused in [waiting, late] {
        assert!(matches!(world.refusal(refused), Unavailable::NotServed { .. }));
    }
    assert!(world.fetches.is_empty(), "nobody wants the download any more");
    assert_eq!(world.counted("unload"), 0, "requests in flight are not lost");
    world.release(0);
    world.ended(0);
    assert_eq!(world.machine.views(world.now).count(), 0);
}

#[test]
fn a_model_that_comes_again_before_it_is_gone_is_a_new_one() {
    let mut world = World::of(rules(), 1);
    world.bring(0);
    world.ask(0);
    world.configure(rules(), &[]);
    world.configure(rules(), &[0]);
    let caller = world.ask(0);
    world.fetched(0, None);
    world.loaded(0, None);
    assert!(world.leased(caller));
    world.release(0);
    world.ended(0);
    assert_eq!((world.taken.len(), world.status(0)), (1, Status::Ready));
}

#[test]
fn another_source_is_an_update() {
    let mut world = World::of(rules(), 2);
    world.bring(0);
    world.ask(0);
    let waits = world.ask(1);
    world.specs = world.specs.iter().map(|spec| at(spec, "v2")).collect();
    world.configure(rules(), &[0, 1]);
    let caller = world.ask(0);
    assert!(world.leased(caller), "what serves serves on");
    world.fetched(0, None);
    world.loaded(0, None);
    world.fetched(1, None);
    world.loaded(1, None);
    assert_eq!((world.revision(0).as_deref(), world.revision(1).as_deref()), (Some("v2"), Some("v2")));
    assert!(world.leased(waits), "who waited for the one gets the other");
}

#[test]
fn a_source_that_does_not_come_is_tried_again_with_the_next_configuration() {
    let mut world = World::of(rules(), 1);
    world.bring(0);
    world.specs[0] = at(&world.specs[0], "v2");
    world.configure(rules(), &[0]);
    world.fetched(0, Some(permanent()));
    let caller = world.ask(0);
    assert!(world.leased(caller));
    world.configure(rules(), &[0]);
    world.fetched(0, None);
    world.loaded(0, None);
    assert_eq!(world.revision(0).as_deref(), Some("v2"));
}

#[test]
fn the_same_configuration_does_not_undo_an_update() {
    let mut world = World::of(rules(), 1);
    world.bring(0);
    world.update(0, "v2");
    world.fetched(0, None);
    world.loaded(0, None);
    world.ended(0);
    world.configure(rules(), &[0]);
    assert_eq!((world.fetches.len(), world.revision(0).as_deref()), (0, Some("v2")));
}

#[test]
fn terms_change_in_place() {
    let mut world = World::of(rules(), 1);
    world.bring(0);
    world.specs[0].idle_ttl = Some(seconds(30));
    world.configure(rules(), &[0]);
    assert_eq!(world.view(0).expires_at, Some(world.now + seconds(30)));
    world.specs[0].pinned = true;
    world.configure(rules(), &[0]);
    assert!(world.view(0).expires_at.is_none() && world.view(0).spec.pinned);
    assert_eq!((world.counted("fetch"), world.counted("load")), (1, 1));
}

#[test]
fn a_model_that_is_to_be_preloaded_from_now_on_comes_and_leaves_the_start_complete() {
    let rules = Rules { mode: LoadMode::Startup, ..rules() };
    let mut world = World::of(rules.clone(), 1);
    world.step(Event::Start);
    world.specs[0].preload = true;
    world.configure(rules, &[0]);
    assert!(world.machine.preload_complete());
    world.fetched(0, None);
    world.loaded(0, None);
    assert_eq!(world.status(0), Status::Ready);
}

#[test]
fn lower_limits_let_models_go_and_higher_ones_let_them_come() {
    let mut world = World::of(rules(), 3);
    for model in 0..3 {
        world.bring(model);
        world.pass(seconds(1));
    }
    world.ask(2);
    let limits = Limits { budget: each(4), ..rules().limits };
    world.configure(Rules { limits, ..rules() }, &[0, 1, 2]);
    assert_eq!(world.counted("unload"), 2, "the idle ones");
    world.ended(0);
    world.ended(1);
    assert_eq!(world.status(2), Status::Ready);

    let limits = Limits { budget: each(3), ..rules().limits };
    world.configure(Rules { limits, ..rules() }, &[0, 1, 2]);
    let refused = world.ask(0);
    assert!(matches!(
        world.refusal(refused),
        Unavailable::WontFit { need: Footprint { together: 4, .. }, budget: 3, .. }
    ));
    world.release(2);
    world.ended(2);
    world.configure(rules(), &[0, 1, 2]);
    let served = world.ask(0);
    world.loaded(0, None);
    assert!(world.leased(served), "what did not fit is looked at again");
}

#[test]
fn a_model_that_was_being_loaded_when_the_limits_fell_goes_when_it_is_there() {
    let mut world = World::of(rules(), 2);
    world.bring(0);
    world.ask(0);
    let caller = world.ask(1);
    world.fetched(1, None);
    let limits = Limits { max_resident: Some(1), ..rules().limits };
    world.configure(Rules { limits, ..rules() }, &[0, 1]);
    world.loaded(1, None);
    assert!(world.leased(caller), "its callers are served first");
    world.release(1);
    world.release(0);
    assert!(world.counted("unload") >= 1, "one of the two goes");
}
