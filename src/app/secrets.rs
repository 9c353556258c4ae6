//! Secrets in files, which may change while the server runs: keys and the certificate.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::JoinHandle,
    time::MissedTickBehavior,
};
use tracing::info;

use super::tls::Certificate;
use crate::http::access::Keyring;

/// Looks at both after every `every`, and at SIGHUP, for as long as the handle is not aborted. A secret that Kubernetes
/// mounts changes by a link that is turned to another folder, which no watch on the file itself would tell.
pub(super) fn watch(
    every: Duration,
    keyring: Keyring,
    certificate: Option<Arc<Certificate>>,
) -> io::Result<JoinHandle<()>> {
    let hangups = signal(SignalKind::hangup())?;
    Ok(tokio::spawn(look(every, hangups, keyring, certificate)))
}

async fn look(every: Duration, mut hangups: Signal, keyring: Keyring, certificate: Option<Arc<Certificate>>) {
    let mut ticks = tokio::time::interval(every.max(Duration::from_millis(10)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = hangups.recv() => info!("SIGHUP: looking at the keys and the certificate"),
        }
        let (keyring, certificate) = (keyring.clone(), certificate.clone());
        // The file system may be slow; a panic there would be ours, and is in the log.
        let _ = tokio::task::spawn_blocking(move || {
            keyring.reload();
            certificate.iter().for_each(|certificate| certificate.reload());
        })
        .await;
    }
}
