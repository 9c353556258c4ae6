//! What a speaking model gives to those who ask it well.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use sconce::{
    audio::{Pcm, encode_wav},
    service::{AudioInput, ConvertRequest, Recording},
    speech::{ConvertOptions, SpeechEvent, SynthesizeOptions, VoiceBlend, VoiceInput},
};

use crate::{
    family::RATE,
    stage::{Stage, call, in_time, say, say_with, until, whole},
};

#[tokio::test]
async fn sound_arrives_in_blocks_and_then_what_was_made() {
    let stage = Stage::new(&[]);
    let mut answer = stage.speak(say("hi you")).await;
    let mut blocks = Vec::new();
    let summary = loop {
        match in_time(answer.next()).await.unwrap().unwrap() {
            SpeechEvent::Audio(block) => blocks.push(block),
            SpeechEvent::Stem(..) | SpeechEvent::Progress(_) | SpeechEvent::Checkpoint(_) => {
                panic!("sound alone was expected")
            }
            SpeechEvent::Done(summary) => break summary,
        }
    };
    assert!(in_time(answer.next()).await.is_none());
    assert_eq!((blocks.len(), summary.tokens, summary.seed), (6, 6, Some(1)));
    assert!((summary.seconds - 0.48).abs() < 1e-9, "{summary:?}");
    let words: Vec<_> = summary.marks.iter().map(|mark| (mark.text.as_str(), mark.start, mark.end)).collect();
    assert_eq!(words, [("hi", 0.0, 0.16), ("you", 0.24, 0.48)]);
}

#[tokio::test]
async fn equal_seeds_speak_alike_and_others_do_not() {
    let stage = Stage::new(&[]);
    let spoken = async |seed| {
        let options = SynthesizeOptions { seed: Some(seed), ..SynthesizeOptions::default() };
        whole(stage.speak(say_with("hello", options)).await).await.unwrap().audio
    };
    assert_eq!(spoken(7).await, spoken(7).await);
    assert_ne!(spoken(7).await, spoken(8).await);
}

#[tokio::test]
async fn speed_and_voice_are_heard() {
    let stage = Stage::new(&[]);
    let usual = whole(stage.speak(say("hello")).await).await.unwrap().audio;
    let fast = SynthesizeOptions { speed: Some(2.0), ..SynthesizeOptions::default() };
    let fast = whole(stage.speak(say_with("hello", fast)).await).await.unwrap().audio;
    assert_eq!(2 * fast.samples().len(), usual.samples().len());

    let named = |name: &str| VoiceInput::Named(name.to_owned());
    let blend = VoiceBlend::new(vec![(named("low"), 1.0), (named("high"), 1.0)]).unwrap();
    for voice in [named("high"), VoiceInput::Blend(blend)] {
        let options = SynthesizeOptions { voice: Some(voice), ..SynthesizeOptions::default() };
        let other = whole(stage.speak(say_with("hello", options)).await).await.unwrap().audio;
        assert_ne!(other, usual);
    }
}

#[tokio::test]
async fn texts_of_unequal_length_together_sound_as_each_alone() {
    let stage = Stage::new(&[("SCONCE_RUNTIME__MAX_BATCH", "3")]);
    let texts = ["a", "a much longer text than the others", "three words here", "la la", "x y z", "the last one"];
    let mut alone = Vec::new();
    for text in texts {
        alone.push(whole(stage.speak(say(text)).await).await.unwrap().audio);
    }
    let together = join_all(texts.map(async |text| whole(stage.speak(say(text)).await).await.unwrap().audio)).await;
    assert!(together == alone);
}

#[tokio::test]
async fn a_recording_comes_at_the_rate_of_the_family_whether_file_or_samples() {
    let stage = Stage::new(&[]);
    let sound = Pcm::new((0..16_000).map(|at| (at as f32 / 9.0).sin() / 4.0).collect(), 16_000);
    let file = Recording { bytes: encode_wav(&sound).into(), hint: None };
    for audio in [AudioInput::Encoded(file), AudioInput::Samples(Arc::new(sound))] {
        let asked = ConvertRequest { audio, options: ConvertOptions::default() };
        let answer = in_time(stage.service().convert(call(), asked)).await.unwrap();
        assert_eq!(answer.seconds(), 1.0);
        let hummed = whole(answer).await.unwrap();
        assert_eq!((hummed.audio.rate(), hummed.audio.samples().len()), (RATE, RATE as usize));
    }
}

#[tokio::test]
async fn newcomers_are_answered_while_a_long_text_is_spoken() {
    let stage = Stage::new(&[("SCONCE_LIMITS__OUTPUT_BUFFER_AUDIO", "1s")]);
    let mut long = stage.speak(crate::stage::say_turned("on and on ", "endless", true.into())).await;
    for _ in 0..3 {
        assert!(matches!(in_time(long.next()).await, Some(Ok(SpeechEvent::Audio(_)))));
        let short = whole(stage.speak(say("hello")).await).await.unwrap();
        assert!((short.summary.seconds - 0.4).abs() < 1e-9);
    }
}

#[tokio::test]
async fn a_slow_reader_makes_the_model_wait_and_loses_nothing() {
    let stage = Stage::new(&[("SCONCE_LIMITS__OUTPUT_BUFFER_AUDIO", "1s")]);
    let text = "a text that is far longer than what may wait for its reader ".repeat(10);
    let expected = whole(stage.speak(say(&text)).await).await.unwrap();
    let mut slow = stage.speak(say(&text)).await;
    stage.parks().await;
    assert!(stage.service().lifecycle().stalled(Duration::ZERO).is_none(), "it is not stuck");
    let mut samples = Vec::new();
    loop {
        match in_time(slow.next()).await.unwrap().unwrap() {
            SpeechEvent::Audio(block) => samples.extend_from_slice(block.samples()),
            SpeechEvent::Stem(..) | SpeechEvent::Progress(_) | SpeechEvent::Checkpoint(_) => {
                panic!("sound alone was expected")
            }
            SpeechEvent::Done(summary) => break assert_eq!(summary, expected.summary),
        }
    }
    assert!(samples == expected.audio.samples());
    // Counted when the batch is over, which its answers do not wait for.
    until("the count", || stage.metric("sconce_parked_seconds_total") > 0.0).await;
}

#[tokio::test]
async fn what_is_spoken_is_counted() {
    let stage = Stage::new(&[]);
    whole(stage.speak(say("hello")).await).await.unwrap();
    assert!((stage.metric("sconce_speech_seconds_total") - 0.4).abs() < 1e-6);
    for (name, value) in [
        ("sconce_characters_total", 5.0),
        ("sconce_first_sound_seconds", 1.0),
        ("sconce_real_time_factor", 1.0),
        ("sconce_requests_total", 1.0),
    ] {
        assert_eq!(stage.metric(name), value, "{name}");
    }
}
