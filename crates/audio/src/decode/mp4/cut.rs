//! MP4 that breaks off. Symphonia passes over a box that is longer than the file, and with it over all sound.

use super::atoms::{Kind, boxes};
use crate::decode::source::Source;

/// Where each of these begins there should be more: sound, or a fragment of it. What else is cut off holds none.
const SOUND: [&Kind; 6] = [b"mdat", b"moof", b"styp", b"sidx", b"emsg", b"prft"];

/// The file, where it is MP4. If its last box is cut off and holds sound, that box ends where the file does.
pub fn read_leniently(bytes: &[u8]) -> Option<Source<'_>> {
    (bytes.get(4..8)? == b"ftyp").then(|| mended(bytes))
}

fn mended(bytes: &[u8]) -> Source<'_> {
    let whole = || Source::new(Vec::new(), bytes);
    let Some(last) = boxes(bytes).find(|found| found.is_cut_off) else { return whole() };
    let (front, rest) = bytes.split_at(last.at);
    let (head, body) = rest.split_at(last.header);
    let is_sound = SOUND.contains(&&last.kind);
    if last.kind != *b"mdat" {
        return whole().broken_off(is_sound);
    }
    let mut head = head.to_vec();
    match last.header {
        8 => head[..4].copy_from_slice(&u32::try_from(rest.len()).unwrap_or_default().to_be_bytes()),
        _ => head[8..].copy_from_slice(&(rest.len() as u64).to_be_bytes()),
    }
    Source::of(vec![front.into(), head.into(), body.into()]).broken_off(true)
}
