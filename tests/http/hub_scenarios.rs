//! Two hundred callers of every kind at once, of a model that is not there, while its hub is in a state: nobody gets
//! another answer than what was promised, and nobody none.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use futures::future::join_all;
use reqwest::Response;
use serde_json::json;

use crate::support::{
    Server,
    hub::Hub,
    probes::{Probes, assert_prompt},
    publish_nano, recording,
    server::form,
    sound,
};

const MODEL: &str = "acme/nano";
const WAV: &str = "turn-on-the-kitchen-lights.wav";
const CALLERS: usize = 200;

/// Whether those who wait get the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Promise {
    Served,
    /// It never comes: they are told why, and that there is no use in coming back.
    Refused,
}

#[tokio::test]
async fn of_a_hub_that_is_well() {
    all_get_what_was_promised(Promise::Served, |_| {}).await;
}

#[tokio::test]
async fn of_a_hub_that_fails_and_recovers() {
    all_get_what_was_promised(Promise::Served, |hub| hub.fail_next(5, 503, None)).await;
}

#[tokio::test]
async fn of_a_hub_that_asks_for_patience() {
    all_get_what_was_promised(Promise::Served, |hub| hub.fail_next(25, 429, Some(0))).await;
}

#[tokio::test]
async fn of_a_hub_that_breaks_off() {
    all_get_what_was_promised(Promise::Served, |hub| hub.truncate_next(300_000)).await;
}

#[tokio::test]
async fn of_a_hub_that_sends_wrong_bytes() {
    all_get_what_was_promised(Promise::Served, |hub| hub.corrupt(2)).await;
}

#[tokio::test]
async fn of_a_hub_that_knows_no_ranges_and_is_slow() {
    all_get_what_was_promised(Promise::Served, |hub| {
        hub.without_ranges();
        hub.delay(Duration::from_millis(200));
    })
    .await;
}

#[tokio::test]
async fn of_a_hub_that_stands_still_for_a_while() {
    all_get_what_was_promised(Promise::Served, Hub::stall).await;
}

#[tokio::test]
async fn of_a_hub_that_does_not_have_the_model() {
    all_get_what_was_promised(Promise::Refused, |hub| hub.fail_on("acme/nano", usize::MAX, 404, None)).await;
}

#[tokio::test]
async fn of_a_hub_that_wants_a_token() {
    all_get_what_was_promised(Promise::Refused, |hub| hub.gate("hf_secret")).await;
}

async fn all_get_what_was_promised(promise: Promise, disturb: impl FnOnce(&Hub)) {
    let hub = Hub::start();
    publish_nano(&hub, MODEL);
    disturb(&hub);
    let builder = Server::builder().hub(&hub).env("MODEL_ID", MODEL).env("SCONCE_LIMITS__WAIT", "100s");
    // Those who come when the model is there already may wait as well.
    let builder = builder.env("SCONCE_RUNTIME__QUEUE", &CALLERS.to_string());
    let server = builder.env("SCONCE_RETRY__FIRST_DELAY", "50ms").spawn();
    let probes = Probes::start(server.address);
    let release = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        hub.release();
    };
    let callers = join_all((0..CALLERS).map(|number| call(&server, number, promise)));
    tokio::join!(callers, release);
    assert_prompt("two hundred callers at once", probes.times());
    let last = server.transcribe(sound::silence(0.3), MODEL, &[]).await;
    match promise {
        Promise::Served => {
            assert_eq!(last.status(), 200);
            assert!(hub.downloads("model.safetensors") < 20, "{}", hub.downloads("model.safetensors"));
            assert_eq!(server.metric("sconce_model_load_seconds_count", &[("phase", "load")]).await, 1.0);
        }
        Promise::Refused => assert_eq!(hub.downloads("model.safetensors"), 0),
    }
}

/// One of ten kinds of callers.
async fn call(server: &Server, number: usize, promise: Promise) {
    let wav = || recording(WAV);
    match number % 10 {
        0 => waits(number, promise, server.post_bytes("/predict", "audio/wav", wav()).await).await,
        1 => waits(number, promise, server.transcribe(wav(), MODEL, &[]).await).await,
        2 => {
            let request = server.client.post(server.url("/v2/models/acme--nano/infer")).body(wav());
            let answer = request.header("inference-header-content-length", "0").send().await.unwrap();
            waits(number, promise, answer).await;
        }
        3 => {
            let instance = json!({"audio": BASE64_STANDARD.encode(wav())});
            let answer = server.post_json("/predict", &json!({"instances": [instance]})).await;
            waits(number, promise, answer).await;
        }
        4 => waits(number, promise, server.transcribe(wav(), MODEL, &[("stream", "true")]).await).await,
        5 => {
            let answer = server.transcribe(wav(), MODEL, &[("wait", "0")]).await;
            let comes_back = answer.headers().contains_key("retry-after") || promise == Promise::Refused;
            let status = answer.status().as_u16();
            assert!(status == 200 || (status == 503 && comes_back), "{number}: {status} {:?}", answer.text().await);
        }
        6 => {
            let answer = server.transcribe(b"no recording".to_vec(), MODEL, &[]).await;
            assert_eq!(answer.status(), 400, "{number}");
        }
        7 => {
            let status = server.get_json("/models/status").await;
            assert!(status["models"][MODEL]["status"].is_string(), "{number}: {status}");
        }
        8 => assert_eq!(server.get("/health").await.status(), 200, "{number}"),
        _ => {
            // Leaves before its answer, or with it.
            let request = server.client.post(server.url("/v1/audio/transcriptions")).multipart(form(wav(), MODEL, &[]));
            drop(tokio::time::timeout(Duration::from_millis(300), request.send()).await);
        }
    }
}

/// Who waits as long as it takes.
async fn waits(number: usize, promise: Promise, answer: Response) {
    let (status, again) = (answer.status().as_u16(), answer.headers().get("x-should-retry").cloned());
    let text = answer.text().await.unwrap();
    match promise {
        Promise::Served => {
            assert_eq!(status, 200, "{number}: {text}");
            assert!(text.to_lowercase().contains("kitchen"), "{number}: {text}");
        }
        Promise::Refused => {
            assert_eq!(status, 503, "{number}: {text}");
            assert!(text.contains(MODEL), "{number}: {text}");
            assert_eq!(again.unwrap_or_else(|| panic!("{number}: {text}")), "false", "{number}");
        }
    }
}
