//! The CPU threads of a model.

use std::{
    io,
    thread::{self, JoinHandle},
};

use parking_lot::Mutex;
use rayon::{ThreadBuilder, ThreadPool, ThreadPoolBuilder};

/// Threads that work for one model. When this is dropped they have ended, and with them whatever they kept for
/// themselves: a pool alone only tells its threads to end.
#[derive(Debug)]
pub struct Threads {
    /// `None` only while this is dropped.
    pool: Option<ThreadPool>,
    handles: Vec<JoinHandle<()>>,
}

// === impl Threads ===

impl Threads {
    /// `count`: at least one.
    pub fn start(name: &str, count: usize) -> Result<Self, rayon::ThreadPoolBuildError> {
        let handles = Mutex::new(Vec::new());
        let spawn = |thread: ThreadBuilder| -> io::Result<()> {
            let named = thread::Builder::new().name(format!("{name}-{}", thread.index()));
            handles.lock().push(named.spawn(|| thread.run())?);
            Ok(())
        };
        let pool = ThreadPoolBuilder::new().num_threads(count.max(1)).spawn_handler(spawn).build()?;
        Ok(Self { pool: Some(pool), handles: handles.into_inner() })
    }

    /// Does the work on these threads, all of rayon's in it too.
    pub fn install<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        match &self.pool {
            Some(pool) => pool.install(work),
            None => work(),
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        drop(self.pool.take());
        for handle in self.handles.drain(..) {
            // A thread that panicked has ended, too.
            let _ = handle.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    };

    use super::*;

    /// Counts threads that end.
    struct Bell(Arc<AtomicUsize>);

    impl Drop for Bell {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    thread_local! {
        static BELL: std::cell::RefCell<Option<Bell>> = const { std::cell::RefCell::new(None) };
    }

    #[test]
    fn whoever_drops_the_threads_sees_them_ended() {
        let ended = Arc::new(AtomicUsize::new(0));
        let threads = Threads::start("test", 3).unwrap();
        assert_eq!(threads.install(rayon::current_num_threads), 3);
        let hang = |_: rayon::BroadcastContext<'_>| BELL.with(|bell| *bell.borrow_mut() = Some(Bell(ended.clone())));
        threads.install(|| rayon::broadcast(hang));
        drop(threads);
        assert_eq!(ended.load(SeqCst), 3);
    }
}
