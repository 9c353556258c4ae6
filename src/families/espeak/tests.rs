//! What is asked of the program, and what becomes of one that misbehaves. `tests/http/espeak.rs` has the real one speak.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::{options::Manner, speaker::Speaker};
use crate::{
    families::espeak_ng::{survey, voices},
    model::{Admission, Batch, Model, ProgramFacts, Request, RequestError, Responses, Signal, request},
    speech::{SpeechEvent, Synthesize, SynthesizeOptions, VoiceInput},
};

const LISTING: &str = "\
Pty Language       Age/Gender VoiceName          File                 Other Languages
 5  de              --/M      German             gmw/de
 2  en-gb           --/M      English_(Great_Britain) gmw/en               (en 2)
 2  en-us           --/M      English_(America)  gmw/en-US            (en 3)
";

/// What says how many bytes of a WAV file a pipe has.
const HEADER: &str = r"RIFF\044\360\377\177WAVEfmt \020\000\000\000\001\000\001\000\042\126\000\000\104\254\000\000\002\000\020\000data\000\360\377\177";

struct NobodyElse;

impl Admission<Synthesize> for NobodyElse {
    fn next(&mut self) -> Option<Request<Synthesize>> {
        None
    }

    fn step(&mut self) {}
}

fn facts(path: PathBuf) -> ProgramFacts {
    let (voices, variants) = (voices(LISTING), vec!["f3".to_owned()]);
    ProgramFacts { path, command: "espeak-ng", version: "1.51".to_owned(), voices, variants, sample_rate: 22_050 }
}

fn asked(voice: Option<&str>, language: Option<&str>, speed: f32, pitch: f32, options: Value) -> Synthesize {
    let options: Map<String, Value> = options.as_object().unwrap().clone();
    let (voice, language) = (voice.map(|name| VoiceInput::Named(name.to_owned())), language.map(str::to_owned));
    let options = SynthesizeOptions { voice, language, speed: Some(speed), options, ..SynthesizeOptions::default() };
    Synthesize { text: "Hello.".to_owned(), pitch, options, ..Synthesize::default() }
}

fn arguments(asked: &Synthesize) -> String {
    Manner::of(asked, &facts(PathBuf::new())).unwrap().arguments().join(" ")
}

#[track_caller]
fn refused(asked: &Synthesize, at: &str, says: &str) {
    match Manner::of(asked, &facts(PathBuf::new())).unwrap_err() {
        RequestError::Invalid { param, message } | RequestError::Unsupported { param, message } => {
            assert!(param == at && message.contains(says), "{param}: {message}");
        }
        other => panic!("{other}"),
    }
}

#[test]
fn a_request_becomes_a_command_line() {
    let plain = |voice, language| arguments(&asked(voice, language, 1.0, 0.0, json!({})));
    assert_eq!(plain(None, None), "--stdin --stdout -b 1 -v gmw/en-US -s 175 -p 50");
    assert!(plain(None, Some("German")).contains("-v gmw/de -s"));
    assert!(plain(None, Some("en")).contains("-v gmw/en -s"));
    assert!(plain(None, Some("en-AU")).contains("-v gmw/en -s"));
    assert!(plain(Some("de+f3"), Some("en")).contains("-v gmw/de+f3 -s"));
    let knobs = json!({"pitch": 30, "amplitude": 150, "word_gap": 4});
    let all = arguments(&asked(Some("gmw/en"), None, 2.0, 2.0, knobs));
    assert_eq!(all, "--stdin --stdout -b 1 -v gmw/en -s 350 -p 39 -a 150 -g 4");
}

#[test]
fn what_the_program_cannot_do_is_refused_with_what_it_can() {
    let with = |voice, language, options| asked(voice, language, 1.0, 0.0, options);
    refused(&with(Some("klingon"), None, json!({})), "voice", "such as en-us or de");
    refused(&with(Some("de+f4"), None, json!({})), "voice", "de+f4");
    refused(&with(None, Some("tlh"), json!({})), "language", "tlh");
    refused(&with(None, None, json!({"pitch": 100})), "options", "0 to 99");
    refused(&with(None, None, json!({"tone": 1})), "options", "tone");
    refused(&with(None, None, json!({"pitch": -1})), "options", "-1");
    for speed in [0.4, 2.6, f32::NAN] {
        refused(&asked(None, None, speed, 0.0, json!({})), "speed", "0.46 to 2.57");
    }
    refused(&asked(None, None, 1.0, 12.0, json!({})), "text", "-10.8 to +10.6");
}

