//! Addresses against a server of our own.

#[path = "../../tests/support/files.rs"]
pub(crate) mod server;

use server::Files;

use super::*;
use crate::speech::{Fault, Kind};

const PATIENCE: Duration = Duration::from_secs(20);
const LIMIT: usize = 100_000;

fn config(files: &Files) -> Config {
    Config {
        buckets: BucketsConfig {
            s3: S3Config { endpoint: Some(files.url().into()), anonymous: true, ..S3Config::default() },
            gcs: GcsConfig { endpoint: Some(files.url().into()), credentials: None, anonymous: true },
        },
        web: WebConfig { allow_hosts: vec![files.host()], allow_http: true, allow_private: true },
        allow_buckets: vec!["sounds".to_owned()],
    }
}

fn remote(files: &Files) -> Remote {
    Remote::new(config(files)).unwrap()
}

async fn refusal(remote: &Remote, uri: &str) -> RemoteError {
    remote.read(uri, LIMIT, PATIENCE).await.unwrap_err()
}

#[tokio::test]
async fn all_three_schemes_are_read() {
    let files = Files::start();
    files.put("sounds/a b/ü.wav", "RIFF");
    for uri in ["gs://sounds/a b/ü.wav", "s3://sounds/a b/ü.wav", &format!("{}/sounds/a%20b/ü.wav", files.url())] {
        let read = remote(&files).read(uri, LIMIT, PATIENCE).await.unwrap();
        assert_eq!((&read.bytes[..], read.content_type.as_deref()), (&b"RIFF"[..], Some("application/octet-stream")));
    }
}

#[tokio::test]
async fn what_is_written_lies_there_with_its_type() {
    let files = Files::start();
    for scheme in ["gs", "s3"] {
        let uri = format!("{scheme}://sounds/out/{scheme}.json");
        remote(&files).write(&uri, Bytes::from_static(b"{}"), "application/json").await.unwrap();
        assert_eq!(files.get(&format!("sounds/out/{scheme}.json")), Some((b"{}".to_vec(), "application/json".into())));
    }
    let error = remote(&files).write("https://x/y", Bytes::new(), "x/y").await.unwrap_err();
    assert!(error.to_string().contains("begin with gs:// or s3://"), "{error}");
}

#[tokio::test]
async fn a_prefix_is_listed_below_its_name_only() {
    let files = Files::start();
    files.put("models/tiny/config.json", "{}").put("models/tiny/a/w.bin", "123").put("models/tiny2/x", "");
    for uri in ["gs://models/tiny", "s3://models/tiny/"] {
        let objects = remote(&files).buckets().list(&uri.parse().unwrap()).await.unwrap();
        let found: Vec<_> = objects.iter().map(|object| (object.name.as_str(), object.size)).collect();
        assert_eq!(found, [("a/w.bin", 3), ("config.json", 2)]);
    }
}

#[tokio::test]
async fn a_range_says_of_which_version_it_is() {
    use futures::TryStreamExt;
    let files = Files::start();
    files.put("models/w.bin", "0123456789");
    let (remote, address) = (remote(&files), "gs://models/w.bin".parse().unwrap());
    let seen = remote.buckets().head(&address).await.unwrap();
    assert_eq!((seen.name.as_str(), seen.size), ("w.bin", 10));
    let (object, stream) = remote.buckets().stream(&address, 3..7).await.unwrap();
    assert_eq!((object, stream.try_collect::<Vec<_>>().await.unwrap().concat()), (seen.clone(), b"3456".to_vec()));
    files.put("models/w.bin", "9876543210");
    assert_ne!(remote.buckets().stream(&address, 3..7).await.unwrap().0.etag, seen.etag);
}

#[tokio::test]
async fn nothing_is_open_to_callers_by_default() {
    let files = Files::start();
    files.put("sounds/a.wav", "RIFF");
    let mut closed = config(&files);
    (closed.allow_buckets, closed.web.allow_hosts) = (Vec::new(), Vec::new());
    let closed = Remote::new(closed).unwrap();
    let web = refusal(&closed, &format!("{}/sounds/a.wav", files.url())).await;
    assert!(web.kind() == Kind::Forbidden && web.to_string().contains("remote.web.allow_hosts"), "{web}");
    let bucket = refusal(&closed, "gs://sounds/a.wav").await;
    assert!(bucket.kind() == Kind::Forbidden && bucket.to_string().contains("remote.allow_buckets"), "{bucket}");
    assert!(closed.write("s3://sounds/a.wav", Bytes::new(), "audio/wav").await.is_err());
    assert_eq!(files.requests(), 0);
}

#[tokio::test]
async fn a_redirect_is_checked_like_the_first_address() {
    let files = Files::start();
    files.put("x.wav", "RIFF").redirect("good", "/x.wav");
    files.redirect("away", "http://169.254.169.254/latest/meta-data");
    files.redirect("round", "/round");
    let (remote, at) = (remote(&files), |path: &str| format!("{}/{path}", files.url()));
    assert_eq!(&remote.read(&at("good"), LIMIT, PATIENCE).await.unwrap().bytes[..], b"RIFF");
    assert!(matches!(refusal(&remote, &at("away")).await, RemoteError::HostNotAllowed { .. }));
    assert!(refusal(&remote, &at("round")).await.to_string().contains("redirects more than 5 times"));
}

