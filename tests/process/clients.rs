//! Caches and buckets that are shared with the tools of others.

use std::{
    io::{BufRead, BufReader},
    process::{Child, ChildStdout, Stdio},
};

use tempfile::TempDir;

use crate::{
    program::{outcome, sconce},
    support::{checkout, hub::Hub, publish_nano, python},
};

const MODEL: &str = "acme/nano";
const LIGHTS: &str = "assets/recordings/turn-on-the-kitchen-lights.wav";
const FILES: [&str; 5] =
    ["config.json", "generation_config.json", "tokenizer.json", "preprocessor_config.json", "model.safetensors"];

fn python_client(what: &str, hub: &Hub, cache: &TempDir) {
    let (endpoint, cache) = (hub.url(), cache.path().to_str().unwrap().to_owned());
    let arguments = [[what, &endpoint, &cache, MODEL].as_slice(), &FILES].concat();
    python::run("hub_cache.py", &arguments);
}

fn downloads(hub: &Hub) -> usize {
    FILES.iter().map(|file| hub.downloads(file)).sum()
}

#[test]
fn what_the_python_client_fetched_is_used_in_place() {
    let hub = Hub::start();
    publish_nano(&hub, MODEL);
    let cache = TempDir::new().unwrap();
    python_client("fill", &hub, &cache);
    assert_eq!(downloads(&hub), FILES.len());
    let run = |arguments: &[&str]| {
        outcome(sconce(&cache).env("MODEL_ID", MODEL).env("HF_ENDPOINT", hub.url()).args(arguments))
    };
    let (_, stderr, code) = run(&["pull"]);
    assert_eq!(code, 0, "{stderr}");
    let (stdout, stderr, code) = run(&["--offline", "transcribe", checkout(LIGHTS).to_str().unwrap()]);
    assert_eq!((stdout.to_lowercase().trim(), code), ("turn on the kitchen lights", 0), "{stderr}");
    assert_eq!(downloads(&hub), FILES.len(), "nothing was fetched again");
    let list = outcome(sconce(&cache).args(["cache", "ls"])).0;
    assert!(list.contains(MODEL) && list.contains("main"), "{list}");
    let (_, stderr, code) = outcome(sconce(&cache).args(["cache", "gc"]));
    assert_eq!(code, 0, "{stderr}");
    python_client("use", &hub, &cache);
    assert_eq!(downloads(&hub), FILES.len());
}

#[test]
fn the_python_client_uses_what_we_fetched() {
    let hub = Hub::start();
    publish_nano(&hub, MODEL);
    let cache = TempDir::new().unwrap();
    let (_, stderr, code) = outcome(sconce(&cache).env("HF_ENDPOINT", hub.url()).args(["pull", MODEL]));
    assert_eq!(code, 0, "{stderr}");
    let before = downloads(&hub);
    python_client("use", &hub, &cache);
    assert_eq!(downloads(&hub), before, "nothing was fetched again");
    let (stdout, stderr, code) = outcome(sconce(&cache).arg("verify"));
    assert_eq!(code, 0, "{stdout}{stderr}");
}

/// A server that is somebody else's.
struct Moto {
    child: Child,
    said: BufReader<ChildStdout>,
    endpoint: String,
}

impl Moto {
    fn start() -> Self {
        let folder = checkout("assets/models/whisper-nano.en");
        let mut command = python::command("s3_server.py", &["models", "whisper/nano", folder.to_str().unwrap()]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut endpoint = String::new();
        said.read_line(&mut endpoint).unwrap();
        Self { child, said, endpoint: endpoint.trim().to_owned() }
    }

    /// The type and the content of an object, as another client sees them.
    fn object(&mut self, key: &str) -> String {
        use std::io::Write;
        writeln!(self.child.stdin.as_mut().unwrap(), "{key}").unwrap();
        let mut answer = String::new();
        self.said.read_line(&mut answer).unwrap();
        answer.trim().to_owned()
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_model_comes_from_a_bucket_of_s3() {
    let (moto, cache) = (Moto::start(), TempDir::new().unwrap());
    let run = |arguments: &[&str]| {
        let mut command = sconce(&cache);
        command.env("AWS_ENDPOINT_URL", &moto.endpoint).env("AWS_REGION", "us-east-1");
        command.env("AWS_ACCESS_KEY_ID", "key").env("AWS_SECRET_ACCESS_KEY", "secret").env("NO_PROXY", "127.0.0.1");
        outcome(command.args(arguments))
    };
    let (stdout, stderr, code) = run(&["pull", "s3://models/whisper/nano"]);
    assert_eq!(code, 0, "{stdout}{stderr}");
    let (stdout, stderr, code) = run(&["--model", "s3://models/whisper/nano", "--offline", "pull"]);
    assert_eq!(code, 0, "{stdout}{stderr}");
    let (_, stderr, code) = run(&["pull", "s3://models/nothing"]);
    assert_eq!(code, 3, "{stderr}");
    assert!(stderr.contains("s3://models/nothing"), "{stderr}");
}

#[tokio::test]
async fn what_is_written_to_s3_is_read_by_its_own_client() {
    use sconce::remote::{BucketsConfig, Config, GcsConfig, Remote, S3Config, Secret, WebConfig};
    let mut moto = Moto::start();
    let s3 = S3Config {
        endpoint: Some(moto.endpoint.as_str().into()),
        region: "us-east-1".to_owned(),
        access_key_id: Some("key".to_owned()),
        secret_access_key: Some(Secret("secret".to_owned())),
        ..S3Config::default()
    };
    let remote = Remote::new(Config {
        buckets: BucketsConfig { s3, gcs: GcsConfig::default() },
        web: WebConfig { allow_hosts: Vec::new(), allow_http: false, allow_private: false },
        allow_buckets: vec!["models".to_owned()],
    });
    let (remote, uri) = (remote.unwrap(), "s3://models/out/a b.json");
    remote.write(uri, "{\"text\":\"ü\"}".into(), "application/json").await.unwrap();
    assert_eq!(moto.object("out/a b.json"), "application/json 7b2274657874223a22c3bc227d");
    let read = remote.read(uri, 1000, std::time::Duration::from_secs(20)).await.unwrap();
    assert_eq!(
        (&read.bytes[..], read.content_type.as_deref()),
        ("{\"text\":\"ü\"}".as_bytes(), Some("application/json"))
    );
}
