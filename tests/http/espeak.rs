//! The program `espeak-ng` as a model, and models that speak in the place of others.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt,
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use reqwest::Response;
use sconce::audio::{Pcm, decode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Server, ServerBuilder, espeak::program, recording};

const PROGRAM: &str = "SCONCE_SPEECH__ESPEAK_NG";
const TEXT: &str = "Good morning. It is 7:30, and the train leaves at eight.";
/// Nothing here takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

fn builder(program: &str) -> ServerBuilder {
    Server::builder().env(PROGRAM, program).env("MODEL_ID", "espeak-ng")
}

fn heard(bytes: &[u8]) -> Pcm {
    decode(bytes, None, 22_050, Duration::from_secs(900)).unwrap().pcm
}

async fn ask(server: &Server, fields: Value) -> Response {
    let mut request = json!({"model": "espeak", "input": TEXT, "voice": "en-us", "response_format": "wav"});
    request.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    server.post_json("/v1/audio/speech", &request).await
}

async fn spoken(server: &Server, fields: Value) -> Vec<u8> {
    let answer = ask(server, fields.clone()).await;
    let status = answer.status();
    let bytes = answer.bytes().await.unwrap();
    assert_eq!(status, 200, "{fields}: {}", String::from_utf8_lossy(&bytes));
    bytes.to_vec()
}

async fn refused(server: &Server, fields: Value) -> (u16, Value) {
    let answer = ask(server, fields).await;
    (answer.status().as_u16(), answer.json::<Value>().await.unwrap()["error"].take())
}

/// Hertz of the fundamental, which is that of a low voice: by the autocorrelation of the loudest quarter of a second.
fn fundamental(pcm: &Pcm) -> f32 {
    const WINDOW: usize = 5512;
    let power = |window: &&[f32]| window.iter().map(|sample| sample * sample).sum::<f32>();
    let window = pcm.samples().chunks_exact(WINDOW).max_by(|a, b| power(a).total_cmp(&power(b))).unwrap();
    let alike = |lag: usize| window[lag..].iter().zip(window).map(|(a, b)| a * b).sum::<f32>() / (WINDOW - lag) as f32;
    let lag = (130..370).max_by(|a, b| alike(*a).total_cmp(&alike(*b))).unwrap();
    22_050.0 / lag as f32
}

#[tokio::test]
async fn every_route_that_speaks_speaks() {
    let Some(program) = program() else { return };
    let server = builder(program).start();
    let whole = heard(&spoken(&server, json!({})).await);
    assert!((2.0..8.0).contains(&whole.seconds()), "{}", whole.seconds());
    assert!(spoken(&server, json!({})).await == spoken(&server, json!({"seed": 9})).await, "it is always the same");
    for (format, media_type) in [
        ("mp3", "audio/mpeg"),
        ("opus", "audio/ogg"),
        ("aac", "audio/aac"),
        ("flac", "audio/flac"),
        ("pcm", "audio/pcm"),
    ] {
        let answer = ask(&server, json!({"response_format": format})).await;
        let said = answer.headers()["content-type"].to_str().unwrap().to_owned();
        assert!(answer.status() == 200 && said.starts_with(media_type), "{format}: {said}");
        assert!(answer.bytes().await.unwrap().len() > 5000, "{format}");
    }
    let instance = json!({"instances": [{"text": TEXT, "voice": "en-us"}], "parameters": {"model": "espeak-ng"}});
    let predicted: Value = server.post_json("/predict", &instance).await.json().await.unwrap();
    let prediction = &predicted["predictions"][0];
    assert_eq!(prediction["model"], "espeak-ng", "{predicted}");
    let content = BASE64_STANDARD.decode(prediction["audio"]["content"].as_str().unwrap()).unwrap();
    assert!(heard(&content).samples() == whole.samples(), "the same sound");
    let text = server.post_json("/generate", &json!({"text": TEXT, "model": "espeak-ng"})).await;
    assert_eq!(text.status(), 200);
    assert!(heard(&text.bytes().await.unwrap()).seconds() > 2.0);
}

