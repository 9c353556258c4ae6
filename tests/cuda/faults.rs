//! What becomes of models and requests when a card has no memory left, is lost, or cannot run what was built.

use serde_json::Value;

use crate::{
    page::{Card, Count},
    server::{HOPPER, SIZE_IN_MEMORY, Setup},
    support::ServerBuilder,
};

const TURING: Card = Card { capability: 75, memory: 4 << 30, width: 256 };

#[tokio::test]
async fn a_request_that_finds_no_memory_fails_and_the_model_goes_on() {
    let running = Setup::new(&[HOPPER]).start();
    running.load().await;
    assert_eq!(running.ask().await.0, 200);
    let all = HOPPER.memory;
    running.page.memory(0, running.page.held(0) + 1000);
    let (code, body) = running.ask().await;
    assert_eq!(code, 507, "{body}");
    let message = body["error"]["message"].as_str().unwrap();
    assert!(message.contains("too little memory for this request"), "{message}");
    assert!(message.contains("it needs about") && message.contains("are free"), "{message}");
    assert_eq!(running.status().await["status"], "ready");
    running.page.memory(0, all);
    for _ in 0..9 {
        assert_eq!(running.ask().await.0, 200, "no slot was lost with it");
    }
    assert_eq!(running.server.get("/health/live").await.status(), 200);
}

#[tokio::test]
async fn a_lost_card_takes_its_models_out_and_readiness_follows() {
    let running = Setup::new(&[HOPPER]).start();
    running.load().await;
    assert_eq!(running.server.get("/health/ready").await.status(), 200);
    running.page.lose_after(100);
    let (code, body) = running.ask().await;
    assert_eq!(code, 500, "{body}");
    running.server.until_status_of("m", "failed").await;
    let reason = running.status().await["error"]["message"].as_str().unwrap().to_owned();
    assert!(reason.contains("cuda:0 is lost to this process (CUDA_ERROR_ILLEGAL_ADDRESS)"), "{reason}");
    assert_eq!(running.server.get("/health/ready").await.status(), 503);
    let live = running.server.get("/health/live").await;
    assert_eq!(live.status(), 503);
    assert_eq!(live.json::<Value>().await.unwrap()["lost"]["device"], "cuda:0");
    // Nothing is tried there any more.
    let launches = running.page.count(Count::Launches);
    let (code, body) = running.ask().await;
    assert_eq!(code, 503, "{body}");
    assert_eq!(running.page.count(Count::Launches), launches);
}

#[tokio::test]
async fn memory_of_an_unloaded_model_goes_back_to_the_device() {
    let running = Setup::new(&[HOPPER]).start();
    running.load().await;
    let before = (running.page.held(0), running.page.reserved(0));
    for _ in 0..5 {
        assert_eq!(running.ask().await.0, 200);
        running.unload().await;
        assert_eq!((running.page.held(0), running.page.reserved(0)), (0, 0));
        running.load().await;
    }
    assert_eq!((running.page.held(0), running.page.reserved(0)), before);
}

#[tokio::test]
async fn what_can_never_fit_is_refused_with_what_it_needs() {
    let small = Card { memory: SIZE_IN_MEMORY / 2, ..HOPPER };
    let running = Setup::new(&[small]).env("SCONCE_MEMORY__RESERVE", "1KiB").start();
    let (code, body) = running.ask().await;
    assert_eq!(code, 507, "{body}");
    assert!(body["error"]["message"].as_str().unwrap().contains("on cuda:0"), "{body}");
    assert_eq!(running.page.count(Count::ToDevice), 0, "nothing was tried");
}

#[tokio::test]
async fn the_fastest_card_with_room_is_taken() {
    let slow = Card { width: 256, ..HOPPER };
    let full = Card { memory: SIZE_IN_MEMORY / 2, ..HOPPER };
    for (cards, place) in [([slow, HOPPER], "cuda:1"), ([slow, full], "cuda:0"), ([HOPPER, slow], "cuda:0")] {
        let running = Setup::new(&cards).env("SCONCE_MEMORY__RESERVE", "1KiB").start();
        running.load().await;
        assert_eq!(running.status().await["device"], place, "{cards:?}");
    }
}

#[tokio::test]
async fn a_card_that_cannot_run_what_was_built_is_told_before_anything_is_fetched() {
    let only = Setup::new(&[TURING]).env("SCONCE_RUNTIME__DEVICE", "cuda:0");
    let refusal = refused(only.builder);
    assert!(refusal.contains("compute capability 7.5, and this build is for 8.0 and newer"), "{refusal}");
    assert_eq!(only.page.count(Count::Contexts), 0, "it is told without a context");
    let any = Setup::new(&[TURING]).env("SCONCE_RUNTIME__REQUIRE_GPU", "true");
    assert!(refused(any.builder).contains("CUDA_COMPUTE_CAP=75"));
    let both = Setup::new(&[TURING, HOPPER]).start();
    both.load().await;
    assert_eq!(both.status().await["device"], "cuda:1", "the other one is taken");
}

#[tokio::test]
async fn a_driver_that_is_too_old_is_told() {
    let old = Setup::new(&[HOPPER]).env("SCONCE_RUNTIME__REQUIRE_GPU", "true");
    old.page.driver(12080);
    let refusal = refused(old.builder);
    assert!(refusal.contains("knows CUDA 12.8, and this build is for 13.0 or newer"), "{refusal}");
    assert!(refusal.contains("driver 580 or newer"), "{refusal}");
}

/// What the program says when it does not start.
fn refused(builder: ServerBuilder) -> String {
    let output = builder.command().output().unwrap();
    assert!(!output.status.success(), "it started");
    String::from_utf8(output.stderr).unwrap()
}
