//! Server-sent events, as they come.

use reqwest::Response;

/// Bytes of one event; a longer one is no answer to what is asked here.
const LONGEST: usize = 64 << 20;

/// What is left of a response.
pub(super) struct Events {
    response: Response,
    buffer: Vec<u8>,
}

// === impl Events ===

impl Events {
    pub fn of(response: Response) -> Self {
        Self { response, buffer: Vec::new() }
    }

    /// The data of the next one; `None` after the last.
    pub async fn next(&mut self) -> anyhow::Result<Option<String>> {
        loop {
            while let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                if let Some(data) = String::from_utf8_lossy(&line).strip_prefix("data:") {
                    return Ok(Some(data.trim().to_owned()));
                }
            }
            anyhow::ensure!(self.buffer.len() < LONGEST, "an event has more than {LONGEST} bytes");
            match self.response.chunk().await? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None => return Ok(None),
            }
        }
    }
}
