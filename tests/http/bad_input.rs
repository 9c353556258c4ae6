//! What is wrong is said, with what would be right. None of it is a 500, a panic or a hang.

use serde_json::{Value, json};

use crate::support::{Server, recording, server::form, sound};

const MODEL: &str = "whisper-nano.en";
const WAV: &str = "turn-on-the-kitchen-lights.wav";

/// The status and the message of an error in OpenAI's shape.
async fn failure(answer: reqwest::Response) -> (u16, String) {
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    (status, body["error"]["message"].as_str().unwrap_or_else(|| panic!("{body}")).to_owned())
}

#[tokio::test]
async fn recordings_that_are_none() {
    let server = Server::start();
    let wav = recording(WAV);
    let no_channels = [&wav[..22], &[0, 0], &wav[24..]].concat();
    for (name, bytes) in [
        ("empty", vec![]),
        ("text", b"this is not sound at all, however long one looks at it".to_vec()),
        ("a header alone", wav[..44].to_vec()),
        ("half a header", wav[..20].to_vec()),
        ("no channels", no_channels),
        ("png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0".to_vec()),
    ] {
        let (status, message) = failure(server.transcribe(bytes, MODEL, &[]).await).await;
        assert_eq!(status, 400, "{name}: {message}");
        assert!(!message.is_empty() && !message.contains('/'), "{name}: {message}");
    }
}

#[tokio::test]
async fn a_truncated_recording_gives_what_there_is() {
    let server = Server::start();
    let wav = recording(WAV);
    assert_eq!(server.transcribe(wav[..wav.len() / 2].to_vec(), MODEL, &[]).await.status(), 200);
}

#[tokio::test]
async fn a_recording_that_is_too_long_is_refused_with_the_limit() {
    let server = Server::builder().env("SCONCE_LIMITS__MAX_AUDIO", "5s").start();
    let (status, message) = failure(server.transcribe(sound::silence(6.0), MODEL, &[]).await).await;
    assert_eq!(status, 413);
    assert!(message.contains('5'), "{message}");
}

