//! What the services before this one promised about loading, switching and updating, sentence by sentence.

use std::time::{Duration, Instant};

use base64::{Engine, engine::general_purpose::STANDARD};
use futures::future::join_all;
use serde_json::{Value, json};

use crate::{
    recordings::words,
    support::{Server, ServerBuilder, hub::Hub, publish_nano, recording, sound::silence},
};

const ONE: &str = "acme/one";
const TWO: &str = "acme/two";
const WAV: &str = "turn-on-the-kitchen-lights.wav";

fn hub(models: &[&str]) -> Hub {
    let hub = Hub::start();
    models.iter().for_each(|model| publish_nano(&hub, model));
    hub
}

fn serving(hub: &Hub, mode: &str, models: &str) -> ServerBuilder {
    Server::builder().hub(hub).env("LOAD_MODE", mode).env("MODEL_ID", models)
}

async fn heard(server: &Server, model: &str, fields: &[(&str, &str)]) -> Vec<String> {
    let answer = server.transcribe(recording(WAV), model, fields).await;
    assert_eq!(answer.status(), 200, "{model}: {}", answer.text().await.unwrap());
    words(answer.json::<Value>().await.unwrap()["text"].as_str().unwrap())
}

async fn model(server: &Server, name: &str) -> Value {
    server.get_json("/models/status").await["models"][name].clone()
}

/// Other files, so another commit: the next version of the model.
fn publish_next(hub: &Hub, model: &str) -> String {
    let repo = hub.repo(model).file("README.md", format!("after {}", hub.repo(model).commit()));
    repo.commit()
}

#[tokio::test]
async fn the_default_model_is_loaded_at_start_and_the_first_request_does_not_wait() {
    let hub = hub(&[ONE, TWO]);
    let server = serving(&hub, "startup", "acme/one,acme/two").start();
    server.until("/health", 200).await;
    assert_eq!(model(&server, ONE).await["status"], "ready");
    assert_eq!(model(&server, TWO).await["status"], "not_loaded");
    let body = std::fs::read(crate::support::checkout("assets/recordings").join(WAV)).unwrap();
    let answer = server.post_bytes("/predict?wait=0", "audio/wav", body).await;
    assert_eq!(answer.status(), 200, "the default model is the one of a request that names none");
    assert_eq!(hub.downloads("model.safetensors"), 1);
}

#[tokio::test]
async fn an_unknown_model_is_an_error_that_lists_those_there_are() {
    let hub = hub(&[ONE]);
    let server = serving(&hub, "on_demand", ONE).start();
    let answer = server.transcribe(recording(WAV), "acme/three", &[]).await;
    assert_eq!(answer.status(), 404);
    let body: Value = answer.json().await.unwrap();
    let message = body["error"]["message"].as_str().unwrap();
    assert!(message.contains("acme/three") && message.contains(ONE), "{message}");
}

#[tokio::test]
async fn a_model_answers_to_its_name_with_and_without_the_organisation() {
    let hub = hub(&[ONE]);
    let server = serving(&hub, "on_demand", ONE).start();
    for name in ["one", "acme/one", "Acme/ONE"] {
        assert_eq!(heard(&server, name, &[]).await.len(), 5, "{name}");
    }
    assert_eq!(server.metric("sconce_model_load_seconds_count", &[("phase", "load")]).await, 1.0);
}

#[tokio::test]
async fn on_demand_is_healthy_with_nothing_loaded_and_the_first_request_brings_the_model() {
    let hub = hub(&[ONE]);
    let server = serving(&hub, "on_demand", ONE).start();
    let health = server.get_json("/health").await;
    assert_eq!((&health["status"], &health["models"]["status"]), (&json!("healthy"), &json!("not_loaded")));
    let instance = json!({"instances": [{"audio": base64(WAV)}]});
    let answer: Value = server.post_json("/predict", &instance).await.json().await.unwrap();
    assert_eq!(words(answer["predictions"][0]["text"].as_str().unwrap()).len(), 5, "{answer}");
    let requests = hub.requests();
    assert_eq!(server.post_json("/predict", &instance).await.status(), 200);
    assert_eq!(hub.requests(), requests, "later ones are served at once");
    assert_eq!(server.get_json("/health").await["models"]["status"], "ready");
}

#[tokio::test]
async fn startup_downloads_first_and_is_healthy_only_then() {
    let hub = hub(&[ONE]);
    hub.stall();
    let server = serving(&hub, "startup", ONE).start();
    server.until_status_of(ONE, "downloading").await;
    assert_eq!(server.get("/health").await.status(), 503);
    hub.release();
    server.until("/health", 200).await;
    let health = server.get_json("/health").await;
    assert_eq!((&health["status"], &health["models"]["status"]), (&json!("healthy"), &json!("ready")));
    assert_eq!(heard(&server, ONE, &[("wait", "0")]).await.len(), 5, "no request waits for a download");
}

