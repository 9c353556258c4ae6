//! Fields that nobody knows: refused by name, or left out and named where the configuration says so.

use base64::{Engine, prelude::BASE64_STANDARD};
use reqwest::{Response, multipart};
use serde_json::{Value, json};

use crate::{
    recordings::words,
    support::{Server, ServerBuilder, python, recording, server::form},
};

const WAV: &str = "turn-on-the-kitchen-lights.wav";
const MODEL: &str = "whisper-nano.en";
const LIGHTS: [&str; 5] = ["turn", "on", "the", "kitchen", "lights"];
/// On every route that takes fields.
const HEARD: [&str; 9] =
    ["transcriptions", "azure", "asr", "inference", "instance", "parameters", "single", "query", "tensors"];

fn lenient() -> ServerBuilder {
    Server::builder().env("SCONCE_HTTP__UNKNOWN_FIELDS", "warn")
}

fn ignored(answer: &Response) -> Option<&str> {
    answer.headers().get("x-sconce-ignored").map(|names| names.to_str().unwrap())
}

/// A transcription with the field `colour`, which is none.
async fn asked(server: &Server, route: &str) -> Response {
    let audio = BASE64_STANDARD.encode(recording(WAV));
    let post = |path: &str, form: multipart::Form| server.client.post(server.url(path)).multipart(form).send();
    let fields = || form(recording(WAV), MODEL, &[("colour", "green")]);
    match route {
        "transcriptions" => post("/v1/audio/transcriptions", fields()).await.unwrap(),
        "azure" => post(&format!("/openai/deployments/{MODEL}/audio/transcriptions"), fields()).await.unwrap(),
        "inference" => post("/inference", fields()).await.unwrap(),
        "asr" => {
            let form = multipart::Form::new().part("audio_file", multipart::Part::bytes(recording(WAV)));
            post("/asr?output=json&colour=green", form).await.unwrap()
        }
        "instance" => server.post_json("/predict", &json!({"instances": [{"audio": audio, "colour": "green"}]})).await,
        "parameters" => {
            let body = json!({"instances": [{"audio": audio}], "parameters": {"colour": "green"}});
            server.post_json("/predict", &body).await
        }
        "single" => server.post_json("/predict", &json!({"audio": audio, "colour": "green"})).await,
        "query" => server.post_bytes("/predict?colour=green", "audio/wav", recording(WAV)).await,
        _ => {
            let input = json!({"name": "audio", "shape": [1], "datatype": "BYTES", "data": [audio]});
            let body = json!({"inputs": [input], "parameters": {"colour": "green"}});
            server.post_json(&format!("/v2/models/{MODEL}/infer"), &body).await
        }
    }
}

#[tokio::test]
async fn an_unknown_field_is_refused_on_every_route() {
    let server = Server::start();
    for route in HEARD {
        let answer = asked(&server, route).await;
        assert_eq!((answer.status().as_u16(), ignored(&answer)), (400, None), "{route}");
        let text = answer.text().await.unwrap();
        assert!(text.contains("colour"), "{route}: {text}");
    }
    for path in ["/v1/audio/speech", "/generate"] {
        let body = json!({"model": "lark", "input": "Hi.", "text": "Hi.", "voice": "lark", "colour": "green"});
        assert_eq!(server.post_json(path, &body).await.status(), 400, "{path}");
    }
}

#[tokio::test]
async fn where_it_is_a_warning_the_answer_names_it() {
    let server = lenient().start();
    for route in HEARD {
        let answer = asked(&server, route).await;
        assert_eq!((answer.status().as_u16(), ignored(&answer)), (200, Some("colour")), "{route}");
        let body: Value = answer.json().await.unwrap();
        let text = body["text"].as_str().or_else(|| body["predictions"][0]["text"].as_str());
        let text = text.or_else(|| body["outputs"][0]["data"][0].as_str()).unwrap_or_else(|| panic!("{body}"));
        assert_eq!(words(text), LIGHTS, "{route}");
    }
    let answer = server.transcribe(recording(WAV), MODEL, &[]).await;
    assert_eq!((answer.status().as_u16(), ignored(&answer)), (200, None), "what is known is not named");
}

