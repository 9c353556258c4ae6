use std::num::NonZeroU32;

use actix_web::{
    App,
    http::Method,
    middleware::from_fn,
    test::{TestRequest, call_service, init_service},
    web,
};

use super::{
    credential, file,
    key::{Digest, Key, Limits, Scope},
    routes::{Need, Route, Routes},
    *,
};
use crate::{
    http::problem::Shape,
    service::{Allowance, OverAllowance},
    speech::Fault,
};

pub(in crate::http) fn config() -> Config {
    let limits = Limits::default();
    Config { keys: vec![], admin_keys: vec![], file: None, open_metrics: false, limits, concurrency: None }
}

pub(in crate::http) fn http(access: Config) -> crate::http::Config {
    crate::http::Config {
        server_name: None,
        body_limit: 1,
        bodies_limit: usize::MAX,
        max_instances: usize::MAX,
        max_fields: usize::MAX,
        body_timeout: std::time::Duration::MAX,
        health_route: Some("/v1/endpoints/7/deployedModels/9".to_owned()),
        predict_route: Some("/v1/endpoints/7/deployedModels/9:predict".to_owned()),
        admin: true,
        stall_timeout: std::time::Duration::MAX,
        access,
        console: true,
        realtime: crate::http::RealtimeConfig {
            max_message: usize::MAX,
            idle: std::time::Duration::MAX,
            ping: std::time::Duration::MAX,
        },
        cors_origins: Vec::new(),
        unknown_fields: crate::http::UnknownFields::Refuse,
    }
}

fn ring(config: Config) -> Keyring {
    Keyring::open(config, &prometheus::Registry::new()).unwrap()
}

fn some(count: u32) -> Option<NonZeroU32> {
    NonZeroU32::new(count)
}

#[test]
fn a_key_is_found_as_it_is_and_by_its_digest() {
    let digest = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(b"sk-two"));
    let keys = vec![Digest::parse("sk-one").unwrap(), Digest::parse(&format!("sha256:{digest}")).unwrap()];
    let ring = ring(Config { keys, ..config() });
    assert!(ring.find("sk-one").is_some() && ring.find("sk-two").is_some());
    for wrong in ["sk-three", "sk-on", "sk-one ", "", &format!("sha256:{digest}")] {
        assert!(ring.find(wrong).is_none(), "{wrong:?}");
    }
}

#[test]
fn what_is_no_key_is_refused() {
    for wrong in ["", "two words", "ключ", "sha256:12", "sha256:zz"] {
        assert_eq!(Digest::parse(wrong), None, "{wrong:?}");
    }
}

#[test]
fn a_plain_file_has_a_key_on_each_line() {
    let keys = file::parse("# ours\nsk-one\n\n  sk-two  \n", false).unwrap();
    assert_eq!(keys.len(), 2);
    assert_eq!((keys[0].digest, keys[0].scopes.as_slice()), (Digest::of("sk-one"), &[Scope::Infer][..]));
    assert!(keys[0].name.starts_with("key-") && keys[0].name != keys[1].name);
    assert_eq!(file::parse("sk-one\ntwo words\n", false).unwrap_err().split(':').next(), Some("line 2"));
    assert!(file::parse("# nobody\n", false).unwrap_err().contains("no key"));
}

#[test]
fn a_toml_file_has_names_scopes_and_limits() {
    let text = "[[keys]]\nname = 'a'\nkey = 'sk-one'\nscopes = ['infer', 'admin']\nrequests_per_minute = 3\n\
                [[keys]]\nname = 'b'\nkey = 'sk-two'\n";
    let keys = file::parse(text, true).unwrap();
    assert_eq!((keys[0].name.as_str(), keys[0].limits.requests_per_minute), ("a", some(3)));
    assert_eq!(keys[0].scopes, [Scope::Infer, Scope::Admin]);
    assert_eq!(keys[1].scopes, [Scope::Infer]);
}

