//! The port of the Wyoming protocol, where there is one.

use std::{io, net::TcpListener, time::Duration};

use tokio::{sync::watch, task::JoinHandle, time::timeout};
use tracing::{info, warn};

use super::App;
use crate::wyoming;

/// The port, served.
pub(super) struct Wyoming {
    stopping: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

// === impl Wyoming ===

impl Wyoming {
    pub fn serve(app: &App, listener: TcpListener) -> io::Result<Self> {
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        info!(%address, "listening for Wyoming");
        if app.keyring().asks_for_keys() && !address.ip().is_loopback() {
            warn!(%address, "Wyoming has no keys: whoever reaches its port may use the models without one");
        }
        let (stopping, told) = watch::channel(false);
        let config = app.config.wyoming.clone();
        let serving = tokio::spawn(wyoming::serve(config, listener, app.service().clone(), told));
        Ok(Self { stopping, serving })
    }

    /// What was begun may end, for so long.
    pub async fn stop(mut self, drain: Duration) {
        self.stopping.send_replace(true);
        if timeout(drain, &mut self.serving).await.is_err() {
            self.serving.abort();
        }
    }
}