#[tokio::test]
async fn the_small_model_hears_what_is_said() {
    let Some(program) = program() else { return };
    let server = builder(program).start();
    for text in ["turn on the kitchen lights", "wake me up at seven", "what time is it", "stop the music"] {
        let sound = spoken(&server, json!({"input": text})).await;
        let heard: Value = server.transcribe(sound, "whisper-nano.en", &[]).await.json().await.unwrap();
        assert_eq!(heard["text"], text);
    }
}

#[tokio::test]
async fn sound_is_streamed_as_it_comes() {
    let Some(program) = program() else { return };
    let server = builder(program).start();
    let whole = spoken(&server, json!({"response_format": "pcm"})).await;
    let mut answer = ask(&server, json!({"response_format": "pcm"})).await;
    let (mut streamed, mut parts) = (Vec::new(), 0);
    while let Some(part) = answer.chunk().await.unwrap() {
        streamed.extend_from_slice(&part);
        parts += 1;
    }
    assert!(parts > 1 && streamed == whole, "{parts}");
    let events = ask(&server, json!({"response_format": "pcm", "stream_format": "sse"})).await.text().await.unwrap();
    assert!(events.matches("speech.audio.delta").count() > 1 && events.contains("speech.audio.done"), "{events:.300}");
}

#[tokio::test]
async fn voices_are_those_of_the_program() {
    let Some(program) = program() else { return };
    let server = builder(program).start();
    let list = server.get_json("/v1/audio/voices").await;
    let own: Vec<&Value> =
        list["data"].as_array().unwrap().iter().filter(|voice| voice["model"] == "espeak-ng").collect();
    let names: BTreeSet<&str> = own.iter().map(|voice| voice["id"].as_str().unwrap()).collect();
    assert!(names.len() == own.len() && names.len() > 100, "{names:?}");
    assert!(["en-us", "en-gb", "de", "fr-fr", "cmn", "ru"].iter().all(|name| names.contains(name)), "{names:?}");
    assert_eq!((&own[0]["id"], &own[0]["languages"]), (&json!("en-us"), &json!(["en-us", "en"])));
    let mut sounds = BTreeSet::new();
    for voice in ["en-us", "en-gb", "gmw/de", "en-us+f3", "English_(Scotland)"] {
        sounds.insert(spoken(&server, json!({"voice": voice})).await);
    }
    assert_eq!(sounds.len(), 5, "each is another");
    let by_language = spoken(&server, json!({"voice": "alloy", "language": "German"})).await;
    assert!(by_language == spoken(&server, json!({"voice": "de", "language": "de"})).await, "the voice of a language");
    let (status, error) = refused(&server, json!({"voice": "en-uz"})).await;
    assert_eq!((status, &error["param"]), (400, &json!("voice")));
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("did you mean en-us?") && message.contains("GET /v1/audio/voices"), "{message}");
    let (status, error) = refused(&server, json!({"voice": "alloy", "language": "tlh"})).await;
    assert_eq!((status, &error["param"]), (400, &json!("language")), "{error}");
}

#[tokio::test]
async fn speed_and_pitch_are_followed() {
    let Some(program) = program() else { return };
    let server = builder(program).start();
    let seconds = async |speed: f32| heard(&spoken(&server, json!({"speed": speed})).await).seconds();
    let (slow, usual, fast) = (seconds(0.5).await, seconds(1.0).await, seconds(2.0).await);
    assert!((1.5..2.6).contains(&(slow / usual)) && (0.35..0.75).contains(&(fast / usual)), "{slow} {usual} {fast}");
    let (status, error) = refused(&server, json!({"speed": 4.0})).await;
    assert_eq!((status, &error["param"]), (400, &json!("speed")), "{error}");
    let pitch = async |fields: Value| fundamental(&heard(&spoken(&server, fields).await));
    let vowel = "Aaaaaaaah";
    let base = pitch(json!({"input": vowel})).await;
    let low = pitch(json!({"input": vowel, "options": {"pitch": 30}})).await;
    let higher = format!("<speak><prosody pitch=\"+6st\">{vowel}</prosody></speak>");
    let high = pitch(json!({"input": higher, "input_type": "ssml"})).await;
    let semitones = |of: f32| 12.0 * (of / base).log2();
    assert!((semitones(low) + 4.3).abs() < 1.0 && (semitones(high) - 6.0).abs() < 1.0, "{base} {low} {high}");
}

