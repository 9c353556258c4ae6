//! Keys, scopes and limits.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::support::{Server, ServerBuilder, recording, server::form, sound};

const MODEL: &str = "whisper-nano.en";
const NANO: &str = "sconce/whisper-nano.en";

/// A server that knows one key of each scope.
fn locked() -> ServerBuilder {
    Server::builder().env("SCONCE_ACCESS__KEYS", "sk-user").env("SCONCE_ACCESS__ADMIN_KEYS", "sk-admin")
}

async fn ask(server: &Server, method: Method, path: &str, key: Option<&str>) -> Response {
    let request = server.client.request(method, server.url(path));
    key.iter().fold(request, |request, key| request.bearer_auth(key)).send().await.unwrap()
}

async fn transcribe(server: &Server, key: &str, file: Vec<u8>) -> Response {
    let request = server.client.post(server.url("/v1/audio/transcriptions")).bearer_auth(key);
    request.multipart(form(file, MODEL, &[])).send().await.unwrap()
}

/// A file of keys in a folder of its own.
struct KeyFile(tempfile::TempDir);

impl KeyFile {
    fn new(text: &str) -> Self {
        let file = Self(tempfile::tempdir().unwrap());
        file.write(text);
        file
    }

    fn path(&self) -> String {
        self.0.path().join("keys.toml").display().to_string()
    }

    fn write(&self, text: &str) {
        std::fs::write(self.path(), text).unwrap();
    }
}

#[tokio::test]
async fn without_keys_everybody_may_come_in() {
    let server = Server::start();
    assert_eq!(server.get("/v1/models").await.status(), 200);
    assert_eq!(server.metric("sconce_keys", &[]).await, 0.0);
}

#[tokio::test]
async fn every_route_but_probes_asks_for_a_key() {
    let server = locked().start();
    for probe in [
        "/health",
        "/health/live",
        "/health/ready",
        "/ping",
        "/",
        "/console/style.css",
        "/openapi.json",
        "/asyncapi.json",
        "/docs/",
        "/docs/install",
        "/docs/api/swagger-ui.css",
    ] {
        assert_eq!(server.get(probe).await.status(), 200, "{probe}");
    }
    let closed = [
        (Method::GET, "/v1/models"),
        (Method::POST, "/v1/audio/transcriptions"),
        (Method::POST, "/predict"),
        (Method::GET, "/models/status"),
        (Method::GET, "/models/events"),
        (Method::POST, "/download-models"),
        (Method::GET, "/metrics"),
        (Method::POST, "/openapi.json"),
        (Method::POST, "/"),
        (Method::GET, "/a-route-that-nobody-has-written-yet"),
        (Method::POST, "/health"),
        (Method::GET, "/%68ealth"),
    ];
    for (method, path) in closed {
        for key in [None, Some("sk-nobody"), Some("sk-use"), Some("sk-user2")] {
            let answer = ask(&server, method.clone(), path, key).await;
            assert_eq!(answer.status(), 401, "{method} {path} with {key:?}");
            assert_eq!(answer.headers()["www-authenticate"], "Bearer realm=\"sconce\"");
            assert!(answer.headers().contains_key("x-request-id"));
        }
    }
}

#[tokio::test]
async fn a_refusal_has_the_shape_of_the_protocol_that_was_asked() {
    let predict = "/v1/endpoints/7/deployedModels/9:predict";
    let server = locked().env("AIP_PREDICT_ROUTE", predict).start();
    let body = |path: &'static str| {
        let server = &server;
        async move { server.get_json(path).await }
    };
    let openai = body("/v1/models").await;
    assert_eq!(
        (&openai["error"]["code"], &openai["error"]["type"], &openai["error"]["param"]),
        (&json!("invalid_api_key"), &json!("invalid_request_error"), &Value::Null)
    );
    let google = body("/models/status").await;
    assert_eq!((&google["error"]["status"], &google["error"]["code"]), (&json!("UNAUTHENTICATED"), &json!(401)));
    assert_eq!(body(predict).await["error"]["status"], "UNAUTHENTICATED");
    assert!(body("/v2/models/any").await["error"].as_str().unwrap().contains("Authorization: Bearer"));
}

