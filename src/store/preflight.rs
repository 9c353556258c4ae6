//! What can be known before the first byte: is there room for what is missing?

use std::path::Path;

use super::{StoreError, layout::RepoDir, origin::Listed, partial::left_bytes, space::Space};

/// Bytes that are still to be written. What lies among the blobs with the right size counts as there; whether it is
/// right is found out when its turn comes. What is packed unfolds into as many bytes at least, beside it.
pub(super) fn need(dir: &RepoDir, wanted: &[Listed], packed: bool) -> u64 {
    let missing = |file: &Listed| match &file.checksum {
        Some(checksum) if has(&dir.blob(checksum.name()), file.size) => 0,
        Some(checksum) => file.size - left_bytes(dir, checksum, file.size).min(file.size),
        None => file.size,
    };
    let unpacked = |file: &Listed| if packed { file.size } else { 0 };
    wanted.iter().fold(0, |all: u64, file| all.saturating_add(missing(file)).saturating_add(unpacked(file)))
}

/// Refuses what does not fit, before it is begun. The folder need not exist yet.
pub(super) fn check_room(folder: &Path, need: u64, reserve: u64, source_name: &str) -> Result<(), StoreError> {
    let Some(Space { free: have, .. }) = Space::beneath(folder) else { return Ok(()) };
    match need > 0 && need.saturating_add(reserve) > have {
        true => Err(StoreError::NoRoom { source_name: source_name.to_owned(), need, have, reserve }),
        false => Ok(()),
    }
}

fn has(blob: &Path, size: u64) -> bool {
    std::fs::metadata(blob).is_ok_and(|meta| meta.len() == size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_fit_is_refused_with_need_have_and_remedy() {
        let dir = tempfile::TempDir::new().unwrap();
        check_room(dir.path(), 1, 0, "hf://acme/tiny").unwrap();
        check_room(dir.path(), 0, u64::MAX, "hf://acme/tiny").unwrap();
        let text = check_room(dir.path(), 3_100_000_000_000_000, 0, "hf://acme/tiny").unwrap_err().to_string();
        assert!(text.contains("3100.0 TB") && text.contains("free") && text.contains("HF_HUB_CACHE"), "{text}");
    }
}
