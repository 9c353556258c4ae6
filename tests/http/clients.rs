//! Official clients, unchanged, against the built program: `openai`, `tritonclient` and `kserve` for Python, `curl`; and a
//! caller as Vertex AI lets them through.

mod published;

use std::{process::Command, time::Duration};

use sconce::audio::Pcm;

use crate::{
    recordings::truths,
    support::{Server, checkout, hub::Hub, publish_nano, python, recording, socket, sound, wyoming},
};

/// Runs `tests/clients/<script>` against a server.
fn run(script: &str, server: &Server, argument: &str) {
    tokio::task::block_in_place(|| python::run(script, &[&server.url("/v1"), argument]));
}

fn recordings() -> String {
    checkout("assets/recordings").display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_openai_client_transcribes_streams_lists_and_raises() {
    let voices = tempfile::TempDir::new().unwrap();
    let server = Server::builder().env("SCONCE_VOICES__DIR", &voices.path().display().to_string()).spawn();
    run("openai_client.py", &server, &recordings());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_asynchronous_openai_client_is_told_when_the_queue_is_full() {
    let builder = Server::builder().env("SCONCE_RUNTIME__QUEUE", "1").env("SCONCE_RUNTIME__MAX_BATCH", "1");
    run("openai_async.py", &builder.spawn(), &recordings());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_openai_client_hears_while_somebody_speaks() {
    run("openai_realtime.py", &Server::builder().spawn(), &recordings());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wyoming_client_describes_transcribes_and_speaks() {
    let (_server, address) = wyoming::serve(Server::builder());
    let _there = wyoming::Wyoming::connect(address).await;
    let (address, recordings) = (address.to_string(), recordings());
    tokio::task::block_in_place(|| python::run("wyoming_client.py", &[&address, &recordings]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_of_vosk_gets_its_text() {
    let server = Server::builder().spawn();
    let (file, truth) = truths().into_iter().find(|(file, _)| file.contains("kitchen")).unwrap();
    // Raw samples, as that client sends them, with a pause at both ends.
    let sound = sconce::audio::decode(&recording(&file), None, 16_000, Duration::from_secs(60)).unwrap().pcm;
    let pause = Pcm::new(vec![0.0; 16_000], 16_000);
    let raw = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(raw.path(), socket::pcm16(&[pause.clone(), sound, pause])).unwrap();
    // At the root, where a client of vosk-server knows nothing else.
    let (server, raw) = (format!("ws://{}", server.address), raw.path().display().to_string());
    tokio::task::block_in_place(|| python::run("vosk_client.py", &[&server, &raw, &truth]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_openai_client_comes_back_after_a_while_by_itself() {
    let hub = Hub::start();
    publish_nano(&hub, "acme/nano");
    hub.delay(std::time::Duration::from_millis(300));
    let builder = Server::builder().hub(&hub).env("MODEL_ID", "acme/nano,acme/missing");
    let server = builder.env("SCONCE_LIMITS__WAIT", "100ms").spawn();
    let recording = checkout("assets/recordings/turn-on-the-kitchen-lights.wav").display().to_string();
    run("openai_retry.py", &server, &recording);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_openai_client_raises_its_own_errors_for_keys_and_limits() {
    let builder = Server::builder().env("SCONCE_ACCESS__KEYS", "sk-user");
    let server = builder.env("SCONCE_ACCESS__REQUESTS_PER_MINUTE", "1").spawn();
    run("openai_keys.py", &server, "sk-user");
}

#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_nothing_that_the_document_does_not_say() {
    let builder = Server::builder().env("SCONCE_ACCESS__ADMIN_KEYS", "sk").env("SCONCE_STORE__OFFLINE", "true");
    // A body of any text is a text to be spoken: minutes of sound, unless texts are short.
    let builder = builder.env("SCONCE_LIMITS__MAX_TEXT", "200");
    let server = builder.env("AIP_PREDICT_ROUTE", "/v1/endpoints/7/deployedModels/9:predict").spawn();
    tokio::task::block_in_place(|| python::run("schemathesis_run.py", &[&server.url(""), "sk"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn tritons_client_infers_packs_loads_unloads_and_raises() {
    let hub = Hub::start();
    publish_nano(&hub, "acme/nano");
    let server = Server::builder().hub(&hub).env("MODEL_ID", "whisper-nano.en,acme/nano").spawn();
    let (address, recordings) = (server.address.to_string(), checkout("assets/recordings").display().to_string());
    tokio::task::block_in_place(|| python::run("triton_client.py", &[&address, &recordings]));
}

#[tokio::test(flavor = "multi_thread")]
async fn kserves_client_infers_and_raises() {
    let server = Server::builder().spawn();
    let recording = checkout("assets/recordings/turn-on-the-kitchen-lights.wav").display().to_string();
    tokio::task::block_in_place(|| python::run("kserve_client.py", &[&server.url(""), &recording]));
}

/// All that Vertex AI sets, with routes that hold a colon.
#[tokio::test(flavor = "multi_thread")]
async fn a_caller_of_vertex_does_everything_through_one_route() {
    let route = "/v1/endpoints/1234567890/deployedModels/987654321";
    let predict = format!("{route}:predict");
    let server = Server::builder()
        .env("AIP_MODE", "PREDICTION")
        .env("AIP_MODE_VERSION", "1.0.0")
        .env("AIP_FRAMEWORK", "CUSTOM_CONTAINER")
        .env("AIP_HEALTH_ROUTE", route)
        .env("AIP_PREDICT_ROUTE", &predict)
        .env("AIP_STORAGE_URI", "")
        .env("AIP_ENDPOINT_ID", "1234567890")
        .env("AIP_DEPLOYED_MODEL_ID", "987654321")
        .env("AIP_PROJECT_NUMBER", "42")
        .env("AIP_MACHINE_TYPE", "n1-standard-4")
        .spawn();
    let long = tempfile::NamedTempFile::new().unwrap();
    // 34 s of 16-bit WAV at 16 kHz are 1.09 MB, and 1.45 MB in base64.
    std::fs::write(long.path(), sound::babble(34.0)).unwrap();
    let short = checkout("assets/recordings/turn-on-the-kitchen-lights.wav");
    let [short, long] = [short.display().to_string(), long.path().display().to_string()];
    tokio::task::block_in_place(|| python::run("vertex_caller.py", &[&server.url(""), route, &predict, &short, &long]));
}

/// The commands of the README.
#[tokio::test(flavor = "multi_thread")]
async fn curl_transcribes_by_form_and_by_body() {
    let server = Server::builder().spawn();
    let recording = checkout("assets/recordings/turn-on-the-kitchen-lights.wav").display().to_string();
    let curl = |path: &str, arguments: &[&str]| {
        let mut command = Command::new("curl");
        command.args(["-sS", "--fail-with-body", "--noproxy", "*", &server.url(path)]).args(arguments);
        let output = tokio::task::block_in_place(|| command.output()).unwrap();
        (String::from_utf8(output.stdout).unwrap(), output.status.success())
    };
    let (file, body) = (format!("file=@{recording}"), format!("@{recording}"));
    let form = curl("/v1/audio/transcriptions", &["-F", &file, "-F", "model=whisper-nano.en"]);
    assert!(form.1 && form.0.contains("\"text\":\"turn on the kitchen lights\""), "{form:?}");
    let raw = curl("/predict?response_format=text", &["-H", "Content-Type: audio/wav", "--data-binary", &body]);
    assert_eq!(raw, ("turn on the kitchen lights".to_owned(), true));
    let wrong = curl("/v1/audio/transcriptions", &["-F", &file, "-F", "model=nobody"]);
    assert!(!wrong.1 && wrong.0.contains("there is no model"), "{wrong:?}");
}
