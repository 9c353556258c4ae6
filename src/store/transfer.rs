//! Brings the bytes of one file here: in ranges, over several connections at once, each going on where it broke.

use std::{
    ops::Range,
    time::{Duration, Instant},
};

use bytes::{Buf, Bytes};
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use tokio::sync::Semaphore;

use super::{
    Config, StoreError,
    extents::cut,
    origin::{Body, Listed, Origin},
    progress::Tracker,
    retry::RetryPolicy,
    sink::Sink,
};

/// Bytes per range. Large enough that a request costs little against it, small enough that a file of some hundred
/// megabytes keeps every connection busy to the end.
const PIECE: u64 = 8 << 20;
/// Bytes of the first range of a file that needs several. It finds out whether the place knows ranges, and where the
/// file really lies, before all connections ask.
const LEAD: u64 = 64 << 10;
/// A connection that brought so many bytes before it broke was no failure: the count of tries in a row starts again. More
/// than the packets that come with every answer, and little enough that a poor link gets on.
const WORTH_IT: u64 = 64 << 10;

/// What came is written down so often, or a death of the process would lose it.
const NOTE_EVERY: Duration = Duration::from_millis(500);

/// What transfers may take, and when one is given up. Of the whole store.
pub(super) struct Limits {
    /// A permit for each connection.
    pub connections: Semaphore,
    /// As many permits as there are.
    pub at_once: usize,
    pub retry_policy: RetryPolicy,
    /// A connection without a byte for so long is broken off.
    pub idle: Duration,
    /// So is one that brings fewer bytes per second than this, over as long.
    pub min_rate: u64,
}

/// One file that comes.
pub(super) struct Transfer<'a> {
    pub origin: &'a dyn Origin,
    pub limits: &'a Limits,
    pub commit: &'a str,
    pub file: &'a Listed,
    pub sink: &'a Sink,
    pub tracker: &'a Tracker<'a>,
    /// Bytes that arrived.
    pub counter: prometheus::IntCounter,
    /// For errors.
    pub source_name: &'a str,
}

/// How fast one connection is.
struct Pace {
    bytes: u64,
    /// Time spent waiting for the network, not for a disk that is behind.
    waited: Duration,
}

// === impl Limits ===

impl Limits {
    pub(super) fn of(config: &Config) -> Self {
        let at_once = config.connections.max(1);
        Self {
            connections: Semaphore::new(at_once),
            at_once,
            retry_policy: RetryPolicy::new(config.attempts),
            idle: config.idle_timeout,
            min_rate: config.min_rate,
        }
    }
}

// === impl Transfer ===

