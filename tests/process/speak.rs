//! `sconce speak`.

use std::{
    fs,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use sconce::audio::{Decoded, decode};
use tempfile::TempDir;

use crate::program::{outcome, sconce};

const TEXT: &str = "Good morning. It is 7:30, and the train leaves at eight.";
/// With this bound a text of some sentences is spoken in blocks.
const SHORT: (&str, &str) = ("SCONCE_LIMITS__MAX_TEXT", "60");
const BOOK: &str = "The first sentence of a small book is here. The second one says a little more than that.\n\n\
                    A new paragraph begins with this sentence. Then comes the fourth one, as they always do. \
                    The fifth one is not the last of them. The sixth and last one ends the whole book.";

fn heard(bytes: &[u8]) -> Decoded {
    decode(bytes, None, 16_000, Duration::from_secs(120)).unwrap()
}

fn bytes_of(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[expect(clippy::disallowed_methods, reason = "a test looks at the folder of another process")]
fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what} did not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn blocks(folder: &Path) -> usize {
    let named = |entry: &fs::DirEntry| entry.path().extension().is_some_and(|extension| extension == "wav");
    fs::read_dir(folder).map_or(0, |entries| entries.map(Result::unwrap).filter(named).count())
}

#[test]
fn the_name_of_the_file_says_the_format() {
    let folder = TempDir::new().unwrap();
    for (file, container) in
        [("a.wav", "wave"), ("a.mp3", "mp3"), ("a.ogg", "ogg"), ("a.flac", "flac"), ("a.aac", "aac"), ("a", "wave")]
    {
        let path = folder.path().join(file);
        let (stdout, stderr, code) = outcome(sconce(&folder).args(["speak", TEXT, "--seed", "1", "-o"]).arg(&path));
        assert_eq!((code, stdout.as_str()), (0, ""), "{file}: {stderr}");
        let sound = heard(&fs::read(&path).unwrap());
        assert!(container == "aac" || sound.source.container == container, "{file}: {:?}", sound.source);
        assert!((2.0..8.0).contains(&sound.pcm.seconds()), "{file}: {}", sound.pcm.seconds());
        assert!(!sound.truncated, "{file}");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o600, 0o600);
    }
    // A file says how long it is.
    let wav = fs::read(folder.path().join("a.wav")).unwrap();
    assert_eq!(u32::from_le_bytes(wav[40..44].try_into().unwrap()) as usize, wav.len() - 44);
}

#[test]
fn options_are_followed() {
    let folder = TempDir::new().unwrap();
    let say = |more: &[&str]| bytes_of(sconce(&folder).args(["speak", TEXT, "--seed", "1"]).args(more));
    let usual = heard(&say(&[]));
    assert_eq!((usual.source.rate, usual.source.container), (24_000, "wave"));
    assert_eq!(heard(&say(&["--sample-rate", "8000", "--format", "flac"])).source.rate, 8_000);
    assert!(heard(&say(&["--speed", "0.5"])).pcm.seconds() > 1.5 * usual.pcm.seconds());
    assert_eq!(heard(&say(&["--voice", "lark", "--language", "en", "--model", "lark.en"])), usual);
    let ssml = ["speak", "--ssml", "<speak>Stop. <break time=\"2s\"/> Go on.</speak>"];
    assert!(heard(&bytes_of(sconce(&folder).args(ssml))).pcm.seconds() > 2.5);
}

#[test]
fn a_text_comes_from_a_file_or_from_standard_input() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("text.txt");
    fs::write(&file, format!("\u{feff}{TEXT}")).unwrap();
    let argued = bytes_of(sconce(&folder).args(["speak", TEXT, "--seed", "1"]));
    assert!(bytes_of(sconce(&folder).args(["speak", "--seed", "1", "--file"]).arg(&file)) == argued);
    let piped = |arguments: &[&str]| bytes_of(sconce(&folder).args(arguments).stdin(fs::File::open(&file).unwrap()));
    assert!(piped(&["speak", "-", "--seed", "1"]) == argued);
    assert!(piped(&["speak", "--file", "-", "--seed", "1", "-o", "-"]) == argued);
}

