//! Another configuration while the server runs.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    Server,
    whisper::{self, Numbers, Size},
};

const SIZE: Size = Size { width: 64, heads: 2, layers: 2, numbers: Numbers::F16 };

/// Two small models in folders, as variables: `one` alone, then both.
fn models() -> (TempDir, Vec<(String, String)>) {
    let folder = TempDir::new().unwrap();
    let variables = ["one", "two"].map(|name| {
        whisper::write(&folder.path().join(name), SIZE);
        let source = format!("file:{}", folder.path().join(name).display());
        let prefix = format!("SCONCE_MODELS__{}", name.to_uppercase());
        vec![(format!("{prefix}__SOURCE"), source), (format!("{prefix}__WARM_UP"), "false".to_owned())]
    });
    (folder, variables.concat())
}

fn borrowed(variables: &[(String, String)]) -> Vec<(&str, &str)> {
    variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

fn server(variables: &[(&str, &str)]) -> Server {
    variables.iter().fold(Server::builder(), |builder, (name, value)| builder.env(name, value)).start()
}

async fn load(server: &Server, model: &str) -> u16 {
    server.post_json(&format!("/models/{model}/load"), &json!({})).await.status().as_u16()
}

#[tokio::test]
async fn models_and_aliases_come_and_go_without_a_restart() {
    let (_folder, variables) = models();
    let variables = borrowed(&variables);
    let server = server(&variables[..2]);
    assert_eq!(load(&server, "one").await, 200);
    assert_eq!(load(&server, "two").await, 404);

    let mut more = variables.clone();
    more.push(("SCONCE_MODELS__ONE__ALIASES", "uno"));
    server.reload(&more).await;
    assert_eq!(load(&server, "two").await, 200);
    assert_eq!(load(&server, "uno").await, 200);
    let models = server.get_json("/models/status").await["models"].clone();
    assert_eq!((&models["one"]["status"], &models["one"]["aliases"]), (&json!("ready"), &json!(["uno"])));
    assert_eq!(server.metric("sconce_model_load_seconds_count", &[("phase", "load")]).await, 2.0, "loaded once each");

    server.reload(&variables[2..]).await;
    assert_eq!(load(&server, "one").await, 404);
    assert_eq!(load(&server, "uno").await, 404);
    assert_eq!(load(&server, "two").await, 200);
    assert_eq!(server.metric("sconce_config_reloads_total", &[("outcome", "applied")]).await, 2.0);
}

#[tokio::test]
async fn limits_apply_at_once() {
    let (_folder, variables) = models();
    let variables = borrowed(&variables);
    let server = server(&variables);
    for model in ["one", "two"] {
        assert_eq!(load(&server, model).await, 200);
    }
    let mut fewer = variables.clone();
    fewer.push(("SCONCE_MEMORY__MAX_RESIDENT", "1"));
    server.reload(&fewer).await;
    assert_eq!(load(&server, "one").await, 200);
    server.until_status_of("two", "not_loaded").await;

    let mut small = variables.clone();
    small.push(("SCONCE_MEMORY__BUDGET", "1KB"));
    small.push(("SCONCE_LIMITS__MAX_AUDIO", "1s"));
    server.reload(&small).await;
    server.until_status_of("one", "not_loaded").await;
    let answer = server.transcribe(crate::support::sound::silence(2.0), "one", &[]).await;
    assert_eq!(answer.status(), 413);
    let answer = server.transcribe(crate::support::sound::silence(0.5), "two", &[]).await;
    assert_eq!(answer.status(), 507);
}

#[tokio::test]
async fn a_configuration_with_a_fault_changes_nothing() {
    let (_folder, variables) = models();
    let variables = borrowed(&variables);
    let server = server(&variables);
    let before = server.get_json("/v1/models").await;
    // One that cannot be read, one whose models make no sense.
    server.reload(&[("SCONCE_MEMORY__BUDGET", "much")]).await;
    server.reload(&[("SCONCE_MODELS__ONE__ALIASES", "uno")]).await;
    assert_eq!(server.metric("sconce_config_reloads_total", &[("outcome", "refused")]).await, 2.0);
    assert_eq!(server.get_json("/v1/models").await, before);
    assert_eq!(load(&server, "one").await, 200);
}

#[tokio::test]
async fn a_configuration_that_names_no_model_any_more_changes_nothing() {
    let (_folder, variables) = models();
    let server = server(&borrowed(&variables));
    let before = server.get_json("/v1/models").await;
    server.reload(&[]).await;
    assert_eq!(server.metric("sconce_config_reloads_total", &[("outcome", "refused")]).await, 1.0);
    assert_eq!(server.get_json("/v1/models").await, before);
}

#[tokio::test]
async fn another_device_or_number_of_threads_loads_the_model_anew() {
    let (_folder, variables) = models();
    let variables = borrowed(&variables);
    let server = server(&variables[..2]);
    assert_eq!(load(&server, "one").await, 200);
    let mut other = variables[..2].to_vec();
    other.push(("SCONCE_MODELS__ONE__DEVICE", "cuda:5"));
    server.reload(&other).await;
    let models: Value = server.get_json("/models/status").await["models"].clone();
    assert_eq!(models["one"]["availability"], "unsupported", "{models}");
    assert!(models["one"]["reason"].as_str().unwrap().contains("cuda:5"), "{models}");
    server.reload(&variables[..2]).await;
    assert_eq!(load(&server, "one").await, 200);
}
