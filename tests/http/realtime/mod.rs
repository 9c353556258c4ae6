//! `GET /v1/realtime`: what is heard while it is spoken, and what bounds it.

mod bounds;
mod crowd;
mod described;
mod handshake;
mod speaking;

use std::time::Duration;

use sconce::audio::Companding;
use serde_json::{Value, json};

use crate::{
    recordings::{truths, words},
    support::{
        Server,
        socket::{Live, RATE, companded, deltas, kinds, pause, pcm16, said, wav},
    },
};

/// What a file with this sound is transcribed to.
async fn whole_file(server: &Server, wav: Vec<u8>) -> String {
    let body: Value = server.transcribe(wav, "whisper-nano.en", &[]).await.json().await.unwrap();
    body["text"].as_str().unwrap_or_else(|| panic!("{body}")).to_owned()
}

#[tokio::test]
async fn a_recording_gets_its_text_while_it_comes_in_and_it_is_that_of_the_file() {
    let server = Server::builder().env("SCONCE_LIVE__PARTIALS", "400ms").start();
    let mut live = Live::start_with(&server, json!({"turn_detection": null})).await;
    let mut before_the_end = 0;
    for (file, truth) in truths() {
        let sound = pcm16(&[said(&file)]);
        let mut events = Vec::new();
        for piece in sound.chunks(RATE as usize) {
            live.append_in_pieces(piece, 100).await;
            // As if it were spoken: the model has time to hear what is there.
            events.extend(live.heard_within(Duration::from_millis(150)).await);
        }
        before_the_end += kinds(&events).iter().filter(|kind| *kind == "delta").count();
        live.commit().await;
        events.extend(live.until("conversation.item.input_audio_transcription.completed").await);
        let done = events.last().unwrap().clone();
        let text = done["transcript"].as_str().unwrap();
        assert_eq!(words(text), words(&truth), "{file}");
        assert_eq!(text, whole_file(&server, wav(&sound, RATE)).await, "{file}");
        assert_eq!(deltas(&events, &done["item_id"]), text, "{file}: {events:#?}");
        let seconds = sound.len() as f64 / 2.0 / f64::from(RATE);
        assert!((done["usage"]["seconds"].as_f64().unwrap() - seconds).abs() < 1e-6, "{done}");
        assert_eq!(done["usage"]["type"], "duration");
    }
    assert!(before_the_end > 0, "no word was told before its recording was over");
    live.close().await;
}

#[tokio::test]
async fn the_server_hears_where_somebody_speaks_and_says_so_in_order() {
    let server = Server::start();
    let mut live = Live::start(&server).await;
    let files = ["turn-on-the-kitchen-lights.wav", "wake-me-up.flac"];
    let (mut sound, mut previous) = (Vec::new(), Value::Null);
    for file in files {
        let part = pcm16(&[pause(1.2), said(file), pause(1.5)]);
        sound.extend_from_slice(&part);
        live.append_in_pieces(&part, 100).await;
        let truth = truths().into_iter().find(|(name, _)| name == file).unwrap().1;
        let events = live.until("conversation.item.input_audio_transcription.completed").await;
        let without_deltas: Vec<_> = kinds(&events).into_iter().filter(|kind| kind != "delta").collect();
        let want = [
            "input_audio_buffer.speech_started",
            "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed",
            "conversation.item.added",
            "conversation.item.done",
            "completed",
        ];
        assert_eq!(without_deltas, want);
        let find = |kind: &str| events.iter().find(|event| event["type"] == kind).unwrap();
        let done = events.last().unwrap();
        let item = &done["item_id"];
        let committed = find("input_audio_buffer.committed");
        assert_eq!((&committed["item_id"], &committed["previous_item_id"]), (item, &previous));
        let added = find("conversation.item.added");
        assert_eq!((&added["item"]["id"], &added["previous_item_id"]), (item, &previous));
        assert_eq!(added["item"]["content"][0]["type"], "input_audio");
        let (from, to) = (find(want[0]), find(want[1]));
        assert_eq!((&from["item_id"], &to["item_id"]), (item, item));
        // The text is that of a file with the same sound.
        let at = |event: &Value, name: &str| (event[name].as_f64().unwrap() * f64::from(RATE) / 1000.0) as usize * 2;
        let cut = &sound[at(from, "audio_start_ms")..at(to, "audio_end_ms")];
        let text = done["transcript"].as_str().unwrap();
        assert_eq!(words(text), words(&truth));
        assert_eq!(words(&whole_file(&server, wav(cut, RATE)).await), words(text));
        assert_eq!(deltas(&events, item), text);
        previous = item.clone();
    }
    live.close().await;
    let left = [("protocol", "realtime"), ("reason", "left")];
    assert_eq!(server.metric("sconce_live_ended_total", &left).await, 1.0);
    assert_eq!(server.metric("sconce_live_sessions", &[("protocol", "realtime")]).await, 0.0);
    assert_eq!(server.metric("sconce_live_final_seconds_count", &[("protocol", "realtime")]).await, 2.0);
    let heard = server.metric("sconce_live_audio_seconds_total", &[("protocol", "realtime")]).await;
    assert!((heard - sound.len() as f64 / 2.0 / f64::from(RATE)).abs() < 1e-6, "{heard}");
    // Items are counted like requests, and what was heard before their ends is not counted again.
    assert_eq!(server.metric("sconce_requests_total", &[("protocol", "realtime")]).await, 2.0);
}

