//! Speech through the protocols that are not OpenAI's, by the voice inside the program.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use sconce::audio::{Pcm, decode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Server, checkout, files::Files, recording};

const TEXT: &str = "Good morning. The train leaves at eight.";
const LENGTH: &str = "inference-header-content-length";

fn heard(bytes: &[u8]) -> Pcm {
    decode(bytes, None, 24_000, Duration::from_secs(60)).unwrap().pcm
}

fn content(prediction: &Value) -> Vec<u8> {
    BASE64_STANDARD.decode(prediction["audio"]["content"].as_str().unwrap_or_else(|| panic!("{prediction}"))).unwrap()
}

async fn post(server: &Server, path: &str, body: &Value) -> (u16, Value) {
    let answer = server.post_json(path, body).await;
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn events(server: &Server, body: &Value) -> Vec<Value> {
    let answer = server.post_json("/predict", body).await;
    assert_eq!(answer.status(), 200);
    let text = answer.text().await.unwrap();
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|data| serde_json::from_str(data).unwrap()).collect()
}

#[tokio::test]
async fn instances_with_a_text_are_spoken() {
    let server = Server::start();
    for path in ["/predict", "/invocations"] {
        let instances = json!([{"text": TEXT}, {"text": TEXT, "speed": 2.0, "response_format": "mp3"}, {}]);
        let parameters = json!({"seed": 7, "voice": "lark", "text": "Good evening."});
        let (status, answer) = post(&server, path, &json!({"instances": instances, "parameters": parameters})).await;
        assert_eq!(status, 200, "{answer}");
        let [plain, fast, other] = answer["predictions"].as_array().unwrap().as_slice() else { panic!("{answer}") };
        assert_eq!((&plain["model"], &plain["seed"]), (&json!("sconce/lark.en"), &json!(7)));
        assert_eq!(plain["audio"]["mime_type"], "audio/wav");
        assert_eq!(plain["audio"]["sample_rate"], 24_000);
        let wav = content(plain);
        assert_eq!(wav[4..8], u32::try_from(wav.len() - 8).unwrap().to_le_bytes(), "the header knows the length");
        let seconds = plain["audio"]["duration"].as_f64().unwrap();
        assert!((heard(&wav).seconds() - seconds).abs() < 0.01 && seconds > 1.5, "{seconds}");
        assert_eq!(fast["audio"]["mime_type"], "audio/mpeg");
        let fast = heard(&content(fast)).seconds();
        assert!((0.4..0.75).contains(&(fast / seconds)), "{fast} of {seconds}");
        assert!(heard(&content(other)).seconds() < seconds);
    }
    let speech = json!({"model": "tts-1", "input": TEXT, "voice": "alloy", "response_format": "flac", "seed": 7});
    let theirs = server.post_json("/v1/audio/speech", &speech).await.bytes().await.unwrap();
    let (_, ours) = post(&server, "/predict", &json!({"instances": [{"text": TEXT, "seed": 7}]})).await;
    assert_eq!(heard(&content(&ours["predictions"][0])).samples(), heard(&theirs).samples(), "the same sound");
}

#[tokio::test]
async fn a_text_without_the_envelope_is_an_object_or_a_file() {
    let server = Server::start();
    let (status, object) = post(&server, "/predict", &json!({"text": TEXT, "seed": 1})).await;
    assert_eq!(status, 200, "{object}");
    let whole = heard(&content(&object));
    let ssml = format!("<speak>{TEXT}</speak>");
    for (path, media_type, body, answered) in [
        (
            "/predict",
            "application/json",
            json!({"text": TEXT, "seed": 1, "response_format": "wav"}).to_string(),
            "audio/wav",
        ),
        ("/predict?seed=1&response_format=flac", "text/plain", TEXT.to_owned(), "audio/flac"),
        ("/invocations?seed=1&response_format=wav", "text/plain; charset=utf-8", TEXT.to_owned(), "audio/wav"),
        ("/predict?seed=1&response_format=wav", "application/ssml+xml", ssml, "audio/wav"),
    ] {
        let answer = server.post_bytes(path, media_type, body.into_bytes()).await;
        assert_eq!((answer.status().as_u16(), answer.headers()["content-type"].to_str().unwrap()), (200, answered));
        let pcm = heard(&answer.bytes().await.unwrap());
        assert!(pcm.samples() == whole.samples(), "{path} {media_type}");
    }
    let latin = server.post_bytes("/predict", "text/plain", vec![0xE9, 0x20]).await;
    assert_eq!(latin.status(), 400);
    let latin = server.post_bytes("/predict", "text/plain; charset=latin1", b"a".to_vec()).await;
    assert!(latin.text().await.unwrap().contains("utf-8"));
}

