//! Models that do not find the end of a chunk, or find it too soon.

use sconce::{
    service::{ServiceError, Speaking},
    speech::{Fault, Kind, SpeechEvent, SynthesizeOptions},
};
use serde_json::{Value, json};

use crate::stage::{Stage, in_time, say_with};

/// 33 letters: 0.66 s at the fastest; one of them may be spelled, so 36 at the slowest, and 2 s beyond: 9.2 s.
const TEXT: &str = "a text that is long enough to be judged by";

async fn spoken(stage: &Stage, seed: u64, knobs: Value) -> Speaking {
    let options = knobs.as_object().unwrap().clone();
    stage.read(say_with(TEXT, SynthesizeOptions { seed: Some(seed), options, ..SynthesizeOptions::default() })).await
}

/// The samples that came, and how it ended.
async fn streamed(mut speaking: Speaking) -> (Vec<f32>, Result<(), ServiceError>) {
    let mut samples = Vec::new();
    loop {
        match in_time(speaking.next()).await.expect("an end") {
            Ok(SpeechEvent::Audio(pcm)) => samples.extend_from_slice(pcm.samples()),
            Ok(SpeechEvent::Stem(..) | SpeechEvent::Progress(_) | SpeechEvent::Checkpoint(_)) => {
                panic!("sound alone was expected")
            }
            Ok(SpeechEvent::Done(_)) => return (samples, Ok(())),
            Err(error) => return (samples, Err(error)),
        }
    }
}

#[tokio::test]
async fn what_goes_wrong_unheard_is_said_again_under_another_seed() {
    let stage = Stage::new(&[]);
    let (fine, ended) = streamed(spoken(&stage, 2, json!({})).await).await;
    ended.unwrap();
    for ends_after in [0, 1, 6] {
        let (samples, ended) =
            streamed(spoken(&stage, 1, json!({"ends_after": ends_after, "only_seed": 1})).await).await;
        ended.unwrap();
        assert!(samples == fine, "{ends_after}");
    }
    for knobs in [json!({"endless": true, "only_seed": 1}), json!({"ends_after": 8, "only_seed": 1})] {
        let whole = in_time(spoken(&stage, 1, knobs.clone()).await.whole()).await.unwrap();
        assert!(whole.audio.samples() == fine, "{knobs}");
        assert_eq!(whole.summary.seed, Some(1), "that which makes the same again");
    }
}

#[tokio::test]
async fn what_goes_wrong_twice_fails_and_nothing_of_it_was_sent() {
    let stage = Stage::new(&[]);
    let (samples, ended) = streamed(spoken(&stage, 1, json!({"ends_after": 1})).await).await;
    let error = ended.unwrap_err();
    assert_eq!((samples.len(), error.kind(), error.permanent()), (0, Kind::Internal, false));
    let text = error.to_string();
    assert!(text.starts_with("the model stopped after 0.1 s of a text that takes 0.7 s at least"), "{text}");
    assert!(text.ends_with("under two seeds"), "{text}");
    let error = in_time(spoken(&stage, 1, json!({"endless": true})).await.whole()).await.unwrap_err();
    assert!(error.to_string().contains("found no end within the 9.2 s"), "{error}");
}

#[tokio::test]
async fn what_was_heard_is_cut_off_at_the_bound() {
    let stage = Stage::new(&[]);
    let (samples, ended) = streamed(spoken(&stage, 1, json!({"endless": true})).await).await;
    let seconds = samples.len() as f64 / f64::from(crate::family::RATE);
    assert!((7.0..9.3).contains(&seconds), "{seconds}");
    let text = ended.unwrap_err().to_string();
    assert!(text.ends_with("and its beginning was sent already"), "{text}");
    // The model is free again.
    streamed(spoken(&stage, 1, json!({})).await).await.1.unwrap();
}

#[tokio::test]
async fn the_first_sound_comes_before_the_end_is_known() {
    let stage = Stage::new(&[]);
    let mut speaking = spoken(&stage, 1, json!({"endless": true})).await;
    match in_time(speaking.next()).await {
        Some(Ok(SpeechEvent::Audio(pcm))) => assert!(pcm.seconds() < 0.7, "{}", pcm.seconds()),
        other => panic!("{other:?}"),
    }
}
