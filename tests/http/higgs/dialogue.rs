//! Several speakers, each with a voice.

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{FRAMES, MODEL, RATE, instance, keep, keeping, shown, sound, tone};
use crate::support::{
    Server,
    higgs::Parts,
    native::{bare, furthest, refused},
};

const TEXT: &str = "[SPEAKER0] Yes. [SPEAKER1] No.";

fn dialogue(voice: Value) -> Value {
    // The likeliest codes go on to the last frame; others may end a text too soon.
    let options = json!({"max_new_tokens": FRAMES, "temperature": 0, "ras_window": 0});
    instance(json!({"text": TEXT, "voice": voice, "options": options}))
}

async fn with_two(parts: &Parts, voices: &TempDir) -> Server {
    let server = keeping(parts, voices).start();
    keep(&server, "anna", tone(1.5, 0.05), Some("What Anna says.")).await;
    keep(&server, "bob", tone(1.5, 0.02), Some("What Bob says.")).await;
    server
}

#[tokio::test]
async fn each_speaker_has_a_voice_whatever_route_asks() {
    let (parts, voices) = (Parts::of("transformers"), TempDir::new().unwrap());
    let server = with_two(&parts, &voices).await;
    let usual = sound(&server, &dialogue(json!("higgs"))).await;
    let both = sound(&server, &dialogue(json!(["anna", {"id": "bob"}]))).await;
    assert_ne!(both, usual);
    assert_eq!(sound(&server, &dialogue(json!(["anna", "bob"]))).await, both);
    assert_ne!(sound(&server, &dialogue(json!(["bob", "anna"]))).await, both);
    assert_ne!(sound(&server, &dialogue(json!(["anna", shown("Good morning.")]))).await, both);
    let body = json!({"model": MODEL, "input": TEXT, "voice": ["anna", {"id": "bob"}], "response_format": "pcm", "seed": 7,
        "sample_rate": RATE, "options": {"max_new_tokens": FRAMES, "temperature": 0, "ras_window": 0}});
    let streamed = server.post_json("/v1/audio/speech", &body).await;
    assert_eq!(streamed.status(), 200);
    let samples = bare(&streamed.bytes().await.unwrap());
    assert_eq!(samples.len(), both.samples().len());
    assert!(furthest(&samples, both.samples()) < 1e-4);
}

#[tokio::test]
async fn a_speaker_without_a_voice_and_too_many_of_them_are_refused() {
    let (parts, voices) = (Parts::of("transformers"), TempDir::new().unwrap());
    let server = with_two(&parts, &voices).await;
    let crowd: String = (0..20).map(|at| format!("[SPEAKER{at}] Hello. ")).collect();
    for (asked, said) in [
        (json!({"text": crowd}), "the text has [SPEAKER8], which is no speaker; [SPEAKER0] to [SPEAKER7] are"),
        (json!({"text": crowd, "voice": vec!["anna"; 20]}), "voice has 20 voices; 1 to 8 would be right"),
        (
            json!({"text": "[SPEAKER0] Yes. [SPEAKER5] No.", "voice": ["anna", "bob"]}),
            "the text has [SPEAKER5], and [SPEAKER0] to [SPEAKER1] have one: voice takes a list",
        ),
        (json!({"text": TEXT, "voice": "anna"}), "the text has [SPEAKER1], and [SPEAKER0] has one"),
        (json!({"text": "[SPEAKERS] Hello."}), "the text has [SPEAKERS], which is no speaker"),
        (json!({"voice": ["anna", "higgs"]}), "each speaker of a dialogue needs a recording"),
        (json!({"voice": ["anna", "alloy"]}), "a speaker of a dialogue needs a voice of /v1/audio/voices"),
        (json!({"voice": ["anna", "ana"]}), "there is no voice \"ana\""),
        (json!({"voice": ["anna", ["bob"]]}), "each speaker of a dialogue has one voice"),
        (json!({"voice": []}), "0 voices are to speak"),
        (json!({"voice": {"anna": 0.5, "bob": 0.5}}), "this model does not blend voices"),
    ] {
        let message = refused(&server, &instance(asked.clone())).await;
        assert!(message.contains(said), "{said}: {message}");
    }
    // A model of one voice is not given two.
    let lark = json!({"model": "sconce/lark.en", "text": "Good morning.", "voice": ["anna", "bob"]});
    let message = refused(&server, &lark).await;
    assert!(message.contains("this model speaks with one voice; give it one"), "{message}");
}
