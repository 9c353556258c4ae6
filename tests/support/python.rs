//! Programs of `tests/clients`, run by the interpreter that `TEST_PYTHON` names; `.ci/run` makes one that has all they
//! need, and `make test` leaves out the tests that call this where there is none.

use std::process::{Command, Output};

use super::checkout;

/// `tests/clients/<script>` with its arguments, for tests that want to look at it while it runs.
#[expect(clippy::disallowed_methods, reason = "says where the client is, not how the server behaves")]
pub fn command(script: &str, arguments: &[&str]) -> Command {
    let python = std::env::var("TEST_PYTHON").expect("TEST_PYTHON names no interpreter; .ci/run makes one");
    let mut command = Command::new(python);
    command.arg(checkout("tests/clients").join(script)).args(arguments).env("NO_PROXY", "127.0.0.1,localhost");
    command
}

/// Runs it to its end, which must be a good one.
pub fn run(script: &str, arguments: &[&str]) -> Output {
    let output = command(script, arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{script}:\n{said}\n{}", String::from_utf8_lossy(&output.stderr));
    output
}
