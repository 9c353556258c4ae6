//! All jobs, and the rules that hold for them together. Pure but for the progress that readers watch.

use std::{collections::BTreeMap, time::Duration};

use tokio::sync::{mpsc, watch};

use super::{
    error::Refusal,
    pieces::{KeepCheckpoint, Pieces},
    progress::{Feed, ProgressState},
    record::{Delivery, JobId, JobRequest, Principal, Record, Turn, View, digest},
    state::{JobEvent, Phase, State},
    timestamp::Timestamp,
};

/// How much is held.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub keep: Duration,
    pub max_count: usize,
    pub max_bytes: u64,
    pub attempts: u32,
    /// Jobs that are worked on at once, at least 1.
    pub at_once: usize,
}

/// Of the jobs that succeeded last, so many tell how long one takes.
const RECENT: usize = 20;

pub(super) struct JobTable {
    limits: Limits,
    entries: BTreeMap<JobId, Entry>,
}

struct Entry {
    record: Record,
    progress_state: watch::Sender<ProgressState>,
}

/// What becomes of a request.
#[derive(Debug)]
pub(super) enum Admission {
    /// It was asked before.
    Known(JobId),
    /// It is new, and these old ones make room for it.
    New { record: Box<Record>, forgotten: Vec<JobId> },
}

// === impl JobTable ===

impl JobTable {
    pub fn new(limits: Limits, records: Vec<Record>) -> Self {
        let entries = records.into_iter().map(|record| (record.id.clone(), Entry::new(record))).collect();
        Self { limits, entries }
    }

    /// Changes nothing yet.
    pub fn admit(&self, request: &JobRequest, owner: Option<&str>, now: Timestamp) -> Result<Admission, Refusal> {
        if let Some(known) = self.known(request, owner)? {
            return Ok(Admission::Known(known));
        }
        let record = Record::new(request, owner.map(str::to_owned), now);
        let (bytes, limit) = (record.bytes.max(record.room), self.limits.max_bytes);
        if bytes > limit {
            return Err(Refusal::TooLarge { bytes, limit });
        }
        let forgotten = self.room_for(record.bytes)?;
        Ok(Admission::New { record: Box::new(record), forgotten })
    }

    /// Bytes that the results of those which have not ended may take.
    pub fn promised(&self) -> u64 {
        let live = self.records().filter(|record| !record.phase().is_end());
        live.fold(0, |sum, record| sum.saturating_add(record.room))
    }

    /// Two owners may use the same key.
    fn known(&self, request: &JobRequest, owner: Option<&str>) -> Result<Option<JobId>, Refusal> {
        let Some(name) = &request.key else { return Ok(None) };
        let own = self.records().filter(|record| record.owner.as_deref() == owner);
        let mut keys = own.filter_map(|record| Some((&record.id, record.key.as_ref()?)));
        match keys.find(|(_, key)| key.name == *name) {
            None => Ok(None),
            Some((id, key)) if key.digest == digest(request) => Ok(Some(id.clone())),
            Some(_) => Err(Refusal::KeyReused),
        }
    }

    /// The finished jobs that have to go, those that ended first before the others; live ones never do.
    fn room_for(&self, bytes: u64) -> Result<Vec<JobId>, Refusal> {
        let (mut count, mut held) = (self.entries.len() + 1, self.bytes() + bytes);
        let mut ended: Vec<_> = self.records().filter_map(|record| Some((record.state.end()?, record))).collect();
        ended.sort_by_key(|(end, _)| *end);
        let mut gone = Vec::new();
        for (_, record) in ended {
            if count <= self.limits.max_count && held <= self.limits.max_bytes {
                break;
            }
            gone.push(record.id.clone());
            count -= 1;
            held -= record.held();
        }
        if count > self.limits.max_count {
            return Err(Refusal::Full { held: count - 1 });
        }
        if held > self.limits.max_bytes {
            return Err(Refusal::NoRoom { held: held - bytes, limit: self.limits.max_bytes });
        }
        Ok(gone)
    }

    /// The finished jobs that are kept no longer: their time is over, or results take more than they may.
    pub fn outlived(&self, now: Timestamp) -> Vec<JobId> {
        let old = |record: &&Record| record.state.end().is_some_and(|end| now.since(end) >= self.limits.keep);
        let old: Vec<_> = self.records().filter(old).map(|record| record.id.clone()).collect();
        if old.is_empty() { self.room_for(0).unwrap_or_default() } else { old }
    }

    pub fn insert(&mut self, record: Record) {
        self.entries.insert(record.id.clone(), Entry::new(record));
    }

    pub fn forget(&mut self, id: &JobId) {
        self.entries.remove(id);
    }

    /// The record as it is after this; `None`: nothing changes.
    pub fn after(&self, id: &JobId, event: JobEvent, now: Timestamp) -> Option<Record> {
        let record = &self.entries.get(id)?.record;
        let state = record.state.after(event, now, self.limits.attempts)?;
        Some(Record { state, ..record.clone() })
    }

    /// Takes a changed record over, and tells those who look on.
    pub fn put(&mut self, record: Record) {
        if let Some(entry) = self.entries.get_mut(&record.id) {
            if entry.record.phase() != record.phase() {
                entry.progress_state.send_modify(|progress_state| progress_state.turn(record.phase()));
                if record.phase().is_end() {
                    // Pieces are kept by those who still read them, and by nobody else.
                    entry.progress_state = ProgressState::new(record.phase());
                }
            }
            entry.record = record;
        }
    }

