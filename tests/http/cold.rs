//! A model that is not there yet.

use std::time::{Duration, Instant};

use base64::{Engine, prelude::BASE64_STANDARD};
use futures::future::join_all;
use serde_json::{Value, json};

use crate::{
    recordings::words,
    support::{Server, ServerBuilder, hub::Hub, publish_nano, recording, server::form, sound},
};

const MODEL: &str = "acme/nano";
const WAV: &str = "turn-on-the-kitchen-lights.wav";
const FILES: [&str; 5] =
    ["config.json", "generation_config.json", "tokenizer.json", "preprocessor_config.json", "model.safetensors"];

fn hub() -> Hub {
    let hub = Hub::start();
    publish_nano(&hub, MODEL);
    hub
}

fn on_demand(hub: &Hub) -> ServerBuilder {
    Server::builder().hub(hub).env("LOAD_MODE", "on_demand").env("MODEL_ID", MODEL)
}

#[tokio::test]
async fn a_hundred_first_requests_are_all_answered_and_cause_one_download_and_one_load() {
    let hub = hub();
    let server = on_demand(&hub).start();
    let body = server.get_json("/health").await;
    assert_eq!((&body["status"], &body["models"]["status"]), (&json!("healthy"), &json!("not_loaded")));
    let one = || async {
        let answer = server.transcribe(recording(WAV), MODEL, &[]).await;
        assert_eq!(answer.status(), 200);
        words(answer.json::<Value>().await.unwrap()["text"].as_str().unwrap())
    };
    // However slow the machine is: nothing comes before all of them wait for it.
    hub.stall();
    let release = async {
        while server.get_json("/models/status").await["models"][MODEL]["waiting"] != 100 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        hub.release();
    };
    let (all, ()) = tokio::join!(join_all((0..100).map(|_| one())), release);
    for heard in all {
        assert_eq!(heard, ["turn", "on", "the", "kitchen", "lights"]);
    }
    for file in FILES {
        assert_eq!(hub.downloads(file), 1, "{file}");
    }
    assert_eq!(server.metric("sconce_model_load_seconds_count", &[("phase", "load")]).await, 1.0);
    assert_eq!(server.metric("sconce_requests_total", &[("outcome", "ok"), ("model", MODEL)]).await, 100.0);
}

#[tokio::test]
async fn a_download_beforehand_leaves_nothing_to_wait_for() {
    let hub = hub();
    let server = on_demand(&hub).start();
    let answer = server.post_json("/download-models", &json!({"models": [MODEL]})).await;
    assert_eq!(answer.status(), 200);
    let body: Value = answer.json().await.unwrap();
    assert_eq!((&body["status"], &body["models"][MODEL]["status"]), (&json!("success"), &json!("ready")));
    let requests = hub.requests();
    let answer = server.transcribe(recording(WAV), MODEL, &[("wait", "0")]).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(hub.requests(), requests, "the request went to the hub again");
}

#[tokio::test]
async fn a_download_that_is_not_waited_for_is_accepted() {
    let hub = hub();
    hub.stall();
    let server = on_demand(&hub).start();
    let answer = server.post_json("/download-models", &json!({"wait": false})).await;
    assert_eq!(answer.status(), 202);
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["status"], "accepted");
    hub.release();
    server.until_status_of(MODEL, "ready").await;
}

#[tokio::test]
async fn a_download_shows_its_phase_and_where_the_files_came_from() {
    let hub = hub();
    hub.stall_large();
    let server = on_demand(&hub).start();
    server.post_json("/download-models", &json!({"wait": false, "load": false})).await;
    let model = || async { server.get_json("/models/status").await["models"][MODEL].clone() };
    while model().await["progress"]["phase"] != "downloading" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    hub.release();
    while model().await["fetched"] != true {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let part = &model().await["parts"]["model"];
    let (commit, source) = (hub.repo(MODEL).commit(), format!("hf://{MODEL}@main"));
    assert_eq!(*part, json!({"source": source, "commit": commit, "from": "network"}));
}

#[tokio::test]
async fn files_alone_can_be_fetched() {
    let hub = hub();
    let server = on_demand(&hub).start();
    let answer: Value = server.post_json("/download-models", &json!({"load": false})).await.json().await.unwrap();
    assert_eq!(answer["models"][MODEL]["fetched"], true, "{answer}");
    assert_ne!(answer["models"][MODEL]["status"], "ready");
}

#[tokio::test]
async fn who_does_not_wait_is_told_when_to_come_back() {
    let hub = hub();
    hub.stall();
    let server = on_demand(&hub).start();
    let start = Instant::now();
    for fields in [&[("wait", "0")][..], &[("wait", "0.2")]] {
        let answer = server.transcribe(recording(WAV), MODEL, fields).await;
        assert_eq!(answer.status(), 503);
        assert!(answer.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1);
        assert!(answer.headers()["retry-after-ms"].to_str().unwrap().parse::<u64>().unwrap() >= 1);
        assert_eq!(answer.headers()["x-should-retry"], "true");
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["error"]["code"], "model_loading");
        assert_eq!(body["error"]["status_url"], "/models/status");
        assert!(body["error"]["message"].as_str().unwrap().contains("/models/status"), "{body}");
    }
    assert!(start.elapsed() < Duration::from_secs(20), "the callers waited for the stalled hub");
    hub.release();
    assert_eq!(server.transcribe(recording(WAV), MODEL, &[]).await.status(), 200);
}

