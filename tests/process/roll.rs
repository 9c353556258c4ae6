//! A rolling stop: two replicas behind a load balancer, replaced one after the other under load.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use futures::future::join_all;
use parking_lot::Mutex;
use reqwest::Client;
use tempfile::TempDir;

use crate::{
    program::{Program, sconce},
    support::{recording, server::form, sound},
};

/// A load balancer as small as they come: it asks each replica whether it is ready, and takes them in turn. A request
/// that a replica has accepted is not tried again.
struct Balancer {
    client: Client,
    /// Address, and whether it was ready when it was asked last.
    replicas: Mutex<Vec<(String, bool)>>,
    turn: AtomicUsize,
    over: AtomicBool,
    answered: AtomicUsize,
}

impl Balancer {
    fn new(replicas: &[&Program]) -> Self {
        // A connection for each request: none is closed just when it is used again.
        let client = Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap();
        let replicas = Mutex::new(replicas.iter().map(|program| (program.address.clone(), true)).collect());
        Self {
            client,
            replicas,
            turn: AtomicUsize::new(0),
            over: AtomicBool::new(false),
            answered: AtomicUsize::new(0),
        }
    }

    async fn watch(&self) {
        while !self.over.load(Ordering::Relaxed) {
            let addresses: Vec<_> = self.replicas.lock().iter().map(|(address, _)| address.clone()).collect();
            for address in addresses {
                let answer = self.client.get(format!("http://{address}/health/ready")).send().await;
                let ready = answer.is_ok_and(|answer| answer.status() == 200);
                self.replicas.lock().iter_mut().filter(|(of, _)| *of == address).for_each(|(_, was)| *was = ready);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn next(&self) -> String {
        let replicas = self.replicas.lock();
        let ready: Vec<_> = replicas.iter().filter(|(_, ready)| *ready).collect();
        assert!(!ready.is_empty(), "no replica is ready");
        ready[self.turn.fetch_add(1, Ordering::Relaxed) % ready.len()].0.clone()
    }

    /// One client: request after request, every one of which must be answered whole.
    async fn client(&self, streaming: bool, wav: Vec<u8>, word: &str) {
        while !self.over.load(Ordering::Relaxed) {
            let fields: &[_] = if streaming { &[("stream", "true")] } else { &[] };
            let url = format!("http://{}/v1/audio/transcriptions", self.next());
            let sent = self.client.post(&url).multipart(form(wav.clone(), "whisper-nano.en", fields)).send().await;
            let answer = sent.unwrap_or_else(|error| panic!("{url} lost a request: {error:?}"));
            let status = answer.status();
            let text = answer.text().await.unwrap_or_else(|error| panic!("{url} broke off: {error:?}"));
            assert!(status == 200 && text.to_lowercase().contains(word), "{url}: {status} {text}");
            assert!(!streaming || text.contains("transcript.text.done"), "{url}: {text}");
            self.answered.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until so many more were answered.
    async fn answers(&self, more: usize) {
        let (start, before) = (Instant::now(), self.answered.load(Ordering::Relaxed));
        while self.answered.load(Ordering::Relaxed) < before + more {
            assert!(start.elapsed() < Duration::from_secs(60), "nobody is answered any more");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn replica(cache: &TempDir) -> Program {
    let mut command = sconce(cache);
    Program::start(command.env("PORT", "0").env("SCONCE_SERVER__GRACE", "3s").env("SCONCE_SERVER__DRAIN", "60s"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_stop_under_load_loses_no_request() {
    let cache = TempDir::new().unwrap();
    let old = [replica(&cache), replica(&cache)];
    let balancer = Balancer::new(&[&old[0], &old[1]]);
    let short = || recording("turn-on-the-kitchen-lights.wav");
    let clients = [
        balancer.client(false, short(), "kitchen"),
        balancer.client(true, short(), "kitchen"),
        balancer.client(true, sound::babble(20.0), "coffee"),
        balancer.client(false, sound::babble(20.0), "coffee"),
    ];
    let roll = async {
        let mut new = Vec::new();
        balancer.answers(3).await;
        for mut program in old {
            new.push(replica(&cache));
            balancer.replicas.lock().push((new.last().unwrap().address.clone(), true));
            program.terminate();
            let ended = tokio::task::spawn_blocking(move || program.ended()).await.unwrap();
            assert_eq!(ended.code(), Some(0));
            balancer.answers(2).await;
        }
        balancer.over.store(true, Ordering::Relaxed);
        new
    };
    tokio::join!(join_all(clients), balancer.watch(), roll);
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_event_streams_do_not_hold_up_a_stop() {
    let cache = TempDir::new().unwrap();
    let mut program = replica(&cache);
    let client = Client::builder().no_proxy().build().unwrap();
    let events = client.get(program.url("/models/events")).send().await.unwrap();
    let start = Instant::now();
    program.terminate();
    assert!(events.bytes().await.unwrap().starts_with(b"data: "), "it ends whole");
    assert_eq!(tokio::task::block_in_place(|| program.ended()).code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(40), "the drain of a minute was waited for");
}
