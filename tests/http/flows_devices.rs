//! What the services before this one promised about many models on one machine, as far as Whispers can stand for
//! those: availability and names, volumes, what is loaded when, and where.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    Server, ServerBuilder,
    hub::Hub,
    publish_nano, recording,
    server::form,
    sound,
    whisper::{self, Numbers, Size},
};

const NANO: &str = "sconce/whisper-nano.en";
const WAV: &str = "turn-on-the-kitchen-lights.wav";
const WEIGHTS: &str = "model.safetensors";
const SMALL: Size = Size { width: 64, heads: 2, layers: 2, numbers: Numbers::F16 };

async fn models(server: &Server) -> Value {
    server.get_json("/models/status").await["models"].take()
}

/// Small models in folders of their own; none is warmed up.
fn folders(names: &[&str]) -> (ServerBuilder, TempDir) {
    let folder = TempDir::new().unwrap();
    let add = |builder: ServerBuilder, name: &&str| {
        whisper::write(&folder.path().join(name), SMALL);
        let (source, name) = (format!("file:{}", folder.path().join(name).display()), name.to_uppercase());
        let builder = builder.env(&format!("SCONCE_MODELS__{name}__SOURCE"), &source);
        builder.env(&format!("SCONCE_MODELS__{name}__WARM_UP"), "false")
    };
    (names.iter().fold(Server::builder(), add), folder)
}

/// One of them in the hub.
fn publish(hub: &Hub, name: &str, size: Size) {
    let folder = TempDir::new().unwrap();
    whisper::write(folder.path(), size);
    let read = |file: &str| fs::read(folder.path().join(file)).unwrap();
    let small = ["config.json", "generation_config.json", "tokenizer.json", "preprocessor_config.json"];
    let repo = small.into_iter().fold(hub.repo(name), |repo, file| repo.file(file, read(file)));
    repo.lfs(WEIGHTS, read(WEIGHTS));
}

/// A hub's cache that holds one model, as a volume or a layer of an image does.
async fn volume(hub: &Hub, model: &str) -> TempDir {
    let volume = TempDir::new().unwrap();
    let cache = volume.path().display().to_string();
    let server = Server::builder().hub(hub).env("HF_HUB_CACHE", &cache).env("MODEL_ID", model).start();
    let answer = server.post_json("/download-models", &json!({"models": [model], "load": false})).await;
    assert_eq!(answer.status(), 200);
    volume
}

// === one model at a time, many to choose from ===

#[tokio::test]
async fn every_model_says_whether_it_is_available() {
    let server = Server::builder()
        .env("MODEL_ID", "whisper-nano.en,openai/whisper-tiny")
        .env("SCONCE_MODELS__OPENAI_WHISPER_TINY__DEVICE", "metal")
        .start();
    let models = models(&server).await;
    for (name, model) in models.as_object().unwrap() {
        let availability = model["availability"].as_str().unwrap();
        assert!(["available", "unsupported", "gated"].contains(&availability), "{name}: {model}");
        assert_eq!(availability != "available", model["reason"].is_string(), "{name}: {model}");
    }
}

#[tokio::test]
async fn a_name_with_and_without_its_organisation_is_one_model() {
    let server = Server::builder()
        .env("MODEL_ID", "whisper-nano.en")
        .env("SCONCE_MODELS__WHISPER_NANO_EN__WARM_UP", "false")
        .start();
    for name in ["whisper-nano.en", "sconce/whisper-nano.en", "Whisper-Nano.EN"] {
        let answer = server.post_json(&format!("/models/{name}/load"), &json!({})).await;
        assert_eq!(answer.status(), 200, "{name}");
        assert_eq!(answer.json::<Value>().await.unwrap()["models"][NANO]["status"], "ready", "{name}");
    }
    assert_eq!(server.metric("sconce_model_load_seconds_count", &[("phase", "load")]).await, 1.0);
}

