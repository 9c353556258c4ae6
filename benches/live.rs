//! How soon words are there while somebody speaks: sessions of `/v1/realtime` that send sound as fast as it is spoken, on the
//! embedded model, 1, 10 and 100 at once.
//!
//!     cargo bench --bench live                # all three
//!     cargo bench --bench live -- 10          # so many sessions
//!
//! Three times are told. From the end of a word until it is told: of the words that come before their sentence is over, where
//! the recordings' own list says that the next word begins. From the end of a sentence until its text, where the server
//! finds out that it is over: half a second of silence is part of that. And from a client's commit until the text. The server's
//! own metric says how long it takes from the sound for which an item is heard before its end to what it seems to be.
#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[path = "support/program.rs"]
mod program;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use futures::{SinkExt, StreamExt, future::join_all};
use sconce::audio::decode;
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::sleep_until};
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};

use self::program::{Program, report};

const RATE: u32 = 24_000;
/// Sound in one message.
const PIECE: Duration = Duration::from_millis(100);
/// Before and after each recording.
const PAUSE: Duration = Duration::from_millis(1000);
/// Recordings that each session says, so that all take about as long.
const SENTENCES: [(usize, usize); 3] = [(1, 20), (10, 4), (100, 2)];

/// A recording, and when in it things happen, in seconds.
struct Sentence {
    /// 16-bit samples, with the pauses.
    sound: Vec<u8>,
    /// Where each word but the last is over, at the latest: where the next one begins.
    words: Vec<f64>,
    end: f64,
}

/// What was measured.
#[derive(Default)]
struct Times {
    words: Vec<Duration>,
    found: Vec<Duration>,
    committed: Vec<Duration>,
}

/// One end of a session.
struct Client {
    socket: WebSocketStream<TcpStream>,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let quick = arguments.iter().any(|argument| argument == "--test");
    let only: Option<usize> = arguments.iter().find_map(|argument| argument.parse().ok());
    let sentences = Arc::new(sentences());
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    for (sessions, times) in SENTENCES {
        if only.is_none_or(|only| only == sessions) && (!quick || sessions == 1) {
            runtime.block_on(crowd(sessions, if quick { 1 } else { times }, sentences.clone()));
        }
    }
}

/// Recordings of one sentence whose words have their places in the list.
fn sentences() -> Vec<Sentence> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("assets/recordings");
    let list = std::fs::read(folder.join("recordings.json")).expect("the list of recordings");
    let list: Vec<Value> = serde_json::from_slice(&list).expect("a list");
    let sentence = |one: &Value| {
        let [segment] = one["segments"].as_array()?.as_slice() else { return None };
        let pause = PAUSE.as_secs_f64();
        let starts = segment["word_starts"].as_array()?.iter().filter_map(Value::as_f64);
        let words = starts.skip(1).map(|start| pause + start).collect();
        let file = std::fs::read(folder.join(one["file"].as_str()?)).expect("a recording");
        let said = decode(&file, None, RATE, Duration::from_secs(60)).expect("sound").pcm;
        let silence = vec![0; (pause * f64::from(RATE)) as usize * 2];
        let said: Vec<u8> =
            said.samples().iter().flat_map(|sample| ((sample * 32_767.0) as i16).to_le_bytes()).collect();
        let sound = [&silence[..], &said, &silence].concat();
        Some(Sentence { sound, words, end: pause + segment["end"].as_f64()? })
    };
    list.iter().filter_map(sentence).collect()
}

/// So many who speak at once, each after its own beginning; half of them say where their sentences end.
async fn crowd(sessions: usize, times: usize, sentences: Arc<Vec<Sentence>>) {
    // One that ends may still be counted when its client begins the next.
    let most = (2 * sessions).to_string();
    let server = Program::exec(&[("LOAD_MODE", "startup"), ("SCONCE_LIVE__MAX_SESSIONS", &most)]);
    server.healthy().await;
    let port = server.port;
    let speakers = (0..sessions).map(|speaker| {
        let sentences = sentences.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(5).mul_f64(speaker as f64 / sessions as f64)).await;
            let mut measured = Times::default();
            for nth in 0..times {
                let commits = (speaker + nth) % 2 == 1;
                let mut client = Client::connect(port, commits).await;
                client.say(&sentences[(speaker + nth) % sentences.len()], commits, &mut measured).await;
            }
            measured
        })
    });
    let mut all = Times::default();
    for times in join_all(speakers).await {
        let times = times.expect("a speaker that comes to the end");
        all.words.extend(times.words);
        all.found.extend(times.found);
        all.committed.extend(times.committed);
    }
    report_partials(sessions, &server).await;
    for (what, times) in [
        ("a word, after it is over", &mut all.words),
        ("a text, after its sentence is over", &mut all.found),
        ("a text, after its commit", &mut all.committed),
    ] {
        match times.is_empty() {
            true => println!("{sessions:3} sessions: no {what}"),
            false => report(&format!("{sessions:3} sessions: {what}"), times),
        }
    }
}