#[tokio::test]
async fn a_key_opens_what_its_scopes_say() {
    let server = locked().start();
    assert_eq!(ask(&server, Method::GET, "/v1/models", Some("sk-user")).await.status(), 200);
    assert_eq!(ask(&server, Method::GET, "/metrics", Some("sk-user")).await.status(), 200);
    let heard = transcribe(&server, "sk-user", recording("turn-on-the-kitchen-lights.wav")).await;
    assert_eq!(heard.status(), 200);

    let refused = ask(&server, Method::POST, "/download-models", Some("sk-user")).await;
    assert_eq!(refused.status(), 403);
    assert!(refused.headers()["www-authenticate"].to_str().unwrap().contains("insufficient_scope"));
    let body: Value = refused.json().await.unwrap();
    assert_eq!(body["error"]["status"], "PERMISSION_DENIED");
    assert!(body["error"]["message"].as_str().unwrap().contains("scope admin"), "{body}");
    assert_eq!(ask(&server, Method::POST, "/download-models", Some("sk-admin")).await.status(), 200);
    assert_eq!(ask(&server, Method::GET, "/nowhere", Some("sk-admin")).await.status(), 404);
}

#[tokio::test]
async fn a_key_may_come_in_the_headers_of_other_tools() {
    let server = locked().start();
    for (name, value) in [("x-api-key", "sk-user"), ("api-key", "sk-user"), ("authorization", "bearer sk-user")] {
        let answer = server.client.get(server.url("/v1/models")).header(name, value).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{name}");
    }
}

