//! Films of one audio track, 16-bit PCM, made byte by byte: with any edit list, and with the index at either end.

/// An edit: its length in milliseconds, and where it starts in the track, in samples; none: nothing is heard.
pub type Edit = (u32, Option<u32>);

pub struct Film<'a> {
    /// Samples per second.
    pub rate: u32,
    pub samples: &'a [i16],
    pub edits: &'a [Edit],
}

fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32 + 8).to_be_bytes()[..], kind, body].concat()
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

// === impl Film ===

impl Film<'_> {
    /// With its index in front of the sound.
    pub fn bytes(&self) -> Vec<u8> {
        let (start, index) = (Self::start(), self.index(0).len());
        [start, self.index((Self::start().len() + index + 8) as u32), self.sound()].concat()
    }

    /// With its index behind the sound, as recorders write it.
    pub fn bytes_with_index_last(&self) -> Vec<u8> {
        [Self::start(), self.sound(), self.index((Self::start().len() + 8) as u32)].concat()
    }

    fn start() -> Vec<u8> {
        boxed(b"ftyp", b"qt  \0\0\0\0qt  ")
    }

    fn sound(&self) -> Vec<u8> {
        boxed(b"mdat", &self.samples.iter().flat_map(|sample| sample.to_be_bytes()).collect::<Vec<_>>())
    }

    /// Where the sound begins at this byte.
    fn index(&self, at: u32) -> Vec<u8> {
        let (rate, count) = (self.rate, self.samples.len() as u32);
        let matrix = [0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x4000_0000];
        let movie = [&[0, 0, 0, 1000, 0, 0x10000, 0x100_0000, 0, 0][..], &matrix, &[0; 6], &[2]].concat();
        let track = [&[7, 0, 0, 1, 0, 0, 0, 0, 0, 0x100_0000][..], &matrix, &[0, 0]].concat();
        let entries = self.edits.iter().flat_map(|(length, start)| [*length, start.unwrap_or(u32::MAX), 0x10000]);
        let list = words(&[&[0, self.edits.len() as u32][..], &entries.collect::<Vec<_>>()].concat());
        let edits = if self.edits.is_empty() { Vec::new() } else { boxed(b"edts", &boxed(b"elst", &list)) };
        let format = [&words(&[0, 1, 0, 0])[..], &[0, 1, 0, 16, 0, 0, 0, 0], &words(&[rate << 16])].concat();
        let table = [
            boxed(b"stsd", &[words(&[0, 1]), boxed(b"twos", &format)].concat()),
            boxed(b"stts", &words(&[0, 1, count, 1])),
            boxed(b"stsc", &words(&[0, 1, 1, count, 1])),
            boxed(b"stsz", &words(&[0, 2, count])),
            boxed(b"stco", &words(&[0, 1, at])),
        ];
        let data = boxed(b"dinf", &boxed(b"dref", &[words(&[0, 1]), boxed(b"url ", &words(&[1]))].concat()));
        let minf = [boxed(b"smhd", &words(&[0, 0])), data, boxed(b"stbl", &table.concat())].concat();
        let mdia = [
            boxed(b"mdhd", &words(&[0, 0, 0, rate, count, 0x55C4_0000])),
            boxed(b"hdlr", &[&words(&[0])[..], b"mhlrsoun", &[0; 12], b"\0"].concat()),
            boxed(b"minf", &minf),
        ];
        let track = [boxed(b"tkhd", &words(&track)), edits, boxed(b"mdia", &mdia.concat())].concat();
        boxed(b"moov", &[boxed(b"mvhd", &words(&movie)), boxed(b"trak", &track)].concat())
    }
}
