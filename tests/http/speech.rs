//! `POST /v1/audio/speech`, spoken by the voice inside the program.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use sconce::audio::{Pcm, decode};
use serde_json::{Value, json};

use crate::support::Server;

const TEXT: &str = "Good morning. It is 7:30, and the train leaves at eight.";

fn sound_request() -> Value {
    json!({"model": "tts-1", "input": TEXT, "voice": "alloy"})
}

/// The same with other fields; `null` takes one away.
fn with(fields: Value) -> Value {
    let mut request = sound_request();
    for (name, value) in fields.as_object().unwrap() {
        match value {
            Value::Null => drop(request.as_object_mut().unwrap().remove(name)),
            value => request[name] = value.clone(),
        }
    }
    request
}

fn heard(bytes: &[u8]) -> Pcm {
    decode(bytes, None, 16_000, Duration::from_secs(60)).unwrap().pcm
}

fn loudness(pcm: &Pcm) -> f32 {
    let power: f32 = pcm.samples().iter().map(|sample| sample * sample).sum();
    (power / pcm.samples().len() as f32).sqrt()
}

async fn spoken(server: &Server, fields: Value) -> Vec<u8> {
    let answer = server.post_json("/v1/audio/speech", &with(fields.clone())).await;
    assert_eq!(answer.status(), 200, "{fields}");
    answer.bytes().await.unwrap().to_vec()
}

#[tokio::test]
async fn a_text_is_spoken_in_every_format() {
    let server = Server::start();
    let whole = heard(&spoken(&server, json!({"response_format": "wav", "seed": 1})).await);
    assert!((2.0..8.0).contains(&whole.seconds()), "{}", whole.seconds());
    for (format, media_type) in [
        ("mp3", "audio/mpeg"),
        ("opus", "audio/ogg"),
        ("aac", "audio/aac"),
        ("flac", "audio/flac"),
        ("wav", "audio/wav"),
    ] {
        let answer = server.post_json("/v1/audio/speech", &with(json!({"response_format": format, "seed": 1}))).await;
        assert_eq!(answer.status(), 200, "{format}");
        assert_eq!(answer.headers()["content-type"], media_type);
        assert_eq!(answer.headers()["x-sconce-device"], "cpu");
        assert_eq!(answer.headers()["x-sconce-model"], "sconce/lark.en", "tts-1 promises more");
        let pcm = heard(&answer.bytes().await.unwrap());
        assert!((pcm.seconds() - whole.seconds()).abs() < 0.2, "{format}: {} of {}", pcm.seconds(), whole.seconds());
        let ratio = loudness(&pcm) / loudness(&whole);
        assert!((0.8..1.25).contains(&ratio), "{format}: {ratio}");
    }
}

/// What other people's program says of a file, or decodes of it.
fn program(name: &str, arguments: &[&str], file: &[u8]) -> Option<Vec<u8>> {
    let path = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(path.path(), file).unwrap();
    let arguments =
        arguments.iter().map(|argument| if *argument == "FILE" { path.path().to_str().unwrap() } else { argument });
    match std::process::Command::new(name).args(arguments).stdin(std::process::Stdio::null()).output() {
        Ok(done) => {
            assert!(done.status.success(), "{name}: {}", String::from_utf8_lossy(&done.stderr));
            Some(done.stdout)
        }
        Err(_) => {
            eprintln!("SKIPPED: {name} is not installed");
            None
        }
    }
}

/// Samples at 24 kHz that ffmpeg decodes.
fn played(file: &[u8]) -> Option<Vec<f32>> {
    let raw = program("ffmpeg", &["-v", "error", "-i", "FILE", "-ar", "24000", "-f", "f32le", "-"], file)?;
    Some(raw.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect())
}

/// How many decibels a sound is above its difference to another, which begins at most a tenth of a second later.
fn likeness(sound: &[f32], other: &[f32]) -> (usize, f32) {
    let at = |lag: usize| {
        let pairs = || sound.iter().zip(&other[lag..]);
        let (power, error) =
            pairs().fold((0.0, 0.0), |(power, error), (a, b)| (power + a * a, error + (a - b).powi(2)));
        (lag, 10.0 * (power / f32::max(error, 1e-12)).log10())
    };
    (0..2400.min(other.len())).map(at).max_by(|a, b| a.1.total_cmp(&b.1)).unwrap()
}