#[test]
fn a_broken_file_is_told_by_line_and_without_its_keys() {
    for (text, part) in [
        ("[[keys]]\nname = 'a'\nkey = 'sk-secret'\nscope = 'admin'\n", "line 4"),
        ("[[keys]]\nname = 'a'\nkey = 'sk-secret' oops\n", "line 3"),
        ("[[keys]]\nname = 'a'\nkey = 'sk-secret and more'\n", "\"a\""),
        ("[[keys]]\nname = 'a'\nkey = 'sk-secret'\nscopes = ['everything']\n", "everything"),
        ("[[keys]]\nname = 'a'\nkey = 'sk-secret'\nrequests_per_minute = 0\n", "line 4"),
    ] {
        let problem = file::parse(text, true).unwrap_err();
        assert!(problem.contains(part) && !problem.contains("sk-secret"), "{problem}");
    }
}

#[test]
fn two_keys_of_one_name_or_one_key_of_two_names_are_refused() {
    let key = |name: &str, key: &str| Key { name: name.to_owned(), ..Key::unnamed(Digest::of(key), &[Scope::Infer]) };
    assert!(file::doubles(&[key("a", "1"), key("a", "2")]).unwrap_err().contains("name"));
    assert!(file::doubles(&[key("a", "1"), key("b", "1")]).unwrap_err().contains("same key"));
    assert!(file::doubles(&[key("a", "1"), key("b", "2")]).is_ok());
}

#[test]
fn a_changed_file_changes_the_keys_and_a_broken_one_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.txt");
    std::fs::write(&path, "sk-one\n").unwrap();
    let ring = ring(Config { file: Some(path.clone()), ..config() });
    for broken in ["", "two words\n"] {
        std::fs::write(&path, broken).unwrap();
        ring.reload();
        assert!(ring.find("sk-one").is_some(), "{broken:?}");
    }
    std::fs::remove_file(&path).unwrap();
    ring.reload();
    assert!(ring.find("sk-one").is_some());
    std::fs::write(&path, "sk-two\n").unwrap();
    ring.reload();
    assert!(ring.find("sk-one").is_none() && ring.find("sk-two").is_some());
}

