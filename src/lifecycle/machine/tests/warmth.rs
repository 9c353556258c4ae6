//! What left an accelerator stays in host memory, as far as that reaches.

use super::{super::*, world::*};
use crate::lifecycle::Budget;

/// Models of 4 bytes on an accelerator that has room for one of them.
fn gpus(models: usize, warm: u64) -> World {
    let budget = Budget { each: Some(20), of: [("cuda:0".to_owned(), 4)].into() };
    let limits = Limits { budget, warm, ..rules().limits };
    let mut world = World::of(Rules { limits, ..rules() }, models);
    world.devices = vec!["cuda:0"; models];
    world
}

/// The one that is there goes for this one, and is held if that is wanted.
fn switch(world: &mut World, to: usize) {
    world.ask_for(to, WaitCondition::Ready, None, false);
    if world.fetches.iter().any(|work| work.model == to) {
        world.fetched(to, None);
    }
    let from = world.endings.first().expect("one that goes").model;
    world.ended(from);
    world.warmed();
    world.loaded(to, None);
}

fn warm(world: &World) -> Vec<usize> {
    (0..world.specs.len()).filter(|model| world.view(*model).warm).collect()
}

#[test]
fn what_made_room_comes_back_from_host_memory() {
    let mut world = gpus(2, 4);
    world.bring(0);
    switch(&mut world, 1);
    assert_eq!((warm(&world), world.counted("warm load")), (vec![0], 0));
    switch(&mut world, 0);
    assert_eq!((warm(&world), world.counted("warm load")), (vec![1], 1), "and is held no more beside its device");
    assert_eq!(world.counted("fetch"), 2);
}

#[test]
fn who_left_last_stays() {
    let mut world = gpus(3, 8);
    world.bring(0);
    for (to, held) in [(1, vec![0]), (2, vec![0, 1]), (0, vec![1, 2]), (1, vec![0, 2]), (2, vec![0, 1])] {
        world.pass(seconds(1));
        switch(&mut world, to);
        assert_eq!(warm(&world), held, "after a switch to {to}");
    }
    let mut narrow = gpus(3, 4);
    narrow.bring(0);
    for (to, held) in [(1, vec![0]), (2, vec![1]), (0, vec![2])] {
        narrow.pass(seconds(1));
        switch(&mut narrow, to);
        assert_eq!(warm(&narrow), held, "after a switch to {to}");
    }
    assert_eq!(narrow.counted("warm load"), 0);
    let mut none = gpus(2, 3);
    none.bring(0);
    switch(&mut none, 1);
    assert_eq!((warm(&none), none.counted("warm")), (vec![], 0), "nothing is read that would not stay");
}

#[test]
fn what_lives_in_host_memory_comes_first() {
    let mut world = gpus(4, 12);
    world.devices[3] = "cpu";
    world.bring(0);
    switch(&mut world, 1);
    world.pass(seconds(1));
    switch(&mut world, 2);
    assert_eq!(warm(&world), [0, 1]);
    let budget = Budget { each: Some(8), of: [("cuda:0".to_owned(), 4)].into() };
    let limits = Limits { budget, ..world.rules.limits.clone() };
    world.configure(Rules { limits, ..world.rules.clone() }, &[0, 1, 2, 3]);
    assert_eq!(warm(&world), [0, 1], "to the last byte");
    world.bring(3);
    assert_eq!(warm(&world), [1], "the one that left first goes for a model that lives there");
    assert_eq!(world.counted("cool"), 1);
}

#[test]
fn who_wants_the_memory_back_gets_all_of_it() {
    let mut world = gpus(2, 8);
    world.bring(0);
    world.ask_for(0, WaitCondition::Unloaded, None, false);
    world.ended(0);
    assert_eq!(world.counted("warm"), 0, "it was unloaded by hand");
    world.ask_for(0, WaitCondition::Ready, None, false);
    world.loaded(0, None);
    switch(&mut world, 1);
    assert_eq!(warm(&world), [0]);
    world.ask_for(0, WaitCondition::Unloaded, None, false);
    assert_eq!((warm(&world), world.counted("cool")), (vec![], 1));
}

#[test]
fn what_comes_too_late_is_let_go() {
    let mut world = gpus(2, 8);
    world.bring(0);
    world.ask_for(1, WaitCondition::Ready, None, false);
    world.fetched(1, None);
    world.ended(0);
    world.ask_for(0, WaitCondition::Unloaded, None, false);
    world.warmed();
    assert_eq!((warm(&world), world.counted("cool")), (vec![], 1));
    world.loaded(1, None);
    world.configure(world.rules.clone(), &[0]);
    world.ended(1);
    assert_eq!(world.counted("warm"), 1, "a model that is served no more is not held");
}
