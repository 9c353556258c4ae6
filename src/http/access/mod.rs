//! Who may do what, and how much of it: keys, scopes, and the limits that hold for each key and for all together.
//!
//! One layer stands before every route. Without keys it lets everybody in; with keys it lets in who has one, and probes.
//! A route that nobody listed in `routes` asks for the scope `admin`, so that forgetting one closes it.

mod caller;
mod config;
mod credential;
mod file;
mod gate;
mod holder;
mod key;
mod keyring;
mod metrics;
mod permit;
mod routes;

pub(super) use self::{
    caller::{allowance, may, principal, require},
    routes::Routes,
};
pub use self::{
    config::Config,
    file::KeyFileError,
    gate::Gate,
    key::{Digest, Key, Limits, Scope},
    keyring::{Keyring, KeyringError},
};

#[cfg(test)]
pub(super) mod tests;