#[test]
fn a_server_does_not_start_without_the_keys_that_it_should_have() {
    let open = |path: &str| {
        Keyring::open(Config { file: Some(path.into()), ..config() }, &prometheus::Registry::new()).err().unwrap()
    };
    assert!(open("/nowhere/keys").to_string().contains("/nowhere/keys cannot be read"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    std::fs::write(&path, "# none yet\n").unwrap();
    assert!(open(path.to_str().unwrap()).to_string().contains("there is no key in it"));
}

#[test]
fn a_new_key_of_the_same_name_is_no_new_allowance() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.toml");
    let write = |key: &str, limit: u32| {
        let text = format!("[[keys]]\nname = 'a'\nkey = '{key}'\nrequests_per_minute = {limit}\n");
        std::fs::write(&path, text).unwrap();
    };
    write("one", 1);
    let ring = ring(Config { file: Some(path.clone()), ..config() });
    assert!(ring.find("one").unwrap().request().is_ok());
    write("two", 1);
    ring.reload();
    assert!(ring.find("two").unwrap().request().is_err());
    write("two", 2);
    ring.reload();
    assert!(ring.find("two").unwrap().request().is_ok());
}

#[test]
fn audio_is_taken_by_whole_seconds_until_the_allowance_is_spent() {
    let limits = Limits { audio_seconds_per_minute: some(10), ..Limits::default() };
    let ring = ring(Config { keys: vec![Digest::of("k")], limits, ..config() });
    let holder = ring.find("k").unwrap();
    assert!(holder.take_audio(5.2).is_ok());
    assert!(holder.take_audio(4.0).is_ok());
    let spent = holder.take_audio(1.0).unwrap_err();
    assert!(matches!(spent, OverAllowance::Spent { .. }) && spent.retry_after().is_some(), "{spent}");
    let long = holder.take_audio(11.0).unwrap_err();
    assert!(matches!(long, OverAllowance::TooLong { .. }) && long.retry_after().is_none(), "{long}");
}

#[test]
fn requests_under_way_are_bounded_until_they_end() {
    let limits = Limits { concurrency: some(1), ..Limits::default() };
    let ring = ring(Config { keys: vec![Digest::of("k")], limits, ..config() });
    let holder = ring.find("k").unwrap();
    let slot = holder.slot().unwrap();
    assert!(holder.slot().is_err());
    drop(slot);
    assert!(holder.slot().is_ok());
}

#[test]
fn keys_are_taken_from_the_headers_that_tools_send() {
    let key = |name: &'static str, value: &'static str| {
        let request = TestRequest::default().insert_header((name, value)).to_http_request();
        credential::keys(request.headers()).next().map(str::to_owned)
    };
    for (name, value) in
        [("Authorization", "Bearer sk"), ("authorization", "bearer  sk "), ("X-Api-Key", "sk"), ("api-key", "sk")]
    {
        assert_eq!(key(name, value).as_deref(), Some("sk"), "{name}: {value}");
    }
    for (name, value) in [("Authorization", "Basic c2s6"), ("Authorization", "sk"), ("Authorization", "Bearer ")] {
        assert_eq!(key(name, value), None, "{name}: {value}");
    }
}

#[test]
fn probes_need_nothing_and_a_route_that_nobody_listed_needs_administration() {
    let closed = http(config());
    let routes = Routes::new(&closed);
    let need = |method, path: &str| routes.need(&method, path);
    let (infer, admin) = (Need::A(Scope::Infer), Need::A(Scope::Admin));
    for probe in ["/health", "/health/live", "/ping", "/v2/health/ready", "/v1/endpoints/7/deployedModels/9"] {
        assert_eq!(need(Method::GET, probe), Need::Nothing, "{probe}");
        assert_ne!(need(Method::POST, probe), Need::Nothing, "{probe}");
    }
    for path in ["/v1/models", "/predict", "/v1/endpoints/7/deployedModels/9:predict", "/metrics", "/v2/models/a/infer"]
    {
        assert_eq!(need(Method::POST, path), infer, "{path}");
    }
    assert_eq!(need(Method::GET, "/v1/audio/voices"), infer);
    assert_eq!(need(Method::DELETE, "/v1/audio/voices/anna"), admin);
    for path in ["/download-models", "/v2/repository/models/a/load", "/shut-down", "/%68ealth", "/health/", "//health"]
    {
        assert_eq!(need(Method::GET, path), admin, "{path}");
    }
    let open = http(Config { open_metrics: true, ..config() });
    assert_eq!(Routes::new(&open).need(&Method::GET, "/metrics"), Need::Nothing);
}

#[test]
fn each_path_is_answered_in_its_protocol() {
    let routes = Routes::new(&http(config()));
    for (path, shape) in [
        ("/v1/audio/transcriptions", Shape::OpenAi),
        ("/v1/endpoints/7/deployedModels/9:predict", Shape::Google),
        ("/v2/models/a/infer", Shape::Oip),
        ("/v2", Shape::Oip),
        ("/predict", Shape::Google),
    ] {
        assert_eq!(routes.shape(path), shape, "{path}");
    }
}

/// Work is what is posted, and any request to a route that says so.
#[actix_web::test]
async fn a_live_route_is_work_whatever_its_method() {
    const TABLE: &[Route] = &[Route::infer("/live").live(), Route::infer("/look")];
    let limits = Limits { requests_per_minute: some(1), ..Limits::default() };
    let ring = ring(Config { keys: vec![Digest::of("k")], limits, ..config() });
    let gate = Gate::before(Routes::with(TABLE, &http(config())), ring);
    let layer = from_fn(move |request, next| gate.clone().pass(request, next));
    let app = init_service(App::new().wrap(layer).default_service(web::to(async || "here"))).await;
    let get = async |path: &str| {
        let request = TestRequest::get().uri(path).insert_header(("x-api-key", "k"));
        call_service(&app, request.to_request()).await.status().as_u16()
    };
    assert_eq!([get("/look").await, get("/look").await], [200, 200]);
    assert_eq!([get("/live").await, get("/live").await], [200, 429]);
    assert_eq!(get("/look").await, 200);
}