#[tokio::test]
async fn who_waits_for_a_model_in_use_is_told_its_place_and_when_to_come_back() {
    let (builder, _folder) = folders(&["second", "third"]);
    let builder = builder.env("SCONCE_MEMORY__MAX_RESIDENT", "1").env("SCONCE_MEMORY__ROOM_PATIENCE", "100s");
    let server = builder.start();
    server.post_json("/download-models", &json!({"models": ["second", "third"], "load": false})).await;
    let request = server.client.post(server.url("/v1/audio/transcriptions"));
    let long = tokio::spawn(request.multipart(form(sound::babble(200.0), NANO, &[])).send());
    while server.metric("sconce_audio_seconds_total", &[("model", NANO)]).await == 0.0 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    for (name, place, said) in [("second", 1, "it is next"), ("third", 2, "it is number 2 of those who wait")] {
        let answer = server.transcribe(recording(WAV), name, &[("wait", "0.1")]).await;
        assert_eq!(answer.status(), 503);
        let after: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((60..=120).contains(&after), "the one in use has its turn first: {after}");
        let body: Value = answer.json().await.unwrap();
        let message = body["error"]["message"].as_str().unwrap();
        assert!(message.contains(said) && message.contains("expected in about"), "{message}");
        let model = models(&server).await[name].take();
        assert_eq!(model["place"], place, "{model}");
        assert!(model["expected_in_seconds"].as_f64().unwrap() > 60.0 * f64::from(place), "{model}");
    }
    // Whoever keeps the model busy leaves; the first in line is let in, and stays for who was told to come back.
    long.abort();
    server.until_status_of("second", "ready").await;
    assert_eq!(models(&server).await["third"]["place"], 1);
}

#[tokio::test]
async fn the_device_is_chosen_and_said() {
    let server = Server::builder().env("SCONCE_RUNTIME__DEVICE", "auto").start();
    let answer = server.transcribe(recording(WAV), NANO, &[]).await;
    let device = answer.headers()["x-sconce-device"].to_str().unwrap().to_owned();
    assert_eq!(models(&server).await[NANO]["device"], device.as_str());
    assert_eq!(server.metric("sconce_model_info", &[("model", NANO), ("device", &device)]).await, 1.0);
}

#[tokio::test]
async fn a_pinned_model_stays_where_others_go() {
    let (builder, _folder) = folders(&["pinned", "brief", "other"]);
    let server = builder
        .env("SCONCE_MODELS__PINNED__PINNED", "true")
        .env("SCONCE_MODELS__PINNED__IDLE_TTL", "1ms")
        .env("SCONCE_MODELS__BRIEF__IDLE_TTL", "500ms")
        .env("SCONCE_MEMORY__MAX_RESIDENT", "1")
        .start();
    let load = async |name: &str| server.post_json(&format!("/models/{name}/load"), &json!({})).await;
    assert_eq!(load("brief").await.status(), 200);
    server.until_status_of("brief", "not_loaded").await;
    assert_eq!(load("pinned").await.status(), 200);
    let answer = server.transcribe(recording(WAV), "other", &[]).await;
    assert_eq!(answer.status(), 503);
    let text = answer.text().await.unwrap();
    assert!(text.contains("it does not fit beside pinned"), "{text}");
    assert_eq!(models(&server).await["pinned"]["status"], "ready");
    assert_eq!(server.post_json("/models/pinned/unload", &json!({"wait": 60})).await.status(), 200);
    assert_eq!(load("other").await.status(), 200);
}

// === a worker with several models ===

#[tokio::test]
async fn models_of_two_volumes_are_there_when_the_worker_starts_and_no_job_loads_one() {
    let hub = Hub::start();
    for model in ["acme/one", "acme/two"] {
        publish_nano(&hub, model);
    }
    let volumes = [volume(&hub, "acme/one").await, volume(&hub, "acme/two").await];
    let folders = volumes.each_ref().map(|volume| volume.path().display().to_string()).join(":");
    let requests = hub.requests();
    let server = Server::builder()
        .hub(&hub)
        .env("LOAD_MODE", "startup")
        .env("MODEL_ID", "acme/one,acme/two")
        .env("SCONCE_MODELS__ACME_ONE__PRELOAD", "true")
        .env("SCONCE_MODELS__ACME_TWO__PRELOAD", "true")
        .env("SCONCE_STORE__READ_ONLY", &folders)
        .env("SCONCE_STORE__OFFLINE", "true")
        .start();
    server.until("/health", 200).await;
    for model in ["acme/one", "acme/two", "acme/one"] {
        let answer = server.transcribe(recording(WAV), model, &[("wait", "0")]).await;
        assert_eq!(answer.status(), 200, "{model}");
    }
    assert_eq!(server.metric("sconce_model_load_seconds_count", &[("phase", "load")]).await, 2.0);
    assert_eq!(hub.requests(), requests, "everything lay on the volumes");
}