#[tokio::test]
async fn a_download_can_be_asked_for_and_says_how_it_went() {
    let hub = hub(&[ONE]);
    let server = serving(&hub, "on_demand", ONE).start();
    let answer = server.post_json("/download-models", &json!({})).await;
    assert_eq!(answer.status(), 200);
    let body: Value = answer.json().await.unwrap();
    assert_eq!((&body["status"], &body["message"]), (&json!("success"), &json!("ready: acme/one")));
    assert_eq!(model(&server, ONE).await["status"], "ready");
}

#[tokio::test]
async fn concurrent_requests_cause_one_download_and_a_failed_one_can_be_tried_again() {
    let hub = hub(&[ONE]);
    hub.fail_next(usize::MAX, 500, None);
    let server = serving(&hub, "on_demand", ONE).env("SCONCE_STORE__ATTEMPTS", "1").start();
    let ask = || server.transcribe(recording(WAV), ONE, &[]);
    let in_a_hurry = || server.transcribe(recording(WAV), ONE, &[("wait", "0.4")]);
    for answer in join_all((0..4).map(|_| in_a_hurry())).await {
        assert_eq!(answer.status(), 503);
    }
    assert!(model(&server, ONE).await["error"]["message"].as_str().unwrap().contains("500"));
    hub.heal();
    assert_eq!(server.post_json("/download-models", &json!({})).await.status(), 200);
    for answer in join_all((0..4).map(|_| ask())).await {
        assert_eq!(answer.status(), 200);
    }
    assert_eq!(hub.downloads("model.safetensors"), 1);
}

#[tokio::test]
async fn a_model_is_updated_while_the_server_runs() {
    let hub = hub(&[ONE]);
    let server = serving(&hub, "on_demand", ONE).start();
    heard(&server, ONE, &[]).await;
    let before = model(&server, ONE).await["revision"].clone();
    let next = publish_next(&hub, ONE);
    assert_ne!(before, json!(next));
    assert_eq!(server.post_json("/download-models", &json!({"models": [ONE]})).await.status(), 200);
    assert_eq!(model(&server, ONE).await["revision"], before, "nobody asked for an update");

    let answer = server.post_json("/download-models", &json!({"models": [ONE], "update": true})).await;
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    assert_eq!(model(&server, ONE).await["revision"], json!(next));
    assert_eq!(heard(&server, ONE, &[("wait", "0")]).await.len(), 5);
    assert_eq!(server.metric("sconce_model_updates_total", &[("outcome", "done")]).await, 1.0);

    let back = json!({"models": [{"name": ONE, "revision": before}]});
    assert_eq!(server.post_json("/download-models", &back).await.status(), 200);
    assert_eq!(model(&server, ONE).await["revision"], before, "and back to a commit");
    server.post_json("/download-models", &json!({"models": [ONE], "update": true})).await;
    assert_eq!(model(&server, ONE).await["revision"], json!(next), "and to the branch of the configuration");
}

#[tokio::test]
async fn an_update_goes_on_beside_requests_and_is_seen_on_its_way() {
    let hub = hub(&[ONE]);
    let server = serving(&hub, "on_demand", ONE).start();
    heard(&server, ONE, &[]).await;
    let before = model(&server, ONE).await["revision"].clone();
    let next = publish_next(&hub, ONE);
    hub.stall();
    let wanted = json!({"models": [{"name": ONE, "revision": next}], "wait": false});
    let answer = server.post_json("/download-models", &wanted).await;
    assert_eq!(answer.status(), 202, "{}", answer.text().await.unwrap());
    let status = model(&server, ONE).await;
    assert_eq!((&status["status"], &status["revision"]), (&json!("ready"), &before));
    assert_eq!((&status["update"]["status"], &status["update"]["revision"]), (&json!("downloading"), &json!(next)));
    assert_eq!(heard(&server, ONE, &[("wait", "0")]).await.len(), 5);
    hub.release();
    let answer = server.post_json("/download-models", &json!({"models": [{"name": ONE, "revision": next}]})).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(model(&server, ONE).await["revision"], json!(next));
}

#[tokio::test]
async fn an_update_that_fails_says_why_and_changes_nothing() {
    let hub = hub(&[ONE]);
    let server = serving(&hub, "on_demand", ONE).start();
    heard(&server, ONE, &[]).await;
    let before = model(&server, ONE).await["revision"].clone();
    let answer = server.post_json("/download-models", &json!({"models": [{"name": ONE, "revision": "v9"}]})).await;
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["x-should-retry"], "false");
    let text = answer.text().await.unwrap();
    assert!(text.contains("was not updated, and serves as before"), "{text}");
    let status = model(&server, ONE).await;
    assert_eq!((&status["status"], &status["revision"]), (&json!("ready"), &before));
    assert_eq!((&status["update"]["status"], &status["update"]["revision"]), (&json!("failed"), &json!("v9")));
    assert_eq!(heard(&server, ONE, &[("wait", "0")]).await.len(), 5);
}