#[tokio::test]
async fn telephones_are_heard() {
    let server = Server::start();
    for (law, kind) in [(Companding::MuLaw, "audio/pcmu"), (Companding::ALaw, "audio/pcma")] {
        let input = json!({"format": {"type": kind}, "turn_detection": null});
        let mut live = Live::start_with(&server, input).await;
        live.append(&companded(&said("good-morning.flac"), law)).await;
        live.commit().await;
        let done = live.until("conversation.item.input_audio_transcription.completed").await.pop().unwrap();
        let truth = truths().into_iter().find(|(file, _)| file == "good-morning.flac").unwrap().1;
        assert_eq!(words(done["transcript"].as_str().unwrap()), words(&truth), "{kind}");
        live.close().await;
    }
}

#[tokio::test]
async fn what_a_session_is_set_to_is_told() {
    let server = Server::start();
    let mut live = Live::open(&server, "?intent=transcription&model=whisper-nano.en", &[]).await.unwrap();
    let created = live.next().await.unwrap();
    assert_eq!(created["type"], "session.created");
    assert!(created["event_id"].as_str().unwrap().starts_with("event_"), "{created}");
    let session = &created["session"];
    assert_eq!(
        (&session["type"], &session["object"]),
        (&json!("transcription"), &json!("realtime.transcription_session"))
    );
    let input = &session["audio"]["input"];
    assert_eq!(input["format"], json!({"type": "audio/pcm", "rate": 24_000}));
    assert_eq!(input["transcription"]["model"], "sconce/whisper-nano.en");
    let vad = json!({"type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 500,
                     "interrupt_response": true});
    assert_eq!(input["turn_detection"], vad);
    let session = live.set(json!({"turn_detection": {"type": "server_vad", "silence_duration_ms": 800}})).await;
    assert_eq!(session["audio"]["input"]["turn_detection"]["silence_duration_ms"], 800);
    assert_eq!(session["id"], created["session"]["id"]);
    live.close().await;
}

#[tokio::test]
async fn the_beta_is_spoken_where_it_is_asked_for() {
    let server = Server::start();
    let mut live = Live::open(&server, "?intent=transcription", &[("OpenAI-Beta", "realtime=v1")]).await.unwrap();
    let created = live.next().await.unwrap();
    assert_eq!(created["type"], "transcription_session.created");
    assert_eq!(created["session"]["input_audio_format"], "pcm16");
    let session = json!({"turn_detection": null, "input_audio_transcription": {"model": "whisper-nano.en"}});
    live.send(json!({"type": "transcription_session.update", "session": session})).await;
    let updated = live.next().await.unwrap();
    assert_eq!(
        (&updated["type"], &updated["session"]["turn_detection"]),
        (&json!("transcription_session.updated"), &Value::Null)
    );
    live.append(&pcm16(&[said("good-morning.flac")])).await;
    live.commit().await;
    let events = live.until("conversation.item.input_audio_transcription.completed").await;
    let kinds = kinds(&events);
    assert_eq!(kinds[..2], ["input_audio_buffer.committed", "conversation.item.created"]);
    assert!(!kinds.iter().any(|kind| kind.contains("item.added")), "{kinds:?}");
    live.close().await;
}

