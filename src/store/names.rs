//! Which names are safe in a path, and names that are made.

use sha2::{Digest, Sha256};

/// Safe as one component of a path and of a URL, on every system.
pub(super) fn is_plain_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !name.is_empty() && name.len() <= 255 && !name.starts_with('.') && !name.contains("..") && name.chars().all(plain)
}

/// As many hexadecimal digits as a sha256 has.
pub(super) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A full git commit id: a revision that cannot move.
pub(super) fn is_commit(revision: &str) -> bool {
    revision.len() == 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether a name of a listing, joined to a folder, stays in it, on every system.
pub(super) fn stays_inside(path: &str) -> bool {
    let component = |name: &str| !matches!(name, "" | "." | "..");
    path.split('/').all(component) && !path.contains(['\\', ':', '\0'])
}

/// A name for one version of one file, of what a place tells instead of a checksum. Plain, and like no checksum.
pub(super) fn version(file: &str, size: u64, tag: &str) -> String {
    format!("v-{}", fingerprint([file.to_owned(), size.to_string(), tag.to_owned()]))
}

/// Another text for other parts, plain enough for a commit.
pub(super) fn fingerprint(parts: impl IntoIterator<Item = String>) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hex::encode(hasher.finalize())[..40].to_owned()
}

/// A name for a folder of a cache, plain, not too long, and of this address alone.
pub(super) fn folder_name(scheme: &str, address: &str) -> String {
    /// Characters of the address that are kept for people.
    const READABLE: usize = 80;
    let plain = |c: char| if is_plain_name(&c.to_string()) { c } else { '-' };
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest).split('?').next().unwrap_or_default();
    let readable: String = rest.replace('/', "--").chars().map(plain).take(READABLE).collect();
    let digest = hex::encode(Sha256::digest(address));
    format!("{scheme}--{}--{}", readable.trim_matches('-'), &digest[..12])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_leave_their_folder_are_seen() {
        for name in ["../x", "/etc/passwd", "a/../../x", "a//b", "./x", "a\\..\\x", "C:x", "", "a/.."] {
            assert!(!stays_inside(name), "{name}");
        }
        for name in ["config.json", "onnx/model.onnx", ".gitattributes", "a..b"] {
            assert!(stays_inside(name), "{name}");
        }
    }

    #[test]
    fn folders_are_plain_and_differ() {
        let (a, b) =
            (folder_name("https", "https://host/a/b ü.zip?x=1"), folder_name("https", "https://host/a/b ü.zip?x=2"));
        assert!(a.starts_with("https--host--a--b") && is_plain_name(&a) && a != b, "{a} {b}");
        assert!(folder_name("gs", &format!("gs://{}", "x/".repeat(500))).len() < 120);
    }
}
