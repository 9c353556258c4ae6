//! Formats that are known by their content and not decoded here: to be named, and not to be taken for something else.

/// Bytes at either end of a file in which its tracks are described, for all that matters here.
const LOOKED_AT: usize = 1 << 20;
/// Packets of a transport stream, bare or with the time in front.
const TRANSPORT: [(usize, usize); 2] = [(0, 188), (4, 192)];
const SYNC: u8 = 0x47;

/// A container that nothing here reads. A transport stream holds frames that look like an MP3 that is damaged.
pub(super) fn container(bytes: &[u8]) -> Option<&'static str> {
    if TRANSPORT.iter().any(|(first, step)| is_transport(bytes, *first, *step)) {
        return Some("an MPEG transport stream");
    }
    let starts = |magic: &[u8]| bytes.starts_with(magic);
    match bytes {
        _ if starts(&[0, 0, 1, 0xBA]) => Some("an MPEG program stream"),
        _ if starts(b"#!AMR-WB") => Some("AMR-WB"),
        _ if starts(b"#!AMR") => Some("AMR"),
        _ if starts(&[0x30, 0x26, 0xB2, 0x75, 0x8E, 0x66, 0xCF, 0x11]) => Some("Windows Media (ASF)"),
        _ if starts(b"FLV\x01") => Some("Flash Video"),
        _ if starts(b"riff\x2E\x91\xCF\x11") => Some("Wave64"),
        _ if starts(b"RIFF") && bytes.get(8..12) == Some(b"AVI ") => Some("AVI"),
        _ if starts(b"OggS") && bytes.get(28..36) == Some(b"Speex   ") => Some("Speex"),
        _ if starts(&[0x0B, 0x77]) => Some("AC-3 or E-AC-3"),
        _ => wave_codec(bytes),
    }
}

/// The codec that a file of films names, after nothing in it could be decoded.
pub(super) fn codec(bytes: &[u8]) -> Option<&'static str> {
    let ends = [&bytes[..bytes.len().min(LOOKED_AT)], &bytes[bytes.len().saturating_sub(LOOKED_AT)..]];
    let names: &[(&[u8], &str)] = if bytes.starts_with(&[0x1A, 0x45, 0xDF, 0xA3]) {
        &[
            (b"A_MS/ACM", "of Windows (A_MS/ACM)"),
            (b"A_AC3", "AC-3"),
            (b"A_EAC3", "E-AC-3"),
            (b"A_DTS", "DTS"),
            (b"A_MPEG/L2", "MPEG layer 2"),
        ]
    } else if bytes.get(4..8) == Some(b"ftyp") || bytes.get(4..8) == Some(b"moov") {
        &[
            (b"samr", "AMR"),
            (b"sawb", "AMR-WB"),
            (b"ipcm", "PCM in MP4"),
            (b"fpcm", "PCM in MP4"),
            (b"alaw", "A-law in MP4"),
            (b"ulaw", "mu-law in MP4"),
            (b"agsm", "GSM"),
            (b"ec-3", "E-AC-3"),
            (b"ac-3", "AC-3"),
            (b".mp2", "MPEG layer 2"),
        ]
    } else if bytes.starts_with(b"caff") {
        &[
            (b"alaw", "A-law in CAF"),
            (b"ulaw", "mu-law in CAF"),
            (b"flac", "FLAC in CAF"),
            (b"ac-3", "AC-3"),
            (b".mp2", "MPEG layer 2"),
        ]
    } else {
        &[]
    };
    let holds = |name: &[u8]| ends.iter().any(|part| part.windows(name.len()).any(|window| window == name));
    names.iter().find(|(name, _)| holds(name)).map(|(_, name)| *name)
}

/// Whether four packets, or all that there are, begin with the byte that they begin with.
fn is_transport(bytes: &[u8], first: usize, step: usize) -> bool {
    bytes.len() > first + step && (0..4).map(|n| first + n * step).all(|at| bytes.get(at).is_none_or(|b| *b == SYNC))
}

/// Codecs of telephony and old recorders in WAVE, by their tags.
fn wave_codec(bytes: &[u8]) -> Option<&'static str> {
    let is_wave = bytes.starts_with(b"RIFF") && bytes.get(8..16) == Some(b"WAVEfmt ");
    let tag = bytes.get(20..22).filter(|_| is_wave)?;
    match u16::from_le_bytes([tag[0], tag[1]]) {
        0x31 => Some("GSM 6.10"),
        0x65 | 0x28F => Some("G.722"),
        0x14 | 0x40 | 0x45 | 0x64 => Some("G.726"),
        0x50 => Some("MPEG layer 2"),
        0x160..=0x163 => Some("Windows Media Audio"),
        0x2000 => Some("AC-3"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_their_content() {
        let stream = |first: usize, step: usize| {
            let mut bytes = vec![0; 5 * step];
            (0..5).for_each(|n| bytes[first + n * step] = SYNC);
            bytes
        };
        let wave = |tag: u16| [b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0", &tag.to_le_bytes()[..]].concat();
        for (bytes, name) in [
            (stream(0, 188), Some("an MPEG transport stream")),
            (stream(4, 192), Some("an MPEG transport stream")),
            (b"#!AMR\n".to_vec(), Some("AMR")),
            (b"#!AMR-WB\n".to_vec(), Some("AMR-WB")),
            (wave(0x31), Some("GSM 6.10")),
            (wave(0x28F), Some("G.722")),
            (wave(0x50), Some("MPEG layer 2")),
            (wave(1), None),
            (b"G".to_vec(), None),
            (vec![], None),
        ] {
            assert_eq!(container(&bytes), name);
        }
        assert_eq!(codec(b"\0\0\0\x14ftyp3gp4 stsd samr"), Some("AMR"));
        assert_eq!(codec(b"\x1A\x45\xDF\xA3 A_MS/ACM"), Some("of Windows (A_MS/ACM)"));
        assert_eq!(codec(b"samr"), None);
    }
}