impl Transfer<'_> {
    /// Pours what is missing of the file into the sink. `Ok` also if the disk failed, which closing the sink tells.
    pub(super) async fn run(&self) -> Result<(), StoreError> {
        tokio::select! {
            outcome = self.pour() => outcome,
            () = self.note() => unreachable!("it never ends"),
        }
    }

    async fn note(&self) {
        loop {
            tokio::time::sleep(NOTE_EVERY).await;
            self.sink.note();
        }
    }

    async fn pour(&self) -> Result<(), StoreError> {
        let mut missing = self.streamed().await?;
        let Some(first) = missing.first_mut() else { return Ok(()) };
        let mut lead = first.clone();
        if lead.end < self.file.size {
            lead.end = lead.end.min(lead.start + LEAD);
        }
        first.start = lead.end;
        if self.piece(lead.clone()).await? > lead.end {
            return Ok(());
        }
        let rest = missing.into_iter().filter(|range| !range.is_empty()).map(|range| self.piece(range));
        futures::stream::iter(rest).buffer_unordered(self.limits.at_once).try_for_each(|_| async { Ok(()) }).await
    }

    /// Pours what comes as a stream, and gives what is missing then, in pieces.
    async fn streamed(&self) -> Result<Vec<Range<u64>>, StoreError> {
        let (size, there) = (self.file.size, &self.sink.there);
        let mut gaps = there.missing(size, size);
        while let Some(Range { start: mut at, end }) = gaps.first().cloned() {
            let before = at;
            match self.stream(&mut at, end).await {
                Ok(true) => drop(gaps.remove(0)),
                Ok(false) => break,
                Err(error @ StoreError::Changed { .. }) => return Err(error),
                Err(error) => {
                    gaps[0].start = at;
                    tracing::info!(file = self.file.path, from_byte = at, %error, "going on by ranges");
                    if at < before + WORTH_IT {
                        break;
                    }
                }
            }
        }
        Ok(gaps.into_iter().flat_map(|gap| cut(gap, PIECE)).collect())
    }

    /// Pours one range that comes as a stream. `false` where there is no such thing.
    async fn stream(&self, at: &mut u64, end: u64) -> Result<bool, StoreError> {
        let Ok(_permit) = self.limits.connections.acquire().await else { unreachable!("it is never closed") };
        let opened = self.origin.stream(self.commit, self.file, *at..end);
        let Ok(opened) = tokio::time::timeout(self.limits.idle, opened).await else {
            return Err(self.passing("does not say where its chunks are"));
        };
        match opened? {
            Some(body) => self.body(body, at, end).await.map(|()| true),
            None => Ok(false),
        }
    }

    /// Pours one range, over as many connections as it takes. Gives the place up to which bytes came: the end of the
    /// file, if it had to come as a whole.
    async fn piece(&self, Range { start: mut at, mut end }: Range<u64>) -> Result<u64, StoreError> {
        let mut tries = 0;
        loop {
            let before = at;
            let Err(error) = self.connection(&mut at, &mut end).await else { return Ok(end) };
            tries = if at >= before + WORTH_IT { 1 } else { tries + 1 };
            self.limits.retry_policy.pause(tries, error).await?;
            tracing::debug!(file = self.file.path, from_byte = at, to_byte = end, "going on");
        }
    }

    /// Pours what one connection brings.
    async fn connection(&self, at: &mut u64, end: &mut u64) -> Result<(), StoreError> {
        let Ok(_permit) = self.limits.connections.acquire().await else { unreachable!("it is never closed") };
        let body = self.origin.read(self.commit, self.file, *at..*end).await?;
        if !body.ranged && *end < self.file.size {
            // What is there of the rest comes again.
            self.tracker.take_back(self.sink.there.bytes_in(*end..self.file.size));
            *end = self.file.size;
        }
        self.body(body, at, *end).await
    }

    async fn body(&self, Body { from, mut chunks, .. }: Body, at: &mut u64, end: u64) -> Result<(), StoreError> {
        let (mut skip, mut pace) = (*at - from, Pace::new());
        while let Some(mut chunk) = self.next(&mut chunks, &mut pace).await? {
            let known = usize::try_from(skip).unwrap_or(usize::MAX).min(chunk.len());
            chunk.advance(known);
            skip -= known as u64;
            if !self.take(at, end, chunk).await? {
                return Ok(());
            }
        }
        if *at == end { Ok(()) } else { Err(self.passing("ended the transfer too early")) }
    }

    /// `false` if the disk failed.
    async fn take(&self, at: &mut u64, end: u64, chunk: Bytes) -> Result<bool, StoreError> {
        let (start, bytes) = (*at, chunk.len() as u64);
        if start + bytes > end {
            let (source_name, file) = (self.source_name.to_owned(), self.file.path.clone());
            return Err(StoreError::Changed {
                source_name,
                file,
                reason: "more bytes came than were listed".to_owned(),
            });
        }
        self.counter.inc_by(bytes);
        self.tracker.add(&self.file.path, bytes);
        *at += bytes;
        Ok(self.sink.push(start, chunk).await)
    }

    /// The next bytes of a body, if they come in time.
    async fn next(
        &self,
        chunks: &mut BoxStream<'static, Result<Bytes, StoreError>>,
        pace: &mut Pace,
    ) -> Result<Option<Bytes>, StoreError> {
        let (idle, since) = (self.limits.idle, Instant::now());
        let Ok(chunk) = tokio::time::timeout(idle, chunks.next()).await else {
            return Err(self.passing(&format!("sent nothing for {} s", idle.as_secs_f64())));
        };
        let chunk = chunk.transpose()?;
        match pace.too_slow(chunk.as_ref().map_or(0, Bytes::len) as u64, since.elapsed(), self.limits) {
            Some(rate) => Err(self.passing(&format!("sends only {rate} bytes per second"))),
            None => Ok(chunk),
        }
    }

    fn passing(&self, reason: &str) -> StoreError {
        let (host, source_name) = (self.origin.host(), self.source_name.to_owned());
        StoreError::Unreachable { host, source_name, reason: reason.to_owned(), retry_after: None }
    }
}

// === impl Pace ===

impl Pace {
    fn new() -> Self {
        Self { bytes: 0, waited: Duration::ZERO }
    }

    /// The rate, when it has been too low for as long as a connection may be idle.
    fn too_slow(&mut self, bytes: u64, waited: Duration, limits: &Limits) -> Option<u64> {
        self.bytes += bytes;
        self.waited += waited;
        if self.waited < limits.idle {
            return None;
        }
        let rate = self.bytes as f64 / self.waited.as_secs_f64();
        *self = Self::new();
        (rate < limits.min_rate as f64).then_some(rate as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_trickles_is_too_slow() {
        let limits = Limits {
            connections: Semaphore::new(1),
            at_once: 1,
            retry_policy: RetryPolicy::new(1),
            idle: Duration::from_secs(10),
            min_rate: 1000,
        };
        let mut pace = Pace::new();
        let mut seconds = |bytes| (0..10).find_map(|_| pace.too_slow(bytes, Duration::from_secs(1), &limits));
        assert_eq!(seconds(999), Some(999));
        assert_eq!(seconds(1000), None);
        assert_eq!(seconds(1_000_000), None);
        assert_eq!(seconds(10), Some(10), "what was fast once may trickle later");
    }
}
