//! `POST /predict`: the envelope, the same without it, a raw body, a form.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use crate::{
    recordings::words,
    support::{Server, recording, server::form},
};

const LIGHTS: [&str; 5] = ["turn", "on", "the", "kitchen", "lights"];

fn base64_of(file: &str) -> String {
    BASE64_STANDARD.encode(recording(file))
}

#[tokio::test]
async fn the_envelope_gives_one_prediction_per_instance_in_order() {
    let server = Server::start();
    let instances = json!([
        {"audio": base64_of("turn-on-the-kitchen-lights.wav")},
        {"audio": {"content": base64_of("set-a-timer.m4a")}, "timestamps": "none"},
        {"audio": {"b64": base64_of("what-is-the-weather.mp3")}},
    ]);
    let body = json!({"instances": instances, "parameters": {"language": "en", "timestamps": "word"}});
    let answer: Value = server.post_json("/predict", &body).await.json().await.unwrap();
    let predictions = answer["predictions"].as_array().unwrap();
    assert_eq!(predictions.len(), 3);
    assert_eq!(words(predictions[0]["text"].as_str().unwrap()), LIGHTS);
    assert_eq!(predictions[0]["segments"][0]["words"].as_array().unwrap().len(), 5);
    assert!(predictions[1].get("segments").is_none());
    assert_eq!(words(predictions[2]["text"].as_str().unwrap())[3], "weather");
    assert_eq!(
        (&predictions[0]["language"], &predictions[0]["model"]),
        (&json!("en"), &json!("sconce/whisper-nano.en"))
    );
}

#[tokio::test]
async fn one_bad_instance_does_not_fail_the_others() {
    let server = Server::start();
    let good = json!({"audio": base64_of("turn-on-the-kitchen-lights.wav")});
    let bad = [
        json!({"audio": "!"}),
        json!({"audio": BASE64_STANDARD.encode("no sound")}),
        json!({}),
        json!({"audoi": ""}),
        json!(7),
    ];
    let instances: Vec<Value> = [vec![good.clone()], bad.to_vec(), vec![good]].concat();
    let answer = server.post_json("/predict", &json!({"instances": instances})).await;
    assert_eq!(answer.status(), 200);
    let answer: Value = answer.json().await.unwrap();
    let predictions = answer["predictions"].as_array().unwrap();
    assert_eq!(predictions.len(), 7);
    for good in [&predictions[0], &predictions[6]] {
        assert_eq!(words(good["text"].as_str().unwrap()), LIGHTS);
    }
    for bad in &predictions[1..6] {
        assert_eq!(
            (&bad["error"]["code"], &bad["error"]["status"]),
            (&json!(400), &json!("INVALID_ARGUMENT")),
            "{bad}"
        );
    }
}

#[tokio::test]
async fn when_no_instance_is_good_the_answer_is_the_first_ones_failure() {
    let server = Server::start();
    let answer = server.post_json("/predict", &json!({"instances": [{"audio": "!"}, {}]})).await;
    assert_eq!(answer.status(), 400);
    let body: Value = answer.json().await.unwrap();
    assert!(body["error"]["message"].as_str().unwrap().contains("base64"), "{body}");
}

#[tokio::test]
async fn a_body_without_an_envelope_is_answered_without_one() {
    let server = Server::start();
    let native = json!({"audio": base64_of("turn-on-the-kitchen-lights.wav"), "model": "whisper-nano.en"});
    let answer: Value = server.post_json("/predict", &native).await.json().await.unwrap();
    assert_eq!(words(answer["text"].as_str().unwrap()), LIGHTS);
}

#[tokio::test]
async fn a_recording_as_it_is_takes_its_parameters_from_the_query() {
    let server = Server::start();
    let wav = recording("turn-on-the-kitchen-lights.wav");
    for media_type in ["audio/wav", "application/octet-stream", "audio/mpeg", "video/mp4"] {
        let answer = server.post_bytes("/predict?model=whisper-nano.en&wait=60", media_type, wav.clone()).await;
        assert_eq!(words(answer.json::<Value>().await.unwrap()["text"].as_str().unwrap()), LIGHTS, "{media_type}");
    }
    let srt = server.post_bytes("/predict?response_format=srt", "audio/wav", wav).await.text().await.unwrap();
    assert!(srt.starts_with("1\n00:00:0"), "{srt}");
}

#[tokio::test]
async fn a_form_works_as_well() {
    let server = Server::start();
    let form = form(recording("turn-on-the-kitchen-lights.wav"), "whisper-nano.en", &[("timestamps", "none")]);
    let answer: Value =
        server.client.post(server.url("/predict")).multipart(form).send().await.unwrap().json().await.unwrap();
    assert_eq!(words(answer["text"].as_str().unwrap()), LIGHTS);
}
