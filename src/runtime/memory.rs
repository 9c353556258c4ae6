//! How much memory this process holds, and how it gives back what it does not need.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst},
};

use parking_lot::{Mutex, MutexGuard};
use tokio::runtime::Handle;

use super::{DeviceMemory, Devices};
use crate::model::DeviceId;

/// Weighs models by what the memory of their device holds before and after.
///
/// What a model holds cannot be told from what the rest of the process holds, only from how that changes. So models are
/// loaded one after the other (which also bounds the memory that loading takes beside the weights), and a weighing
/// during which another model came or went says nothing rather than something wrong.
#[derive(Clone)]
pub struct Scale(Arc<Shared>);

struct Shared {
    devices: Arc<dyn Devices>,
    /// Held while a model is loaded.
    loading: Mutex<()>,
    /// Weighings under way.
    active: AtomicUsize,
    /// Weighings that began or ended so far.
    changes: AtomicU64,
}

/// Between the two looks.
pub(super) struct Weighing<'a> {
    scale: &'a Shared,
    device: DeviceId,
    before: Option<Held>,
    alone: bool,
    began: u64,
    _turn: Option<MutexGuard<'a, ()>>,
}

/// Bytes that somebody holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Of memory of its own.
    pub own: u64,
    /// Of files that are mapped and in memory: the system may take those back, and reads them again.
    pub mapped: u64,
}

/// What this process holds, without the program itself. `None` where the system does not tell.
///
/// From `smaps`, which counts pages. The counters of `statm` are cheaper and, on a machine with many processors, tens of
/// megabytes off.
#[cfg(target_os = "linux")]
pub fn held() -> Option<Held> {
    std::fs::read_to_string("/proc/self/smaps").ok().map(|smaps| added(&smaps))
}

/// What this process holds; `None` where the system does not tell.
#[cfg(not(target_os = "linux"))]
pub fn held() -> Option<Held> {
    None
}

/// What an address begins with, and no figure's name does.
#[cfg(any(target_os = "linux", test))]
const ADDRESS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];

/// Of every mapping there is a line `begin-end permissions offset device inode path`, and then one for each figure,
/// proc(5). A file some part of which may be executed is a program.
#[cfg(any(target_os = "linux", test))]
fn added(smaps: &str) -> Held {
    let (mut own, mut files) = (0, std::collections::BTreeMap::<&str, (u64, bool)>::new());
    let mut path = "";
    for line in smaps.lines() {
        let figure =
            |name| line.strip_prefix(name).and_then(|rest: &str| rest.trim().strip_suffix(" kB")?.parse().ok());
        if let Some(kilobytes) = figure("Rss:") {
            files.entry(path).or_default().0 += kilobytes;
        } else if let Some(kilobytes) = figure("Anonymous:") {
            own += kilobytes;
            let (of_file, _) = files.entry(path).or_default();
            *of_file = of_file.saturating_sub(kilobytes);
        } else if let Some((_, rest)) = line.split_once('-').filter(|_| line.starts_with(ADDRESS)) {
            let mut fields = rest.splitn(6, ' ').skip(1);
            let program = fields.next().is_some_and(|permissions| permissions.contains('x'));
            path = fields.nth(3).unwrap_or_default().trim_start();
            files.entry(path).or_default().1 |= program;
        }
    }
    let data = files.into_iter().filter(|(path, (_, program))| path.starts_with('/') && !program);
    Held { own: own * 1024, mapped: data.map(|(_, (kilobytes, _))| kilobytes * 1024).sum() }
}

/// Gives memory that was freed, by this thread or by threads that have ended, back to the system. The allocator keeps
/// it otherwise, for the next who asks.
#[allow(unsafe_code, reason = "the allocator is a C library")]
fn trim() {
    // SAFETY: it may be called at any time.
    unsafe { libmimalloc_sys::mi_collect(true) };
}

/// `trim` soon, away from this thread: it takes tens of milliseconds where much was freed, which whoever else this
/// thread serves would wait for.
pub fn trim_soon() {
    static ASKED: AtomicBool = AtomicBool::new(false);
    let Ok(runtime) = Handle::try_current() else { return trim() };
    if !ASKED.swap(true, SeqCst) {
        runtime.spawn_blocking(|| {
            // First, so that what is freed meanwhile is not forgotten.
            ASKED.store(false, SeqCst);
            trim();
        });
    }
}

