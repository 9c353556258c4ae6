//! Callers who leave, models that never end, and models that panic.

use std::time::Duration;

use sconce::{
    model::RequestError,
    service::{Call, ServiceError},
    speech::SpeechEvent,
};

use crate::stage::{Stage, call, in_time, say, say_turned, until, whole};

#[tokio::test]
async fn who_leaves_in_mid_sentence_stops_the_work() {
    let stage = Stage::new(&[("SCONCE_RUNTIME__MAX_BATCH", "1")]);
    let mut answer = stage.speak(say_turned("on and on ", "endless", true.into())).await;
    assert!(matches!(in_time(answer.next()).await, Some(Ok(SpeechEvent::Audio(_)))));
    drop(answer);
    // The one place is free again.
    whole(stage.speak(say("hello")).await).await.unwrap();
}

#[tokio::test]
async fn a_model_that_never_ends_is_ended_by_the_deadline_whether_it_is_read_or_not() {
    let stage = Stage::new(&[("SCONCE_LIMITS__OUTPUT_BUFFER_AUDIO", "1s")]);
    let endless = || say_turned("on and on ", "endless", true.into());
    let brief = || Call { time_limit: Some(Duration::from_millis(200)), ..call() };
    let mut read = in_time(stage.service().synthesize(brief(), endless())).await.unwrap();
    let error = loop {
        if let Err(error) = in_time(read.next()).await.expect("an error") {
            break error;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    assert!(matches!(error, ServiceError::Request(RequestError::Deadline)), "{error}");

    let _unread = in_time(stage.service().synthesize(brief(), endless())).await.unwrap();
    stage.parks().await;
    until("rest", || !stage.parked()).await;
}

#[tokio::test]
async fn an_answer_without_an_end_is_not_gathered_for_ever() {
    let stage = Stage::new(&[("SCONCE_LIMITS__MAX_AUDIO", "10s")]);
    let answer = stage.speak(say_turned("on and on ", "endless", true.into())).await;
    let error = whole(answer).await.unwrap_err();
    assert_eq!(error.to_string(), "the answer is longer than 10 s; it can be had as a stream");
}

#[tokio::test]
async fn a_panic_fails_those_in_hand_and_the_next_one_finds_a_new_model() {
    let stage = Stage::new(&[]);
    let mut bystander = stage.speak(say_turned("on and on ", "endless", true.into())).await;
    let error = whole(stage.speak(say_turned("hello", "panic_at", 3.into())).await).await.unwrap_err();
    assert!(matches!(error, ServiceError::Request(RequestError::Broken)), "{error}");
    let error = loop {
        if let Err(error) = in_time(bystander.next()).await.expect("an error") {
            break error;
        }
    };
    assert!(matches!(error, ServiceError::Request(RequestError::Broken)), "{error}");
    drop(bystander);
    in_time(async {
        while stage.try_speak(say("hello")).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}