#[tokio::test]
async fn a_volume_that_is_not_there_or_not_whole_is_fallen_back_from() {
    let hub = Hub::start();
    publish_nano(&hub, "acme/one");
    let volume = volume(&hub, "acme/one").await;
    let blobs = volume.path().join("models--acme--one/blobs");
    let largest = std::fs::read_dir(&blobs).unwrap().map(|entry| entry.unwrap().path());
    let largest = largest.max_by_key(|path| path.metadata().unwrap().len()).unwrap();
    std::fs::remove_file(largest).unwrap();
    let folders = format!("/not/mounted:{}", volume.path().display());
    let server = Server::builder()
        .hub(&hub)
        .env("MODEL_ID", "acme/one")
        .env("SCONCE_MODELS__ACME_ONE__WARM_UP", "false")
        .env("SCONCE_STORE__READ_ONLY", &folders)
        .start();
    assert_eq!(server.post_json("/models/acme/one/load", &json!({})).await.status(), 200);
    assert_eq!(hub.downloads("model.safetensors"), 2, "once onto the volume, once beside it");
}

#[tokio::test]
async fn a_worker_whose_preload_failed_says_so_and_serves_the_other() {
    let (builder, _folder) = folders(&["good"]);
    let server = builder
        .env("LOAD_MODE", "startup")
        .env("SCONCE_MODELS__GOOD__PRELOAD", "true")
        .env("SCONCE_MODELS__BAD__SOURCE", "file:/not/there")
        .env("SCONCE_MODELS__BAD__PRELOAD", "true")
        .env("SCONCE_DEFAULT_MODEL", "good")
        .start();
    server.until_status_of("good", "ready").await;
    server.until_status_of("bad", "failed").await;
    let answer = server.get("/health").await;
    assert_eq!(answer.status(), 503);
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["status"], "unhealthy");
    assert!(body["models"]["bad"]["error"]["message"].is_string(), "{body}");
    let job = server.transcribe(recording(WAV), "bad", &[("wait", "0")]).await;
    assert_eq!(job.status(), 503, "a job is checked before it is worked on");
}

// === an assistant with many small models ===

#[tokio::test]
async fn a_selection_is_loaded_in_the_background_and_the_rest_when_it_is_asked_for() {
    let (builder, _folder) = folders(&["ears", "tongue", "voice"]);
    let server = builder
        .env("LOAD_MODE", "background")
        .env("SCONCE_MODELS__EARS__PRELOAD", "true")
        .env("SCONCE_MODELS__VOICE__PRELOAD", "true")
        .start();
    assert_eq!(server.get("/health").await.status(), 200, "healthy while it loads");
    for model in ["ears", "voice"] {
        server.until_status_of(model, "ready").await;
    }
    assert_eq!(models(&server).await["tongue"]["status"], "not_loaded");
    assert_eq!(server.post_json("/models/tongue/load", &json!({})).await.status(), 200);
}

#[tokio::test]
async fn every_size_has_its_names_and_each_comes_when_it_is_asked_for() {
    let hub = Hub::start();
    publish(&hub, "openai/whisper-tiny", SMALL);
    publish(&hub, "openai/whisper-base", Size { width: 128, ..SMALL });
    let server = Server::builder().hub(&hub).start();
    for size in ["tiny", "base", "small", "medium", "large"] {
        for name in [format!("whisper-{size}"), format!("openai/whisper-{size}")] {
            let known = server.get_json(&format!("/v1/models/{name}")).await;
            assert_eq!(known["id"], format!("openai/whisper-{size}"), "{name}");
        }
    }
    for name in ["whisper-tiny", "whisper-base"] {
        let before = hub.downloads(WEIGHTS);
        assert_eq!(server.post_json(&format!("/models/{name}/load"), &json!({})).await.status(), 200);
        assert_eq!(hub.downloads(WEIGHTS), before + 1, "{name} alone");
    }
    let models = models(&server).await;
    let [tiny, base, small] = ["tiny", "base", "small"].map(|size| &models[format!("openai/whisper-{size}")]);
    assert!(base["footprint_bytes"].as_u64() > tiny["footprint_bytes"].as_u64(), "{models}");
    assert_eq!((&small["status"], &small["fetched"]), (&json!("not_loaded"), &json!(false)));
}