/// What the server counted of items that were heard before their end: how many there were, and below which bound of its
/// histogram 99 of a hundred are.
async fn report_partials(sessions: usize, server: &Program) {
    let answer = server.client.get(server.url("/metrics")).send().await.expect("an answer");
    let text = answer.text().await.expect("metrics");
    let value = |line: &str| line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok());
    let named = |name: &str| text.lines().filter(move |line| line.starts_with(name)).collect::<Vec<_>>();
    let all = named("sconce_live_partial_seconds_count").first().and_then(|line| value(line)).unwrap_or_default();
    let bucket = |line: &str| Some((line.split("le=\"").nth(1)?.split('"').next()?.to_owned(), value(line)?));
    let buckets: Vec<_> = named("sconce_live_partial_seconds_bucket").into_iter().filter_map(bucket).collect();
    let below =
        |part: f64| buckets.iter().find(|(_, count)| *count >= all * part).map_or("?", |(bound, _)| bound.as_str());
    println!(
        "{sessions:3} sessions: what an item seems to be, after its sound: half below {} s, 99 % below {} s, n {all}",
        below(0.5),
        below(0.99)
    );
}

// === impl Client ===

impl Client {
    async fn connect(port: u16, commits: bool) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        let url = format!("ws://127.0.0.1:{port}/v1/realtime?intent=transcription");
        let (socket, _) = client_async(url, stream).await.expect("a session");
        let mut client = Self { socket };
        if commits {
            let session = json!({"type": "transcription", "audio": {"input": {"turn_detection": null}}});
            client.send(&json!({"type": "session.update", "session": session})).await;
        }
        client
    }

    async fn send(&mut self, event: &Value) {
        self.socket.send(Message::text(event.to_string())).await.expect("a server that takes it");
    }

    /// Sends the sound as fast as it is spoken, and listens meanwhile.
    async fn say(&mut self, sentence: &Sentence, commits: bool, times: &mut Times) {
        let start = Instant::now();
        let bytes = (PIECE.as_secs_f64() * f64::from(RATE)) as usize * 2;
        let (mut pieces, mut sent, mut committed, mut words) = (sentence.sound.chunks(bytes), 0, None, String::new());
        loop {
            // A piece is there when its last sample was spoken.
            let next = tokio::time::Instant::from_std(start + PIECE * (sent + 1));
            tokio::select! {
                () = sleep_until(next), if committed.is_none() => match pieces.next() {
                    Some(piece) => {
                        let audio = BASE64_STANDARD.encode(piece);
                        self.send(&json!({"type": "input_audio_buffer.append", "audio": audio})).await;
                        sent += 1;
                    }
                    None => {
                        committed = Some(Instant::now());
                        if commits {
                            self.send(&json!({"type": "input_audio_buffer.commit"})).await;
                        }
                    }
                },
                message = self.socket.next() => {
                    let message = message.expect("a session that goes on").expect("a message");
                    let Ok(text) = message.into_text() else { continue };
                    let Ok(event) = serde_json::from_str::<Value>(&text) else { continue };
                    match event["type"].as_str().unwrap_or_default().rsplit('.').next().unwrap_or_default() {
                        "delta" => {
                            words.push_str(event["delta"].as_str().unwrap_or_default());
                            let at = start.elapsed().as_secs_f64();
                            // Those that come with the whole text are told with it.
                            let told = words.split_whitespace().count();
                            let over = told.checked_sub(1).and_then(|last| sentence.words.get(last));
                            let over = over.filter(|_| at < sentence.end);
                            times.words.extend(over.map(|over| Duration::from_secs_f64((at - over).max(0.0))));
                        }
                        "completed" => {
                            let spoken = start + Duration::from_secs_f64(sentence.end);
                            match committed.filter(|_| commits) {
                                Some(committed) => times.committed.push(committed.elapsed()),
                                None => times.found.push(spoken.elapsed()),
                            }
                            return;
                        }
                        "failed" | "error" => panic!("{event}"),
                        _ => {}
                    }
                }
            }
        }
    }
}
