//! Archives that mean no good, and some that do.

use std::io::Cursor;

use flate2::{Compression, write::GzEncoder};
use tempfile::TempDir;
use zip::{ZipWriter, write::SimpleFileOptions};

use super::*;

const LIMITS: Limits = Limits { entries: 10, bytes: 10_000 };

/// A tar file, every entry of which can be wrong.
struct Tar(tar::Builder<Vec<u8>>);

impl Tar {
    fn new() -> Self {
        Self(tar::Builder::new(Vec::new()))
    }

    fn file(self, name: &str, bytes: &[u8]) -> Self {
        self.entry(tar::EntryType::Regular, name, "", bytes)
    }

    /// Past the checks of the library, which would refuse to write such names.
    fn entry(mut self, kind: tar::EntryType, name: &str, link: &str, bytes: &[u8]) -> Self {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_cksum();
        self.0.append(&header, bytes).unwrap();
        self
    }

    fn gz(self) -> Vec<u8> {
        let mut gz = GzEncoder::new(Vec::new(), Compression::default());
        gz.write_all(&self.0.into_inner().unwrap()).unwrap();
        gz.finish().unwrap()
    }
}

fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Unpacks, and gives what lies beside and below the folder afterwards.
fn unpack(archive: Archive, bytes: &[u8]) -> (Result<Vec<Unpacked>, String>, Vec<String>) {
    let dir = TempDir::new().unwrap();
    let (packed, into) = (dir.path().join("packed"), dir.path().join("outer/into"));
    fs::write(&packed, bytes).unwrap();
    fs::create_dir_all(&into).unwrap();
    let reason = |error| match error {
        ArchiveError::Refused(reason) => reason,
        ArchiveError::Disk(error) => panic!("{error}"),
    };
    let measured = archive.measure(&packed, LIMITS).map_err(reason);
    assert!(crate::store::files::walk(&into).unwrap().is_empty(), "who measures writes nothing");
    let unpacked = archive.unpack(&packed, &into, LIMITS).map_err(reason);
    if let Ok(unpacked) = &unpacked {
        assert_eq!(measured, Ok(unpacked.iter().map(|unpacked| unpacked.size).sum()));
    }
    let mut names = crate::store::files::walk(dir.path()).unwrap();
    names.retain(|name| name != "packed");
    (unpacked, names)
}

fn refusal(archive: Archive, bytes: &[u8]) -> String {
    let (unpacked, names) = unpack(archive, bytes);
    assert!(names.iter().all(|name| name.starts_with("outer/into/")), "{names:?}");
    unpacked.unwrap_err()
}

#[test]
fn both_kinds_come_out_as_they_went_in() {
    let sha256 = |bytes: &[u8]| hex::encode(Sha256::digest(bytes));
    let tar =
        Tar::new().entry(tar::EntryType::Directory, "m/", "", b"").file("m/config.json", b"{}").file("m/a/w", b"1");
    for (archive, bytes) in [
        (Archive::TarGz, tar.gz()),
        (Archive::Zip, zip(&[("m/config.json", b"{}"), ("m/a/w", b"1"), ("__MACOSX/m/._w", b"x")])),
    ] {
        let (unpacked, names) = unpack(archive, &bytes);
        let expected = [("m/config.json", b"{}".as_slice()), ("m/a/w", b"1")];
        let expected = expected.map(|(file, bytes)| Unpacked {
            file: file.to_owned(),
            size: bytes.len() as u64,
            sha256: sha256(bytes),
        });
        assert_eq!(unpacked.unwrap(), expected);
        assert_eq!(names, ["outer/into/m/a/w", "outer/into/m/config.json"]);
    }
}

#[test]
fn no_name_leaves_the_folder() {
    for name in [
        "../x",
        "/etc/x",
        "a/../../x",
        "a/..",
        "..",
        "a//x",
        "a\\..\\x",
        "C:x",
        "\\\\host\\x",
        "nul",
        "a/COM1.txt",
        "x.",
        "x ",
        "a\nb",
    ] {
        for (archive, bytes) in
            [(Archive::TarGz, Tar::new().file(name, b"1").gz()), (Archive::Zip, zip(&[(name, b"1")]))]
        {
            let reason = refusal(archive, &bytes);
            assert!(reason.contains("could leave its folder"), "{name} {archive:?}: {reason}");
        }
    }
}

#[test]
fn only_plain_files_are_unpacked() {
    use tar::EntryType;
    for kind in [EntryType::Symlink, EntryType::Link, EntryType::Char, EntryType::Block, EntryType::Fifo] {
        for target in ["../../x", "/etc/passwd", "config.json"] {
            let bytes = Tar::new().file("config.json", b"{}").entry(kind, "x", target, b"").file("x/y", b"1").gz();
            assert!(refusal(Archive::TarGz, &bytes).contains("only plain files"), "{kind:?}");
        }
    }
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.add_symlink("x", "/etc/passwd", SimpleFileOptions::default()).unwrap();
    assert!(refusal(Archive::Zip, &zip.finish().unwrap().into_inner()).contains("only plain files"));
}

