//! The worker of Silero: with a package that torch made, and with a stand-in for torch on any machine.

use serde_json::{Value, json};

use crate::{
    support::{Server, checkout, espeak, worker::Worker},
    workers::{heard, refused, say},
};

/// The package that a Silero model comes in, made as theirs are; where this machine has torch.
#[tokio::test]
async fn a_package_as_silero_makes_them_speaks() {
    #[expect(clippy::disallowed_methods, reason = "says where torch is, not how the server behaves")]
    let Some(python) = std::env::var_os("TEST_WORKER_PYTHON") else {
        eprintln!("NOT RUN: TEST_WORKER_PYTHON names no Python that has torch");
        return;
    };
    let worker = Worker::example("silero");
    let package = worker.path().join("v4_ru.pt");
    let script = checkout("tests/fixtures/worker/silero_package.py");
    let made = std::process::Command::new(&python).arg(script).arg(&package).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let (python, path) = (python.to_str().unwrap().to_owned(), worker.path().display().to_string());
    let manifest = std::fs::read_to_string(worker.path().join("sconce-worker.toml")).unwrap();
    worker.put("sconce-worker.toml", manifest.replace("\"python3\"", &format!("{python:?}")).as_bytes());
    let source = format!("file:{path}");
    let builder = || Server::builder().env("PATH", "/usr/bin:/bin").env("SCONCE_MODELS__SILERO__SOURCE", &source);
    let server = builder().start();
    let (_, message) = refused(say(&server, "silero", json!({})).await).await;
    // The interpreter is named by its path, so it is pinned as well.
    assert!(message.contains("v4_ru.pt"), "{message}");
    let sha256 = message.rsplit("worker_sha256 = \"").next().unwrap().split('"').next().unwrap().to_owned();
    let server = builder()
        .env("SCONCE_MODELS__SILERO__WORKER_SHA256", &sha256)
        .env("SCONCE_WORKERS__GUARD", env!("CARGO_BIN_EXE_sconce"))
        .start();
    let answer = say(&server, "silero", json!({"input": "Доброе утро.", "voice": "xenia"})).await;
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    let answer =
        say(&server, "silero", json!({"input": "Доброе утро.", "voice": "aidar", "options": {"sample_rate": 8000}}))
            .await;
    let pcm = heard(&answer.bytes().await.unwrap());
    assert!((0.5..3.0).contains(&pcm.seconds()), "{}", pcm.seconds());
    let voices = server.get_json("/v1/audio/voices").await.to_string();
    assert!(["aidar", "baya", "kseniya", "xenia", "eugene"].iter().all(|name| voices.contains(name)), "{voices:.500}");
    for (fields, part) in [
        (json!({"input": "Да.", "voice": "nobody"}), "nobody"),
        (json!({"input": "Да.", "options": {"sample_rate": 44_100}}), "one of 48000, 24000, 8000"),
    ] {
        let (status, message) = refused(say(&server, "silero", fields).await).await;
        assert!(status == 400 && message.contains(part), "{message}");
    }
}

