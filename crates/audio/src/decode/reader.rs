//! One file, one audio track: packets in, samples out.

use std::time::Duration;

use symphonia::{
    core::{
        codecs::audio::{AudioCodecParameters, AudioDecoder, well_known::CODEC_ID_OPUS},
        errors::Error,
        formats::{FormatOptions, FormatReader, Track, probe::Hint, well_known::*},
        io::{MediaSourceStream, MediaSourceStreamOptions},
        meta::MetadataOptions,
        packet::Packet,
    },
    default::get_probe,
};

use super::{
    DecodeError,
    choice::{Choice, choose},
    edit::{Edit, TimeOrigin},
    error::{ends_early, opening, reading},
    headers, mp4, opus,
    sink::Sink,
};

/// How often a file may be read over: tracks may share their bytes, and a header may say that all of them do.
const MOST_TIMES_READ: u64 = 4;
/// Packets behind the end of a file that are passed over: films are interleaved by about a second.
const MOST_MISSING: usize = 256;
/// Declared lengths may count the run-up and the padding of the codec.
const SLACK: Duration = Duration::from_millis(50);
/// WAV files that were written to a pipe declare 2 or 4 GiB; counted in samples of the widest kind.
const WAV_UNKNOWN: u64 = 0x7FFF_0000 / 8;

pub(super) struct Reader<'a> {
    format: Box<dyn FormatReader + 'a>,
    decoder: Box<dyn AudioDecoder>,
    choice: Choice,
    track: u32,
    /// What the source says that its container is.
    container: Option<&'static str>,
    edit: Edit,
    /// Seconds at which the first packet of any track begins, which is where the file begins.
    origin: Option<f64>,
    declared: Option<Duration>,
    /// Whether the bytes ended before the format did, as those of live recordings do.
    broke_off: bool,
    /// Whether the file ends before the length that it declares.
    is_cut_off: bool,
    /// Packets that may still come: no file has more packets than bytes.
    packets_left: usize,
    /// Bytes that they may still have.
    bytes_left: u64,
    /// Packets behind the end of the file, and those that could not be decoded.
    missing: usize,
    lost: usize,
}

// === impl Reader ===

impl<'a> Reader<'a> {
    /// At a track; none if not so many can be decoded, but for the first, without which there is a reason.
    pub fn open(bytes: &'a [u8], hint: Option<&str>, choice: Choice) -> Result<Option<Self>, DecodeError> {
        let source = headers::read_leniently(bytes);
        let (length, container, is_cut_off) = (source.len(), source.container, source.broke_off);
        let stream = MediaSourceStream::new(Box::new(source), MediaSourceStreamOptions::default());
        let Some(mut reader) = Self::of(stream, hint, choice, bytes)? else { return Ok(None) };
        (reader.container, reader.is_cut_off) = (container, is_cut_off);
        (reader.packets_left, reader.bytes_left) = (length, length as u64 * MOST_TIMES_READ);
        reader.apply_edit(bytes)?;
        Ok(Some(reader))
    }

    /// At the first audio track of a file that still comes in.
    pub fn live(stream: MediaSourceStream<'a>, hint: Option<&str>) -> Result<Self, DecodeError> {
        Self::of(stream, hint, Choice::Decodable(0), &[])?.ok_or(DecodeError::NoSound)
    }

    fn of(
        stream: MediaSourceStream<'a>,
        hint: Option<&str>,
        choice: Choice,
        bytes: &[u8],
    ) -> Result<Option<Self>, DecodeError> {
        let format = get_probe()
            .probe(&probe_hint(hint), stream, FormatOptions::default(), MetadataOptions::default())
            .map_err(opening)?;
        let Some((track, decoder)) = choose(&*format, choice, bytes)? else { return Ok(None) };
        let (declared, track) = (declared(&*format, track, &*decoder), track.id);
        Ok(Some(Self {
            format,
            decoder,
            choice,
            track,
            container: None,
            edit: Edit::none(),
            origin: None,
            declared,
            broke_off: false,
            is_cut_off: false,
            packets_left: usize::MAX,
            bytes_left: u64::MAX,
            missing: 0,
            lost: 0,
        }))
    }

