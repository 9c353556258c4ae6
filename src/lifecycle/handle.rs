//! How the rest of the server talks to the lifecycle.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};

use super::{
    AcquireOptions, Backend, Config, Lease, Metrics, ModelSpec, ModelStatus, Obstacle, Snapshot, TooLarge, Unavailable,
    clock::now,
    command::{AcquireRequest, Command, Reply},
    driver::Driver,
    lease_pool::Wake,
    machine::WaitCondition,
    shared::Shared,
    snapshot::ErrorStatus,
};
use crate::{
    model::DeviceId,
    runtime::Executor,
    speech::{Fault, ModelName},
};

/// Commands on their way to the driver, which handles each in microseconds.
const COMMANDS: usize = 256;

/// The handle of the lifecycle; clones are the same. When the last one goes, the driver unloads everything and ends.
pub struct Lifecycle<E = Executor> {
    commands: mpsc::Sender<Command<E>>,
    shared: Arc<Shared>,
}

/// How far a model is to be brought by [`Lifecycle::prepare`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Its files on this machine.
    Fetched,
    /// In memory, warm.
    Ready,
}

/// A caller that waits. When it leaves, only its own wait ends.
struct Waiting<E> {
    /// `None` once it was answered.
    reply: Option<oneshot::Receiver<Reply<E>>>,
    wake: Wake,
}

// === impl Lifecycle ===

impl<E: Send + Sync + 'static> Lifecycle<E> {
    /// Spawns the driver on the current tokio runtime; the handle resolves after everything is unloaded.
    pub fn start<B: Backend<Executor = E>>(
        config: Config,
        specs: Vec<ModelSpec>,
        backend: B,
        metrics: Metrics,
    ) -> (Self, JoinHandle<()>) {
        let (commands, inbox) = mpsc::channel(COMMANDS);
        let (driver, shared) = Driver::new(config, specs, backend, metrics, inbox);
        (Self { commands, shared }, tokio::spawn(driver.run()))
    }

    /// A lease on the loaded model, which is brought in if need be. The load goes on when the caller leaves or its
    /// timeout is over. A failure that passes ends no wait of who sits it out: the caller stays as long as the next try
    /// begins in time.
    pub async fn acquire(&self, name: &ModelName, options: AcquireOptions) -> Result<Lease<E>, Unavailable> {
        let asked = now();
        let condition = WaitCondition::Lease { keep_alive: options.keep_alive };
        let reply = loop {
            let left = || options.timeout.saturating_sub(now().saturating_duration_since(asked));
            let reply = self.ask(name, condition, Some(left()), false).await;
            match &reply {
                Err(failure) if options.sits_out_failures && self.outlasted(failure, left()).await => {}
                _ => break reply,
            }
        };
        let waited = now().saturating_duration_since(asked);
        self.shared.metrics.waited(waited);
        match reply? {
            Some(granted) => Ok(Lease::new(granted, asked, waited)),
            None => Err(Unavailable::Stopping),
        }
    }

    /// An explicit ask: tries again at once what failed before, whatever the back-off. Answers with the state of each
    /// model when the target is reached or has failed, or when `wait` is over (`None`: no bound).
    pub async fn prepare(
        &self,
        names: &[ModelName],
        target: Target,
        wait: Option<Duration>,
    ) -> Vec<(ModelName, Result<ModelStatus, Unavailable>)> {
        let condition = match target {
            Target::Fetched => WaitCondition::Fetched,
            Target::Ready => WaitCondition::Ready,
        };
        join_all(names.iter().map(|name| async move {
            let outcome = self.ask(name, condition, wait, true).await;
            (name.clone(), self.outcome(name, outcome.err()))
        }))
        .await
    }

    /// Brings another revision of a model in, beside the one that serves if both fit, else in its place; requests move
    /// over when it is ready. Without a revision: whatever the source that the configuration names has now. If it fails,
    /// what served serves on. Answers with the model's state when that is done, or when `wait` is over (`None`: no bound).
    pub async fn update(
        &self,
        name: &ModelName,
        revision: Option<&str>,
        wait: Option<Duration>,
    ) -> Result<ModelStatus, Unavailable> {
        let revision = revision.map(str::to_owned);
        let outcome = self.send(wait, |asked| Command::Update { name: name.clone(), revision, asked }).await;
        match outcome {
            Ok(_) | Err(Unavailable::NotYet { .. } | Unavailable::NoRoom { .. }) => self.outcome(name, None),
            Err(refusal) => Err(refusal),
        }
    }

    /// These are the models from now on, under these rules; [`Config::mode`] stays as it was. Models that are not named
    /// any more go when their last lease ends, new ones come as they would at the start, those with another source are
    /// updated, and what does not fit under new limits goes. Resolves when that has begun.
    pub async fn reconfigure(&self, config: Config, specs: Vec<ModelSpec>) {
        let (done, begun) = oneshot::channel();
        let specs = specs.into_iter().map(Arc::new).collect();
        if self.commands.send(Command::Configure { config, specs, done }).await.is_ok() {
            let _ = begun.await;
        }
    }

    /// Unloads a model and waits until its memory is free; one in use takes no new leases and goes when the last ends.
    pub async fn unload(&self, name: &ModelName) -> Result<(), Unavailable> {
        self.ask(name, WaitCondition::Unloaded, None, true).await.map(drop)
    }

    /// The state of all models. Never waits.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.shared.now.load_full()
    }

    /// Every change of the state, the newest one at least.
    pub fn watch(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.shared.changes.subscribe()
    }

    /// A model that is busy and has made no step for `timeout`. Never waits.
    pub fn stalled(&self, timeout: Duration) -> Option<ModelName> {
        let snapshot = self.shared.now.load();
        let stalled = |model: &&ModelStatus| model.pulse.as_ref().is_some_and(|pulse| pulse.stalled(timeout));
        snapshot.models.iter().find(stalled).map(|model| model.name.clone())
    }

    /// A device that this process has lost, and why; only another process gets it back. Never waits for a device.
    pub fn lost_device(&self) -> Option<(DeviceId, String)> {
        self.shared.health.all_lost().into_iter().next()
    }

    /// Resolves, with the reason, if the process is to end because a model could not be loaded at start.
    pub async fn fatal(&self) -> String {
        let mut fatal = self.shared.fatal.subscribe();
        match fatal.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            Err(_) => std::future::pending().await,
        }
    }

    /// Brings nothing in from now on: who waits for a model is refused, and whoever asks for one that is not in memory.
    /// What is there serves on.
    pub async fn drain(&self) {
        // It has stopped already.
        let _ = self.commands.send(Command::Drain).await;
    }

    /// Refuses everybody from now on, unloads each model when its leases end, and resolves when all are gone.
    pub async fn shutdown(&self) {
        let _ = self.commands.send(Command::Stop).await;
        self.commands.closed().await;
    }

    async fn ask(
        &self,
        name: &ModelName,
        condition: WaitCondition,
        timeout: Option<Duration>,
        explicit: bool,
    ) -> Reply<E> {
        self.send(timeout, |asked| Command::Ask { name: name.clone(), condition, explicit, asked }).await
    }

    /// Sits a failure out, up to the next try, if that comes within `left`.
    async fn outlasted(&self, failure: &Unavailable, left: Duration) -> bool {
        let Unavailable::Failed { permanent: false, retry_after: Some(pause), .. } = failure else { return false };
        if *pause >= left {
            return false;
        }
        let mut changes = self.shared.changes.subscribe();
        tokio::select! {
            () = tokio::time::sleep(*pause) => true,
            // Asked again, it is told so.
            () = async { drop(changes.wait_for(|snapshot| snapshot.stopping).await) } => true,
        }
    }

    /// Sends a command that is answered, and waits for the answer.
    async fn send(&self, timeout: Option<Duration>, command: impl FnOnce(AcquireRequest<E>) -> Command<E>) -> Reply<E> {
        let (reply, receiver) = oneshot::channel();
        let mut waiting = Waiting { reply: Some(receiver), wake: self.shared.wake.clone() };
        self.commands.send(command(AcquireRequest { timeout, reply })).await.map_err(|_| Unavailable::Stopping)?;
        waiting.reply().await
    }

    fn outcome(&self, name: &ModelName, refused: Option<Unavailable>) -> Result<ModelStatus, Unavailable> {
        let snapshot = self.snapshot();
        let missing = || Unavailable::NotServed { model: name.clone() };
        let mut status = snapshot.model(name).ok_or_else(missing)?.clone();
        match refused {
            // On its way, or failed: the status says it already.
            None | Some(Unavailable::NotYet { .. } | Unavailable::Failed { .. }) => {}
            Some(refusal) => status.error = status.error.or_else(|| Some(ErrorStatus::of(&refusal))),
        }
        Ok(status)
    }
}