    /// The one that waits longest of those that may be begun.
    pub fn next_to_start(&self, now: Timestamp) -> Option<JobId> {
        self.queued().find(|(_, due)| *due <= now).map(|(id, _)| id.clone())
    }

    /// Those with somebody to tell.
    pub fn to_deliver(&self, now: Timestamp) -> impl Iterator<Item = &Record> {
        self.records().filter(move |record| record.delivery_due().is_some_and(|due| due <= now))
    }

    /// When something is to be done without anybody asking. Jobs that could be begun at once wait for room, not for
    /// a time.
    pub fn wake(&self, now: Timestamp) -> Option<Timestamp> {
        let begun = self.queued().map(|(_, due)| due).filter(|due| *due > now);
        let told = self.records().filter_map(Record::delivery_due);
        let gone = self.records().filter_map(|record| Some(record.state.end()?.after(self.limits.keep)));
        begun.chain(told).chain(gone).min()
    }

    /// In the order in which they came.
    fn queued(&self) -> impl Iterator<Item = (&JobId, Timestamp)> {
        self.records().filter_map(|record| match record.state {
            State::Queued { due, .. } => Some((&record.id, due)),
            _ => None,
        })
    }

    pub fn running(&self) -> Vec<JobId> {
        self.records().filter(|record| record.phase() == Phase::Running).map(|record| record.id.clone()).collect()
    }

    pub fn record(&self, id: &JobId) -> Option<&Record> {
        self.entries.get(id).map(|entry| &entry.record)
    }

    pub fn view(&self, principal: &Principal, id: &JobId) -> Option<View> {
        let view = self.seen(principal, id).map(Entry::view)?;
        Some(self.with_turns(vec![view]).remove(0))
    }

    /// Adds to those that wait when their turn comes. Everybody's jobs are counted: they are begun in one order.
    fn with_turns(&self, mut views: Vec<View>) -> Vec<View> {
        if views.iter().all(|view| view.state.phase() != Phase::Queued) {
            return views;
        }
        let (seconds, at_once) = (self.usual_seconds(), self.limits.at_once.max(1));
        let places: BTreeMap<_, _> = self.queued().enumerate().map(|(before, (id, _))| (id, before)).collect();
        for view in &mut views {
            view.turn = places.get(&view.id).map(|before| {
                let rounds = before / at_once + 1;
                let eta = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds * rounds as f64).ok());
                Turn { position: before + 1, eta }
            });
        }
        views
    }

    /// The mean of the jobs that succeeded last.
    fn usual_seconds(&self) -> Option<f64> {
        let took = self.records().rev().filter_map(|record| record.state.took());
        let took: Vec<_> = took.take(RECENT).map(|took| took.as_secs_f64()).collect();
        (!took.is_empty()).then(|| took.iter().sum::<f64>() / took.len() as f64)
    }

    /// Newest first.
    pub fn list(&self, principal: &Principal, phase: Option<Phase>, limit: usize) -> Vec<View> {
        let fits =
            |entry: &&Entry| principal.sees(&entry.record) && phase.is_none_or(|phase| entry.record.phase() == phase);
        self.with_turns(self.entries.values().rev().filter(fits).take(limit).map(Entry::view).collect())
    }

    pub fn feed(&self, principal: &Principal, id: &JobId) -> Option<Feed> {
        self.seen(principal, id).map(|entry| Feed::new(entry.progress_state.subscribe()))
    }

    /// Where a worker puts what it has of a job, and who keeps what is to be kept of it.
    pub fn pieces(&self, id: &JobId, keeper: mpsc::Sender<KeepCheckpoint>) -> Option<Pieces> {
        self.entries.get(id).map(|entry| Pieces::new(entry.progress_state.clone(), id.clone(), keeper))
    }

    /// Nothing more will be seen of these.
    pub fn close(&self, which: impl Fn(Phase) -> bool) {
        for entry in self.entries.values().filter(|entry| which(entry.record.phase())) {
            entry.progress_state.send_modify(|progress_state| progress_state.closing = true);
        }
    }

    pub fn bytes(&self) -> u64 {
        self.records().map(Record::held).sum()
    }

    pub fn count(&self, phase: Phase) -> usize {
        self.records().filter(|record| record.phase() == phase).count()
    }

    fn seen(&self, principal: &Principal, id: &JobId) -> Option<&Entry> {
        self.entries.get(id).filter(|entry| principal.sees(&entry.record))
    }

    fn records(&self) -> impl DoubleEndedIterator<Item = &Record> {
        self.entries.values().map(|entry| &entry.record)
    }
}

// === impl Entry ===

impl Entry {
    fn new(record: Record) -> Self {
        let progress_state = ProgressState::new(record.phase());
        Self { record, progress_state }
    }

    fn view(&self) -> View {
        self.record.view(self.progress_state.borrow().progress)
    }
}

/// What becomes of a delivery after a try. The pauses grow fivefold: 1 s, 5 s, 25 s, 2 min, 10 min.
pub(super) fn delivery_after(tries: u32, delivered: bool, now: Timestamp) -> Delivery {
    const TRIES: u32 = 6;
    if delivered {
        Delivery::Delivered
    } else if tries + 1 >= TRIES {
        Delivery::GivenUp
    } else {
        let pause = Duration::from_secs(5u64.saturating_pow(tries));
        Delivery::Pending { tries: tries + 1, due: now.after(pause) }
    }
}

#[cfg(test)]
mod tests;