#[tokio::test]
async fn sound_is_streamed_while_it_is_made() {
    let server = Server::start();
    let request = json!({"text": TEXT, "seed": 1, "response_format": "pcm"});
    let whole = server.post_json("/predict", &request).await.bytes().await.unwrap();
    let mut streamed = request.clone();
    streamed["stream"] = true.into();
    let plain = events(&server, &streamed).await;
    let (last, deltas) = plain.split_last().unwrap();
    assert!(deltas.len() > 1, "{plain:?}");
    assert_eq!(deltas.iter().flat_map(content).collect::<Vec<u8>>(), whole);
    let about = &last["prediction"];
    assert_eq!((&about["audio"]["mime_type"], &about["seed"]), (&json!("audio/pcm"), &json!(1)));
    assert!(about["audio"].get("content").is_none() && about["audio"]["duration"].as_f64().unwrap() > 1.0, "{about}");

    let instances = json!([request, {"text": "?!"}]);
    let tagged = events(&server, &json!({"instances": instances, "parameters": {"stream": true}})).await;
    let of = |instance: u64| tagged.iter().filter(move |event| event["instance"] == instance);
    assert!(of(0).filter(|event| event.get("audio").is_some()).flat_map(content).collect::<Vec<u8>>() == whole);
    assert!(of(1).all(|event| event["error"]["code"] == 400) && of(1).count() == 1, "{tagged:?}");
}

