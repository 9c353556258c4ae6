//! What a program writes to its standard error, as lines of our log: as many, and as long ones, as a log can bear.

use std::{
    io::{BufRead, BufReader, Read},
    sync::Arc,
    time::Instant,
};

use super::message::shortened;
use crate::{model::Outside, process::REPORT};

/// Bytes of a line; what follows of it is another one.
const LONGEST: u64 = 2048;
/// Lines at once, and how many a second in the long run.
const BURST: f64 = 100.0;
const A_SECOND: f64 = 10.0;

/// Lines that may still be written.
struct Allowance {
    left: f64,
    since: Instant,
    skipped: u64,
}

/// Reads to the end. What the guard says of itself is no line of the program.
pub fn copy(model: &str, stderr: impl Read, outside: &Arc<Outside>) {
    let mut reader = BufReader::new(stderr);
    let mut allowance = Allowance { left: BURST, since: Instant::now(), skipped: 0 };
    let (mut line, mut first) = (Vec::new(), true);
    loop {
        line.clear();
        match reader.by_ref().take(LONGEST).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        match text.strip_prefix(REPORT).filter(|_| first) {
            Some(apart) => {
                tracing::info!(model, apart, "a program runs apart from the rest of the machine");
                outside.set_apart(apart.to_owned());
            }
            None if !text.is_empty() => allowance.write(model, text),
            None => {}
        }
        first = false;
    }
    allowance.tell(model);
}

// === impl Allowance ===

impl Allowance {
    fn write(&mut self, model: &str, text: &str) {
        self.left = (self.left + self.since.elapsed().as_secs_f64() * A_SECOND).min(BURST);
        self.since = Instant::now();
        if self.left < 1.0 {
            self.skipped += 1;
            return;
        }
        self.left -= 1.0;
        self.tell(model);
        tracing::info!(model, text = shortened(text), "a program says");
    }

    fn tell(&mut self, model: &str) {
        if self.skipped > 0 {
            tracing::warn!(model, lines = self.skipped, "a program said more than the log takes");
            self.skipped = 0;
        }
    }
}
