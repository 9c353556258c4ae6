//! What systemd is told where it started this process as a service of `Type=notify`: that the server is up, what it is
//! doing, that it lives, and that it ends. Where there is no such service manager, telling does nothing.

use std::{pin::pin, time::Duration};

use futures::future::pending;
use sd_notify::{NotifyState, notify, watchdog_enabled};
use tokio::{
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

use super::App;
use crate::lifecycle::{Lifecycle, LoadMode, Snapshot, Status};

/// Tells systemd as long as it exists; when it goes, that the service stops.
pub(super) struct Systemd(JoinHandle<()>);

// === impl Systemd ===

impl Systemd {
    /// In the mode `startup` the service counts as started when its models are ready, else at once. It is alive as long
    /// as no model has been busy without a step for `stall_timeout`.
    pub fn inform(app: &App, stall_timeout: Duration) -> Self {
        Self(tokio::spawn(inform(app.service().lifecycle().clone(), stall_timeout)))
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        self.0.abort();
        tell(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
    }
}

async fn inform(lifecycle: Lifecycle, stall_timeout: Duration) {
    let mut changes = lifecycle.watch();
    let mut ready = false;
    let mut alive = pin!(alive(&lifecycle, stall_timeout));
    loop {
        let snapshot = changes.borrow_and_update().clone();
        if !ready && (snapshot.mode != LoadMode::Startup || snapshot.preload_complete) {
            ready = true;
            tell(&[NotifyState::Ready]);
        }
        tell(&[NotifyState::Status(&sentence(&snapshot))]);
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            () = &mut alive => return,
        }
    }
}

/// Says that the service lives, twice as often as it must, as long as it does.
async fn alive(lifecycle: &Lifecycle, stall_timeout: Duration) {
    let Some(every) = watchdog_enabled() else { return pending().await };
    let mut ticks = interval((every / 2).max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Some((device, reason)) = lifecycle.lost_device() {
            tracing::error!(%device, reason, "a device is lost: systemd is not told that the server lives");
            continue;
        }
        match lifecycle.stalled(stall_timeout) {
            None => tell(&[NotifyState::Watchdog]),
            Some(model) => tracing::error!(%model, "a model hangs: systemd is not told that the server lives"),
        }
    }
}

/// For `systemctl status`.
fn sentence(snapshot: &Snapshot) -> String {
    let of = |status| snapshot.models.iter().filter(move |model| model.status == status);
    let names = |status| of(status).map(|model| model.name.as_str()).collect::<Vec<_>>().join(", ");
    let states = [Status::Ready, Status::Loading, Status::Downloading, Status::Failed];
    let said = states.into_iter().filter(|status| of(*status).next().is_some());
    let said: Vec<_> = said.map(|status| format!("{}: {}", status.as_str(), names(status))).collect();
    if said.is_empty() { "no model is loaded".to_owned() } else { said.join("; ") }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = notify(state) {
        tracing::debug!(%error, "systemd could not be told");
    }
}
