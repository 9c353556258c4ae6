//! OpenAI's audio API.

use serde_json::{Value, json};

use crate::{
    recordings::{truths, words},
    support::{Server, recording, sound},
};

const WAV: &str = "turn-on-the-kitchen-lights.wav";
const MODEL: &str = "whisper-nano.en";

#[tokio::test]
async fn each_format_has_its_type_and_its_shape() {
    let server = Server::start();
    let ask = |format: &'static str| {
        let server = &server;
        async move {
            let answer = server.transcribe(recording(WAV), MODEL, &[("response_format", format)]).await;
            assert_eq!(answer.status(), 200, "{format}");
            let media_type = answer.headers()["content-type"].to_str().unwrap().to_owned();
            (media_type, answer.text().await.unwrap())
        }
    };
    let (media_type, text) = ask("json").await;
    let body: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((media_type.as_str(), &body["usage"]), ("application/json", &json!({"type": "duration", "seconds": 3})));
    let (media_type, text) = ask("text").await;
    assert!(
        media_type.starts_with("text/plain") && words(&text) == ["turn", "on", "the", "kitchen", "lights"],
        "{text}"
    );
    let (media_type, text) = ask("srt").await;
    assert!(media_type.starts_with("application/x-subrip") && text.starts_with("1\n00:00:0"), "{text}");
    let (media_type, text) = ask("vtt").await;
    assert!(media_type.starts_with("text/vtt") && text.starts_with("WEBVTT\n\n00:00:0"), "{text}");
}

#[tokio::test]
async fn verbose_json_has_segments_or_words_or_both() {
    let server = Server::start();
    let ask = |granularities: &'static [(&'static str, &'static str)]| {
        let server = &server;
        async move {
            let fields = [&[("response_format", "verbose_json")], granularities].concat();
            server.transcribe(recording(WAV), MODEL, &fields).await.json::<Value>().await.unwrap()
        }
    };
    let plain = ask(&[]).await;
    assert_eq!((&plain["task"], &plain["language"]), (&json!("transcribe"), &json!("english")));
    assert!((plain["duration"].as_f64().unwrap() - 2.713).abs() < 0.01);
    assert!(plain.get("words").is_none());
    let segment = &plain["segments"][0];
    for key in [
        "id",
        "seek",
        "start",
        "end",
        "text",
        "tokens",
        "temperature",
        "avg_logprob",
        "compression_ratio",
        "no_speech_prob",
    ] {
        assert!(segment.get(key).is_some(), "{key} is missing in {segment}");
    }
    let by_word = ask(&[("timestamp_granularities[]", "word")]).await;
    assert!(by_word.get("segments").is_none());
    let heard: Vec<_> =
        by_word["words"].as_array().unwrap().iter().map(|word| word["word"].as_str().unwrap()).collect();
    assert_eq!(words(&heard.join(" ")), ["turn", "on", "the", "kitchen", "lights"]);
    let times: Vec<f64> =
        by_word["words"].as_array().unwrap().iter().map(|word| word["start"].as_f64().unwrap()).collect();
    assert!(times.is_sorted() && times[1] > 0.6 && times[4] < 2.4, "{times:?}");
    let both = ask(&[("timestamp_granularities", "word"), ("timestamp_granularities", "segment")]).await;
    assert!(both["words"].is_array() && both["segments"].is_array());
}

#[tokio::test]
async fn a_stream_gives_deltas_and_then_the_whole() {
    let server = Server::start();
    let answer = server.transcribe(recording("good-morning.flac"), MODEL, &[("stream", "true")]).await;
    assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream"));
    let text = answer.text().await.unwrap();
    let events: Vec<Value> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect();
    let (last, deltas) = events.split_last().unwrap();
    assert!(deltas.len() > 1, "{text}");
    assert!(deltas.iter().all(|event| event["type"] == "transcript.text.delta"), "{text}");
    assert_eq!(last["type"], "transcript.text.done");
    let joined: String = deltas.iter().map(|event| event["delta"].as_str().unwrap()).collect();
    assert_eq!(joined.trim(), last["text"].as_str().unwrap());
    assert_eq!(last["usage"]["seconds"], 13);
}

#[tokio::test]
async fn models_are_listed_and_found_by_any_of_their_names() {
    let server = Server::start();
    let list = server.get_json("/v1/models").await;
    let ids: Vec<_> = list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert!(ids.contains(&"openai/whisper-large-v3-turbo") && ids.contains(&"sconce/whisper-nano.en"), "{ids:?}");
    assert_eq!(server.get_json("/v1/models/whisper-1").await["id"], "sconce/whisper-nano.en");
    for name in ["whisper-tiny", "openai/whisper-tiny", "openai%2Fwhisper-tiny", "Whisper-Tiny"] {
        let model = server.get_json(&format!("/v1/models/{name}")).await;
        assert_eq!(model["id"], "openai/whisper-tiny", "{name}");
    }
    let unknown = server.get("/v1/models/whisper-tinny").await;
    assert_eq!(unknown.status(), 404);
    let message = unknown.json::<Value>().await.unwrap()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("did you mean \"openai/whisper-tiny\""), "{message}");
}

#[tokio::test]
async fn a_model_that_only_knows_english_does_not_translate() {
    let server = Server::start();
    let form = crate::support::server::form(recording(WAV), MODEL, &[]);
    let answer = server.client.post(server.url("/v1/audio/translations")).multipart(form).send().await.unwrap();
    assert_eq!(answer.status(), 400);
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["error"]["param"], "task", "{body}");
}

