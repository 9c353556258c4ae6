//! What this process runs on, for those who quote figures.

use std::fs;

use serde::Serialize;

use super::{Config, build::kernels};
use crate::{nn::SimdLevel, runtime::Host};

/// What this process runs on, and may use of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Machine {
    /// As it calls itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processor: Option<String>,
    /// Processors that this process may use.
    pub processors: usize,
    /// The widest vectors that kernels use on it.
    pub instructions: &'static str,
    /// Threads of a model on the CPU.
    pub threads: usize,
    /// Bytes of main memory that this process may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
}

// === impl Machine ===

impl Machine {
    pub fn here(config: &Config) -> Self {
        kernels(config.runtime.cpu_kernels).choose();
        Self {
            processor: fs::read_to_string("/proc/cpuinfo").ok().and_then(|about| processor(&about)),
            processors: Host::processors(),
            instructions: SimdLevel::detect().as_str(),
            threads: config.runtime.threads.unwrap_or_else(Host::processors),
            memory_bytes: Host::here().memory().map(|memory| memory.total),
        }
    }
}

/// The first that there is; processors that have no name of their own have the number of their kind.
fn processor(about: &str) -> Option<String> {
    let value = |name: &str| {
        about.lines().find_map(|line| Some(line.strip_prefix(name)?.trim_start().strip_prefix(':')?.trim().to_owned()))
    };
    value("model name").or_else(|| value("CPU part").map(|part| format!("CPU part {part}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_has_a_name_or_a_number() {
        let known = "processor\t: 0\nmodel\t\t: 2\nmodel name\t: Fast CPU 9000\nmodel name\t: Other\n";
        assert_eq!(processor(known).unwrap(), "Fast CPU 9000");
        assert_eq!(processor("processor\t: 0\nCPU part\t: 0xd4f\n").unwrap(), "CPU part 0xd4f");
        assert_eq!(processor(""), None);
    }
}
