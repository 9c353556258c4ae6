//! The predict route as Vertex AI uses it: addresses in and out, events, actions, bodies of other protocols.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use crate::{
    recordings::words,
    support::{Server, ServerBuilder, files::Files, hub::Hub, publish_nano, recording, server::form},
};

const LIGHTS: [&str; 5] = ["turn", "on", "the", "kitchen", "lights"];
const WAV: &str = "turn-on-the-kitchen-lights.wav";

fn base64_of(file: &str) -> String {
    BASE64_STANDARD.encode(recording(file))
}

fn heard(prediction: &Value) -> Vec<String> {
    words(prediction["text"].as_str().unwrap_or_else(|| panic!("{prediction}")))
}

async fn post(server: &Server, body: &Value) -> (u16, Value) {
    let answer = server.post_json("/predict", body).await;
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// A server that may read and write the bucket `sounds`, and fetch from the web server of `files`.
fn reaching(files: &Files) -> ServerBuilder {
    Server::builder()
        .env("SCONCE_REMOTE__ALLOW_BUCKETS", "sounds")
        .env("SCONCE_REMOTE__GCS__ENDPOINT", &files.url())
        .env("SCONCE_REMOTE__GCS__ANONYMOUS", "true")
        .env("SCONCE_REMOTE__S3__ENDPOINT", &files.url())
        .env("SCONCE_REMOTE__S3__ANONYMOUS", "true")
        .env("SCONCE_REMOTE__WEB__ALLOW_HOSTS", &files.host())
        .env("SCONCE_REMOTE__WEB__ALLOW_HTTP", "true")
        .env("SCONCE_REMOTE__WEB__ALLOW_PRIVATE", "true")
}

/// The events of a stream.
async fn events(server: &Server, path: &str, body: &Value, accept: Option<&str>) -> Vec<Value> {
    let request = server.client.post(server.url(path)).json(body);
    let request = accept.into_iter().fold(request, |request, accept| request.header("accept", accept));
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream"));
    let text = answer.text().await.unwrap();
    text.lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

#[tokio::test]
async fn recordings_come_from_buckets_and_from_the_web() {
    let files = Files::start();
    files.put("sounds/in/lights.wav", recording(WAV));
    let server = reaching(&files).start();
    let web = format!("{}/sounds/in/lights.wav", files.url());
    for uri in ["gs://sounds/in/lights.wav", "s3://sounds/in/lights.wav", &web] {
        let body = json!({"instances": [{"audio": {"uri": uri}}]});
        let (status, answer) = post(&server, &body).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(heard(&answer["predictions"][0]), LIGHTS, "{uri}");
    }
}

#[tokio::test]
async fn an_address_that_is_not_allowed_is_refused_with_the_setting() {
    let files = Files::start();
    files.put("sounds/lights.wav", recording(WAV)).put("secret/lights.wav", recording(WAV));
    let server = reaching(&files).env("SCONCE_LIMITS__MAX_BODY", "10kB").start();
    for (uri, status, part) in [
        ("gs://secret/lights.wav", 403, "remote.allow_buckets"),
        ("https://169.254.169.254/latest", 403, "remote.web.allow_hosts"),
        ("gs://sounds/nothing.wav", 400, "does not exist"),
        ("gs://sounds/lights.wav", 413, "larger than"),
        ("ftp://sounds/lights.wav", 400, "https://"),
    ] {
        let (found, answer) = post(&server, &json!({"audio": {"uri": uri}})).await;
        let message = answer["error"]["message"].as_str().unwrap();
        assert_eq!((found, message.contains(part)), (status, true), "{uri}: {message}");
        assert_eq!(answer["error"]["details"][1]["fieldViolations"][0]["field"], "audio", "{answer}");
    }
    assert_eq!(files.downloads("secret/lights.wav"), 0, "the other bucket was asked");
}

#[tokio::test]
async fn answers_are_written_where_the_request_says() {
    let files = Files::start();
    files.put("sounds/in.wav", recording(WAV));
    let server = reaching(&files).start();
    let audio = json!({"uri": "gs://sounds/in.wav"});
    let body = json!({
        "instances": [
            {"audio": audio},
            {"audio": audio, "response_format": "srt"},
            {"audio": "!"},
            {"audio": audio, "output_uri": "s3://sounds/elsewhere.json"},
        ],
        "parameters": {"output_uri": "gs://sounds/out/"},
    });
    let (status, answer) = post(&server, &body).await;
    assert_eq!(status, 200, "{answer}");
    let predictions = &answer["predictions"];
    assert_eq!(predictions[0], json!({"uri": "gs://sounds/out/0.json"}));
    assert_eq!(predictions[1], json!({"uri": "gs://sounds/out/1.srt"}));
    assert_eq!(predictions[2]["error"]["code"], 400);
    assert_eq!(predictions[3], json!({"uri": "s3://sounds/elsewhere.json"}));
    for path in ["sounds/out/0.json", "sounds/elsewhere.json"] {
        let (bytes, content_type) = files.get(path).unwrap();
        assert_eq!(
            (heard(&serde_json::from_slice(&bytes).unwrap()), content_type.as_str()),
            (LIGHTS.map(str::to_owned).to_vec(), "application/json")
        );
    }
    let (srt, content_type) = files.get("sounds/out/1.srt").unwrap();
    assert!(srt.starts_with(b"1\n00:00:0") && content_type.starts_with("application/x-subrip"));

    let single = json!({"audio": audio, "output_uri": "gs://sounds/one.json"});
    assert_eq!(post(&server, &single).await, (200, json!({"uri": "gs://sounds/one.json"})));
    assert!(files.get("sounds/one.json").is_some());
    let (status, refused) = post(&server, &json!({"audio": audio, "output_uri": "gs://other/one.json"})).await;
    assert_eq!((status, &refused["error"]["status"]), (403, &json!("PERMISSION_DENIED")));
    let (status, refused) = post(&server, &json!({"audio": audio, "output_uri": "/etc/passwd"})).await;
    assert_eq!((status, refused["error"]["message"].as_str().unwrap().contains("gs://")), (400, true), "{refused}");
}

#[tokio::test]
async fn answers_are_streamed_while_they_are_made() {
    let server = Server::start();
    let long = json!({"audio": base64_of("good-morning.flac")});
    let plain = events(&server, "/predict", &long, Some("text/event-stream")).await;
    let (last, segments) = plain.split_last().unwrap();
    assert!(segments.len() > 1, "{plain:?}");
    let joined: Vec<_> = segments.iter().map(|event| event["segment"]["text"].as_str().unwrap()).collect();
    assert_eq!(words(&joined.join(" ")), heard(&last["prediction"]));
    assert!(plain.iter().all(|event| event.get("instance").is_none()));
    assert_eq!(events(&server, "/predict?stream=true", &long, None).await.len(), plain.len());

    let instances = json!([{"audio": base64_of(WAV)}, {"audio": "!"}, {"audio": base64_of("set-a-timer.m4a")}]);
    let body = json!({"instances": instances, "parameters": {"stream": true}});
    let tagged = events(&server, "/predict", &body, None).await;
    let of = |instance: usize, name: &str| {
        tagged.iter().filter(|event| event["instance"] == instance).find_map(|event| event.get(name).cloned())
    };
    assert_eq!(heard(&of(0, "prediction").unwrap()), LIGHTS);
    assert_eq!(of(1, "error").unwrap()["status"], "INVALID_ARGUMENT");
    assert!(of(2, "segment").is_some() && of(2, "prediction").is_some());
}

#[tokio::test]
async fn a_stream_that_has_nothing_good_to_tell_has_the_status_of_its_failure() {
    let hub = Hub::start();
    publish_nano(&hub, "acme/nano");
    hub.stall();
    let server = Server::builder().hub(&hub).env("MODEL_ID", "acme/nano").start();
    let instance = json!({"audio": base64_of(WAV)});
    let body = json!({"instances": [instance, instance], "parameters": {"stream": true, "wait": 0}});
    let answer = server.post_json("/predict", &body).await;
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));
    let body: Value = answer.json().await.unwrap();
    let retry = &body["error"]["details"][1];
    assert_eq!(retry["@type"], "type.googleapis.com/google.rpc.RetryInfo");
    assert!(retry["retryDelay"].as_str().unwrap().ends_with('s'), "{body}");
    hub.release();
}

