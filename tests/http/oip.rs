//! The Open Inference Protocol: metadata, readiness, inference, the binary extension, the repository.

use base64::{Engine, prelude::BASE64_STANDARD};
use reqwest::Response;
use serde_json::{Value, json};

use crate::{
    recordings::words,
    support::{Server, hub::Hub, publish_nano, recording},
};

const LIGHTS: [&str; 5] = ["turn", "on", "the", "kitchen", "lights"];
const WAV: &str = "turn-on-the-kitchen-lights.wav";
const INFER: &str = "/v2/models/whisper-nano.en/infer";
const LENGTH: &str = "inference-header-content-length";

fn base64_of(file: &str) -> String {
    BASE64_STANDARD.encode(recording(file))
}

/// An input of BYTES in JSON.
fn texts(name: &str, texts: &[&str]) -> Value {
    json!({"name": name, "shape": [texts.len()], "datatype": "BYTES", "data": texts})
}

fn audio(file: &str) -> Value {
    texts("audio", &[&base64_of(file)])
}

/// The first element of an output.
fn output<'a>(answer: &'a Value, name: &str) -> &'a Value {
    let outputs = answer["outputs"].as_array().unwrap_or_else(|| panic!("{answer}"));
    &outputs.iter().find(|output| output["name"] == name).unwrap_or_else(|| panic!("no {name}: {answer}"))["data"][0]
}

async fn infer(server: &Server, body: &Value) -> Value {
    let answer = server.post_json(INFER, body).await;
    let (status, answer) = (answer.status(), answer.json::<Value>().await.unwrap());
    assert_eq!(status, 200, "{answer}");
    answer
}

async fn refusal(answer: Response) -> (u16, String) {
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    let known = ["error", "status_url", "eta_seconds"];
    assert!(body.as_object().unwrap().keys().all(|key| known.contains(&key.as_str())), "{body}");
    (status, body["error"].as_str().unwrap_or_else(|| panic!("{body}")).to_owned())
}

/// A request whose tensors follow the JSON.
async fn post_binary(server: &Server, header: &Value, rest: &[u8]) -> Response {
    let header = header.to_string();
    let body = [header.as_bytes(), rest].concat();
    server.client.post(server.url(INFER)).header(LENGTH, header.len()).body(body).send().await.unwrap()
}

/// The JSON of an answer and what follows it.
async fn split(answer: Response) -> (Value, Vec<u8>) {
    assert_eq!(answer.status(), 200);
    let length: usize = answer.headers()[LENGTH].to_str().unwrap().parse().unwrap();
    let body = answer.bytes().await.unwrap();
    (serde_json::from_slice(&body[..length]).unwrap(), body[length..].to_vec())
}

fn element(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_le_bytes()[..], bytes].concat()
}

#[tokio::test]
async fn the_server_and_its_models_say_what_they_are() {
    let server = Server::start();
    let about = server.get_json("/v2").await;
    assert_eq!(about["extensions"], json!(["model_repository", "binary_tensor_data"]));
    assert_eq!(server.get_json("/v2/health/live").await, json!({"live": true}));
    assert_eq!(server.get_json("/v2/health/ready").await, json!({"ready": true, "live": true}));
    let models = server.get_json("/v2/models").await;
    let models = models["models"].as_array().unwrap();
    assert!(models.contains(&json!("whisper-nano.en")) && models.contains(&json!("whisper-tiny")), "{models:?}");
    for name in models {
        let name = name.as_str().unwrap();
        assert!(!name.contains('/'));
        assert_eq!(server.get_json(&format!("/v2/models/{name}")).await["name"], name);
    }
    for name in ["sconce/whisper-nano.en", "sconce%2Fwhisper-nano.en", "sconce--whisper-nano.en", "whisper-1"] {
        let metadata = server.get_json(&format!("/v2/models/{name}")).await;
        assert_eq!((&metadata["name"], &metadata["platform"]), (&json!("whisper-nano.en"), &json!("sconce_whisper")));
        assert_eq!(metadata["inputs"][0], json!({"name": "audio", "datatype": "BYTES", "shape": [-1]}));
        let outputs: Vec<_> = metadata["outputs"].as_array().unwrap().iter().map(|port| &port["name"]).collect();
        assert_eq!(outputs, ["text", "language", "duration", "segments"]);
    }
    for path in ["/v2/models/nobody", "/v2/models/nobody/ready", "/v2/nothing"] {
        assert_eq!(refusal(server.get(path).await).await.0, 404, "{path}");
    }
}

