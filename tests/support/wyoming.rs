//! A client of the Wyoming protocol that says what a test wants.

use std::{
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

use super::{Server, ServerBuilder};

/// Nothing in a test takes longer; a hang becomes a failure.
const PATIENCE: Duration = Duration::from_secs(120);

/// An event of the server.
#[derive(Debug)]
pub struct Event {
    pub kind: String,
    pub data: Value,
    pub payload: Vec<u8>,
}

/// One end of a connection.
pub struct Wyoming(BufReader<TcpStream>);

/// A server, and the address of its port for Wyoming.
pub fn serve(builder: ServerBuilder) -> (Server, SocketAddr) {
    // What was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = builder.env("SCONCE_WYOMING__PORT", &port.to_string()).start();
    (server, SocketAddr::from(([127, 0, 0, 1], port)))
}

// === impl Wyoming ===

impl Wyoming {
    pub async fn connect(address: SocketAddr) -> Self {
        let start = std::time::Instant::now();
        loop {
            match TcpStream::connect(address).await {
                Ok(stream) => return Self(BufReader::new(stream)),
                // The server opens the port when it has begun.
                Err(error) => assert!(start.elapsed() < PATIENCE, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// An event with a payload. Its data stands in the line.
    pub async fn send_with(&mut self, kind: &str, data: Value, payload: &[u8]) {
        let line = json!({"type": kind, "data": data, "payload_length": payload.len()});
        self.raw(&[line.to_string().as_bytes(), b"\n", payload].concat()).await;
    }

    pub async fn send(&mut self, kind: &str, data: Value) {
        self.send_with(kind, data, &[]).await;
    }

    /// A server that has closed the connection is found out by reading.
    pub async fn raw(&mut self, bytes: &[u8]) {
        let _ = timeout(PATIENCE, self.0.write_all(bytes)).await.expect("nothing was taken");
    }

    /// 16-bit samples of one channel, as one that speaks sends them.
    pub async fn say(&mut self, pcm16: &[u8], rate: u32) {
        let format = json!({"rate": rate, "width": 2, "channels": 1});
        self.send("audio-start", format.clone()).await;
        for piece in pcm16.chunks(2048) {
            self.send_with("audio-chunk", format.clone(), piece).await;
        }
        self.send("audio-stop", json!({})).await;
    }

    /// The next event; `None` where the server closed the connection.
    pub async fn next(&mut self) -> Option<Event> {
        timeout(PATIENCE, self.read()).await.expect("the server says nothing")
    }

    async fn read(&mut self) -> Option<Event> {
        let mut line = String::new();
        if self.0.read_line(&mut line).await.unwrap_or(0) == 0 {
            return None;
        }
        let line: Value = serde_json::from_str(&line).unwrap();
        let data = self.bytes(&line["data_length"]).await;
        let data = if data.is_empty() { json!({}) } else { serde_json::from_slice(&data).unwrap() };
        let payload = self.bytes(&line["payload_length"]).await;
        Some(Event { kind: line["type"].as_str().unwrap().to_owned(), data, payload })
    }

    async fn bytes(&mut self, length: &Value) -> Vec<u8> {
        let mut bytes = vec![0; length.as_u64().unwrap_or(0) as usize];
        self.0.read_exact(&mut bytes).await.unwrap();
        bytes
    }

    /// All events up to the first of a type, that one with them.
    pub async fn until(&mut self, kind: &str) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            let Some(event) = self.next().await else { panic!("no {kind} in {events:?}") };
            let found = event.kind == kind;
            events.push(event);
            if found {
                return events;
            }
        }
    }

    /// The text of the next error.
    pub async fn error(&mut self) -> String {
        let error = self.until("error").await.pop().unwrap();
        error.data["text"].as_str().unwrap().to_owned()
    }
}