impl<E> Clone for Lifecycle<E> {
    fn clone(&self) -> Self {
        Self { commands: self.commands.clone(), shared: self.shared.clone() }
    }
}

// === impl Waiting ===

impl<E> Waiting<E> {
    async fn reply(&mut self) -> Reply<E> {
        let Some(reply) = &mut self.reply else { return Err(Unavailable::Stopping) };
        let answer = reply.await;
        self.reply = None;
        // A driver that is gone has stopped.
        answer.unwrap_or(Err(Unavailable::Stopping))
    }
}

impl<E> Drop for Waiting<E> {
    fn drop(&mut self) {
        if let Some(reply) = self.reply.take() {
            // First close, then tell; a lease that arrived meanwhile goes back with the channel.
            drop(reply);
            self.wake.wake();
        }
    }
}

// === impl ErrorStatus ===

impl ErrorStatus {
    fn of(refusal: &Unavailable) -> Self {
        let (permanent, retry_after) = (refusal.permanent(), refusal.retry_after());
        let retry_at = retry_after.map(|after| now() + after);
        let obstacle = match refusal {
            Unavailable::WontFit { need, device, .. } => {
                Some(Obstacle::TooLarge(TooLarge { need: *need, device: device.as_str().into() }))
            }
            _ => None,
        };
        Self { message: refusal.to_string(), permanent, attempts: 0, retry_at, obstacle }
    }
}
