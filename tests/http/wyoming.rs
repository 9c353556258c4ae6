//! The Wyoming protocol, over its own port.

use serde_json::{Value, json};

use crate::{
    recordings::{truths, words},
    support::{
        Server,
        socket::{pcm16, said},
        wyoming::{Event, Wyoming, serve},
    },
};

/// Hertz at which these tests speak.
const RATE: u32 = 24_000;

fn kinds(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.kind.as_str()).collect()
}

/// The sound of some events, and its rate.
fn sound(events: &[Event]) -> (Vec<f32>, u32) {
    let starts: Vec<_> = events.iter().filter(|event| event.kind == "audio-start").collect();
    assert_eq!(starts.len(), 1, "{:?}", kinds(events));
    let (format, rate) = (&starts[0].data, starts[0].data["rate"].as_u64().unwrap() as u32);
    assert_eq!((&format["width"], &format["channels"]), (&json!(2), &json!(1)));
    let bytes: Vec<u8> = events.iter().flat_map(|event| event.payload.clone()).collect();
    let samples = bytes.chunks_exact(2).map(|pair| f32::from(i16::from_le_bytes([pair[0], pair[1]])) / 32_768.0);
    (samples.collect(), rate)
}

/// How often something is spoken until it is heard right: the protocol knows no seed, so each time sounds a little
/// different, and the small model mishears one in some fifty.
const TRIES: usize = 4;

/// What the server itself hears in its speech.
async fn heard(server: &Server, events: &[Event]) -> Vec<String> {
    let (samples, rate) = sound(events);
    let wav = sconce::audio::encode_wav(&sconce::audio::Pcm::new(samples, rate));
    let body: Value = server.transcribe(wav, "whisper-nano.en", &[]).await.json().await.unwrap();
    words(body["text"].as_str().unwrap())
}

#[tokio::test]
async fn what_there_is_is_described() {
    let (server, address) = serve(Server::builder());
    let mut client = Wyoming::connect(address).await;
    client.send("describe", json!({})).await;
    let info = client.next().await.unwrap();
    assert_eq!(info.kind, "info");
    let asr = &info.data["asr"][0];
    assert_eq!((&asr["installed"], &asr["supports_transcript_streaming"]), (&json!(true), &json!(true)));
    let nano =
        asr["models"].as_array().unwrap().iter().find(|model| model["name"] == "sconce/whisper-nano.en").unwrap();
    assert_eq!(nano["languages"], json!(["en"]));
    let tts = &info.data["tts"][0];
    assert_eq!(tts["supports_synthesize_streaming"], true);
    let voices = tts["voices"].as_array().unwrap();
    let lark = voices.iter().find(|voice| voice["name"].as_str().unwrap().starts_with("sconce/lark.en")).unwrap();
    assert!(lark["languages"].as_array().unwrap().iter().any(|tag| tag.as_str().unwrap().starts_with("en")), "{lark}");
    client.send("ping", json!({"text": "hello"})).await;
    let pong = client.next().await.unwrap();
    assert_eq!((pong.kind.as_str(), &pong.data), ("pong", &json!({"text": "hello"})));
    drop(server);
}

#[tokio::test]
async fn every_recording_gets_its_transcript() {
    let (server, address) = serve(Server::builder().env("SCONCE_LIVE__PARTIALS", "500ms"));
    let mut client = Wyoming::connect(address).await;
    for (file, truth) in truths() {
        client.send("transcribe", json!({"name": "whisper-nano.en", "language": "en"})).await;
        client.say(&pcm16(&[said(&file)]), RATE).await;
        let events = client.until("transcript-stop").await;
        let transcript = events.iter().find(|event| event.kind == "transcript").unwrap();
        assert_eq!(words(transcript.data["text"].as_str().unwrap()), words(&truth), "{file}");
        assert_eq!(transcript.data["language"], "en");
        assert_eq!(events[0].kind, "transcript-start");
        let parts = events.iter().filter(|event| event.kind == "transcript-chunk");
        let parts: String = parts.map(|event| event.data["text"].as_str().unwrap()).collect();
        assert_eq!(parts, transcript.data["text"].as_str().unwrap(), "{file}");
    }
    let served = server.metric("sconce_requests_total", &[("protocol", "wyoming"), ("outcome", "ok")]).await;
    assert_eq!(served, truths().len() as f64);
    assert_eq!(server.metric("sconce_live_sessions", &[]).await, 0.0);
    // Nothing was said.
    client.say(&[], RATE).await;
    let transcript = client.until("transcript").await.pop().unwrap();
    assert_eq!(transcript.data["text"], "");
}

