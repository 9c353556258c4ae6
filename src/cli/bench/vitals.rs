//! What a server takes of its machine.

use std::{convert::Infallible, fs, time::Duration};

use tokio::time::sleep;

use crate::cli::server::Server;

/// Hertz of the processor time that Linux tells.
const TICKS: f64 = 100.0;
/// Between two looks at a server elsewhere. Its peak is the highest of them.
const LOOK: Duration = Duration::from_secs(1);

/// Who is looked at.
pub(super) enum Vitals<'a> {
    /// This process, in which the server is.
    Own,
    Elsewhere(&'a Server),
    /// A server that does not tell.
    Unknown,
}

/// How it is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Reading {
    /// Seconds of all processors so far.
    pub processor: Option<f64>,
    /// Bytes that the process has in memory.
    pub resident: Option<f64>,
    /// At its worst so far, where it is told.
    pub peak: Option<f64>,
}

// === impl Vitals ===

impl Vitals<'_> {
    pub async fn read(&self) -> Reading {
        match self {
            Self::Own => own(),
            Self::Elsewhere(server) => {
                let Ok(values) = server.values().await else { return Reading::default() };
                let resident = values.get("process_resident_memory_bytes", &[]);
                Reading { processor: values.get("process_cpu_seconds_total", &[]), resident, peak: resident }
            }
            Self::Unknown => Reading::default(),
        }
    }

    /// Keeps the peak of a server that does not tell it by itself.
    pub async fn watch(&self, peak: &mut Option<f64>) -> Infallible {
        match self {
            Self::Elsewhere(_) => loop {
                *peak = highest(*peak, self.read().await.peak);
                sleep(LOOK).await;
            },
            Self::Own | Self::Unknown => std::future::pending().await,
        }
    }
}

/// The higher of two, as far as they are known.
pub(super) fn highest(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    one.into_iter().chain(other).reduce(f64::max)
}

fn own() -> Reading {
    let read = |file: &str| fs::read_to_string(format!("/proc/self/{file}")).unwrap_or_default();
    let (status, stat) = (read("status"), read("stat"));
    Reading { processor: processor(&stat), resident: bytes(&status, "VmRSS:"), peak: bytes(&status, "VmHWM:") }
}

/// Of all threads, those that are over among them. After the name, which is in parentheses, come the state and ten more; see
/// proc(5).
fn processor(stat: &str) -> Option<f64> {
    let mut ticks = stat.rsplit(')').next()?.split_whitespace().skip(11).map_while(|ticks| ticks.parse::<f64>().ok());
    Some((ticks.next()? + ticks.next()?) / TICKS)
}

fn bytes(status: &str, name: &str) -> Option<f64> {
    let kilobytes = status.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix("kB"))?;
    kilobytes.trim().parse::<f64>().ok().map(|kilobytes| kilobytes * 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_linux_tells_is_read() {
        let stat = "42 (a (strange) name) S 1 42 42 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 9 0 100 1000 200";
        assert_eq!(processor(stat), Some(3.0));
        assert_eq!(bytes("Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t 1024 kB\n", "VmRSS:"), Some(1_048_576.0));
        assert_eq!((processor(""), bytes("", "VmRSS:")), (None, None));
    }

    #[test]
    fn the_higher_is_the_one_that_is_known() {
        assert_eq!(highest(Some(1.0), Some(2.0)), Some(2.0));
        assert_eq!((highest(None, Some(2.0)), highest(None, None)), (Some(2.0), None));
    }
}
