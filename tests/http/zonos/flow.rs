//! The life of a service with both models: one at the start, the other by a switch.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use super::{FRAMES, PROGRAM, TEXT, ask, heard};
use crate::support::{Server, espeak, hub::Hub, zonos};

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
    let sound = heard(&BASE64_STANDARD.decode(answer["audio"]["content"].as_str().unwrap()).unwrap());
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