#[tokio::test]
async fn players_find_every_format_right_streamed_and_whole_and_hear_the_same() {
    let server = Server::start();
    let fields = |format: &str| json!({"response_format": format, "seed": 1});
    let wav = spoken(&server, fields("wav")).await;
    let Some(sound) = played(&wav) else { return };
    assert!((2.0..8.0).contains(&(sound.len() as f64 / 24_000.0)));
    // What a codec may lose, in decibels below the sound, and how much later it may begin, in samples.
    for (format, container, codec, least, delay) in [
        ("wav", "wav", "pcm_s16le", 90.0, 0),
        ("flac", "flac", "flac", 90.0, 0),
        ("mp3", "mp3", "mp3", 12.0, 1105),
        ("opus", "ogg", "opus", 9.0, 0),
        ("aac", "aac", "aac", 12.0, 2048),
    ] {
        let streamed = spoken(&server, fields(format)).await;
        let path = format!("/predict?response_format={format}&seed=1&model=lark.en");
        let whole = server.post_bytes(&path, "text/plain", TEXT.as_bytes().to_vec()).await;
        let whole = whole.bytes().await.unwrap().to_vec();
        for (how, file) in [("streamed", streamed), ("whole", whole)] {
            let entries = "format=format_name:stream=codec_name,sample_rate,channels";
            let Some(probe) =
                program("ffprobe", &["-v", "error", "-show_entries", entries, "-of", "csv=p=0", "FILE"], &file)
            else {
                return;
            };
            let rate = if format == "opus" { 48_000 } else { 24_000 };
            assert_eq!(String::from_utf8_lossy(&probe), format!("{codec},{rate},1\n{container}\n"), "{format}, {how}");
            let Some(other) = played(&file) else { return };
            let (lag, decibels) = likeness(&sound, &other);
            eprintln!("{format}, {how}: {decibels:.1} dB, {lag} samples later");
            assert!(decibels > least && lag <= delay, "{format}, {how}: {decibels} dB, {lag} samples later");
        }
    }
}

#[tokio::test]
async fn open_webui_and_home_assistant_are_served_as_they_ask() {
    let server = Server::start();
    // Open WebUI fills its menus, and takes whatever comes for mp3.
    let voices = server.get_json("/v1/audio/voices").await;
    let lark = voices["voices"].as_array().unwrap().iter().find(|voice| voice["id"] == "lark").unwrap().clone();
    assert_eq!(lark, json!({"id": "lark", "name": "lark"}));
    let models = server.get_json("/v1/audio/models").await;
    assert!(models["models"].as_array().unwrap().contains(&json!({"id": "sconce/lark.en", "name": "sconce/lark.en"})));
    let webui = json!({"model": "sconce/lark.en", "input": "Good morning.", "voice": "lark"});
    // Home Assistant streams through OpenAI's client, with all that it knows.
    let home = json!({"model": "gpt-4o-mini-tts", "voice": "marin", "input": "The door is open.",
                      "instructions": "Speak calmly.", "speed": 1.0, "response_format": "mp3"});
    for (body, ignored) in [(webui, false), (home, true)] {
        let request = server.client.post(server.url("/v1/audio/speech")).bearer_auth("sk-none");
        let answer = request.header("x-openwebui-user-name", "Anna").json(&body).send().await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["content-type"]),
            (200, &"audio/mpeg".parse().unwrap())
        );
        assert_eq!(answer.headers().contains_key("x-sconce-ignored"), ignored, "{:?}", answer.headers());
        assert!(heard(&answer.bytes().await.unwrap()).seconds() > 0.4);
    }
}

#[tokio::test]
async fn bare_samples_have_the_rate_that_is_asked_for() {
    let server = Server::start();
    let bytes = |seconds: f64, rate: f64| seconds * rate * 2.0;
    let usual = spoken(&server, json!({"response_format": "pcm", "seed": 1})).await;
    let narrow = spoken(&server, json!({"response_format": "pcm", "seed": 1, "sample_rate": 8000})).await;
    let seconds = usual.len() as f64 / bytes(1.0, 24_000.0);
    assert!((narrow.len() as f64 - bytes(seconds, 8000.0)).abs() < bytes(0.01, 8000.0), "{} s", seconds);
}

