//! The description of the events, held against those that come.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{
    Server,
    socket::{Live, pause, pcm16, said},
    vosk::{self, Caller},
};

const DONE: &str = "conversation.item.input_audio_transcription.completed";
const FAILED: &str = "conversation.item.input_audio_transcription.failed";

/// Every kind of event that a session of today has.
async fn today(server: &Server) -> Vec<Value> {
    let mut live = Live::open(server, "?intent=transcription", &[]).await.unwrap();
    let mut events = live.until("session.created").await;
    let session = json!({"type": "transcription", "include": ["item.input_audio_transcription.logprobs"]});
    live.send(json!({"type": "session.update", "session": session})).await;
    events.extend(live.until("session.updated").await);
    live.append(&pcm16(&[pause(1.2), said("wake-me-up.flac"), pause(1.5)])).await;
    events.extend(live.until(DONE).await);
    live.send(json!({"type": "input_audio_buffer.clear"})).await;
    events.extend(live.until("input_audio_buffer.cleared").await);
    live.commit().await;
    events.extend(live.until("error").await);
    let deaf = json!({"type": "transcription", "audio": {"input": {"transcription": {"language": "de"}}}});
    live.send(json!({"type": "session.update", "session": deaf})).await;
    live.append(&pcm16(&[said("good-morning.flac")])).await;
    live.commit().await;
    events.extend(live.until(FAILED).await);
    events.extend(spoken(&mut live).await);
    live.close().await;
    events
}

/// Every kind of event of a text that is spoken.
async fn spoken(live: &mut Live) -> Vec<Value> {
    let item = json!({"type": "message", "content": [{"type": "input_text", "text": "Good morning."}]});
    live.send(json!({"type": "conversation.item.create", "item": item})).await;
    live.send(json!({"type": "response.create", "response": {"metadata": {"a": "b"}}})).await;
    let mut events = live.until("response.done").await;
    let [long, nobody] = ["It is a long way to the harbour. ".repeat(100), "Hello.".to_owned()];
    for (text, voice) in [(long, "alloy"), (nobody, "nobody")] {
        let input = json!([{"type": "message", "content": [{"type": "input_text", "text": text}]}]);
        let output = json!({"output": {"voice": voice}});
        live.send(json!({"type": "response.create", "response": {"input": input, "audio": output}})).await;
        if voice == "alloy" {
            live.send(json!({"type": "response.cancel"})).await;
        }
        events.extend(live.until("response.done").await);
    }
    events
}

async fn beta(server: &Server) -> Vec<Value> {
    let mut live = Live::open(server, "", &[("OpenAI-Beta", "realtime=v1")]).await.unwrap();
    let mut events = live.until("transcription_session.created").await;
    let session = json!({"turn_detection": null});
    live.send(json!({"type": "transcription_session.update", "session": session})).await;
    events.extend(live.until("transcription_session.updated").await);
    live.append(&pcm16(&[said("good-morning.flac")])).await;
    live.commit().await;
    events.extend(live.until(DONE).await);
    let input = json!([{"type": "message", "content": [{"type": "input_text", "text": "Good morning."}]}]);
    live.send(json!({"type": "response.create", "response": {"input": input}})).await;
    events.extend(live.until("response.done").await);
    live.close().await;
    events
}

/// What a value does not have that its schema wants, or has that the schema does not know.
fn strange(value: &Value, schema: &Value, document: &Value, at: &str) -> Vec<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(reference.trim_start_matches('#')).unwrap_or_else(|| panic!("{reference}"));
        return strange(value, target, document, at);
    }
    if let Some(choices) = schema["oneOf"].as_array().or(schema["anyOf"].as_array()) {
        let fits = choices.iter().any(|choice| strange(value, choice, document, at).is_empty());
        return if fits { Vec::new() } else { vec![format!("{at} is {value}, which is none of {schema}")] };
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let is = |kind: &str| match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("{other}"),
    };
    if !kinds.is_empty() && !kinds.iter().any(|kind| is(kind)) {
        return vec![format!("{at} is {value}, and not {kinds:?}")];
    }
    if let Some(items) = value.as_array() {
        return items.iter().flat_map(|item| strange(item, &schema["items"], document, at)).collect();
    }
    let Some(fields) = value.as_object() else { return Vec::new() };
    let parts = parts(schema, document);
    if parts.iter().all(|part| part["properties"].is_null()) {
        return Vec::new();
    }
    let required = parts.iter().flat_map(|part| part["required"].as_array().into_iter().flatten());
    let missing = required.filter_map(Value::as_str).filter(|name| !fields.contains_key(*name));
    let missing = missing.map(|name| format!("{at}.{name} is missing"));
    let found =
        fields.iter().flat_map(|(name, value)| match parts.iter().find_map(|part| part["properties"].get(name)) {
            Some(schema) => strange(value, schema, document, &format!("{at}.{name}")),
            None => vec![format!("{at}.{name} is not described")],
        });
    missing.chain(found).collect()
}

