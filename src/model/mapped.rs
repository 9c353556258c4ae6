//! Files that are mapped, and what is said if one of them is cut short.
//!
//! The system ends a process that touches a page which its file does not have any more (SIGBUS). Nothing can be done about
//! that, but that the last words name the file: every mapping stands in a table that a signal handler can read.

use std::{
    fs::File,
    io,
    ops::Deref,
    path::Path,
    sync::{
        Once,
        atomic::{AtomicPtr, AtomicUsize, Ordering::SeqCst},
    },
};

use memmap2::Mmap;

/// Mappings that the handler knows; of one more it would say nothing.
const MOST: usize = 1024;

/// A mapped file.
#[derive(Debug)]
pub(super) struct Mapped {
    map: Mmap,
    /// Held for the handler, which finds it by the slot.
    _words: Box<Words>,
    slot: Option<&'static Slot>,
}

/// What is written when a page of the file is not there.
#[derive(Debug)]
struct Words(String);

/// One line of the table. `begin` is 0 where it is free; it is set last and cleared first.
#[derive(Debug)]
struct Slot {
    begin: AtomicUsize,
    end: AtomicUsize,
    words: AtomicPtr<Words>,
}

static TABLE: [Slot; MOST] = [const { Slot::free() }; MOST];

/// In place of an address while a slot is being filled: no page begins there.
const TAKEN: usize = 1;

// === impl Mapped ===

impl Mapped {
    #[allow(unsafe_code, reason = "to map a file is a promise that nobody cuts it short")]
    pub fn open(path: &Path) -> io::Result<Self> {
        // SAFETY: files in the store are published by rename and never written again. For files that others may write to
        // there is `Backing::Copied`.
        let map = unsafe { Mmap::map(&File::open(path)?) }?;
        handler::install();
        let words = Box::new(Words::of(path));
        let slot = Slot::fill(&map, &words);
        Ok(Self { map, _words: words, slot })
    }

    pub fn map(&self) -> &Mmap {
        &self.map
    }
}

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.map
    }
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        if let Some(slot) = self.slot {
            slot.begin.store(0, SeqCst);
        }
    }
}

// === impl Words ===

impl Words {
    fn of(path: &Path) -> Self {
        Self(format!(
            "sconce: a part of {} is not there any more (SIGBUS): the file was cut short, or its disk fails. With \
             runtime.weights = \"copy\" models do not depend on their files once they are loaded\n",
            path.display()
        ))
    }
}

// === impl Slot ===

impl Slot {
    const fn free() -> Self {
        Self { begin: AtomicUsize::new(0), end: AtomicUsize::new(0), words: AtomicPtr::new(std::ptr::null_mut()) }
    }

    /// `None`: the table is full, or there is nothing to touch.
    fn fill(map: &Mmap, words: &Words) -> Option<&'static Self> {
        let begin = map.as_ptr().addr();
        let free = |slot: &&Self| slot.begin.compare_exchange(0, TAKEN, SeqCst, SeqCst).is_ok();
        let slot = TABLE.iter().find(free).filter(|_| !map.is_empty())?;
        slot.end.store(begin + map.len().next_multiple_of(PAGE), SeqCst);
        slot.words.store(std::ptr::from_ref(words).cast_mut(), SeqCst);
        slot.begin.store(begin, SeqCst);
        Some(slot)
    }

    fn holds(&self, address: usize) -> bool {
        let begin = self.begin.load(SeqCst);
        begin > TAKEN && (begin..self.end.load(SeqCst)).contains(&address)
    }
}

/// The largest page of any machine: the last one of a file may be touched to its end.
const PAGE: usize = 64 << 10;

mod handler {
    #![allow(unsafe_code, reason = "a signal handler is C")]

    use super::{AtomicPtr, Once, SeqCst, TABLE};

    /// Who handled the signal before, for faults that are none of ours.
    static BEFORE: AtomicPtr<libc::sigaction> = AtomicPtr::new(std::ptr::null_mut());

    /// Has the words said from now on.
    pub fn install() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            // SAFETY: all zeros are a valid `sigaction`, and both are there for as long as the calls take. The handler
            // keeps to what is safe within a signal.
            unsafe {
                let mut ours: libc::sigaction = std::mem::zeroed();
                let mut before: libc::sigaction = std::mem::zeroed();
                ours.sa_sigaction = tell as extern "C" fn(_, _, _) as libc::sighandler_t;
                // On the stack of the thread, which has room: the one for signals may hold little more than the registers
                // of a large processor.
                ours.sa_flags = libc::SA_SIGINFO;
                libc::sigaction(libc::SIGBUS, std::ptr::null(), &raw mut before);
                BEFORE.store(Box::into_raw(Box::new(before)), SeqCst);
                libc::sigaction(libc::SIGBUS, &raw const ours, std::ptr::null_mut());
            }
        });
    }

    /// Says what there is to say, and lets the system, or who was there before, do the rest: the access that failed is
    /// tried again when this returns.
    extern "C" fn tell(signal: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
        // SAFETY: the system gives a valid `info`. Whoever touches a mapping holds it, and with it the words in the table.
        // `write` and `sigaction` are safe within a signal (POSIX, signal-safety(7)).
        unsafe {
            let address = (*info).si_addr().addr();
            match TABLE.iter().find(|slot| slot.holds(address)) {
                Some(slot) => {
                    let words = &(*slot.words.load(SeqCst)).0;
                    libc::write(libc::STDERR_FILENO, words.as_ptr().cast(), words.len());
                    // All zeros: the system's own.
                    let usual: libc::sigaction = std::mem::zeroed();
                    libc::sigaction(signal, &raw const usual, std::ptr::null_mut());
                }
                None => {
                    libc::sigaction(signal, BEFORE.load(SeqCst), std::ptr::null_mut());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_stands_in_the_table_as_long_as_it_lives() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights");
        std::fs::write(&path, vec![7; 10_000]).unwrap();
        let known = |address: usize| TABLE.iter().any(|slot| slot.holds(address));
        let mapped = Mapped::open(&path).unwrap();
        let begin = mapped.as_ptr().addr();
        assert!(known(begin) && known(begin + 9_999) && !known(begin.wrapping_sub(1)));
        assert!(mapped.slot.is_some_and(|slot| slot.holds(begin)));
        drop(mapped);
        assert!(TABLE.iter().filter(|slot| slot.holds(begin)).count() == 0);
    }

    #[test]
    fn an_empty_file_is_mapped_as_well() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nothing");
        std::fs::write(&path, b"").unwrap();
        assert!(Mapped::open(&path).unwrap().is_empty());
    }
}