#[tokio::test]
async fn models_are_seen_and_switched_through_the_predict_route() {
    let hub = Hub::start();
    publish_nano(&hub, "acme/nano");
    let server = Server::builder().hub(&hub).env("MODEL_ID", "acme/nano").start();
    let act = async |parameters: Value| post(&server, &json!({"instances": [{}], "parameters": parameters})).await;
    let state = async || {
        let (_, answer) = act(json!({"action": "models.status"})).await;
        answer["predictions"][0]["models"]["acme/nano"]["status"].as_str().unwrap().to_owned()
    };
    assert_eq!(state().await, "not_loaded");
    assert_eq!(act(json!({"action": "health"})).await.1["predictions"][0]["load_mode"], "on_demand");
    let (status, answer) = act(json!({"action": "models.download", "models": ["nano"], "load": false})).await;
    assert_eq!((status, &answer["predictions"][0]["status"]), (200, &json!("success")), "{answer}");
    let (status, answer) = act(json!({"action": "models.load", "model": "nano", "wait": 60})).await;
    assert_eq!((status, &answer["predictions"][0]["status"]), (200, &json!("ready")), "{answer}");
    assert_eq!(state().await, "ready");
    assert_eq!(act(json!({"action": "models.unload", "model": "nano"})).await.0, 200);
    assert_eq!(state().await, "not_loaded");
    for (parameters, status, part) in [
        (json!({"action": "models.delete"}), 400, "models.unload"),
        (json!({"action": 7}), 400, "models.unload"),
        (json!({"action": "models.load", "modle": "nano"}), 400, "model"),
        (json!({"action": "models.load", "model": "nobody"}), 404, "nobody"),
    ] {
        let (found, answer) = act(parameters).await;
        let message = answer["error"]["message"].as_str().unwrap();
        assert_eq!((found, message.contains(part)), (status, true), "{message}");
    }
}

