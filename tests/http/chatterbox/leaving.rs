//! Clients that leave in the midst of T3 and of the flow.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{MODEL, SPEAKER, instance, server, sound, wav};
use crate::support::{Server, chatterbox, native::content, recording};

/// Asks, leaves while the model works on it, and waits until it is given up.
async fn leave(server: &Server, instance: &Value, of: &str) {
    let cancelled = || server.metric("sconce_requests_total", &[("outcome", "cancelled")]);
    let before = cancelled().await;
    let asked = server.post_json("/predict", instance);
    assert!(
        tokio::time::timeout(Duration::from_millis(1500), asked).await.is_err(),
        "it was done too soon: ask for more"
    );
    let start = Instant::now();
    while cancelled().await == before {
        assert!(start.elapsed() < Duration::from_secs(10), "{of}: it was never given up");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn work_stops_in_t3_in_the_flow_and_in_a_conversion() {
    let folder = chatterbox::english();
    let server = server(&folder);
    let short = instance(json!({"options": {"max_new_tokens": 30}}));
    let expected = sound(&server, &short).await;
    // A thousand tokens and no sound before the last.
    leave(&server, &instance(json!({"options": {"max_new_tokens": 1000, "first_block": 0}})), "T3").await;
    assert_eq!(sound(&server, &short).await, expected);
    // Few tokens and a hundred steps, as often as there are blocks of text.
    let text = "The harbour lights went out one by one, and nobody said a word. ".repeat(40);
    leave(&server, &instance(json!({"text": text, "options": {"max_new_tokens": 100, "steps": 100}})), "flow").await;
    assert_eq!(sound(&server, &short).await, expected);
    let long = wav((0..24_000 * 60).map(|at| (at as f32 * 0.02).sin() * 0.3).collect());
    let convert = json!({"model": MODEL, "audio": content(&long), "voice": content(&recording(SPEAKER)),
        "options": {"steps": 100}});
    leave(&server, &convert, "conversion").await;
    assert_eq!(sound(&server, &short).await, expected);
}