/// Events of a stream, and how they were framed.
fn events(text: &str) -> Vec<Value> {
    // A comment keeps the connection open where nothing is said for a while.
    let frames = text.split_terminator("\n\n").filter(|frame| !frame.starts_with(':'));
    let frames = frames.map(|frame| frame.strip_prefix("data: ").unwrap_or_else(|| panic!("{frame}")));
    frames.map(|data| serde_json::from_str(data).unwrap()).collect()
}

/// The text that log-probabilities are of; none of them is of more than certainty.
fn spelled(logprobs: &Value) -> String {
    let tokens = logprobs.as_array().unwrap_or_else(|| panic!("{logprobs}"));
    assert!(tokens.iter().all(|token| token["logprob"].as_f64().unwrap() <= 0.0), "{logprobs}");
    let byte = |byte: &Value| u8::try_from(byte.as_u64().unwrap()).unwrap();
    let bytes = tokens.iter().flat_map(|token| token["bytes"].as_array().unwrap().iter().map(byte)).collect();
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn log_probabilities_are_of_the_tokens_of_the_text_and_only_there_when_asked_for() {
    let server = Server::start();
    let plain: Value = server.transcribe(recording(WAV), MODEL, &[]).await.json().await.unwrap();
    assert!(plain.get("logprobs").is_none());
    let asked: Value =
        server.transcribe(recording(WAV), MODEL, &[("include[]", "logprobs")]).await.json().await.unwrap();
    assert_eq!(asked["text"], plain["text"]);
    assert_eq!(spelled(&asked["logprobs"]).trim(), asked["text"].as_str().unwrap());
}

#[tokio::test]
async fn events_carry_the_log_probabilities_of_their_own_text() {
    let server = Server::start();
    let fields = [("stream", "true"), ("include[]", "logprobs")];
    let text = server.transcribe(recording("good-morning.flac"), MODEL, &fields).await.text().await.unwrap();
    let events = events(&text);
    let (done, deltas) = events.split_last().unwrap();
    for delta in deltas {
        assert_eq!(spelled(&delta["logprobs"]).trim(), delta["delta"].as_str().unwrap().trim(), "{delta}");
    }
    assert_eq!(spelled(&done["logprobs"]).trim(), done["text"].as_str().unwrap());
}

#[tokio::test]
async fn speech_between_long_pauses_is_heard_where_it_is() {
    let server = Server::start();
    let long = sound::apart(&["turn-on-the-kitchen-lights.wav", "what-is-the-weather.mp3"], 20.0);
    let said = ["turn", "on", "the", "kitchen", "lights", "what", "is", "the", "weather"];
    for strategy in [
        &[("chunking_strategy", "auto")][..],
        &[("chunking_strategy", r#"{"type":"server_vad","silence_duration_ms":400}"#)],
        &[("chunking_strategy[type]", "server_vad"), ("chunking_strategy[threshold]", "0.4")],
    ] {
        let fields = [strategy, &[("response_format", "verbose_json"), ("timestamp_granularities[]", "word")]].concat();
        let heard: Value = server.transcribe(long.clone(), MODEL, &fields).await.json().await.unwrap();
        assert_eq!(words(heard["text"].as_str().unwrap())[..said.len()], said, "{heard}");
        // 20 s of silence, 2.713 s, 20 s of silence, 3.73 s, 20 s of silence.
        assert!((heard["duration"].as_f64().unwrap() - 66.443).abs() < 0.01, "{heard}");
        assert_eq!(heard["usage"]["seconds"], 67);
        let start = |word: usize| heard["words"][word]["start"].as_f64().unwrap();
        assert!((start(0) - 20.718).abs() < 0.5 && (start(6) - 43.594).abs() < 0.3, "{heard}");
    }
}

#[tokio::test]
async fn where_nobody_speaks_nothing_is_heard() {
    let server = Server::start();
    let deaf = r#"{"type":"server_vad","threshold":1}"#;
    for (file, strategy) in [(sound::silence(5.0), "auto"), (recording(WAV), deaf)] {
        let fields = [("chunking_strategy", strategy), ("response_format", "verbose_json")];
        let heard: Value = server.transcribe(file, MODEL, &fields).await.json().await.unwrap();
        assert_eq!((&heard["text"], &heard["segments"]), (&json!(""), &json!([])), "{heard}");
        assert!(heard["duration"].as_f64().unwrap() > 2.7, "{heard}");
    }
}

#[tokio::test]
async fn cutting_out_silence_costs_no_word() {
    let server = Server::start();
    for (file, truth) in truths() {
        let fields = [("chunking_strategy", "auto")];
        let body: Value = server.transcribe(recording(&file), MODEL, &fields).await.json().await.unwrap();
        assert_eq!(words(body["text"].as_str().unwrap()), words(&truth), "{file}");
    }
}

#[tokio::test]
async fn every_answer_names_its_request() {
    let server = Server::start();
    let answers = [
        server.transcribe(recording(WAV), MODEL, &[]).await,
        server.transcribe(recording(WAV), "nobody", &[]).await,
        server.get("/v1/models").await,
        server.get("/v1/audio/voices").await,
        server.post_json("/v1/audio/speech", &json!({})).await,
    ];
    assert!(answers.iter().all(|answer| !answer.headers()["x-request-id"].is_empty()));
}
