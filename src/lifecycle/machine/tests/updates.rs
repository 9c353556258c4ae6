//! Another version takes the place of the one that serves.

use super::{super::*, world::*};
use crate::lifecycle::Status;

/// Room for one model and a half.
fn tight() -> Rules {
    let limits = Limits { budget: each(6), ..rules().limits };
    Rules { limits, ..rules() }
}

#[test]
fn an_update_comes_beside_what_serves_and_takes_its_place() {
    let mut world = World::of(rules(), 1);
    world.bring(0);
    world.ask(0);
    let updated = world.update(0, "v2");
    assert_eq!(world.view(0).update.unwrap().status, Status::Downloading);
    world.fetched(0, None);
    let update = world.view(0).update.unwrap();
    assert_eq!((update.status, update.revision.as_deref()), (Status::Loading, Some("v2")));
    world.ask(0);
    assert_eq!((world.status(0), world.revision(0).as_deref()), (Status::Ready, Some("main-0")));
    world.loaded(0, None);
    assert!(world.reached(updated));
    assert_eq!(world.revision(0).as_deref(), Some("v2"));
    assert!(world.view(0).update.is_none());

    world.ask(0);
    assert_eq!(world.used(0), ["main-0", "main-0", "v2"], "requests moved over, those that run go on");
    world.release(0);
    assert_eq!(world.counted("unload"), 0);
    world.release(0);
    assert_eq!(world.counted("unload"), 1, "the old one goes when its last lease ends");
    world.ended(0);
    assert_eq!(world.taken.len(), 1);
}

#[test]
fn an_update_that_does_not_fit_beside_is_swapped_in_after_a_drain() {
    let mut world = World::of(tight(), 1);
    world.bring(0);
    world.ask(0);
    let updated = world.update(0, "v2");
    world.fetched(0, None);
    assert_eq!(world.counted("load"), 1, "no room yet");
    let caller = world.ask(0);
    assert!(world.waits(caller), "it gets the new one");
    world.release(0);
    assert_eq!(world.counted("unload"), 1);
    world.ended(0);
    assert_eq!(world.status(0), Status::Loading);
    world.loaded(0, None);
    assert!(world.reached(updated) && world.leased(caller));
    assert_eq!(world.used(0), ["v2"]);
    assert_eq!(world.noted(|note| matches!(note, Note::Switching { .. })), 0, "nobody else went");
}

#[test]
fn an_update_that_fails_changes_nothing_and_says_why() {
    for fails_in_load in [false, true] {
        let mut world = World::of(rules(), 1);
        world.bring(0);
        let updated = world.update(0, "v2");
        if fails_in_load {
            world.fetched(0, None);
            world.loaded(0, Some(permanent()));
        } else {
            world.fetched(0, Some(permanent()));
        }
        assert!(matches!(world.refusal(updated), Unavailable::NotUpdated { permanent: true, .. }));
        let update = world.view(0).update.unwrap();
        assert_eq!((update.status, update.revision.as_deref()), (Status::Failed, Some("v2")));
        assert_eq!(update.error.unwrap().message, "no such repository");
        let caller = world.ask(0);
        assert!(world.leased(caller));
        assert_eq!(world.used(0), ["main-0"]);
        assert!(world.view(0).error.is_none(), "the model itself is well");
    }
}

#[test]
fn a_swap_that_fails_brings_the_old_one_back_also_to_those_who_waited_for_the_new_one() {
    let mut world = World::of(tight(), 1);
    world.bring(0);
    world.update(0, "v2");
    world.fetched(0, None);
    world.ended(0);
    let caller = world.ask(0);
    world.loaded(0, Some(transient()));
    assert!(world.waits(caller));
    world.loaded(0, None);
    assert!(world.leased(caller));
    assert_eq!(world.used(0), ["main-0"]);

    let mut world = World::of(tight(), 1);
    world.bring(0);
    world.update(0, "v2");
    world.fetched(0, None);
    world.ended(0);
    world.loaded(0, Some(transient()));
    world.loaded(0, None);
    assert_eq!(world.status(0), Status::Ready, "by itself, if nobody asks");
}

#[test]
fn a_branch_that_moved_is_picked_up_and_one_that_did_not_is_left() {
    let mut world = World::of(rules(), 1);
    world.bring(0);
    let unmoved = world.update(0, "main");
    world.fetched(0, None);
    assert!(world.reached(unmoved));
    assert_eq!((world.counted("load"), world.noted(|note| matches!(note, Note::UpToDate { .. }))), (1, 1));

    world.moves[0] += 1;
    let moved = world.update(0, "main");
    world.fetched(0, None);
    world.loaded(0, None);
    assert!(world.reached(moved));
    assert_eq!(world.revision(0).as_deref(), Some("main-1"));
}

#[test]
fn a_model_that_is_not_in_memory_is_brought_in_at_the_new_revision() {
    let mut world = World::of(rules(), 1);
    let updated = world.update(0, "v2");
    world.fetched(0, None);
    let caller = world.ask(0);
    world.loaded(0, None);
    assert!(world.reached(updated) && world.leased(caller));
    assert_eq!((world.used(0), world.counted("load")), (vec!["v2"], 1));
}

#[test]
fn the_same_update_is_made_once_and_the_latest_one_counts() {
    let mut world = World::of(rules(), 1);
    world.bring(0);
    let (first, same) = (world.update(0, "v2"), world.update(0, "v2"));
    assert_eq!(world.fetches.len(), 1);
    let other = world.update(0, "v3");
    for waiter in [first, same] {
        assert!(world.refusal(waiter).to_string().contains("another update took its place"));
    }
    assert_eq!(world.fetches.len(), 1, "the other one is given up");
    world.fetched(0, None);
    world.loaded(0, None);
    assert!(world.reached(other));
    assert_eq!(world.revision(0).as_deref(), Some("v3"));
}

#[test]
fn an_unload_ends_an_update() {
    let mut world = World::of(rules(), 1);
    world.bring(0);
    let updated = world.update(0, "v2");
    world.fetched(0, None);
    let unloaded = world.ask_for(0, WaitCondition::Unloaded, None, true);
    assert!(world.refusal(updated).to_string().contains("unloaded meanwhile"));
    world.ended(0);
    assert!(world.reached(unloaded));
    world.loaded(0, None);
    world.ended(0);
    assert_eq!((world.status(0), world.taken.len()), (Status::NotLoaded, 0), "what was being loaded goes as well");
}

#[test]
fn a_pinned_model_is_updated_in_its_place() {
    let mut world = World::new(tight(), vec![ModelSpec { pinned: true, ..model("a") }], vec![4]);
    world.bring(0);
    let updated = world.update(0, "v2");
    world.fetched(0, None);
    world.ended(0);
    world.loaded(0, None);
    assert!(world.reached(updated));
}

#[test]
fn a_stop_ends_an_update() {
    let mut world = World::of(rules(), 2);
    world.bring(0);
    let loading = world.update(0, "v2");
    world.fetched(0, None);
    let downloading = world.update(1, "v2");
    world.step(Event::Stop);
    for waiter in [loading, downloading] {
        assert_eq!(*world.refusal(waiter), Unavailable::Stopping);
    }
    world.ended(0);
    world.loaded(0, None);
    world.ended(0);
    assert!(world.machine.at_rest() && world.fetches.is_empty());
}
