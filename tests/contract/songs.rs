//! A family that sings: sounds beside the whole, progress, what can be heard before the end, and going on after a restart.

use std::time::{Duration, Instant};

use base64::{Engine, prelude::BASE64_STANDARD};
use reqwest::Response;
use sconce::audio::{Pcm, decode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    family::RATE,
    stage::FAMILIES,
    support::{Server, ServerBuilder, files::Files, tmpfs::Tmpfs},
};

const LYRICS: &str = "la la\n\nlo lo lo\nlu\n";
/// Letters of each section: what each lasts is a fixed time.
const SECTIONS: [usize; 3] = [5, 8, 2];
const LETTER: f64 = 1.0 / 25.0;
/// Nothing in a test takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server with the model `song`, and the folder that it lies in.
fn builder() -> (ServerBuilder, TempDir) {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("config.json"), json!({"model_type": "tone-song"}).to_string()).unwrap();
    let builder = Server::builder()
        .families(FAMILIES)
        .env("MODEL_ID", "song,whisper-nano.en")
        .env("SCONCE_MODELS__SONG__SOURCE", &format!("file:{}", folder.path().display()))
        .env("SCONCE_MODELS__SONG__FAMILY", "tone-song");
    (builder, folder)
}

fn song(fields: Value) -> Value {
    let mut song = json!({"text": LYRICS, "model": "song", "seed": 7});
    song.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    song
}

fn sound(bytes: &[u8]) -> Pcm {
    decode(bytes, None, RATE, PATIENCE).unwrap().pcm
}

fn content(audio: &Value) -> Pcm {
    sound(&BASE64_STANDARD.decode(audio["content"].as_str().unwrap_or_else(|| panic!("{audio}"))).unwrap())
}

fn seconds(sections: &[usize]) -> f64 {
    sections.iter().sum::<usize>() as f64 * LETTER
}

#[track_caller]
fn assert_near(found: f64, wanted: f64) {
    assert!((found - wanted).abs() < 1e-3, "{found} is not {wanted}");
}

async fn job(server: &Server, request: &Value) -> String {
    let answer = server.post_json("/v1/jobs", request).await;
    assert_eq!(answer.status(), 202);
    answer.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned()
}