#[tokio::test]
async fn texts_of_any_kind_are_spoken_or_refused() {
    let Some(program) = program() else { return };
    let server = builder(program).start();
    let sentence = "The lighthouse keeper counted forty ships before the fog came in. ";
    let long: String = sentence.chars().cycle().take(5_000).collect();
    let all = heard(&spoken(&server, json!({"input": long})).await).seconds();
    let one = heard(&spoken(&server, json!({"input": sentence})).await).seconds();
    assert!((0.8..1.3).contains(&(all / one / (5_000.0 / sentence.len() as f64))), "{all} {one}");
    for text in ["?!", "🎉", "   "] {
        assert_eq!(refused(&server, json!({"input": text})).await.0, 400, "{text}");
    }
    for (voice, text) in [
        ("ru", "Доброе утро."),
        ("cmn", "早上好。"),
        ("ar", "صباح الخير."),
        ("en-us", "[[not phonemes]] -x --voices $(id) \u{1}50P"),
        ("en-us", "x"),
        ("en-us", "99999999999999999999"),
    ] {
        assert!(!spoken(&server, json!({"voice": voice, "input": text})).await.is_empty(), "{text}");
    }
}

/// The processes that this one began and that still run.
fn children() -> BTreeSet<u32> {
    let parent = std::process::id();
    let running = |pid: &u32| {
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
        let mut fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
        let (state, of) = (fields.next(), fields.next());
        of == Some(&parent.to_string()) && state != Some("Z")
    };
    let pids = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(running).collect()
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn who_leaves_leaves_no_process_behind() {
    let Some(program) = program() else { return };
    let server = builder(program).env("SCONCE_LIMITS__OUTPUT_BUFFER_AUDIO", "1s").start();
    // Whoever is asked for its voices at the start may still be there, or gone.
    let before = children();
    // Far more sound than anybody keeps for a reader who does not read.
    let text = "The lighthouse keeper counted forty ships. ".repeat(100);
    let mut answer = ask(&server, json!({"input": text, "speed": 0.5, "response_format": "pcm"})).await;
    assert!(answer.status() == 200 && answer.chunk().await.unwrap().is_some());
    drop(answer);
    until("a process lives on", || children().is_subset(&before)).await;
    assert!(!spoken(&server, json!({})).await.is_empty());
}

#[tokio::test]
async fn a_model_says_by_which_program_it_speaks_or_what_is_missing() {
    let Some(program) = program() else { return };
    let status = async |server: &Server| server.get_json("/models/status").await["models"]["espeak-ng"].take();
    let server = builder(program).start();
    let about = status(&server).await;
    assert_eq!(
        (&about["availability"], &about["licence"]),
        (&json!("available"), &json!("GPL-3.0-or-later")),
        "{about}"
    );
    assert_eq!((&about["program"]["command"], &about["source"]), (&json!("espeak-ng"), &json!({})));
    assert!(about["program"]["version"].as_str().unwrap().starts_with("1."), "{about}");
    server.stop();

    // Nobody knows a path there.
    let server = Server::builder().env("MODEL_ID", "espeak-ng").start();
    let about = status(&server).await;
    let reason = about["reason"].as_str().unwrap();
    assert!(about["availability"] == "unsupported" && reason.contains("`apt-get install espeak-ng`"), "{about}");
    let (code, error) = refused(&server, json!({})).await;
    assert!(code == 501 || code == 400, "{code}");
    assert!(error["message"].as_str().unwrap().contains("`apt-get install espeak-ng`"), "{error}");
    server.stop();
    let server = builder("off").start();
    let (_, error) = refused(&server, json!({})).await;
    assert!(error["message"].as_str().unwrap().contains("speech.espeak_ng = \"off\""), "{error}");
}

/// Settings of a server whose `chatterbox` has no files.
fn with_a_broken_model(program: &str, folder: &TempDir) -> ServerBuilder {
    Server::builder()
        .env(PROGRAM, program)
        .env("SCONCE_MODELS__CHATTERBOX__SOURCE", &format!("file:{}", folder.path().display()))
        .env("SCONCE_MODELS__CHATTERBOX__FAMILY", "chatterbox")
        .env("SCONCE_MODELS__CHATTERBOX__FALLBACK", "espeak-ng")
}

#[tokio::test]
async fn a_fallback_speaks_where_the_model_cannot_be_loaded_and_says_so() {
    let Some(program) = program() else { return };
    let (empty, voices) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    fs::write(voices.path().join("anna.flac"), recording("good-morning.flac")).unwrap();
    let voices = voices.path().display().to_string();
    let server = with_a_broken_model(program, &empty).env("SCONCE_VOICES__DIR", &voices).start();
    let speaks = async || server.get_json("/models/status").await["models"]["chatterbox"]["fallback"].take();
    assert_eq!(speaks().await, json!({"model": "espeak-ng", "speaks": false}));

    let fields =
        json!({"model": "chatterbox", "voice": "anna", "instructions": "softly", "options": {"exaggeration": 1.0}});
    let answer = ask(&server, fields).await;
    let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(answer.status(), 200);
    assert_eq!(header("x-sconce-model").as_deref(), Some("espeak-ng"));
    assert_eq!(header("x-sconce-fallback-for").as_deref(), Some("chatterbox"));
    assert_eq!(header("x-sconce-ignored").as_deref(), Some("instructions, voice, options"));
    let usual = heard(&spoken(&server, json!({})).await);
    assert!(heard(&answer.bytes().await.unwrap()).samples() == usual.samples(), "in its usual voice");
    assert_eq!(speaks().await, json!({"model": "espeak-ng", "speaks": true}));
    let labels = [("model", "chatterbox"), ("fallback", "espeak-ng")];
    assert_eq!(server.metric("sconce_fallbacks_total", &labels).await, 1.0);
    let answered = [("model", "espeak-ng"), ("outcome", "ok")];
    assert!(server.metric("sconce_requests_total", &answered).await >= 1.0);

    let instance = json!({"instances": [{"text": TEXT}], "parameters": {"model": "chatterbox", "language": "de"}});
    let answer = server.post_json("/predict", &instance).await;
    assert_eq!(answer.headers()["x-sconce-fallback-for"], "chatterbox");
    assert!(!answer.headers().contains_key("x-sconce-ignored"));
    let predicted: Value = answer.json().await.unwrap();
    assert_eq!(predicted["predictions"][0]["model"], "espeak-ng", "{predicted}");
    // What it speaks itself is nobody's place.
    assert!(!ask(&server, json!({})).await.headers().contains_key("x-sconce-fallback-for"));
}

#[tokio::test]
async fn where_the_fallback_cannot_speak_either_the_model_asked_for_is_to_blame() {
    let empty = TempDir::new().unwrap();
    let server = with_a_broken_model("off", &empty).start();
    let answer = ask(&server, json!({"model": "chatterbox", "voice": "alloy"})).await;
    assert_eq!(answer.status(), 503);
    assert!(!answer.headers().contains_key("x-sconce-fallback-for"));
    let error: Value = answer.json().await.unwrap();
    let message = error["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("the model chatterbox is not available"), "{message}");
}

#[tokio::test]
async fn a_program_that_fails_fails_its_request_and_is_said() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("fake");
    let script = "#!/bin/sh\ncase $1 in\n--version) echo 'eSpeak NG text-to-speech: 1.0  Data at: /x';;\n\
                  --voices*) echo ' 5  en-us  --/M  English  gmw/en-US  (en 3)';;\n\
                  *) test \"$(cat)\" != 'Hello.' && exit 1; printf 'RIFF\\044\\360\\377\\177WAVEfmt \\020\\0\\0\\0\\001\\0\\001\\0\
                  \\042\\126\\0\\0\\104\\254\\0\\0\\002\\0\\020\\0data\\0\\360\\377\\177'; yes | head -c 44100;;\nesac\n";
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let server = builder(path.to_str().unwrap()).start();
    let hello = spoken(&server, json!({"input": "Hello."})).await;
    assert!((0.8..1.2).contains(&heard(&hello).seconds()), "{}", hello.len());
    let (status, error) = refused(&server, json!({"input": "Goodbye."})).await;
    assert_eq!((status, error["type"].as_str()), (500, Some("server_error")), "{error}");
    assert!(spoken(&server, json!({"input": "Hello."})).await == hello);
}
