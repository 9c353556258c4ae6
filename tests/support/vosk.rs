//! A stand-in for libvosk, models for it, and a client of Vosk's own protocol.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::Duration,
};

use futures::{SinkExt, StreamExt};
use sconce::audio::{Pcm, encode_wav};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest, protocol::CloseFrame},
};

use super::{Server, ServerBuilder, checkout, socket::Refused};

pub const LIBRARY: &str = "SCONCE_VOSK__LIBRARY";
/// Nothing in a test takes longer; a hang becomes a failure.
const PATIENCE: Duration = Duration::from_secs(60);

/// The stand-in, compiled by the C compiler of this machine; without one a test that needs it says so and ends.
pub fn library() -> Option<&'static Path> {
    static BUILT: OnceLock<Option<(TempDir, PathBuf)>> = OnceLock::new();
    BUILT.get_or_init(|| compiled("libvosk.so", &["-DMODEL_FIND_WORD"])).as_ref().map(|(_, file)| file.as_path())
}

/// The same, otherwise: `definitions` say how.
pub fn compiled(name: &str, definitions: &[&str]) -> Option<(TempDir, PathBuf)> {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join(name);
    let mut command = Command::new("cc");
    command.args(["-std=c11", "-D_GNU_SOURCE", "-O1", "-shared", "-fPIC"]).args(definitions);
    command.arg("-o").arg(&file).arg(checkout("tests/fixtures/vosk/libvosk.c")).arg("-lm");
    match command.output() {
        Ok(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            Some((folder, file))
        }
        Err(error) => {
            println!("skipped: there is no C compiler: {error}");
            None
        }
    }
}

/// The files of a model, as the stand-in wants them: names and contents.
pub fn files(acoustic: &str) -> Vec<(&'static str, Vec<u8>)> {
    let graph = graph();
    vec![
        ("README", b"A model for tests".to_vec()),
        ("am/final.mdl", format!("\0B<TransitionModel> {acoustic}").into_bytes()),
        ("conf/mfcc.conf", b"--sample-frequency=16000\n".to_vec()),
        ("conf/model.conf", b"--beam=10.0\n".to_vec()),
        ("graph/HCLr.fst", graph.clone()),
        ("graph/Gr.fst", graph),
        ("graph/disambig_tid.int", b"1\n2\n".to_vec()),
    ]
}

/// One of OpenFST's, of no state and no arc.
pub fn graph() -> Vec<u8> {
    [&b"\xd6\xfd\xb2\x7e\x05\0\0\0const\x08\0\0\0standard\x02\0\0\0"[..], &[0; 36]].concat()
}

/// A folder with a model.
pub fn model() -> TempDir {
    model_of(&files(""))
}

pub fn model_of(files: &[(&str, Vec<u8>)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, content) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    folder
}

/// A server whose model is in this folder, heard by the stand-in.
pub fn builder(model: &Path, library: &Path) -> ServerBuilder {
    Server::builder()
        .env("MODEL_ID", "vosk-en")
        .env("SCONCE_MODELS__VOSK_EN__SOURCE", &format!("file:{}", model.display()))
        .env(LIBRARY, library.to_str().unwrap())
}

/// What the stand-in hears as words: 0 is silence, 1 to 6 are "one" to "six", each for so many seconds.
pub fn said(words: &[(u8, f64)], rate: u32) -> Pcm {
    let mut samples = Vec::new();
    for (word, seconds) in words {
        // The mean of a sine's magnitude is 2/pi of its peak.
        let peak = f32::from(*word) * 3000.0 * std::f32::consts::FRAC_PI_2 / 32_768.0;
        let length = (seconds * f64::from(rate)) as usize;
        let sine = |n: usize| (std::f32::consts::TAU * 300.0 * n as f32 / rate as f32).sin();
        samples.extend((0..length).map(|n| peak * sine(n)));
    }
    Pcm::new(samples, rate)
}

/// As a file.
pub fn recording(words: &[(u8, f64)]) -> Vec<u8> {
    encode_wav(&said(words, 16_000))
}

/// 16-bit samples.
pub fn pcm16(pcm: &Pcm) -> Vec<u8> {
    encode_wav(pcm).split_off(44)
}

/// A client of Vosk's protocol, which waits for one answer to each message of sound.
pub struct Caller {
    socket: WebSocketStream<TcpStream>,
    /// How the server closed it.
    pub closed: Option<CloseFrame>,
}

// === impl Caller ===

impl Caller {
    /// At a path of the server, with these headers.
    pub async fn open(server: &Server, path: &str, headers: &[(&str, &str)]) -> Result<Self, Refused> {
        let mut request = format!("ws://{}{path}", server.address).into_client_request().unwrap();
        for (name, value) in headers {
            let name = reqwest::header::HeaderName::try_from(*name).unwrap();
            request.headers_mut().append(name, value.parse().unwrap());
        }
        let stream = TcpStream::connect(server.address).await.unwrap();
        match client_async(request, stream).await {
            Ok((socket, _)) => Ok(Self { socket, closed: None }),
            Err(Error::Http(response)) => {
                let body = response.body().as_deref().unwrap_or_default();
                let body = serde_json::from_slice(body).unwrap_or(Value::Null);
                Err(Refused { status: response.status().as_u16(), body })
            }
            Err(error) => panic!("{error}"),
        }
    }

    pub async fn start(server: &Server, config: Value) -> Self {
        let mut caller = Self::open(server, "/vosk", &[]).await.unwrap();
        caller.text(json!({"config": config}).to_string()).await;
        caller
    }

    pub async fn text(&mut self, text: String) {
        self.message(Message::text(text)).await;
    }

    pub async fn message(&mut self, message: Message) {
        let _ = timeout(PATIENCE, self.socket.send(message)).await.expect("nothing was taken");
    }

    /// Sends a piece of sound, and gives the answer to it.
    pub async fn hear(&mut self, bytes: Vec<u8>) -> Value {
        self.message(Message::binary(bytes)).await;
        self.next().await.unwrap_or_else(|| panic!("no answer; {:?}", self.closed))
    }

    /// Sends sound in pieces of a tenth of a second, so fast as it is spoken where `paced`; gives all answers.
    pub async fn hear_all(&mut self, pcm: &Pcm, paced: bool) -> Vec<Value> {
        let mut answers = Vec::new();
        for piece in pcm16(pcm).chunks(pcm.rate() as usize / 5) {
            answers.push(self.hear(piece.to_vec()).await);
            if paced {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        answers
    }

    /// That was all; gives the last answer.
    pub async fn end(mut self) -> (Value, Option<CloseFrame>) {
        self.text("{\"eof\" : 1}".to_owned()).await;
        let last = self.next().await.unwrap_or_else(|| panic!("no last answer; {:?}", self.closed));
        assert_eq!(self.next().await, None, "the server ends");
        (last, self.closed)
    }

    /// The next answer; `None` where the server closed the session.
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
}