#[tokio::test]
async fn a_model_that_fails_its_first_inference_is_not_ready_and_health_says_why() {
    let folder = TempDir::new().unwrap();
    let weights = folder.path().join("voice").join(WEIGHTS);
    whisper::write(&folder.path().join("voice"), SMALL);
    let good = fs::read(&weights).unwrap();
    fs::write(&weights, whisper::spoiled(good.clone())).unwrap();
    let start = |policy: &str| {
        let source = format!("file:{}", folder.path().join("voice").display());
        let builder = Server::builder().env("LOAD_MODE", "startup").env("SCONCE_ON_PRELOAD_FAILURE", policy);
        builder.env("SCONCE_MODELS__VOICE__SOURCE", &source).env("SCONCE_MODELS__VOICE__PRELOAD", "true").start()
    };
    // Without it the model would be taken for one that works.
    let (lazy, waits) = (start("lazy"), start("retry"));
    for (server, status, health) in [(&lazy, 200, "healthy"), (&waits, 503, "unhealthy")] {
        server.until_status_of("voice", "failed").await;
        let answer = server.get("/health").await;
        assert_eq!(answer.status(), status);
        let body: Value = answer.json().await.unwrap();
        assert_eq!((&body["status"], &body["models"]["status"]), (&json!(health), &json!("failed")));
        let error = &body["models"]["voice"]["error"];
        assert!(error["message"].as_str().unwrap().contains("first inference"), "{body}");
        assert_eq!(error["permanent"], false);
        assert_eq!(server.metric("sconce_model_resident_bytes", &[("model", "voice")]).await, 0.0);
    }
    // Beside it first: nobody may read half of it.
    fs::write(folder.path().join("new"), good).unwrap();
    fs::rename(folder.path().join("new"), &weights).unwrap();
    waits.until("/health", 200).await;
    assert_eq!(models(&waits).await["voice"]["status"], "ready");
    assert_eq!(models(&lazy).await["voice"]["status"], "failed", "nobody asked");
    assert_eq!(lazy.post_json("/models/voice/load", &json!({})).await.status(), 200);
}

#[tokio::test]
async fn all_or_none_may_be_loaded_at_the_start() {
    let names = ["ears", "tongue", "voice"];
    let (mut performance, _folder) = folders(&names);
    for name in names {
        performance = performance.env(&format!("SCONCE_MODELS__{}__PRELOAD", name.to_uppercase()), "true");
    }
    let performance = performance.env("LOAD_MODE", "startup").start();
    performance.until("/health", 200).await;
    let (minimal, _folder) = folders(&names);
    let minimal = minimal.env("LOAD_MODE", "on_demand").start();
    for name in names {
        assert_eq!(models(&performance).await[name]["status"], "ready", "{name}");
        assert_eq!(models(&minimal).await[name]["status"], "not_loaded", "{name}");
    }
}

#[tokio::test]
async fn each_model_has_a_place_a_size_and_a_device_of_its_own() {
    let (builder, folder) = folders(&["ears", "voice"]);
    let server = builder
        .env("SCONCE_MODELS__EARS__DEVICE", "cpu")
        .env("SCONCE_MODELS__EARS__THREADS", "1")
        .env("SCONCE_MODELS__VOICE__DEVICE", "auto")
        .start();
    let before = models(&server).await;
    let source = before["ears"]["source"]["model"].as_str().unwrap();
    assert!(source.contains(&folder.path().join("ears").display().to_string()), "{before}");
    for name in ["ears", "voice"] {
        assert_eq!(server.post_json(&format!("/models/{name}/load"), &json!({})).await.status(), 200);
    }
    let after = models(&server).await;
    for name in ["ears", "voice"] {
        assert_eq!((&after[name]["fetched"], &after[name]["device"]), (&json!(true), &json!("cpu")), "{after}");
        assert!(after[name]["footprint_bytes"].as_u64().unwrap() > 0, "{after}");
    }
}

#[tokio::test]
async fn a_budget_of_its_own_reckoning_lets_small_models_in() {
    let (builder, _folder) = folders(&["ears", "voice"]);
    let server = builder.env("SCONCE_MEMORY__BUDGET", "auto").env("SCONCE_MEMORY__RESERVE", "1MB").start();
    for name in ["ears", "voice"] {
        assert_eq!(server.post_json(&format!("/models/{name}/load"), &json!({})).await.status(), 200);
    }
    let (builder, _folder) = folders(&["ears"]);
    let server = builder.env("SCONCE_MEMORY__BUDGET", "auto").env("SCONCE_MEMORY__RESERVE", "900TB").start();
    let answer = server.transcribe(recording(WAV), "ears", &[]).await;
    assert_eq!(answer.status(), 507, "nothing is left beside the reserve");
}
