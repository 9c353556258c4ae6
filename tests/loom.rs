//! Every order of the steps in which leases end while their owner wants the model gone: the code of the server, compiled
//! with the types of a model checker.

use futures::FutureExt;
use loom::{
    cell::UnsafeCell,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// What [`lease_pool`] is made of here.
mod sync {
    use loom::sync::{Condvar, Mutex};

    pub use loom::sync::Arc;

    /// Keeps one permit, as tokio's does.
    #[derive(Default)]
    pub struct Notify {
        permit: Mutex<bool>,
        given: Condvar,
    }

    impl Notify {
        pub fn notify_one(&self) {
            *self.permit.lock().unwrap() = true;
            self.given.notify_one();
        }

        #[expect(clippy::unused_async, reason = "as tokio's is")]
        pub async fn notified(&self) {
            let mut permit = self.permit.lock().unwrap();
            while !*permit {
                permit = self.given.wait(permit).unwrap();
            }
            *permit = false;
        }
    }
}

#[path = "../src/lifecycle/lease_pool.rs"]
mod lease_pool;

use lease_pool::{LeaseGuard, LeasePool, Wake};
use sync::{Arc, Notify};

/// A model that notices if it is used while it goes.
struct Model {
    weights: UnsafeCell<u32>,
    gone: Arc<AtomicUsize>,
}

/// Where an answer is put for somebody who may have left.
#[derive(Default)]
struct Letterbox {
    hold: Option<LeaseGuard<Model>>,
    closed: bool,
}

impl Model {
    fn run(&self) {
        // SAFETY: the checker fails if the weights go at the same time; that is what it is for.
        self.weights.with(|weights| assert_eq!(unsafe { *weights }, 7));
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        // SAFETY: as above, if somebody uses them.
        self.weights.with_mut(|weights| unsafe { *weights = 0 });
        self.gone.fetch_add(1, Ordering::Relaxed);
    }
}

/// A loaded model, the owner's way to be told, and how many have gone.
fn loaded() -> (LeasePool<Model>, Wake, Arc<AtomicUsize>) {
    let (wake, gone) = (Wake::new(Arc::new(Notify::default())), Arc::new(AtomicUsize::new(0)));
    let model = Model { weights: UnsafeCell::new(7), gone: gone.clone() };
    (LeasePool::new(model, wake.clone()), wake, gone)
}

/// With up to three preemptions: more of them find nothing that fewer do not, and take minutes.
fn every_order(run: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(run);
}

/// As the driver does: looks, and looks again whenever it is told. The checker fails if it is never told.
fn evict(share: LeasePool<Model>, wake: &Wake, gone: &AtomicUsize) {
    while share.lent() {
        wake.woken().now_or_never().expect("it waits inside");
    }
    assert_eq!(gone.load(Ordering::Relaxed), 0, "the owner has it still");
    drop(share);
    assert_eq!(gone.load(Ordering::Relaxed), 1, "and was the last to have it");
}

#[test]
fn a_model_goes_after_its_last_lease_and_its_owner_is_told() {
    every_order(|| {
        let (share, wake, gone) = loaded();
        let borrowers: Vec<_> = [share.lend(), share.lend()]
            .into_iter()
            .map(|hold| {
                thread::spawn(move || {
                    hold.model().run();
                    drop(hold);
                })
            })
            .collect();
        evict(share, &wake, &gone);
        borrowers.into_iter().for_each(|borrower| borrower.join().unwrap());
    });
}

#[test]
fn a_lease_for_somebody_who_leaves_at_that_moment_ends() {
    every_order(|| {
        let (share, wake, gone) = loaded();
        let letterbox = Arc::new(Mutex::new(Letterbox::default()));
        let caller = thread::spawn({
            let letterbox = letterbox.clone();
            move || {
                let mut letterbox = letterbox.lock().unwrap();
                letterbox.closed = true;
                let hold = letterbox.hold.take();
                drop(letterbox);
                hold.into_iter().for_each(|hold| hold.model().run());
            }
        });
        let hold = share.lend();
        let mut open = letterbox.lock().unwrap();
        let returned = if open.closed {
            Some(hold)
        } else {
            open.hold = Some(hold);
            None
        };
        drop(open);
        drop(returned);
        evict(share, &wake, &gone);
        caller.join().unwrap();
    });
}
