//! A client of `/v1/realtime` that says what a test wants, and hears everything.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use futures::{SinkExt, StreamExt};
use sconce::audio::{Pcm, decode, encode_wav, resample};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest, protocol::CloseFrame},
};

use super::{Server, recording};

/// Hertz of the sound that sessions take.
pub const RATE: u32 = 24_000;
/// Nothing in a test takes longer; a hang becomes a failure.
const PATIENCE: Duration = Duration::from_secs(120);

/// One end of a session.
pub struct Live {
    socket: WebSocketStream<TcpStream>,
    /// What the server chose of the protocols that were offered.
    pub protocol: Option<String>,
    /// How the server closed it.
    pub closed: Option<CloseFrame>,
}

/// Why there is no session.
#[derive(Debug)]
pub struct Refused {
    pub status: u16,
    pub body: Value,
}

// === impl Live ===

impl Live {
    /// With the query and these headers.
    pub async fn open(server: &Server, query: &str, headers: &[(&str, &str)]) -> Result<Self, Refused> {
        let url = format!("ws://{}/v1/realtime{query}", server.address);
        let mut request = url.into_client_request().unwrap();
        for (name, value) in headers {
            let name = reqwest::header::HeaderName::try_from(*name).unwrap();
            request.headers_mut().append(name, value.parse().unwrap());
        }
        let stream = TcpStream::connect(server.address).await.unwrap();
        match client_async(request, stream).await {
            Ok((socket, response)) => {
                let protocol = response.headers().get("sec-websocket-protocol");
                let protocol = protocol.map(|protocol| protocol.to_str().unwrap().to_owned());
                Ok(Self { socket, protocol, closed: None })
            }
            Err(Error::Http(response)) => {
                let body = response.body().as_deref().unwrap_or_default();
                let body = serde_json::from_slice(body).unwrap_or(Value::Null);
                Err(Refused { status: response.status().as_u16(), body })
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// A session that has told that it began.
    pub async fn start(server: &Server) -> Self {
        let mut live = Self::open(server, "?intent=transcription", &[]).await.unwrap();
        assert_eq!(live.next().await.unwrap()["type"], "session.created");
        live
    }

    /// The same, set to other values of `session.audio.input`.
    pub async fn start_with(server: &Server, input: Value) -> Self {
        let mut live = Self::start(server).await;
        live.set(input).await;
        live
    }

    /// Sets values of `session.audio.input`; gives what the server says to it.
    pub async fn set(&mut self, input: Value) -> Value {
        let session = json!({"type": "transcription", "audio": {"input": input}});
        self.send(json!({"type": "session.update", "session": session})).await;
        let updated = self.next().await.unwrap();
        assert_eq!(updated["type"], "session.updated", "{updated}");
        updated["session"].clone()
    }

    pub async fn send(&mut self, event: Value) {
        self.text(event.to_string()).await;
    }

    pub async fn text(&mut self, text: String) {
        self.message(Message::text(text)).await;
    }

    /// A server that has closed the session is found out by reading.
    pub async fn message(&mut self, message: Message) {
        let _ = timeout(PATIENCE, self.socket.send(message)).await.expect("nothing was taken");
    }

    /// Sound, as bytes of the session's format.
    pub async fn append(&mut self, sound: &[u8]) {
        self.send(json!({"type": "input_audio_buffer.append", "audio": STANDARD.encode(sound)})).await;
    }

    /// Sound in pieces of so many milliseconds of 16-bit samples.
    pub async fn append_in_pieces(&mut self, pcm: &[u8], millis: usize) {
        for piece in pcm.chunks(RATE as usize * 2 * millis / 1000) {
            self.append(piece).await;
        }
    }

    pub async fn commit(&mut self) {
        self.send(json!({"type": "input_audio_buffer.commit"})).await;
    }

    /// The next event; `None` where the server closed the session.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            match timeout(PATIENCE, self.socket.next()).await.expect("the server says nothing") {
                Some(Ok(Message::Text(text))) => return Some(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(frame))) => self.closed = frame,
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    }

    /// The events of so long.
    pub async fn heard_within(&mut self, time: Duration) -> Vec<Value> {
        let mut events = Vec::new();
        let reading = async {
            while let Some(event) = self.next().await {
                events.push(event);
            }
        };
        // Nothing is lost where it breaks off: an event is read whole or not at all.
        let _ = timeout(time, reading).await;
        events
    }

    /// All events up to the first of a type, that one with them.
    pub async fn until(&mut self, kind: &str) -> Vec<Value> {
        let mut events = Vec::new();
        loop {
            let Some(event) = self.next().await else { panic!("no {kind} in {events:?}; {:?}", self.closed) };
            let found = event["type"] == kind;
            events.push(event);
            if found {
                return events;
            }
        }
    }

    /// All events until the server closes the session.
    pub async fn rest(&mut self) -> Vec<Value> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }

    /// The next error.
    pub async fn error(&mut self) -> Value {
        self.until("error").await.pop().unwrap()["error"].take()
    }

    /// As a client does it that has heard enough.
    pub async fn close(mut self) {
        let _ = self.socket.close(None).await;
        self.rest().await;
    }
}

/// The types of events without their common beginnings.
pub fn kinds(events: &[Value]) -> Vec<String> {
    let kind = |event: &Value| event["type"].as_str().unwrap().to_owned();
    let short = |kind: String| kind.rsplit_once("transcription.").map_or(kind.clone(), |(_, name)| name.to_owned());
    events.iter().map(kind).map(short).collect()
}

/// All that was sent of one item's text while it was spoken.
pub fn deltas(events: &[Value], item: &Value) -> String {
    let of = |event: &&Value| event["type"].as_str().unwrap().ends_with(".delta") && event["item_id"] == *item;
    events.iter().filter(of).map(|event| event["delta"].as_str().unwrap()).collect()
}

/// A shipped recording, at the rate of sessions.
pub fn said(file: &str) -> Pcm {
    decode(&recording(file), None, RATE, Duration::from_secs(60)).unwrap().pcm
}

/// So much silence.
pub fn pause(seconds: f64) -> Pcm {
    Pcm::new(vec![0.0; (seconds * f64::from(RATE)) as usize], RATE)
}

/// One after another, as 16-bit samples.
pub fn pcm16(parts: &[Pcm]) -> Vec<u8> {
    encode_wav(&Pcm::joined(parts).unwrap()).split_off(44)
}

/// The file that holds these 16-bit samples.
pub fn wav(pcm16: &[u8], rate: u32) -> Vec<u8> {
    let samples = pcm16.chunks_exact(2).map(|pair| f32::from(i16::from_le_bytes([pair[0], pair[1]])) / 32_768.0);
    encode_wav(&Pcm::new(samples.collect(), rate))
}

/// Telephone sound: the byte whose sample is nearest.
pub fn companded(pcm: &Pcm, law: sconce::audio::Companding) -> Vec<u8> {
    let bytes: Vec<u8> = (0..=255).collect();
    let mut table: Vec<(f32, u8)> = law.expand(&bytes).zip(bytes.iter().copied()).collect();
    table.sort_by(|one, other| one.0.total_cmp(&other.0));
    let nearest = |sample: &f32| {
        let at = table.partition_point(|(value, _)| value < sample);
        let around = &table[at.saturating_sub(1)..(at + 1).min(table.len())];
        let off = |entry: &&(f32, u8)| (entry.0 - sample).abs();
        around.iter().min_by(|one, other| off(one).total_cmp(&off(other))).unwrap().1
    };
    resample(pcm, 8000).unwrap().samples().iter().map(nearest).collect()
}
