//! The page that a test shares with the stand-in driver: `stand_in/stand_in.h` in Rust.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

const DEVICES: usize = 8;
const STEPS: usize = 4096;
const COUNTS: usize = 16;

// Where the words of the page begin.
const CAPABILITY: usize = 1;
const DRIVER: usize = CAPABILITY + DEVICES;
const MEMORY: usize = DRIVER + 1;
const WIDTH: usize = MEMORY + DEVICES;
/// Here nothing is computed, not even by our own kernels.
const COMPUTE: usize = WIDTH + DEVICES;
const LOSE_AFTER: usize = COMPUTE + 1;
const HOLD: usize = LOSE_AFTER + 1;
const WAITING: usize = HOLD + 1;
const HELD: usize = WAITING + 1;
const MOST: usize = HELD + DEVICES;
const RESERVED: usize = MOST + DEVICES;
const PINNED: usize = RESERVED + DEVICES;
const COUNTED: usize = PINNED + 1;
const STEPS_SO_FAR: usize = COUNTED + COUNTS;
const STEP: usize = STEPS_SO_FAR + 1;
const WORDS: usize = STEP + STEPS * (1 + COUNTS);

/// What the stand-in counts.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code, reason = "in the order of stand_in.h, whether a test looks at it or not")]
pub enum Count {
    Contexts,
    Streams,
    Modules,
    Launches,
    Products,
    Allocations,
    Frees,
    ToDevice,
    ToDeviceBytes,
    ToHost,
    ToHostBytes,
    Events,
    Syncs,
    Asked,
    Trims,
    Graphs,
}

/// What was asked of the device since the copy to the host before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// That came to the host.
    pub bytes: u64,
    counts: [u64; COUNTS],
}

/// A card as the driver describes it.
#[derive(Clone, Copy, Debug)]
pub struct Card {
    /// Ten times the compute capability.
    pub capability: u64,
    /// Bytes.
    pub memory: u64,
    /// Bits of the way to its memory: how fast it is.
    pub width: u64,
}

/// The page of one program.
pub struct Page {
    file: File,
    path: PathBuf,
    _folder: TempDir,
}

// === impl Page ===

impl Page {
    /// For a driver of CUDA 13.0 with these cards.
    pub fn new(cards: &[Card]) -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("page");
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path).unwrap();
        file.set_len(8 * WORDS as u64).unwrap();
        let page = Self { file, path, _folder: folder };
        page.write(0, cards.len() as u64);
        for (at, card) in cards.iter().enumerate() {
            page.write(CAPABILITY + at, card.capability);
            page.write(MEMORY + at, card.memory);
            page.write(WIDTH + at, card.width);
        }
        page.driver(13000);
        page
    }

    /// To be named to the program.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The version of CUDA that the driver knows, as it says it: 13.0 is 13000.
    pub fn driver(&self, version: u64) {
        self.write(DRIVER, version);
    }

    /// What a card has from now on, in bytes.
    pub fn memory(&self, device: usize, bytes: u64) {
        self.write(MEMORY + device, bytes);
    }

    /// After so many more launches the context is lost.
    pub fn lose_after(&self, launches: u64) {
        self.write(LOSE_AFTER, launches);
    }

    /// Until it is told otherwise whoever launches something waits.
    pub fn hold(&self, wait: bool) {
        self.write(HOLD, u64::from(wait));
    }

    /// Whether somebody does.
    pub fn is_waited_for(&self) -> bool {
        self.read(WAITING) > 0
    }

    pub fn held(&self, device: usize) -> u64 {
        self.read(HELD + device)
    }

    /// What the program has of a card, in use or kept for later, in bytes.
    pub fn reserved(&self, device: usize) -> u64 {
        self.read(RESERVED + device)
    }

    /// At once so far.
    pub fn most(&self, device: usize) -> u64 {
        self.read(MOST + device)
    }

    /// Bytes of the host at once so far that devices may read by themselves.
    pub fn pinned(&self) -> u64 {
        self.read(PINNED)
    }

    pub fn count(&self, what: Count) -> u64 {
        self.read(COUNTED + what as usize)
    }

    /// All since so many, in order; to be asked before they are forgotten.
    pub fn steps_since(&self, first: u64) -> Vec<Step> {
        let so_far = self.steps();
        assert!(so_far - first <= STEPS as u64, "steps were forgotten");
        (first..so_far).map(|at| self.step(at)).collect()
    }

    pub fn steps(&self) -> u64 {
        self.read(STEPS_SO_FAR)
    }

    fn step(&self, at: u64) -> Step {
        let first = STEP + (at as usize % STEPS) * (1 + COUNTS);
        Step { bytes: self.read(first), counts: std::array::from_fn(|what| self.read(first + 1 + what)) }
    }

    // Of a file that is mapped elsewhere, reads and writes are of the same memory.

    fn read(&self, word: usize) -> u64 {
        let mut bytes = [0; 8];
        self.file.read_exact_at(&mut bytes, 8 * word as u64).unwrap();
        u64::from_ne_bytes(bytes)
    }

    fn write(&self, word: usize, value: u64) {
        self.file.write_all_at(&value.to_ne_bytes(), 8 * word as u64).unwrap();
    }
}

// === impl Step ===

impl Step {
    pub fn of(&self, what: Count) -> u64 {
        self.counts[what as usize]
    }
}