#[tokio::test]
async fn sound_is_written_where_the_request_says() {
    let files = Files::start();
    let server = Server::builder()
        .env("SCONCE_REMOTE__ALLOW_BUCKETS", "sounds")
        .env("SCONCE_REMOTE__GCS__ENDPOINT", &files.url())
        .env("SCONCE_REMOTE__GCS__ANONYMOUS", "true")
        .start();
    let instances = json!([{"text": TEXT}, {"text": TEXT, "response_format": "opus"}]);
    let body = json!({"instances": instances, "parameters": {"output_uri": "gs://sounds/out", "seed": 1}});
    let (status, answer) = post(&server, "/predict", &body).await;
    let [wav, opus] = ["gs://sounds/out/0.wav", "gs://sounds/out/1.opus"];
    assert_eq!((status, answer), (200, json!({"predictions": [{"uri": wav}, {"uri": opus}]})));
    for (path, media_type) in [("sounds/out/0.wav", "audio/wav"), ("sounds/out/1.opus", "audio/ogg")] {
        let (bytes, content_type) = files.get(path).unwrap();
        assert!(content_type == media_type && heard(&bytes).seconds() > 1.5, "{path}");
    }
    let streamed = json!({"text": TEXT, "stream": true, "output_uri": "gs://sounds/streamed.wav"});
    let told = events(&server, &streamed).await;
    assert_eq!(told.last().unwrap()["prediction"], json!({"uri": "gs://sounds/streamed.wav"}));
    assert!(heard(&files.get("sounds/streamed.wav").unwrap().0).seconds() > 1.5);
    let job = json!({"text": TEXT, "output_uri": "gs://sounds/job.mp3", "response_format": "mp3"});
    let job: Value = server.post_json("/v1/jobs", &job).await.json().await.unwrap();
    let path = format!("/v1/jobs/{}/events", job["id"].as_str().unwrap());
    let text = server.get(&path).await.text().await.unwrap();
    assert!(text.contains(r#""result":{"uri":"gs://sounds/job.mp3"}"#), "{text}");
    assert_eq!(files.get("sounds/job.mp3").unwrap().1, "audio/mpeg");
}

#[tokio::test]
async fn what_cannot_be_spoken_is_said_in_every_protocol() {
    let server = Server::builder().env("SCONCE_LIMITS__MAX_TEXT", "4096").start();
    let lone = json!({"text": "a"}).to_string().replace('a', "\\ud800");
    for (fields, status, param, part) in [
        (json!({"text": ""}), 400, "text", "empty"),
        (json!({"text": " "}), 400, "text", "blank"),
        (json!({"text": "?!…"}), 400, "text", "punctuation"),
        (json!({"text": "🎉🎉"}), 400, "text", "emoji"),
        (json!({"text": 7}), 400, "text", "a text"),
        (json!({"text": "a".repeat(4097)}), 413, "text", "4097"),
        (json!({"text": "Hi", "input_type": "ssml"}), 400, "text", "SSML"),
        (json!({"text": "Hi", "input_type": "html"}), 400, "input_type", "ssml"),
        (json!({"text": "Hi", "voice": "larc"}), 400, "voice", "did you mean lark?"),
        (json!({"text": "Hi", "voice": ""}), 400, "voice", "empty"),
        (json!({"text": "Hi", "voice": ["lark"]}), 400, "voice", "one voice"),
        (json!({"text": "Hi", "voice": {"id": "nobody"}}), 404, "voice", "nobody"),
        (json!({"text": "Hi", "voice": "lark:0.5,larc:0.5"}), 400, "voice", "did you mean lark?"),
        (json!({"text": "Hi", "voice": {"lark": 0}}), 400, "voice", "above 0"),
        (json!({"text": "Hi", "voice": {"lark": 1}}), 400, "voice", "its own voice only"),
        (json!({"text": "Hi", "voice": {"content": "UklGRg=="}}), 400, "voice", "format"),
        (json!({"text": "Hi", "speed": 0}), 400, "speed", "0.25 to 4"),
        (json!({"text": "Hi", "sample_rate": 1}), 400, "sample_rate", "8000"),
        (json!({"text": "Hi", "response_format": "midi"}), 400, "response_format", "flac"),
        (json!({"text": "Hi", "response_format": "srt"}), 400, "response_format", "wav"),
        (json!({"text": "Hi", "timestamps": "word"}), 400, "timestamps", "normalize"),
        (json!({"text": "Hi", "audio": "UklGRg=="}), 400, "text", "the one or the other"),
        (json!({"text": "Hi", "model": "whisper-nano.en"}), 400, "model", "does not synthesize"),
        (json!({"audio": "UklGRg==", "model": "lark.en"}), 400, "model", "does not transcribe"),
        (json!({"audio": "UklGRg==", "voice": "lark"}), 400, "model", "does not convert"),
    ] {
        let (found, answer) = post(&server, "/predict", &fields).await;
        assert_eq!(found, status, "{fields}: {answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains(part), "{fields}: {answer}");
        let violations = &answer["error"]["details"][1]["fieldViolations"];
        assert_eq!(violations[0]["field"], param, "{fields}: {answer}");
        let (found, answer) = post(&server, "/predict", &json!({"instances": [{"text": "Hi"}, fields]})).await;
        assert_eq!((found, &answer["predictions"][1]["error"]["code"]), (200, &json!(status)), "{fields}: {answer}");
    }
    for path in ["/predict", "/v1/jobs", "/generate", "/v1/audio/speech", "/v2/models/lark.en/infer"] {
        let answer = server.post_bytes(path, "application/json", lone.clone().into_bytes()).await;
        assert_eq!(answer.status(), 400, "{path}");
    }
}

fn strings(name: &str, texts: &[&str]) -> Value {
    json!({"name": name, "shape": [texts.len()], "datatype": "BYTES", "data": texts})
}

fn output<'a>(answer: &'a Value, name: &str) -> &'a Value {
    let outputs = answer["outputs"].as_array().unwrap_or_else(|| panic!("{answer}"));
    outputs.iter().find(|output| output["name"] == name).unwrap_or_else(|| panic!("no {name}: {answer}"))
}

const INFER: &str = "/v2/models/lark.en/infer";

#[tokio::test]
async fn texts_become_rows_of_samples() {
    let server = Server::start();
    let metadata = server.get_json("/v2/models/lark.en").await;
    assert_eq!(metadata["inputs"][0], json!({"name": "text", "datatype": "BYTES", "shape": [-1]}));
    let names: Vec<_> = metadata["outputs"].as_array().unwrap().iter().map(|port| &port["name"]).collect();
    assert_eq!(names, ["audio", "lengths", "sample_rate", "wav"]);

    let speed = json!({"name": "speed", "shape": [2], "datatype": "FP32", "data": [1.0, 2.0]});
    let inputs = json!([strings("text", &[TEXT, TEXT]), strings("voice", &["lark"]), speed]);
    let (status, answer) = post(&server, INFER, &json!({"inputs": inputs, "parameters": {"seed": 1}})).await;
    assert_eq!(status, 200, "{answer}");
    let lengths: Vec<usize> = serde_json::from_value(output(&answer, "lengths")["data"].clone()).unwrap();
    assert!(lengths[1] < lengths[0] && lengths[1] > 12_000, "{lengths:?}");
    assert_eq!(output(&answer, "sample_rate")["data"], json!([24_000, 24_000]));
    assert_eq!(output(&answer, "audio")["shape"], json!([2, lengths[0]]));
    let samples: Vec<f32> = serde_json::from_value(output(&answer, "audio")["data"].clone()).unwrap();
    assert!(samples.len() == 2 * lengths[0] && samples[lengths[0] + lengths[1]..].iter().all(|sample| *sample == 0.0));

    // As bytes, and as a file.
    let text = TEXT.as_bytes();
    let tensor = [&u32::try_from(text.len()).unwrap().to_le_bytes()[..], text].concat();
    let input =
        json!({"name": "text", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": tensor.len()}});
    let outputs = json!([{"name": "audio"}, {"name": "wav"}]);
    let header = json!({"inputs": [input], "outputs": outputs, "parameters": {"binary_data_output": true, "seed": 1}});
    let header = header.to_string();
    let body = [header.as_bytes(), &tensor].concat();
    let answer = server.client.post(server.url(INFER)).header(LENGTH, header.len()).body(body).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let length: usize = answer.headers()[LENGTH].to_str().unwrap().parse().unwrap();
    let body = answer.bytes().await.unwrap();
    let about: Value = serde_json::from_slice(&body[..length]).unwrap();
    let size = output(&about, "audio")["parameters"]["binary_data_size"].as_u64().unwrap() as usize;
    let floats = body[length..length + size].chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()));
    assert!(floats.eq(samples[..lengths[0]].iter().copied()), "the same seed says the same");
    assert_eq!(heard(&body[length + size + 4..]).samples().len(), lengths[0]);

    let raw = server.client.post(server.url(INFER)).header(LENGTH, 0).header("content-type", "text/plain").body(TEXT);
    assert_eq!(raw.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn what_is_wrong_with_tensors_of_text_is_said() {
    let server = Server::start();
    let wav = BASE64_STANDARD.encode(recording("turn-on-the-kitchen-lights.wav"));
    let hear = "/v2/models/whisper-nano.en/infer";
    for (path, body, status, part) in [
        (INFER, json!({"inputs": [strings("text", &[])]}), 400, "holds no text"),
        (INFER, json!({"inputs": [strings("text", &["?!"])]}), 400, "punctuation"),
        (
            INFER,
            json!({"inputs": [strings("text", &["a", "b"]), strings("voice", &["x", "y", "z"])]}),
            400,
            "one for each",
        ),
        (INFER, json!({"inputs": [strings("text", &["a"]), strings("voice", &["larc"])]}), 400, "did you mean lark?"),
        (INFER, json!({"inputs": [strings("text", &["a"]), strings("task", &["b"])]}), 400, "there are text, voice"),
        (INFER, json!({"inputs": [strings("text", &["a"]), strings("audio", &[&wav])]}), 400, "the one or the other"),
        (INFER, json!({"inputs": [strings("text", &["a"])], "parameters": {"speed": 0}}), 400, "0.25 to 4"),
        (
            INFER,
            json!({"inputs": [strings("text", &["a"])], "outputs": [{"name": "segments"}]}),
            400,
            "there are audio",
        ),
        (INFER, json!({"inputs": [strings("audio", &[&wav])]}), 501, "does not transcribe"),
        (hear, json!({"inputs": [strings("text", &["a"])]}), 501, "does not synthesize"),
    ] {
        let (found, answer) = post(&server, path, &body).await;
        let message = answer["error"].as_str().unwrap_or_else(|| panic!("{answer}"));
        assert_eq!((found, message.contains(part)), (status, true), "{body}: {message}");
    }
}

#[tokio::test]
async fn a_folder_of_hibari_speaks_without_being_told_what_it_is() {
    let folder = TempDir::new().unwrap();
    let tiny = checkout("tests/fixtures/hibari/tiny");
    for file in ["hibari.onnx", "lexicon_us_gold.json.gz", "lexicon_us_silver.json.gz", "vocab.json"] {
        std::fs::copy(tiny.join(file), folder.path().join(file)).unwrap();
    }
    let source = format!("file:{}", folder.path().display());
    let server = Server::builder().env("SCONCE_MODELS__MINE__SOURCE", &source).start();
    let body = json!({"model": "mine", "voice": "alloy", "input": "Good morning.", "response_format": "wav"});
    // Random weights say nothing, and are told so; that they are loaded shows who they are taken for.
    assert_ne!(server.post_json("/v1/audio/speech", &body).await.status(), 503);
    let model = server.get_json("/models/status").await["models"]["mine"].clone();
    assert_eq!((&model["family"], &model["status"]), (&json!("lark"), &json!("ready")), "{model}");
    // Files of nobody are none.
    std::fs::remove_file(folder.path().join("vocab.json")).unwrap();
    let server = Server::builder().env("SCONCE_MODELS__MINE__SOURCE", &source).start();
    let answer = server.post_json("/v1/audio/speech", &body).await;
    let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
    assert!(status == 503 && text.contains("config.json"), "{status} {text}");
}
