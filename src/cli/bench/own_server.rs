//! A server in this process, for as long as it is measured.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use futures::stream;
use tokio::sync::oneshot;

use crate::{app, lifecycle::LoadMode};

/// For what is under way when all is measured, which nobody waits for any more.
const DRAIN: Duration = Duration::from_secs(1);

/// Serves as the configuration says while `work` is done with its address.
pub(super) async fn during<T>(
    config: app::Config,
    work: impl AsyncFnOnce(String) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let config = alone(config);
    let listener = app::bind(&config.server)?;
    let url = format!("http://{}", listener.local_addr()?);
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async {
        let _ = stopped.await;
    };
    let serving = app::run(config, listener, stream::pending(), shutdown);
    tokio::pin!(serving);
    tokio::select! {
        served = &mut serving => {
            served?;
            anyhow::bail!("the server ended by itself")
        }
        done = work(url) => {
            drop(stop);
            serving.await?;
            done
        }
    }
}

/// The same server on a port of its own that nobody else finds: it takes nothing that another one may hold, loads nothing
/// that nobody asks for, and knows no keys.
fn alone(mut config: app::Config) -> app::Config {
    let server = &mut config.server;
    (server.bind, server.port) = (Some(IpAddr::V4(Ipv4Addr::LOCALHOST)), 0);
    (server.certificate, server.private_key) = (None, None);
    (server.grace, server.drain) = (Duration::ZERO, DRAIN);
    config.wyoming.port = None;
    config.jobs.dir = None;
    config.lifecycle.mode = LoadMode::OnDemand;
    config.http.admin = true;
    let access = &mut config.http.access;
    (access.file, access.keys, access.admin_keys) = (None, Vec::new(), Vec::new());
    config
}
