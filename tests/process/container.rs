//! The limits of a container: the program in a mount namespace where `/sys/fs/cgroup` says what a test wants.
#![cfg(target_os = "linux")]

use std::{
    fs,
    process::{Command, Stdio},
};

use serde_json::json;
use tempfile::TempDir;

use crate::program::{Program, sconce};

/// Rights of one's own over the mounts of one process and its children.
const UNSHARE: [&str; 3] = ["unshare", "--map-root-user", "--mount"];

/// Files of a container's own group: one processor, and memory of which a part is taken.
struct Groups {
    /// What `/proc/self/cgroup` says.
    ours: &'static str,
    files: &'static [(&'static str, &'static str)],
}

const V1: Groups = Groups {
    ours: "5:memory:/\n4:cpu,cpuacct:/\n0::/\n",
    files: &[
        ("cpu/cpu.cfs_quota_us", "100000"),
        ("cpu/cpu.cfs_period_us", "100000"),
        ("memory/memory.limit_in_bytes", "900000000"),
        ("memory/memory.usage_in_bytes", "100000000"),
    ],
};

const V2: Groups = Groups {
    ours: "0::/\n",
    files: &[
        ("cgroup.controllers", "cpu memory"),
        ("cpu.max", "100000 100000"),
        ("memory.max", "900000000"),
        ("memory.current", "100000000"),
    ],
};

/// Whether this machine lets a test have mounts of its own.
fn mounts_are_allowed() -> bool {
    let [unshare, arguments @ ..] = UNSHARE;
    let mut mount = Command::new(unshare);
    mount.args(arguments).args(["mount", "-t", "tmpfs", "none", "/sys/fs/cgroup"]).stderr(Stdio::null());
    mount.status().is_ok_and(|status| status.success())
}

impl Groups {
    /// The command, in such a container. The process stays the one that was started.
    fn contain(&self, command: &Command, folder: &TempDir) -> Command {
        let ours = folder.path().join("ours");
        fs::write(&ours, self.ours).unwrap();
        let mut script = "set -e; mount -t tmpfs none /sys/fs/cgroup; cd /sys/fs/cgroup; mkdir cpu memory\n".to_owned();
        for (file, content) in self.files {
            script.push_str(&format!("echo {content} > {file}\n"));
        }
        script.push_str(&format!("mount --bind {} /proc/$$/cgroup\n", ours.display()));
        script.push_str(&format!("cd {}; exec {}\n", folder.path().display(), command.get_program().display()));
        let [unshare, arguments @ ..] = UNSHARE;
        let mut contained = Command::new(unshare);
        contained.args(arguments).args(["sh", "-c", &script]).env_clear();
        contained.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        contained.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        contained
    }
}

/// The threads that a loaded Whisper computes on.
fn whisper_threads(program: &Program) -> usize {
    let threads = fs::read_dir(format!("/proc/{}/task", program.id())).unwrap();
    let name = |thread: std::io::Result<fs::DirEntry>| fs::read_to_string(thread.unwrap().path().join("comm"));
    threads.filter_map(|thread| name(thread).ok()).filter(|name| name.starts_with("whisper-")).count()
}

/// Threads of a model that wishes for so many, and the budget of all.
async fn threads_and_budget(wish: Option<&str>, groups: Option<&Groups>) -> (usize, u64) {
    let cache = TempDir::new().unwrap();
    let mut command = sconce(&cache);
    command.env("PORT", "0").env("SCONCE_MEMORY__BUDGET", "auto").env("SCONCE_MEMORY__RESERVE", "1MB");
    command.env("MODEL_ID", "whisper-nano.en").env("SCONCE_MODELS__WHISPER_NANO_EN__WARM_UP", "false");
    command.envs(wish.map(|threads| ("SCONCE_MODELS__WHISPER_NANO_EN__THREADS", threads)));
    let mut program = match groups {
        Some(groups) => Program::start(&mut groups.contain(&command, &cache)),
        None => Program::start(&mut command),
    };
    let budget = program.heard.iter().find(|line| line["message"] == "memory that models may take");
    let budget = budget.expect("a budget")["bytes"].as_u64().unwrap();
    let load = reqwest::Client::new().post(program.url("/models/whisper-nano.en/load")).json(&json!({})).send();
    assert_eq!(load.await.unwrap().status(), 200);
    let threads = whisper_threads(&program);
    program.terminate();
    assert_eq!(program.ended().code(), Some(0));
    (threads, budget)
}

#[tokio::test]
async fn its_limits_bound_the_threads_of_a_model_and_the_memory_of_all() {
    let (threads, _) = threads_and_budget(None, None).await;
    assert_eq!(threads, std::thread::available_parallelism().unwrap().get());
    assert_eq!(threads_and_budget(Some("5"), None).await.0, 5, "who says how many has them");
    if !mounts_are_allowed() {
        return println!("NOT RUN: {} is not allowed here", UNSHARE.join(" "));
    }
    for groups in [V1, V2] {
        let limited = threads_and_budget(None, Some(&groups)).await;
        assert_eq!(limited, (1, 899_000_000), "{}", groups.ours);
    }
}
