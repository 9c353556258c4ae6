//! What serving costs, measured from outside: the start, the way from exec to the first text, a request over the bare
//! computation, and health while every core is busy. `make bench` runs it; each line says how often it was measured.
#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::{
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use futures::future::join_all;
use sconce::{
    app::App,
    config::{self, Sources},
    service::{Call, Listen, Recording},
    speech::{Goal, Timestamps},
};

const RECORDING: &str = "assets/recordings/turn-on-the-kitchen-lights.wav";
const STARTS: usize = 20;
const REQUESTS: usize = 40;
const PROBES: usize = 400;

fn main() {
    // `cargo test --benches` passes this: then two rounds of each are enough to see that it works.
    let quick = std::env::args().any(|argument| argument == "--test");
    let times = |full: usize| if quick { 2 } else { full };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        report("exec to 200 on /health, on_demand", &mut starts(times(STARTS)).await);
        report("exec to the text of a recording of 2.7 s, on_demand", &mut first_texts(times(STARTS)).await);
        overhead(times(REQUESTS)).await;
        health_under_load(times(PROBES)).await;
    });
}

/// Prints the lowest, the middle and the 99th percentile of some durations.
fn report(what: &str, durations: &mut [Duration]) {
    durations.sort();
    let at = |part: f64| durations[((durations.len() - 1) as f64 * part).round() as usize].as_secs_f64() * 1000.0;
    let count = durations.len();
    println!("{what:58} min {:8.2} ms   median {:8.2} ms   p99 {:8.2} ms   n {count}", at(0.0), at(0.5), at(0.99));
}

/// A server as a process of its own.
struct Server {
    child: Child,
    port: u16,
    client: reqwest::Client,
}

impl Server {
    fn exec() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port");
        let mut command = Command::new(env!("CARGO_BIN_EXE_sconce"));
        let command = command.env_clear().env("PORT", free.port().to_string()).env("SCONCE_SERVER__HOST", "127.0.0.1");
        let child = command.stderr(Stdio::null()).spawn().expect("the program starts");
        Self { child, port: free.port(), client: client() }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    async fn healthy(&self) {
        while self.client.get(self.url("/health")).send().await.is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn predict(&self, wav: &[u8]) -> String {
        let request = self.client.post(self.url("/predict")).header("content-type", "audio/wav");
        let answer = request.body(wav.to_vec()).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        answer.text().await.expect("a text")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().expect("a client")
}

fn wav() -> Vec<u8> {
    std::fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(RECORDING)).expect("a recording")
}

async fn starts(count: usize) -> Vec<Duration> {
    let mut durations = Vec::new();
    for _ in 0..count {
        let start = Instant::now();
        Server::exec().healthy().await;
        durations.push(start.elapsed());
    }
    durations
}

async fn first_texts(count: usize) -> Vec<Duration> {
    let (wav, mut durations) = (wav(), Vec::new());
    for _ in 0..count {
        let start = Instant::now();
        let server = Server::exec();
        server.healthy().await;
        server.predict(&wav).await;
        durations.push(start.elapsed());
    }
    durations
}

/// The same request over HTTP and straight to the service, in turn, so that a noisy machine is noisy to both.
async fn overhead(count: usize) {
    let (wav, server) = (wav(), Server::exec());
    server.healthy().await;
    let config = config::load(&Sources::default()).expect("the defaults are right").config;
    let app = App::build(config).expect("the defaults are right");
    let (mut over_http, mut bare) = (Vec::new(), Vec::new());
    for round in 0..=count {
        let start = Instant::now();
        server.predict(&wav).await;
        let first = start.elapsed();
        let start = Instant::now();
        compute(&app, &wav).await;
        if round > 0 {
            over_http.push(first);
            bare.push(start.elapsed());
        }
    }
    report("2.7 s over HTTP", &mut over_http);
    report("2.7 s straight to the service", &mut bare);
    app.stop().await;
}

async fn compute(app: &App, wav: &[u8]) {
    let call = Call { id: String::new(), protocol: "bench", model: None, wait: Some(Duration::from_secs(60)) };
    let listen = Listen {
        recording: Recording { bytes: wav.to_vec().into(), hint: None },
        language: None,
        goal: Goal::Transcribe,
        prompt: None,
        temperature: None,
        timestamps: Timestamps::Segment,
        options: serde_json::Map::new(),
    };
    app.service().transcribe(call, listen).await.expect("it starts").whole().await.expect("it ends");
}

/// Twice as many callers as cores keep the model busy while one asks for the health.
async fn health_under_load(probes: usize) {
    let (wav, server) = (wav(), Server::exec());
    server.healthy().await;
    server.predict(&wav).await;
    let callers = 2 * std::thread::available_parallelism().map_or(1, usize::from);
    let busy = join_all((0..callers).map(|_| async {
        loop {
            server.predict(&wav).await;
        }
    }));
    let probing = async {
        let mut durations = Vec::new();
        for _ in 0..probes {
            let start = Instant::now();
            let answer = server.client.get(server.url("/health")).send().await.expect("an answer");
            assert_eq!(answer.status(), 200);
            durations.push(start.elapsed());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        durations
    };
    tokio::select! {
        _ = busy => {}
        mut durations = probing => report("/health while every core transcribes", &mut durations),
    }
}
