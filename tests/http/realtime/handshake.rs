//! Who gets a session.

use crate::support::{
    Server,
    socket::{Live, Refused},
};

async fn refused(server: &Server, query: &str, headers: &[(&str, &str)]) -> (u16, String) {
    match Live::open(server, query, headers).await {
        Ok(_) => panic!("{query} with {headers:?} got a session"),
        Err(Refused { status, body }) => (status, body["error"]["message"].as_str().unwrap().to_owned()),
    }
}

#[tokio::test]
async fn what_is_no_session_of_this_server_is_refused_with_the_reason() {
    let server = Server::start();
    let cases = [
        ("?model=nobody", 404, "there is no model"),
        ("?intent=conversation", 400, "transcription, or none, would be right"),
        ("?model=a&model=b", 400, "the query cannot be read"),
    ];
    for (query, status, message) in cases {
        let (got, said) = refused(&server, query, &[]).await;
        assert!(got == status && said.contains(message), "{query}: {got} {said}");
    }
    let plain = server.get("/v1/realtime").await;
    assert_eq!(plain.status(), 400);
    assert!(plain.text().await.unwrap().contains("this route is a WebSocket"));
    assert_eq!(server.metric("sconce_live_sessions", &[]).await, 0.0);
}

#[tokio::test]
async fn a_key_comes_by_a_header_or_by_the_protocols_of_a_browser() {
    let server = Server::builder().env("SCONCE_ACCESS__KEYS", "sk-user").start();
    assert_eq!(refused(&server, "", &[]).await.0, 401);
    assert_eq!(refused(&server, "", &[("authorization", "Bearer sk-other")]).await.0, 401);
    let offered = "realtime, openai-insecure-api-key.sk-other";
    assert_eq!(refused(&server, "", &[("sec-websocket-protocol", offered)]).await.0, 401);
    let live = Live::open(&server, "", &[("authorization", "Bearer sk-user")]).await.unwrap();
    assert_eq!(live.protocol, None);
    live.close().await;
    let offered = "realtime, openai-insecure-api-key.sk-user, openai-beta.realtime-v1";
    let mut live = Live::open(&server, "", &[("sec-websocket-protocol", offered)]).await.unwrap();
    // Never the one with the key.
    assert_eq!(live.protocol.as_deref(), Some("realtime"));
    assert_eq!(live.next().await.unwrap()["type"], "transcription_session.created");
    live.close().await;
}

#[tokio::test]
async fn pages_of_other_origins_get_none_unless_they_may() {
    let server = Server::builder().env("SCONCE_HTTP__CORS_ORIGINS", "https://good.example").start();
    let (status, said) = refused(&server, "", &[("origin", "https://bad.example")]).await;
    assert!(status == 403 && said.contains("http.cors_origins"), "{status} {said}");
    let own = format!("http://{}", server.address);
    for origin in [own.as_str(), "https://good.example"] {
        Live::open(&server, "", &[("origin", origin)]).await.unwrap().close().await;
    }
}

#[tokio::test]
async fn there_are_so_many_sessions_and_no_more() {
    let server = Server::builder()
        .env("SCONCE_ACCESS__KEYS", "sk-a,sk-b,sk-c")
        .env("SCONCE_LIVE__MAX_SESSIONS", "3")
        .env("SCONCE_LIVE__MAX_SESSIONS_PER_KEY", "2")
        .start();
    let open = |key: &'static str| {
        let server = &server;
        async move { Live::open(server, "", &[("x-api-key", key)]).await }
    };
    let first = open("sk-a").await.unwrap();
    let _second = open("sk-a").await.unwrap();
    let Refused { status, body } = open("sk-a").await.err().unwrap();
    assert!(status == 429 && body.to_string().contains("live.max_sessions_per_key"), "{status} {body}");
    let _third = open("sk-b").await.unwrap();
    let Refused { status, body } = open("sk-c").await.err().unwrap();
    assert!(status == 429 && body.to_string().contains("(3, `live.max_sessions`)"), "{status} {body}");
    first.close().await;
    // The place is free when the session has ended, which is a moment after its client heard so.
    let start = std::time::Instant::now();
    while let Err(refused) = open("sk-c").await {
        assert!(start.elapsed().as_secs() < 60, "{refused:?}");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}
