//! Somebody who only asks whether a server lives, while others keep it busy.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::mpsc::{self, RecvTimeoutError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// How soon 99 of 100 probes are answered, and all but one of fewer.
const PROMPT: Duration = Duration::from_millis(50);
/// Between two probes.
const PAUSE: Duration = Duration::from_millis(5);
const REQUEST: &[u8] = b"GET /health/live HTTP/1.1\r\nHost: probe\r\n\r\n";

/// Probes on a thread and a connection of their own, so that what a test does beside them is not measured with them.
pub struct Probes {
    /// They end when this is dropped.
    going_on: mpsc::SyncSender<()>,
    thread: JoinHandle<Vec<Duration>>,
}

// === impl Probes ===

impl Probes {
    pub fn start(address: SocketAddr) -> Self {
        let (going_on, over) = mpsc::sync_channel(0);
        let thread = thread::spawn(move || {
            let mut connection = BufReader::new(TcpStream::connect(address).unwrap());
            let mut times = vec![probe(&mut connection)];
            while over.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
                times.push(probe(&mut connection));
            }
            times
        });
        Self { going_on, thread }
    }

    /// Ends them: how long each took.
    pub fn times(self) -> Vec<Duration> {
        drop(self.going_on);
        self.thread.join().expect("each probe was answered")
    }
}

/// 99 of 100 were answered in good time.
pub fn assert_prompt(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let count = times.len();
    let late = times[count.saturating_sub(1 + (count / 100).max(1))];
    eprintln!("{what}: of {count} probes 99 % within {late:?}");
    assert!(late < PROMPT, "{what}: 99 % of {count} probes within {late:?}");
}

/// How long the answer to one took.
fn probe(connection: &mut BufReader<TcpStream>) -> Duration {
    let start = Instant::now();
    connection.get_mut().write_all(REQUEST).unwrap();
    let mut line = String::new();
    connection.read_line(&mut line).unwrap();
    assert!(line.starts_with("HTTP/1.1 200 "), "{line:?}");
    let mut length = 0;
    while line != "\r\n" {
        line.clear();
        connection.read_line(&mut line).unwrap();
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap();
        }
    }
    connection.read_exact(&mut vec![0; length]).unwrap();
    start.elapsed()
}