    pub fn container(&self) -> &'static str {
        self.container.unwrap_or(self.format.format_info().short_name)
    }

    pub fn codec(&self) -> &'static str {
        self.decoder.codec_info().short_name
    }

    /// The part of what is decoded that is the recording, and where it begins.
    pub fn edit(&self) -> Edit {
        self.edit.clone()
    }

    /// Whether the file itself says that it is longer than this, where times count from there.
    pub fn is_longer_than(&self, limit: Duration, origin: TimeOrigin) -> bool {
        let (edit, limit) = (self.edit().from(origin), limit.saturating_add(SLACK));
        let seconds = if edit.pieces.is_empty() { edit.delay } else { edit.seconds() };
        self.declared.is_some_and(|declared| declared > limit) || seconds > limit.as_secs_f64()
    }

    /// Whether less came out than the file promised.
    pub fn fell_short(&self, heard: Duration) -> bool {
        self.is_cut_off || self.lost > 0 || self.declared.is_some_and(|declared| heard + SLACK < declared)
    }

    /// Why nothing came out, when no fault was met on the way.
    pub fn why_silent(&self) -> DecodeError {
        let is_caf = self.format.format_info().format == FORMAT_ID_CAF;
        match self.lost {
            0 if self.is_cut_off && is_caf && !self.codec().starts_with("pcm") => {
                DecodeError::NoIndex("the packet table of CAF")
            }
            0 if self.is_cut_off || self.broke_off || self.declared.is_some_and(|declared| !declared.is_zero()) => {
                ends_early()
            }
            0 => DecodeError::NoSound,
            _ => DecodeError::Corrupt("none of its packets can be decoded".to_owned()),
        }
    }

    /// Reads to the end, or to the first fault that cannot be stepped over.
    pub fn read_into(&mut self, sink: &mut Sink<'_>) -> Result<(), DecodeError> {
        while self.step(sink)? {}
        Ok(())
    }

    /// Reads the next packet; whether there was one.
    pub fn step(&mut self, sink: &mut Sink<'_>) -> Result<bool, DecodeError> {
        let Some(packet) = self.next_packet()? else { return Ok(false) };
        if let Some(seconds) = self.begins_at(&packet) {
            sink.expect(seconds);
        }
        match self.decoder.decode(&packet) {
            Ok(samples) => sink.push(&samples)?,
            Err(Error::DecodeError(_) | Error::IoError(_)) => self.lost += 1,
            Err(Error::ResetRequired) => self.decoder.reset(),
            Err(error) => return Err(reading(error)),
        }
        Ok(true)
    }

    /// The next packet of the track.
    fn next_packet(&mut self) -> Result<Option<Packet>, DecodeError> {
        loop {
            self.packets_left = self.packets_left.checked_sub(1).ok_or_else(endless)?;
            let next = self.format.next_packet();
            if let Ok(Some(packet)) = &next {
                self.origin = self.origin.or_else(|| self.seconds(packet.track_id, packet.dts.get()));
            }
            match next {
                Ok(Some(packet)) => {
                    self.bytes_left = self.bytes_left.checked_sub(packet.data.len() as u64).ok_or_else(endless)?;
                    if packet.track_id == self.track {
                        return Ok(Some(packet));
                    }
                }
                Ok(None) => return Ok(None),
                // A recording appended to another: the tracks are new ones.
                Err(Error::ResetRequired) => self.start_over()?,
                // What comes next may be another track's that lies before it in the file.
                Err(Error::IoError(_)) if self.is_cut_off && self.is_mp4() && self.missing < MOST_MISSING => {
                    self.missing += 1;
                }
                Err(Error::IoError(_)) => {
                    self.broke_off = true;
                    return Ok(None);
                }
                Err(error) => return Err(reading(error)),
            }
        }
    }

    /// Where the packet belongs, from the beginning of the file. Only containers of films count time; others count
    /// samples, and have no gaps.
    fn begins_at(&self, packet: &Packet) -> Option<f64> {
        match self.format.format_info().format {
            FORMAT_ID_ISOMP4 | FORMAT_ID_MKV => Some(self.seconds(packet.track_id, packet.pts.get())? - self.origin?),
            _ => None,
        }
    }

    fn seconds(&self, track: u32, ticks: i64) -> Option<f64> {
        let base = self.format.tracks().iter().find(|other| other.id == track)?.time_base?;
        Some(ticks as f64 * f64::from(base.numer.get()) / f64::from(base.denom.get()))
    }

    fn is_mp4(&self) -> bool {
        self.format.format_info().format == FORMAT_ID_ISOMP4
    }

    fn apply_edit(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        if !self.is_mp4() {
            return Ok(());
        }
        let Some(edit) = mp4::edit(bytes, self.track, run_up(self.decoder.codec_params()))? else { return Ok(()) };
        if edit.taken().is_finite() {
            self.declared = Some(Duration::try_from_secs_f64(edit.taken()).unwrap_or(Duration::MAX));
        }
        self.edit = edit;
        Ok(())
    }

    fn start_over(&mut self) -> Result<(), DecodeError> {
        let (track, decoder) = choose(&*self.format, self.choice.again(), &[])?.ok_or(DecodeError::NoSound)?;
        self.track = track.id;
        self.decoder = decoder;
        self.declared = None;
        Ok(())
    }
}