#[tokio::test]
async fn logprobs_come_where_they_are_included() {
    let server = Server::start();
    let mut live = Live::start_with(&server, json!({"turn_detection": null})).await;
    let session = json!({"type": "transcription", "include": ["item.input_audio_transcription.logprobs"]});
    live.send(json!({"type": "session.update", "session": session})).await;
    live.append(&pcm16(&[said("good-morning.flac")])).await;
    live.commit().await;
    let done = live.until("conversation.item.input_audio_transcription.completed").await.pop().unwrap();
    let tokens: String =
        done["logprobs"].as_array().unwrap().iter().map(|one| one["token"].as_str().unwrap()).collect();
    assert_eq!(tokens.trim(), done["transcript"].as_str().unwrap());
    live.close().await;
}

#[tokio::test]
async fn a_mistake_is_told_and_the_session_goes_on() {
    let server = Server::builder().env("SCONCE_LIVE__MAX_ITEM", "4s").start();
    let mut live = Live::start_with(&server, json!({"turn_detection": null})).await;
    let update = |session: Value| json!({"type": "session.update", "event_id": "e", "session": session});
    let input = |input: Value| update(json!({"type": "transcription", "audio": {"input": input}}));
    let append = |audio: &str| json!({"type": "input_audio_buffer.append", "event_id": "e", "audio": audio});
    let cases = [
        (json!({"type": "response.play", "event_id": "e"}), "type", "there is no event \"response.play\""),
        (append("no base64"), "audio", "audio is not base64"),
        (append("AAAA"), "audio", "no whole number of 16-bit samples"),
        (json!({"type": "input_audio_buffer.append", "event_id": "e"}), "audio", "base64 would be right"),
        (json!({"type": "input_audio_buffer.commit", "event_id": "e"}), "audio", "an item has at least 100 ms"),
        (update(json!({"type": "translation"})), "session.type", "transcription or realtime would be right"),
        (input(json!({"format": {"type": "audio/mp3"}})), "session.audio.input.format.type", "audio/pcmu"),
        (input(json!({"transcription": {"model": "nobody"}})), "model", "there is no model"),
    ];
    for (event, param, message) in cases {
        live.send(event.clone()).await;
        let error = live.next().await.unwrap();
        assert_eq!(error["type"], "error", "{event}: {error}");
        let error = &error["error"];
        assert_eq!((&error["param"], &error["event_id"]), (&json!(param), &json!("e")), "{error}");
        assert_eq!(error["type"], "invalid_request_error", "{error}");
        assert!(error["message"].as_str().unwrap().contains(message), "{error}");
    }
    live.text("{".to_owned()).await;
    assert!(live.error().await["message"].as_str().unwrap().contains("the message is no event"));
    live.message(tokio_tungstenite::tungstenite::Message::binary(vec![1, 2])).await;
    assert!(live.error().await["message"].as_str().unwrap().contains("a binary message is no event"));
    // More than an item may be is not taken, and what was there is.
    let sound = pcm16(&[said("turn-on-the-kitchen-lights.wav")]);
    live.append(&sound).await;
    live.append(&pcm16(&[pause(3.9)])).await;
    let error = live.error().await;
    assert!(error["message"].as_str().unwrap().contains("longer than 4 s (`live.max_item`)"), "{error}");
    live.commit().await;
    let done = live.until("conversation.item.input_audio_transcription.completed").await.pop().unwrap();
    assert_eq!(done["transcript"], whole_file(&server, wav(&sound, RATE)).await);
    // What is cleared is forgotten.
    live.append(&sound).await;
    live.send(json!({"type": "input_audio_buffer.clear"})).await;
    live.until("input_audio_buffer.cleared").await;
    live.commit().await;
    assert!(live.error().await["message"].as_str().unwrap().contains("the buffer holds 0 ms"));
    live.close().await;
}

#[tokio::test]
async fn an_item_that_cannot_be_heard_fails_alone() {
    let server = Server::start();
    let input = json!({"turn_detection": null, "transcription": {"language": "de"}});
    let mut live = Live::start_with(&server, input).await;
    live.append(&pcm16(&[said("good-morning.flac")])).await;
    live.commit().await;
    let failed = live.until("conversation.item.input_audio_transcription.failed").await.pop().unwrap();
    assert_eq!(failed["error"]["param"], "language", "{failed}");
    live.set(json!({"transcription": {"language": "en"}})).await;
    live.append(&pcm16(&[said("good-morning.flac")])).await;
    live.commit().await;
    let done = live.until("conversation.item.input_audio_transcription.completed").await.pop().unwrap();
    assert!(!done["transcript"].as_str().unwrap().is_empty());
    assert_ne!(done["item_id"], failed["item_id"]);
    live.close().await;
}
