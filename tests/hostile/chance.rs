//! Where the cases come from, and what holds for each of them.

use std::{
    fmt::Debug,
    time::{Duration, Instant},
};

use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner},
};

/// No case takes longer, on any machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// What a test may have taken at its worst: the model, the largest recording, and the test itself are far below.
const MOST_MEMORY: u64 = 2 << 30;
/// What `PROPTEST_CASES` is if nobody sets it.
const USUAL_CASES: u32 = 256;

/// One thing that is done to a file.
#[derive(Clone, Debug)]
pub enum Edit {
    Cut {
        at: f64,
    },
    Put {
        at: f64,
        byte: u8,
    },
    Fill {
        at: f64,
        length: u16,
        byte: u8,
    },
    Insert {
        at: f64,
        bytes: Vec<u8>,
    },
    /// A number that is likely a length, a count or an offset.
    Number {
        at: f64,
        value: u64,
        bytes: usize,
        big_endian: bool,
    },
    Copy {
        from: f64,
        to: f64,
        length: u16,
    },
}

/// Runs a test over chance: `cases` times, or as many times more as `PROPTEST_CASES` is above its usual 256.
pub fn each<S: Strategy>(cases: u32, strategy: S, test: impl Fn(S::Value) -> Result<(), TestCaseError>)
where
    S::Value: Debug,
{
    let usual = Config::default();
    let scaled = (u64::from(cases) * u64::from(usual.cases)).div_ceil(u64::from(USUAL_CASES));
    let same_each_time = usual.cases == USUAL_CASES;
    let cases = u32::try_from(scaled).unwrap();
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 200, ..usual };
    let mut runner = match same_each_time {
        true => TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
        false => TestRunner::new(config),
    };
    let outcome = runner.run(&strategy, |value| {
        let start = Instant::now();
        test(value)?;
        prop_assert!(start.elapsed() < PATIENCE, "it took {:?}", start.elapsed());
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(peak_memory() < MOST_MEMORY, "{} bytes were in memory at once", peak_memory());
}

/// Bytes of this process that were in memory at once.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// A few edits.
pub fn edits() -> impl Strategy<Value = Vec<Edit>> {
    vec(edit(), 0..6)
}

fn edit() -> impl Strategy<Value = Edit> {
    // Headers are at the beginning: half of all places are there.
    let place = || prop_oneof![0.0..1.0, 0.0..0.02f64];
    let number = prop_oneof![
        Just(0),
        Just(1),
        Just(u64::MAX),
        Just(i64::MAX as u64),
        Just(u64::from(u32::MAX)),
        Just(0x7fff_ffff),
        Just(0xffff),
        any::<u64>(),
        0..100_000u64,
    ];
    prop_oneof![
        place().prop_map(|at| Edit::Cut { at }),
        (place(), any::<u8>()).prop_map(|(at, byte)| Edit::Put { at, byte }),
        (place(), any::<u16>(), any::<u8>()).prop_map(|(at, length, byte)| Edit::Fill { at, length, byte }),
        (place(), vec(any::<u8>(), 1..20)).prop_map(|(at, bytes)| Edit::Insert { at, bytes }),
        (place(), number, prop_oneof![Just(1), Just(2), Just(4), Just(8)], any::<bool>())
            .prop_map(|(at, value, bytes, big_endian)| Edit::Number { at, value, bytes, big_endian }),
        (place(), place(), any::<u16>()).prop_map(|(from, to, length)| Edit::Copy { from, to, length }),
    ]
}

/// The file after the edits.
pub fn edited(file: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut bytes = file.to_vec();
    for edit in edits {
        apply(&mut bytes, edit);
    }
    bytes
}

fn apply(bytes: &mut Vec<u8>, edit: &Edit) {
    let length = bytes.len();
    let place = |at: &f64| ((length as f64 * at) as usize).min(length);
    let end = |start: usize, more: usize| (start + more).min(length);
    match edit {
        Edit::Cut { at } => bytes.truncate(place(at)),
        Edit::Put { at, byte } => bytes[place(at)..].iter_mut().take(1).for_each(|old| *old = *byte),
        Edit::Fill { at, length, byte } => {
            let start = place(at);
            bytes[start..end(start, usize::from(*length))].fill(*byte);
        }
        Edit::Insert { at, bytes: new } => drop(bytes.splice(place(at)..place(at), new.iter().copied())),
        Edit::Number { at, value, bytes: width, big_endian } => {
            let number = if *big_endian {
                value.to_be_bytes()[8 - width..].to_vec()
            } else {
                value.to_le_bytes()[..*width].to_vec()
            };
            let start = place(at);
            bytes[start..].iter_mut().zip(number).for_each(|(old, new)| *old = new);
        }
        Edit::Copy { from, to, length } => {
            let (from, to) = (place(from), place(to));
            let piece = bytes[from..end(from, usize::from(*length))].to_vec();
            bytes[to..].iter_mut().zip(piece).for_each(|(old, new)| *old = new);
        }
    }
}
