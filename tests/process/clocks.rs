//! Processes on one folder whose clocks differ, and one whose clock jumps.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command},
    time::Duration,
};

use tempfile::TempDir;

use crate::store::{FILES, WEIGHTS, assert_one_copy, end, expected, hub, owner, pull, spawn, until};

/// The library that tells a process another time, if this machine has it. Files keep the times that their disk gave
/// them, as those of a shared volume do.
fn library() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").ok()?.flatten();
    folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1")).find(|path| path.exists())
}

fn faked<'a>(command: &'a mut Command, library: &Path) -> &'a mut Command {
    command.env("LD_PRELOAD", library).env("NO_FAKE_STAT", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
}

#[test]
fn processes_whose_clocks_are_days_apart_fetch_each_file_once() {
    let Some(library) = library() else {
        eprintln!("SKIPPED processes_whose_clocks_are_days_apart_fetch_each_file_once: faketime is not installed");
        return;
    };
    let (hub, cache) = (hub(), TempDir::new().unwrap());
    hub.delay(Duration::from_millis(20));
    let at = |offset: &str| spawn(faked(&mut pull(&cache, &hub), &library).env("FAKETIME", offset));
    let children: Vec<Child> = ["-30d", "-2h", "+0", "+2h", "+30d", "+3650d"].into_iter().map(at).collect();
    for child in children {
        let (stderr, code) = end(child);
        assert_eq!(code, Some(0), "{stderr}");
    }
    for file in FILES {
        assert_eq!(hub.downloads(file), 1, "{file}");
    }
    assert_one_copy(&cache, &expected());
}

#[test]
fn an_owner_whose_clock_jumps_stays_the_owner() {
    let Some(library) = library() else {
        eprintln!("SKIPPED an_owner_whose_clock_jumps_stays_the_owner: faketime is not installed");
        return;
    };
    let (hub, cache, clock) = (hub(), TempDir::new().unwrap(), tempfile::NamedTempFile::new().unwrap());
    let set = |offset: &str| fs::write(clock.path(), offset).unwrap();
    set("+0");
    hub.stall_large();
    let jumping = |command: &mut Command| {
        let command = faked(command, &library).env("FAKETIME_TIMESTAMP_FILE", clock.path());
        spawn(command.env("FAKETIME_NO_CACHE", "1"))
    };
    let first = jumping(&mut pull(&cache, &hub));
    until("it fetches", || hub.downloads(WEIGHTS) > 0);
    let second = spawn(&mut pull(&cache, &hub));
    for offset in ["+12h", "-12h", "+400d"] {
        set(offset);
        // A heartbeat falls into it.
        std::thread::park_timeout(Duration::from_millis(1100));
        assert_eq!(owner(&cache), Some(first.id()), "{offset}");
    }
    hub.release();
    for child in [first, second] {
        let (stderr, code) = end(child);
        assert_eq!(code, Some(0), "{stderr}");
    }
    assert_eq!(hub.downloads(WEIGHTS), 1);
    assert_one_copy(&cache, &expected());
}
