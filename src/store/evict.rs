//! Makes room in a cache: what was not used for longest goes first.

use std::{io, path::Path};

use super::{StoreError, housekeeping::Cache};

/// Lets what was not used for longest make room for so many bytes more. Blocks.
pub(super) fn fit(root: &Path, need: u64, quota: u64, source_name: &str) -> Result<(), StoreError> {
    let used = shrink(root, need, quota).map_err(StoreError::Cache)?;
    match need > 0 && used.saturating_add(need) > quota {
        true => Err(StoreError::OverQuota { source_name: source_name.to_owned(), need, quota, used }),
        false => Ok(()),
    }
}

/// Clears a cache up if so many bytes more would be too many; how many there are then.
fn shrink(root: &Path, need: u64, quota: u64) -> io::Result<u64> {
    let mut cache = Cache::look(root)?;
    let used = cache.bytes();
    if need == 0 || need > quota || used.saturating_add(need) <= quota {
        return Ok(used);
    }
    let waste = cache.collect(false)?;
    let cleared = cache.shrink((quota - need).saturating_add(waste.bytes), false)?;
    let bytes = waste.bytes + cleared.bytes;
    tracing::info!(bytes, commits = ?cleared.commits, "cleared the cache up to make room");
    Ok(used.saturating_sub(bytes))
}
