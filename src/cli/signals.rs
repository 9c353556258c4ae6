//! SIGTERM and SIGINT: the first asks to stop, the second ends at once. SIGHUP: read the configuration anew.

use std::io;

use futures::{Stream, stream};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

/// The number of signals so far.
#[derive(Clone)]
pub(super) struct Signals(watch::Receiver<usize>);

impl Signals {
    /// Takes both signals over from now on.
    pub fn listen() -> io::Result<Self> {
        let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let (sender, receiver) = watch::channel(0);
        tokio::spawn(count(terminate, interrupt, sender));
        Ok(Self(receiver))
    }

    /// Resolves when the `n`th signal arrived.
    pub async fn at_least(mut self, n: usize) {
        // The task that counts lives as long as the runtime.
        let _ = self.0.wait_for(|count| *count >= n).await;
    }
}

/// One item for each SIGHUP from now on; several that come close together may be one.
pub(super) fn hangups() -> io::Result<impl Stream<Item = ()>> {
    let signal = signal(SignalKind::hangup())?;
    Ok(stream::unfold(signal, |mut signal| async { signal.recv().await.map(|()| ((), signal)) }))
}

async fn count(mut terminate: Signal, mut interrupt: Signal, sender: watch::Sender<usize>) {
    loop {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        sender.send_modify(|count| *count += 1);
    }
}