#[tokio::test]
async fn a_key_that_may_not_administer_may_not_do_it_through_the_predict_route() {
    let server =
        Server::builder().env("SCONCE_ACCESS__KEYS", "user-key").env("SCONCE_ACCESS__ADMIN_KEYS", "root-key").start();
    let act = async |key: &str, action: &str| {
        let body = json!({"instances": [{}], "parameters": {"action": action}});
        let request = server.client.post(server.url("/predict")).bearer_auth(key).json(&body);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(act("user-key", "models.status").await, 200);
    assert_eq!(act("user-key", "models.load").await, 403);
    assert_eq!(act("root-key", "models.load").await, 200);
}

#[tokio::test]
async fn bodies_of_openais_clients_are_answered_as_they_want_it() {
    let server = Server::start();
    let post = |fields: &[(&str, &str)]| {
        let form = form(recording(WAV), "whisper-1", fields);
        server.client.post(server.url("/predict")).multipart(form).send()
    };
    let words_of = [("response_format", "verbose_json"), ("timestamp_granularities[]", "word")];
    let verbose: Value = post(&words_of).await.unwrap().json().await.unwrap();
    assert_eq!((verbose["words"].as_array().unwrap().len(), &verbose["task"]), (5, &json!("transcribe")));
    let streamed = post(&[("stream", "true")]).await.unwrap().text().await.unwrap();
    assert!(streamed.contains("transcript.text.done"), "{streamed}");
    let ours: Value = post(&[("timestamps", "word")]).await.unwrap().json().await.unwrap();
    assert_eq!(ours["segments"][0]["words"].as_array().unwrap().len(), 5);
    let wrong = post(&[("response_format", "yaml")]).await.unwrap();
    assert_eq!(wrong.status(), 400);
    assert_eq!(wrong.json::<Value>().await.unwrap()["error"]["status"], "INVALID_ARGUMENT");
}

#[tokio::test]
async fn what_a_model_does_not_do_is_said() {
    let server = Server::start();
    let audio = base64_of(WAV);
    for (body, task) in [
        (json!({"model": "whisper-1", "text": "good morning"}), "synthesize"),
        (json!({"model": "whisper-1", "text": "good morning", "voice": "anna"}), "synthesize"),
        (json!({"audio": audio, "voice": "anna"}), "convert"),
        (json!({"model": "lark.en", "audio": audio}), "transcribe"),
        (json!({"model": "lark.en", "audio": audio, "voice": "lark"}), "convert"),
        (json!({"instances": [{"model": "whisper-1", "text": "good morning"}]}), "synthesize"),
        (json!({"model": "whisper-1", "input": "good morning", "voice": "anna"}), "synthesize"),
    ] {
        let (status, answer) = post(&server, &body).await;
        let message = answer["error"]["message"].as_str().unwrap();
        assert_eq!((status, message.contains(task)), (400, true), "{message}");
    }
}

#[tokio::test]
async fn a_request_says_how_long_its_model_stays() {
    let server = Server::start();
    let model = "sconce/whisper-nano.en";
    let native = json!({"audio": base64_of(WAV), "keep_alive": 0});
    assert_eq!(post(&server, &native).await.0, 200);
    server.until_status_of(model, "not_loaded").await;
    let tensor = json!({"name": "audio", "shape": [1], "datatype": "BYTES", "data": [base64_of(WAV)]});
    let infer = json!({"inputs": [tensor], "parameters": {"keep_alive": "0s"}});
    assert_eq!(server.post_json("/v2/models/whisper-nano.en/infer", &infer).await.status(), 200);
    server.until_status_of(model, "not_loaded").await;
    let (status, answer) = post(&server, &json!({"audio": "AAAA", "keep_alive": "soon"})).await;
    assert_eq!((status, answer["error"]["message"].as_str().unwrap().contains("5m")), (400, true), "{answer}");
}

#[tokio::test]
async fn the_copy_that_vertex_made_is_loaded_at_the_start() {
    let files = Files::start();
    let folder = crate::support::checkout("assets/models/whisper-nano.en");
    for file in std::fs::read_dir(folder).unwrap() {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        files.put(&format!("copies/model-7/{name}"), std::fs::read(file.path()).unwrap());
    }
    let health = "/v1/endpoints/1/deployedModels/2";
    let server = Server::builder()
        .env("AIP_MODE", "PREDICTION")
        .env("AIP_HEALTH_ROUTE", health)
        .env("AIP_STORAGE_URI", "gs://copies/model-7")
        .env("SCONCE_REMOTE__GCS__ENDPOINT", &files.url())
        .env("SCONCE_REMOTE__GCS__ANONYMOUS", "true")
        .start();
    server.until(health, 200).await;
    let status = server.get_json(health).await;
    assert_eq!((&status["load_mode"], &status["models"]["model"]["status"]), (&json!("startup"), &json!("ready")));
    let (status, answer) = post(&server, &json!({"instances": [{"audio": base64_of(WAV)}]})).await;
    assert_eq!((status, &answer["predictions"][0]["model"]), (200, &json!("model")), "{answer}");
    assert_eq!(heard(&answer["predictions"][0]), LIGHTS);
}
