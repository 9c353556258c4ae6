//! An event on the line: one line of JSON, `{"type", "data"?, "data_length"?, "payload_length"?}`, then as many bytes of
//! JSON, which belong to `data`, and as many bytes of payload.

use bytes::{Buf, Bytes, BytesMut};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::config::Config;

/// Which version of the protocol is spoken. Nothing depends on it.
const VERSION: &str = "1.10.2";

/// Bytes that are read at once.
const READ: usize = 16 << 10;

/// An event.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Frame {
    pub kind: String,
    pub data: Map<String, Value>,
    pub payload: Bytes,
}

/// Why what follows on a connection makes no sense.
#[derive(Debug, thiserror::Error)]
pub(super) enum FrameError {
    #[error("an event has more than {most} bytes of JSON (`wyoming.max_header`)")]
    LongHeader { most: usize },
    #[error("the payload of an event has {length} bytes; {most} at most would be right (`wyoming.max_payload`)")]
    LongPayload { length: usize, most: usize },
    #[error("the line is no event: {0}; a JSON object with type would be right")]
    Line(serde_json::Error),
    #[error("the data of an event is no JSON object: {0}")]
    Data(serde_json::Error),
    #[error("the connection ended within an event")]
    BrokenOff,
    #[error("the connection broke: {0}")]
    Io(#[from] std::io::Error),
}

/// How long the parts of an event may be, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameLimits {
    pub header: usize,
    pub payload: usize,
}

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: String,
    data: Option<Map<String, Value>>,
    data_length: Option<usize>,
    payload_length: Option<usize>,
}

/// Reads events. What it has of one survives when nobody waits for it for a while.
pub(super) struct FrameReader<R> {
    io: R,
    limits: FrameLimits,
    buffer: BytesMut,
    /// Its line is here, and not yet all that the line announces.
    line: Option<Line>,
}

// === impl FrameLimits ===

impl From<&Config> for FrameLimits {
    fn from(config: &Config) -> Self {
        Self { header: config.max_header, payload: config.max_payload }
    }
}

// === impl FrameReader ===

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub fn new(io: R, limits: FrameLimits) -> Self {
        Self { io, limits, buffer: BytesMut::new(), line: None }
    }

    /// The next event; `None` where the client has no more. May be dropped and called again at any time.
    pub async fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        loop {
            if let Some(frame) = self.frame()? {
                return Ok(Some(frame));
            }
            self.buffer.reserve(READ);
            if self.io.read_buf(&mut self.buffer).await? == 0 {
                let whole = self.buffer.is_empty() && self.line.is_none();
                return if whole { Ok(None) } else { Err(FrameError::BrokenOff) };
            }
        }
    }

    /// The event that is here, if all of it is.
    fn frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let line = match self.line.take() {
            Some(line) => line,
            None => match self.line()? {
                Some(line) => line,
                None => return Ok(None),
            },
        };
        let (data, payload) = (line.data_length.unwrap_or(0), line.payload_length.unwrap_or(0));
        if self.buffer.len() < data + payload {
            self.line = Some(line);
            return Ok(None);
        }
        let mut whole = line.data.unwrap_or_default();
        if data > 0 {
            let more = self.buffer.split_to(data);
            whole.extend(serde_json::from_slice::<Map<String, Value>>(&more).map_err(FrameError::Data)?);
        }
        let payload = self.buffer.split_to(payload).freeze();
        Ok(Some(Frame { kind: line.kind, data: whole, payload }))
    }

    fn line(&mut self) -> Result<Option<Line>, FrameError> {
        let FrameLimits { header, payload } = self.limits;
        let long = FrameError::LongHeader { most: header };
        let line: Line = match memchr::memchr(b'\n', &self.buffer) {
            Some(end) if end <= header => {
                let text = self.buffer.split_to(end);
                self.buffer.advance(1);
                serde_json::from_slice(&text).map_err(FrameError::Line)?
            }
            None if self.buffer.len() <= header => return Ok(None),
            _ => return Err(long),
        };
        match (line.data_length.unwrap_or(0), line.payload_length.unwrap_or(0)) {
            (data, _) if data > header => Err(long),
            (_, length) if length > payload => Err(FrameError::LongPayload { length, most: payload }),
            _ => Ok(Some(line)),
        }
    }
}

