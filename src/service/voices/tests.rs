use std::f64::consts::TAU;

use tempfile::TempDir;

use super::*;
use crate::{
    audio::{Pcm, encode_wav},
    speech::Fault,
};

fn tone(seconds: f64, loud: f64) -> Recording {
    let samples = (0..(seconds * 24_000.0) as usize).map(|n| (loud * (TAU * 220.0 * n as f64 / 24_000.0).sin()) as f32);
    Recording { bytes: encode_wav(&Pcm::new(samples.collect(), 24_000)).into(), hint: None }
}

fn voices() -> (TempDir, Voices) {
    let folder = TempDir::new().unwrap();
    let voices = Voices::new(Some(folder.path().join("voices")), 1 << 20);
    (folder, voices)
}

#[tokio::test]
async fn a_voice_is_added_listed_found_and_removed() {
    let (folder, voices) = voices();
    assert_eq!(voices.list().await.unwrap(), []);
    let added = voices.add("Anna_2".to_owned(), tone(2.0, 0.5), VoiceNotes::default()).await.unwrap();
    assert_eq!((added.name.as_str(), added.seconds, added.sample_rate), ("Anna_2", 2.0, 24_000));
    assert_eq!(voices.list().await.unwrap(), std::slice::from_ref(&added));
    assert_eq!(voices.find("Anna_2".to_owned()).await, Ok(added));
    let files: Vec<_> = std::fs::read_dir(folder.path().join("voices")).unwrap().collect();
    assert_eq!(files.len(), 1, "nothing but the voice is left behind");
    voices.remove("Anna_2".to_owned()).await.unwrap();
    assert_eq!(voices.list().await.unwrap(), []);
}

#[tokio::test]
async fn what_is_no_sample_of_a_voice_is_refused() {
    let (_folder, voices) = voices();
    for (sample, said) in [
        (tone(0.5, 0.5), "0.50 s long; 1 to 60 s"),
        (tone(61.0, 0.5), "longer than 60 s"),
        (tone(2.0, 0.0), "silent"),
        (Recording { bytes: b"no sound at all, however long".as_slice().into(), hint: None }, "known format"),
        (Recording { bytes: Default::default(), hint: None }, "empty"),
    ] {
        let error = voices.add("anna".to_owned(), sample, VoiceNotes::default()).await.unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
        assert_eq!((error.kind(), error.param()), (crate::speech::Kind::Invalid, Some("audio_sample")));
    }
    assert_eq!(voices.list().await.unwrap(), []);
}

#[tokio::test]
async fn names_that_could_mean_anything_else_are_refused() {
    let (folder, voices) = voices();
    let long = "a".repeat(65);
    for name in ["", ".", "..", "../anna", "a/b", "/etc/passwd", "a.b", "Jürgen", "a b", "a\0", &long] {
        let error = voices.add(name.to_owned(), tone(2.0, 0.5), VoiceNotes::default()).await.unwrap_err();
        assert_eq!(error, VoiceError::Name { asked: name.to_owned() });
    }
    assert!(!folder.path().join("voices").exists());
}

#[tokio::test]
async fn a_name_that_is_taken_is_not_taken_again_whatever_the_format() {
    let (_folder, voices) = voices();
    let flac = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/recordings/good-morning.flac")).unwrap();
    voices.add("anna".to_owned(), tone(2.0, 0.5), VoiceNotes::default()).await.unwrap();
    let again =
        voices.add("anna".to_owned(), Recording { bytes: flac.into(), hint: None }, VoiceNotes::default()).await;
    assert_eq!(again, Err(VoiceError::Exists { name: "anna".to_owned() }));
    assert_eq!(voices.find("anna".to_owned()).await.unwrap().seconds, 2.0);
}

#[tokio::test]
async fn files_put_there_by_hand_count_and_those_that_are_none_do_not() {
    let (folder, voices) = voices();
    let folder = folder.path().join("voices");
    std::fs::create_dir_all(folder.join("old")).unwrap();
    std::fs::write(folder.join("ben.wav"), tone(3.0, 0.5).bytes).unwrap();
    std::fs::write(folder.join("notes.txt"), "who is who").unwrap();
    std::fs::write(folder.join(".adding-x"), tone(3.0, 0.5).bytes).unwrap();
    let list = voices.list().await.unwrap();
    assert_eq!(list.iter().map(|voice| voice.name.as_str()).collect::<Vec<_>>(), ["ben"]);
    std::fs::write(folder.join("ben.wav"), tone(4.0, 0.5).bytes).unwrap();
    assert_eq!(voices.find("ben".to_owned()).await.unwrap().seconds, 4.0, "a file that changed is looked at again");
}

#[tokio::test]
async fn an_unknown_voice_is_answered_with_those_that_there_are() {
    let (_folder, voices) = voices();
    voices.add("anna".to_owned(), tone(2.0, 0.5), VoiceNotes::default()).await.unwrap();
    let error = voices.find("hanna".to_owned()).await.unwrap_err();
    assert!(error.to_string().contains("\"hanna\" (did you mean anna?); there is anna"), "{error}");
    assert_eq!(error.kind(), crate::speech::Kind::NotFound);
}