/// A script in the place of the program.
fn script(folder: &TempDir, text: &str) -> PathBuf {
    let path = folder.path().join("espeak-ng");
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// What a program says, and how it ends.
fn spoken(path: &Path, patience: Duration) -> (usize, Result<(), RequestError>) {
    let (request, mut responses): (_, Responses<Synthesize>) =
        request("r".into(), asked(None, None, 1.0, 0.0, json!({})), None);
    let facts = facts(path.to_owned());
    let thread = std::thread::spawn(move || {
        let mut speaker = Speaker::new(facts, 4, patience);
        speaker.synthesize(&mut Batch::new(vec![request], &mut NobodyElse)).unwrap();
    });
    let mut samples = 0;
    let end = loop {
        match responses.blocking_next().unwrap() {
            Ok(SpeechEvent::Audio(pcm)) => samples += pcm.samples().len(),
            Ok(SpeechEvent::Stem(..) | SpeechEvent::Progress(_) | SpeechEvent::Checkpoint(_)) => {
                panic!("sound alone was expected")
            }
            Ok(SpeechEvent::Done(_)) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    thread.join().unwrap();
    (samples, end)
}

const LONG: Duration = Duration::from_secs(30);

#[test]
fn a_program_that_speaks_is_heard_to_its_end() {
    let folder = TempDir::new().unwrap();
    let path = script(&folder, &format!("cat >/dev/null; printf '{HEADER}'; head -c 100000 /dev/zero"));
    assert_eq!(spoken(&path, LONG), (50_000, Ok(())));
}

#[test]
fn one_that_fails_says_nothing_or_says_what_is_no_sound_breaks_its_request_only() {
    let folder = TempDir::new().unwrap();
    for text in [
        "cat >/dev/null; echo 'no voice' >&2; exit 1".to_owned(),
        format!("cat >/dev/null; printf '{HEADER}'; head -c 1000 /dev/zero; kill -SEGV $$"),
        "cat >/dev/null; echo this is no sound".to_owned(),
        // Without reading what it is to say.
        "exit 3".to_owned(),
    ] {
        assert_eq!(spoken(&script(&folder, &text), LONG).1, Err(RequestError::Broken), "{text}");
    }
    let nothing = spoken(&script(&folder, "cat >/dev/null"), LONG).1.unwrap_err();
    assert!(nothing.to_string().contains("nothing in the text can be said"), "{nothing}");
    assert_eq!(spoken(Path::new("/nowhere"), LONG).1, Err(RequestError::Broken));
}

#[test]
fn one_that_hangs_is_ended_with_all_that_it_began() {
    let folder = TempDir::new().unwrap();
    let began = Instant::now();
    let noted = folder.path().join("pid");
    // Its pipe is held open by a process of its own, and it complains without end.
    let text = format!("sleep 300 & echo $! >{}; while :; do echo complaint >&2; done", noted.display());
    assert_eq!(spoken(&script(&folder, &text), Duration::from_millis(500)).1, Err(RequestError::Broken));
    assert!(began.elapsed() < LONG);
    let pid = fs::read_to_string(&noted).unwrap();
    let gone = || !Path::new("/proc").join(pid.trim()).join("cmdline").exists() || is_dead(pid.trim());
    while !gone() {
        assert!(began.elapsed() < LONG, "{pid} lives on");
        Signal::default().wait(Some(Instant::now() + Duration::from_millis(10)));
    }
}

/// Nobody has asked how it ended.
fn is_dead(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .map_or(true, |stat| stat.rsplit(") ").next().unwrap_or("").starts_with('Z'))
}

#[test]
fn one_that_finds_no_end_is_ended() {
    let folder = TempDir::new().unwrap();
    let path = script(&folder, &format!("cat >/dev/null; printf '{HEADER}'; exec cat /dev/zero"));
    let (samples, end) = spoken(&path, LONG);
    assert_eq!(end, Err(RequestError::Broken));
    // Six characters: 48 s at most.
    assert!((22_050 * 40..22_050 * 50).contains(&samples), "{samples}");
}

#[test]
fn who_is_no_such_program_is_told_apart() {
    let folder = TempDir::new().unwrap();
    let reason = |text: &str| survey(&script(&folder, text)).unwrap_err().to_string();
    assert!(reason("echo hello").contains("does not say its version"));
    assert!(reason("exit 1").contains("does not answer --version: exit status: 1"));
    assert!(reason("echo 'eSpeak NG text-to-speech: 1.51  Data at: /x'").contains("lists no voices"));
    assert!(reason("exec yes").contains("says more than"));
    let none = survey(Path::new("/nowhere/espeak-ng")).unwrap_err().to_string();
    assert!(none.contains("does not answer --version") && !none.contains("nowhere"), "{none}");
}