#[tokio::test]
async fn a_text_is_spoken() {
    let (server, address) = serve(Server::builder());
    let mut client = Wyoming::connect(address).await;
    client.send("describe", json!({})).await;
    let info = client.next().await.unwrap();
    let voice = info.data["tts"][0]["voices"][0]["name"].clone();
    let mut spoken = 0.0;
    for wish in [json!({}), json!({"name": voice}), json!({"language": "en"}), json!({"name": "lark.en"})] {
        let mut tries = Vec::new();
        // "Seventh" is what the small model takes the last one for now and then.
        while !tries.last().is_some_and(|words: &Vec<String>| words.join(" ").starts_with("wake me up at")) {
            assert!(tries.len() < TRIES, "{wish}: {tries:?}");
            client.send("synthesize", json!({"text": "Wake me up at seven.", "voice": wish})).await;
            spoken += 1.0;
            tries.push(heard(&server, &client.until("audio-stop").await).await);
        }
    }
    let ssml = json!({"text": "<speak>Good <break time=\"300ms\"/> morning.</speak>", "text_format": "ssml"});
    client.send("synthesize", ssml).await;
    assert!(sound(&client.until("audio-stop").await).0.len() > 8000);
    assert_eq!(
        server.metric("sconce_requests_total", &[("protocol", "wyoming"), ("outcome", "ok")]).await,
        spoken + 1.0
    );
}

#[tokio::test]
async fn a_text_that_is_being_written_is_spoken_sentence_by_sentence() {
    let (server, address) = serve(Server::builder());
    let mut client = Wyoming::connect(address).await;
    let mut tries = Vec::new();
    while !tries.last().is_some_and(|words: &Vec<String>| words.join(" ").contains("wake me up at seven wake me up at"))
    {
        assert!(tries.len() < TRIES, "{tries:?}");
        client.send("synthesize-start", json!({})).await;
        for part in ["Wake me up at se", "ven. Wake", " me up at seven. "] {
            client.send("synthesize-chunk", json!({"text": part})).await;
        }
        // The first sentence is there, though the text has no end yet.
        let mut events = client.until("audio-chunk").await;
        // For servers that do not know of parts.
        client.send("synthesize", json!({"text": "Wake me up at seven. Wake me up at seven."})).await;
        client.send("synthesize-stop", json!({})).await;
        events.extend(client.until("synthesize-stopped").await);
        let kinds = kinds(&events);
        assert_eq!((kinds[0], kinds[kinds.len() - 2]), ("audio-start", "audio-stop"));
        tries.push(heard(&server, &events).await);
    }
    client.send("synthesize-start", json!({})).await;
    client.send("synthesize-stop", json!({})).await;
    assert_eq!(client.next().await.unwrap().kind, "synthesize-stopped");
}

#[tokio::test]
async fn a_mistake_is_told_and_the_connection_goes_on() {
    let (_server, address) =
        serve(Server::builder().env("SCONCE_WYOMING__MAX_AUDIO", "2s").env("SCONCE_LIMITS__MAX_TEXT", "30"));
    let mut client = Wyoming::connect(address).await;
    let format = |width: u32, rate: u32| json!({"rate": rate, "width": width, "channels": 1});
    let long = "It is half past six in the morning. ".repeat(2);
    client.send("synthesize-start", json!({})).await;
    client.send("synthesize-chunk", json!({"text": long})).await;
    assert!(client.error().await.contains("more than 30 characters (`limits.max_text`)"));
    let cases = [
        ("audio-start", format(4, RATE), "2 bytes a sample would be right"),
        ("audio-start", format(2, 1), "8000 to 48000 would be right"),
        ("synthesize", json!({}), "missing field `text`"),
        ("synthesize", json!({"text": long}), "more than the limit of 30"),
        ("synthesize", json!({"text": "a", "text_format": "x"}), "text or ssml would be right"),
        ("synthesize", json!({"text": "a", "voice": {"name": "nobody"}}), "nobody"),
    ];
    for (kind, data, message) in cases {
        client.send(kind, data).await;
        let said = client.error().await;
        assert!(said.contains(message), "{said}");
    }
    client.send("transcribe", json!({"name": "nobody"})).await;
    client.send("audio-start", format(2, RATE)).await;
    assert!(client.error().await.contains("there is no model"));
    // What follows of that sound, and events of others, are passed over.
    client.send_with("audio-chunk", format(2, RATE), &[0; 100]).await;
    client.send("audio-stop", json!({})).await;
    client.send("voice-started", json!({})).await;
    client.send("transcribe", json!({})).await;
    client.send("audio-start", format(2, RATE)).await;
    client.send_with("audio-chunk", format(2, RATE), &[0; 99]).await;
    assert!(client.error().await.contains("a multiple of 2 would be right"));
    client.send("audio-start", format(2, RATE)).await;
    client.send_with("audio-chunk", format(2, 16_000), &[0; 100]).await;
    assert!(client.error().await.contains("the format of the sound has changed"));
    client.say(&vec![0; RATE as usize * 2 * 3], RATE).await;
    assert!(client.error().await.contains("longer than 2 s (`wyoming.max_audio`)"));
    client.send("ping", json!({})).await;
    assert_eq!(client.next().await.unwrap().kind, "pong");
}

