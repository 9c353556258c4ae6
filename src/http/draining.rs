//! Whether the server is about to go down.

use futures::Stream;
use tokio::sync::watch;

/// Set once, when the server was told to stop: readiness then says no, while requests are still served.
#[derive(Clone, Debug)]
pub struct Draining(watch::Sender<bool>);

impl Default for Draining {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Draining {
    pub fn begin(&self) {
        self.0.send_replace(true);
    }

    pub(super) fn is_set(&self) -> bool {
        *self.0.borrow()
    }

    /// A stream that would never end by itself ends when the server stops: the drain would wait for it in vain, and who
    /// reads it finds another server sooner.
    pub(super) fn ends<S: Stream>(&self, stream: S) -> impl Stream<Item = S::Item> + use<S> {
        let mut begun = self.0.subscribe();
        // The sender lives at least as long as the stream's server.
        futures::StreamExt::take_until(stream, async move { drop(begun.wait_for(|begun| *begun).await) })
    }
}
