//! Texts that are spoken in a session.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use sconce::audio::Companding;
use serde_json::{Value, json};

use crate::{
    recordings::words,
    support::{
        Server,
        socket::{Live, RATE, pause, pcm16, said, wav},
    },
};

/// How often a text is spoken until a small model understands a small model.
const TRIES: usize = 20;
const TEXT: &str = "Wake me up at seven.";
const LONG: &str = "It is a long way to the harbour, and nobody knows how long it will take. ";

/// A session that speaks as these values of `session` say.
async fn session(server: &Server, session: Value) -> Live {
    let mut live = Live::start(server).await;
    let mut all = json!({"type": "realtime"});
    all.as_object_mut().unwrap().append(&mut session.as_object().unwrap().clone());
    live.send(json!({"type": "session.update", "session": all})).await;
    let updated = live.until("session.updated").await.pop().unwrap();
    assert_eq!(updated["session"]["type"], "realtime", "{updated}");
    live
}

async fn say(live: &mut Live, text: &str) {
    let item = json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]});
    live.send(json!({"type": "response.create", "response": {"input": [item]}})).await;
}

/// The sound of a response, as bytes of the session's format.
fn sound(events: &[Value], kind: &str) -> Vec<u8> {
    let audio = events.iter().filter(|event| event["type"] == kind);
    audio.flat_map(|event| STANDARD.decode(event["delta"].as_str().unwrap()).unwrap()).collect()
}

/// The kinds of events, each once for all that follow each other.
fn course(events: &[Value]) -> Vec<&str> {
    let mut kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    kinds.dedup();
    kinds
}

async fn heard(server: &Server, pcm16: &[u8], rate: u32) -> String {
    let body: Value = server.transcribe(wav(pcm16, rate), "whisper-nano.en", &[]).await.json().await.unwrap();
    words(body["text"].as_str().unwrap()).join(" ")
}

#[tokio::test]
async fn a_text_is_spoken_in_the_words_of_the_protocol() {
    let server = Server::start();
    let mut live = Live::open(&server, "?model=gpt-realtime", &[]).await.unwrap();
    live.send(json!({"type": "session.update", "session": {"type": "realtime"}})).await;
    let updated = live.until("session.updated").await.pop().unwrap();
    assert_eq!(updated["session"]["model"], "sconce/lark.en", "{updated}");
    assert_eq!(updated["session"]["audio"]["input"]["transcription"]["model"], "sconce/whisper-nano.en");
    let mut tries = Vec::new();
    while !tries.last().is_some_and(|text: &String| text.starts_with("wake me up at")) {
        assert!(tries.len() < TRIES, "{tries:?}");
        say(&mut live, TEXT).await;
        let events = live.until("response.done").await;
        let expected = [
            "response.created",
            "response.output_item.added",
            "conversation.item.added",
            "response.content_part.added",
            "response.output_audio_transcript.delta",
            "response.output_audio.delta",
            "response.output_audio.done",
            "response.output_audio_transcript.done",
            "response.content_part.done",
            "response.output_item.done",
            "conversation.item.done",
            "response.done",
        ];
        assert_eq!(course(&events), expected);
        let done = &events.last().unwrap()["response"];
        assert_eq!((&done["status"], &done["status_details"]), (&json!("completed"), &Value::Null));
        assert_eq!(done["output"][0]["content"], json!([{"type": "output_audio", "transcript": TEXT}]));
        let ids: Vec<&Value> = events.iter().filter_map(|event| event.get("response_id")).collect();
        assert!(ids.iter().all(|id| **id == done["id"]), "{events:?}");
        tries.push(heard(&server, &sound(&events, "response.output_audio.delta"), RATE).await);
    }
    let spoken = [("protocol", "realtime"), ("task", "synthesize"), ("outcome", "ok")];
    assert_eq!(server.metric("sconce_requests_total", &spoken).await, tries.len() as f64);
    live.close().await;
}

