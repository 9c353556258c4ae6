//! Small Zonos models of both kinds under the published names, with random weights: what they say is noise, how they are asked
//! and answered is real. They need the program espeak-ng.

mod flow;
mod prefix;
mod wrong;

use futures::future::join_all;
use sconce::audio::{AudioFormat, Pcm, encode};
use serde_json::{Value, json};

use crate::support::{
    Server, ServerBuilder, espeak,
    native::{self, bare, content, furthest, refused, with},
    recording,
    zonos::{KINDS, Parts},
};

const MODEL: &str = "small_zonos";
const TEXT: &str = "Hello.";
const SPEAKER: &str = "good-morning.flac";
/// Frames of a text; a random network does not stop by itself. The codec has 32 samples a frame.
const FRAMES: usize = 250;
const RATE: u32 = 44_100;
/// Where the program is.
const PROGRAM: &str = "SCONCE_SPEECH__ESPEAK_NG";

/// With the parts that are named.
fn builder(parts: &Parts, names: &[&str]) -> ServerBuilder {
    let folder = |name: &str| match name {
        "model" => parts.model.path().to_owned(),
        "codec" => parts.codec.path().to_owned(),
        _ => parts.speaker.path().to_owned(),
    };
    let builder = Server::builder().env("LOAD_MODE", "on_demand").env(PROGRAM, espeak::program().unwrap_or("off"));
    names.iter().fold(builder, |builder, name| {
        let setting = format!("SCONCE_MODELS__SMALL_ZONOS__PARTS__{}", name.to_uppercase());
        builder.env(&setting, &format!("file:{}", folder(name).display()))
    })
}

fn server(parts: &Parts) -> Server {
    builder(parts, &["model", "codec", "speaker"]).start()
}

fn wav(samples: Vec<f32>) -> Vec<u8> {
    encode(&Pcm::new(samples, RATE), AudioFormat::Wav).unwrap()
}

/// With `more` in it.
fn instance(more: Value) -> Value {
    with(json!({"model": MODEL, "text": TEXT, "seed": 7, "options": {"max_new_tokens": FRAMES}}), more)
}

async fn sound(server: &Server, instance: &Value) -> Pcm {
    native::sound(server, instance, RATE).await
}

#[tokio::test]
async fn a_text_is_spoken_by_either_kind_and_twice_alike() {
    if espeak::program().is_none() {
        return;
    }
    for kind in KINDS {
        let parts = Parts::of(kind);
        let server = server(&parts);
        let first = sound(&server, &instance(json!({}))).await;
        assert!(first.seconds() > 0.1 && first.seconds() < 0.3, "{}", first.seconds());
        assert_eq!(sound(&server, &instance(json!({"voice": "zonos"}))).await, first);
        assert_ne!(sound(&server, &instance(json!({"seed": 8}))).await, first);
        let status = server.get_json("/models/status").await["models"][MODEL].clone();
        assert_eq!((&status["status"], &status["family"]), (&json!("ready"), &json!("zonos")), "{status}");
    }
}

#[tokio::test]
async fn every_condition_and_every_knob_of_the_sampler_changes_what_is_said() {
    if espeak::program().is_none() {
        return;
    }
    let parts = Parts::of("hybrid");
    let server = server(&parts);
    let usual = sound(&server, &instance(json!({}))).await;
    for options in [
        json!({"emotion": [1, 0, 0, 0, 0, 0, 0, 0]}),
        json!({"emotion": null}),
        json!({"fmax": 12000}),
        json!({"pitch_std": 90.5}),
        json!({"speaking_rate": 30}),
        json!({"language_id": null}),
        json!({"vqscore_8": 0.7}),
        json!({"vqscore_8": [0.5, 0.6, 0.7, 0.8, 0.5, 0.6, 0.7, 0.8]}),
        json!({"ctc_loss": 500}),
        json!({"dnsmos_ovrl": 1.5}),
        json!({"speaker_noised": true}),
        json!({"cfg_scale": 1}),
        json!({"cfg_scale": 4}),
        json!({"temperature": 0}),
        json!({"top_p": 0.3}),
        json!({"top_k": 3}),
        json!({"min_p": 0.9}),
        json!({"linear": 0.5, "confidence": 0.4, "quadratic": 0.1, "min_p": 0}),
        json!({"repetition_penalty": 1}),
        json!({"repetition_window": 50}),
    ] {
        assert_ne!(sound(&server, &instance(json!({"options": options}))).await, usual, "{options}");
    }
    for (more, name) in [(json!({"language": "de"}), "language"), (json!({"speed": 1.5}), "speed")] {
        assert_ne!(sound(&server, &instance(more)).await, usual, "{name}");
    }
    let same = json!({"options": {"speaking_rate": 15.0, "fmax": 22050, "pitch_std": 20, "ctc_loss": 0, "min_p": 0.1,
        "vqscore_8": null, "dnsmos_ovrl": null, "speaker_noised": false, "language_id": 24}});
    assert_eq!(sound(&server, &instance(same)).await, usual, "what is usual");
}

