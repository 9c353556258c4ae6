use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::BoxFuture;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    runtime::Runtime,
    sync::Notify,
};

use super::{
    super::{Event, Jobs, Pieces, Progress, Recording, State},
    *,
};
use crate::remote::{self, BucketsConfig, Secret, WebConfig};

const PATIENCE: Duration = Duration::from_secs(30);

/// Does what `parameters.do` says.
#[derive(Default)]
struct Puppet {
    runs: AtomicUsize,
    now: AtomicUsize,
    most: AtomicUsize,
    go: Notify,
}

impl Puppet {
    /// Waits until so many runs are past their beginning: a job counts as running a little earlier.
    async fn has_begun(&self, runs: usize) {
        while self.runs.load(Ordering::SeqCst) < runs {
            tokio::task::yield_now().await;
        }
    }
}

/// Counts what is under way, however it ends.
struct Present<'a>(&'a Puppet);

impl Drop for Present<'_> {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

struct Strings(Arc<Puppet>);

impl Worker for Strings {
    fn work(&self, item: WorkItem, pieces: Pieces) -> BoxFuture<'static, Result<Value, Problem>> {
        let puppet = self.0.clone();
        Box::pin(async move {
            let run = puppet.runs.fetch_add(1, Ordering::SeqCst) + 1;
            puppet.most.fetch_max(puppet.now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            let _present = Present(&puppet);
            pieces.add(Progress { seconds: 1.0, of: Some(2.0), ..Progress::default() }, json!("first"));
            let late =
                |kind| Problem { permanent: false, retry_after: Some(Duration::ZERO), ..Problem::new(kind, "x") };
            match item.parameters["do"].as_str().unwrap() {
                "wait" => puppet.go.notified().await,
                "wait once" if run == 1 => puppet.go.notified().await,
                "keep and wait" => {
                    pieces.checkpoint(Bytes::from_static(b"half")).await;
                    // Larger than may be.
                    pieces.checkpoint(Bytes::from_static(b"three quarters")).await;
                    if item.checkpoint.is_none() {
                        puppet.go.notified().await;
                    }
                    return Ok(
                        json!({"from": item.checkpoint.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())}),
                    );
                }
                "be busy once" if run == 1 => return Err(late(Kind::Busy)),
                "refuse" => return Err(Problem::new(Kind::NotFound, "there is no such thing")),
                "panic" => panic!("as told"),
                _ => {}
            }
            Ok(json!({"heard": item.recording.map_or(0, |recording| recording.bytes.len())}))
        })
    }

    fn show(&self, view: &View) -> Value {
        json!({"id": view.id, "result": view.result})
    }
}

fn config() -> Config {
    Config {
        dir: None,
        at_once: 1,
        time_limit: PATIENCE,
        keep: PATIENCE,
        max_count: 10,
        max_bytes: 1 << 20,
        max_checkpoint: 10,
        attempts: 3,
        webhook_secret: None,
    }
}

fn start(config: Config) -> (Jobs, Arc<Puppet>) {
    start_telling(config, "none.example")
}

/// With a host that may be told.
fn start_telling(config: Config, host: &str) -> (Jobs, Arc<Puppet>) {
    let web = WebConfig { allow_hosts: vec![host.to_owned()], allow_http: true, allow_private: true };
    let remote = remote::Config { buckets: BucketsConfig::default(), web, allow_buckets: vec![] };
    let (puppet, registry) = (Arc::new(Puppet::default()), prometheus::Registry::new());
    let worker = Arc::new(Strings(puppet.clone()));
    (Jobs::start(config, worker, Remote::new(remote).unwrap(), &registry).unwrap(), puppet)
}

fn to(what: &str) -> JobRequest {
    let recording = Some(Recording { bytes: vec![1; 7].into(), hint: None });
    JobRequest { parameters: json!({"do": what}), recording, webhook: None, key: None, estimate: None, room: 0 }
}