#[tokio::test]
async fn a_seed_and_a_speed_are_kept() {
    let server = Server::start();
    let say = |fields: Value| spoken(&server, fields);
    let first = say(json!({"response_format": "pcm", "seed": 7})).await;
    assert_eq!(say(json!({"response_format": "pcm", "seed": 7})).await, first);
    assert_ne!(say(json!({"response_format": "pcm", "seed": 8})).await, first);
    let slow = say(json!({"response_format": "pcm", "seed": 7, "speed": 0.5})).await;
    assert!(slow.len() as f64 > 1.5 * first.len() as f64, "{} {}", slow.len(), first.len());
}

#[tokio::test]
async fn sound_comes_as_events_where_they_are_asked_for() {
    let server = Server::start();
    let whole = spoken(&server, json!({"response_format": "pcm", "seed": 1})).await;
    let fields = json!({"response_format": "pcm", "seed": 1, "stream_format": "sse"});
    let text = String::from_utf8(spoken(&server, fields).await).unwrap();
    let events: Vec<Value> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let (done, deltas) = events.split_last().unwrap();
    assert_eq!(done["type"], "speech.audio.done");
    assert!(done["usage"]["total_tokens"].is_u64(), "{done}");
    let seconds = whole.len() as f64 / 48_000.0;
    let marks = done["marks"].as_array().unwrap();
    assert!(marks.len() > 2 && marks.iter().all(|mark| mark["end"].as_f64().unwrap() <= seconds + 0.01), "{done}");
    assert!(deltas.len() > 1 && deltas.iter().all(|delta| delta["type"] == "speech.audio.delta"));
    let sound = deltas.iter().flat_map(|delta| BASE64_STANDARD.decode(delta["audio"].as_str().unwrap()).unwrap());
    assert_eq!(sound.collect::<Vec<u8>>(), whole);
}

#[tokio::test]
async fn pauses_and_ssml_are_followed() {
    let server = Server::start();
    let seconds = |bytes: Vec<u8>| bytes.len() as f64 / 48_000.0;
    let say = async |input: &str, kind: &str| {
        let fields = json!({"response_format": "pcm", "seed": 1, "input": input, "input_type": kind});
        seconds(spoken(&server, fields).await)
    };
    let plain = say("Stop. Go on.", "text").await;
    let paused = say("Stop. [pause:2s] Go on.", "text").await;
    assert!((1.5..2.5).contains(&(paused - plain)), "{paused} {plain}");
    let ssml = say("<speak>Stop. <break time=\"2s\"/> Go on.</speak>", "ssml").await;
    assert!((ssml - paused).abs() < 0.3, "{ssml} {paused}");
}

#[tokio::test]
async fn words_have_their_place_in_the_sound() {
    let server = Server::start();
    let body = json!({"text": "Stop. [pause:2s] Go on, it is 7.", "model": "lark.en", "seed": 1});
    let prediction: Value = server.post_json("/predict", &body).await.json().await.unwrap();
    let sound = BASE64_STANDARD.decode(prediction["audio"]["content"].as_str().unwrap()).unwrap();
    let pcm = heard(&sound);
    let marks: Vec<(String, f64, f64)> = prediction["marks"]
        .as_array()
        .unwrap_or_else(|| panic!("{prediction}"))
        .iter()
        .map(|mark| {
            assert_eq!(mark["kind"], "word");
            let at = |name: &str| mark[name].as_f64().unwrap();
            (mark["text"].as_str().unwrap().to_owned(), at("start"), at("end"))
        })
        .collect();
    let words: Vec<&str> = marks.iter().map(|(word, ..)| word.as_str()).collect();
    assert_eq!(words, ["Stop", "Go", "on", "it", "is", "seven"]);
    let mut before = 0.0;
    for (word, start, end) in &marks {
        assert!(before <= *start && start < end && *end <= pcm.seconds() + 0.01, "{word}: {start} to {end}");
        before = *end;
    }
    let loud = |from: f64, to: f64| {
        let at = |seconds: f64| (seconds * f64::from(pcm.rate())) as usize;
        let part = &pcm.samples()[at(from)..at(to).min(pcm.samples().len())];
        (part.iter().map(|x| x * x).sum::<f32>() / part.len() as f32).sqrt()
    };
    assert!(marks[1].1 - marks[0].2 > 1.8, "the pause lies between them: {marks:?}");
    assert!(loud(marks[0].2 + 0.2, marks[1].1 - 0.2) < 1e-3, "and is silent");
    for (word, start, end) in &marks {
        assert!(loud(*start, *end) > 0.01, "{word} is heard where it is said to be");
    }
}

