//! A WAV file out of a pipe: who writes it cannot go back to say how long it has become, so the end is where the pipe ends.

use std::mem;

use crate::audio::samples_of_pcm16;

/// Bytes before the samples, at most: 44 in what espeak-ng writes.
const LONGEST_HEADER: usize = 4096;
/// Integers.
const PCM: u16 = 1;

/// Reads the bytes as they come.
#[derive(Debug, Default)]
pub struct WaveReader {
    /// Hertz, once the header was read.
    rate: Option<u32>,
    /// What is to be read with what comes.
    pending: Vec<u8>,
}

/// The bytes are no sound of the kind that is expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it wrote no WAV file of one channel and 16 bits: {0}")]
pub struct NoWave(&'static str);

// === impl WaveReader ===

impl WaveReader {
    /// Samples within ±1 and their rate in hertz, as far as these bytes complete any.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Option<(u32, Vec<f32>)>, NoWave> {
        self.pending.extend_from_slice(bytes);
        let rate = match self.rate {
            Some(rate) => rate,
            None => match header(&self.pending)? {
                Some((rate, length)) => {
                    self.pending.drain(..length);
                    *self.rate.insert(rate)
                }
                None if self.pending.len() > LONGEST_HEADER => return Err(NoWave("its header does not end")),
                None => return Ok(None),
            },
        };
        let odd = self.pending.split_off(self.pending.len() & !1);
        let whole = mem::replace(&mut self.pending, odd);
        let samples: Vec<f32> = samples_of_pcm16(&whole).collect();
        Ok((!samples.is_empty()).then_some((rate, samples)))
    }
}

/// The rate, and where the samples begin; `None`: more of it is to come.
fn header(bytes: &[u8]) -> Result<Option<(u32, usize)>, NoWave> {
    if !b"RIFF".starts_with(&bytes[..bytes.len().min(4)]) {
        return Err(NoWave("it does not begin with RIFF"));
    }
    let Some(form) = bytes.get(8..12) else { return Ok(None) };
    if form != b"WAVE" {
        return Err(NoWave("it is RIFF of another kind"));
    }
    let (mut at, mut rate) = (12, None);
    while let Some(head) = bytes.get(at..at + 8) {
        let [a, b, c, d, length @ ..] = head else { return Ok(None) };
        let length = u32::from_le_bytes(length.try_into().unwrap_or_default()) as usize;
        match &[*a, *b, *c, *d] {
            b"data" => return rate.map(|rate| Some((rate, at + 8))).ok_or(NoWave("it does not say its format")),
            b"fmt " => match bytes.get(at + 8..at + 24) {
                Some(format) => rate = Some(format_rate(format)?),
                None => return Ok(None),
            },
            _ => {}
        }
        // A chunk of odd length has a byte after it.
        at = at.saturating_add(8).saturating_add(length).saturating_add(length & 1);
        if at > LONGEST_HEADER {
            return Err(NoWave("its header does not end"));
        }
    }
    Ok(None)
}

fn format_rate(format: &[u8]) -> Result<u32, NoWave> {
    let short = |at: usize| u16::from_le_bytes([format[at], format[at + 1]]);
    let rate = u32::from_le_bytes([format[4], format[5], format[6], format[7]]);
    match (short(0), short(2), short(14)) {
        (PCM, 1, 16) if (1..=192_000).contains(&rate) => Ok(rate),
        _ => Err(NoWave("its samples are others")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As espeak-ng begins what it writes into a pipe.
    const HEADER: &[u8] =
        b"RIFF\x24\xf0\xff\x7fWAVEfmt \x10\0\0\0\x01\0\x01\0\x22\x56\0\0\x44\xac\0\0\x02\0\x10\0data\0\xf0\xff\x7f";

    fn read(bytes: &[u8], step: usize) -> Result<(u32, Vec<f32>), NoWave> {
        let (mut reader, mut all, mut rate) = (WaveReader::default(), Vec::new(), 0);
        for part in bytes.chunks(step) {
            if let Some((hertz, mut samples)) = reader.push(part)? {
                rate = hertz;
                all.append(&mut samples);
            }
        }
        Ok((rate, all))
    }

    #[test]
    fn samples_come_as_they_are_whatever_the_header_says_of_their_number() {
        let wave = [HEADER, &[0, 0x40, 0, 0x80, 7]].concat();
        for step in [1, 2, 3, 43, 44, 45, 100] {
            assert_eq!(read(&wave, step), Ok((22_050, vec![0.5, -1.0])), "{step}");
        }
        assert_eq!(read(HEADER, 7), Ok((0, vec![])));
    }

    #[test]
    fn other_chunks_are_passed_over() {
        let odd = b"LIST\x03\0\0\0abc\0";
        let wave = [&HEADER[..12], odd, &HEADER[12..], &[0, 0x40]].concat();
        for step in [1, 5, 100] {
            assert_eq!(read(&wave, step), Ok((22_050, vec![0.5])));
        }
    }

    #[test]
    fn what_is_no_such_file_is_said() {
        let error = |bytes: &[u8]| read(bytes, 9).unwrap_err().0;
        assert_eq!(error(b"Error: no voice"), "it does not begin with RIFF");
        assert_eq!(error(b"RIFF....AVI LIST"), "it is RIFF of another kind");
        assert_eq!(error(&[&HEADER[..12], &HEADER[36..]].concat()), "it does not say its format");
        let mut stereo = HEADER.to_vec();
        stereo[22] = 2;
        assert_eq!(error(&stereo), "its samples are others");
        let endless = [&HEADER[..12], b"junk\xff\xff\xff\xff", &[0; 5000]].concat();
        assert_eq!(error(&endless), "its header does not end");
    }
}
