//! The real server, in this process or as one of its own, on a free port, configured as a container is: by environment
//! variables.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use reqwest::{Client, Response, multipart};
use sconce::{app::Config, model::Family};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;

use super::hub::Hub;

/// Nothing in a test takes longer; a hang becomes a failure.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running server. It is stopped, in good order, when this is dropped.
pub struct Server {
    pub address: SocketAddr,
    pub client: Client,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    process: Option<Child>,
    reload: mpsc::Sender<Result<Config, String>>,
    /// What a process of its own wrote so far.
    log: Arc<Mutex<Vec<Value>>>,
    cache: TempDir,
}

/// How a server is to be.
pub struct ServerBuilder {
    variables: BTreeMap<String, String>,
    /// Those of the program, if absent.
    families: Option<&'static [&'static dyn Family]>,
    cache: TempDir,
}

// === impl ServerBuilder ===

impl ServerBuilder {
    /// One environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    pub fn hub(self, hub: &Hub) -> Self {
        let endpoint = hub.url();
        self.env("HF_ENDPOINT", &endpoint)
    }

    /// Other kinds of models than those of the program.
    pub fn families(self, families: &'static [&'static dyn Family]) -> Self {
        Self { families: Some(families), ..self }
    }

    pub fn start(self) -> Server {
        let config = self.config().unwrap_or_else(|faults| panic!("{faults}"));
        let cache = self.cache;
        let listener = sconce::app::bind(&config.server).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let (reload, reloads) = mpsc::channel(1);
        let reloads = ReceiverStream::new(reloads);
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            let shutdown = async { drop(stopped.await) };
            runtime.block_on(sconce::app::run(config, listener, reloads, shutdown)).unwrap();
        });
        let client = Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        let (log, stop, thread) = (Arc::default(), Some(stop), Some(thread));
        Server { address, client, stop, thread, process: None, reload, log, cache }
    }

    /// The built program, in a process of its own.
    pub fn spawn(self) -> Server {
        self.spawn_by(Command::new(env!("CARGO_BIN_EXE_sconce")))
    }

    /// The same, to which the system gives no more than so many bytes of memory for data (`RLIMIT_DATA`).
    pub fn spawn_within(self, bytes: u64) -> Server {
        let mut command = Command::new("/bin/sh");
        let kibibytes = (bytes / 1024).to_string();
        command.args(["-c", "ulimit -d $0; exec $1", &kibibytes, env!("CARGO_BIN_EXE_sconce")]);
        self.spawn_by(command)
    }

    /// The built program with what it is configured by, not yet started.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sconce"));
        command.env_clear().envs(&self.variables).current_dir(self.cache.path());
        command
    }

    fn spawn_by(self, mut command: Command) -> Server {
        let Self { variables, cache, .. } = self;
        command.env_clear().envs(variables).env("LOG_FORMAT", "json").current_dir(cache.path());
        let mut process = command.stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(process.stderr.take().unwrap()).lines().map_while(Result::ok);
        let mut lines = lines.filter_map(|line| serde_json::from_str::<Value>(&line).ok());
        let log = Arc::new(Mutex::new(Vec::new()));
        let listening = |line: Value| {
            let address = (line["message"] == "listening").then(|| line["address"].as_str()?.parse().ok())?;
            log.lock().unwrap().push(line);
            address
        };
        let address = lines.find_map(listening).expect("it says where it listens");
        // A full pipe would stop it.
        let kept = log.clone();
        let thread = thread::spawn(move || lines.for_each(|line| kept.lock().unwrap().push(line)));
        let client = Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        let (reload, _) = mpsc::channel(1);
        let (thread, process) = (Some(thread), Some(process));
        Server { address, client, stop: None, thread, process, reload, log, cache }
    }
}

impl ServerBuilder {
    fn config(&self) -> Result<Config, String> {
        let (families, environment) = (self.families, self.variables.clone());
        let sources = sconce::config::Sources { families, environment, ..Default::default() };
        let loaded = sconce::config::load(&sources).map_err(|faults| faults.to_string())?;
        Ok(loaded.config)
    }
}

// === impl Server ===

impl Server {
    /// A server with an empty cache on a free port of the loopback interface.
    pub fn builder() -> ServerBuilder {
        let cache = TempDir::new().unwrap();
        let folder = cache.path().display().to_string();
        let builder = ServerBuilder { variables: BTreeMap::new(), families: None, cache };
        // This process is no guard of other programs.
        let builder = builder.env("SCONCE_WORKERS__GUARD", env!("CARGO_BIN_EXE_sconce"));
        builder.env("PORT", "0").env("SCONCE_SERVER__HOST", "127.0.0.1").env("HF_HUB_CACHE", &folder)
    }

    /// One with the embedded model.
    pub fn start() -> Server {
        Self::builder().start()
    }