#[tokio::test]
async fn phonemes_and_pitch_of_ssml_are_followed() {
    let server = Server::start();
    let say = async |inner: &str| {
        let fields = json!({"response_format": "pcm", "seed": 1, "input": format!("<speak>{inner}</speak>"),
                            "input_type": "ssml"});
        spoken(&server, fields).await
    };
    let plain = say("I like the cat.").await;
    assert_eq!(say("I like the <phoneme ph=\"kˈæt\">cat</phoneme>.").await, plain, "as it is said anyway");
    let other = say("I like the <phoneme ph=\"dˈɔɡ\">cat</phoneme>.").await;
    assert_eq!(other, say("I like the <phoneme ph=\"dˈɔɡ\">horse</phoneme>.").await);
    assert_ne!(other, plain);
    let high = say("<prosody pitch=\"+6st\">I like the cat.</prosody>").await;
    assert!(high.len().abs_diff(plain.len()) < 4800 && high != plain);
    let fields = json!({"model": "tts-1", "voice": "alloy", "input_type": "ssml",
                        "input": "<speak><phoneme ph=\"fyːs\">Füße</phoneme></speak>"});
    let refused = server.post_json("/v1/audio/speech", &fields).await;
    assert_eq!(refused.status(), 400);
    let refused: Value = refused.json().await.unwrap();
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(message.contains("'y' in the pronunciation \"fyːs\"") && message.contains("English"), "{message}");
}

#[tokio::test]
async fn a_lexicon_says_how_words_are_said_and_is_read_anew() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("lexicon.toml");
    std::fs::write(&file, "[words]\nnginx = 'a very long name for something short'\n").unwrap();
    let setting = [("SCONCE_SPEECH__LEXICON", file.to_str().unwrap())];
    let server = Server::builder().env(setting[0].0, setting[0].1).start();
    let say = async |input: &str| {
        let fields = json!({"response_format": "pcm", "seed": 1, "input": input});
        spoken(&server, fields).await
    };
    let (long, short) = ("A very long name for something short.", "Engine x.");
    let long = say(long).await.len() as f64;
    assert!((say("Nginx.").await.len() as f64 / long - 1.0).abs() < 0.1);
    assert!((say(short).await.len() as f64) < 0.7 * long);

    std::fs::write(&file, "[words]\nnginx = 7\n").unwrap();
    server.reload(&setting).await;
    assert_eq!(server.metric("sconce_config_reloads_total", &[("outcome", "refused")]).await, 1.0);
    assert!((say("Nginx.").await.len() as f64 / long - 1.0).abs() < 0.1, "nothing changed");
    std::fs::write(&file, "[words]\nnginx = 'engine x'\n").unwrap();
    server.reload(&setting).await;
    assert!((say("Nginx.").await.len() as f64) < 0.7 * long);
}

#[tokio::test]
async fn speech_can_be_had_at_the_loudness_of_r128() {
    let server = Server::start();
    let lufs = async |path: &str, body: &Value| {
        let answer = server.post_json(path, body).await;
        assert_eq!(answer.status(), 200, "{body}");
        let pcm = heard(&answer.bytes().await.unwrap());
        (pcm.seconds(), sconce::audio::loudness(&pcm).unwrap().unwrap())
    };
    let body = |normalize: bool| with(json!({"response_format": "wav", "seed": 1, "normalize_loudness": normalize}));
    let (seconds, usual) = lufs("/v1/audio/speech", &body(false)).await;
    assert!((usual + 23.0).abs() > 2.0, "{usual} LUFS is no test");
    let (levelled_seconds, levelled) = lufs("/v1/audio/speech", &body(true)).await;
    assert!((levelled + 23.0).abs() < 1.5, "{levelled}");
    assert!((levelled_seconds - seconds).abs() < 0.01, "{levelled_seconds} {seconds}");
    let generated = json!({"text": TEXT, "model": "lark.en", "normalize_loudness": true});
    assert!((lufs("/generate", &generated).await.1 + 23.0).abs() < 2.5, "of any seed");
}