/// A schema, or those that it is made of.
fn parts<'a>(schema: &'a Value, document: &'a Value) -> Vec<&'a Value> {
    if let Some(reference) = schema["$ref"].as_str() {
        return parts(document.pointer(reference.trim_start_matches('#')).unwrap(), document);
    }
    match schema["allOf"].as_array() {
        Some(all) => all.iter().flat_map(|part| parts(part, document)).collect(),
        None => vec![schema],
    }
}

/// Names of the messages of an operation.
fn described<'a>(document: &'a Value, operation: &str) -> BTreeSet<&'a str> {
    let messages = document["operations"][operation]["messages"].as_array().unwrap();
    messages.iter().filter_map(|message| message["$ref"].as_str()?.rsplit('/').next()).collect()
}

#[tokio::test]
async fn every_event_that_comes_is_described_and_every_one_that_is_described_comes() {
    let server = Server::start();
    let document = server.get_json("/asyncapi.json").await;
    assert_eq!(
        (&document["asyncapi"], &document["info"]["version"]),
        (&json!("3.0.0"), &json!(env!("CARGO_PKG_VERSION")))
    );
    assert_eq!(document["channels"]["realtime"]["address"], "/v1/realtime");
    let described = described(&document, "tell");
    let events = [today(&server).await, beta(&server).await].concat();
    let came: BTreeSet<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(came, described);
    for event in &events {
        let name = event["type"].as_str().unwrap();
        let schema = &document["components"]["messages"][name]["payload"];
        let faults = strange(event, schema, &document, name);
        assert!(faults.is_empty(), "{faults:?}");
    }
}

/// Every kind of answer that clients of Vosk get.
async fn of_vosk(server: &Server) -> Vec<Value> {
    let mut answers = Vec::new();
    for config in [json!({"words": true}), json!({"words": 1, "max_alternatives": 1, "phrase_list": ["wake me up"]})] {
        let mut config = config;
        config["sample_rate"] = 16_000.into();
        let mut caller = Caller::start(server, config).await;
        let [pause, spoken] = [vosk::said(&[(0, 1.2)], 16_000), spoken_words()];
        let sound = sconce::audio::Pcm::joined(&[pause.clone(), spoken, pause]).unwrap();
        answers.extend(caller.hear_all(&sound, false).await);
        answers.push(caller.end().await.0);
    }
    let mut caller = Caller::open(server, "/vosk", &[]).await.unwrap();
    caller.text("{}".to_owned()).await;
    answers.push(caller.next().await.unwrap());
    answers
}

fn spoken_words() -> sconce::audio::Pcm {
    let longest = std::time::Duration::from_secs(60);
    sconce::audio::decode(&crate::support::recording("wake-me-up.flac"), None, 16_000, longest).unwrap().pcm
}

#[tokio::test]
async fn every_answer_of_vosk_is_described_and_every_one_that_is_described_comes() {
    let server = Server::builder().env("SCONCE_SERVER__DISCONNECT_TIMEOUT", "100ms").start();
    let document = server.get_json("/asyncapi.json").await;
    let channel = &document["channels"]["vosk"];
    assert_eq!(channel["address"], "/vosk");
    let about = channel["description"].as_str().unwrap();
    assert!(about.contains("262144 bytes") && about.contains("live.max_message"), "{about}");
    let sound = &document["components"]["messages"]["vosk.sound"];
    assert_eq!(sound["contentType"], "application/octet-stream");
    assert!(sound["payload"]["maxLength"].as_u64().is_some_and(|most| most > 10_000), "{sound}");
    let (taken, sent) = (described(&document, "vosk_hear"), described(&document, "vosk_tell"));
    assert_eq!(taken, BTreeSet::from(["vosk.config", "vosk.eof", "vosk.sound"]));
    let answers = of_vosk(&server).await;
    let kind = |answer: &Value| {
        let first = ["partial", "text", "alternatives", "error"].into_iter().find(|kind| !answer[kind].is_null());
        format!("vosk.{}", first.unwrap())
    };
    let came: BTreeSet<_> = answers.iter().map(kind).collect();
    assert_eq!(came.iter().map(String::as_str).collect::<BTreeSet<_>>(), sent);
    for answer in &answers {
        let schema = &document["components"]["messages"][kind(answer)]["payload"];
        let faults = strange(answer, schema, &document, &kind(answer));
        assert!(faults.is_empty(), "{faults:?}");
    }
    assert!(answers.iter().any(|answer| answer["result"].is_array()), "words come with their times: {answers:?}");
    let error = answers.last().unwrap();
    let codes = &document["components"]["messages"]["vosk.error"]["payload"]["properties"]["code"]["enum"];
    assert!(codes.as_array().unwrap().contains(&error["code"]), "{error}");
}