/// Waits until the job is in that phase, told by its feed.
async fn until(jobs: &Jobs, id: &JobId, phase: Phase) -> View {
    let mut feed = jobs.feed(id).await.unwrap();
    let reached = async {
        while let Some(event) = feed.next().await {
            if event == Event::Phase(phase) {
                return;
            }
        }
        panic!("{id} ended, but not as {phase:?}: {:?}", jobs.get(id).await);
    };
    tokio::time::timeout(PATIENCE, reached).await.unwrap();
    jobs.get(id).await.unwrap()
}

#[tokio::test]
async fn a_job_is_done_and_its_result_is_kept() {
    let (jobs, _) = start(config());
    let taken = jobs.submit(to("work")).await.unwrap();
    assert_eq!(taken.state.phase(), Phase::Queued);
    let done = until(&jobs, &taken.id, Phase::Succeeded).await;
    assert_eq!(done.result, Some(json!({"heard": 7})));
    assert_eq!(jobs.remove(&taken.id).await, Ok(None), "it is removed, not cancelled");
    assert_eq!(jobs.get(&taken.id).await, Err(Refusal::Unknown(taken.id.to_string())));
}

#[tokio::test]
async fn no_more_run_at_once_than_may_and_all_get_their_turn() {
    let (jobs, puppet) = start(Config { at_once: 2, ..config() });
    let mut ids = vec![];
    for _ in 0..3 {
        ids.push(jobs.submit(to("wait")).await.unwrap().id);
    }
    until(&jobs, &ids[1], Phase::Running).await;
    assert_eq!(jobs.get(&ids[2]).await.unwrap().state.phase(), Phase::Queued);
    puppet.go.notify_one();
    until(&jobs, &ids[2], Phase::Running).await;
    puppet.has_begun(3).await;
    assert_eq!(puppet.most.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_busy_model_is_waited_for_and_a_wrong_request_is_an_end() {
    let (jobs, puppet) = start(config());
    let id = jobs.submit(to("be busy once")).await.unwrap().id;
    until(&jobs, &id, Phase::Succeeded).await;
    assert_eq!(puppet.runs.load(Ordering::SeqCst), 2);
    let id = jobs.submit(to("refuse")).await.unwrap().id;
    let State::Failed { failure, .. } = until(&jobs, &id, Phase::Failed).await.state else { panic!() };
    assert_eq!(failure, Problem::new(Kind::NotFound, "there is no such thing"));
}

#[tokio::test]
async fn a_cancelled_job_stops_at_once_and_the_next_one_begins() {
    let (jobs, puppet) = start(config());
    let (first, second) = (jobs.submit(to("wait")).await.unwrap().id, jobs.submit(to("work")).await.unwrap().id);
    until(&jobs, &first, Phase::Running).await;
    assert_eq!(jobs.remove(&first).await.unwrap().unwrap().state.phase(), Phase::Cancelled);
    until(&jobs, &second, Phase::Succeeded).await;
    assert_eq!((puppet.now.load(Ordering::SeqCst), puppet.most.load(Ordering::SeqCst)), (0, 1));
    assert_eq!(jobs.get(&first).await.unwrap().state.phase(), Phase::Cancelled);
}

#[tokio::test]
async fn a_job_that_breaks_its_worker_is_given_up_after_some_attempts() {
    let (jobs, puppet) = start(config());
    let id = jobs.submit(to("panic")).await.unwrap().id;
    until(&jobs, &id, Phase::Failed).await;
    assert_eq!(puppet.runs.load(Ordering::SeqCst), 3);
    let next = jobs.submit(to("work")).await.unwrap().id;
    until(&jobs, &next, Phase::Succeeded).await;
}

#[test]
fn jobs_survive_a_crash_and_the_one_that_ran_is_begun_again() {
    let dir = tempfile::tempdir().unwrap();
    let config = || Config { dir: Some(dir.path().to_owned()), ..config() };
    let before = Runtime::new().unwrap();
    let (held, running, queued) = before.block_on(async {
        let (jobs, puppet) = start(config());
        let (first, second) =
            (jobs.submit(to("wait once")).await.unwrap().id, jobs.submit(to("work")).await.unwrap().id);
        puppet.has_begun(1).await;
        (jobs, first, second)
    });
    // Nothing is put in order: the tasks are gone between two instructions.
    drop((before, held));
    Runtime::new().unwrap().block_on(async {
        let (jobs, puppet) = start(config());
        puppet.runs.store(1, Ordering::SeqCst);
        for id in [&running, &queued] {
            assert_eq!(until(&jobs, id, Phase::Succeeded).await.result, Some(json!({"heard": 7})));
        }
        let ids: Vec<_> = jobs.list(None, 10).await.unwrap().into_iter().map(|view| view.id).collect();
        assert_eq!(ids, [queued, running], "newest first");
    });
}

#[test]
fn a_job_is_given_back_what_was_kept_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let config = || Config { dir: Some(dir.path().to_owned()), ..config() };
    let before = Runtime::new().unwrap();
    let (held, id) = before.block_on(async {
        let (jobs, _) = start(config());
        let id = jobs.submit(to("keep and wait")).await.unwrap().id;
        while jobs.store().checkpoint(&id).unwrap().is_none() {
            tokio::task::yield_now().await;
        }
        (jobs, id)
    });
    drop((before, held));
    Runtime::new().unwrap().block_on(async {
        let (jobs, _) = start(config());
        assert_eq!(until(&jobs, &id, Phase::Succeeded).await.result, Some(json!({"from": "half"})));
        assert_eq!(jobs.store().checkpoint(&id).unwrap(), None, "nobody needs it any more");
        let cancelled = jobs.submit(to("keep and wait")).await.unwrap().id;
        while jobs.store().checkpoint(&cancelled).unwrap().is_none() {
            tokio::task::yield_now().await;
        }
        jobs.remove(&cancelled).await.unwrap();
        assert_eq!(jobs.store().checkpoint(&cancelled).unwrap(), None);
    });
}

#[test]
fn a_job_that_is_there_at_every_crash_is_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let config = || Config { dir: Some(dir.path().to_owned()), attempts: 2, ..config() };
    let mut id = None;
    for _ in 0..2 {
        let runtime = Runtime::new().unwrap();
        let _held = runtime.block_on(async {
            let (jobs, puppet) = start(config());
            if id.is_none() {
                id = Some(jobs.submit(to("wait")).await.unwrap().id);
            }
            puppet.has_begun(1).await;
            jobs
        });
        drop(runtime);
    }
    Runtime::new().unwrap().block_on(async {
        let (jobs, _) = start(config());
        let state = jobs.get(&id.unwrap()).await.unwrap().state;
        let State::Failed { failure, .. } = state else { panic!("{state:?}") };
        assert!(failure.message.contains("begun 2 times"), "{failure}");
    });
}

