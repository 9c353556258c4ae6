//! A small Chatterbox from a folder under the published names, with random weights: what it says is noise, how it is asked and
//! answered is real.

mod leaving;
mod variants;
mod whole;

use futures::future::join_all;
use sconce::audio::{AudioFormat, Pcm, encode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    Server, chatterbox,
    native::{self, ask, bare, content, furthest, refused, with},
    recording,
};

const MODEL: &str = "small_chatterbox";
const TEXT: &str = "Good morning, and good luck.";
const SPEAKER: &str = "good-morning.flac";
/// Tokens of a text; a random network does not stop by itself. A second has 25.
const TOKENS: usize = 50;
const RATE: u32 = 24_000;

/// The same, with what marks its sound.
fn marking_server(folder: &TempDir, watermark: &TempDir) -> Server {
    Server::builder()
        .env("LOAD_MODE", "on_demand")
        .env("SCONCE_MODELS__SMALL_CHATTERBOX__SOURCE", &format!("file:{}", folder.path().display()))
        .env("SCONCE_MODELS__SMALL_CHATTERBOX__PARTS__WATERMARK", &format!("file:{}", watermark.path().display()))
        .start()
}

fn server(folder: &TempDir) -> Server {
    Server::builder()
        .env("LOAD_MODE", "on_demand")
        .env("SCONCE_MODELS__SMALL_CHATTERBOX__SOURCE", &format!("file:{}", folder.path().display()))
        .start()
}

fn wav(samples: Vec<f32>) -> Vec<u8> {
    encode(&Pcm::new(samples, RATE), AudioFormat::Wav).unwrap()
}

/// With `more` in it.
fn instance(more: Value) -> Value {
    let options = json!({"max_new_tokens": TOKENS, "steps": 2, "first_block": 16});
    with(json!({"model": MODEL, "text": TEXT, "seed": 7, "options": options}), more)
}

async fn sound(server: &Server, instance: &Value) -> Pcm {
    native::sound(server, instance, RATE).await
}

#[tokio::test]
async fn a_text_is_spoken_in_the_models_own_voice_and_twice_alike() {
    let folder = chatterbox::english();
    let server = server(&folder);
    let first = sound(&server, &instance(json!({}))).await;
    assert!(first.seconds() > 0.5 && first.seconds() < 0.04 * TOKENS as f64 + 0.2, "{}", first.seconds());
    assert_eq!(sound(&server, &instance(json!({"voice": "chatterbox"}))).await, first);
    assert_ne!(sound(&server, &instance(json!({"seed": 8}))).await, first);
    assert_ne!(sound(&server, &instance(json!({"options": {"exaggeration": 1.5}}))).await, first);
    let status = server.get_json("/models/status").await["models"][MODEL].clone();
    assert_eq!((&status["status"], &status["family"]), (&json!("ready"), &json!("chatterbox")), "{status}");
}

