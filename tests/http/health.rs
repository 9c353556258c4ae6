//! Health in each loading mode, and what belongs to every answer.

use serde_json::json;

use crate::support::{Server, hub::Hub, publish_nano};

const NANO: &str = "sconce/whisper-nano.en";

#[tokio::test]
async fn on_demand_is_healthy_at_once_and_has_nothing_loaded() {
    let server = Server::builder().env("LOAD_MODE", "on_demand").start();
    let answer = server.get("/health").await;
    assert_eq!(answer.status(), 200);
    let body: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(body["status"], "healthy");
    assert_eq!(body["load_mode"], "on_demand");
    assert_eq!(body["models"]["status"], "not_loaded");
    assert_eq!(body["models"]["default"], NANO);
    assert_eq!(body["models"][NANO]["status"], "not_loaded");
    for probe in ["/health/live", "/health/ready", "/ping"] {
        assert_eq!(server.get(probe).await.status(), 200, "{probe}");
    }
}

#[tokio::test]
async fn startup_is_healthy_only_when_the_model_is_ready() {
    let hub = Hub::start();
    publish_nano(&hub, "acme/nano");
    hub.stall();
    let server = Server::builder().hub(&hub).env("LOAD_MODE", "startup").env("MODEL_ID", "acme/nano").start();
    server.until_status_of("acme/nano", "downloading").await;
    let answer = server.get("/health").await;
    assert_eq!(answer.status(), 503);
    let body: serde_json::Value = answer.json().await.unwrap();
    assert_eq!((&body["status"], &body["models"]["status"]), (&json!("loading"), &json!("downloading")));
    assert!(body["models"]["acme/nano"]["progress"]["bytes_total"].is_u64(), "{body}");
    assert_eq!(server.get("/ping").await.status(), 204);
    assert_eq!(server.get("/health/live").await.status(), 200);
    assert_eq!(server.get("/health/ready").await.status(), 503);

    hub.release();
    server.until("/health", 200).await;
    let body = server.get_json("/health").await;
    assert_eq!((&body["status"], &body["models"]["status"]), (&json!("healthy"), &json!("ready")));
    assert_eq!(server.get("/ping").await.status(), 200);
}

#[tokio::test]
async fn background_is_healthy_at_once_and_loads_by_itself() {
    let server = Server::builder().env("LOAD_MODE", "background").start();
    assert_eq!(server.get("/health").await.status(), 200);
    server.until_status_of(NANO, "ready").await;
    let model = server.get_json("/models/status").await["models"][NANO].take();
    assert!(model["warm_seconds"].as_f64().unwrap() > 0.0, "warm before anybody asked: {model}");
    assert_eq!(server.metric("sconce_model_load_seconds_count", &[("phase", "warm")]).await, 1.0);
    assert_eq!(server.metric("sconce_requests_total", &[]).await, 0.0);
}

#[tokio::test]
async fn startup_with_a_broken_hub_says_why_and_recovers_by_itself() {
    let hub = Hub::start();
    publish_nano(&hub, "acme/nano");
    hub.fail_next(usize::MAX, 500, None);
    let builder = Server::builder().hub(&hub).env("LOAD_MODE", "startup").env("MODEL_ID", "acme/nano");
    let server = builder.env("SCONCE_STORE__ATTEMPTS", "1").start();
    server.until_status_of("acme/nano", "failed").await;
    let answer = server.get("/health").await;
    assert_eq!(answer.status(), 503);
    let body: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(body["status"], "unhealthy");
    assert!(body["models"]["acme/nano"]["error"]["message"].as_str().unwrap().contains("500"), "{body}");
    hub.heal();
    server.until("/health", 200).await;
}

#[tokio::test]
async fn vertex_routes_are_served_literally() {
    let health = "/v1/endpoints/7/deployedModels/9";
    let predict = "/v1/endpoints/7/deployedModels/9:predict";
    let server = Server::builder().env("AIP_HEALTH_ROUTE", health).env("AIP_PREDICT_ROUTE", predict).start();
    assert_eq!(server.get(health).await.status(), 200);
    assert_eq!(server.get("/health").await.status(), 200);
    assert_eq!(server.post_json(predict, &json!({"instances": []})).await.status(), 400);
    assert_eq!(server.get(predict).await.status(), 405);
}

#[tokio::test]
async fn vertex_routes_may_look_like_others() {
    let (health, predict) = ("/v1/models/health", "/v1/models/m:predict");
    let server = Server::builder().env("AIP_HEALTH_ROUTE", health).env("AIP_PREDICT_ROUTE", predict).start();
    assert_eq!(server.get_json(health).await["status"], "healthy");
    assert_eq!(server.post_json(predict, &json!({"instances": []})).await.status(), 400);
    assert_eq!(server.get("/v1/models/whisper-nano.en").await.status(), 200);
}

#[tokio::test]
async fn every_answer_carries_a_request_id() {
    let server = Server::start();
    let ours = server.client.get(server.url("/health")).header("x-request-id", "trace-7").send().await.unwrap();
    assert_eq!(ours.headers()["x-request-id"], "trace-7");
    for path in ["/health", "/nowhere", "/v1/models"] {
        assert!(!server.get(path).await.headers()["x-request-id"].is_empty(), "{path}");
    }
    let hostile = server.client.get(server.url("/health")).header("x-request-id", "a b").send().await.unwrap();
    assert_ne!(hostile.headers()["x-request-id"], "a b");
}

#[tokio::test]
async fn metrics_are_in_the_text_format() {
    let server = Server::start();
    let answer = server.get("/metrics").await;
    assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/plain"));
    let text = answer.text().await.unwrap();
    for name in [
        "sconce_build_info",
        "sconce_cache_free_bytes",
        "sconce_cache_size_bytes",
        "sconce_model_state",
        "process_resident_memory_bytes",
    ] {
        assert!(text.contains(&format!("# HELP {name} ")), "{name} is missing in:\n{text}");
    }
}

#[tokio::test]
async fn what_is_scaled_and_alerted_by_is_there_before_the_first_request() {
    let text = Server::start().get("/metrics").await.text().await.unwrap();
    for name in ["sconce_queue_depth", "sconce_model_panics_total", "sconce_model_leaked_bytes_total"] {
        let series = format!("{name}{{model=\"sconce/whisper-nano.en\"}} 0\n");
        assert!(text.contains(&series), "{series} is missing in:\n{text}");
    }
}

#[tokio::test]
async fn vertex_finds_the_queue_by_the_name_that_it_knows() {
    const NAME: &str = "\nvllm:num_requests_waiting 0\n";
    let vertex = Server::builder().env("AIP_MODE", "PREDICTION").start();
    assert!(vertex.get("/metrics").await.text().await.unwrap().contains(NAME));
    let asked = Server::builder().env("SCONCE_METRICS__VLLM", "true").start();
    assert!(asked.get("/metrics").await.text().await.unwrap().contains(NAME));
    assert!(!Server::start().get("/metrics").await.text().await.unwrap().contains("vllm"));
}
