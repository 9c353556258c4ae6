//! Parsing that would hold a thread of HTTP: it goes to the blocking pool, a few at once, so that probes and other
//! callers are answered meanwhile.

use std::sync::Arc;

use tokio::{sync::Semaphore, task::spawn_blocking};

use super::problem::Problem;
use crate::speech::Kind;

/// What is no larger is parsed where it is, in a fraction of a millisecond.
const SMALL: usize = 64 << 10;

/// Places for parsing. A clone has the same ones.
#[derive(Clone, Debug)]
pub struct Parsers(Arc<Semaphore>);

// === impl Parsers ===

impl Parsers {
    /// Half of the machine's cores: the others answer.
    pub fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self(Arc::new(Semaphore::new((cores / 2).max(1))))
    }

    /// Does `work` on so many bytes.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        if bytes <= SMALL {
            return Ok(work());
        }
        let ended = |_| Problem::new(Kind::Internal, "internal error: the parser ended");
        let _place = self.0.acquire().await.map_err(|_| Problem::new(Kind::Internal, "internal error: no parser"))?;
        spawn_blocking(work).await.map_err(ended)
    }
}

impl Default for Parsers {
    fn default() -> Self {
        Self::new()
    }
}