#[tokio::test]
async fn a_stop_waits_for_what_runs_and_puts_back_what_takes_too_long() {
    let dir = tempfile::tempdir().unwrap();
    let config = || Config { dir: Some(dir.path().to_owned()), ..config() };
    let (jobs, puppet) = start(config());
    let short = jobs.submit(to("wait")).await.unwrap().id;
    until(&jobs, &short, Phase::Running).await;
    let stopping = tokio::spawn({
        let jobs = jobs.clone();
        async move { jobs.stop(PATIENCE).await }
    });
    while jobs.submit(to("work")).await != Err(Refusal::Stopping) {
        tokio::task::yield_now().await;
    }
    puppet.go.notify_one();
    stopping.await.unwrap();
    drop(jobs);

    let (jobs, _) = start(config());
    assert_eq!(jobs.get(&short).await.unwrap().state.phase(), Phase::Succeeded, "it was waited for");
    let long = jobs.submit(to("wait")).await.unwrap().id;
    until(&jobs, &long, Phase::Running).await;
    jobs.stop(Duration::ZERO).await;
    drop(jobs);

    let (jobs, _) = start(Config { at_once: 1, ..config() });
    let view = until(&jobs, &long, Phase::Running).await;
    assert!(matches!(view.state, State::Running { interruptions: 0, .. }), "{view:?}");
}

