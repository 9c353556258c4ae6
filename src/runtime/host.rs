//! What this machine, or the container that this process is in, lets it have.
//!
//! A container's limit stands in its control group: version 2 has one tree of groups, version 1 one tree per resource.
//! Which group is ours says `/proc/self/cgroup`; inside a container the path that it names often lies outside of what is
//! mounted, and the mount itself is the group. So every folder from the mount down to the path is asked, and the
//! tightest answer holds. Processors need nothing of the kind: `std::thread::available_parallelism` reads the quotas of
//! both versions.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
};

use super::DeviceMemory;

/// Version 1 writes "no limit" as the largest number of whole pages.
const NO_LIMIT: u64 = 1 << 60;

/// A machine, known by its `/proc` and `/sys`.
#[derive(Clone, Debug)]
pub struct Host {
    root: PathBuf,
}

/// Names of a version's files. All hold bytes.
struct Version {
    mount: &'static str,
    limits: &'static [&'static str],
    usage: &'static str,
    /// In `memory.stat`: pages of files that the kernel takes back before it lets anybody die.
    reclaimable: &'static str,
}

const V1: Version = Version {
    mount: "sys/fs/cgroup/memory",
    limits: &["memory.limit_in_bytes"],
    usage: "memory.usage_in_bytes",
    reclaimable: "total_inactive_file",
};

const V2: Version = Version {
    mount: "sys/fs/cgroup",
    limits: &["memory.max", "memory.high"],
    usage: "memory.current",
    reclaimable: "inactive_file",
};

// === impl Machine ===

impl Host {
    /// This one.
    pub fn here() -> Self {
        Self::at("/")
    }

    /// The one whose `/proc` and `/sys` lie under `root`.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Bytes that this process may have in all, and those that it could take now; `None` where the system does not tell.
    pub fn memory(&self) -> Option<DeviceMemory> {
        let machine = self.physical();
        let groups = [(&V2, self.group("")), (&V1, self.group("memory"))];
        let bounds = groups.into_iter().filter_map(|(version, group)| Some(self.bounds(version, &group?)));
        machine
            .into_iter()
            .chain(bounds.flatten())
            .reduce(|a, b| DeviceMemory { free: a.free.min(b.free), total: a.total.min(b.total) })
    }

    /// What the machine, or the container, is called, where that is a word.
    pub fn name(&self) -> Option<String> {
        let name = self.read("proc/sys/kernel/hostname").or_else(|| self.read("etc/hostname"))?;
        let name = name.trim();
        (!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic())).then(|| name.to_owned())
    }

    /// Processors that this process may use; honours affinity and quotas.
    pub fn processors() -> usize {
        thread::available_parallelism().map_or(1, usize::from)
    }

    fn physical(&self) -> Option<DeviceMemory> {
        let text = self.read("proc/meminfo")?;
        let bytes = |name: &str| Some(number_after(&text, name)? * 1024);
        Some(DeviceMemory { free: bytes("MemAvailable:")?, total: bytes("MemTotal:")? })
    }

    /// The path of our group in the tree of a controller; `""` is the one tree of version 2.
    fn group(&self, controller: &str) -> Option<String> {
        let text = self.read("proc/self/cgroup")?;
        // `4:memory:/docker/abc`, `0::/system.slice/sconce.service`
        text.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            let (controllers, path) = (parts.next()?, parts.next()?);
            controllers.split(',').any(|name| name == controller).then(|| path.trim_matches('/').to_owned())
        })
    }

    /// What the mount and each group below it, down to ours, allow.
    fn bounds(&self, version: &Version, group: &str) -> Vec<DeviceMemory> {
        let mut folder = self.root.join(version.mount);
        let mut folders = vec![folder.clone()];
        for part in group.split('/').filter(|part| !part.is_empty() && *part != "..") {
            folder.push(part);
            folders.push(folder.clone());
        }
        folders.iter().filter_map(|folder| version.bound(folder)).collect()
    }

    fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.root.join(path)).ok()
    }
}

// === impl Version ===

