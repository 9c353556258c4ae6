//! What bad company costs the others: health and a real request, while hundreds of clients are slow, silent or rude.
//! `cargo bench --bench faults` runs it against the real program.
#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[path = "support/program.rs"]
mod program;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

use self::program::Program;

const RECORDING: &str = "assets/recordings/turn-on-the-kitchen-lights.wav";
const SLOW: usize = 500;
const IDLE: usize = 1000;
const RUDE: usize = 100;
const PROBES: usize = 400;

fn main() {
    // `cargo test --benches` passes this: then few of each are enough to see that it works.
    let quick = std::env::args().any(|argument| argument == "--test");
    let of = |full: usize| if quick { full.div_ceil(50) } else { full };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        measure("nobody else", of(PROBES), |_| JoinSet::new()).await;
        measure("500 clients that send 100 bytes a second", of(PROBES), |port| many(of(SLOW), port, slow)).await;
        measure("1000 readers of /models/events", of(PROBES), |port| many(of(IDLE), port, idle)).await;
        measure("500 heads that never end", of(PROBES), |port| many(of(SLOW), port, loris)).await;
        measure("500 connections that say nothing", of(PROBES), |port| many(of(SLOW), port, silent)).await;
        measure("100 that pipeline junk, again and again", of(PROBES), |port| many(of(RUDE), port, junk)).await;
        measure("4 that send a body without end, again and again", of(PROBES), |port| many(4, port, endless)).await;
    });
}

/// Health, a real request and memory, while the crowd is there.
async fn measure(crowd: &str, probes: usize, gather: impl FnOnce(u16) -> JoinSet<()>) {
    let server = Program::exec(&[]);
    server.healthy().await;
    let wav = std::fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(RECORDING)).expect("a recording");
    server.predict(&wav).await;
    let crowd_of = gather(server.port);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut healths = Vec::new();
    for _ in 0..probes {
        let start = Instant::now();
        let answer = server.client.get(server.url("/health")).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        healths.push(start.elapsed());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut requests = Vec::new();
    for _ in 0..probes.div_ceil(20) {
        let start = Instant::now();
        server.predict(&wav).await;
        requests.push(start.elapsed());
    }
    let memory = server.peak() / (1 << 20);
    drop(crowd_of);
    println!(
        "{crowd:48} /health p50 {:6.2} ms  p99 {:6.2} ms   2.7 s of sound p50 {:7.1} ms   memory {memory:4} MiB   n {probes}",
        at(&mut healths, 0.5),
        at(&mut healths, 0.99),
        at(&mut requests, 0.5),
    );
}

fn at(durations: &mut [Duration], part: f64) -> f64 {
    durations.sort();
    durations[((durations.len() - 1) as f64 * part).round() as usize].as_secs_f64() * 1000.0
}

fn many<F: Future<Output = std::io::Result<()>> + Send + 'static>(
    count: usize,
    port: u16,
    client: fn(u16) -> F,
) -> JoinSet<()> {
    let mut crowd = JoinSet::new();
    for _ in 0..count {
        crowd.spawn(async move {
            // One that was cut off comes again.
            loop {
                let _ = client(port).await;
            }
        });
    }
    crowd
}

async fn connect(port: u16, say: &str) -> std::io::Result<TcpStream> {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).await?;
    socket.write_all(say.as_bytes()).await?;
    Ok(socket)
}

/// Until the server closes the connection.
async fn listen(mut socket: TcpStream) -> std::io::Result<()> {
    let mut said = [0; 4096];
    while socket.read(&mut said).await? > 0 {}
    Ok(())
}

async fn slow(port: u16) -> std::io::Result<()> {
    let head = "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: audio/wav\r\nContent-Length: 100000\r\n\r\n";
    let mut socket = connect(port, head).await?;
    loop {
        socket.write_all(&[0; 100]).await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn idle(port: u16) -> std::io::Result<()> {
    listen(connect(port, "GET /models/events HTTP/1.1\r\nHost: x\r\n\r\n").await?).await
}

async fn loris(port: u16) -> std::io::Result<()> {
    let mut socket = connect(port, "GET /health HTTP/1.1\r\n").await?;
    loop {
        socket.write_all(b"X-Slow: 1\r\n").await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn silent(port: u16) -> std::io::Result<()> {
    listen(connect(port, "").await?).await
}

async fn junk(port: u16) -> std::io::Result<()> {
    let row = "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n".repeat(20);
    listen(connect(port, &format!("{row}\u{1}\u{2} junk\r\n\r\n")).await?).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    Ok(())
}

async fn endless(port: u16) -> std::io::Result<()> {
    let head = "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: audio/wav\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut socket = connect(port, head).await?;
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    loop {
        socket.write_all(chunk.as_bytes()).await?;
    }
}