#[tokio::test]
async fn texts_that_were_created_are_spoken_once_and_as_telephones_want_them() {
    let server = Server::start();
    let output = json!({"format": {"type": "audio/pcmu"}, "voice": "alloy", "speed": 1.0, "language": "en"});
    let mut live = session(&server, json!({"model": "tts-1", "audio": {"output": output}})).await;
    for (role, text) in [("system", "Good morning."), ("user", "Wake me up at seven.")] {
        let item = json!({"type": "message", "role": role, "content": [{"type": "input_text", "text": text}]});
        live.send(json!({"type": "conversation.item.create", "item": item})).await;
        let events = live.until("conversation.item.done").await;
        assert_eq!(course(&events), ["conversation.item.added", "conversation.item.done"]);
        assert_eq!(events[1]["item"]["content"], json!([{"type": "input_text", "text": text}]));
        assert_eq!(events[1]["item"]["role"], role);
    }
    live.send(json!({"type": "response.create"})).await;
    let events = live.until("response.done").await;
    let transcript = &events.last().unwrap()["response"]["output"][0]["content"][0]["transcript"];
    assert_eq!(transcript, "Good morning.\n\nWake me up at seven.");
    let bytes = sound(&events, "response.output_audio.delta");
    let seconds = bytes.len() as f64 / 8000.0;
    assert!((1.5..8.0).contains(&seconds), "{seconds}");
    let samples: Vec<f32> = Companding::MuLaw.expand(&bytes).collect();
    let loudest = samples.iter().fold(0.0_f32, |most, sample| most.max(sample.abs()));
    assert!(loudest > 0.05, "{loudest}");
    // They are said by now.
    live.send(json!({"type": "response.create"})).await;
    let error = live.error().await;
    assert!(error["message"].as_str().unwrap().contains("there is nothing to say"), "{error}");
    live.close().await;
}