#[tokio::test]
async fn private_addresses_are_refused_by_number_and_by_name() {
    let files = Files::start();
    files.put("x.wav", "RIFF");
    let port = files.host().rsplit(':').next().unwrap().to_owned();
    let mut guarded = config(&files);
    guarded.web.allow_private = false;
    guarded.web.allow_hosts = ["127.0.0.1", "localhost", "[::1]"].map(|host| format!("{host}:{port}")).to_vec();
    let guarded = Remote::new(guarded).unwrap();
    for host in ["127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1"] {
        let error = refusal(&guarded, &format!("http://{host}:{port}/x.wav")).await;
        assert!(matches!(error, RemoteError::Private { .. }), "{host}: {error}");
    }
    assert_eq!(files.requests(), 0);
}

#[tokio::test]
async fn plain_http_has_to_be_allowed() {
    let files = Files::start();
    let mut encrypted = config(&files);
    encrypted.web.allow_http = false;
    let error = refusal(&Remote::new(encrypted).unwrap(), &format!("{}/x?token=abc", files.url())).await;
    assert!(error.to_string().contains("remote.web.allow_http") && !error.to_string().contains("abc"), "{error}");
}

#[tokio::test]
async fn size_and_time_are_bounded() {
    let files = Files::start();
    files.put("sounds/long.wav", vec![0; LIMIT + 1]);
    let web = format!("{}/sounds/long.wav", files.url());
    for uri in ["gs://sounds/long.wav", &web] {
        let error = refusal(&remote(&files), uri).await;
        assert!(error.kind() == Kind::TooLarge && error.to_string().contains("100000 bytes"), "{error}");
    }
    let late = remote(&files).read(&web, LIMIT, Duration::ZERO).await.unwrap_err();
    assert_eq!(late.kind(), Kind::Deadline);
}

#[tokio::test]
async fn what_is_not_there_or_broken_is_told_apart() {
    let files = Files::start();
    files.put("sounds/a.wav", "RIFF");
    let (remote, web) = (remote(&files), format!("{}/sounds/a.wav", files.url()));
    for uri in ["gs://sounds/none", "s3://sounds/none", &format!("{}/none", files.url())] {
        let error = refusal(&remote, uri).await;
        assert!(error == RemoteError::NotFound { uri: uri.to_owned() } && error.permanent(), "{error}");
    }
    files.fail_next(1, 503);
    let error = refusal(&remote, &web).await;
    assert!(!error.permanent() && error.to_string().contains("answers 503"), "{error}");
    files.truncate_next(2);
    assert!(!refusal(&remote, &web).await.permanent());
    files.fail_next(1, 503);
    assert_eq!(remote.read("gs://sounds/a.wav", LIMIT, PATIENCE).await.unwrap().bytes.len(), 4, "one 503 is survived");
    files.fail_next(1, 403);
    assert!(matches!(refusal(&remote, "s3://sounds/a.wav").await, RemoteError::Denied { .. }));
    for uri in ["sounds/a.wav", "ftp://host/x", "https://", "file:///etc/passwd", "http://me:pw@127.0.0.1/"] {
        let error = refusal(&remote, uri).await;
        assert!(error.kind() == Kind::Invalid && !error.to_string().contains("pw"), "{error}");
    }
}

/// Answers every request with a listing that never ends; counts what was taken of it.
fn endless_bucket() -> (String, Arc<std::sync::atomic::AtomicUsize>) {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (url, sent) = (format!("http://{}", listener.local_addr().unwrap()), Arc::default());
    let counter: Arc<std::sync::atomic::AtomicUsize> = Arc::clone(&sent);
    std::thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            let _ = connection.read(&mut [0; 4096]);
            let _ = connection.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
            let chunk = [b"10000\r\n".as_slice(), &[b'<'; 1 << 16], b"\r\n"].concat();
            while connection.write_all(&chunk).is_ok() {
                counter.fetch_add(chunk.len(), std::sync::atomic::Ordering::Relaxed);
            }
        }
    });
    (url, sent)
}

#[tokio::test]
async fn a_listing_without_end_is_not_read_to_its_end() {
    let (url, sent) = endless_bucket();
    let s3 = S3Config { endpoint: Some(url.as_str().into()), anonymous: true, ..S3Config::default() };
    let gcs = GcsConfig { endpoint: Some(url.into()), credentials: None, anonymous: true };
    let buckets = Buckets::new(BucketsConfig { s3, gcs });
    for prefix in ["s3://models/tiny", "gs://models/tiny"] {
        let error = buckets.list(&prefix.parse().unwrap()).await.unwrap_err();
        assert!(error.to_string().contains("without end"), "{error}");
    }
    let all = sent.load(std::sync::atomic::Ordering::Relaxed);
    assert!(all < 128 << 20, "{all} bytes were read");
}
