//! A process and all that it began, directly or not, as `/proc` shows them.

use std::{collections::BTreeMap, fs};

/// A process, which another of the same number is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProcessId {
    pub pid: u32,
    /// When it began, in ticks since the machine did.
    began: u64,
}

/// A process and all below it, itself first; empty where it is gone or the system does not tell.
pub fn tree(root: u32) -> Vec<ProcessId> {
    let mut found: Vec<ProcessId> = id(root).into_iter().collect();
    let mut at = 0;
    while let Some(process) = found.get(at) {
        let Some(children) = children(process.pid) else { return scanned(root) };
        found.extend(children.into_iter().filter_map(id));
        at += 1;
    }
    found
}

/// Bytes of memory that these processes hold: pages that several share count in parts.
pub fn memory(processes: &[ProcessId]) -> u64 {
    processes.iter().filter_map(|process| share(process.pid).or_else(|| resident(process.pid))).sum()
}

// === impl ProcessId ===

impl ProcessId {
    /// Whether it is still there, and no zombie.
    pub fn lives(self) -> bool {
        stat(self.pid).is_some_and(|stat| stat.began == self.began && stat.state != 'Z')
    }

    /// Kills it, if it is still the same.
    pub fn kill(self) {
        let pid = i32::try_from(self.pid).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid.filter(|_| self.lives()) {
            // It may have gone meanwhile.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}

struct Stat {
    state: char,
    parent: u32,
    began: u64,
}

/// proc(5): the name stands in parentheses and may hold anything; what follows it are fields 3 and on.
fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = text.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?.chars().next()?;
    Some(Stat { state, parent: fields.next()?.parse().ok()?, began: fields.nth(17)?.parse().ok()? })
}

fn id(pid: u32) -> Option<ProcessId> {
    stat(pid).map(|stat| ProcessId { pid, began: stat.began })
}

/// `None`: this system does not list them. A process that is gone has none.
fn children(pid: u32) -> Option<Vec<u32>> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Some(Vec::new()) };
    let mut children = Vec::new();
    for thread in threads.filter_map(Result::ok) {
        match fs::read_to_string(thread.path().join("children")) {
            Ok(text) => children.extend(text.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok())),
            // Kernels without CONFIG_PROC_CHILDREN; or the thread is gone.
            Err(_) if thread.path().exists() => return None,
            Err(_) => {}
        }
    }
    Some(children)
}

/// The same by a look at all processes.
fn scanned(root: u32) -> Vec<ProcessId> {
    let Ok(all) = fs::read_dir("/proc") else { return Vec::new() };
    let mut below = BTreeMap::<u32, Vec<u32>>::new();
    for pid in all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()) {
        if let Some(stat) = stat(pid) {
            below.entry(stat.parent).or_default().push(pid);
        }
    }
    let (mut found, mut at) = (vec![root], 0);
    while let Some(pid) = found.get(at) {
        found.extend(below.remove(pid).unwrap_or_default());
        at += 1;
    }
    found.into_iter().filter_map(id).collect()
}

/// Its share of all that it maps.
fn share(pid: u32) -> Option<u64> {
    figure(&format!("/proc/{pid}/smaps_rollup"), "Pss:")
}

/// All that it maps and that is in memory.
fn resident(pid: u32) -> Option<u64> {
    figure(&format!("/proc/{pid}/status"), "VmRSS:")
}

/// Bytes, of a line such as `Pss:  120 kB`.
fn figure(file: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::{process::Command, time::Duration};

    use super::*;
    use crate::process::{ChildLimits, Process, alone};

    #[test]
    #[expect(clippy::disallowed_methods, reason = "nobody tells when a process of a process has begun")]
    fn a_tree_is_a_process_and_all_that_it_began() {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "sleep 60 & sh -c 'sleep 60 & wait' & wait"]);
        let (process, _pipes) = Process::start(alone(&mut command), ChildLimits::default()).unwrap();
        let mut found = Vec::new();
        for _ in 0..500 {
            found = tree(process.id());
            if found.len() == 4 {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(found.len(), 4, "two that sleep, and two that wait for them");
        assert_eq!(scanned(process.id()).len(), 4);
        assert!(memory(&found) > 100_000, "{}", memory(&found));
        drop(process);
        for _ in 0..500 {
            if !found.iter().any(|process| process.lives()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("something is left");
    }
}