/// Seconds of a track that its decoder leaves out by itself.
fn run_up(params: &AudioCodecParameters) -> f64 {
    let is_opus = params.codec == CODEC_ID_OPUS;
    params.extra_data.as_deref().filter(|_| is_opus).and_then(opus::run_up).unwrap_or_default()
}

fn length(frames: u64, rate: u32) -> Duration {
    Duration::try_from_secs_f64(frames as f64 / f64::from(rate.max(1))).unwrap_or(Duration::MAX)
}

fn endless() -> DecodeError {
    DecodeError::Corrupt("it has no end".to_owned())
}

/// Symphonia looks at the content alone so far; this is what its interface takes.
fn probe_hint(hint: Option<&str>) -> Hint {
    let mut probe = Hint::new();
    match hint {
        Some(media) if media.contains('/') => probe.mime_type(media.split(';').next().unwrap_or(media).trim()),
        Some(name) => probe.with_extension(name.rsplit('.').next().unwrap_or(name)),
        None => &mut probe,
    };
    probe
}

/// The length that the file declares, if it is more than a guess.
fn declared(format: &(dyn FormatReader + '_), track: &Track, decoder: &dyn AudioDecoder) -> Option<Duration> {
    let (params, codec) = (decoder.codec_params(), decoder.codec_info());
    let (Some(frames), Some(rate)) = (track.num_frames, params.sample_rate) else {
        return declared_in_ticks(format, track);
    };
    // It calls its ticks frames, which may be those of the rate that HE-AAC is played at.
    if format.format_info().format == FORMAT_ID_ISOMP4 {
        return declared_in_ticks(format, track);
    }
    let samples = frames.saturating_mul(params.channels.as_ref().map_or(1, |channels| channels.count()) as u64);
    let known = match format.format_info().format {
        FORMAT_ID_WAVE => samples < WAV_UNKNOWN,
        FORMAT_ID_CAF => codec.short_name.starts_with("pcm"), // otherwise counted in whole packets
        FORMAT_ID_MP3 => track.delay.is_some(),               // from the encoder's tag, otherwise from the bit rate
        FORMAT_ID_ADTS => false,                              // from the bit rate
        _ => true,
    };
    known.then(|| length(frames, rate))
}

/// In a container that counts time and not samples. The length of a whole film is not that of its sound.
fn declared_in_ticks(format: &(dyn FormatReader + '_), track: &Track) -> Option<Duration> {
    let (ticks, base) = match (track.duration, track.time_base) {
        (Some(ticks), Some(base)) => (ticks, base),
        _ if format.tracks().len() == 1 => (format.media_info().duration?, format.media_info().time_base?),
        _ => return None,
    };
    let seconds = ticks.get() as f64 * f64::from(base.numer.get()) / f64::from(base.denom.get());
    Duration::try_from_secs_f64(seconds).ok()
}