/// Its events to their end.
async fn events(server: &Server, id: &str) -> Vec<Value> {
    let text = server.get(&format!("/v1/jobs/{id}/events")).await.text().await.unwrap();
    text.lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

async fn ended(server: &Server, id: &str) -> Value {
    events(server, id).await.pop().unwrap()["job"].clone()
}

/// Waits until so many of its sections are done.
async fn until_done(server: &Server, id: &str, sections: u64) -> Value {
    let start = Instant::now();
    loop {
        let job = server.get_json(&format!("/v1/jobs/{id}")).await;
        if job["progress"]["sections"]["done"] == sections {
            return job;
        }
        assert!(start.elapsed() < PATIENCE, "{job}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn until_kept(server: &Server, checkpoints: f64) {
    let start = Instant::now();
    while server.metric("sconce_jobs_checkpoints_total", &[]).await < checkpoints {
        assert!(start.elapsed() < PATIENCE, "nothing was written down");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn audio(server: &Server, id: &str, query: &str) -> Response {
    server.get(&format!("/v1/jobs/{id}/audio{query}")).await
}

async fn error(answer: Response) -> (u16, String, Value) {
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    let error = &body["error"];
    (status, error["message"].as_str().unwrap().to_owned(), error["details"][1]["fieldViolations"][0]["field"].clone())
}

#[tokio::test]
async fn a_job_has_every_sound_that_was_asked_for() {
    let (builder, _folder) = builder();
    let server = builder.start();
    let id = job(&server, &song(json!({"stems": ["mix", "low", "high"], "response_format": "wav"}))).await;
    let all = events(&server, &id).await;
    let result = &all.last().unwrap()["job"]["result"];
    let (mix, low, high) =
        (content(&result["audio"]), content(&result["stems"]["low"]), content(&result["stems"]["high"]));
    assert_eq!((&result["audio"]["stem"], result["stems"].as_object().unwrap().len()), (&json!("mix"), 2));
    assert_near(mix.seconds(), seconds(&SECTIONS));
    assert_eq!((low.samples().len(), high.samples().len()), (mix.samples().len(), mix.samples().len()));
    let both = low.samples().iter().zip(high.samples()).zip(mix.samples());
    // Each of them was rounded to 16 bits.
    assert!(both.fold(0.0_f32, |far, ((low, high), mix)| far.max((low + high - mix).abs())) < 2e-4);
    let told: Vec<_> = all.iter().filter(|event| event["type"] == "progress").map(|event| &event["progress"]).collect();
    assert!(told.iter().all(|told| told["sections"]["of"] == 3), "{told:?}");
    for (query, expected) in [("", &mix), ("?stem=mix", &mix), ("?stem=low", &low), ("?stem=high", &high)] {
        let file = audio(&server, &id, query).await;
        assert_eq!((file.status().as_u16(), &file.headers()["content-type"]), (200, &"audio/wav".parse().unwrap()));
        assert_eq!(file.headers()["x-sconce-complete"], "true");
        assert!(sound(&file.bytes().await.unwrap()).samples() == expected.samples(), "{query}");
    }
    let (status, message, _) = error(audio(&server, &id, "?stem=drums").await).await;
    assert!(status == 404 && message.contains("\"drums\""), "{message}");
    let (status, message, field) = error(audio(&server, &id, "?stems=low").await).await;
    assert!(status == 400 && field == "query" && message.contains("stems"), "{message}");
}

#[tokio::test]
async fn one_sound_of_several_is_had_wherever_sound_is() {
    let (builder, _folder) = builder();
    let server = builder.start();
    let all: Value = server.post_json("/predict", &song(json!({"stems": ["mix", "low"]}))).await.json().await.unwrap();
    let (mix, low) = (content(&all["audio"]), content(&all["stems"]["low"]));
    assert!(mix.samples() != low.samples());
    let of = async |path: &str, request: Value| {
        let answer = server.post_json(path, &request).await;
        assert_eq!(answer.status(), 200, "{request}");
        sound(&answer.bytes().await.unwrap())
    };
    let one = of("/predict", song(json!({"stems": "low", "response_format": "wav"}))).await;
    assert!(one.samples() == low.samples(), "the answer itself, and no object");
    assert!(of("/predict", song(json!({"response_format": "wav"}))).await.samples() == mix.samples(), "the usual one");
    let speech = json!({"model": "song", "input": LYRICS, "voice": "alloy", "seed": 7, "response_format": "wav"});
    let mut stem = speech.clone();
    stem["stem"] = "low".into();
    assert!(of("/v1/audio/speech", stem).await.samples() == low.samples());
    assert!(of("/v1/audio/speech", speech).await.samples() == mix.samples());
    let streamed = server.post_json("/predict", &song(json!({"stems": ["low", "high"], "stream": true}))).await;
    let text = streamed.text().await.unwrap();
    for kind in [r#"{"audio":"#, r#""stem":"high""#, r#"{"progress":"#, r#"{"prediction":"#] {
        assert!(text.contains(kind), "{kind}: {text}");
    }
}

#[tokio::test]
async fn what_cannot_be_had_is_refused_by_name() {
    let (builder, _folder) = builder();
    let server = builder.start();
    for (request, status, field, said) in [
        (song(json!({"stems": ["mix", "drums"]})), 400, "stems", "there are mix, low, high"),
        (song(json!({"stems": "drums"})), 400, "stems", "there are mix, low, high"),
        (song(json!({"stems": ["low", "low"]})), 400, "stems", "twice"),
        (song(json!({"stems": ["mix", "low"], "normalize_loudness": true})), 400, "normalize_loudness", "mix"),
        (song(json!({"text": "<speak>la</speak>", "input_type": "ssml"})), 400, "input_type", "no SSML"),
        (song(json!({"text": " \n "})), 400, "text", "blank"),
        (song(json!({"options": {"hould": 1}})), 400, "options", "hould"),
    ] {
        for path in ["/predict", "/v1/jobs"] {
            let (found, message, at) = error(server.post_json(path, &request).await).await;
            assert_eq!((found, at), (status, json!(field)), "{path} {request}: {message}");
            assert!(message.contains(said), "{said}: {message}");
        }
    }
    assert_eq!(server.get_json("/v1/jobs").await["jobs"], json!([]), "nothing of all that was taken");
}

#[tokio::test]
async fn finished_sections_are_heard_before_the_end() {
    let (builder, _folder) = builder();
    let server = builder.start();
    let request = song(json!({"stems": ["mix", "low"], "response_format": "wav", "options": {"hold": 2}}));
    let id = job(&server, &request).await;
    let held = until_done(&server, &id, 2).await;
    assert_eq!(held["progress"]["sections"], json!({"done": 2, "of": 3}));
    assert_near(held["progress"]["seconds"].as_f64().unwrap(), seconds(&SECTIONS[..2]));
    assert_eq!(held["progress"]["eta_seconds"], 2.0);
    for query in ["", "?stem=mix", "?stem=low"] {
        let file = audio(&server, &id, query).await;
        assert_eq!((file.status().as_u16(), &file.headers()["x-sconce-complete"]), (200, &"false".parse().unwrap()));
        let heard = sound(&file.bytes().await.unwrap()).seconds();
        assert_near(heard, seconds(&SECTIONS[..2]));
    }
    let (status, message, _) = error(audio(&server, &id, "?stem=high").await).await;
    assert!(status == 404 && message.contains("so far"), "{message}");
    let path = format!("/v1/jobs/{id}");
    let cancelled = server.client.delete(server.url(&path)).send().await.unwrap();
    assert_eq!(cancelled.json::<Value>().await.unwrap()["status"], "cancelled");
    assert_eq!(audio(&server, &id, "").await.status(), 404);
    // The model is free again: a stop in the midst of a song ends its work.
    let other = job(&server, &song(json!({}))).await;
    assert_eq!(ended(&server, &other).await["status"], "succeeded");
}

#[tokio::test]
async fn a_song_goes_on_after_a_restart_from_its_last_finished_section() {
    let jobs = TempDir::new().unwrap();
    let (first, folder) = builder();
    let start = |builder: ServerBuilder| {
        builder.env("SCONCE_JOBS__DIR", &jobs.path().display().to_string()).env("SCONCE_SERVER__DRAIN", "50ms").start()
    };
    let server = start(first);
    // Nothing says a seed: the job itself decides, each time alike.
    let request = json!({"text": LYRICS, "model": "song", "stems": ["mix", "high"], "options": {"hold": 2}});
    let id = job(&server, &request).await;
    until_kept(&server, 2.0).await;
    drop(server);
    let again = |folder: &TempDir| {
        Server::builder()
            .families(FAMILIES)
            .env("MODEL_ID", "song")
            .env("SCONCE_MODELS__SONG__SOURCE", &format!("file:{}", folder.path().display()))
            .env("SCONCE_MODELS__SONG__FAMILY", "tone-song")
    };
    let server = start(again(&folder));
    let resumed = ended(&server, &id).await;
    let result = &resumed["result"];
    let (mix, high) = (content(&result["audio"]), content(&result["stems"]["high"]));
    assert_near(mix.seconds(), seconds(&SECTIONS));
    let worked: Vec<_> = result["marks"].as_array().unwrap().iter().map(|mark| mark["text"].clone()).collect();
    assert_eq!(worked, ["lu"], "what was sung is not sung again");
    let whole = song(json!({"seed": result["seed"], "stems": ["mix", "high"]}));
    let whole: Value = server.post_json("/predict", &whole).await.json().await.unwrap();
    assert!(content(&whole["audio"]).samples() == mix.samples(), "the same samples as without a restart");
    assert!(content(&whole["stems"]["high"]).samples() == high.samples());
    assert_eq!(server.metric("sconce_jobs_bytes", &[]).await, resumed["result"].to_string().len() as f64);
}

#[tokio::test]
async fn what_is_kept_of_a_job_is_bounded() {
    let (builder, _folder) = builder();
    let server = builder.env("SCONCE_JOBS__MAX_CHECKPOINT", "1kB").start();
    let kept = async || server.metric("sconce_jobs_checkpoints_total", &[]).await;
    let large = job(&server, &song(json!({"options": {"checkpoint_bytes": 1001}}))).await;
    assert_eq!(ended(&server, &large).await["status"], "succeeded", "it is done as any other");
    assert_eq!(kept().await, 0.0);
    let held = job(&server, &song(json!({"options": {"checkpoint_bytes": 1000, "hold": 1}}))).await;
    until_kept(&server, 1.0).await;
    let text = server.metric("sconce_jobs_bytes", &[]).await;
    let path = format!("/v1/jobs/{held}");
    assert_eq!(server.client.delete(server.url(&path)).send().await.unwrap().status(), 200);
    let start = Instant::now();
    while server.metric("sconce_jobs_bytes", &[]).await > text - 1000.0 {
        assert!(start.elapsed() < PATIENCE, "it is still there");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn what_takes_long_becomes_a_job_where_its_sound_is_to_be_written() {
    let files = Files::start();
    let (builder, _folder) = builder();
    let server = builder
        .env("SCONCE_REMOTE__ALLOW_BUCKETS", "songs")
        .env("SCONCE_REMOTE__GCS__ENDPOINT", &files.url())
        .env("SCONCE_REMOTE__GCS__ANONYMOUS", "true")
        .start();
    let to = |text: &str, uri: &str| song(json!({"text": text, "stems": ["mix", "low"], "output_uri": uri}));
    let short: Value = server.post_json("/predict", &to(LYRICS, "gs://songs/short.wav")).await.json().await.unwrap();
    let stems = json!({"low": {"uri": "gs://songs/short.low.wav"}});
    assert_eq!(short, json!({"uri": "gs://songs/short.wav", "stems": stems}));
    let written = |path: &str| sound(&files.get(path).unwrap_or_else(|| panic!("{path}")).0).seconds();
    assert_near(written("songs/short.wav"), seconds(&SECTIONS));
    assert_near(written("songs/short.low.wav"), seconds(&SECTIONS));
    let long = "la la la\n".repeat(9);
    let (bare, instance) = (to(&long, "gs://songs/long.wav"), to(&long, "gs://songs/other.wav"));
    let bare: Value = server.post_json("/predict", &bare).await.json().await.unwrap();
    let envelope = json!({"instances": [instance, song(json!({}))]});
    let envelope: Value = server.post_json("/predict", &envelope).await.json().await.unwrap();
    assert!(envelope["predictions"][1]["audio"].is_object(), "a short one is answered: {envelope}");
    for (told, name) in [(&bare, "long"), (&envelope["predictions"][0], "other")] {
        assert_eq!(
            (&told["uri"], &told["job"]["status"]),
            (&json!(format!("gs://songs/{name}.wav")), &json!("queued"))
        );
        let id = told["job"]["id"].as_str().unwrap();
        let done = ended(&server, id).await;
        assert_eq!(done["result"]["uri"], told["uri"], "{done}");
        assert_near(written(&format!("songs/{name}.wav")), seconds(&[8; 9]));
        let (status, message, _) = error(audio(&server, id, "").await).await;
        assert!(status == 404 && message.contains("gs://songs/"), "{message}");
        // Where nothing else can be reached, as on Vertex AI.
        let ask = |action: &str| json!({"instances": [{}], "parameters": {"action": action, "id": id}});
        let told: Value = server.post_json("/predict", &ask("jobs.status")).await.json().await.unwrap();
        assert_eq!(told["predictions"][0], server.get_json(&format!("/v1/jobs/{id}")).await);
        assert_eq!(server.post_json("/predict", &ask("jobs.remove")).await.status(), 200);
        assert_eq!(server.post_json("/predict", &ask("jobs.status")).await.status(), 404);
    }
    let here: Value = server.post_json("/predict", &song(json!({"text": long}))).await.json().await.unwrap();
    assert_near(content(&here["audio"]).seconds(), seconds(&[8; 9]));
}

#[tokio::test]
async fn a_disk_that_fills_while_stems_are_written_leaves_nothing_by_half() {
    let Some(disk) = Tmpfs::new("6m") else {
        eprintln!("SKIPPED a_disk_that_fills_while_stems_are_written_leaves_nothing_by_half: mounting is refused here");
        return;
    };
    let (builder, _folder) = builder();
    let server = builder.env("SCONCE_JOBS__DIR", &disk.0.path().display().to_string()).start();
    // Three sounds of 1.9 MB, in base64.
    let long = json!({"text": "la la lu lu ".repeat(83), "stems": ["mix", "low", "high"], "response_format": "wav"});
    let id = job(&server, &song(long)).await;
    let path = format!("/v1/jobs/{id}");
    let start = Instant::now();
    let waiting = loop {
        let job = server.get_json(&path).await;
        if job["reason"].is_string() {
            break job;
        }
        assert!(start.elapsed() < PATIENCE && job["status"] != "succeeded", "{}", job["status"]);
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!((&waiting["status"], waiting.get("result")), (&json!("queued"), None));
    assert!(waiting["reason"].as_str().unwrap().contains("could not be written down"), "{waiting}");
    assert_eq!(audio(&server, &id, "").await.status(), 404, "nothing of it is there");
    assert!(server.metric("sconce_jobs_unwritten_total", &[]).await > 0.0);
    assert_eq!(server.client.delete(server.url(&path)).send().await.unwrap().status(), 200);
    disk.remount("size=64m");
    let other = job(&server, &song(json!({"stems": ["mix", "low"]}))).await;
    assert_eq!(ended(&server, &other).await["status"], "succeeded", "with room it goes on by itself");
}