#[tokio::test]
async fn who_has_heard_enough_and_who_speaks_interrupts() {
    let server = Server::start();
    let mut live = session(&server, json!({})).await;
    let long = LONG.repeat(50);
    say(&mut live, &long).await;
    live.until("response.output_audio.delta").await;
    say(&mut live, TEXT).await;
    let error = live.error().await;
    assert!(error["message"].as_str().unwrap().contains("response.cancel"), "{error}");
    live.send(json!({"type": "response.cancel", "response_id": "resp_of_another"})).await;
    let error = live.error().await;
    assert_eq!(error["param"], "response_id", "{error}");
    live.send(json!({"type": "response.cancel"})).await;
    let done = live.until("response.done").await.pop().unwrap()["response"].take();
    assert_eq!(done["status"], "cancelled");
    assert_eq!(done["status_details"], json!({"type": "cancelled", "reason": "client_cancelled"}));
    assert_eq!(done["output"][0]["status"], "incomplete");

    for (interrupt, status) in [(true, "cancelled"), (false, "completed")] {
        let detection = json!({"type": "server_vad", "interrupt_response": interrupt});
        let update = json!({"type": "realtime", "audio": {"input": {"turn_detection": detection}}});
        live.send(json!({"type": "session.update", "session": update})).await;
        live.until("session.updated").await;
        say(&mut live, if interrupt { &long } else { TEXT }).await;
        live.append(&pcm16(&[pause(1.2), said("wake-me-up.flac"), pause(1.5)])).await;
        let done = live.until("response.done").await.pop().unwrap()["response"].take();
        assert_eq!(done["status"], status);
        if interrupt {
            assert_eq!(done["status_details"]["reason"], "turn_detected");
        }
    }
    live.close().await;
    // Nobody speaks on for those who have gone.
    for _ in 0..200 {
        if server.metric("sconce_requests_in_flight", &[]).await == 0.0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("somebody speaks on for nobody");
}

#[tokio::test]
async fn what_cannot_be_spoken_is_told_and_the_session_goes_on() {
    let server = Server::builder().env("SCONCE_LIMITS__MAX_TEXT", "100").start();
    let mut live = session(&server, json!({})).await;
    let text = |text: &str| json!([{"type": "input_text", "text": text}]);
    let cases = [
        (json!({}), "response.input", "thinks of no answers"),
        (json!({"input": []}), "response.input", "there is nothing to say"),
        (json!({"input": [{"type": "message", "content": text(" ")}]}), "response.input", "there is nothing to say"),
        (
            json!({"input": [{"type": "function_call_output", "content": []}]}),
            "response.input[0].type",
            "message would be",
        ),
        (
            json!({"input": [{"type": "message", "content": [{"type": "input_audio"}]}]}),
            "response.input[0].content[0]",
            "input_text",
        ),
        (json!({"output_modalities": ["text"]}), "response.output_modalities", "[\"audio\"] would be right"),
        (json!({"audio": {"output": {"speed": 9.0}}}), "response.audio.output.speed", "0.25 to 4"),
        (json!({"audio": {"output": {"voice": 7}}}), "response.audio.output.voice", "should be a name"),
        (
            json!({"audio": {"output": {"format": {"type": "audio/mp3"}}}}),
            "response.audio.output.format.type",
            "audio/pcm",
        ),
        (json!({"tools": []}), "response.tools", "unknown field"),
    ];
    for (response, param, message) in cases {
        live.send(json!({"type": "response.create", "event_id": "e1", "response": response})).await;
        let error = live.error().await;
        assert!(error["message"].as_str().unwrap().contains(message), "{response}: {error}");
        assert_eq!(
            (error["param"].as_str(), error["event_id"].as_str()),
            (Some(param), Some("e1")),
            "{response}: {error}"
        );
    }
    // What only the model can say.
    for (output, text, message) in
        [(json!({"voice": "nobody"}), "Hello.", "nobody"), (json!({}), &*LONG.repeat(2), "100")]
    {
        let item = json!({"type": "message", "content": [{"type": "input_text", "text": text}]});
        live.send(json!({"type": "response.create", "response": {"input": [item], "audio": {"output": output}}})).await;
        let done = live.until("response.done").await.pop().unwrap()["response"].take();
        assert_eq!((&done["status"], &done["status_details"]["type"]), (&json!("failed"), &json!("failed")));
        let error = &done["status_details"]["error"];
        assert!(error["message"].as_str().unwrap().contains(message), "{error}");
    }
    // What waits is no more than is said.
    for (at, waits) in [(0, true), (1, false)] {
        let item = json!({"type": "message", "content": text(LONG)});
        live.send(json!({"type": "conversation.item.create", "item": item})).await;
        match waits {
            true => drop(live.until("conversation.item.done").await),
            false => assert!(live.error().await["message"].as_str().unwrap().contains("limits.max_text"), "{at}"),
        }
    }
    let nobody = json!({"type": "realtime", "model": "nobody"});
    live.send(json!({"type": "session.update", "session": nobody})).await;
    assert!(live.error().await["message"].as_str().unwrap().contains("nobody"));
    say(&mut live, "Good morning.").await;
    assert_eq!(live.until("response.done").await.pop().unwrap()["response"]["status"], "completed");
    live.close().await;
}

#[tokio::test]
async fn a_session_may_name_the_model_that_speaks_and_the_beta_has_its_names() {
    let server = Server::start();
    let beta = [("OpenAI-Beta", "realtime=v1")];
    let mut live = Live::open(&server, "?model=lark.en", &beta).await.unwrap();
    let created = live.until("transcription_session.created").await.pop().unwrap();
    assert_eq!(created["session"]["model"], "sconce/lark.en");
    assert_eq!(created["session"]["input_audio_transcription"]["model"], "sconce/whisper-nano.en");
    let item = json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Good morning."}]});
    let response =
        json!({"input": [item], "voice": "alloy", "output_audio_format": "g711_alaw", "modalities": ["audio"]});
    live.send(json!({"type": "response.create", "response": response})).await;
    let events = live.until("response.done").await;
    let expected = [
        "response.created",
        "response.output_item.added",
        "conversation.item.created",
        "response.content_part.added",
        "response.audio_transcript.delta",
        "response.audio.delta",
        "response.audio.done",
        "response.audio_transcript.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.done",
    ];
    assert_eq!(course(&events), expected);
    let seconds = sound(&events, "response.audio.delta").len() as f64 / 8000.0;
    assert!((0.4..5.0).contains(&seconds), "{seconds}");
    live.close().await;
}

#[tokio::test]
async fn what_is_spoken_counts_against_the_key() {
    let server =
        Server::builder().env("SCONCE_ACCESS__KEYS", "sk").env("SCONCE_ACCESS__CHARACTERS_PER_MINUTE", "30").start();
    let mut live = Live::open(&server, "", &[("authorization", "Bearer sk")]).await.unwrap();
    for status in ["completed", "failed"] {
        say(&mut live, TEXT).await;
        let done = live.until("response.done").await.pop().unwrap()["response"].take();
        assert_eq!(done["status"], status, "{done}");
        if status == "failed" {
            let error = &done["status_details"]["error"];
            assert_eq!(error["type"], "rate_limit_error", "{error}");
        }
    }
    live.close().await;
}
