//! What cannot be said, and models that are configured to be what they cannot be.

use sconce::{
    service::ServiceError,
    speech::{Fault, Kind, SynthesizeOptions, VoiceInput},
};
use serde_json::json;

use crate::stage::{Stage, call, in_time, say, say_turned, say_with, whole};

#[tokio::test]
async fn what_is_wrong_is_named() {
    let stage = Stage::new(&[]);
    let voice = SynthesizeOptions { voice: Some(VoiceInput::Named("tenor".to_owned())), ..Default::default() };
    let speed = |speed| SynthesizeOptions { speed: Some(speed), ..Default::default() };
    for (asked, param, said) in [
        (say(" \n"), "text", "nothing in it"),
        (say_with("a", voice), "voice", "there are low, middle, high"),
        (say_with("a", speed(0.0)), "speed", "speed is 0; 0.25 to 4"),
        (say_with("a", speed(f32::NAN)), "speed", "0.25 to 4"),
        (say_turned("a", "pitch", json!(3)), "options", "`pitch`"),
    ] {
        let error = whole(stage.speak(asked).await).await.unwrap_err();
        assert_eq!((error.kind(), error.param()), (Kind::Invalid, Some(param)), "{error}");
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[tokio::test]
async fn a_task_that_a_model_does_not_do_is_answered_with_those_that_do() {
    let stage = Stage::new(&[("SCONCE_MODELS__TONE__FAMILY", "tone")]);
    let nano = sconce::service::Call { model: Some("whisper-nano.en".to_owned()), ..call() };
    let error = in_time(stage.service().synthesize(nano, say("a"))).await.err().unwrap();
    assert!(matches!(error, ServiceError::WrongTask { .. }));
    assert!(error.to_string().contains("these can: tone"), "{error}");
}

#[tokio::test]
async fn a_type_that_the_family_cannot_compute_in_makes_the_model_unsupported() {
    // A family that is named is asked at the start, one that is found when the files are here.
    for (family, kind) in
        [(Some(("SCONCE_MODELS__TONE__FAMILY", "tone")), Kind::Unsupported), (None, Kind::Unavailable)]
    {
        let settings: Vec<_> = [("SCONCE_MODELS__TONE__DTYPE", "bf16")].into_iter().chain(family).collect();
        let stage = Stage::new(&settings);
        let error = stage.try_speak(say("a")).await.err().unwrap();
        assert!(error.to_string().contains("tone computes in f32 on cpu"), "{error}");
        assert_eq!((error.kind(), error.permanent()), (kind, true), "{error}");
    }
}

#[tokio::test]
async fn a_batch_of_its_own_bounds_a_model() {
    let stage = Stage::new(&[("SCONCE_MODELS__TONE__MAX_BATCH", "1"), ("SCONCE_LIMITS__OUTPUT_BUFFER_AUDIO", "100ms")]);
    let first = stage.speak(say("the only one in hand")).await;
    stage.parks().await;
    let second = stage.speak(say("hello")).await;
    let waiting = tokio::spawn(whole(second));
    whole(first).await.unwrap();
    in_time(waiting).await.unwrap().unwrap();
}
