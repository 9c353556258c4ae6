//! Many who speak at once.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::join_all;
use serde_json::json;

use super::bounds::{ended, raw};
use crate::{
    recordings::{truths, words},
    support::{
        Server,
        socket::{Live, deltas, pause, pcm16, said},
    },
};

const SPEAKERS: usize = 100;
/// Nothing in a test takes longer; a hang becomes a failure.
const PATIENCE: Duration = Duration::from_secs(120);

/// And among them one that never reads, and one that asks without end and never reads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_sessions_at_once_all_get_their_texts() {
    let server = Server::builder()
        .env("SCONCE_LIVE__PARTIALS", "500ms")
        // As long as a busy machine may keep a client that reads from answering.
        .env("SCONCE_LIVE__PING", "8s")
        .env("SCONCE_LIVE__MAX_RATE", "100000")
        .env("SCONCE_LIVE__MAX_SESSIONS", &(SPEAKERS + 2).to_string())
        .start();
    let server = Arc::new(server);
    let _deaf = raw(&server, &[]).await;
    let mut flood = raw(&server, &[]).await;
    let flooding = tokio::spawn(async move {
        // Each is answered by an error that is longer than it is.
        let frames = [&[0x81, 0x80 | 2][..], &[0; 4], b"{}"].concat().repeat(1000);
        while tokio::io::AsyncWriteExt::write_all(&mut flood, &frames).await.is_ok() {}
    });
    // Of a recording with pauses the server makes several items.
    let sentences: Vec<_> = truths().into_iter().filter(|(_, text)| words(text).len() < 12).collect();
    let sounds =
        sentences.into_iter().map(|(file, text)| (pcm16(&[pause(0.5), said(&file), pause(1.0)]), words(&text)));
    let sounds: Vec<_> = sounds.map(Arc::new).collect();
    let speakers = (0..SPEAKERS).map(|speaker| {
        let (server, sound) = (server.clone(), sounds[speaker % sounds.len()].clone());
        tokio::spawn(async move {
            let (sound, truth) = &*sound;
            // Some let the server find out where they stop.
            let found = speaker % 2 == 0;
            let mut live = Live::start(&server).await;
            if !found {
                live.set(json!({"turn_detection": null})).await;
            }
            live.append_in_pieces(sound, 200).await;
            if !found {
                live.commit().await;
            }
            let events = live.until("conversation.item.input_audio_transcription.completed").await;
            let done = events.last().unwrap();
            assert_eq!(words(done["transcript"].as_str().unwrap()), *truth);
            assert_eq!(deltas(&events, &done["item_id"]), done["transcript"]);
            live.close().await;
        })
    });
    for speaker in join_all(speakers).await {
        speaker.unwrap();
    }
    assert_eq!(server.metric("sconce_live_final_seconds_count", &[]).await, SPEAKERS as f64);
    ended(&server, "stalled", 2.0).await;
    ended(&server, "left", SPEAKERS as f64).await;
    assert_eq!(server.metric("sconce_live_sessions", &[]).await, 0.0);
    flooding.await.unwrap();
}

/// All of them are due to be heard at the same time, twice, and each is told words before its item ends. Nobody
/// but the server says how long that takes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn none_of_a_hundred_who_speak_starves() {
    let server = Server::builder()
        // Each is heard after each second of its sound, however slow the machine.
        .env("SCONCE_LIVE__MAX_PARTIALS", "100000")
        .env("SCONCE_RUNTIME__QUEUE", &(2 * SPEAKERS).to_string())
        .env("SCONCE_LIVE__MAX_RATE", "100000")
        .env("SCONCE_LIVE__MAX_SESSIONS", &SPEAKERS.to_string())
        // These clients do not read while they wait for all.
        .env("SCONCE_LIVE__PING", "10m")
        .env("SCONCE_LIVE__IDLE", "10m")
        .start();
    let sentences: Vec<_> = truths().into_iter().filter(|(_, text)| words(text).len() < 12).collect();
    let (silence, mut speakers) = (pcm16(&[pause(1.0)]), Vec::new());
    for speaker in 0..SPEAKERS {
        // Nothing but the client ends the item, and silence after the words is as good as speech to be heard anew.
        let live = Live::start_with(&server, json!({"turn_detection": null})).await;
        speakers.push((live, pcm16(&[said(&sentences[speaker % sentences.len()].0), pause(1.0)])));
    }
    for round in 1..=2 {
        for (live, sound) in &mut speakers {
            live.append(&std::mem::replace(sound, silence.clone())).await;
        }
        all_heard(&server, round).await;
    }
    let ends = speakers.into_iter().map(|(mut live, _)| async move {
        live.until("conversation.item.input_audio_transcription.delta").await;
        live.close().await;
    });
    join_all(ends).await;
    ended(&server, "left", SPEAKERS as f64).await;
}

/// Waits until each was heard so often before its end.
async fn all_heard(server: &Server, times: usize) {
    let start = Instant::now();
    while server.metric("sconce_live_partial_seconds_count", &[]).await < (times * SPEAKERS) as f64 {
        assert!(start.elapsed() < PATIENCE, "somebody was never heard");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
