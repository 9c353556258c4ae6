//! Requests that outlive their connection.

use std::time::{Duration, Instant};

use reqwest::{Response, multipart};
use serde_json::{Value, json};

use crate::{
    recordings::words,
    support::{Server, hub::Hub, publish_nano, recording, sound},
};

const LIGHTS: &str = "turn on the kitchen lights";

fn lights() -> Vec<u8> {
    recording("turn-on-the-kitchen-lights.wav")
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

async fn accepted(answer: Response) -> String {
    let (status, location) = (answer.status(), answer.headers().get("location").cloned());
    let job: Value = answer.json().await.unwrap();
    assert_eq!(status, 202, "{job}");
    let id = job["id"].as_str().unwrap().to_owned();
    assert_eq!(location.unwrap().to_str().unwrap(), format!("/v1/jobs/{id}"));
    id
}

async fn post(server: &Server, path: &str, wav: Vec<u8>) -> String {
    accepted(server.post_bytes(path, "audio/wav", wav).await).await
}

/// Follows the events of a job to their end.
async fn events(server: &Server, id: &str) -> Vec<Value> {
    let text = server.get(&format!("/v1/jobs/{id}/events")).await.text().await.unwrap();
    text.lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|json| serde_json::from_str(json).unwrap())
        .collect()
}

async fn ended(server: &Server, id: &str) -> Value {
    let last = events(server, id).await.pop().unwrap();
    assert_eq!(last["type"], "end", "{last}");
    last["job"].clone()
}

#[tokio::test]
async fn every_kind_of_body_becomes_a_job_with_the_answer_of_predict() {
    let server = Server::start();
    let json = json!({"audio": base64(&lights()), "timestamps": "word"});
    let form = multipart::Form::new().part("file", multipart::Part::bytes(lights())).text("response_format", "srt");
    let form = server.client.post(server.url("/v1/jobs")).multipart(form);
    let ids = [
        accepted(server.post_json("/v1/jobs", &json).await).await,
        post(&server, "/v1/jobs?timestamps=none&language=en", lights()).await,
        accepted(form.send().await.unwrap()).await,
    ];
    let native: Value = server.post_json("/predict", &json).await.json().await.unwrap();
    let (words_of, plain, srt) =
        (ended(&server, &ids[0]).await, ended(&server, &ids[1]).await, ended(&server, &ids[2]).await);
    assert_eq!(words_of["result"], native);
    assert_eq!(words(plain["result"]["text"].as_str().unwrap()), words(LIGHTS));
    assert!(plain["result"].get("segments").is_none(), "{plain}");
    assert!(srt["result"].as_str().unwrap().starts_with("1\n00:00:0"), "{srt}");
    let listed = server.get_json("/v1/jobs?status=succeeded&limit=2").await;
    let listed: Vec<_> = listed["jobs"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap()).collect();
    assert_eq!(listed, [&ids[2], &ids[1]], "newest first, and no more than asked for");
    assert_eq!(server.metric("sconce_jobs_ended_total", &[("status", "succeeded")]).await, 3.0);
    assert_eq!(server.metric("sconce_requests_total", &[("protocol", "jobs"), ("outcome", "ok")]).await, 3.0);
}

#[tokio::test]
async fn segments_are_seen_as_they_come() {
    let server = Server::start();
    let id = post(&server, "/v1/jobs", sound::babble(35.0)).await;
    let events = events(&server, &id).await;
    let of = |kind: &str| events.iter().filter(|event| event["type"] == kind).collect::<Vec<_>>();
    let statuses: Vec<_> = of("status").iter().map(|event| event["status"].as_str().unwrap()).collect();
    assert!(["queued", "running", "succeeded"].ends_with(&statuses), "{statuses:?}");
    let (segments, job) = (of("segment"), &events.last().unwrap()["job"]);
    // The last digit of a probability may change when it is kept.
    let told = |segment: &Value| ["start", "end", "text"].map(|name| segment[name].clone());
    let made: Vec<_> = segments.iter().map(|event| told(&event["segment"])).collect();
    assert!(made.len() > 1, "{events:?}");
    let kept: Vec<_> = job["result"]["segments"].as_array().unwrap().iter().map(told).collect();
    assert_eq!(made, kept, "no segment is lost, and none is told twice");
    assert!(
        job["started_at"].as_f64() >= job["created_at"].as_f64()
            && job["ended_at"].as_f64() > job["started_at"].as_f64(),
        "{job}"
    );
}

