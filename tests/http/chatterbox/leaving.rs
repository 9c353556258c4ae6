//! Clients that leave in the midst of T3 and of the flow.

use serde_json::json;

use super::{MODEL, SPEAKER, instance, server, sound, wav};
use crate::support::{chatterbox, native::content, recording};

#[tokio::test]
async fn work_stops_in_t3_in_the_flow_and_in_a_conversion() {
    let folder = chatterbox::english();
    let server = server(&folder);
    let short = instance(json!({"options": {"max_new_tokens": 30}}));
    let expected = sound(&server, &short).await;
    // A thousand tokens and no sound before the last.
    server
        .leave(server.post_json("/predict", &instance(json!({"options": {"max_new_tokens": 1000, "first_block": 0}}))))
        .await;
    assert_eq!(sound(&server, &short).await, expected);
    // Few tokens and a hundred steps, as often as there are blocks of text.
    let text = "The harbour lights went out one by one, and nobody said a word. ".repeat(40);
    server
        .leave(
            server.post_json(
                "/predict",
                &instance(json!({"text": text, "options": {"max_new_tokens": 100, "steps": 100}})),
            ),
        )
        .await;
    assert_eq!(sound(&server, &short).await, expected);
    let long = wav((0..24_000 * 60).map(|at| (at as f32 * 0.02).sin() * 0.3).collect());
    let convert = json!({"model": MODEL, "audio": content(&long), "voice": content(&recording(SPEAKER)),
        "options": {"steps": 100}});
    server.leave(server.post_json("/predict", &convert)).await;
    assert_eq!(sound(&server, &short).await, expected);
}
