//! Programs of `tests/clients`, run by the interpreter that `TEST_PYTHON` names; `.ci/run` makes one that has all they
//! need, and `make test` leaves out the tests that call this where there is none.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
};

use super::checkout;

/// `tests/clients/<script>` with its arguments, for tests that want to look at it while it runs.
pub fn command(script: &str, arguments: &[&str]) -> Command {
    of_checkout(&format!("tests/clients/{script}"), arguments)
}

/// Any script of the checkout.
#[expect(clippy::disallowed_methods, reason = "says where the script is, not how the server behaves")]
pub fn of_checkout(script: &str, arguments: &[&str]) -> Command {
    let python = std::env::var("TEST_PYTHON").expect("TEST_PYTHON names no interpreter; .ci/run makes one");
    let mut command = Command::new(python);
    command.arg(checkout(script)).args(arguments).env("NO_PROXY", "127.0.0.1,localhost");
    command
}

/// The folder of PyPI's packages that holds this one, of the interpreter that `TEST_PYTHON` names; without it a test that needs
/// it says so and ends. `.ci/run` installs it.
pub fn packages_with(package: &str) -> Option<PathBuf> {
    let lib = environment().map(|folder| folder.join("lib"));
    let pythons = lib.into_iter().flat_map(|lib| fs::read_dir(lib).into_iter().flatten().flatten());
    let packages = pythons.map(|python| python.path().join("site-packages"));
    let found = packages.filter(|packages| packages.join(package).is_dir()).max();
    if found.is_none() {
        println!("skipped: TEST_PYTHON names no interpreter that has the package {package}");
    }
    found
}

/// A recording that `tests/clients/get_recordings.py` put beside those packages; without it a test says so.
pub fn recording(name: &str) -> Option<PathBuf> {
    let found = environment().map(|folder| folder.join("recordings").join(name)).filter(|path| path.is_file());
    if found.is_none() {
        println!("skipped: there is no {name} of tests/clients/get_recordings.py");
    }
    found
}

/// The folder of the environment whose interpreter `TEST_PYTHON` names.
#[expect(clippy::disallowed_methods, reason = "says where packages are, not how the server behaves")]
fn environment() -> Option<PathBuf> {
    let python = PathBuf::from(std::env::var_os("TEST_PYTHON")?);
    Some(python.parent()?.parent()?.to_path_buf())
}

/// Runs it to its end, which must be a good one.
pub fn run(script: &str, arguments: &[&str]) -> Output {
    finish(command(script, arguments))
}

/// Runs any command to its end, which must be a good one.
pub fn finish(mut command: Command) -> Output {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{command:?}:\n{said}\n{}", String::from_utf8_lossy(&output.stderr));
    output
}
