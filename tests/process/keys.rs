//! Keys of a process: what it says of them, and SIGHUP.

use std::fs;

use tempfile::TempDir;

use crate::program::{Program, outcome, sconce};

#[test]
fn a_server_without_keys_says_so_once() {
    let cache = TempDir::new().unwrap();
    for (host, times) in [("any", 1), ("0.0.0.0", 1), ("127.0.0.1", 0)] {
        let mut program = Program::start(sconce(&cache).env("PORT", "0").env("SCONCE_SERVER__HOST", host));
        program.terminate();
        program.line("stopped");
        assert_eq!(program.ended().code(), Some(0));
        let said: Vec<_> = program.heard.iter().filter(|line| line.to_string().contains("no keys: ")).collect();
        assert_eq!(said.len(), times, "{said:?}: whoever is on this machine is no stranger");
        assert!(said.iter().all(|line| line["level"] == "WARN"));
    }
}

#[tokio::test]
async fn a_hangup_takes_new_keys_over_at_once() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("keys");
    fs::write(&file, "sk-old\n").unwrap();
    let mut command = sconce(&folder);
    command.env("PORT", "0").env("SCONCE_ACCESS__FILE", &file).env("SCONCE_SERVER__RELOAD", "1d");
    let mut program = Program::start(&mut command);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let status = async |key: &str| {
        client.get(program.url("/v1/models")).bearer_auth(key).send().await.unwrap().status().as_u16()
    };
    assert_eq!((status("sk-old").await, status("sk-new").await), (200, 401));
    fs::write(&file, "sk-new\n").unwrap();
    program.hang_up();
    assert_eq!(program.line("the keys changed")["keys"], 1);
    let status = async |key: &str| {
        client.get(program.url("/v1/models")).bearer_auth(key).send().await.unwrap().status().as_u16()
    };
    assert_eq!((status("sk-old").await, status("sk-new").await), (401, 200));
}

#[test]
fn a_file_of_keys_that_is_not_there_ends_the_start() {
    let cache = TempDir::new().unwrap();
    let (_, stderr, code) = outcome(sconce(&cache).env("PORT", "0").env("SCONCE_ACCESS__FILE", "/nowhere/keys"));
    assert_eq!(code, 1);
    assert!(stderr.contains("the file of keys /nowhere/keys cannot be read"), "{stderr}");
}

#[test]
fn a_key_is_never_printed() {
    let cache = TempDir::new().unwrap();
    let mut command = sconce(&cache);
    command.env("SCONCE_ACCESS__KEYS", "sk-secret").env("SCONCE_ACCESS__ADMIN_KEYS", "sk-secret2").arg("check-config");
    let (stdout, stderr, code) = outcome(&mut command);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("access.admin_keys") && !stdout.contains("sk-secret"), "{stdout}");
}

#[test]
fn a_certificate_without_its_key_is_a_fault() {
    let cache = TempDir::new().unwrap();
    let (_, stderr, code) = outcome(sconce(&cache).env("SCONCE_TLS__CERTIFICATE", "tls.crt"));
    assert_eq!(code, 2);
    assert!(stderr.contains("tls.certificate needs tls.key as well"), "{stderr}");
}