#[tokio::test]
async fn a_model_is_ready_when_it_is_in_memory_and_its_version_is_its_revision() {
    let hub = Hub::start();
    publish_nano(&hub, "acme/nano");
    let server = Server::builder().hub(&hub).env("MODEL_ID", "acme/nano").start();
    let (status, message) = refusal(server.get("/v2/models/acme--nano/ready").await).await;
    assert_eq!((status, message.as_str()), (503, "the model acme/nano is not_loaded"));
    assert_eq!(server.get_json("/v2/models/acme--nano").await["versions"], json!([]));
    assert_eq!(server.post_json("/v2/repository/models/acme--nano/load", &json!({})).await.status(), 200);
    let name = server.get_json("/v2/models/acme%2Fnano").await["name"].as_str().unwrap().to_owned();
    assert_eq!(server.get_json("/v2/models/nano/ready").await, json!({"name": name, "ready": true}));
    let commit = hub.repo("acme/nano").commit();
    let metadata = server.get_json(&format!("/v2/models/nano/versions/{commit}")).await;
    assert_eq!(metadata["versions"], json!([commit]));
    assert_eq!(server.get(&format!("/v2/models/nano/versions/{commit}/ready")).await.status(), 200);
    let (status, message) = refusal(server.get("/v2/models/nano/versions/7/ready").await).await;
    assert_eq!((status, message.contains(&commit)), (404, true), "{message}");
    let body = json!({"inputs": [audio(WAV)]});
    let answer = server.post_json(&format!("/v2/models/acme/nano/versions/{commit}/infer"), &body).await;
    assert_eq!(answer.json::<Value>().await.unwrap()["model_version"], commit);
    assert_eq!(server.post_json("/v2/models/nano/versions/7/infer", &body).await.status(), 404);
}

#[tokio::test]
async fn json_in_and_json_out() {
    let server = Server::start();
    let body = json!({
        "id": "call-7",
        "inputs": [audio(WAV), texts("language", &["en"])],
        "parameters": {"timestamps": "word", "wait": 60},
    });
    let answer = infer(&server, &body).await;
    assert_eq!((&answer["id"], &answer["model_name"]), (&json!("call-7"), &json!("whisper-nano.en")));
    assert_eq!(words(output(&answer, "text").as_str().unwrap()), LIGHTS);
    assert_eq!(output(&answer, "language"), "en");
    assert!((output(&answer, "duration").as_f64().unwrap() - 2.5).abs() < 0.5, "{answer}");
    let segments: Value = serde_json::from_str(output(&answer, "segments").as_str().unwrap()).unwrap();
    assert_eq!(segments[0]["words"].as_array().unwrap().len(), 5, "{segments}");
    assert_eq!(answer["outputs"][0]["shape"], json!([1]));

    let some = json!({"inputs": [audio(WAV)], "outputs": [{"name": "duration"}, {"name": "text"}]});
    let answer = infer(&server, &some).await;
    let names: Vec<_> = answer["outputs"].as_array().unwrap().iter().map(|output| &output["name"]).collect();
    assert_eq!(names, ["duration", "text"]);
    assert!(answer["id"].as_str().is_some_and(|id| !id.is_empty()));
}

