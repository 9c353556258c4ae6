//! What is still being written or said while the model works on it.

use std::time::Duration;

use sconce::{
    audio::Pcm,
    model::RequestError,
    service::ServiceError,
    speech::{Convert, ConvertOptions, SpeechEvent, Transcribe, TranscribeOptions},
};

use crate::{
    family::RATE,
    stage::{Stage, call, in_time, say, until, whole},
};

#[tokio::test]
async fn a_text_that_is_being_written_is_spoken_as_it_comes() {
    let stage = Stage::new(&[]);
    let (mut answer, mut input) = in_time(stage.service().live(call(), say("he"))).await.unwrap();
    let mut samples = Vec::new();
    for part in ["l", "lo"] {
        // What is known is spoken before more is written.
        let Some(Ok(SpeechEvent::Audio(block))) = in_time(answer.next()).await else { panic!("no sound") };
        samples.extend_from_slice(block.samples());
        in_time(input.send(part.to_owned())).await.unwrap();
    }
    input.finish();
    while let Some(piece) = in_time(answer.next()).await {
        if let SpeechEvent::Audio(block) = piece.unwrap() {
            samples.extend_from_slice(block.samples());
        }
    }
    let at_once = whole(stage.speak(say("hello")).await).await.unwrap();
    assert!(samples == at_once.audio.samples());
}

#[tokio::test]
async fn sound_that_is_being_recorded_is_converted_as_it_comes() {
    let stage = Stage::new(&[]);
    let beginning = Convert { audio: Pcm::new(Vec::new(), RATE), options: ConvertOptions::default() };
    let (mut answer, mut input) = in_time(stage.service().live(call(), beginning)).await.unwrap();
    assert_eq!(answer.input_rate(), RATE);
    let mut seconds = 0.0;
    for _ in 0..3 {
        in_time(input.send(Pcm::new(vec![0.1; RATE as usize / 10], RATE))).await.unwrap();
        let Some(Ok(SpeechEvent::Audio(block))) = in_time(answer.next()).await else { panic!("no sound") };
        seconds += block.seconds();
    }
    assert!((seconds - 0.3).abs() < 1e-9);
    input.finish();
    assert!(matches!(in_time(answer.next()).await, Some(Ok(SpeechEvent::Done(_)))));
}

#[tokio::test]
async fn the_model_sleeps_until_more_is_written_and_serves_others_meanwhile() {
    let stage = Stage::new(&[]);
    let (answer, mut input) = in_time(stage.service().live(call(), say("a"))).await.unwrap();
    stage.parks().await;
    assert!(stage.service().lifecycle().stalled(Duration::ZERO).is_none());
    whole(stage.speak(say("others")).await).await.unwrap();
    in_time(input.send("b".to_owned())).await.unwrap();
    input.finish();
    let spoken = whole(answer).await.unwrap();
    assert_eq!(spoken.audio, whole(stage.speak(say("ab")).await).await.unwrap().audio);
}

#[tokio::test]
async fn one_who_writes_faster_than_the_model_reads_is_held_back() {
    let stage = Stage::new(&[("SCONCE_LIMITS__INPUT_BUFFER", "10"), ("SCONCE_LIMITS__OUTPUT_BUFFER_AUDIO", "100ms")]);
    let (mut answer, mut input) = in_time(stage.service().live(call(), say("a"))).await.unwrap();
    let writer = tokio::spawn(async move {
        for _ in 0..100 {
            input.send("0123456789".to_owned()).await.unwrap();
        }
        input.finish();
    });
    stage.parks().await;
    assert!(!writer.is_finished(), "nobody reads, so not all can have been taken");
    let mut letters = 0;
    while let Some(piece) = in_time(answer.next()).await {
        letters += usize::from(matches!(piece.unwrap(), SpeechEvent::Audio(_)));
    }
    writer.await.unwrap();
    assert_eq!(letters, 1001);
}

#[tokio::test]
async fn a_writer_who_breaks_off_ends_the_request_with_an_error() {
    let stage = Stage::new(&[]);
    let (answer, input) = in_time(stage.service().live(call(), say("a"))).await.unwrap();
    drop(input);
    let error = whole(answer).await.unwrap_err();
    assert!(matches!(error, ServiceError::Request(RequestError::Gone)), "{error}");
    until("rest", || !stage.parked()).await;
}

#[tokio::test]
async fn a_model_that_takes_whole_recordings_only_says_so() {
    let stage = Stage::new(&[]);
    let beginning = Transcribe { audio: Pcm::new(Vec::new(), 16_000), options: TranscribeOptions::default() };
    let nano = sconce::service::Call { model: Some("whisper-nano.en".to_owned()), ..call() };
    let (mut answer, _input) = in_time(stage.service().live(nano, beginning)).await.unwrap();
    let error = in_time(answer.next()).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("only transcribe what is there from the beginning"), "{error}");
}
