//! The handle on all jobs: what is asked becomes a command to the manager.

use std::{sync::Arc, time::Duration};

use prometheus::Registry;
use tokio::sync::{mpsc, oneshot};
use tracing::{error, info};

use super::{
    config::Config,
    error::{JobsError, Refusal},
    job_store::{JobStore, Opened},
    manager::{Command, JobManager},
    metrics::Metrics,
    progress::{Feed, PartialSound},
    record::{JobId, JobRequest, Principal, View},
    state::Phase,
    worker::Worker,
};
use crate::remote::Remote;

/// Commands that may wait for the manager; one more waits with its sender.
const INBOX: usize = 64;

/// The jobs of this server, as one principal sees them. A clone is the same jobs.
#[derive(Clone)]
pub struct Jobs {
    principal: Principal,
    manager: mpsc::Sender<Command>,
    store: Arc<JobStore>,
}

// === impl Jobs ===

impl Jobs {
    /// Opens what is written down and goes on with it. Must be called within a tokio runtime, on which the work then
    /// lives.
    pub fn start(
        config: Config,
        worker: Arc<dyn Worker>,
        remote: Remote,
        registry: &Registry,
    ) -> Result<Self, JobsError> {
        let Opened { store, records, set_aside } = JobStore::open(config.dir.as_deref())?;
        if let Some((place, reason)) = set_aside {
            error!(place = %place.display(), reason, "the file of jobs is damaged: it was set aside, and its jobs are lost");
        }
        match &config.dir {
            Some(dir) => info!(dir = %dir.display(), found = records.len(), "jobs are written down"),
            None => info!("jobs are kept in memory and end with this process; jobs.dir would keep them"),
        }
        let (manager, inbox) = mpsc::channel(INBOX);
        let store = Arc::new(store);
        let metrics = Metrics::register(registry)?;
        tokio::spawn(JobManager::new(config, records, store.clone(), worker, remote, metrics).run(inbox));
        Ok(Self { principal: Principal::ANYBODY, manager, store })
    }

    /// The same jobs, as somebody else sees them: what is not theirs is not there.
    pub fn seen_by(&self, principal: Principal) -> Self {
        Self { principal, ..self.clone() }
    }

    /// Takes a request down. When this returns it survives a restart, if jobs are written down at all.
    pub async fn submit(&self, request: JobRequest) -> Result<View, Refusal> {
        self.send(|reply| Command::Submit(self.principal.clone(), Box::new(request), reply)).await?
    }

    /// With its result, if it has one.
    pub async fn get(&self, id: &JobId) -> Result<View, Refusal> {
        let view = self
            .send(|reply| Command::Get(self.principal.clone(), id.clone(), reply))
            .await?
            .ok_or_else(|| unknown(id))?;
        if view.state.phase() != Phase::Succeeded {
            return Ok(view);
        }
        let (store, key) = (self.store.clone(), id.clone());
        let read = tokio::task::spawn_blocking(move || store.result(&key)).await;
        match read.map_err(|error| error.to_string()).and_then(|read| read.map_err(|error| error.to_string())) {
            Ok(Some(result)) => Ok(View { result: Some(result), ..view }),
            // It was removed since.
            Ok(None) => Err(unknown(id)),
            Err(reason) => {
                error!(job = %id, reason, "a result could not be read");
                Err(Refusal::NotWritten)
            }
        }
    }

    /// Newest first, without results.
    pub async fn list(&self, phase: Option<Phase>, limit: usize) -> Result<Vec<View>, Refusal> {
        self.send(|reply| Command::List(self.principal.clone(), phase, limit, reply)).await
    }

    /// Cancels a job that has not ended, and removes one that has.
    pub async fn remove(&self, id: &JobId) -> Result<Option<View>, Refusal> {
        self.send(|reply| Command::Remove(self.principal.clone(), id.clone(), reply)).await?
    }

    /// What happens to a job from now on, and its pieces from the first one.
    pub async fn feed(&self, id: &JobId) -> Result<Feed, Refusal> {
        self.send(|reply| Command::Watch(self.principal.clone(), id.clone(), reply)).await?.ok_or_else(|| unknown(id))
    }

    /// What is there by now of a sound that a running job makes; without a name, of its answer itself.
    pub async fn sound(&self, id: &JobId, stem: Option<&str>) -> Result<Option<PartialSound>, Refusal> {
        Ok(self.feed(id).await?.sound(stem))
    }

    /// Why jobs cannot be written down just now, if so. Never waits.
    pub fn trouble(&self) -> Option<String> {
        self.store.trouble()
    }

    #[cfg(test)]
    pub(super) fn store(&self) -> &JobStore {
        &self.store
    }

    /// Begins nothing more, and waits for what runs; what is not done by then is put back.
    pub async fn stop(&self, patience: Duration) {
        // No answer: it has stopped already.
        let _ = self.send(|reply| Command::Stop(patience, reply)).await;
    }

    async fn send<A>(&self, command: impl FnOnce(oneshot::Sender<A>) -> Command) -> Result<A, Refusal> {
        let (reply, answer) = oneshot::channel();
        self.manager.send(command(reply)).await.map_err(|_| Refusal::Stopping)?;
        answer.await.map_err(|_| Refusal::Stopping)
    }
}

fn unknown(id: &JobId) -> Refusal {
    Refusal::Unknown(id.to_string())
}