#[tokio::test]
async fn a_model_without_a_voice_names_one_that_has() {
    let server = Server::start();
    let answer = server.post_json("/v1/audio/speech", &with(json!({"model": "whisper-nano.en"}))).await;
    assert_eq!(answer.status(), 400);
    let body: Value = answer.json().await.unwrap();
    let error = &body["error"];
    assert_eq!((&error["param"], &error["code"]), (&json!("model"), &json!("unsupported")), "{body}");
    let message = error["message"].as_str().unwrap();
    for part in ["sconce/whisper-nano.en does not synthesize", "it can transcribe", "these can: sconce/lark.en"] {
        assert!(message.contains(part), "{message}");
    }
    let refused = [("task", "synthesize"), ("outcome", "unsupported"), ("protocol", "openai")];
    assert_eq!(server.metric("sconce_requests_total", &refused).await, 1.0);
}

#[tokio::test]
async fn what_a_model_does_not_follow_is_said() {
    let server = Server::start();
    let answer = server.post_json("/v1/audio/speech", &with(json!({"instructions": "Whisper."}))).await;
    assert_eq!(answer.headers()["x-sconce-ignored"], "instructions");
    for (fields, param, part) in [
        (json!({"voice": "anna"}), "voice", "there is lark"),
        (json!({"language": "de"}), "language", "English"),
        (json!({"options": {"exaggeration": 1}}), "options", "exaggeration"),
    ] {
        let answer = server.post_json("/v1/audio/speech", &with(fields.clone())).await;
        assert_eq!(answer.status(), 400, "{fields}");
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["error"]["param"], param, "{fields}: {body}");
        assert!(body["error"]["message"].as_str().unwrap().contains(part), "{fields}: {body}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said() {
    let server = Server::builder().env("SCONCE_LIMITS__MAX_TEXT", "4096").start();
    for (fields, status, param, part) in [
        (json!({"model": null}), 400, Value::Null, "model"),
        (json!({"input": null}), 400, Value::Null, "input"),
        (json!({"voice": null}), 400, Value::Null, "voice"),
        (json!({"input": ""}), 400, json!("input"), "empty"),
        (json!({"input": " "}), 400, json!("input"), "blank"),
        (json!({"input": "?!…"}), 400, json!("input"), "punctuation"),
        (json!({"input": "🎉🎉"}), 400, json!("input"), "emoji"),
        (json!({"input": "\u{1}\u{2}"}), 400, json!("input"), "control"),
        (json!({"input": "Привет, как дела?"}), 400, json!("input"), "Cyrillic"),
        (json!({"input": "a".repeat(4097)}), 413, json!("input"), "4097"),
        (json!({"input": "<speak>Hi", "input_type": "ssml"}), 400, json!("input"), "line 1"),
        (json!({"input": "Hi [pause:forever]"}), 400, json!("input"), "pause"),
        (json!({"voice": ""}), 400, json!("voice"), "name"),
        (json!({"voice": 7}), 400, json!("voice"), "id"),
        (json!({"voice": {"name": "anna"}}), 400, json!("voice"), "id"),
        (json!({"speed": 0}), 400, json!("speed"), "0.25 to 4"),
        (json!({"speed": 5}), 400, json!("speed"), "0.25 to 4"),
        (json!({"speed": "fast"}), 400, json!("speed"), "f32"),
        (json!({"sample_rate": 1}), 400, json!("sample_rate"), "8000"),
        (json!({"response_format": "midi"}), 400, json!("response_format"), "flac"),
        (json!({"normalize_loudness": "loud"}), 400, json!("normalize_loudness"), "boolean"),
        (json!({"stream_format": "rtp"}), 400, json!("stream_format"), "sse"),
        (json!({"langauge": "en"}), 400, json!("langauge"), "response_format"),
        (json!({"model": "nobody"}), 404, json!("model"), "nobody"),
        (json!({"voice": {"id": "nobody"}}), 404, json!("voice"), "nobody"),
    ] {
        let answer = server.post_json("/v1/audio/speech", &with(fields.clone())).await;
        assert_eq!(answer.status(), status, "{fields}");
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["error"]["param"], param, "{fields}: {body}");
        assert!(body["error"]["message"].as_str().unwrap().contains(part), "{fields}: {body}");
    }
    for (media_type, status) in
        [("application/json", 400), ("text/plain", 415), ("multipart/form-data; boundary=x", 415)]
    {
        let answer = server.post_bytes("/v1/audio/speech", media_type, b"speak!".to_vec()).await;
        assert_eq!(answer.status(), status, "{media_type}");
    }
}
