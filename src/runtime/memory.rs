//! How much memory this process holds, and how it gives back what it does not need.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst},
};

use parking_lot::{Mutex, MutexGuard};

use super::Devices;
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
    before: Option<u64>,
    alone: bool,
    began: u64,
    _turn: Option<MutexGuard<'a, ()>>,
}

/// Bytes of memory that this process holds: its own, and the files that it has mapped to look at. Those count whole, as
/// they were read, although the system may take their pages back and read them again. The program itself does not count.
/// `None` where the system does not tell.
#[cfg(target_os = "linux")]
pub fn resident_bytes() -> Option<u64> {
    Some(own_bytes()? + mapped_bytes(&std::fs::read_to_string("/proc/self/maps").ok()?))
}

/// From `smaps_rollup`, which counts pages. The counters of `statm` are cheaper and, on a machine with many processors,
/// tens of megabytes off.
#[cfg(target_os = "linux")]
fn own_bytes() -> Option<u64> {
    let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").ok()?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Anonymous:"))?;
    let kilobytes: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024)
}

/// Of files no part of which is a program. A line is `begin-end permissions offset device inode path`, proc(5).
#[cfg(any(target_os = "linux", test))]
fn mapped_bytes(maps: &str) -> u64 {
    let mut files = std::collections::BTreeMap::<&str, (u64, bool)>::new();
    for line in maps.lines() {
        let mut fields = line.splitn(6, ' ');
        let (Some(range), Some(permissions), Some(path)) = (fields.next(), fields.next(), fields.nth(3)) else {
            continue;
        };
        let path = path.trim_start();
        let ends = range.split_once('-').map(|(begin, end)| [begin, end].map(|end| u64::from_str_radix(end, 16)));
        if let (true, Some([Ok(begin), Ok(end)])) = (path.starts_with('/'), ends) {
            let (bytes, program) = files.entry(path).or_default();
            *bytes += end.saturating_sub(begin);
            *program |= permissions.contains('x');
        }
    }
    files.into_values().filter(|(_, program)| !program).map(|(bytes, _)| bytes).sum()
}

/// Bytes of memory that are this process' own; `None` where the system does not tell.
#[cfg(not(target_os = "linux"))]
pub fn resident_bytes() -> Option<u64> {
    None
}

/// Gives memory that was freed, by this thread or by threads that have ended, back to the system. The allocator keeps
/// it otherwise, for the next who asks.
pub(super) fn trim() {
    // SAFETY: it may be called at any time.
    unsafe { libmimalloc_sys::mi_collect(true) };
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

    /// Before a model is dropped.
    pub(super) fn unload(&self, device: DeviceId) -> Weighing<'_> {
        Weighing::begin(&self.0, device, None)
    }
}

impl Shared {
    /// Of an accelerator, what it has given out in all; of the CPU, what this process holds.
    fn held(&self, device: DeviceId) -> Option<u64> {
        if !device.is_accelerator() {
            return resident_bytes();
        }
        self.devices.memory(device).map(|memory| memory.total.saturating_sub(memory.free))
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

    /// Bytes that came.
    pub fn gained(self) -> Option<u64> {
        trim();
        self.difference(|before, after| after.saturating_sub(before))
    }

    /// Bytes that went.
    pub fn lost(self) -> Option<u64> {
        trim();
        self.difference(u64::saturating_sub)
    }

    fn difference(&self, of: impl Fn(u64, u64) -> u64) -> Option<u64> {
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
    fn files_that_are_mapped_to_be_read_count_and_programs_do_not() {
        let maps = "\
55d0f7a00000-55d0f7a40000 r--p 00000000 fe:00 1234                       /usr/bin/program
55d0f7a40000-55d0f7b00000 r-xp 00040000 fe:00 1234                       /usr/bin/program
7f1200000000-7f1240000000 r--s 00000000 fe:00 99                         /models/a folder/model.safetensors
7f1240000000-7f1240001000 rw-p 00000000 00:00 0 
7f1240001000-7f1240003000 r--p 00000000 fe:00 77                         /etc/tables (deleted)
7ffd5b600000-7ffd5b621000 rw-p 00000000 00:00 0                          [stack]
";
        assert_eq!(mapped_bytes(maps), (1 << 30) + 0x2000);
    }
}