#[tokio::test]
async fn a_stream_is_the_whole_sound_however_large_its_first_block_is() {
    if espeak::program().is_none() {
        return;
    }
    for kind in KINDS {
        let parts = Parts::of(kind);
        let server = server(&parts);
        let whole = sound(&server, &instance(json!({}))).await;
        for first in [0, 1, 20, 250] {
            let body = json!({"model": MODEL, "input": TEXT, "voice": "zonos", "response_format": "pcm", "seed": 7,
                "stream_format": "audio", "sample_rate": RATE, "options": {"max_new_tokens": FRAMES, "first_block": first}});
            let streamed = server.post_json("/v1/audio/speech", &body).await;
            assert_eq!(streamed.status(), 200);
            let bytes = streamed.bytes().await.unwrap();
            let samples = bare(&bytes);
            assert_eq!(samples.len(), whole.samples().len());
            let off = furthest(&samples, whole.samples());
            assert!(off < 1e-4, "{kind}, {first}: {off}");
        }
    }
}

#[tokio::test]
async fn texts_together_sound_as_each_alone() {
    if espeak::program().is_none() {
        return;
    }
    for kind in KINDS {
        let parts = Parts::of(kind);
        let server = server(&parts);
        let texts = ["Hello.", "Good day.", "Yes, it is.", "No."];
        let ask = |text: &str| instance(json!({"text": text}));
        let mut alone = Vec::new();
        for text in texts {
            alone.push(sound(&server, &ask(text)).await);
        }
        let together = join_all(texts.map(|text| {
            let (server, instance) = (&server, ask(text));
            async move { sound(server, &instance).await }
        }));
        assert!(together.await == alone, "{kind}");
    }
}

#[tokio::test]
async fn a_recording_lends_its_voice_and_is_heard_once() {
    if espeak::program().is_none() {
        return;
    }
    let parts = Parts::of("transformer");
    let server = server(&parts);
    let own = sound(&server, &instance(json!({}))).await;
    let shown = instance(json!({"voice": content(&recording(SPEAKER))}));
    let first = sound(&server, &shown).await;
    assert_ne!(first, own);
    assert_eq!(sound(&server, &shown).await, first);
    for found in ["computed", "memory"] {
        assert_eq!(server.metric("sconce_reference_cache_total", &[("found", found)]).await, 1.0, "{found}");
    }
    let only = json!({"voice": {"zonos": 1.0, "alloy": 1.0}});
    assert!(refused(&server, &instance(only)).await.contains("cannot be blended"));
}

#[tokio::test]
async fn a_long_text_is_spoken_chunk_by_chunk_each_after_the_one_before() {
    if espeak::program().is_none() {
        return;
    }
    let parts = Parts::of("transformer");
    let server = server(&parts);
    let sentence = "The harbour lights went out one by one, and nobody said a word about it at all. ";
    let ask = |count: usize| instance(json!({"text": sentence.repeat(count), "options": {"max_new_tokens": 2600}}));
    let (one, four) = (sound(&server, &ask(1)).await, sound(&server, &ask(4)).await);
    assert!(four.seconds() > 3.5 * one.seconds(), "{} of {}", four.seconds(), one.seconds());
    let half = one.samples().len() / 2;
    assert!(
        furthest(&four.samples()[..half], &one.samples()[..half]) < 1e-3,
        "the first chunk is that of one sentence"
    );
    // The same words under the same seed, and they are not said as the first time: the model heard what it said.
    let again = four.samples().windows(256).skip(1).any(|part| furthest(part, &four.samples()[..256]) < 1e-3);
    assert!(!again, "a chunk was said as if nothing had been before it");
}

#[tokio::test]
async fn who_leaves_is_given_up_within_a_step() {
    if espeak::program().is_none() {
        return;
    }
    let parts = Parts::of("transformer");
    let server = server(&parts);
    let short = instance(json!({}));
    let expected = sound(&server, &short).await;
    let text = "The harbour lights went out one by one, and nobody said a word about it at all, for a long while.";
    let long = instance(json!({"text": text.repeat(20), "options": {"max_new_tokens": 5160, "first_block": 5160}}));
    server.leave(server.post_json("/predict", &long)).await;
    assert_eq!(sound(&server, &short).await, expected);
}