    /// Reads the configuration anew, as after SIGHUP, and waits until it applies or was refused.
    pub async fn reload(&self, variables: &[(&str, &str)]) {
        let before = self.metric("sconce_config_reloads_total", &[]).await;
        let folder = self.cache.path().display().to_string();
        let mut variables: BTreeMap<_, _> = variables.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        variables.insert("HF_HUB_CACHE".to_owned(), folder);
        let sources = sconce::config::Sources { environment: variables, ..Default::default() };
        let config = sconce::config::load(&sources).map(|loaded| loaded.config);
        self.reload.send(config.map_err(|faults| faults.to_string())).await.unwrap();
        let start = Instant::now();
        while self.metric("sconce_config_reloads_total", &[]).await == before {
            assert!(start.elapsed() < PATIENCE, "the configuration was not taken");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub async fn get(&self, path: &str) -> Response {
        self.client.get(self.url(path)).send().await.unwrap()
    }

    pub async fn get_json(&self, path: &str) -> Value {
        self.get(path).await.json().await.unwrap()
    }

    pub async fn post_json(&self, path: &str, body: &Value) -> Response {
        self.client.post(self.url(path)).json(body).send().await.unwrap()
    }

    pub async fn post_bytes(&self, path: &str, media_type: &str, body: Vec<u8>) -> Response {
        let request = self.client.post(self.url(path)).header("content-type", media_type);
        request.body(body).send().await.unwrap()
    }

    /// `POST /v1/audio/transcriptions` with more text fields than file and model.
    pub async fn transcribe(&self, file: Vec<u8>, model: &str, fields: &[(&str, &str)]) -> Response {
        self.client
            .post(self.url("/v1/audio/transcriptions"))
            .multipart(form(file, model, fields))
            .send()
            .await
            .unwrap()
    }

    /// The value of a metric with exactly these labels, in any order; 0 if it does not stand there.
    pub async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let text = self.get("/metrics").await.text().await.unwrap();
        let fits = |line: &&str| {
            let rest = line.strip_prefix(name).unwrap_or("x");
            rest.starts_with(['{', ' '])
                && labels.iter().all(|(label, value)| rest.contains(&format!("{label}=\"{value}\"")))
        };
        text.lines().filter(fits).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Waits until `GET path` answers with `status`.
    pub async fn until(&self, path: &str, status: u16) {
        let start = Instant::now();
        while self.get(path).await.status() != status {
            assert!(start.elapsed() < PATIENCE, "{path} never answered {status}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until a model is in a state.
    pub async fn until_status_of(&self, model: &str, status: &str) {
        let start = Instant::now();
        loop {
            let body = self.get_json("/models/status").await;
            if body["models"][model]["status"] == status {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "{model} never became {status}: {body}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Gives a request up while the server works on it, and waits until the server has done so too.
    pub async fn leave(&self, asked: impl Future<Output = Response>) {
        let cancelled = || self.metric("sconce_requests_total", &[("outcome", "cancelled")]);
        let before = cancelled().await;
        let begun = async {
            while self.metric("sconce_requests_in_flight", &[]).await == 0.0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            // It has been read then, and the model is in the midst of it.
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        tokio::select! {
            answer = asked => panic!("answered with {} before its client left: ask for more", answer.status()),
            () = begun => {}
        }
        let start = Instant::now();
        while cancelled().await == before {
            assert!(start.elapsed() < PATIENCE, "the request was never given up");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until a process of its own has written a line with this message about this model.
    pub async fn logged(&self, message: &str, model: &str) -> Value {
        let start = Instant::now();
        loop {
            let about = |line: &&Value| line["message"] == message && line["model"] == model;
            if let Some(line) = self.log.lock().unwrap().iter().find(about) {
                return line.clone();
            }
            assert!(start.elapsed() < PATIENCE, "it never wrote {message:?} about {model}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Of the program, where it has a process of its own.
    pub fn process_id(&self) -> Option<u32> {
        self.process.as_ref().map(Child::id)
    }

    /// Tells the server to stop and waits until it has.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(mut process) = self.process.take() {
            let pid = i32::try_from(process.id()).unwrap();
            // SAFETY: a signal to a child that has not been waited for, so that its number is still its own.
            unsafe { libc::kill(pid, libc::SIGTERM) };
            let ended = process.wait().unwrap();
            assert!(thread::panicking() || ended.success(), "it ended with {ended}");
        }
        if let (Some(stop), Some(thread)) = (self.stop.take(), self.thread.take()) {
            let _ = stop.send(());
            let outcome = thread.join();
            if !thread::panicking() {
                outcome.unwrap();
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

/// A transcription request as OpenAI's clients send it.
pub fn form(file: Vec<u8>, model: &str, fields: &[(&str, &str)]) -> multipart::Form {
    let part = multipart::Part::bytes(file).file_name("recording.wav");
    let form = multipart::Form::new().part("file", part).text("model", model.to_owned());
    fields.iter().fold(form, |form, (name, value)| form.text((*name).to_owned(), (*value).to_owned()))
}