/// The worker of Silero on any machine, with a stand-in for torch: what the versions of the packages have in common, and where they
/// differ.
#[tokio::test]
async fn the_worker_of_silero_speaks_with_each_version() {
    for (package, about, speaker, language) in [
        ("v3_1_ru.pt", json!({"speakers": ["aidar", "xenia", "random"], "example": "Привет."}), "xenia", "\"ru\""),
        ("v4_ua.pt", json!({"speakers": ["mykyta", "random"]}), "mykyta", "\"uk\""),
        ("v5_cis_base.pt", json!({"speakers": ["bak_aigul", "kaz_zhadyra"]}), "kaz_zhadyra", "kaz_zhadyra"),
    ] {
        let worker = Worker::example("silero");
        worker.put("torch.py", &std::fs::read(checkout("tests/fixtures/worker/torch_stand_in.py")).unwrap());
        worker.put(package, about.to_string().as_bytes());
        let server = worker.of(Server::builder(), "silero").start();
        let spoken = async |fields: Value| {
            let answer = say(&server, "silero", fields).await;
            let status = answer.status();
            let bytes = answer.bytes().await.unwrap();
            assert_eq!(status, 200, "{package}: {}", String::from_utf8_lossy(&bytes));
            heard(&bytes)
        };
        let first = spoken(json!({"input": "Доброе утро."})).await;
        assert!((0.05..1.0).contains(&first.seconds()), "{package}: {}", first.seconds());
        let other = spoken(json!({"input": "Доброе утро.", "voice": speaker})).await;
        assert!(other.seconds() > 0.05);
        let options = json!({"sample_rate": 8000, "put_accent": false, "put_yo": true});
        let narrow = spoken(json!({"input": "Доброе утро.", "options": options})).await;
        assert!((narrow.seconds() - first.seconds()).abs() < 0.05, "{package}: {}", narrow.seconds());
        // Longer than one call bears, in the middle of a sentence too.
        let long = spoken(json!({"input": "Доброе утро и добрый вечер, ".repeat(60)})).await;
        assert!(long.seconds() > 10.0 * first.seconds(), "{package}: {}", long.seconds());
        let voices = server.get_json("/v1/audio/voices").await.to_string();
        assert!(voices.contains(speaker) && voices.contains(language) && !voices.contains("random"), "{voices}");
        for (fields, part) in [
            (json!({"input": "Да.", "voice": "nobody"}), "nobody"),
            (json!({"input": "Да.", "options": {"sample_rate": 44_100}}), "one of 48000, 24000, 8000"),
            (json!({"input": "Да.", "options": {"pitch": 3}}), "pitch"),
            (json!({"input": "123", "normalize": false}), "it has no word"),
        ] {
            let (status, message) = refused(say(&server, "silero", fields).await).await;
            assert!(status == 400 && message.contains(part), "{package}: {status} {message}");
        }
    }
    // None, or more than one.
    for packages in [&[][..], &["v3_en.pt", "v4_ru.pt"]] {
        let worker = Worker::example("silero");
        worker.put("torch.py", &std::fs::read(checkout("tests/fixtures/worker/torch_stand_in.py")).unwrap());
        packages.iter().for_each(|package| worker.put(package, b"{\"speakers\": [\"en_0\"]}"));
        let server = worker.of(Server::builder(), "silero").env("SCONCE_LIMITS__WAIT", "2s").start();
        let (status, message) = refused(say(&server, "silero", json!({})).await).await;
        assert!(status == 503 && message.contains("is not available"), "{status} {message}");
        server.stop();
        worker.assert_gone();
    }
}

/// A voice assistant's loop. What hears and a voice of Silero's are loaded at the start, what else is there is not; the voice
/// fails to warm up, so it is left for later, and espeak-ng speaks until it can be had.
#[tokio::test]
async fn an_assistants_voice_that_fails_to_warm_up_comes_later() {
    let Some(espeak) = espeak::program() else { return };
    let trouble = tempfile::NamedTempFile::new().unwrap();
    let worker = Worker::example("silero");
    worker.put("torch.py", &std::fs::read(checkout("tests/fixtures/worker/torch_stand_in.py")).unwrap());
    let about = json!({"speakers": ["lj_16khz"], "example": "Good morning.", "fails_while": trouble.path()});
    worker.put("v3_en.pt", about.to_string().as_bytes());
    let server = worker
        .of(Server::builder(), "silero")
        .env("MODEL_ID", "whisper-nano.en,silero,lark.en")
        .env("SCONCE_MODELS__WHISPER_NANO_EN__PRELOAD", "true")
        .env("SCONCE_MODELS__SILERO__PRELOAD", "true")
        .env("SCONCE_MODELS__SILERO__FALLBACK", "espeak-ng")
        .env("SCONCE_MODELS__LARK_EN__PRELOAD", "false")
        .env("SCONCE_SPEECH__ESPEAK_NG", espeak)
        .env("SCONCE_LOAD_MODE", "startup")
        .env("SCONCE_ON_PRELOAD_FAILURE", "lazy")
        .start();
    server.until("/health", 200).await;
    let status = server.get_json("/models/status").await;
    let of = |model: &str, key: &str| status["models"][model][key].to_string();
    assert_eq!(
        [of("sconce/whisper-nano.en", "status"), of("sconce/lark.en", "status")],
        ["\"ready\"", "\"not_loaded\""],
        "{status}"
    );
    assert!(of("silero", "error").contains("did not survive its first inference"), "{status}");
    let instead = say(&server, "silero", json!({"input": "Turn on the kitchen lights."})).await;
    assert_eq!(instead.headers()["x-sconce-fallback-for"], "silero");
    let sound = instead.bytes().await.unwrap().to_vec();
    let text: Value = server.transcribe(sound, "whisper-nano.en", &[]).await.json().await.unwrap();
    assert_eq!(text["text"], "turn on the kitchen lights");
    trouble.close().unwrap();
    let own = loop {
        let answer = say(&server, "silero", json!({"input": "Turn on the kitchen lights."})).await;
        assert_eq!(answer.status(), 200);
        if !answer.headers().contains_key("x-sconce-fallback-for") {
            break heard(&answer.bytes().await.unwrap());
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    // A hundredth of a second for each letter, by the stand-in.
    assert!((0.2..0.5).contains(&own.seconds()), "{}", own.seconds());
    let status = server.get_json("/models/status").await;
    assert_eq!(status["models"]["silero"]["status"], "ready", "{status}");
}
