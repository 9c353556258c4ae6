//! The network that finds speech, where the configuration names one: here one of random weights.

use serde_json::{Value, json};

use crate::{
    recordings::words,
    support::{
        Server, ServerBuilder, fixture, recording,
        socket::{Live, pause, pcm16, said},
    },
};

const LIGHTS: (&str, &str) = ("turn-on-the-kitchen-lights.wav", "turn on the kitchen lights");

fn builder() -> ServerBuilder {
    let network = fixture("silero/network.safetensors").display().to_string();
    Server::builder().env("SCONCE_AUDIO__VOICE_NETWORK", &network)
}

async fn hear(server: &Server, threshold: f32) -> String {
    let strategy = json!({"type": "server_vad", "threshold": threshold}).to_string();
    let fields = [("chunking_strategy", strategy.as_str())];
    let answer = server.transcribe(recording(LIGHTS.0), "whisper-nano.en", &fields).await;
    let body: Value = answer.json().await.unwrap();
    body["text"].as_str().unwrap_or_else(|| panic!("{body}")).to_owned()
}

#[tokio::test]
async fn it_says_what_is_cut_out_of_a_recording() {
    let server = builder().start();
    assert_eq!(words(&hear(&server, 0.0).await), words(LIGHTS.1));
    assert_eq!(hear(&server, 1.0).await, "");
}

#[tokio::test]
async fn it_says_where_the_items_of_a_session_are() {
    let server = builder().start();
    // The network of the fixture takes everything for speech at this threshold, and silence as well, where what stands out of
    // the noise would be speech alone.
    let detection = json!({"turn_detection": {"type": "server_vad", "threshold": 0.01}});
    let mut live = Live::start_with(&server, detection).await;
    live.append(&pcm16(&[pause(1.5)])).await;
    let events = live.until("input_audio_buffer.speech_started").await;
    assert!(events.last().unwrap()["audio_start_ms"].as_u64().unwrap() < 300, "{events:?}");
    live.append(&pcm16(&[said(LIGHTS.0)])).await;
    live.commit().await;
    let events = live.until("conversation.item.input_audio_transcription.completed").await;
    assert_eq!(words(events.last().unwrap()["transcript"].as_str().unwrap()), words(LIGHTS.1));
    live.close().await;
}