#[tokio::test]
async fn a_wrong_request_fails_at_once_and_a_wrong_recording_at_the_end() {
    let server = Server::start();
    for (path, media_type, body, status, param) in [
        ("/v1/jobs?model=whisper-tinny", "audio/wav", lights(), 404, "model"),
        ("/v1/jobs?temperature=7", "audio/wav", lights(), 400, "temperature"),
        ("/v1/jobs", "application/json", b"{}".to_vec(), 400, "audio"),
        ("/v1/jobs", "application/json", br#"{"audio":"UklG","webhook":7}"#.to_vec(), 400, "webhook"),
        (
            "/v1/jobs",
            "application/json",
            br#"{"audio":"UklG","webhook":{"url":"https://a.b/"}}"#.to_vec(),
            400,
            "webhook",
        ),
    ] {
        let answer = server.post_bytes(path, media_type, body).await;
        assert_eq!(answer.status(), status, "{path}");
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["error"]["details"][1]["fieldViolations"][0]["field"], param, "{body}");
    }
    assert_eq!(server.post_bytes("/v1/jobs", "image/png", lights()).await.status(), 415);
    assert_eq!(server.post_bytes("/v1/jobs", "text/plain", lights()).await.status(), 400, "no text");
    assert_eq!(server.get_json("/v1/jobs").await["jobs"], json!([]), "nothing of all that was taken");
    let job = ended(&server, &post(&server, "/v1/jobs", b"no sound".to_vec()).await).await;
    assert_eq!((&job["status"], &job["error"]["status"]), (&json!("failed"), &json!("INVALID_ARGUMENT")), "{job}");
    assert!(job.get("result").is_none(), "{job}");
    for (path, status) in [
        ("/v1/jobs/job-0", 404),
        ("/v1/jobs/job-0/events", 404),
        ("/v1/jobs?limit=0", 400),
        ("/v1/jobs?status=odd", 400),
    ] {
        assert_eq!(server.get(path).await.status(), status, "{path}");
    }
}

