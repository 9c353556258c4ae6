//! What the benchmarks of the server share: the program as a process of its own, and how durations are told.
#![allow(dead_code, reason = "each benchmark uses a part of it")]
#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// A server as a process of its own.
pub struct Program {
    child: Child,
    pub port: u16,
    pub client: reqwest::Client,
}

// === impl Program ===

impl Program {
    /// Starts it, and does not wait until it listens.
    pub fn exec(variables: &[(&str, &str)]) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port");
        let mut command = sconce();
        let command = command.env("PORT", free.port().to_string()).envs(variables.iter().copied());
        let child = command.stderr(Stdio::null()).spawn().expect("the program starts");
        Self { child, port: free.port(), client: client() }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub fn post(&self, path: &str) -> reqwest::RequestBuilder {
        self.client.post(self.url(path))
    }

    pub async fn healthy(&self) {
        let healthy =
            async || self.client.get(self.url("/health")).send().await.is_ok_and(|answer| answer.status() == 200);
        while !healthy().await {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    pub async fn predict(&self, wav: &[u8]) -> String {
        let request = self.post("/predict").header("content-type", "audio/wav");
        let answer = request.body(wav.to_vec()).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        answer.text().await.expect("a text")
    }

    /// Bytes that it had in memory at its worst.
    pub fn peak(&self) -> u64 {
        peak(self.child.id())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program, with an environment of its own.
pub fn sconce() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sconce"));
    command.env_clear().env("SCONCE_SERVER__HOST", "127.0.0.1");
    command
}

pub fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().expect("a client")
}

/// Bytes that a process had in memory at its worst.
pub fn peak(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0");
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) * 1024
}

/// Prints the lowest, the middle and the 99th percentile of some durations.
pub fn report(what: &str, durations: &mut [Duration]) {
    durations.sort();
    let at = |part: f64| durations[((durations.len() - 1) as f64 * part).round() as usize].as_secs_f64() * 1000.0;
    let count = durations.len();
    println!("{what:58} min {:8.2} ms   median {:8.2} ms   p99 {:8.2} ms   n {count}", at(0.0), at(0.5), at(0.99));
}
