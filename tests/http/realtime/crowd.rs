//! Many who speak at once.

use futures::future::join_all;
use serde_json::json;

use crate::{
    recordings::{truths, words},
    support::{
        Server,
        socket::{Live, deltas, pause, pcm16, said},
    },
};

#[tokio::test]
async fn many_sessions_at_once_all_get_their_texts() {
    let server = Server::builder().env("SCONCE_LIVE__PARTIALS", "500ms").start();
    // Of a recording with pauses the server makes several items.
    let truths: Vec<_> = truths().into_iter().filter(|(_, text)| words(text).len() < 12).collect();
    let speakers = (0..32).map(|speaker| {
        let (server, (file, truth)) = (&server, &truths[speaker % truths.len()]);
        async move {
            // Some let the server find out where they stop.
            let found = speaker % 2 == 0;
            let mut live = Live::start(server).await;
            if !found {
                live.set(json!({"turn_detection": null})).await;
            }
            live.append_in_pieces(&pcm16(&[pause(0.5), said(file), pause(1.0)]), 200).await;
            if !found {
                live.commit().await;
            }
            let events = live.until("conversation.item.input_audio_transcription.completed").await;
            let done = events.last().unwrap();
            assert_eq!(words(done["transcript"].as_str().unwrap()), words(truth), "{file}");
            assert_eq!(deltas(&events, &done["item_id"]), done["transcript"], "{file}");
            live.close().await;
        }
    });
    join_all(speakers).await;
    assert_eq!(server.metric("sconce_live_final_seconds_count", &[]).await, 32.0);
}