#[tokio::test]
async fn a_hub_that_fails_is_reported_and_recovered_from() {
    let hub = hub();
    hub.fail_next(usize::MAX, 500, None);
    let server = on_demand(&hub).env("SCONCE_STORE__ATTEMPTS", "1").start();
    let hurry = [("wait", "0.4")];
    let answer = server.transcribe(recording(WAV), MODEL, &hurry).await;
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));
    let body: Value = answer.json().await.unwrap();
    assert!(body["error"]["message"].as_str().unwrap().contains("500"), "{body}");
    let requests = hub.requests();
    let again = server.transcribe(recording(WAV), MODEL, &[("wait", "0")]).await;
    assert_eq!((again.status().as_u16(), hub.requests()), (503, requests), "no request before it is time");
    hub.heal();
    let explicit = server.post_json("/download-models", &json!({})).await;
    assert_eq!(explicit.status(), 200, "{}", explicit.text().await.unwrap());
    assert_eq!(server.transcribe(recording(WAV), MODEL, &[]).await.status(), 200);
}

#[tokio::test]
async fn a_repository_that_does_not_exist_is_not_tried_again() {
    let hub = Hub::start();
    let server = Server::builder().hub(&hub).env("MODEL_ID", "acme/missing").start();
    let answer = server.transcribe(recording(WAV), "acme/missing", &[]).await;
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["x-should-retry"], "false");
    let requests = hub.requests();
    assert_eq!(server.transcribe(recording(WAV), "acme/missing", &[]).await.status(), 503);
    assert_eq!(hub.requests(), requests);
}

#[tokio::test]
async fn events_follow_a_model_on_its_way() {
    use futures::StreamExt;
    let hub = hub();
    let server = on_demand(&hub).start();
    let mut events = server.get("/models/events").await.bytes_stream();
    server.post_json("/download-models", &json!({"wait": false})).await;
    let mut text = String::new();
    let read = async {
        while !text.contains(r#""status":"ready""#) {
            text.push_str(std::str::from_utf8(&events.next().await.unwrap().unwrap()).unwrap());
        }
    };
    tokio::time::timeout(Duration::from_secs(60), read).await.unwrap();
    assert!(text.starts_with("data: {") && text.contains("downloading"), "{text}");
}

/// The status, what is said where the protocol has room for it, and whether a retry helps.
async fn refusal(answer: reqwest::Response) -> (u16, Value, Value) {
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let body: Value = answer.json().await.unwrap();
    let retry = json!(headers.get("x-should-retry").map(|value| value.to_str().unwrap()));
    (status, body, retry)
}

/// A request on each protocol that gives the whole answer so many seconds, by header or by field.
async fn in_every_protocol(server: &Server, seconds: &str, by_field: bool) -> Vec<reqwest::Response> {
    let field = by_field.then(|| seconds.parse::<f64>().unwrap());
    let header = |request: reqwest::RequestBuilder| match by_field {
        true => request,
        false => request.header("x-request-timeout", seconds),
    };
    let wav = BASE64_STANDARD.encode(recording(WAV));
    let fields: &[_] = if by_field { &[("timeout", seconds)] } else { &[] };
    let openai = server.client.post(server.url("/v1/audio/transcriptions"));
    let envelope = json!({"instances": [{"audio": wav}], "parameters": {"timeout": field}});
    let input = json!({"name": "audio", "shape": [1], "datatype": "BYTES", "data": [wav]});
    let micros = field.map(|seconds| (seconds * 1e6) as u64);
    let parameters = micros.map_or(json!({}), |micros| json!({"timeout": micros}));
    let infer = json!({"inputs": [input], "parameters": parameters});
    let native = json!({"audio": wav, "timeout": field});
    let requests = [
        openai.multipart(form(recording(WAV), MODEL, fields)),
        server.client.post(server.url("/predict")).json(&native),
        server.client.post(server.url("/predict")).json(&envelope),
        server.client.post(server.url("/v2/models/nano/infer")).json(&infer),
    ];
    join_all(requests.map(|request| async { header(request).send().await.unwrap() })).await
}