#[tokio::test]
async fn the_end_is_told_signed_and_again_until_it_is_heard() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let heard = tokio::spawn(async move {
        let mut requests = vec![];
        for answer in ["503 Service Unavailable", "200 OK"] {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = String::new();
            while !request.contains("\"heard\"") || !request.ends_with('}') {
                let mut buffer = [0; 1024];
                let read = socket.read(&mut buffer).await.unwrap();
                request.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
            }
            let answer = format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            socket.write_all(answer.as_bytes()).await.unwrap();
            requests.push(request);
        }
        requests
    });
    let webhook_secret = Some(Secret("s3cret".into()));
    let (jobs, _) = start_telling(Config { webhook_secret, ..config() }, &address.to_string());
    let request = JobRequest { webhook: Some(format!("http://{address}/done")), ..to("work") };
    let id = jobs.submit(request).await.unwrap().id;
    for request in tokio::time::timeout(PATIENCE, heard).await.unwrap().unwrap() {
        assert!(request.starts_with("POST /done ") && request.contains(&format!("sconce-job: {id}")), "{request}");
        let body = request.split("\r\n\r\n").nth(1).unwrap();
        assert_eq!(body, json!({"id": id, "result": {"heard": 7}}).to_string());
        let signature = request.lines().find_map(|line| line.strip_prefix("sconce-signature: t=")).unwrap();
        assert!(signature.contains(",v1="), "{signature}");
    }
}

#[tokio::test]
async fn webhooks_without_a_key_or_to_other_hosts_are_refused() {
    let (jobs, _) = start(config());
    let refused = jobs.submit(JobRequest { webhook: Some("http://127.0.0.1/".into()), ..to("work") }).await;
    assert!(refused.unwrap_err().to_string().contains("jobs.webhook_secret"));
    let (jobs, _) = start_telling(Config { webhook_secret: Some(Secret("s".into())), ..config() }, "hooks.example");
    for (url, why) in [("https://evil.example/", "evil.example"), ("file:///etc/passwd", "https://")] {
        let refused =
            jobs.submit(JobRequest { webhook: Some(url.into()), ..to("work") }).await.unwrap_err().to_string();
        assert!(refused.starts_with("webhook.url is not taken") && refused.contains(why), "{refused}");
    }
}

#[tokio::test]
async fn a_disk_that_fails_loses_no_job() {
    let dir = tempfile::tempdir().unwrap();
    let (path, whole) = (dir.path().join("jobs.redb"), dir.path().join("whole"));
    let (jobs, puppet) = start(Config { dir: Some(dir.path().to_owned()), ..config() });
    let id = jobs.submit(to("wait")).await.unwrap().id;
    puppet.has_begun(1).await;
    assert_eq!(jobs.trouble(), None);

    // A folder in place of the file: whatever is tried fails in the system.
    jobs.store().close();
    std::fs::rename(&path, &whole).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert_eq!(jobs.submit(to("work")).await, Err(Refusal::NotWritten));
    assert!(jobs.trouble().is_some());
    puppet.go.notify_one();
    let kept = until(&jobs, &id, Phase::Queued).await;
    assert_eq!(kept.state.phase(), Phase::Queued, "a result that cannot be kept is none");
    assert!(kept.state.reason().unwrap().contains("could not be written down"), "{kept:?}");

    std::fs::remove_dir(&path).unwrap();
    std::fs::rename(&whole, &path).unwrap();
    let other = jobs.submit(to("work")).await.unwrap().id;
    until(&jobs, &other, Phase::Succeeded).await;
    assert_eq!((jobs.trouble(), jobs.get(&id).await.unwrap().state.phase()), (None, Phase::Queued));
}