#[tokio::test]
async fn a_batch_of_recordings_gives_a_row_of_answers() {
    let server = Server::start();
    let both = texts("audio", &[&base64_of(WAV), &base64_of("what-is-the-weather.mp3")]);
    let prompts = texts("prompt", &["lights", "weather"]);
    let answer = infer(&server, &json!({"inputs": [both, prompts, texts("language", &["en"])]})).await;
    let heard = answer["outputs"][0]["data"].as_array().unwrap();
    assert_eq!((heard.len(), &answer["outputs"][0]["shape"]), (2, &json!([2])));
    assert_eq!(words(heard[0].as_str().unwrap()), LIGHTS);
    assert_eq!(words(heard[1].as_str().unwrap())[3], "weather");
}

#[tokio::test]
async fn tensors_as_bytes_both_ways() {
    let server = Server::start();
    let wav = element(&recording(WAV));
    let header = json!({
        "inputs": [{"name": "audio", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": wav.len()}}],
        "parameters": {"binary_data_output": true},
        "outputs": [{"name": "text"}, {"name": "duration"}, {"name": "language", "parameters": {"binary_data": false}}],
    });
    let (answer, rest) = split(post_binary(&server, &header, &wav).await).await;
    assert_eq!(output(&answer, "language"), "en");
    let size = answer["outputs"][0]["parameters"]["binary_data_size"].as_u64().unwrap() as usize;
    let (text, duration) = rest.split_at(size);
    assert_eq!(text[..4], u32::try_from(size - 4).unwrap().to_le_bytes());
    assert_eq!(words(std::str::from_utf8(&text[4..]).unwrap()), LIGHTS);
    assert_eq!(duration.len(), 8);
    assert!((f64::from_le_bytes(duration.try_into().unwrap()) - 2.5).abs() < 0.5);
    assert!(answer["outputs"][0].get("data").is_none());
}

#[tokio::test]
async fn a_recording_as_it_is() {
    let server = Server::start();
    let post = |path: &str, length: &str| {
        let request = server.client.post(server.url(path)).header(LENGTH, length).header("content-type", "audio/wav");
        request.body(recording(WAV)).send()
    };
    let (answer, rest) = split(post(&format!("{INFER}?language=en&timestamps=none"), "0").await.unwrap()).await;
    let size = answer["outputs"][0]["parameters"]["binary_data_size"].as_u64().unwrap() as usize;
    assert_eq!(words(std::str::from_utf8(&rest[4..size]).unwrap()), LIGHTS);
    for (length, part) in [("999999999", "the body has"), ("many", "no number")] {
        let (status, message) = refusal(post(INFER, length).await.unwrap()).await;
        assert_eq!((status, message.contains(part)), (400, true), "{message}");
    }
}

#[tokio::test]
async fn float_samples_in_json_and_as_bytes() {
    let server = Server::start();
    let limit = std::time::Duration::from_secs(60);
    let heard = |answer: &Value| words(output(answer, "text").as_str().unwrap());
    let sound = sconce::audio::decode(&recording(WAV), None, 8_000, limit).unwrap().pcm;
    let samples = sound.samples();
    let inline = json!({"name": "samples", "shape": [1, samples.len()], "datatype": "FP32", "data": [samples]});
    let rate = json!({"name": "sample_rate", "shape": [1], "datatype": "INT32", "data": [8000]});
    let answer = infer(&server, &json!({"inputs": [inline, rate]})).await;
    assert_eq!(heard(&answer), LIGHTS);
    let seconds = output(&answer, "duration").as_f64().unwrap();
    assert!((seconds - sound.seconds()).abs() < 0.01, "{seconds}");

    let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    let parameters = json!({"binary_data_size": bytes.len()});
    let input = json!({"name": "samples", "shape": [samples.len()], "datatype": "FP32", "parameters": parameters});
    let header = json!({"inputs": [input], "parameters": {"sample_rate": 8000}});
    let answer = post_binary(&server, &header, &bytes).await;
    assert_eq!(heard(&answer.json().await.unwrap()), LIGHTS);
}

#[tokio::test]
async fn compressed_requests_are_unpacked_within_the_limit() {
    use std::io::Write;
    let server = Server::builder().env("SCONCE_LIMITS__MAX_BODY", "200kB").start();
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let post = |body: Vec<u8>, encoding: &str| {
        let request = server.client.post(server.url(INFER)).header("content-encoding", encoding);
        request.body(body).send()
    };
    let body = json!({"inputs": [audio(WAV)]}).to_string();
    assert_eq!(post(gzip(body.as_bytes()), "gzip").await.unwrap().status(), 200);
    let bomb = gzip(&vec![b' '; 10 << 20]);
    assert!(bomb.len() < 100_000);
    let (status, message) = refusal(post(bomb, "gzip").await.unwrap()).await;
    assert_eq!((status, message.contains("larger than")), (400, true), "{message}");
    let (status, message) = refusal(post(body.clone().into(), "br").await.unwrap()).await;
    assert_eq!((status, message.contains("gzip")), (400, true), "{message}");
    assert_eq!(refusal(post(body.into(), "gzip").await.unwrap()).await.0, 400);
}

#[tokio::test]
async fn what_is_wrong_is_said_in_the_protocols_shape() {
    let server = Server::start();
    let text = |name| texts(name, &["x"]);
    let samples = |shape: Value| json!({"name": "samples", "shape": shape, "datatype": "FP32", "data": [0.5, 0.5]});
    let empty = |shape: Value| json!({"name": "samples", "shape": shape, "datatype": "FP32", "data": []});
    for (body, status, part) in [
        (json!({}), 400, "inputs"),
        (json!([]), 400, "Inference-Header-Content-Length: 0"),
        (json!({"inputs": []}), 400, "audio is missing"),
        (json!({"inputs": [text("text")]}), 501, "does not synthesize"),
        (json!({"inputs": [audio(WAV), text("voice")]}), 400, "there are audio, samples"),
        (json!({"inputs": [audio(WAV), samples(json!([2]))]}), 400, "in place of audio"),
        (json!({"inputs": [samples(json!([1, 2, 1]))]}), 400, "[recordings, samples]"),
        (json!({"inputs": [samples(json!([3]))]}), 400, "2 elements"),
        (json!({"inputs": [empty(json!([0, usize::MAX]))]}), 400, "no recording"),
        (json!({"inputs": [empty(json!([usize::MAX, 0]))]}), 400, "[recordings, samples]"),
        (json!({"inputs": [audio(WAV), audio(WAV)]}), 400, "two inputs audio"),
        (json!({"inputs": [samples(json!([2]))], "parameters": {"sample_rate": 0}}), 400, "sample_rate is 0"),
        (json!({"inputs": [{"name": "audio", "shape": [1], "datatype": "FP32", "data": [0.5]}]}), 400, "BYTES"),
        (json!({"inputs": [{"name": "audio", "shape": [1], "datatype": "BF99", "data": [0.5]}]}), 400, "BF99"),
        (json!({"inputs": [texts("audio", &[])]}), 400, "holds no recording"),
        (json!({"inputs": [texts("audio", &["!"])]}), 400, "base64"),
        (json!({"inputs": [texts("audio", &["AAAA"])]}), 400, "audio"),
        (json!({"inputs": [audio(WAV), texts("language", &["en", "en"])]}), 400, "2 elements for 1 recordings"),
        (json!({"inputs": [audio(WAV), texts("task", &["sing"])]}), 400, "transcribe"),
        (json!({"inputs": [audio(WAV)], "parameters": {"langauge": "en"}}), 400, "language"),
        (json!({"inputs": [audio(WAV)], "parameters": {"model": "x"}}), 400, "path"),
        (json!({"inputs": [audio(WAV)], "parameters": {"response_format": "srt"}}), 400, "outputs"),
        (json!({"inputs": [audio(WAV)], "parameters": {"timeout": "soon"}}), 400, "microseconds"),
        (json!({"inputs": [audio(WAV)], "outputs": [{"name": "words"}]}), 400, "text, language, duration, segments"),
        (
            json!({"inputs": [audio(WAV)], "outputs": [{"name": "text", "parameters": {"classification": 1}}]}),
            501,
            "classification",
        ),
    ] {
        let (found, message) = refusal(server.post_json(INFER, &body).await).await;
        assert_eq!(found, status, "{message}");
        assert!(message.contains(part), "{message}");
    }
    let (status, message) = refusal(server.post_json("/v2/models/whisper-nanno.en/infer", &json!({})).await).await;
    assert_eq!((status, message.contains("did you mean")), (404, true), "{message}");
    let large = Server::builder().env("SCONCE_MEMORY__BUDGET", "1MB").start();
    let (status, message) = refusal(large.post_json(INFER, &json!({"inputs": [audio(WAV)]})).await).await;
    assert_eq!((status, message.contains("1000000")), (503, true), "{message}");
}

#[tokio::test]
async fn the_repository_is_listed_loaded_and_unloaded() {
    let hub = Hub::start();
    publish_nano(&hub, "acme/nano");
    let server = Server::builder().hub(&hub).env("MODEL_ID", "acme/nano").start();
    let state = async || {
        let index: Value =
            server.client.post(server.url("/v2/repository/index")).send().await.unwrap().json().await.unwrap();
        let index = index.as_array().unwrap().clone();
        let model = index.iter().find(|model| model["name"] == "nano").unwrap_or_else(|| panic!("{index:?}"));
        (model["state"].as_str().unwrap().to_owned(), model["reason"].as_str().unwrap().to_owned())
    };
    assert_eq!(state().await, ("UNAVAILABLE".to_owned(), "unloaded".to_owned()));
    hub.fail_next(usize::MAX, 404, None);
    let (status, _) = refusal(server.post_json("/v2/repository/models/nano/load", &json!({})).await).await;
    assert_eq!(status, 503);
    let (name, reason) = state().await;
    assert!(name == "UNAVAILABLE" && reason.contains("acme/nano"), "{reason}");
    hub.heal();
    hub.stall();
    let soon = json!({"parameters": {"wait": 0}});
    let answer = server.post_json("/v2/repository/models/nano/load", &soon).await;
    assert!(answer.headers().contains_key("retry-after"));
    assert_eq!(refusal(answer).await.0, 503);
    assert_eq!(state().await.0, "LOADING");
    hub.release();
    assert_eq!(server.post_json("/v2/repository/models/acme%2Fnano/load", &json!({})).await.status(), 200);
    assert_eq!(state().await.0, "READY");
    let ready = server.post_json("/v2/repository/index", &json!({"ready": true})).await.json::<Value>().await.unwrap();
    assert_eq!(ready.as_array().unwrap().len(), 1);
    let unload = json!({"parameters": {"unload_dependents": false}});
    assert_eq!(server.post_json("/v2/repository/models/acme/nano/unload", &unload).await.status(), 200);
    assert_eq!(state().await.0, "UNAVAILABLE");
    let config = json!({"parameters": {"config": "{}"}});
    assert_eq!(refusal(server.post_json("/v2/repository/models/nano/load", &config).await).await.0, 501);
    assert_eq!(refusal(server.post_json("/v2/repository/models/nobody/load", &json!({})).await).await.0, 404);
}

#[tokio::test]
async fn loading_by_hand_is_closed_where_administration_is() {
    let server = Server::builder().env("SCONCE_HTTP__ADMIN", "false").start();
    for action in ["load", "unload"] {
        let path = format!("/v2/repository/models/whisper-nano.en/{action}");
        let (status, message) = refusal(server.post_json(&path, &json!({})).await).await;
        assert_eq!((status, message.contains("http.admin")), (403, true), "{message}");
    }
    assert_eq!(server.client.post(server.url("/v2/repository/index")).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_timeout_in_microseconds_is_kept() {
    let hub = Hub::start();
    publish_nano(&hub, "acme/nano");
    hub.stall();
    let server = Server::builder().hub(&hub).env("MODEL_ID", "acme/nano").start();
    let body = json!({"inputs": [audio(WAV)], "parameters": {"timeout": 200_000}});
    let (status, message) = refusal(server.post_json("/v2/models/nano/infer", &body).await).await;
    assert_eq!((status, message.contains("0.2 s")), (503, true), "{message}");
    hub.release();
}
