//! Licences that somebody has to agree to before files are fetched: who agreed once, agreed for a cache.

use std::{io::Write, path::PathBuf};

use super::{Source, Store, StoreError};
use crate::model::Terms;

/// In the cache, a file for each licence.
const FOLDER: &str = ".sconce/licences";

// === impl Store ===

impl Store {
    /// Refuses a licence that nobody has agreed to: neither the configuration nor anybody before, for this cache.
    pub fn check_terms(&self, parts: &[(String, Source)], terms: &Terms) -> Result<(), StoreError> {
        let named = || self.0.config.accepted_licences.iter().any(|licence| licence == terms.licence);
        if named() || self.agreement(terms).is_file() {
            return Ok(());
        }
        let refused = || StoreError::Terms { licence: terms.licence, notice: terms.notice };
        for (_, source) in parts.iter().filter(|(_, source)| source.is_remote()) {
            let _ = self.noting(source, Err::<(), _>(refused()));
        }
        Err(refused())
    }

    /// Remembers that somebody agreed.
    pub fn agree(&self, terms: &Terms) -> Result<(), StoreError> {
        let path = self.agreement(terms);
        let write = || {
            path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
            let mut file = std::fs::File::create(&path)?;
            writeln!(file, "{}", terms.notice)
        };
        write().map_err(StoreError::Cache)
    }

    fn agreement(&self, terms: &Terms) -> PathBuf {
        self.0.config.cache_dir.join(FOLDER).join(terms.licence)
    }
}