#[tokio::test]
async fn a_stream_is_the_whole_sound() {
    let folder = chatterbox::english();
    let server = server(&folder);
    let body = |more: Value| {
        let mut body =
            json!({"model": MODEL, "input": TEXT, "voice": "chatterbox", "response_format": "pcm", "seed": 7});
        body["options"] = instance(json!({}))["options"].clone();
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let streamed = server.post_json("/v1/audio/speech", &body(json!({"stream_format": "audio"}))).await;
    assert_eq!(streamed.status(), 200);
    let samples = bare(&streamed.bytes().await.unwrap());
    let whole = sound(&server, &instance(json!({}))).await;
    assert_eq!(samples.len(), whole.samples().len());
    let off = furthest(&samples, whole.samples());
    assert!(off < 1e-3, "{off}");
}

#[tokio::test]
async fn sound_is_marked_where_a_watermark_is_given() {
    let (folder, watermark) = (chatterbox::english(), chatterbox::watermark());
    let (plain, marking) = (server(&folder), marking_server(&folder, &watermark));
    let convert = json!({"model": MODEL, "audio": content(&recording(SPEAKER)), "voice": "chatterbox", "seed": 3,
        "options": {"steps": 1}});
    for ask in [instance(json!({})), convert] {
        let (unmarked, marked) = (sound(&plain, &ask).await, sound(&marking, &ask).await);
        assert_eq!(marked.samples().len(), unmarked.samples().len());
        let moved = furthest(marked.samples(), unmarked.samples());
        assert!(moved > 1e-3 && moved < 0.3, "{moved}");
        assert_eq!(sound(&marking, &ask).await, marked, "one seed is one sound");
    }
    for (server, name) in [(&plain, None), (&marking, Some("perth"))] {
        let answer = server.post_json("/predict", &instance(json!({}))).await;
        let header = answer.headers().get("x-sconce-watermark").map(|header| header.to_str().unwrap().to_owned());
        let answer: Value = answer.json().await.unwrap();
        let status = server.get_json("/models/status").await["models"][MODEL].clone();
        let said = (header.as_deref(), answer["watermark"].as_str(), status["watermark"].as_str());
        assert_eq!(said, (name, name, name), "{status}");
    }
}

#[tokio::test]
async fn a_marked_stream_is_the_whole_sound() {
    let (folder, watermark) = (chatterbox::english(), chatterbox::watermark());
    let server = marking_server(&folder, &watermark);
    let mut body = json!({"model": MODEL, "input": TEXT, "voice": "chatterbox", "response_format": "pcm", "seed": 7});
    body["options"] = instance(json!({}))["options"].clone();
    let streamed = server.post_json("/v1/audio/speech", &body).await;
    assert_eq!(streamed.headers()["x-sconce-watermark"], "perth");
    let samples = bare(&streamed.bytes().await.unwrap());
    let whole = sound(&server, &instance(json!({}))).await;
    assert_eq!(samples.len(), whole.samples().len());
    let off = furthest(&samples, whole.samples());
    assert!(off < 1e-3, "{off}");
    body["stream_format"] = json!("sse");
    let events = server.post_json("/v1/audio/speech", &body).await.text().await.unwrap();
    assert!(events.contains(r#""watermark":"perth""#), "the last event says so");
}

#[tokio::test]
async fn a_file_that_is_no_watermark_is_refused_by_name() {
    let (folder, watermark) = (chatterbox::english(), chatterbox::watermark());
    let file = watermark.path().join("perth_net_000001.pth.tar");
    let other = std::fs::read(folder.path().join("ve.safetensors")).unwrap();
    for (name, bytes, said) in [
        ("perth_net_000001.pth.tar", b"cposix\nsystem".to_vec(), "perth_net_000001.pth.tar is not what it should be"),
        ("perth_net_2.safetensors", other, "the tensor model.ap.spectrogram.window is missing"),
    ] {
        std::fs::write(watermark.path().join(name), bytes).unwrap();
        let server = marking_server(&folder, &watermark);
        let (status, answer) = ask(&server, &instance(json!({}))).await;
        let message = answer["error"]["message"].as_str().unwrap_or_default().to_owned();
        assert!(status >= 400 && message.contains(said), "{said}: {status} {answer}");
    }
    std::fs::remove_file(watermark.path().join("perth_net_2.safetensors")).unwrap();
    std::fs::remove_file(file).unwrap();
    let (status, answer) = ask(&marking_server(&folder, &watermark), &instance(json!({}))).await;
    assert!(status >= 400 && answer.to_string().contains("the file perth_net_250000.pth.tar is missing"), "{answer}");
}

#[tokio::test]
async fn texts_together_sound_as_each_alone() {
    let folder = chatterbox::english();
    let server = server(&folder);
    let texts =
        ["Good morning.", "A text of another length, which takes more tokens to read.", TEXT, "Hello, hello, hello."];
    let ask = |text: &str| instance(json!({"text": text}));
    let mut alone = Vec::new();
    for text in texts {
        alone.push(sound(&server, &ask(text)).await);
    }
    let together = join_all(texts.map(|text| {
        let (server, instance) = (&server, ask(text));
        async move { sound(server, &instance).await }
    }));
    assert!(together.await == alone);
}

#[tokio::test]
async fn a_recording_lends_its_voice_and_is_heard_once() {
    let folder = chatterbox::english();
    let server = server(&folder);
    let own = sound(&server, &instance(json!({}))).await;
    let shown = instance(json!({"voice": content(&recording(SPEAKER))}));
    let first = sound(&server, &shown).await;
    assert_ne!(first, own);
    assert_eq!(sound(&server, &shown).await, first);
    for found in ["computed", "memory"] {
        assert_eq!(server.metric("sconce_reference_cache_total", &[("found", found)]).await, 1.0, "{found}");
    }
}

#[tokio::test]
async fn a_recording_is_converted_whatever_its_length() {
    let folder = chatterbox::english();
    chatterbox::keep_conversion(&folder);
    let server = server(&folder);
    for seconds in [0.5, 3.0, 41.3] {
        let step = |at: usize| (at as f32 * 0.02 * (1.0 + (at / 4800 % 7) as f32 * 0.1)).sin() * 0.3;
        let source = wav((0..(seconds * 24_000.0) as usize).map(step).collect());
        let ask = json!({"model": MODEL, "audio": content(&source), "seed": 3, "options": {"steps": 1},
            "voice": content(&recording(SPEAKER))});
        let made = sound(&server, &ask).await;
        assert!((made.seconds() - seconds).abs() < 0.13, "{} of {seconds}", made.seconds());
        if seconds < 5.0 {
            assert_eq!(sound(&server, &ask).await, made);
        }
    }
    let own =
        json!({"model": MODEL, "audio": content(&recording(SPEAKER)), "voice": "chatterbox", "options": {"steps": 1}});
    assert!(sound(&server, &own).await.seconds() > 1.0);
    let (status, answer) = ask(&server, &instance(json!({}))).await;
    assert!((400..500).contains(&status), "a text: {status} {answer}");
}

#[tokio::test]
async fn any_guidance_and_a_text_of_five_thousand_characters_are_spoken() {
    let folder = chatterbox::english();
    let server = server(&folder);
    let mut said = Vec::new();
    for weight in [0.0, 0.5, 10.0] {
        said.push(sound(&server, &instance(json!({"options": {"cfg_weight": weight}}))).await);
    }
    assert!(said[0] != said[1] && said[1] != said[2]);
    let sentence = "The harbour lights went out one by one, and nobody said a word. ";
    let text = sentence.repeat(5000_usize.div_ceil(sentence.len()));
    let long = sound(&server, &instance(json!({"text": text, "options": {"steps": 1, "max_new_tokens": 120}}))).await;
    assert!(long.seconds() > 20.0, "{}", long.seconds());
    // A voice of no voice.
    let chord = |at: usize| [0.02f32, 0.031, 0.047].iter().map(|pitch| (at as f32 * pitch).sin() * 0.2).sum();
    let music = wav((0..24_000 * 4).map(chord).collect());
    assert!(sound(&server, &instance(json!({"voice": content(&music)}))).await.seconds() > 0.5);
}

#[tokio::test]
async fn what_it_cannot_do_is_refused_by_name() {
    let folder = chatterbox::english();
    let server = server(&folder);
    for (asked, said) in [
        (json!({"speed": 1.5}), "a pace of its own"),
        (json!({"options": {"exaggeration": 5.0}}), "0 to 2 would be right"),
        (json!({"options": {"cfg_weight": -1.0}}), "cfg_weight is -1; 0 or more would be right"),
        (json!({"options": {"steps": 0}}), "1 to 100 would be right"),
        (json!({"options": {"emotion": 1}}), "unknown field `emotion`"),
        (json!({"options": {"max_new_tokens": 5000}}), "max_new_tokens is 5000, where 1 to 1010 is expected"),
        (json!({"language": "fr"}), "the language \"fr\" is unknown; known are en"),
        (json!({"voice": content(&wav(vec![0.1; 4800]))}), "the recording is 0.20 s long; 1 to 60 s tell a voice"),
        (json!({"voice": content(&wav(vec![0.0; 48_000]))}), "the recording is silent"),
        (json!({"voice": content(&wav(vec![0.1; 24_000 * 61]))}), "the audio is longer than 60 s"),
        (json!({"text": "?! ..."}), "the text has only punctuation and symbols"),
        (json!({"voice": {"chatterbox": 0.5, "alloy": 0.5}}), "does not blend voices"),
    ] {
        let message = refused(&server, &instance(asked.clone())).await;
        assert!(message.contains(said), "{said}: {message}");
    }
    let convert = |audio: Vec<u8>| json!({"model": MODEL, "audio": content(&audio), "voice": "chatterbox"});
    let message = refused(&server, &convert(wav(vec![0.1; 1000]))).await;
    assert!(message.contains("the recording has 0.04 s"), "{message}");
    assert!(sound(&server, &instance(json!({}))).await.seconds() > 0.5, "it goes on");
}