#[tokio::test]
async fn a_job_is_cancelled_and_then_removed() {
    let server = Server::start();
    let id = post(&server, "/v1/jobs", sound::babble(180.0)).await;
    let path = format!("/v1/jobs/{id}");
    let start = Instant::now();
    while server.get_json(&path).await["progress"].is_null() {
        assert!(start.elapsed() < Duration::from_secs(60), "nothing was heard of it");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let delete = || server.client.delete(server.url(&path)).send();
    let cancelled: Value = delete().await.unwrap().json().await.unwrap();
    assert_eq!(cancelled["status"], "cancelled");
    // The model is free again, long before the three minutes are heard.
    assert_eq!(ended(&server, &post(&server, "/v1/jobs", lights()).await).await["status"], "succeeded");
    assert_eq!(delete().await.unwrap().status(), 204);
    assert_eq!(delete().await.unwrap().status(), 404);
}

#[tokio::test]
async fn a_key_makes_a_repeated_request_the_same_job() {
    let server = Server::start();
    let post = |wav: Vec<u8>| {
        let request = server.client.post(server.url("/v1/jobs")).header("content-type", "audio/wav");
        request.header("Idempotency-Key", "k-1").body(wav).send()
    };
    let (first, again) = (accepted(post(lights()).await.unwrap()).await, accepted(post(lights()).await.unwrap()).await);
    assert_eq!(first, again);
    let other = post(sound::silence(1.0)).await.unwrap();
    assert_eq!(other.status(), 400);
    assert!(other.text().await.unwrap().contains("Idempotency-Key"));
}

#[tokio::test]
async fn a_full_house_says_when_to_come_back() {
    let server = Server::builder().env("SCONCE_JOBS__MAX_COUNT", "1").env("SCONCE_SERVER__DRAIN", "1s").start();
    post(&server, "/v1/jobs", sound::babble(60.0)).await;
    let refused = server.post_bytes("/v1/jobs", "audio/wav", lights()).await;
    assert_eq!(refused.status(), 429);
    assert!(refused.headers().contains_key("retry-after"));
    assert!(refused.text().await.unwrap().contains("jobs.max_count"));
}

#[tokio::test]
async fn a_job_waits_for_its_model_and_ends_when_that_can_never_come() {
    let hub = Hub::start();
    publish_nano(&hub, "acme/nano");
    hub.fail_next(2, 503, None);
    let server = Server::builder()
        .hub(&hub)
        .env("MODEL_ID", "acme/nano,acme/missing")
        .env("SCONCE_LIMITS__WAIT", "50ms")
        .env("SCONCE_RETRY__FIRST_DELAY", "50ms")
        .env("SCONCE_STORE__ATTEMPTS", "1")
        .start();
    let job = ended(&server, &post(&server, "/v1/jobs?model=acme/missing", lights()).await).await;
    assert_eq!((&job["status"], &job["error"]["status"]), (&json!("failed"), &json!("UNAVAILABLE")), "{job}");
    let id = post(&server, "/v1/jobs", lights()).await;
    let job = loop {
        // The stream goes on while the job goes back and forth between queued and running.
        let job = ended(&server, &id).await;
        if job["status"] != "queued" && job["status"] != "running" {
            break job;
        }
    };
    assert_eq!(words(job["result"]["text"].as_str().unwrap()), words(LIGHTS));
}

#[tokio::test]
async fn a_text_is_spoken_by_a_job() {
    let folder = tempfile::TempDir::new().unwrap();
    let dir = folder.path().display().to_string();
    let start = || Server::builder().env("SCONCE_JOBS__DIR", &dir).env("SCONCE_SERVER__DRAIN", "1ms");
    let server = start().start();
    let request = json!({"text": "Good morning.", "seed": 1, "response_format": "mp3"});
    let native: Value = server.post_json("/predict", &json!({"instances": [request]})).await.json().await.unwrap();
    let job = ended(&server, &accepted(server.post_json("/v1/jobs", &request).await).await).await;
    assert_eq!(job["result"], native["predictions"][0]);
    assert_eq!(job["result"]["audio"]["mime_type"], "audio/mpeg");
    let plain = accepted(server.post_bytes("/v1/jobs?seed=1", "text/plain", b"Good morning.".to_vec()).await).await;
    assert_eq!(ended(&server, &plain).await["result"]["audio"]["mime_type"], "audio/wav");

    // Long enough to be in the middle of it when the server stops.
    let text = "The river is wide here, and nobody knows how deep it may be. ".repeat(400);
    let id = accepted(server.post_json("/v1/jobs", &json!({"text": text, "response_format": "opus"})).await).await;
    let path = format!("/v1/jobs/{id}");
    let progress = async |server: &Server| {
        let start = Instant::now();
        loop {
            let job = server.get_json(&path).await;
            if !job["progress"].is_null() {
                return job["progress"].clone();
            }
            assert!(start.elapsed() < Duration::from_secs(60), "nothing was made: {job}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let made = progress(&server).await;
    assert!(made["seconds"].as_f64().unwrap() > 0.0 && made.get("of").is_none(), "{made}");
    server.stop();
    let server = start().start();
    progress(&server).await;
    assert_eq!(server.client.delete(server.url(&path)).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_text_that_cannot_be_spoken_makes_no_job() {
    let server = Server::start();
    for (request, param, part) in [
        (json!({"text": "?!"}), "text", "punctuation"),
        (json!({"text": "a", "voice": "larc"}), "voice", "did you mean lark?"),
        (json!({"text": "a", "voice": {"content": "UklGRg=="}}), "voice", "/v1/audio/voices"),
        (json!({"text": "a", "output_uri": 7}), "output_uri", "gs://"),
        (json!({"text": "a", "model": "whisper-nano.en"}), "model", "does not synthesize"),
    ] {
        let answer = server.post_json("/v1/jobs", &request).await;
        assert_eq!(answer.status(), 400, "{request}");
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["error"]["details"][1]["fieldViolations"][0]["field"], param, "{body}");
        assert!(body["error"]["message"].as_str().unwrap().contains(part), "{body}");
    }
    assert_eq!(server.get_json("/v1/jobs").await["jobs"], json!([]));
}

#[tokio::test]
async fn a_key_pays_for_the_sound_of_a_job_when_it_is_taken() {
    let keys = Server::builder().env("SCONCE_ACCESS__KEYS", "sk-user");
    let server = keys.env("SCONCE_ACCESS__AUDIO_SECONDS_PER_MINUTE", "4").start();
    let post = |sound: Vec<u8>| {
        let request = server.client.post(server.url("/v1/jobs")).header("content-type", "audio/wav");
        request.bearer_auth("sk-user").body(sound).send()
    };
    assert_eq!(post(sound::babble(5.0)).await.unwrap().status(), 413, "more than a minute's worth");
    assert_eq!(post(lights()).await.unwrap().status(), 202, "2.7 of 4 seconds");
    let spent = post(lights()).await.unwrap();
    assert_eq!(spent.status(), 429);
    assert!(spent.headers().contains_key("retry-after"));
}

#[tokio::test]
async fn a_job_that_waits_is_told_its_place_and_when_it_may_be_done() {
    let server = Server::start();
    let first = post(&server, "/v1/jobs", lights()).await;
    assert!(ended(&server, &first).await.get("position").is_none());
    post(&server, "/v1/jobs", sound::babble(120.0)).await;
    let (second, third) = (post(&server, "/v1/jobs", lights()).await, post(&server, "/v1/jobs", lights()).await);
    let job = async |id: &str| server.get_json(&format!("/v1/jobs/{id}")).await;
    let (second, third) = (job(&second).await, job(&third).await);
    assert_eq!(third["status"], "queued", "{third}");
    let position = |job: &Value| job["position"].as_u64().unwrap_or_default();
    assert!(position(&third) == position(&second) + 1, "{second} {third}");
    assert!(third["eta_seconds"].as_f64().unwrap() > 0.0, "{third}");
}