#[tokio::test]
async fn a_wrong_extension_does_not_matter() {
    let server = Server::start();
    let answer = server.post_bytes("/predict", "audio/mpeg", recording(WAV)).await;
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_with_the_limit() {
    let server = Server::builder().env("SCONCE_LIMITS__MAX_BODY", "10kB").start();
    let (status, message) = failure(server.transcribe(recording(WAV), MODEL, &[]).await).await;
    assert_eq!(status, 413);
    assert!(message.contains("10000"), "{message}");
    let raw = server.post_bytes("/predict", "audio/wav", recording(WAV)).await;
    assert_eq!(raw.status(), 413);
}

#[tokio::test]
async fn media_types_that_are_not_taken() {
    let server = Server::start();
    for (path, media_type) in [("/predict", "text/html"), ("/v1/audio/transcriptions", "application/json")] {
        let (status, message) = failure(server.post_bytes(path, media_type, b"{}".to_vec()).await).await;
        assert_eq!(status, 415, "{path}");
        assert!(message.contains(media_type) && message.contains("multipart/form-data"), "{message}");
    }
}

/// Some clients send the field without a value. The content says what it is.
#[tokio::test]
async fn an_empty_media_type_is_none() {
    let server = Server::start();
    let text = async |answer: reqwest::Response| -> (u16, String) {
        let (status, body) = (answer.status().as_u16(), answer.json::<Value>().await.unwrap());
        (status, body["text"].as_str().unwrap_or_else(|| panic!("{body}")).to_lowercase())
    };
    let right = text(server.transcribe(recording(WAV), MODEL, &[]).await).await;
    assert!(right.0 == 200 && right.1.contains("kitchen"), "{right:?}");
    assert_eq!(text(server.post_bytes("/predict", "", recording(WAV)).await).await, right, "of the body");
    let part = |head: &str| format!("--sound\r\nContent-Disposition: form-data; {head}\r\n\r\n").into_bytes();
    for media_type in ["Content-Type:", "Content-Type: ", "Content-Type: application/octet-stream"] {
        let file = part(&format!("name=\"file\"; filename=\"x\"\r\n{media_type}"));
        let body = [
            file,
            recording(WAV),
            b"\r\n".to_vec(),
            part("name=\"model\""),
            format!("{MODEL}\r\n--sound--\r\n").into(),
        ];
        for path in ["/v1/audio/transcriptions", "/predict"] {
            let answer = server.post_bytes(path, "multipart/form-data; boundary=sound", body.concat()).await;
            assert_eq!(text(answer).await, right, "of a part, {path}, {media_type:?}");
        }
    }
}

#[tokio::test]
async fn json_that_is_not_the_envelope() {
    let server = Server::start();
    for (body, part) in [
        ("", "JSON"),
        ("{", "JSON"),
        ("[]", "expected"),
        ("{}", "audio"),
        (r#"{"instances":{}}"#, "sequence"),
        (r#"{"instances":[]}"#, "at least one"),
        (r#"{"instances":[{}],"params":{}}"#, "params"),
        (r#"{"instances":[{"audio":""}],"parameters":{"langauge":"en"}}"#, "language"),
        (r#"{"audio":"","temperature":"hot"}"#, "temperature"),
        (r#"{"audio":"AAAA","temperature":7}"#, "0 to 1"),
        (r#"{"audio":"AAAA","wait":-1}"#, "wait"),
        (r#"{"audio":"AAAA","task":"sing"}"#, "transcribe"),
        (r#"{"audio":"AAAA","timestamps":"always"}"#, "segment"),
    ] {
        let answer = server.post_bytes("/predict", "application/json", body.as_bytes().to_vec()).await;
        let (status, message) = failure(answer).await;
        assert_eq!(status, 400, "{body}: {message}");
        assert!(message.contains(part), "{body}: {message}");
    }
}

#[tokio::test]
async fn an_unknown_model_is_named_with_the_nearest_one() {
    let server = Server::start();
    let (status, message) = failure(server.transcribe(recording(WAV), "whisper-nanno.en", &[]).await).await;
    assert_eq!(status, 404);
    assert!(
        message.contains("whisper-nanno.en") && message.contains("did you mean \"sconce/whisper-nano.en\""),
        "{message}"
    );
    let body = json!({"instances": [{"audio": ""}], "parameters": {"model": "nobody"}});
    assert_eq!(server.post_json("/predict", &body).await.status(), 404);
    let body = json!({"models": ["nobody"]});
    assert_eq!(server.post_json("/download-models", &body).await.status(), 404);
}

#[tokio::test]
async fn fields_that_are_wrong_or_unknown() {
    let server = Server::start();
    for (fields, param, part) in [
        (&[("response_format", "yaml")][..], "response_format", "verbose_json"),
        (&[("response_format", "diarized_json")], "diarize", "audio.speaker_network"),
        (&[("diarize", "true")], "diarize", "audio.speaker_network"),
        (&[("diarize", "perhaps")], "diarize", "true or false"),
        (&[("diarize", "true"), ("channels", "separate")], "diarize", "by its channel"),
        (&[("diarize", "false"), ("response_format", "diarized_json")], "diarize", "leave diarize out"),
        (&[("temperature", "hot")], "temperature", "0 to 1"),
        (&[("temperature", "3")], "temperature", "0 to 1"),
        (&[("timestamp_granularities[]", "word")], "timestamp_granularities", "verbose_json"),
        (
            &[("response_format", "verbose_json"), ("timestamp_granularities[]", "letter")],
            "timestamp_granularities",
            "word",
        ),
        (&[("stream", "true"), ("response_format", "srt")], "stream", "json"),
        (&[("stream", "perhaps")], "stream", "true or false"),
        (&[("include[]", "tokens")], "include", "logprobs"),
        (&[("include[]", "logprobs"), ("response_format", "verbose_json")], "include", "json"),
        (&[("include[]", "logprobs"), ("response_format", "text")], "include", "json"),
        (&[("known_speaker_names[]", "anna")], "known_speaker_names", "each speaker has one of both"),
        (&[("known_speaker_references[]", "data:")], "known_speaker_references", "each speaker has one of both"),
        (
            &[("known_speaker_names[]", "anna"), ("known_speaker_references[]", "data:audio/wav,UklGRg")],
            "known_speaker_references",
            "data:audio/wav;base64,",
        ),
        (
            &[("known_speaker_names[]", "<b>"), ("known_speaker_references[]", "data:audio/wav;base64,UklGRg==")],
            "known_speaker_names",
            "1 to 64 characters",
        ),
        (
            &[
                ("known_speaker_names[]", "ann"),
                ("known_speaker_names[]", "ann"),
                ("known_speaker_references[]", "data:audio/wav;base64,UklGRg=="),
                ("known_speaker_references[]", "data:audio/wav;base64,UklGRg=="),
            ],
            "known_speaker_names",
            "two speakers",
        ),
        (
            &[
                ("diarize", "false"),
                ("known_speaker_names[]", "ann"),
                ("known_speaker_references[]", "data:audio/wav;base64,UklGRg=="),
            ],
            "known_speaker_names",
            "needs diarize",
        ),
        (&[("languages[]", "en")], "languages", "language"),
        (&[("audio_sample", "")], "audio_sample", "file"),
        (&[("chunking_strategy", "often")], "chunking_strategy", "server_vad"),
        (&[("chunking_strategy", r#"{"type":"client_vad"}"#)], "chunking_strategy", "server_vad"),
        (&[("chunking_strategy", r#"{"type":"server_vad","threshold":2}"#)], "chunking_strategy", "0 to 1"),
        (&[("chunking_strategy", r#"{"type":"server_vad","prefix_padding_ms":-1}"#)], "chunking_strategy", "-1"),
        (
            &[("chunking_strategy", r#"{"type":"server_vad","silence_duration_ms":60001}"#)],
            "chunking_strategy",
            "60000",
        ),
        (&[("chunking_strategy", r#"{"type":"server_vad","loudness":1}"#)], "chunking_strategy", "threshold"),
        (&[("chunking_strategy[threshold]", "0.5")], "chunking_strategy", "type"),
        (&[("chunking_strategy[type]", "server_vad"), ("chunking_strategy", "auto")], "chunking_strategy", "once"),
        (&[("langauge", "en")], "langauge", "language"),
        (&[("language", "klingon")], "language", "english"),
        (&[("language", "en"), ("language", "de")], "language", "more than once"),
        (&[("wait", "soon")], "wait", "seconds"),
    ] {
        let answer = server.transcribe(recording(WAV), MODEL, fields).await;
        let status = answer.status();
        let body: Value = answer.json().await.unwrap();
        assert_eq!((status.as_u16(), &body["error"]["param"]), (400, &json!(param)), "{fields:?}: {body}");
        assert!(body["error"]["message"].as_str().unwrap().to_lowercase().contains(part), "{fields:?}: {body}");
    }
}

#[tokio::test]
async fn forms_that_lack_something() {
    let server = Server::start();
    let post = |form: reqwest::multipart::Form| {
        server.client.post(server.url("/v1/audio/transcriptions")).multipart(form).send()
    };
    let (status, message) = failure(post(reqwest::multipart::Form::new().text("model", MODEL)).await.unwrap()).await;
    assert_eq!((status, message.contains("file")), (400, true), "{message}");
    let part = reqwest::multipart::Part::bytes(recording(WAV)).file_name("a.wav");
    let (status, message) = failure(post(reqwest::multipart::Form::new().part("file", part)).await.unwrap()).await;
    assert_eq!((status, message.contains("model")), (400, true), "{message}");
    let twice = form(recording(WAV), MODEL, &[]).part("file", reqwest::multipart::Part::bytes(recording(WAV)));
    assert_eq!(failure(post(twice).await.unwrap()).await.0, 400);
    let broken =
        server.post_bytes("/v1/audio/transcriptions", "multipart/form-data; boundary=x", b"--y\r\n".to_vec()).await;
    assert_eq!(broken.status(), 400);
}

#[tokio::test]
async fn options_of_the_family_are_checked() {
    let server = Server::start();
    let audio = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, recording(WAV));
    let body = json!({"audio": audio, "options": {"beem_size": 5}});
    let (status, message) = failure(server.post_json("/predict", &body).await).await;
    assert_eq!(status, 400);
    assert!(message.contains("beem_size"), "{message}");
}

#[tokio::test]
async fn numbers_that_json_does_not_have_are_refused_by_name() {
    let server = Server::start();
    for (query, field) in [
        ("temperature=NaN&wait=5", "temperature"),
        ("wait=inf", "wait"),
        ("temperature=-Infinity", "temperature"),
        ("wait=1e999", "wait"),
    ] {
        let answer = server.post_bytes(&format!("/predict?{query}"), "audio/wav", recording(WAV)).await;
        let status = answer.status();
        let body: Value = answer.json().await.unwrap();
        assert_eq!(
            (status.as_u16(), &body["error"]["details"][1]["fieldViolations"][0]["field"]),
            (400, &json!(field))
        );
        let (status, message) = failure(server.transcribe(recording(WAV), MODEL, &[(field, "NaN")]).await).await;
        assert_eq!((status, message.contains(field)), (400, true), "{message}");
    }
}

#[tokio::test]
async fn routes_and_methods_that_there_are_not() {
    let server = Server::start();
    assert_eq!(server.get("/nowhere").await.status(), 404);
    assert_eq!(server.get("/predict").await.status(), 405);
    assert_eq!(server.post_json("/health", &json!({})).await.status(), 405);
}

#[tokio::test]
async fn administration_is_closed_on_vertex_unless_it_is_opened() {
    let closed = Server::builder().env("AIP_MODE", "PREDICTION").start();
    assert_eq!(closed.post_json("/download-models", &json!({})).await.status(), 403);
    let opened = Server::builder().env("AIP_MODE", "PREDICTION").env("SCONCE_HTTP__ADMIN", "true").start();
    assert_eq!(opened.post_json("/download-models", &json!({})).await.status(), 200);
}