#[tokio::test]
async fn a_revision_that_cannot_be_is_refused_and_named() {
    let hub = hub(&[ONE]);
    let server = serving(&hub, "on_demand", "acme/one,whisper-nano.en").start();
    let refused = async |body: Value| {
        let answer = server.post_json("/download-models", &body).await;
        assert_eq!(answer.status(), 400, "{body}");
        answer.text().await.unwrap()
    };
    let of = |name: &str, revision: &str| json!({"models": [{"name": name, "revision": revision}]});
    assert!(refused(of(ONE, "../x")).await.contains("no revision"));
    assert!(refused(of("whisper-nano.en", "v2")).await.contains("has no revisions"));
    assert!(refused(json!({"models": [{"name": ONE, "revison": "v2"}]})).await.contains("a model is a name, or"));
    assert!(refused(json!({"models": [ONE, {"name": ONE, "revision": "v2"}]})).await.contains("two revisions"));
    assert!(refused(json!({"models": [ONE], "update": true, "load": false})).await.contains("in memory"));
}

#[tokio::test]
async fn a_failed_preload_is_a_warning_and_the_model_is_lazy_if_that_is_wanted() {
    let hub = hub(&[ONE]);
    hub.fail_next(usize::MAX, 500, None);
    let builder = serving(&hub, "startup", ONE).env("SCONCE_STORE__ATTEMPTS", "1");
    let server = builder.env("SCONCE_ON_PRELOAD_FAILURE", "lazy").start();
    server.until("/health", 200).await;
    assert_eq!(model(&server, ONE).await["status"], "failed");
    hub.heal();
    // A request before it is time to try again is told when that is.
    loop {
        let answer = server.transcribe(recording(WAV), ONE, &[("wait", "0")]).await;
        if answer.status() == 200 {
            break;
        }
        assert!(answer.headers().contains_key("retry-after"));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_switch_that_fails_brings_back_what_served() {
    let hub = hub(&[ONE]);
    let broken = hub.repo(TWO);
    let nano =
        |file: &str| std::fs::read(crate::support::checkout("assets/models/whisper-nano.en").join(file)).unwrap();
    let small = ["config.json", "generation_config.json", "tokenizer.json", "preprocessor_config.json"];
    let broken = small.into_iter().fold(broken, |repo, file| repo.file(file, nano(file)));
    // All that a header says is there; that a tensor is no number shows when it is loaded.
    let mut weights = nano("model.safetensors");
    let at = weights.windows(5).position(|part| part == b"conv1").unwrap();
    weights[at] = b'k';
    broken.lfs("model.safetensors", weights);
    let server = serving(&hub, "on_demand", "acme/one,acme/two").env("SCONCE_MEMORY__MAX_RESIDENT", "1").start();
    heard(&server, ONE, &[]).await;
    let answer = server.transcribe(recording(WAV), TWO, &[]).await;
    assert_eq!(answer.status(), 503);
    server.until_status_of(ONE, "ready").await;
    assert_eq!(model(&server, TWO).await["status"], "failed");
    assert_eq!(heard(&server, ONE, &[]).await.len(), 5);
}

#[tokio::test]
async fn requests_for_two_models_in_the_memory_of_one_are_served_together() {
    let hub = hub(&[ONE, TWO]);
    let builder = serving(&hub, "on_demand", "acme/one,acme/two").env("SCONCE_MEMORY__MAX_RESIDENT", "1");
    let server = builder.env("SCONCE_MEMORY__ROOM_PATIENCE", "60s").start();
    for model in [ONE, TWO] {
        server.post_json("/download-models", &json!({"models": [model], "load": false})).await;
    }
    let asked = (0..8).map(|at| heard(&server, if at % 2 == 0 { ONE } else { TWO }, &[]));
    assert!(join_all(asked).await.iter().all(|words| words.len() == 5));
    let switches = server.metric("sconce_model_switches_total", &[]).await;
    assert!(switches <= 3.0, "{switches} switches for eight requests");
}

#[tokio::test]
async fn a_request_says_how_long_its_model_stays() {
    let server = Server::start();
    let nano = "sconce/whisper-nano.en";
    let predict = async |keep_alive: Value| {
        let body = json!({"instances": [{"audio": base64(WAV)}], "parameters": {"keep_alive": keep_alive}});
        server.post_json("/predict", &body).await
    };
    assert_eq!(predict(json!("10m")).await.status(), 200);
    let expires = loop {
        // The lease ends a moment after the answer.
        match model(&server, nano).await["expires_in_seconds"].as_f64() {
            Some(expires) => break expires,
            None => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    };
    assert!((500.0..=600.0).contains(&expires), "{expires}");
    assert_eq!(predict(json!(-1)).await.status(), 200);
    assert!(model(&server, nano).await["expires_in_seconds"].is_null());
    assert_eq!(predict(json!(0)).await.status(), 200);
    server.until_status_of(nano, "not_loaded").await;

    let refused = predict(json!("soon")).await;
    assert_eq!(refused.status(), 400);
    let text = refused.text().await.unwrap();
    assert!(text.contains("keep_alive") && text.contains("5m"), "{text}");
    let raw = server.post_bytes("/predict?keep_alive=0", "audio/wav", recording(WAV)).await;
    assert_eq!(raw.status(), 200, "also in a query");
    server.until_status_of(nano, "not_loaded").await;
}

#[tokio::test]
async fn who_may_not_unload_a_model_cannot_do_so_by_the_time_that_it_is_to_stay() {
    let nano = "sconce/whisper-nano.en";
    let closed = Server::builder().env("SCONCE_HTTP__ADMIN", "false").start();
    let raw = closed.post_bytes("/predict?keep_alive=0", "audio/wav", recording(WAV)).await;
    assert_eq!(raw.status(), 200);
    assert_eq!(model(&closed, nano).await["status"], "ready");
    assert!(model(&closed, nano).await["expires_in_seconds"].as_f64().is_none_or(|seconds| seconds > 1.0));

    let keys = Server::builder().env("SCONCE_ACCESS__KEYS", "infer").env("SCONCE_ACCESS__ADMIN_KEYS", "admin").start();
    let ask = async |key: &str| {
        let request = keys.client.post(keys.url("/predict?keep_alive=0")).bearer_auth(key);
        request.header("content-type", "audio/wav").body(recording(WAV)).send().await.unwrap().status()
    };
    let status = async || {
        let request = keys.client.get(keys.url("/models/status")).bearer_auth("admin");
        request.send().await.unwrap().json::<Value>().await.unwrap()["models"][nano]["status"].clone()
    };
    assert_eq!((ask("infer").await.as_u16(), status().await), (200, json!("ready")));
    assert_eq!(ask("admin").await, 200);
    while status().await != "not_loaded" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn it_is_said_alike_by_every_protocol() {
    let nano = "sconce/whisper-nano.en";
    let cold =
        Server::builder().env("MODEL_ID", "whisper-nano.en").env("SCONCE_MODELS__WHISPER_NANO_EN__WARM_UP", "false");
    let server = cold.start();
    let (wav, sound) = (silence(0.2), STANDARD.encode(silence(0.2)));
    let tensor = json!({"name": "audio", "shape": [1], "datatype": "BYTES", "data": [sound]});
    let asks = [
        ("/predict", json!({"instances": [{"audio": sound}], "parameters": {"keep_alive": "10m"}})),
        ("/predict", json!({"audio": sound, "keep_alive": "20m"})),
        ("/invocations", json!({"audio": sound, "keep_alive": "30m"})),
        ("/v2/models/whisper-nano.en/infer", json!({"inputs": [tensor], "parameters": {"keep_alive": "40m"}})),
        ("/v1/jobs", json!({"audio": sound, "keep_alive": "50m"})),
        ("/v1/audio/transcriptions", Value::Null),
    ];
    let speech = json!({"model": "tts-1", "input": "Hi.", "voice": "lark", "keep_alive": "5m", "wait": 60});
    for (path, body) in [
        ("/v1/audio/speech", speech),
        ("/generate", json!({"text": "Hi.", "model": "lark.en", "keep_alive": 300, "wait": 60})),
    ] {
        assert_eq!(server.post_json(path, &body).await.status(), 200, "{path}");
        let start = Instant::now();
        while !model(&server, "sconce/lark.en").await["expires_in_seconds"].as_f64().is_some_and(|left| left > 200.0) {
            assert!(start.elapsed() < Duration::from_secs(60), "{path}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    for (at, (path, body)) in asks.iter().enumerate() {
        let answer = match body {
            Value::Null => server.transcribe(wav.clone(), nano, &[("keep_alive", "60m")]).await,
            body => server.post_json(path, body).await,
        };
        assert!(answer.status().is_success(), "{path}: {}", answer.text().await.unwrap());
        // A job's answer comes before its end, and a lease may end a moment after its answer.
        let (start, kept) = (Instant::now(), 600.0 * (at + 1) as f64);
        loop {
            let expires = model(&server, nano).await["expires_in_seconds"].take();
            if expires.as_f64().is_some_and(|expires| (kept - 300.0..=kept).contains(&expires)) {
                break;
            }
            assert!(start.elapsed() < Duration::from_secs(60), "{path}: it stays for {expires}, not for {kept}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn base64(name: &str) -> String {
    STANDARD.encode(recording(name))
}