#[tokio::test]
async fn speech_is_made_without_it() {
    let server = lenient().start();
    let spoken = json!({"model": "tts-1", "voice": "lark", "input": "Hi.", "response_format": "wav",
                        "instructions": "Calmly.", "colour": "green", "größe": 1});
    let answer = server.post_json("/v1/audio/speech", &spoken).await;
    assert_eq!((answer.status().as_u16(), ignored(&answer)), (200, Some("instructions, colour, gr??e")));
    let generated = server.post_json("/generate", &json!({"text": "Hi.", "colour": "green"})).await;
    assert_eq!((generated.status().as_u16(), ignored(&generated)), (200, Some("colour")));
    let instance = json!({"text": "Hi.", "model": "tts-1", "colour": "green", "timestamps": "word"});
    let answer = server.post_json("/predict", &json!({"instances": [instance], "labels": {}})).await;
    assert_eq!((answer.status().as_u16(), ignored(&answer)), (200, Some("labels, colour, timestamps")));
    // The model cannot; the field is not what stands in the way.
    let converted = server.client.post(server.url("/v1/audio/voice-conversions"));
    let converted = converted.multipart(form(recording(WAV), MODEL, &[("colour", "green")])).send().await.unwrap();
    assert_eq!(ignored(&converted), Some("colour"));
    assert!(!converted.text().await.unwrap().contains("colour"));
}

#[tokio::test]
async fn events_begin_with_the_names_of_all_instances() {
    let server = lenient().start();
    let audio = BASE64_STANDARD.encode(recording(WAV));
    let instances: Vec<Value> = (0..6).map(|n| json!({"audio": audio, format!("field{n}"): 1})).collect();
    let body = json!({"instances": instances, "parameters": {"stream": true, "all": 1}});
    let answer = server.post_json("/predict", &body).await;
    assert_eq!(ignored(&answer), Some("all, field0, field1, field2, field3, field4, field5"));
    assert!(answer.text().await.unwrap().to_lowercase().contains("kitchen"));
    let streamed = server.transcribe(recording(WAV), MODEL, &[("stream", "true"), ("colour", "green")]).await;
    assert_eq!((streamed.status().as_u16(), ignored(&streamed)), (200, Some("colour")));
}

#[tokio::test]
async fn a_job_is_taken_and_done_without_it() {
    let folder = tempfile::TempDir::new().unwrap();
    let server = lenient().env("SCONCE_JOBS__DIR", &folder.path().display().to_string()).start();
    let body = json!({"audio": BASE64_STANDARD.encode(recording(WAV)), "colour": "green"});
    let answer = server.post_json("/v1/jobs", &body).await;
    assert_eq!(ignored(&answer), Some("colour"), "{}", answer.status());
    let id = answer.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned();
    loop {
        let job = server.get_json(&format!("/v1/jobs/{id}")).await;
        match job["status"].as_str() {
            Some("succeeded") => break,
            Some("failed" | "cancelled") | None => panic!("{job}"),
            Some(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
        }
    }
}

#[tokio::test]
async fn what_is_wrong_or_changes_the_server_is_refused_either_way() {
    let server = lenient().start();
    let many: serde_json::Map<String, Value> =
        (0..200).map(|n| (format!("{n}{}", "x".repeat(200)), n.into())).collect();
    let mut body = json!({"audio": BASE64_STANDARD.encode(recording(WAV))});
    body.as_object_mut().unwrap().extend(many);
    let answer = server.post_json("/predict", &body).await;
    assert_eq!(answer.status(), 200);
    assert!(ignored(&answer).unwrap().len() < 2048 && ignored(&answer).unwrap().ends_with("and more"));
    for (path, body) in [
        ("/v1/audio/speech", json!({"model": "tts-1", "voice": "lark", "input": "Hi.", "speed": "x", "colour": 1})),
        ("/v1/audio/speech", json!({"model": "tts-1", "voice": "lark", "input": "Hi.", "options": {"colour": 1}})),
        ("/predict", json!({"audio": "UklGRg==", "temperature": 9, "colour": 1})),
        ("/download-models", json!({"modles": ["openai/whisper-tiny"]})),
    ] {
        let answer = server.post_json(path, &body).await;
        assert_eq!(answer.status(), 400, "{path}: {}", answer.text().await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_openai_client_may_send_more_than_is_known() {
    let server = lenient().spawn();
    let wav = crate::support::checkout("assets/recordings").join(WAV).display().to_string();
    tokio::task::block_in_place(|| python::run("openai_extra.py", &[&server.url("/v1"), &wav]));
}
