//! The one owner of the table: waits, decides, writes down, starts what is due.

use std::{
    collections::{HashMap, HashSet},
    panic::AssertUnwindSafe,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures::FutureExt;
use serde_json::Value;
use tokio::{
    sync::{mpsc, oneshot},
    task::{AbortHandle, JoinSet},
    time::Instant,
};
use tracing::{debug, error, info, warn};

use super::{
    config::Config,
    error::Refusal,
    job_store::{Change, JobStore},
    kept,
    metrics::Metrics,
    pieces::KeepCheckpoint,
    progress::Feed,
    record::{Delivery, JobId, JobRequest, Principal, Record, View, Webhook, WorkItem},
    state::{JobEvent, Phase},
    table::{Admission, JobTable, Limits, delivery_after},
    timestamp::Timestamp,
    webhook::WebhookSender,
    worker::Worker,
};
use crate::{
    remote::Remote,
    speech::{Kind, Problem},
};

/// Webhooks that are under way at once: a slow receiver holds up few others.
const DELIVERIES: usize = 4;
/// A job whose result could not be written down is done again after so long.
const UNTIL_THE_DISK_IS_WELL: Duration = Duration::from_secs(30);
const NOT_WRITTEN: &str = "its result could not be written down; it is made again. The log of the server says why";
/// Nothing is forgotten by the clock more often than this.
const LONGEST_SLEEP: Duration = Duration::from_secs(3600);

/// What can be asked of the manager. Who does not wait for the answer any more has dropped its other end.
pub(super) enum Command {
    Submit(Principal, Box<JobRequest>, oneshot::Sender<Result<View, Refusal>>),
    Get(Principal, JobId, oneshot::Sender<Option<View>>),
    List(Principal, Option<Phase>, usize, oneshot::Sender<Vec<View>>),
    Remove(Principal, JobId, oneshot::Sender<Result<Option<View>, Refusal>>),
    Watch(Principal, JobId, oneshot::Sender<Option<Feed>>),
    Stop(Duration, oneshot::Sender<()>),
}

pub(super) struct JobManager {
    table: JobTable,
    store: Arc<JobStore>,
    durable: bool,
    worker: Arc<dyn Worker>,
    at_once: usize,
    max_checkpoint: u64,
    /// What those who work want to be kept; and where they say so.
    keeping: mpsc::Receiver<KeepCheckpoint>,
    keeper: mpsc::Sender<KeepCheckpoint>,
    working: JoinSet<(JobId, Result<Value, Problem>)>,
    handles: HashMap<JobId, AbortHandle>,
    webhooks: Option<WebhookSender>,
    delivering: JoinSet<(JobId, bool)>,
    in_flight: HashSet<JobId>,
    stopping: Option<(Instant, oneshot::Sender<()>)>,
    metrics: Metrics,
}

// === impl JobManager ===

impl JobManager {
    pub fn new(
        config: Config,
        records: Vec<Record>,
        store: Arc<JobStore>,
        worker: Arc<dyn Worker>,
        remote: Remote,
        metrics: Metrics,
    ) -> Self {
        let (keeper, keeping) = mpsc::channel(1);
        let Config { dir, at_once, keep, max_count, max_bytes, max_checkpoint, attempts, webhook_secret, .. } = config;
        let webhooks = webhook_secret.map(|secret| WebhookSender::new(remote, secret));
        Self {
            table: JobTable::new(Limits { keep, max_count, max_bytes, attempts, at_once }, records),
            store,
            durable: dir.is_some(),
            worker,
            at_once,
            max_checkpoint,
            keeping,
            keeper,
            working: JoinSet::new(),
            handles: HashMap::new(),
            webhooks,
            delivering: JoinSet::new(),
            in_flight: HashSet::new(),
            stopping: None,
            metrics,
        }
    }

    /// Until it is told to stop, or nobody can ask any more.
    pub async fn run(mut self, mut inbox: mpsc::Receiver<Command>) {
        self.recover().await;
        loop {
            self.settle().await;
            if self.is_over() {
                break;
            }
            let sleep = self.sleep();
            tokio::select! {
                command = inbox.recv() => match command {
                    Some(command) => self.apply(command).await,
                    None => break,
                },
                Some(asked) = self.keeping.recv() => {
                    self.checkpoint(&asked.id, asked.bytes).await;
                    // Whoever left does not need to know.
                    let _ = asked.kept.send(());
                }
                Some(ended) = self.working.join_next() => if let Ok((id, outcome)) = ended {
                    self.ended(&id, outcome).await;
                },
                Some(told) = self.delivering.join_next() => if let Ok((id, delivered)) = told {
                    self.delivered(&id, delivered).await;
                },
                () = tokio::time::sleep(sleep) => {}
            }
        }
        self.close().await;
    }

    /// What ran when the process before ended was interrupted.
    async fn recover(&mut self) {
        for id in self.table.running() {
            warn!(job = %id, "the job was interrupted by the end of the process before");
            self.transition(&id, JobEvent::Interrupted, None).await;
        }
    }

    fn sleep(&self) -> Duration {
        let now = Timestamp::now();
        let wake = self.table.wake(now).map_or(LONGEST_SLEEP, |wake| wake.since(now));
        // A webhook that is due while as many as may be are in flight waits for one of them.
        let wake = if wake.is_zero() { LONGEST_SLEEP } else { wake };
        let stop = self.stopping.as_ref().map_or(LONGEST_SLEEP, |(end, _)| end.duration_since(Instant::now()));
        wake.min(stop).min(LONGEST_SLEEP)
    }

    async fn apply(&mut self, command: Command) {
        // Whoever left does not need the answer.
        match command {
            Command::Submit(principal, request, reply) => drop(reply.send(self.submit(principal, *request).await)),
            Command::Get(principal, id, reply) => drop(reply.send(self.table.view(&principal, &id))),
            Command::List(principal, phase, limit, reply) => {
                drop(reply.send(self.table.list(&principal, phase, limit)))
            }
            Command::Remove(principal, id, reply) => drop(reply.send(self.remove(&principal, &id).await)),
            Command::Watch(principal, id, reply) => drop(reply.send(self.table.feed(&principal, &id))),
            Command::Stop(patience, reply) => {
                self.table.close(|phase| phase != Phase::Running);
                self.stopping = Some((Instant::now() + patience, reply));
            }
        }
    }

    async fn submit(&mut self, principal: Principal, request: JobRequest) -> Result<View, Refusal> {
        if self.stopping.is_some() {
            return Err(Refusal::Stopping);
        }
        if let Some(url) = &request.webhook {
            let closed = || Refusal::Webhook("is not taken here: jobs.webhook_secret is not set".to_owned());
            self.webhooks.as_ref().ok_or_else(closed)?.check(url)?;
        }
        let (record, forgotten) = match self.table.admit(&request, principal.name.as_deref(), Timestamp::now())? {
            Admission::Known(id) => return self.table.view(&principal, &id).ok_or(Refusal::Unknown(id.to_string())),
            Admission::New { record, forgotten } => (record, forgotten),
        };
        self.check_disk(record.room).await?;
        let mut changes: Vec<_> = forgotten.iter().cloned().map(Change::Forget).collect();
        changes.push(Change::Put(record.clone()));
        changes.extend(request.recording.map(|recording| Change::Recording(record.id.clone(), recording.bytes)));
        self.write(changes).await.map_err(|()| Refusal::NotWritten)?;
        forgotten.iter().for_each(|id| self.table.forget(id));
        info!(job = %record.id, bytes = record.bytes, "a job was taken");
        let id = record.id.clone();
        self.table.insert(*record);
        self.table.view(&principal, &id).ok_or_else(|| Refusal::Unknown(id.to_string()))
    }

    /// Whether the disk has room for what the result takes, and for those of the jobs before it.
    async fn check_disk(&self, room: u64) -> Result<(), Refusal> {
        if room == 0 {
            return Ok(());
        }
        let (need, store) = (room.saturating_add(self.table.promised()), self.store.clone());
        // What the disk does not tell is seen when the result is written.
        match tokio::task::spawn_blocking(move || store.free()).await.ok().flatten() {
            Some(free) if free < need => Err(Refusal::NoDisk { need, free }),
            _ => Ok(()),
        }
    }

    async fn remove(&mut self, principal: &Principal, id: &JobId) -> Result<Option<View>, Refusal> {
        let record = self.table.record(id).filter(|record| principal.sees(record));
        let phase = record.ok_or_else(|| Refusal::Unknown(id.to_string()))?.phase();
        if phase.is_end() {
            self.write(vec![Change::Forget(id.clone())]).await.map_err(|()| Refusal::NotWritten)?;
            self.table.forget(id);
            return Ok(None);
        }
        self.transition(id, JobEvent::Cancel, None).await;
        Ok(self.table.view(principal, id))
    }

    /// Writes down what happened, then lets it be seen. What cannot be written (a full disk) still holds for this
    /// process; but a result that cannot be kept is none, and the job is done again later.
    async fn transition(&mut self, id: &JobId, event: JobEvent, result: Option<Vec<u8>>) {
        let Some(mut record) = self.table.after(id, event, Timestamp::now()) else { return };
        let (phase, mut changes) = (record.phase(), Vec::new());
        if phase.is_end() {
            (record.bytes, record.checkpoint) = (result.as_ref().map_or(0, |result| result.len() as u64), 0);
            changes.push(Change::DropWork(id.clone()));
            changes.extend(result.map(|result| Change::Result(id.clone(), result)));
        }
        changes.push(Change::Put(Box::new(record.clone())));
        let has_result = changes.iter().any(|change| matches!(change, Change::Result(..)));
        if self.write(changes).await.is_err() && has_result {
            self.requeued("not_written");
            let (after, reason) = (UNTIL_THE_DISK_IS_WELL, NOT_WRITTEN.to_owned());
            let Some(again) = self.table.after(id, JobEvent::Later { after, reason }, Timestamp::now()) else {
                return;
            };
            record = again;
        } else if phase.is_end() {
            self.metrics.ended.with_label_values(&[phase.as_str()]).inc();
            debug!(job = %id, status = phase.as_str(), "a job has ended");
        }
        if phase != Phase::Running
            && let Some(handle) = self.handles.remove(id)
        {
            handle.abort();
        }
        self.table.put(record);
    }

    /// On the blocking pool: the disk takes its time.
    async fn write(&self, changes: Vec<Change>) -> Result<(), ()> {
        let store = self.store.clone();
        let written = tokio::task::spawn_blocking(move || store.commit(&changes).map_err(|error| error.to_string()));
        match written.await.map_err(|error| error.to_string()).flatten() {
            Ok(()) => Ok(()),
            Err(reason) => {
                self.metrics.unwritten.inc();
                error!(reason, "a job could not be written down");
                Err(())
            }
        }
    }

    /// Forgets what is kept long enough, begins what is due, sends what is to be told.
    async fn settle(&mut self) {
        let now = Timestamp::now();
        let outlived = self.table.outlived(now);
        if !outlived.is_empty() && self.write(outlived.iter().cloned().map(Change::Forget).collect()).await.is_ok() {
            outlived.iter().for_each(|id| self.table.forget(id));
        }
        if self.stopping.is_none() {
            while self.handles.len() < self.at_once
                && let Some(id) = self.table.next_to_start(now)
            {
                self.begin(&id).await;
            }
            self.send_webhooks(now).await;
        }
        for phase in Phase::ALL {
            self.metrics.held.with_label_values(&[phase.as_str()]).set(self.table.count(phase) as i64);
        }
        self.metrics.bytes.set(self.table.bytes() as i64);
    }

    async fn begin(&mut self, id: &JobId) {
        self.transition(id, JobEvent::Start, None).await;
        let pieces = self.table.pieces(id, self.keeper.clone());
        let (Some(record), Some(pieces)) = (self.table.record(id), pieces) else { return };
        self.metrics.wait.observe(Timestamp::now().since(record.created).as_secs_f64());
        let item =
            WorkItem { id: id.clone(), parameters: record.parameters.clone(), recording: None, checkpoint: None };
        let (hint, recorded, far) = (record.hint.clone(), record.recorded, record.checkpoint > 0);
        let (worker, store, id) = (self.worker.clone(), self.store.clone(), id.clone());
        let work = async move {
            let recording = if recorded { Some(kept::recording(store.clone(), &item.id, hint).await?) } else { None };
            let checkpoint = if far { kept::checkpoint(store, &item.id).await } else { None };
            worker.work(WorkItem { recording, checkpoint, ..item }, pieces).await
        };
        let key = id.clone();
        let handle = self.working.spawn(async move {
            let panicked = || Problem::new(Kind::Internal, "the work on the job failed");
            (key, AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| Err(panicked())))
        });
        self.handles.insert(id, handle);
    }

    async fn ended(&mut self, id: &JobId, outcome: Result<Value, Problem>) {
        self.handles.remove(id);
        let (event, result) = match outcome {
            Ok(result) => (JobEvent::Done, Some(result.to_string().into_bytes())),
            Err(failure) => {
                info!(job = %id, reason = %failure, "a job could not be finished");
                (failure.into(), None)
            }
        };
        let since = self.table.record(id).and_then(|record| record.state.since());
        match (&event, since) {
            (JobEvent::Done, Some(since)) => self.metrics.run.observe(Timestamp::now().since(since).as_secs_f64()),
            (JobEvent::Later { .. }, _) => self.requeued("model_not_ready"),
            (JobEvent::PutBack, _) => self.requeued("stopping"),
            (JobEvent::Interrupted, _) => self.requeued("interrupted"),
            _ => {}
        }
        self.transition(id, event, result).await;
    }

    /// Keeps it in place of the one before, unless the job has ended by now.
    async fn checkpoint(&mut self, id: &JobId, bytes: Bytes) {
        let Some(record) = self.table.record(id).filter(|record| !record.phase().is_end()) else { return };
        let (length, limit) = (bytes.len() as u64, self.max_checkpoint);
        if length > limit {
            warn!(job = %id, length, limit, "a checkpoint is larger than jobs.max_checkpoint, and not kept");
            return;
        }
        let record = Record { checkpoint: length, state: record.state.clone().further(), ..record.clone() };
        let changes = vec![Change::Checkpoint(id.clone(), bytes), Change::Put(Box::new(record.clone()))];
        // The log has said why not, and the one before is still there.
        if self.write(changes).await.is_ok() {
            self.metrics.checkpoints.inc();
            self.table.put(record);
        }
    }

    fn requeued(&self, reason: &str) {
        self.metrics.requeued.with_label_values(&[reason]).inc();
    }

    async fn send_webhooks(&mut self, now: Timestamp) {
        let Some(webhooks) = &self.webhooks else { return };
        let due = self.table.to_deliver(now).filter(|record| !self.in_flight.contains(&record.id));
        let due: Vec<_> = due.take(DELIVERIES - self.in_flight.len()).cloned().collect();
        for record in due {
            let Some(Webhook { url, .. }) = record.webhook.clone() else { continue };
            let (webhooks, worker, store) = (webhooks.clone(), self.worker.clone(), self.store.clone());
            self.in_flight.insert(record.id.clone());
            self.delivering.spawn(async move {
                let id = record.id.clone();
                let read = tokio::task::spawn_blocking(move || store.result(&record.id).map(|result| (record, result)));
                let Ok(Ok((record, result))) = read.await else { return (id, false) };
                let message = worker.show(&View { result, ..record.view(None) });
                let delivered = webhooks.deliver(&id, &url, &message).await;
                (id, delivered)
            });
        }
    }

    async fn delivered(&mut self, id: &JobId, delivered: bool) {
        self.in_flight.remove(id);
        let Some(mut record) = self.table.record(id).cloned() else { return };
        let Some(webhook) = &mut record.webhook else { return };
        let Delivery::Pending { tries, .. } = webhook.delivery else { return };
        webhook.delivery = delivery_after(tries, delivered, Timestamp::now());
        let outcome = match webhook.delivery {
            Delivery::Delivered => "delivered",
            Delivery::Pending { .. } => "failed",
            Delivery::GivenUp => "given_up",
        };
        self.metrics.webhooks.with_label_values(&[outcome]).inc();
        // The log has said why.
        let _ = self.write(vec![Change::Put(Box::new(record.clone()))]).await;
        self.table.put(record);
    }

    fn is_over(&self) -> bool {
        let waited = |(end, _): &(Instant, _)| self.handles.is_empty() || Instant::now() >= *end;
        self.stopping.as_ref().is_some_and(waited)
    }

    /// What runs goes back into the queue, where the next process finds it.
    async fn close(mut self) {
        for id in self.table.running() {
            self.requeued("stopping");
            self.transition(&id, JobEvent::PutBack, None).await;
        }
        self.table.close(|_| true);
        let queued = self.table.count(Phase::Queued);
        match (queued, self.durable) {
            (0, _) => {}
            (queued, true) => info!(queued, "jobs wait for the next start"),
            (queued, false) => warn!(queued, "jobs end with this process: jobs.dir would have kept them"),
        }
        if let Some((_, reply)) = self.stopping.take() {
            // Whoever asked may have given up.
            let _ = reply.send(());
        }
    }
}

#[cfg(test)]
mod tests;
