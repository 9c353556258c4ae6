//! The keys in force, and how they change while the server runs.

use std::{fs, path::Path, sync::Arc};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use prometheus::Registry;
use subtle::ConstantTimeEq;
use tracing::{info, warn};

use super::{
    config::Config,
    file::{self, KeyFileError},
    holder::Holder,
    key::{Digest, Key, Scope},
    metrics::Metrics,
};

/// The keys in force. A clone is the same ring.
#[derive(Clone)]
pub struct Keyring(Arc<Inner>);

struct Inner {
    config: Config,
    holders: ArcSwap<Vec<Arc<Holder>>>,
    /// What the file was when it was last looked at: its text, or why it could not be read. Held while it is looked at.
    seen: Mutex<Result<String, String>>,
    metrics: Metrics,
}

/// Why there is no ring.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    #[error(transparent)]
    File(#[from] KeyFileError),
    #[error("access.keys and access.admin_keys: {0}")]
    Configured(String),
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
}

// === impl Keyring ===

impl Keyring {
    /// # Errors
    /// When the file of keys cannot be read or is malformed: to go on without it would be to let everybody in.
    pub fn open(config: Config, registry: &Registry) -> Result<Self, KeyringError> {
        let metrics = Metrics::register(registry)?;
        let configured = configured(&config);
        file::doubles(&configured).map_err(KeyringError::Configured)?;
        let text = config.file.as_deref().map(read).transpose()?.unwrap_or_default();
        let inner = Inner { config, holders: ArcSwap::default(), seen: Mutex::new(Ok(text.clone())), metrics };
        let ring = Self(Arc::new(inner));
        ring.adopt(&text)?;
        Ok(ring)
    }

    /// Whether a key is asked for at all.
    pub fn asks_for_keys(&self) -> bool {
        !self.0.holders.load().is_empty()
    }

    /// Who holds this key. Every digest is compared, and each in constant time: how long it takes tells nothing.
    pub(super) fn find(&self, key: &str) -> Option<Arc<Holder>> {
        let digest = Digest::of(key);
        let holders = self.0.holders.load();
        let matching = |holder: &&Arc<Holder>| bool::from(holder.key.digest.ct_eq(&digest));
        holders.iter().filter(matching).fold(None, |_, holder| Some(holder.clone()))
    }

    pub(super) fn config(&self) -> &Config {
        &self.0.config
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// Looks at the file, and takes its keys if its text is another than before; if they are of no use, the old ones
    /// stay in force. Blocks on the file system.
    pub fn reload(&self) {
        let Some(path) = &self.0.config.file else { return };
        let mut seen = self.0.seen.lock();
        let now = read(path).map_err(|error| error.to_string());
        if *seen == now {
            return;
        }
        let adopted = match &now {
            Ok(text) => self.adopt(text).map_err(|error| error.to_string()),
            Err(problem) => Err(problem.clone()),
        };
        *seen = now;
        self.0.metrics.reloaded(adopted.is_ok());
        match adopted {
            Ok(()) => info!(keys = self.0.holders.load().len(), "the keys changed"),
            Err(problem) => warn!(problem, "the keys stay as they were"),
        }
    }

    fn adopt(&self, text: &str) -> Result<(), KeyFileError> {
        let mut keys = configured(&self.0.config);
        if let Some(path) = &self.0.config.file {
            let toml = path.extension().is_some_and(|extension| extension == "toml");
            let malformed = |problem| KeyFileError::Malformed { path: path.clone(), problem };
            keys.extend(file::parse(text, toml).map_err(malformed)?);
            file::doubles(&keys).map_err(malformed)?;
        }
        let before = self.0.holders.load();
        let holders: Vec<_> = keys.into_iter().map(|key| Arc::new(self.holder(key, &before))).collect();
        self.0.metrics.in_force(holders.len());
        self.0.holders.store(Arc::new(holders));
        Ok(())
    }

    fn holder(&self, mut key: Key, before: &[Arc<Holder>]) -> Holder {
        key.limits = key.limits.or(self.0.config.limits);
        let same = before.iter().find(|holder| holder.key.name == key.name);
        Holder::new(key, same.map(AsRef::as_ref), self.0.metrics.clone())
    }

    /// For the log of a server, once, at its start.
    pub fn say(&self, on_loopback: bool) {
        match self.0.holders.load().len() {
            0 if on_loopback => {}
            0 => warn!("no keys: whoever reaches the port may use this server; access.keys or access.file closes it"),
            keys => info!(keys, "keys are asked for"),
        }
    }
}

fn configured(config: &Config) -> Vec<Key> {
    let infer = config.keys.iter().map(|digest| Key::unnamed(*digest, &[Scope::Infer]));
    let admin = config.admin_keys.iter().map(|digest| Key::unnamed(*digest, &[Scope::Infer, Scope::Admin]));
    infer.chain(admin).collect()
}

fn read(path: &Path) -> Result<String, KeyFileError> {
    fs::read_to_string(path).map_err(|source| KeyFileError::Unreadable { path: path.to_owned(), source })
}
