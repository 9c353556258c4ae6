//! Request bodies, through the real server: whatever comes, somebody is told what was wrong with it.

use std::sync::Arc;

use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{
    chance::{each, edited, edits},
    support::Server,
};

/// Names no model, so that what is understood by chance costs no work.
const NOBODY: &str = "no-such-model";
const JSON_ROUTES: [&str; 3] = ["/predict", "/v1/jobs", "/download-models"];
const FORM_ROUTES: [&str; 4] = ["/v1/audio/transcriptions", "/v1/audio/translations", "/predict", "/v1/jobs"];

fn native() -> Value {
    json!({"audio": {"content": "UklGRiQAAABXQVZF"}, "model": NOBODY, "language": "en", "task": "translate",
        "prompt": "x", "temperature": 0.5, "timestamps": "word", "response_format": "srt", "wait": 1, "options": {}})
}

fn corpus() -> Vec<Value> {
    let (one, many) = (native(), vec![native(); 3]);
    vec![
        one.clone(),
        json!({"instances": many, "parameters": one}),
        json!({"audio": "UklGRg==", "model": NOBODY, "webhook": {"url": "https://a.example/"}}),
        json!({"models": [NOBODY], "wait": false, "load": true}),
    ]
}

/// Any JSON, of some depth.
pub fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        select(vec!["", "en", "\u{0}", "UklGRg==", "gs://a/b", "1e999"]).prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let key = prop_oneof![
            select(vec![
                "audio",
                "instances",
                "parameters",
                "model",
                "options",
                "content",
                "wait",
                "webhook",
                "models"
            ])
            .prop_map(str::to_owned),
            ".{0,8}",
        ];
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            vec((key, inner), 0..6).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// A value of the corpus with another one in one place of it.
fn grafted() -> impl Strategy<Value = Value> {
    (select(corpus()), anything(), any::<prop::sample::Index>()).prop_map(|(mut value, graft, place)| {
        let mut paths = Vec::new();
        walk(&value, String::new(), &mut paths);
        let path: &String = place.get(&paths);
        *value.pointer_mut(path).unwrap() = graft;
        value
    })
}

fn walk(value: &Value, path: String, paths: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| walk(value, format!("{path}/{name}"), paths)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, value)| walk(value, format!("{path}/{index}"), paths));
        }
        _ => {}
    }
    paths.push(path);
}

struct Target {
    server: Server,
    runtime: Runtime,
}

impl Target {
    fn start() -> Arc<Self> {
        let runtime = Runtime::new().unwrap();
        Arc::new(Self { server: Server::builder().env("SCONCE_STORE__OFFLINE", "true").start(), runtime })
    }

    /// Sends a body; the answer must be one for people who send wrong bodies.
    fn answers(&self, path: &str, media_type: &str, body: Vec<u8>) -> Result<(), TestCaseError> {
        self.checks(path, self.server.client.post(self.server.url(path)).header("content-type", media_type).body(body))
    }

    fn checks(&self, path: &str, request: reqwest::RequestBuilder) -> Result<(), TestCaseError> {
        let (status, body) = self.runtime.block_on(async {
            let answer = request.send().await.unwrap();
            (answer.status().as_u16(), answer.bytes().await.unwrap())
        });
        prop_assert!(status < 500 || status == 503, "{path}: {status} {body:?}");
        if status >= 400 {
            let body: Value = serde_json::from_slice(&body).map_err(|_| TestCaseError::fail(format!("{body:?}")))?;
            let message = body["error"]["message"].as_str().or(body["error"].as_str()).unwrap_or_default();
            prop_assert!(message.len() > 10 && !message.contains("panicked"), "{path}: {body}");
        }
        Ok(())
    }
}

#[test]
fn any_json_is_answered() {
    let target = Target::start();
    let value = prop_oneof![anything(), grafted()];
    each(100, (select(JSON_ROUTES.to_vec()), value), |(path, value)| {
        target.answers(path, "application/json", value.to_string().into())
    });
}

#[test]
fn what_is_hardly_json_is_answered() {
    let target = Target::start();
    let text: Vec<_> = corpus().iter().map(|value| value.to_string().into_bytes()).collect();
    each(60, (select(JSON_ROUTES.to_vec()), select(text), edits()), |(path, text, edits)| {
        target.answers(path, "application/json", edited(&text, &edits))
    });
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for path in JSON_ROUTES {
        target.answers(path, "application/json", deep.clone().into()).unwrap();
    }
}

/// A form as a client sends it.
fn form(boundary: &str) -> Vec<u8> {
    let field = |name: &str, value: &str| {
        format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let file = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: \
         audio/wav\r\n\r\nRIFF\0\0\0\0WAVE\r\n"
    );
    let fields = [
        field("model", NOBODY),
        field("response_format", "verbose_json"),
        field("timestamp_granularities[]", "word"),
        field("temperature", "0.2"),
        file,
        format!("--{boundary}--\r\n"),
    ];
    fields.concat().into_bytes()
}

#[test]
fn damaged_forms_are_answered() {
    let target = Target::start();
    let boundary = select(vec!["x", "----WebKitFormBoundary7MA4YWxkTrZu0gW", "\"q\"", "", "-"]);
    each(300, (select(FORM_ROUTES.to_vec()), boundary, edits(), any::<bool>()), |(path, boundary, edits, same)| {
        let media_type = format!("multipart/form-data; boundary={}", if same { "x" } else { boundary });
        target.answers(path, &media_type, edited(&form("x"), &edits))
    });
}

#[test]
fn any_bytes_of_any_type_are_answered() {
    let target = Target::start();
    let kinds = ["application/json", "audio/wav", "application/octet-stream", "multipart/form-data", "text/plain", "x"];
    let path = format!("/predict?model={NOBODY}");
    each(150, (select(kinds.to_vec()), vec(any::<u8>(), 0..600)), |(kind, bytes)| target.answers(&path, kind, bytes));
}

/// Tensors behind JSON, as Triton's clients send them: the body, and where the JSON ends.
fn tensors() -> (Vec<u8>, usize) {
    let sound = b"RIFF\0\0\0\0WAVE";
    let json = json!({"id": "1", "parameters": {"binary_data_output": true}, "inputs": [
        {"name": "audio", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": sound.len() + 4}},
        {"name": "language", "shape": [1], "datatype": "BYTES", "data": ["en"]},
    ]});
    let head = json.to_string().into_bytes();
    let length = head.len();
    ([&head[..], &(sound.len() as u32).to_le_bytes(), sound].concat(), length)
}

#[test]
fn damaged_tensors_are_answered() {
    let target = Target::start();
    let (body, length) = tensors();
    let said = prop_oneof![Just(length as u64), any::<u64>(), 0..2 * length as u64];
    each(300, (edits(), said), |(edits, said)| {
        let path = "/v2/models/whisper-nano.en/infer";
        let request =
            target.server.client.post(target.server.url(path)).header("content-type", "application/octet-stream");
        let request = request.header("inference-header-content-length", said.to_string());
        target.checks(path, request.body(edited(&body, &edits)))
    });
}
