//! How a model's thread is woken.

use std::time::Instant;

use parking_lot::{Condvar, Mutex};

/// Wakes the one thread that waits for it. A signal that is raised while nobody waits is kept for who waits next, so that
/// it may look around first and wait then, and misses nothing.
#[derive(Debug, Default)]
pub struct Signal {
    // Held for a look or a change.
    raised: Mutex<bool>,
    changed: Condvar,
}

// === impl Signal ===

impl Signal {
    pub fn raise(&self) {
        *self.raised.lock() = true;
        self.changed.notify_one();
    }

    /// Returns when the signal is raised, or was since the last time, and takes it back; at `until` at the latest.
    pub fn wait(&self, until: Option<Instant>) {
        let mut raised = self.raised.lock();
        while !*raised {
            let late = match until {
                Some(until) => self.changed.wait_until(&mut raised, until).timed_out(),
                None => {
                    self.changed.wait(&mut raised);
                    false
                }
            };
            if late {
                break;
            }
        }
        *raised = false;
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;

    #[test]
    fn what_was_raised_before_is_not_missed_and_counts_once() {
        let signal = Signal::default();
        signal.raise();
        signal.raise();
        signal.wait(None);
        let soon = Instant::now() + Duration::from_millis(20);
        signal.wait(Some(soon));
        assert!(Instant::now() >= soon);
    }

    #[test]
    fn another_thread_wakes_it() {
        let signal = Arc::new(Signal::default());
        let raiser = signal.clone();
        let thread = std::thread::spawn(move || raiser.raise());
        signal.wait(None);
        thread.join().unwrap();
    }
}
