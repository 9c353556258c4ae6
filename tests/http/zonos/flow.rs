//! The life of a service with both models: one at the start, the other by a switch.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use super::{FRAMES, PROGRAM, RATE, TEXT};
use crate::support::{
    Server, espeak,
    hub::Hub,
    native::{ask, heard},
    zonos,
};

const TRANSFORMER: &str = "Zyphra/Zonos-v0.1-transformer";
const HYBRID: &str = "Zyphra/Zonos-v0.1-hybrid";

fn spoken(model: Option<&str>) -> Value {
    let mut instance = json!({"text": TEXT, "seed": 3, "options": {"max_new_tokens": FRAMES}});
    if let Some(model) = model {
        instance["model"] = json!(model);
    }
    instance
}

async fn status(server: &Server, model: &str) -> Value {
    server.get_json("/models/status").await["models"][model].clone()
}

#[tokio::test]
async fn the_default_is_there_at_the_start_and_the_other_comes_by_a_switch() {
    let Some(program) = espeak::program() else { return };
    let hub = Hub::start();
    zonos::publish(&hub);
    let builder = Server::builder().hub(&hub).env("MODEL_ID", TRANSFORMER).env("LOAD_MODE", "startup");
    let builder = builder.env(PROGRAM, program);
    let server = builder.env("SCONCE_MEMORY__MAX_RESIDENT", "1").start();
    server.until("/health", 200).await;
    assert_eq!(status(&server, TRANSFORMER).await["status"], "ready");
    let (code, answer) = ask(&server, &spoken(None)).await;
    assert_eq!((code, &answer["model"]), (200, &json!(TRANSFORMER)), "{answer}");
    let sound = heard(&BASE64_STANDARD.decode(answer["audio"]["content"].as_str().unwrap()).unwrap(), RATE);
    assert!(sound.seconds() > 0.1);
    for (asked, model, other) in [
        ("Zonos-v0.1-hybrid", HYBRID, TRANSFORMER),
        (TRANSFORMER, TRANSFORMER, HYBRID),
        ("zonos-hybrid", HYBRID, TRANSFORMER),
        ("zonos", TRANSFORMER, HYBRID),
    ] {
        let (code, answer) = ask(&server, &spoken(Some(asked))).await;
        assert_eq!((code, &answer["model"]), (200, &json!(model)), "{asked}: {answer}");
        assert_eq!(
            (&status(&server, model).await["status"], &status(&server, other).await["status"]),
            (&json!("ready"), &json!("not_loaded")),
            "{asked}"
        );
    }
    assert_eq!(server.metric("sconce_model_switches_total", &[]).await, 4.0);
    assert_eq!(hub.downloads("model.safetensors"), 3, "two models and one codec");
    assert_eq!(status(&server, TRANSFORMER).await["program"]["command"], "espeak-ng");
    let licence = status(&server, HYBRID).await["licence"].clone();
    assert!(licence.as_str().unwrap().contains("VoxBlink2"), "{licence}");
    let (code, answer) = ask(&server, &spoken(Some("Zonos-v0.2"))).await;
    assert_eq!(code, 404, "{answer}");
    assert!(answer.to_string().contains("Zonos-v0.1"), "{answer}");
}

/// Of the model that goes.
const MEGABYTES: usize = 128;

#[tokio::test]
async fn a_switch_frees_the_memory_of_the_model_that_goes_and_says_how_much() {
    let Some(program) = espeak::program() else { return };
    let hub = Hub::start();
    zonos::publish_large(&hub, MEGABYTES);
    let builder = Server::builder().hub(&hub).env("MODEL_ID", TRANSFORMER).env("LOAD_MODE", "startup");
    let server = builder.env(PROGRAM, program).env("SCONCE_MEMORY__MAX_RESIDENT", "1").spawn();
    server.until("/health", 200).await;
    let large = (MEGABYTES << 20) as f64;
    let resident = status(&server, TRANSFORMER).await["resident_bytes"].as_f64().unwrap();
    assert!(resident > 0.9 * large, "{resident} bytes");
    let held = server.metric("process_resident_memory_bytes", &[]).await;
    let (code, answer) = ask(&server, &spoken(Some(HYBRID))).await;
    assert_eq!((code, &answer["model"]), (200, &json!(HYBRID)), "{answer}");
    // What the other took in its place is next to nothing.
    let now = server.metric("process_resident_memory_bytes", &[]).await;
    assert!(held - now > 0.8 * large, "{held} bytes before, {now} after");
    assert_eq!(server.metric("sconce_model_resident_bytes", &[("model", TRANSFORMER)]).await, 0.0);
    let freed = status(&server, TRANSFORMER).await["freed_bytes"].clone();
    assert!(freed.as_f64().unwrap() > 0.9 * large, "{freed} bytes");
    assert_eq!(server.logged("unloaded", TRANSFORMER).await["freed_bytes"], freed);
}

#[tokio::test]
async fn without_the_program_the_models_are_unsupported_and_say_what_to_install() {
    let hub = Hub::start();
    zonos::publish(&hub);
    let builder = Server::builder().hub(&hub).env("LOAD_MODE", "on_demand").env("MODEL_ID", TRANSFORMER);
    let server = builder.env(PROGRAM, "off").start();
    let (code, answer) = ask(&server, &spoken(None)).await;
    assert!(code >= 400 && answer.to_string().contains("needs the program espeak-ng"), "{code} {answer}");
    assert_eq!(hub.downloads("model.safetensors"), 0);
}
