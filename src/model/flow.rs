//! A bounded line between a model's thread and its caller: answers go one way, what is still to be asked the other.
//!
//! The model's end never blocks: it looks, and where nothing can be done its thread sleeps on a [`Signal`] that the
//! caller's end raises. The caller's end awaits.

use std::{collections::VecDeque, fmt, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Signal;
use crate::speech::{Measured, Size};

/// What may wait in a line. The line has room as long as it holds less than both, and always when it is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowLimits {
    pub bytes: usize,
    pub sound: Duration,
}

/// One line. Shared by its two ends.
pub(super) struct Flow<M> {
    // Held for a look or a change.
    state: Mutex<State<M>>,
    /// Tells the caller's end, of which there is one.
    changed: Notify,
}

struct State<M> {
    waiting: VecDeque<M>,
    size: Size,
    limits: FlowLimits,
    end: Option<End>,
    /// Nobody reads any more.
    abandoned: bool,
    /// Wakes the model's thread, once it works on the request.
    signal: Option<Arc<Signal>>,
}

/// How a line ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// All was written.
    Whole,
    /// Who wrote has gone.
    BrokenOff,
}

// === impl FlowLimits ===

impl Default for FlowLimits {
    /// Half a minute of sound lets a model work ahead of any player; 4 MiB hold it at 32 kHz.
    fn default() -> Self {
        Self { bytes: 4 << 20, sound: Duration::from_secs(30) }
    }
}

impl FlowLimits {
    fn has_room(&self, size: Size) -> bool {
        size == Size::default() || (size.bytes < self.bytes && size.sound < self.sound)
    }

    /// So many times as much.
    fn times(self, factor: u32) -> Self {
        Self { bytes: self.bytes.saturating_mul(factor as usize), sound: self.sound.saturating_mul(factor) }
    }
}

// === impl Flow ===

impl<M: Measured> Flow<M> {
    pub fn new(limits: FlowLimits) -> Self {
        let (waiting, size) = (VecDeque::new(), Size::default());
        let state = State { waiting, size, limits, end: None, abandoned: false, signal: None };
        Self { state: Mutex::new(state), changed: Notify::new() }
    }

    pub fn limit(&self, limits: FlowLimits) {
        self.state.lock().limits = limits;
    }

    /// From now on this wakes the model's thread.
    pub fn attach(&self, signal: &Arc<Signal>) {
        self.state.lock().signal = Some(signal.clone());
    }

    pub fn has_room(&self) -> bool {
        self.state.lock().has_room()
    }

    /// Whether it holds more than so many times what it may.
    pub fn is_over(&self, factor: u32) -> bool {
        let state = self.state.lock();
        !state.limits.times(factor).has_room(state.size)
    }

    pub fn is_abandoned(&self) -> bool {
        self.state.lock().abandoned
    }

    /// How the line ended, for one who has read all of it.
    pub fn end(&self) -> Option<End> {
        self.state.lock().end
    }

    // === the model's end ===

    /// Appends, whether there is room or not.
    pub fn emit(&self, item: M) {
        self.state.lock().append(item);
        self.changed.notify_one();
    }

    /// Nothing follows.
    pub fn close(&self) {
        self.state.lock().end.get_or_insert(End::Whole);
        self.changed.notify_one();
    }

    /// The next one, if there is one.
    pub fn take(&self) -> Option<M> {
        let item = self.state.lock().first();
        if item.is_some() {
            self.changed.notify_one();
        }
        item
    }

    /// The model reads no more.
    pub fn decline(&self) {
        self.state.lock().abandon();
        self.changed.notify_one();
    }

    // === the caller's end ===

    /// The next one; `None` after the last.
    pub async fn next(&self) -> Option<M> {
        loop {
            if let Some(next) = self.try_next() {
                return next;
            }
            self.changed.notified().await;
        }
    }

    /// `None`: there is nothing yet.
    fn try_next(&self) -> Option<Option<M>> {
        let mut state = self.state.lock();
        let full = !state.has_room();
        match state.first() {
            Some(item) => {
                if full && state.has_room() {
                    state.raise();
                }
                Some(Some(item))
            }
            None => state.end.map(|_| None),
        }
    }

    /// Appends as soon as there is room; gives the item back if nobody will read it.
    pub async fn send(&self, item: M) -> Result<(), M> {
        // Only this end appends, so room that was seen stays.
        while !self.has_room() && !self.is_abandoned() {
            self.changed.notified().await;
        }
        let mut state = self.state.lock();
        if state.abandoned {
            return Err(item);
        }
        state.append(item);
        state.raise();
        Ok(())
    }

    /// Nothing follows, because all was written or because the caller has gone.
    pub fn end_with(&self, end: End) {
        let mut state = self.state.lock();
        state.end.get_or_insert(end);
        state.raise();
    }

    /// The caller reads no more.
    pub fn abandon(&self) {
        let mut state = self.state.lock();
        state.abandon();
        state.raise();
    }
}

impl<M> fmt::Debug for Flow<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        f.debug_struct("Flow").field("size", &state.size).field("end", &state.end).finish_non_exhaustive()
    }
}

// === impl State ===

impl<M: Measured> State<M> {
    fn has_room(&self) -> bool {
        self.limits.has_room(self.size)
    }

    fn append(&mut self, item: M) {
        if !self.abandoned {
            self.size += item.size();
            self.waiting.push_back(item);
        }
    }

    fn first(&mut self) -> Option<M> {
        let item = self.waiting.pop_front()?;
        self.size -= item.size();
        Some(item)
    }

    fn abandon(&mut self) {
        self.abandoned = true;
        self.size = Size::default();
        self.waiting = VecDeque::new();
    }

    fn raise(&self) {
        if let Some(signal) = &self.signal {
            signal.raise();
        }
    }
}