/// A gateway in front may have taken `Authorization` for itself, and passes it on.
#[tokio::test]
async fn a_token_for_somebody_else_does_not_hide_a_key_and_the_first_known_key_counts() {
    let server = locked().start();
    let ask = async |method: Method, path: &str, bearer: &str, key: &str| {
        let request = server.client.request(method, server.url(path)).bearer_auth(bearer).header("x-api-key", key);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(ask(Method::GET, "/v1/models", "a-token-of-a-gateway", "sk-user").await, 200);
    assert_eq!(ask(Method::GET, "/v1/models", "sk-user", "a-key-of-a-gateway").await, 200);
    assert_eq!(ask(Method::GET, "/v1/models", "sk-nobody", "sk-nobody2").await, 401);
    assert_eq!(ask(Method::POST, "/download-models", "sk-user", "sk-admin").await, 403);
    assert_eq!(ask(Method::POST, "/download-models", "sk-admin", "sk-user").await, 200);
}

#[tokio::test]
async fn metrics_can_be_opened_alone() {
    let server = locked().env("SCONCE_ACCESS__OPEN_METRICS", "true").start();
    assert_eq!(ask(&server, Method::GET, "/models/status", None).await.status(), 401);
    assert_eq!(server.metric("sconce_refused_total", &[("key", ""), ("reason", "no_key")]).await, 1.0);
    assert_eq!(server.metric("sconce_keys", &[]).await, 2.0);
}

#[tokio::test]
async fn on_vertex_administration_is_closed_unless_opened() {
    let closed = Server::builder().env("AIP_MODE", "PREDICTION").start();
    assert_eq!(ask(&closed, Method::POST, "/download-models", None).await.status(), 403);
    let opened = locked().env("AIP_MODE", "PREDICTION").env("SCONCE_HTTP__ADMIN", "true").start();
    assert_eq!(ask(&opened, Method::POST, "/download-models", Some("sk-user")).await.status(), 403);
    assert_eq!(ask(&opened, Method::POST, "/download-models", Some("sk-admin")).await.status(), 200);
}

#[tokio::test]
async fn a_key_sees_its_own_jobs_and_an_administrator_all() {
    let keys = "[[keys]]\nname = \"ann\"\nkey = \"sk-ann\"\n[[keys]]\nname = \"bob\"\nkey = \"sk-bob\"\n";
    let file = KeyFile::new(keys);
    let server = locked().env("SCONCE_ACCESS__FILE", &file.path()).start();
    let audio = recording("turn-on-the-kitchen-lights.wav");
    let request = server.client.post(server.url("/v1/jobs")).bearer_auth("sk-ann");
    let job: Value =
        request.header("content-type", "audio/wav").body(audio).send().await.unwrap().json().await.unwrap();
    let path = format!("/v1/jobs/{}", job["id"].as_str().unwrap());
    for (key, status, listed) in [("sk-bob", 404, 0), ("sk-user", 404, 0), ("sk-ann", 200, 1), ("sk-admin", 200, 1)] {
        for path in [path.clone(), format!("{path}/events")] {
            let answer = ask(&server, Method::GET, &path, Some(key)).await;
            assert_eq!(answer.status(), status, "{key} {path}");
            // Events end with the job.
            answer.bytes().await.unwrap();
        }
        let list: Value = ask(&server, Method::GET, "/v1/jobs", Some(key)).await.json().await.unwrap();
        assert_eq!(list["jobs"].as_array().unwrap().len(), listed, "{key}");
    }
    assert_eq!(ask(&server, Method::DELETE, &path, Some("sk-bob")).await.status(), 404);
    assert_eq!(ask(&server, Method::DELETE, &path, Some("sk-ann")).await.status(), 204, "it had ended");
}

#[tokio::test]
async fn a_key_that_sends_too_many_requests_is_told_when_to_come_back() {
    let server =
        locked().env("SCONCE_ACCESS__REQUESTS_PER_MINUTE", "2").env("SCONCE_ACCESS__OPEN_METRICS", "true").start();
    let predict = |key: &'static str| ask(&server, Method::POST, "/predict", Some(key));
    for _ in 0..2 {
        assert_eq!(predict("sk-user").await.status(), 415, "let in, and then looked at");
    }
    let refused = predict("sk-user").await;
    assert_eq!(refused.status(), 429);
    let seconds: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    assert_eq!(predict("sk-admin").await.status(), 415, "each key has its own allowance");
    assert_eq!(ask(&server, Method::GET, "/v1/models", Some("sk-user")).await.status(), 200, "looking costs nothing");
    assert_eq!(server.metric("sconce_refused_total", &[("reason", "requests")]).await, 1.0);
    assert_eq!(server.metric("sconce_key_requests_total", &[]).await, 4.0);
}

#[tokio::test]
async fn audio_beyond_the_allowance_is_refused_before_work_starts() {
    let keys = KeyFile::new("[[keys]]\nname = 'team'\nkey = 'sk-team'\naudio_seconds_per_minute = 5\n");
    let server =
        Server::builder().env("SCONCE_ACCESS__FILE", &keys.path()).env("SCONCE_ACCESS__OPEN_METRICS", "true").start();
    let long = transcribe(&server, "sk-team", sound::silence(6.0)).await;
    assert_eq!(long.status(), 413, "more than the allowance can ever hold");
    let status: Value = ask(&server, Method::GET, "/models/status", Some("sk-team")).await.json().await.unwrap();
    assert_eq!(status["models"][NANO]["status"], "not_loaded", "no model was brought in for it");

    assert_eq!(transcribe(&server, "sk-team", sound::silence(4.0)).await.status(), 200);
    let refused = transcribe(&server, "sk-team", sound::silence(4.0)).await;
    assert_eq!(refused.status(), 429);
    assert!(refused.headers().contains_key("retry-after"));
    let body: Value = refused.json().await.unwrap();
    assert_eq!((&body["error"]["type"], &body["error"]["param"]), (&json!("rate_limit_error"), &json!("audio")));
    assert_eq!(server.metric("sconce_key_audio_seconds_total", &[("key", "team")]).await, 4.0);
}

#[tokio::test]
async fn characters_beyond_the_allowance_are_refused_before_work_starts() {
    let keys = KeyFile::new("[[keys]]\nname = 'team'\nkey = 'sk-team'\ncharacters_per_minute = 20\n");
    let server =
        Server::builder().env("SCONCE_ACCESS__FILE", &keys.path()).env("SCONCE_ACCESS__OPEN_METRICS", "true").start();
    let speak = async |text: &str| {
        let request = server.client.post(server.url("/v1/audio/speech")).bearer_auth("sk-team");
        request.json(&json!({"model": "tts-1", "input": text, "voice": "alloy"})).send().await.unwrap()
    };
    let long = speak("This is a sentence of more characters than that.").await;
    assert_eq!(long.status(), 413, "more than the allowance can ever hold");
    assert_eq!(speak("Good evening.").await.status(), 200);
    let refused = speak("Good evening.").await;
    assert_eq!(refused.status(), 429);
    assert!(refused.headers().contains_key("retry-after"));
    assert!(refused.text().await.unwrap().contains("characters"));
    assert_eq!(server.metric("sconce_key_characters_total", &[("key", "team")]).await, 13.0);
    assert_eq!(server.metric("sconce_refused_total", &[("reason", "characters")]).await, 2.0);
}

/// A request whose body does not end.
fn half_a_request(server: &Server) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).unwrap();
    let head = "POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: audio/wav\r\nContent-Length: 1000\r\n\r\nRIFF";
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