// === impl Held ===

impl Held {
    pub fn total(self) -> u64 {
        self.own + self.mapped
    }

    /// Never less than nothing.
    fn less(self, other: Self) -> Self {
        Self { own: self.own.saturating_sub(other.own), mapped: self.mapped.saturating_sub(other.mapped) }
    }
}

// === impl Scale ===

impl Scale {
    pub fn new(devices: Arc<dyn Devices>) -> Self {
        let shared =
            Shared { devices, loading: Mutex::new(()), active: AtomicUsize::new(0), changes: AtomicU64::new(0) };
        Self(Arc::new(shared))
    }

    /// Before a model is loaded; waits until no other one is.
    pub(super) fn load(&self, device: DeviceId) -> Weighing<'_> {
        let turn = self.0.loading.lock();
        Weighing::begin(&self.0, device, Some(turn))
    }

    /// What there is of a device's memory.
    pub(super) fn memory(&self, device: DeviceId) -> Option<DeviceMemory> {
        self.0.devices.memory(device)
    }

    /// Why a device computes nothing any more, if that is so. Waits for what is under way there.
    pub(super) fn lost(&self, device: DeviceId) -> Option<String> {
        self.0.devices.lost(device)
    }

    /// Before a model is dropped.
    pub(super) fn unload(&self, device: DeviceId) -> Weighing<'_> {
        Weighing::begin(&self.0, device, None)
    }
}

impl Shared {
    /// Of an accelerator, what it has given out in all; of the CPU, what this process holds.
    fn held(&self, device: DeviceId) -> Option<Held> {
        if !device.is_accelerator() {
            return held();
        }
        let memory = self.devices.memory(device)?;
        Some(Held { own: memory.total.saturating_sub(memory.free), mapped: 0 })
    }
}

// === impl Weighing ===

impl<'a> Weighing<'a> {
    fn begin(scale: &'a Shared, device: DeviceId, turn: Option<MutexGuard<'a, ()>>) -> Self {
        let alone = scale.active.fetch_add(1, SeqCst) == 0;
        let began = scale.changes.fetch_add(1, SeqCst) + 1;
        trim();
        Self { scale, device, before: scale.held(device), alone, began, _turn: turn }
    }

    /// What came.
    pub fn gained(self) -> Option<Held> {
        trim();
        self.difference(|before, after| after.less(before))
    }

    /// What went.
    pub fn lost(self) -> Option<Held> {
        trim();
        self.scale.devices.trim(self.device);
        self.difference(Held::less)
    }

    fn difference(&self, of: impl Fn(Held, Held) -> Held) -> Option<Held> {
        let after = self.scale.held(self.device)?;
        let undisturbed = self.alone && self.scale.changes.load(SeqCst) == self.began;
        self.before.filter(|_| undisturbed).map(|before| of(before, after))
    }
}

impl Drop for Weighing<'_> {
    fn drop(&mut self) {
        self.scale.changes.fetch_add(1, SeqCst);
        self.scale.active.fetch_sub(1, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_mapped_is_told_from_what_is_own_and_from_programs() {
        let smaps = "\
55d0f7a00000-55d0f7a40000 r--p 00000000 fe:00 1234                       /usr/bin/program
Rss:                 256 kB
Anonymous:             0 kB
55d0f7a40000-55d0f7b00000 r-xp 00040000 fe:00 1234                       /usr/bin/program
Rss:                 500 kB
Anonymous:             8 kB
7f1200000000-7f1240000000 r--s 00000000 fe:00 99                         /models/a folder/model.safetensors
Rss:               90000 kB
AnonHugePages:         0 kB
Anonymous:             0 kB
7f1240000000-7f1240001000 rw-p 00000000 00:00 0 
Rss:                  70 kB
Anonymous:            70 kB
7f1240001000-7f1240003000 rw-p 00000000 fe:00 77                         /etc/tables (deleted)
Rss:                  12 kB
Anonymous:             4 kB
";
        assert_eq!(added(smaps), Held { own: 82 << 10, mapped: 90_008 << 10 });
    }
}
