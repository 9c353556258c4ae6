//! Clients that are slow, silent, rude or gone: the others are served, and the server says what was wrong.
//! `benches/faults.rs` does the same with many more of them and with a clock.

use std::time::Duration;

use futures::{StreamExt, future::join_all};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{Server, recording};

const PATIENCE: Duration = Duration::from_secs(60);
const HEAD: &str = "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: audio/wav\r\n";

async fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(server.address).await.unwrap()
}

/// All that the server says on a connection, until it closes it.
async fn heard(mut socket: TcpStream) -> String {
    let mut said = Vec::new();
    // A connection that is reset has said all it will.
    let _ = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut said)).await.expect("the server never closed it");
    String::from_utf8_lossy(&said).into_owned()
}

/// Health, and real work.
async fn others_are_served(server: &Server) {
    assert_eq!(server.get("/health").await.status(), 200);
    let answer = server.post_bytes("/predict", "audio/wav", recording("turn-on-the-kitchen-lights.wav")).await;
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn slow_bodies_hold_up_nobody_and_end_by_the_clock() {
    let server = Server::builder().env("SCONCE_LIMITS__BODY_TIMEOUT", "3s").start();
    let slow = (0..50).map(|_| async {
        let mut socket = connect(&server).await;
        socket.write_all(format!("{HEAD}Content-Length: 100000\r\n\r\nRIFF").as_bytes()).await.unwrap();
        socket
    });
    let slow = join_all(slow).await;
    others_are_served(&server).await;
    for said in join_all(slow.into_iter().map(heard)).await {
        assert!(said.starts_with("HTTP/1.1 408 ") && said.contains("limits.body_timeout"), "{said}");
    }
}

#[tokio::test]
async fn heads_that_never_end_are_cut_off() {
    let server = Server::builder().env("SCONCE_SERVER__HEAD_TIMEOUT", "1s").start();
    let loris = (0..50).map(|_| async {
        let mut socket = connect(&server).await;
        socket.write_all(b"GET /health HTTP/1.1\r\nX-Slow: ").await.unwrap();
        socket
    });
    let loris = join_all(loris).await;
    others_are_served(&server).await;
    for said in join_all(loris.into_iter().map(heard)).await {
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 408 "), "{said}");
    }
}

#[tokio::test]
async fn a_body_without_end_is_refused_at_the_limit() {
    let server = Server::builder().env("SCONCE_LIMITS__MAX_BODY", "1MB").start();
    let mut socket = connect(&server).await;
    socket.write_all(format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n").as_bytes()).await.unwrap();
    let (mut answers, mut body) = socket.split();
    let endless = async {
        let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
        // The server closes it at last.
        while body.write_all(chunk.as_bytes()).await.is_ok() {}
        futures::future::pending::<()>().await
    };
    let mut said = [0; 4096];
    let read = tokio::select! {
        () = endless => 0,
        read = tokio::time::timeout(PATIENCE, answers.read(&mut said)) => read.expect("it was never refused").unwrap(),
    };
    let said = String::from_utf8_lossy(&said[..read]);
    assert!(said.starts_with("HTTP/1.1 413 "), "{said}");
    others_are_served(&server).await;
}

/// Takes nearly all that bodies may take together, and keeps it.
async fn almost_all(server: &Server) -> TcpStream {
    let mut socket = connect(server).await;
    socket.write_all(format!("{HEAD}Content-Length: 950000\r\n\r\n").as_bytes()).await.unwrap();
    // It may be answered before it is all sent.
    let _ = socket.write_all(&vec![0; 940_000]).await;
    socket
}

#[tokio::test]
async fn bodies_that_take_too_much_together_are_sent_away() {
    let limits = [("SCONCE_LIMITS__MAX_BODY", "1MB"), ("SCONCE_LIMITS__MAX_BODIES", "1MB")];
    let server = limits.iter().fold(Server::builder(), |builder, (name, value)| builder.env(name, value)).start();
    let mut first = almost_all(&server).await;
    let refused = loop {
        // What was sent is counted when it is read.
        let answer = server.post_bytes("/predict", "audio/wav", vec![0; 200_000]).await;
        if answer.status() != 400 {
            break answer;
        }
        // Or it was the first that came too late.
        if first.try_read(&mut [0; 1]).is_ok() {
            first = almost_all(&server).await;
        }
    };
    assert_eq!(refused.status(), 429);
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(server.get("/health").await.status(), 200);
    drop(first);
    while server.post_bytes("/predict", "audio/wav", vec![0; 200_000]).await.status() == 429 {}
    others_are_served(&server).await;
}

#[tokio::test]
async fn many_silent_readers_of_events_cost_nobody_anything() {
    let server = Server::start();
    let mut streams = Vec::new();
    for _ in 0..100 {
        let mut stream = server.get("/models/events").await.bytes_stream();
        assert!(stream.next().await.unwrap().unwrap().starts_with(b"data: "));
        streams.push(stream);
    }
    others_are_served(&server).await;
    // They see what the others' request did to the model.
    for stream in &mut streams {
        tokio::time::timeout(PATIENCE, stream.next()).await.unwrap().unwrap().unwrap();
    }
}

#[tokio::test]
async fn requests_in_a_row_are_answered_in_a_row_and_junk_behind_them_is_refused() {
    let server = Server::start();
    let mut socket = connect(&server).await;
    let row = "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n".repeat(10);
    socket.write_all(format!("{row}\u{1}\u{2}\u{3} junk\r\n\r\n").as_bytes()).await.unwrap();
    let said = heard(socket).await;
    assert_eq!(said.matches("HTTP/1.1 200 OK").count(), 10, "{said}");
    assert_eq!(said.matches("HTTP/1.1 400 ").count(), 1, "{said}");
    let wrong =
        ["GET", "\r\n\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "POST /predict HTTP/1.1\r\nContent-Length: x\r\n\r\n"];
    for junk in wrong {
        let mut socket = connect(&server).await;
        socket.write_all(junk.as_bytes()).await.unwrap();
        socket.shutdown().await.unwrap();
        let said = heard(socket).await;
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 400 "), "{junk:?}: {said}");
    }
    others_are_served(&server).await;
}

#[tokio::test]
async fn clients_that_vanish_leave_nothing_behind() {
    let server = Server::start();
    for _ in 0..50 {
        let mut socket = connect(&server).await;
        socket.write_all(format!("{HEAD}Content-Length: 100000\r\n\r\nRIFF").as_bytes()).await.unwrap();
        drop(socket);
    }
    others_are_served(&server).await;
}