/// A request that holds the only place: one that comes while a test's own question does would be refused.
async fn hold(server: &Server) -> TcpStream {
    let start = Instant::now();
    loop {
        let slow = half_a_request(server);
        tokio::time::sleep(Duration::from_millis(50)).await;
        if ask(server, Method::POST, "/predict", None).await.status() == 429 {
            return slow;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "never refused");
    }
}

#[tokio::test]
async fn requests_under_way_are_bounded_and_probes_are_not_among_them() {
    let server = Server::builder().env("SCONCE_LIMITS__CONCURRENCY", "1").start();
    let slow = hold(&server).await;
    assert_eq!(server.get("/health").await.status(), 200);
    assert_eq!(server.get("/models/status").await.status(), 200);
    drop(slow);
    let start = Instant::now();
    while ask(&server, Method::POST, "/predict", None).await.status() != 415 {
        assert!(start.elapsed() < Duration::from_secs(20), "the place never became free");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_changed_file_of_keys_is_taken_over_and_a_broken_one_is_not() {
    let key = |name: &str| format!("[[keys]]\nname = 'team'\nkey = '{name}'\n");
    let keys = KeyFile::new(&key("sk-old"));
    let server = Server::builder()
        .env("SCONCE_ACCESS__FILE", &keys.path())
        .env("SCONCE_ACCESS__OPEN_METRICS", "true")
        .env("SCONCE_SERVER__RELOAD", "20ms")
        .start();
    let status = |key: &'static str| {
        let server = &server;
        async move { ask(server, Method::GET, "/v1/models", Some(key)).await.status() }
    };
    assert_eq!(status("sk-old").await, 200);
    keys.write("[[keys]]\nname = ");
    while server.metric("sconce_key_reloads_total", &[("outcome", "broken")]).await == 0.0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(status("sk-old").await, 200);
    keys.write(&key("sk-new"));
    while status("sk-new").await != 200 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(status("sk-old").await, 401);
}

#[tokio::test]
async fn pages_of_other_origins_are_let_in_only_where_it_is_configured() {
    const ORIGIN: &str = "https://app.example";
    let preflight = |server: &Server| {
        let request = server.client.request(Method::OPTIONS, server.url("/v1/audio/transcriptions"));
        let request = request.header("origin", ORIGIN).header("access-control-request-method", "POST");
        request.header("access-control-request-headers", "authorization").send()
    };
    let allows = |answer: &Response| answer.headers().get("access-control-allow-origin").cloned();
    let closed = Server::start();
    assert_eq!(allows(&preflight(&closed).await.unwrap()), None);

    let opened = locked().env("SCONCE_HTTP__CORS_ORIGINS", ORIGIN).start();
    let answer = preflight(&opened).await.unwrap();
    assert_eq!((answer.status().as_u16(), allows(&answer).unwrap().to_str().unwrap()), (200, ORIGIN));
    let refused = opened.client.get(opened.url("/v1/models")).header("origin", ORIGIN).send().await.unwrap();
    assert_eq!((refused.status().as_u16(), allows(&refused).unwrap().to_str().unwrap()), (401, ORIGIN));
    let other = opened.client.get(opened.url("/health")).header("origin", "https://evil.example").send().await.unwrap();
    assert_eq!(allows(&other), None);
}

/// A certificate for `localhost`, and its key.
fn certificate(folder: &std::path::Path) -> reqwest::Certificate {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(folder.join("tls.crt"), made.cert.pem()).unwrap();
    std::fs::write(folder.join("tls.key"), made.signing_key.serialize_pem()).unwrap();
    reqwest::Certificate::from_pem(made.cert.pem().as_bytes()).unwrap()
}

/// `GET /health` over HTTPS, by who trusts this certificate alone, on a connection of its own.
async fn secure_health(server: &Server, trusted: reqwest::Certificate) -> Option<u16> {
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([trusted]).resolve("localhost", server.address);
    let client = client.timeout(Duration::from_secs(20)).build().unwrap();
    let url = format!("https://localhost:{}/health", server.address.port());
    client.get(url).send().await.ok().map(|answer| answer.status().as_u16())
}

#[tokio::test]
async fn https_is_served_with_the_configured_certificate_and_with_a_new_one_once_it_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let first = certificate(folder.path());
    let path = |name: &str| folder.path().join(name).display().to_string();
    let server = Server::builder()
        .env("SCONCE_TLS__CERTIFICATE", &path("tls.crt"))
        .env("SCONCE_TLS__KEY", &path("tls.key"))
        .env("SCONCE_SERVER__RELOAD", "20ms")
        .start();
    assert_eq!(secure_health(&server, first.clone()).await, Some(200));
    let mut plain = TcpStream::connect(server.address).unwrap();
    plain.write_all(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut said = Vec::new();
    let _ = plain.read_to_end(&mut said);
    assert!(!said.starts_with(b"HTTP/"), "plain HTTP is answered by no page");

    let second = certificate(folder.path());
    while secure_health(&server, second.clone()).await.is_none() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(secure_health(&server, first).await, None);
}

/// The status of a request for a preset that the configuration does not name; the hub is closed, so that none comes.
async fn asks_for_a_preset(server: ServerBuilder, key: Option<&str>) -> (u16, Vec<String>) {
    let server = server.env("HF_HUB_OFFLINE", "1").start();
    let with_key = |request: reqwest::RequestBuilder| key.iter().fold(request, |request, key| request.bearer_auth(key));
    let asked = server.client.post(server.url("/v1/audio/transcriptions"));
    let asked = with_key(asked.multipart(form(sound::silence(1.0), "openai/whisper-tiny", &[]))).send().await.unwrap();
    let known = with_key(server.client.get(server.url("/models/status"))).send().await.unwrap();
    let known: Value = known.json().await.unwrap();
    (asked.status().as_u16(), known["models"].as_object().unwrap().keys().cloned().collect())
}

#[tokio::test]
async fn where_there_are_keys_only_configured_models_can_be_asked_for() {
    let open = Server::builder();
    assert_eq!(asks_for_a_preset(open, None).await.0, 503, "known, and not to be had without the hub");

    let (status, known) = asks_for_a_preset(locked(), Some("sk-user")).await;
    assert_eq!(status, 404);
    assert!(known.iter().all(|name| name.starts_with("sconce/")), "{known:?}");
    assert!(known.contains(&NANO.to_owned()), "{known:?}");

    let named = locked().env("MODEL_ID", "embedded,openai/whisper-tiny");
    assert_eq!(asks_for_a_preset(named, Some("sk-user")).await.0, 503);
    let opened = locked().env("SCONCE_MODELS__ONLY_CONFIGURED", "false");
    assert_eq!(asks_for_a_preset(opened, Some("sk-user")).await.0, 503);

    let vertex = Server::builder().env("AIP_MODE", "PREDICTION");
    assert_eq!(asks_for_a_preset(vertex, None).await.0, 404);
    let closed = Server::builder().env("SCONCE_MODELS__ONLY_CONFIGURED", "true");
    assert_eq!(asks_for_a_preset(closed, None).await.0, 404);
}
