//! What a service manager hears from the program, through a socket like its own.

use std::{os::unix::net::UnixDatagram, time::Duration};

use tempfile::TempDir;

use crate::program::{Program, sconce};

/// The manager's end of the socket; a service that says nothing for long fails the test.
fn manager(folder: &TempDir) -> (UnixDatagram, std::path::PathBuf) {
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    (socket, path)
}

/// The lines of messages up to and with the first that is `last`.
fn heard(socket: &UnixDatagram, last: &str) -> Vec<String> {
    let (mut lines, mut buffer) = (Vec::new(), [0; 4096]);
    while lines.last().is_none_or(|line| line != last) {
        let length = socket.recv(&mut buffer).unwrap_or_else(|error| panic!("no {last} after {lines:?}: {error}"));
        let message = str::from_utf8(&buffer[..length]).unwrap();
        for line in message.lines() {
            lines.push(line.to_owned());
            if line == last {
                break;
            }
        }
    }
    lines
}

#[test]
fn it_is_ready_alive_and_stopping_in_that_order() {
    let (cache, folder) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (socket, path) = manager(&folder);
    let mut command = sconce(&cache);
    command.env("PORT", "0").env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "200000");
    let mut program = Program::start(&mut command);
    heard(&socket, "READY=1");
    heard(&socket, "WATCHDOG=1");
    heard(&socket, "WATCHDOG=1");
    program.terminate();
    heard(&socket, "STOPPING=1");
    assert_eq!(program.ended().code(), Some(0));
}

#[test]
fn a_start_that_waits_for_its_models_is_ready_after_them() {
    let (cache, folder) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (socket, path) = manager(&folder);
    let mut command = sconce(&cache);
    command.env("PORT", "0").env("NOTIFY_SOCKET", &path).env("LOAD_MODE", "startup");
    let _program = Program::start(&mut command);
    let before = heard(&socket, "READY=1");
    assert!(before.iter().any(|line| line.starts_with("STATUS=loading: sconce/whisper-nano.en")), "{before:?}");
    heard(&socket, "STATUS=ready: sconce/whisper-nano.en");
}