#[test]
fn nothing_is_written_twice() {
    for names in [["a", "a"], ["a", "a/b"], ["a/b", "a"]] {
        let tar = names.iter().fold(Tar::new(), |tar, name| tar.file(name, b"1")).gz();
        assert!(refusal(Archive::TarGz, &tar).contains("twice"), "{names:?}");
    }
    // The library writes no such zip file, and of one it reads it shows the last entry alone.
    let mut bytes = zip(&[("config.jsoN", b"{}"), ("config.json", b"[]")]);
    let places: Vec<_> = bytes.windows(11).enumerate().filter(|(_, name)| *name == b"config.jsoN").collect();
    let places: Vec<usize> = places.into_iter().map(|(place, _)| place).collect();
    assert_eq!(places.len(), 2, "before the file and in the directory");
    places.into_iter().for_each(|place| bytes[place + 10] = b'n');
    assert!(refusal(Archive::Zip, &bytes).contains("twice"));
}

#[test]
fn a_bomb_does_not_go_off() {
    let large = vec![0; 20_000];
    for (archive, bytes) in [
        (Archive::TarGz, Tar::new().file("large", &large).gz()),
        (Archive::Zip, zip(&[("large", &large)])),
        (Archive::Zip, zip(&[("a", &large[..6000]), ("b", &large[..6000])])),
    ] {
        assert!(refusal(archive, &bytes).contains("unfolds into more than 10000 bytes"));
    }
    let many: Vec<String> = (0..11).map(|index| index.to_string()).collect();
    let entries: Vec<(&str, &[u8])> = many.iter().map(|name| (name.as_str(), b"".as_slice())).collect();
    assert!(refusal(Archive::Zip, &zip(&entries)).contains("more than 10 entries"));
    let tar = many.iter().fold(Tar::new(), |tar, name| tar.file(name, b""));
    assert!(refusal(Archive::TarGz, &tar.gz()).contains("more than 10 entries"));
    let mut endless = Tar::new().file("a", b"1").0.into_inner().unwrap();
    endless.resize(endless.len() + 200_000, 0);
    let mut gz = GzEncoder::new(Vec::new(), Compression::default());
    gz.write_all(&endless).unwrap();
    assert!(refusal(Archive::TarGz, &gz.finish().unwrap()).contains("unfolds"), "what follows the end");
}

#[test]
fn sizes_that_lie_are_seen() {
    let bytes = zip(&[("a", &[7; 5000])]);
    let (local, central) = (find(&bytes, b"PK\x03\x04") + 22, find(&bytes, b"PK\x01\x02") + 24);
    for size in [4999u32, 5001] {
        let mut lying = bytes.clone();
        lying[local..local + 4].copy_from_slice(&size.to_le_bytes());
        lying[central..central + 4].copy_from_slice(&size.to_le_bytes());
        refusal(Archive::Zip, &lying);
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> usize {
    bytes.windows(wanted.len()).position(|window| window == wanted).unwrap()
}

#[test]
fn what_is_cut_off_or_no_archive_is_refused() {
    let noise: Vec<u8> = (0..125u8).flat_map(|i| Sha256::digest([i])).collect();
    for (archive, bytes) in [(Archive::TarGz, Tar::new().file("a", &noise).gz()), (Archive::Zip, zip(&[("a", &noise)]))]
    {
        for tenth in 1..10 {
            refusal(archive, &bytes[..bytes.len() * tenth / 10]);
        }
        refusal(archive, &bytes[..bytes.len() - 1]);
        let mut damaged = bytes.clone();
        damaged[2000] ^= 1;
        refusal(archive, &damaged);
        refusal(archive, b"<html>not found</html>");
        refusal(archive, b"");
    }
    assert!(refusal(Archive::Zip, &zip(&[])).contains("holds no file"));
}

#[test]
fn names_say_what_is_an_archive() {
    assert_eq!(Archive::of_name("tiny.tar.gz"), Some((Archive::TarGz, "tiny")));
    assert_eq!(Archive::of_name("Tiny.ZIP"), Some((Archive::Zip, "Tiny")));
    assert_eq!(Archive::of_name("v1.2.tgz"), Some((Archive::TarGz, "v1.2")));
    for name in ["model.safetensors", ".zip", "zip", "x.gz", "ü"] {
        assert_eq!(Archive::of_name(name), None, "{name}");
    }
}