#[tokio::test]
async fn what_is_no_event_ends_its_connection_alone() {
    let (_server, address) =
        serve(Server::builder().env("SCONCE_WYOMING__MAX_HEADER", "1000").env("SCONCE_WYOMING__MAX_PAYLOAD", "2000"));
    let mut other = Wyoming::connect(address).await;
    let cases = [
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "the line is no event"),
        (vec![b' '; 2000], "more than 1000 bytes of JSON (`wyoming.max_header`)"),
        (b"{\"type\":\"describe\",\"data_length\":2000000000}\n".to_vec(), "more than 1000 bytes of JSON"),
        (b"{\"type\":\"audio-chunk\",\"payload_length\":2001}\n".to_vec(), "has 2001 bytes; 2000 at most"),
    ];
    for (bytes, message) in cases {
        let mut client = Wyoming::connect(address).await;
        client.raw(&bytes).await;
        let said = client.error().await;
        assert!(said.contains(message), "{said}");
        assert!(client.next().await.is_none(), "{message}");
    }
    other.send("ping", json!({})).await;
    assert_eq!(other.next().await.unwrap().kind, "pong");
}

#[tokio::test]
async fn there_are_so_many_connections_and_silent_ones_end() {
    let (_server, address) =
        serve(Server::builder().env("SCONCE_WYOMING__MAX_CONNECTIONS", "1").env("SCONCE_WYOMING__IDLE", "1s"));
    let mut first = Wyoming::connect(address).await;
    first.send("ping", json!({})).await;
    assert_eq!(first.next().await.unwrap().kind, "pong");
    let mut second = Wyoming::connect(address).await;
    second.send("ping", json!({})).await;
    // The first one says nothing more, and makes room for the second.
    assert!(first.next().await.is_none());
    assert_eq!(second.next().await.unwrap().kind, "pong");
}

#[tokio::test]
async fn a_server_that_stops_finishes_what_was_begun() {
    let (server, address) = serve(Server::builder());
    let mut client = Wyoming::connect(address).await;
    let mut idle = Wyoming::connect(address).await;
    idle.send("ping", json!({})).await;
    idle.until("pong").await;
    let sound = pcm16(&[said("good-morning.flac")]);
    let format = json!({"rate": RATE, "width": 2, "channels": 1});
    client.send("audio-start", format.clone()).await;
    client.send_with("audio-chunk", format, &sound).await;
    client.send("ping", json!({})).await;
    client.until("pong").await;
    // The model is there, so that nothing has to be loaded any more.
    server.transcribe(crate::support::recording("good-morning.flac"), "whisper-nano.en", &[]).await;
    let stopping = tokio::task::spawn_blocking(move || server.stop());
    assert!(idle.next().await.is_none());
    client.send("audio-stop", json!({})).await;
    let transcript = client.until("transcript").await.pop().unwrap();
    assert!(!transcript.data["text"].as_str().unwrap().is_empty());
    drop(client);
    stopping.await.unwrap();
}

#[tokio::test]
async fn a_second_end_of_the_sound_takes_no_text_away() {
    let (_server, address) = serve(Server::builder());
    let mut client = Wyoming::connect(address).await;
    let format = json!({"rate": RATE, "width": 2, "channels": 1});
    client.say(&pcm16(&[said("good-morning.flac")]), RATE).await;
    // What comes after the end belongs to nothing.
    client.send_with("audio-chunk", format, &[0; 100]).await;
    client.send("audio-stop", json!({})).await;
    let transcript = client.until("transcript").await.pop().unwrap();
    let truth = truths().into_iter().find(|(file, _)| file == "good-morning.flac").unwrap().1;
    assert_eq!(words(transcript.data["text"].as_str().unwrap()), words(&truth));
    client.send("ping", json!({})).await;
    assert_eq!(client.until("pong").await[0].kind, "transcript-stop");
}