// === impl Frame ===

impl Frame {
    pub fn new(kind: &str, data: Value) -> Self {
        let data = match data {
            Value::Object(data) => data,
            _ => Map::new(),
        };
        Self { kind: kind.to_owned(), data, payload: Bytes::new() }
    }

    /// The same with this payload.
    pub fn with(self, payload: Vec<u8>) -> Self {
        Self { payload: payload.into(), ..self }
    }

    /// As it goes over the line.
    pub fn bytes(&self) -> Vec<u8> {
        let data = if self.data.is_empty() { String::new() } else { Value::Object(self.data.clone()).to_string() };
        let mut line = json!({"type": self.kind, "version": VERSION});
        if !data.is_empty() {
            line["data_length"] = data.len().into();
        }
        if !self.payload.is_empty() {
            line["payload_length"] = self.payload.len().into();
        }
        [line.to_string().as_bytes(), b"\n", data.as_bytes(), &self.payload].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: FrameLimits = FrameLimits { header: 100, payload: 50 };

    async fn read(bytes: &[u8]) -> Result<Vec<Frame>, FrameError> {
        // By single bytes, so that every beginning of an event is met.
        let (mut writer, reader) = tokio::io::duplex(1);
        let bytes = bytes.to_vec();
        tokio::spawn(async move { tokio::io::AsyncWriteExt::write_all(&mut writer, &bytes).await });
        let (mut reader, mut frames) = (FrameReader::new(reader, LIMITS), Vec::new());
        while let Some(frame) = reader.next().await? {
            frames.push(frame);
        }
        Ok(frames)
    }

    #[tokio::test]
    async fn what_is_written_is_read_again() {
        let frames = [
            Frame::new("describe", Value::Null),
            Frame::new("audio-chunk", json!({"rate": 16_000, "width": 2})).with(vec![1, 2, b'\n', 4]),
            Frame::new("transcribe", json!({"name": "größer"})),
        ];
        let bytes: Vec<u8> = frames.iter().flat_map(Frame::bytes).collect();
        assert_eq!(read(&bytes).await.unwrap(), frames);
    }

    #[tokio::test]
    async fn data_may_stand_in_the_line_and_after_it() {
        let bytes = b"{\"type\":\"a\",\"data\":{\"x\":1,\"y\":2},\"data_length\":7}\n{\"y\":3}{\"type\":\"b\"}\n";
        let want = [Frame::new("a", json!({"x": 1, "y": 3})), Frame::new("b", Value::Null)];
        assert_eq!(read(bytes).await.unwrap(), want);
    }

    #[tokio::test]
    async fn what_is_too_long_or_no_event_is_refused_before_it_is_read() {
        let cases = [
            (vec![b' '; 200], "more than 100 bytes of JSON"),
            (b"{\"type\":\"a\",\"data_length\":101}\n".to_vec(), "more than 100 bytes of JSON"),
            (b"{\"type\":\"a\",\"payload_length\":51}\n".to_vec(), "has 51 bytes; 50 at most would be right"),
            (b"{\"type\":\"a\",\"payload_length\":-1}\n".to_vec(), "a JSON object with type would be right"),
            (b"{}\n".to_vec(), "missing field `type`"),
            (b"hello\n".to_vec(), "the line is no event"),
            (b"{\"type\":\"a\",\"data_length\":2}\n[]".to_vec(), "is no JSON object"),
            (b"{\"type\":\"a\",\"payload_length\":5}\nab".to_vec(), "ended within an event"),
            (b"{\"type\"".to_vec(), "ended within an event"),
        ];
        for (bytes, message) in cases {
            let error = read(&bytes).await.unwrap_err().to_string();
            assert!(error.contains(message), "{}: {error}", String::from_utf8_lossy(&bytes));
        }
    }
}
