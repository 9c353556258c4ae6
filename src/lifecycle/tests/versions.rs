//! Models that change while the server runs: other revisions, another configuration, and how long they stay.

use super::*;
use crate::store::Source;

/// From a branch of the hub.
fn hub(model: &str) -> ModelSpec {
    at(model, "main")
}

fn at(model: &str, revision: &str) -> ModelSpec {
    let source = Source::Hub { repo: model.to_owned(), revision: revision.to_owned() };
    ModelSpec { parts: vec![("model".to_owned(), source)], ..spec(model) }
}

fn server(config: Config) -> Server {
    Server::with(config, vec![hub("a")], Fake::default())
}

fn json(server: &Server) -> serde_json::Value {
    serde_json::to_value(server.status("a")).unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_update_is_made_while_requests_go_on() {
    let server = server(config());
    let before = server.acquire("a").await.unwrap();
    let model = name("a");
    let update = server.lifecycle.update(&model, Some("v2"), None);
    let watching = async {
        time::sleep(FETCH / 2).await;
        assert_eq!(json(&server)["update"]["revision"], "v2");
        assert_eq!(
            (&json(&server)["update"]["status"], &json(&server)["revision"]),
            (&"downloading".into(), &"main".into())
        );
        assert_eq!(server.acquire("a").await.unwrap().waited(), Duration::ZERO);
    };
    let (updated, ()) = tokio::join!(update, watching);
    assert_eq!(updated.unwrap().revision.as_deref(), Some("v2"));
    assert!(json(&server)["update"].is_null());
    assert_eq!(server.acquire("a").await.unwrap().waited(), Duration::ZERO);
    assert_eq!(server.fake.happened(), ["fetch a", "load a", "fetch a", "load a"]);
    drop(before);
    time::sleep(UNLOAD * 2).await;
    assert_eq!(server.fake.happened()[4..], ["unload a", "free a"]);
    assert_eq!(server.metric("sconce_model_updates_total", "done"), 1.0);
    assert_eq!(server.metric("sconce_model_evictions_total", "updated"), 1.0);
}

#[tokio::test(start_paused = true)]
async fn an_update_that_fails_is_told_and_what_served_serves_on() {
    let server = server(config());
    drop(server.acquire("a").await.unwrap());
    server.fake.fetch_next("a", no_such_repository());
    let refused = server.lifecycle.update(&name("a"), Some("v2"), None).await.unwrap_err();
    assert!(refused.permanent() && refused.kind() == Kind::Unavailable);
    assert!(refused.to_string().contains("not updated, and serves as before: no such repository"), "{refused}");
    let status = server.status("a");
    let update = status.update.unwrap();
    assert_eq!((update.status, update.revision.as_deref()), (Status::Failed, Some("v2")));
    assert!(update.error.unwrap().message.contains("no such repository"));
    assert_eq!((status.status, status.revision.as_deref(), status.error), (Status::Ready, Some("main"), None));
    assert_eq!(json(&server)["update"]["error"]["permanent"], true);
    assert_eq!(server.metric("sconce_model_updates_total", "failed"), 1.0);
    assert_eq!(server.acquire("a").await.unwrap().waited(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn an_update_in_the_memory_of_one_is_a_swap() {
    let server = server(single());
    drop(server.acquire("a").await.unwrap());
    let model = name("a");
    let update = server.lifecycle.update(&model, Some("v2"), None);
    let (updated, lease) = tokio::join!(update, async {
        time::sleep(FETCH + LOAD / 2).await;
        server.acquire("a").await
    });
    assert_eq!(updated.unwrap().revision.as_deref(), Some("v2"));
    assert!(lease.unwrap().waited() > Duration::ZERO);
    assert_eq!(server.fake.happened()[2..], ["fetch a", "unload a", "free a", "load a"]);
    assert_eq!(server.fake.0.lock().most_resident, 1);
}

#[tokio::test(start_paused = true)]
async fn a_branch_that_did_not_move_is_left_alone() {
    let server = server(config());
    drop(server.acquire("a").await.unwrap());
    let status = server.lifecycle.update(&name("a"), None, None).await.unwrap();
    assert_eq!((status.status, status.update), (Status::Ready, None));
    assert_eq!(server.fake.times("load a"), 1);
    assert_eq!(server.metric("sconce_model_updates_total", "unchanged"), 1.0);
}

#[tokio::test(start_paused = true)]
async fn what_has_no_such_revision_says_so() {
    let server = Server::with(config(), vec![hub("a"), spec("b")], Fake::default());
    let refused = server.lifecycle.update(&name("a"), Some("../x"), None).await.unwrap_err();
    assert_eq!((refused.kind(), refused.param()), (Kind::Invalid, Some("revision")));
    assert!(server.lifecycle.update(&name("b"), Some("v2"), None).await.is_err());
    let unknown = server.lifecycle.update(&name("x"), None, None).await.unwrap_err();
    assert_eq!(unknown.kind(), Kind::NotFound);
}

#[tokio::test(start_paused = true)]
async fn an_update_that_is_not_waited_for_goes_on() {
    let server = server(config());
    drop(server.acquire("a").await.unwrap());
    let status = server.lifecycle.update(&name("a"), Some("v2"), Some(Duration::ZERO)).await.unwrap();
    assert_eq!(status.update.unwrap().status, Status::Downloading);
    let mut watch = server.lifecycle.watch();
    let there = |snapshot: &Arc<Snapshot>| snapshot.models[0].revision.as_deref() == Some("v2");
    time::timeout(PATIENCE, watch.wait_for(there)).await.expect("in time").unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_switch_that_fails_brings_back_what_served() {
    let server = Server::start(single(), &["a", "b"]);
    drop(server.acquire("a").await.unwrap());
    server.fake.load_next("b", hub_is_down());
    let once = FETCH + UNLOAD + LOAD + Duration::from_millis(400);
    assert!(server.acquire_once("b", once).await.is_err());
    server.until("a", Status::Ready).await;
    assert_eq!(server.metric("sconce_model_rollbacks_total", ""), 1.0);
    assert_eq!(server.fake.0.lock().most_resident, 1);
}

#[tokio::test(start_paused = true)]
async fn a_new_configuration_loses_no_request() {
    let server = Server::start(config(), &["a", "b"]);
    let (a, b) = (server.acquire("a").await.unwrap(), server.acquire("b").await.unwrap());
    assert_eq!(server.acquire("c").await.unwrap_err().kind(), Kind::NotFound);
    let specs = vec![ModelSpec { pinned: true, ..spec("a") }, spec("c")];
    server.lifecycle.reconfigure(Config { idle_ttl: Some(Duration::from_secs(60)), ..config() }, specs).await;
    assert!(server.status("a").pinned);
    assert_eq!(server.acquire("b").await.unwrap_err().kind(), Kind::NotFound);
    assert_eq!(server.fake.times("unload b"), 0, "in use");
    drop(server.acquire("c").await.unwrap());
    drop((a, b));
    time::sleep(Duration::from_secs(120)).await;
    assert!(server.lifecycle.snapshot().model(&name("b")).is_none());
    assert_eq!((server.status("a").status, server.status("c").status), (Status::Ready, Status::NotLoaded));
    let removed = server.registry.gather().iter().any(|family| {
        let of_b = |metric: &prometheus::proto::Metric| metric.get_label().iter().any(|pair| pair.value() == "b");
        family.name() == "sconce_model_state" && family.get_metric().iter().any(of_b)
    });
    assert!(!removed, "a model that is not served has no state");
}

#[tokio::test(start_paused = true)]
async fn lower_limits_hold_from_then_on() {
    let server = Server::start(config(), &["a", "b"]);
    drop(server.acquire("a").await.unwrap());
    drop(server.acquire("b").await.unwrap());
    server.lifecycle.reconfigure(single(), vec![spec("a"), spec("b")]).await;
    time::sleep(UNLOAD * 2).await;
    assert_eq!(server.fake.0.lock().resident, 1);
    assert_eq!(server.metric("sconce_model_evictions_total", "limits"), 1.0);
}

#[tokio::test(start_paused = true)]
async fn another_source_in_the_configuration_is_an_update() {
    let server = server(config());
    let lease = server.acquire("a").await.unwrap();
    server.lifecycle.reconfigure(config(), vec![at("a", "v2")]).await;
    assert_eq!(server.acquire("a").await.unwrap().waited(), Duration::ZERO);
    time::sleep(FETCH + LOAD * 2).await;
    assert_eq!(server.status("a").revision.as_deref(), Some("v2"));
    drop(lease);
}

#[tokio::test(start_paused = true)]
async fn a_request_says_how_long_its_model_stays() {
    let server = server(config());
    let keep = |keep_alive| AcquireOptions { keep_alive: Some(keep_alive), ..AcquireOptions::within(PATIENCE) };
    let minute = KeepAlive::For(Duration::from_secs(60));
    drop(server.lifecycle.acquire(&name("a"), keep(minute)).await.unwrap());
    time::sleep(Duration::from_secs(20)).await;
    assert_eq!(json(&server)["expires_in_seconds"], 40.0);
    drop(server.lifecycle.acquire(&name("a"), keep(KeepAlive::For(Duration::ZERO))).await.unwrap());
    time::sleep(UNLOAD * 2).await;
    assert_eq!(server.status("a").status, Status::NotLoaded);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_room_is_told_its_place_and_when_to_come_back() {
    let server = Server::start(single(), &["a", "b", "c"]);
    let lease = server.acquire("a").await.unwrap();
    let wait = |model: &'static str| {
        let lifecycle = server.lifecycle.clone();
        async move { lifecycle.acquire(&name(model), AcquireOptions::within(Duration::from_secs(5))).await.map(drop) }
    };
    let (b, c) = tokio::join!(wait("b"), async {
        time::sleep(Duration::from_millis(500)).await;
        wait("c").await
    });
    let (b, c) = (b.unwrap_err().to_string(), c.unwrap_err().to_string());
    assert!(b.contains("it is next, expected in about"), "{b}");
    assert!(c.contains("number 2 of those who wait"), "{c}");
    let status = serde_json::to_value(server.status("c")).unwrap();
    assert_eq!(status["place"], 2);
    assert!(status["expected_in_seconds"].as_f64().unwrap() > 10.0, "{status}");
    drop(lease);
}