#[tokio::test]
async fn a_path_leads_nowhere_but_into_the_folder() {
    let (folder, voices) = voices();
    voices.add("anna".to_owned(), tone(2.0, 0.5), VoiceNotes::default()).await.unwrap();
    let inside = folder.path().join("voices");
    std::fs::write(folder.path().join("secret.wav"), tone(2.0, 0.5).bytes).unwrap();
    std::fs::create_dir(inside.join("more")).unwrap();
    std::fs::write(inside.join("more/ben.wav"), tone(3.0, 0.5).bytes).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(folder.path().join("secret.wav"), inside.join("link.wav")).unwrap();
    for (path, seconds) in
        [("anna.wav".into(), 2.0), (inside.join("anna.wav"), 2.0), ("more/../more/ben.wav".into(), 3.0)]
    {
        assert_eq!(voices.at(path).await.unwrap().seconds, seconds);
    }
    let outside = [
        "../secret.wav".into(),
        folder.path().join("secret.wav"),
        "link.wav".into(),
        "more".into(),
        "".into(),
        "/etc/passwd".into(),
        "nobody.wav".into(),
    ];
    for path in outside {
        assert_eq!(voices.at(path.clone()).await, Err(VoiceError::Outside), "{}", path.display());
    }
}

#[tokio::test]
async fn without_a_folder_there_are_no_voices() {
    let voices = Voices::new(None, 0);
    assert_eq!(voices.list().await.unwrap(), []);
    assert_eq!(voices.add("anna".to_owned(), tone(2.0, 0.5), VoiceNotes::default()).await, Err(VoiceError::NoFolder));
    assert_eq!(voices.at("anna.wav".into()).await, Err(VoiceError::Outside));
    assert!(matches!(voices.find("anna".to_owned()).await, Err(VoiceError::Unknown { .. })));
}

#[tokio::test]
async fn of_many_who_want_one_name_at_once_one_gets_it() {
    let (_folder, voices) = voices();
    let tries = (0..8).map(|_| voices.add("anna".to_owned(), tone(2.0, 0.5), VoiceNotes::default()));
    let outcomes = futures::future::join_all(tries).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
}

#[tokio::test]
async fn what_is_written_about_a_voice_comes_with_it_and_goes_with_it() {
    let (folder, voices) = voices();
    let note = |text: &str| Some(text.to_owned());
    let notes = VoiceNotes { transcript: note(" So she said. \n"), consent: note("Anna agreed.") };
    voices.add("anna".to_owned(), tone(2.0, 0.5), notes).await.unwrap();
    voices.add("ben".to_owned(), tone(2.0, 0.5), VoiceNotes::default()).await.unwrap();
    let transcript = async |name: &str| voices.reference(name.to_owned()).await.unwrap().transcript;
    assert_eq!(transcript("anna").await.as_deref(), Some("So she said."));
    assert_eq!(transcript("ben").await, None);
    let named: Vec<String> = voices.list().await.unwrap().into_iter().map(|voice| voice.name).collect();
    assert_eq!(named, ["anna", "ben"]);
    let place = folder.path().join("voices");
    assert_eq!(std::fs::read_to_string(place.join("anna.consent.txt")).unwrap(), "Anna agreed.");
    std::fs::write(place.join("ben.transcript.txt"), "By hand.").unwrap();
    assert_eq!(transcript("ben").await.as_deref(), Some("By hand."));
    for name in ["anna", "ben"] {
        voices.remove(name.to_owned()).await.unwrap();
    }
    assert_eq!(std::fs::read_dir(place).unwrap().count(), 0);
    let long = VoiceNotes { transcript: Some("a".repeat(4097)), consent: None };
    let error = voices.add("anna".to_owned(), tone(2.0, 0.5), long).await.unwrap_err();
    assert_eq!((error.param(), error.kind()), (Some("transcript"), crate::speech::Kind::TooLarge));
}

#[tokio::test]
async fn a_recording_is_decoded_and_resampled_once() {
    let (folder, voices) = voices();
    voices.add("anna".to_owned(), tone(2.0, 0.5), VoiceNotes::default()).await.unwrap();
    let one = voices.reference("anna".to_owned()).await.unwrap();
    let kept = |audio: &Arc<Pcm>| Arc::ptr_eq(&one.audio, audio);
    assert!(kept(&voices.reference("anna".to_owned()).await.unwrap().audio));
    assert!(kept(&voices.of_sample(tone(2.0, 0.5), None).await.unwrap().audio), "who sends the same recording");
    assert!(kept(&voices.at_rate(&one, 24_000).unwrap()), "it is at that rate");
    let slower = voices.at_rate(&one, 16_000).unwrap();
    assert_eq!((slower.rate(), slower.seconds()), (16_000, 2.0));
    assert!(Arc::ptr_eq(&slower, &voices.at_rate(&one, 16_000).unwrap()));
    // Another recording under the same name.
    std::fs::write(folder.path().join("voices/anna.wav"), tone(3.0, 0.4).bytes).unwrap();
    let other = voices.reference("anna".to_owned()).await.unwrap();
    assert_eq!((other.audio.seconds(), kept(&other.audio)), (3.0, false));
    assert_ne!(voices.at_rate(&other, 16_000).unwrap(), slower);
}

#[tokio::test]
async fn recordings_are_kept_as_far_as_there_is_memory() {
    let folder = TempDir::new().unwrap();
    // 2 s at 24 kHz are 192 kB: two of three have room.
    let voices = Voices::new(Some(folder.path().to_owned()), 400_000);
    for (name, loud) in [("anna", 0.3), ("ben", 0.4), ("cleo", 0.5)] {
        voices.add(name.to_owned(), tone(2.0, loud), VoiceNotes::default()).await.unwrap();
    }
    let audio = async |name: &str| voices.reference(name.to_owned()).await.unwrap().audio;
    let (anna, ben) = (audio("anna").await, audio("ben").await);
    assert!(Arc::ptr_eq(&anna, &audio("anna").await));
    drop(audio("cleo").await);
    assert!(Arc::ptr_eq(&anna, &audio("anna").await), "used since");
    let again = audio("ben").await;
    assert!(!Arc::ptr_eq(&ben, &again) && ben == again, "decoded anew");
}
