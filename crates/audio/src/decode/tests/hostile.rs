//! Bytes that are no sound, or want to do harm.

use super::*;

/// No decoding of a short file takes this long, on any machine.
const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn nothing_is_empty() {
    assert_eq!(refused(b""), DecodeError::Empty);
}

#[test]
fn other_files_are_not_audio() {
    let zeros = vec![0; 100_000];
    let mut dice = Dice(7);
    let text: Vec<u8> = (0..50_000).map(|_| b"etaoin shrdlu,.\n"[dice.roll(16)]).collect();
    let others: [&[u8]; 9] = [
        b"x",
        b"hello, this is not audio",
        b"<!DOCTYPE html><html><body>404</body></html>",
        b"{\"audio\": \"UklGRg==\"}",
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89",
        b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<< /Type /Catalog >>\nendobj",
        b"PK\x03\x04\x14\0\0\0\x08\0",
        &zeros,
        &text,
    ];
    for bytes in others {
        assert_eq!(refused(bytes), DecodeError::Unrecognised, "{:?}", &bytes[..bytes.len().min(20)]);
    }
}

#[test]
fn noise_is_not_audio() {
    let mut dice = Dice(99);
    for _ in 0..20 {
        let noise: Vec<u8> = (0..30_000).map(|_| dice.roll(256) as u8).collect();
        let outcome = decode(&noise, None, RATE, MINUTE);
        assert!(outcome.is_err(), "{:?}", outcome.map(|decoded| (decoded.source, decoded.pcm.seconds())));
    }
}

#[test]
fn headers_without_sound_say_so() {
    assert_eq!(refused(&wav(1, 16, 1, 16_000, &[])), DecodeError::NoSound);
    assert_eq!(refused(&fixture("silent_film.mp4")), DecodeError::NoSound);
    for name in ["pcm_s16.wav", "stereo.flac", "opus.ogg", "aac.m4a", "opus.webm", "pcm.aiff", "pcm.caf"] {
        let error = refused(&fixture(name)[..40]);
        let is_told = matches!(error, DecodeError::Corrupt(_) | DecodeError::NoSound | DecodeError::NoIndex(_));
        assert!(is_told, "{name}: {error:?}");
    }
}

#[test]
fn impossible_headers_are_refused() {
    let data = [0; 64];
    for bytes in [wav(1, 16, 0, 16_000, &data), wav(1, 16, 1, 0, &data), wav(1, 0, 1, 16_000, &data)] {
        let error = refused(&bytes);
        assert!(matches!(error, DecodeError::Corrupt(_) | DecodeError::Unsupported(_)), "{error:?}");
    }
    for rate in [1, 999, 768_001, u32::MAX] {
        let error = refused(&wav(1, 16, 1, rate, &data));
        assert_eq!(
            error.to_string(),
            format!(
                "the audio is of a kind that is not supported: a sample rate of {rate} Hz is not supported; \
                 1000 to 768000 Hz are"
            )
        );
    }
}

#[test]
fn a_target_rate_of_zero_is_an_error() {
    let outcome = decode(&fixture("pcm_s16.wav"), None, 0, MINUTE);
    assert!(matches!(outcome, Err(DecodeError::Unsupported(_))), "{outcome:?}");
}

#[test]
fn a_codec_that_is_not_taken_is_named() {
    let error = refused(&fixture("unsupported_ac3.mp4"));
    assert_eq!(error.to_string(), "the audio is of a kind that is not supported: the codec AC-3");
}

#[test]
fn a_film_of_another_riff_kind_is_not_a_wav() {
    let mut bytes = wav(1, 16, 1, 16_000, &[0; 64]);
    bytes[8..12].copy_from_slice(b"AVI ");
    assert!(matches!(refused(&bytes), DecodeError::Unsupported(_) | DecodeError::Unrecognised));
}

/// Every fixture with bytes changed, lost, doubled or cut, the same ones on every run.
#[test]
fn damaged_files_neither_panic_nor_hang() {
    let limit = Duration::from_secs(5);
    let mut names: Vec<_> = std::fs::read_dir(folder())
        .expect("the folder is there")
        .map(|entry| entry.expect("it can be listed").path())
        .filter(|path| !matches!(path.extension().and_then(|kind| kind.to_str()), Some("sh" | "py" | "safetensors")))
        .collect();
    names.sort();
    assert!(names.len() > 30);
    let mut dice = Dice(2026);
    for name in names {
        let whole = std::fs::read(&name).expect("it can be read");
        for round in 0..200 {
            let bytes = damaged(&whole, &mut dice);
            let start = Instant::now();
            if let Ok(decoded) = decode(&bytes, None, RATE, limit) {
                assert!(decoded.pcm.seconds() <= limit.as_secs_f64() + 0.1, "{} {round}", name.display());
                assert!(decoded.pcm.samples().iter().all(|sample| sample.is_finite()), "{} {round}", name.display());
            }
            assert!(start.elapsed() < PATIENCE, "{} {round}: {:?}", name.display(), start.elapsed());
        }
    }
}

fn damaged(whole: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    for _ in 0..1 + dice.roll(8) {
        // Headers decide the most, and they are at the front.
        let within = if dice.roll(2) == 0 { bytes.len().min(200) } else { bytes.len() };
        if within == 0 {
            break;
        }
        let at = dice.roll(within);
        match dice.roll(6) {
            0 => bytes[at] = dice.roll(256) as u8,
            1 => bytes[at] ^= 1 << dice.roll(8),
            2 => bytes[at] = [0, 1, 0x7F, 0x80, 0xFF][dice.roll(5)],
            3 => bytes[at..].iter_mut().take(4).for_each(|byte| *byte = 0xFF),
            4 => bytes.truncate(at),
            _ => {
                let piece = bytes[at..].iter().take(dice.roll(64)).copied().collect::<Vec<_>>();
                bytes.splice(at..at, piece);
            }
        }
    }
    bytes
}

/// A live recording in a container of its own is not taken for the frames that lie in it.
#[test]
fn a_transport_stream_is_no_damaged_mp3() {
    let mp3 = fixture("mono.mp3");
    let stream: Vec<u8> = mp3.chunks(184).flat_map(|part| [&[0x47, 0x40, 0x21, 0x10], part].concat()).collect();
    assert_eq!(refused(&stream), DecodeError::Unsupported("an MPEG transport stream".to_owned()));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    /// Headers that we read ourselves, with any field changed: no panic, and never more sound than the bytes hold.
    #[test]
    fn any_field_of_a_header_may_lie(which in 0usize..5, at in 0usize..64, value: [u8; 4]) {
        let mut file = match which {
            0 => fixture("pcm_s16.wav"),
            1 => fixture("pcm.aiff"),
            2 => fixture("pcm.caf"),
            3 => [&b".snd\0\0\0\x18\xFF\xFF\xFF\xFF\0\0\0\x01\0\0\x1F\x40\0\0\0\x01"[..], &[0x55; 800]].concat(),
            _ => fixture("aac.m4a"),
        };
        let end = file.len().min(at + 4);
        file[at.min(end)..end].copy_from_slice(&value[..end - at.min(end)]);
        let mut asked = 0;
        let mut room = |bytes: usize| { asked = asked.max(bytes); true };
        let _ = decode_selected(&file, None, RATE, Duration::from_secs(5), Selection::default(), &mut room);
        // Five seconds, while they are copied, and a block of the resampler.
        proptest::prop_assert!(asked <= 2 * 3 * 5 * RATE as usize * size_of::<f32>());
    }
}