#[tokio::test]
async fn a_deadline_holds_for_the_whole_answer_in_every_protocol() {
    let hub = hub();
    hub.stall();
    let server = on_demand(&hub).start();
    for by_field in [true, false] {
        let start = Instant::now();
        let mut answers = in_every_protocol(&server, "0.5", by_field).await.into_iter().map(refusal);
        assert!(start.elapsed() >= Duration::from_millis(450), "they waited as long as they might");
        assert!(start.elapsed() < Duration::from_secs(20), "they waited for the stalled hub");
        let (status, body, _) = answers.next().unwrap().await;
        assert_eq!((status, &body["error"]["code"]), (504, &json!("deadline_exceeded")));
        let (status, body, _) = answers.next().unwrap().await;
        assert_eq!((status, &body["error"]["status"]), (504, &json!("DEADLINE_EXCEEDED")), "{body}");
        let (_, body, _) = answers.next().unwrap().await;
        assert!(body.to_string().contains("DEADLINE_EXCEEDED"), "{body}");
        // The Open Inference Protocol has no status of its own for it.
        assert_eq!(answers.next().unwrap().await.0, 503);
    }
    for wrong in ["soon", "-1", "NaN", "99999999"] {
        let request = server.client.post(server.url("/predict")).header("x-request-timeout", wrong);
        let (status, body, _) = refusal(request.json(&json!({"audio": "AAAA"})).send().await.unwrap()).await;
        assert_eq!(status, 400, "{wrong}: {body}");
        assert!(body["error"]["message"].as_str().unwrap().contains("X-Request-Timeout"), "{body}");
    }
    hub.release();
    server.until_status_of(MODEL, "downloading").await;
    for answer in in_every_protocol(&server, "60", false).await {
        assert_eq!(answer.status(), 200);
    }
}

#[tokio::test]
async fn what_a_model_needs_is_told_where_each_protocol_has_room_for_it() {
    let hub = hub();
    hub.stall();
    let server = on_demand(&hub).env("SCONCE_LIMITS__WAIT", "0s").start();
    let mut answers = in_every_protocol(&server, "60", false).await.into_iter().map(refusal);
    let (status, body, retry) = answers.next().unwrap().await;
    assert_eq!((status, &body["error"]["status_url"], retry), (503, &json!("/models/status"), json!("true")));
    let (status, body, retry) = answers.next().unwrap().await;
    let metadata = &body["error"]["details"][0]["metadata"];
    assert_eq!((status, &metadata["model"], retry), (503, &json!(MODEL), json!("true")));
    assert_eq!(metadata["status_url"], "/models/status");
    answers.next();
    let (status, body, _) = answers.next().unwrap().await;
    assert_eq!((status, &body["status_url"]), (503, &json!("/models/status")));
    assert!(body["error"].is_string(), "{body}");
    hub.release();
}

#[tokio::test]
async fn every_answer_says_which_replica_it_is_from() {
    let server = Server::builder().env("SCONCE_SERVER__NAME", "sconce-7").start();
    for (path, status) in [("/health", 200), ("/models/status", 200), ("/nowhere", 404), ("/predict", 405)] {
        let answer = server.get(path).await;
        assert_eq!(answer.status(), status, "{path}");
        assert_eq!(answer.headers()["x-sconce-server"], "sconce-7", "{path}");
    }
    assert_eq!(server.get_json("/health").await["server"], "sconce-7");
    assert_eq!(server.get_json("/models/status").await["server"], "sconce-7");
    let unnamed = Server::start();
    let name = unnamed.get_json("/health").await["server"].as_str().unwrap().to_owned();
    assert!(!name.is_empty());
    assert_eq!(unnamed.get("/ping").await.headers()["x-sconce-server"], name.as_str());
}

#[tokio::test]
async fn a_model_may_have_a_queue_of_its_own() {
    let server = Server::builder()
        .env("MODEL_ID", "whisper-nano.en")
        .env("SCONCE_MODELS__WHISPER_NANO_EN__QUEUE", "1")
        .env("SCONCE_MODELS__WHISPER_NANO_EN__MAX_BATCH", "1")
        .start();
    server.post_json("/download-models", &json!({})).await;
    let ask = |_| server.transcribe(sound::babble(20.0), "whisper-nano.en", &[]);
    let statuses: Vec<_> = join_all((0..8).map(ask)).await.iter().map(|answer| answer.status().as_u16()).collect();
    assert!(statuses.contains(&200) && statuses.contains(&429), "{statuses:?}");
}

#[tokio::test]
async fn a_budget_holds_without_being_asked_for() {
    let server = Server::builder().env("SCONCE_MEMORY__RESERVE", "900TB").start();
    let (status, body, retry) = refusal(server.transcribe(recording(WAV), "whisper-nano.en", &[]).await).await;
    assert_eq!((status, &body["error"]["code"], retry), (507, &json!("model_wont_fit"), json!("false")));
    let unbound = Server::builder().env("SCONCE_MEMORY__RESERVE", "900TB").env("SCONCE_MEMORY__BUDGET", "none").start();
    assert_eq!(unbound.transcribe(recording(WAV), "whisper-nano.en", &[]).await.status(), 200);
}