impl Version {
    /// `None`: this group has no limit, or is none.
    fn bound(&self, folder: &Path) -> Option<DeviceMemory> {
        let read = |file: &str| fs::read_to_string(folder.join(file)).ok();
        // `max` is no number.
        let limit = |file: &&str| read(file)?.trim().parse::<u64>().ok();
        let total = self.limits.iter().filter_map(limit).min().filter(|limit| *limit < NO_LIMIT)?;
        let used = read(self.usage)?.trim().parse::<u64>().ok()?;
        let reclaimable = read("memory.stat").and_then(|stat| number_after(&stat, self.reclaimable)).unwrap_or(0);
        Some(DeviceMemory { free: total.saturating_sub(used.saturating_sub(reclaimable)), total })
    }
}

/// The number after a word that begins a line.
fn number_after(text: &str, name: &str) -> Option<u64> {
    let mut words = text.lines().map(str::split_ascii_whitespace);
    words.find_map(|mut words| (words.next() == Some(name)).then(|| words.next()?.parse().ok())?)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    const MEMINFO: &str = "MemTotal:       16000 kB\nMemFree:        1000 kB\nMemAvailable:   8000 kB\n";

    fn machine(files: &[(&str, &str)]) -> (TempDir, Option<DeviceMemory>) {
        let root = TempDir::new().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let memory = Host::at(root.path()).memory();
        (root, memory)
    }

    fn bytes(free: u64, total: u64) -> Option<DeviceMemory> {
        Some(DeviceMemory { free, total })
    }

    #[test]
    fn without_a_group_the_machine_decides() {
        assert_eq!(machine(&[("proc/meminfo", MEMINFO)]).1, bytes(8_192_000, 16_384_000));
        assert_eq!(machine(&[]).1, None);
    }

    #[test]
    fn a_container_of_version_2_sees_its_own_group_as_the_mount() {
        let files = [
            ("proc/meminfo", MEMINFO),
            ("proc/self/cgroup", "0::/\n"),
            ("sys/fs/cgroup/memory.max", "4000000\n"),
            ("sys/fs/cgroup/memory.high", "max\n"),
            ("sys/fs/cgroup/memory.current", "3000000\n"),
            ("sys/fs/cgroup/memory.stat", "anon 900000\ninactive_file 1500000\nactive_file 600000\n"),
        ];
        assert_eq!(machine(&files).1, bytes(2_500_000, 4_000_000));
    }

    #[test]
    fn a_service_of_version_2_is_held_by_every_group_above_it() {
        let files = [
            ("proc/meminfo", MEMINFO),
            ("proc/self/cgroup", "0::/tenants.slice/sconce.service\n"),
            ("sys/fs/cgroup/tenants.slice/memory.max", "6000000\n"),
            ("sys/fs/cgroup/tenants.slice/memory.current", "5500000\n"),
            ("sys/fs/cgroup/tenants.slice/sconce.service/memory.max", "max\n"),
            ("sys/fs/cgroup/tenants.slice/sconce.service/memory.high", "5000000\n"),
            ("sys/fs/cgroup/tenants.slice/sconce.service/memory.current", "1000000\n"),
        ];
        assert_eq!(machine(&files).1, bytes(500_000, 5_000_000));
    }

    #[test]
    fn version_1_names_a_path_that_a_container_may_not_see() {
        let files = [
            ("proc/meminfo", MEMINFO),
            ("proc/self/cgroup", "9:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "2000000\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "1200000\n"),
            ("sys/fs/cgroup/memory/memory.stat", "inactive_file 1\ntotal_inactive_file 200000\n"),
        ];
        assert_eq!(machine(&files).1, bytes(1_000_000, 2_000_000));
    }

    #[test]
    fn no_limit_is_no_limit() {
        let files = [
            ("proc/meminfo", MEMINFO),
            ("proc/self/cgroup", "4:memory:/\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "1200000\n"),
        ];
        assert_eq!(machine(&files).1, bytes(8_192_000, 16_384_000));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_machine_has_memory() {
        let memory = Host::here().memory().unwrap();
        assert!(memory.free > 0 && memory.free <= memory.total, "{memory:?}");
        assert!(Host::processors() > 0);
    }
}