#[test]
fn what_is_spoken_can_be_heard_at_once() {
    let folder = TempDir::new().unwrap();
    let mut speaking = sconce(&folder).args(["speak", TEXT]).stdout(Stdio::piped()).spawn().unwrap();
    let mut transcribe = sconce(&folder);
    transcribe.args(["transcribe", "-", "--format", "json"]).stdin(speaking.stdout.take().unwrap());
    let (stdout, stderr, code) = outcome(&mut transcribe);
    assert_eq!(code, 0, "{stderr}");
    assert!(speaking.wait().unwrap().success());
    let heard: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert!(heard["duration"].as_f64().unwrap() > 2.0 && !heard["text"].as_str().unwrap().is_empty(), "{heard}");
    assert_eq!(heard["file"], "-");
}

#[test]
fn a_reader_who_stops_early_is_no_fault() {
    let folder = TempDir::new().unwrap();
    let mut child =
        sconce(&folder).args(["speak", TEXT]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && !stderr.contains("error"), "{stderr}");
}

#[test]
fn what_is_wrong_is_said() {
    let folder = TempDir::new().unwrap();
    let nowhere = folder.path().join("no/such/folder/a.wav");
    let nowhere = nowhere.to_str().unwrap();
    let out = folder.path().join("a.wav");
    let out = out.to_str().unwrap();
    for (arguments, code, part) in [
        (vec![], 2, "TEXT"),
        (vec![TEXT, "--file", "a.txt"], 2, "cannot be used with"),
        (vec![TEXT, "--speed", "0"], 2, "0.25 to 4 would be right"),
        (vec![TEXT, "--speed", "-1"], 2, "0.25 to 4 would be right"),
        (vec![TEXT, "--speed", "fast"], 2, "0.25 to 4 would be right"),
        (vec![TEXT, "--format", "midi"], 2, "known are wav, pcm, mp3, opus, flac, aac"),
        (vec![TEXT, "-o", "a.midi"], 2, "\"midi\" is not known; known are wav, pcm, mp3, opus, flac, aac"),
        (vec![TEXT, "--sample-rate", "1"], 2, "8000"),
        (vec![TEXT, "--play", "-o", "a.wav"], 2, "cannot be used with"),
        (vec!["", "-o", out], 1, "the text is empty"),
        (vec![" \n", "-o", out], 1, "the text is blank"),
        (vec!["🎉🎉", "-o", out], 1, "only emoji"),
        (vec!["?!…", "-o", out], 1, "only punctuation"),
        (vec!["Привет, как дела?", "-o", out], 1, "Cyrillic"),
        (vec![TEXT, "--voice", "lrak", "-o", out], 1, "there is no voice \"lrak\" (did you mean lark?); there is lark"),
        (vec![TEXT, "--language", "de", "-o", out], 1, "English"),
        (vec![TEXT, "--model", "lark.eng", "-o", out], 2, "sconce/lark.en"),
        (vec![TEXT, "--model", "whisper-nano.en", "-o", out], 1, "does not synthesize"),
        (vec!["<speak>Hi", "--ssml", "-o", out], 1, "line 1"),
        (vec!["--file", "no-such-file.txt"], 1, "no-such-file.txt: it cannot be read"),
        (vec![TEXT, "-o", nowhere], 1, "a.wav cannot be written: No such file"),
        (vec![TEXT, "-o", folder.path().to_str().unwrap()], 1, "it is a folder"),
    ] {
        let (stdout, stderr, ended) = outcome(sconce(&folder).arg("speak").args(&arguments));
        assert_eq!((ended, stdout.as_str()), (code, ""), "{arguments:?}: {stderr}");
        assert!(stderr.contains(part) && !stderr.contains("panicked"), "{arguments:?}: {stderr}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("a.bin"), [0xff, 0xfe, 0x00]).unwrap();
    let (_, stderr, code) = outcome(sconce(&folder).args(["speak", "--file", "a.bin"]));
    assert_eq!(code, 1);
    assert!(stderr.contains("a.bin: it is no text in UTF-8"), "{stderr}");
}

#[test]
fn a_device_is_written_to_and_not_replaced() {
    let folder = TempDir::new().unwrap();
    let (_, stderr, code) = outcome(sconce(&folder).args(["speak", TEXT, "--format", "wav", "-o", "/dev/null"]));
    assert_eq!(code, 0, "{stderr}");
    assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
}

#[test]
fn a_book_is_one_sound_however_often_it_was_killed() {
    let folder = TempDir::new().unwrap();
    let begin = |out: &Path| -> Command {
        let mut command = sconce(&folder);
        command.env(SHORT.0, SHORT.1).args(["speak", BOOK, "--seed", "1", "-o"]).arg(out);
        command
    };
    let (whole, killed) = (folder.path().join("whole.wav"), folder.path().join("killed.wav"));
    bytes_of(&mut begin(&whole));
    assert!(!folder.path().join("whole.wav.part").exists());

    let part = folder.path().join("killed.wav.part");
    for wanted in [1, 3] {
        let mut child: Child = begin(&killed).spawn().unwrap();
        wait_for("a block", || blocks(&part) >= wanted);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!killed.exists());
    }
    assert!(blocks(&part) >= 3);
    let first: Vec<_> = fs::read_dir(&part).unwrap().map(|entry| entry.unwrap().path()).collect();
    let kept = first.iter().find(|path| path.extension().is_some()).unwrap();
    // What is there is not made again: the end is made of it, whatever it is.
    let bytes = fs::read(kept).unwrap();
    fs::write(kept, &bytes[..bytes.len() - 2]).unwrap();
    bytes_of(&mut begin(&killed));
    assert!(!part.exists());
    let (whole, killed) = (fs::read(&whole).unwrap(), fs::read(&killed).unwrap());
    assert_eq!(whole.len() - 2, killed.len());
    assert!(heard(&killed).pcm.seconds() > 10.0);
}

#[test]
fn ctrl_c_keeps_what_is_made() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("book.mp3");
    let mut command = sconce(&folder);
    command.env(SHORT.0, SHORT.1).args(["speak", BOOK, "-o"]).arg(&out).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    wait_for("a block", || blocks(&folder.path().join("book.mp3.part")) >= 1);
    // SAFETY: a signal to a child that has not been waited for, so that its number is still its own.
    assert_eq!(unsafe { libc::kill(child.id() as i32, libc::SIGINT) }, 0);
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    assert!(stderr.ends_with("error: interrupted; the same command goes on from here\n"), "{stderr}");
    assert!(!out.exists());
    // Other options make other blocks, and the old ones go with the folder.
    bytes_of(command.args(["--speed", "2"]).stderr(Stdio::inherit()));
    assert!(heard(&fs::read(&out).unwrap()).pcm.seconds() > 5.0);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_text_of_many_passages_streams_as_one_sound() {
    let folder = TempDir::new().unwrap();
    let ornaments = format!("{BOOK}\n\n* * * * * * * * * * * * * * * * * * * * * * * * * * * * *\n\n{TEXT}");
    let sound = heard(&bytes_of(sconce(&folder).env(SHORT.0, SHORT.1).args(["speak", &ornaments])));
    assert!((14.0..30.0).contains(&sound.pcm.seconds()), "{}", sound.pcm.seconds());
}

/// A folder with one program that keeps what it is given.
fn player(name: &str, script: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

#[test]
fn a_player_is_given_the_sound() {
    let folder = TempDir::new().unwrap();
    let played = folder.path().join("played.wav");
    let play = |programs: &TempDir| {
        let mut command = sconce(&folder);
        outcome(command.args(["speak", TEXT, "--play"]).env("PATH", programs.path()).env("PLAYED", &played))
    };
    for (name, script) in
        [("aplay", "/bin/cat > \"$PLAYED\""), ("afplay", "[ \"$1\" = -h ] || /bin/cat \"$1\" > \"$PLAYED\"")]
    {
        let (stdout, stderr, code) = play(&player(name, script));
        assert_eq!((code, stdout.as_str()), (0, ""), "{name}: {stderr}");
        assert!(heard(&fs::read(&played).unwrap()).pcm.seconds() > 2.0, "{name}");
        fs::remove_file(&played).unwrap();
    }
    let (_, stderr, code) = play(&player("aplay", "/bin/cat > /dev/null; exit 3"));
    assert_eq!(code, 1);
    assert!(stderr.contains("aplay failed"), "{stderr}");
    let (_, stderr, code) = play(&TempDir::new().unwrap());
    assert_eq!(code, 1);
    assert!(stderr.contains("no player is here: install ffplay, aplay or paplay"), "{stderr}");
}
