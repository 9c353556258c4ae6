//! What the decoders of this program do not hear, heard by ffmpeg where it is installed.
//!
//! It is a program that reads what strangers send: it gets the bytes by a pipe and nothing else. Its environment is empty,
//! it may open neither files nor addresses (`-protocol_whitelist`), no list of other files is a format to it
//! (`-format_whitelist`), and its memory, time and output are bounded. It runs behind the guard of models that are programs
//! (`process::guard`): without a network and among processes of its own, where the system lets it, and whatever it began
//! ends with it, when it is through or nobody waits for it any more. At most as many run as there are decoders, whose place
//! each takes.

mod complaints;
mod group;
mod search;

use std::{
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, OnceLock},
    thread,
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{ChildStdout, Command},
    time::{Instant, timeout, timeout_at},
};
use tracing::{debug, warn};

use self::{
    complaints::{faults, reported},
    group::{Group, THREADS},
};
use super::{
    ServiceError,
    memory::{MemoryShare, OutOfMemory},
    sound::{Decoded, Excerpt},
};
use crate::{
    audio::{DecodeError, MOST_APART, Pcm, TimeOrigin},
    model::{GuardRules, ProgramChoice},
    speech::Warning,
};

/// The program that was found at the start, if any.
#[derive(Clone, Debug)]
pub struct Ffmpeg {
    program: Arc<OnceLock<Option<PathBuf>>>,
    /// What is to be done where there is none.
    remedy: &'static str,
    time_limit: Duration,
    guard: GuardRules,
}

/// What became of a recording.
#[derive(Debug)]
pub(super) enum Outcome {
    Sound(Decoded),
    NoSuchTrack(usize),
    TooMuch(DecodeError),
    NoMemory(OutOfMemory),
    /// Not one sample.
    Nothing,
}

/// Sound as it comes out of the program, channel by channel.
struct Planes {
    channels: Vec<Vec<f32>>,
    /// Samples of each channel, at most.
    most: usize,
}

/// KiB of address space: twice what the largest of our files took.
const MEMORY: &str = "1048576";
/// Read at once, and of its complaints.
const BLOCK: usize = 64 * 1024;
const MOST_COMPLAINTS: u64 = 2048;
/// How long its last complaint may come after its last sample.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// What comes before the samples: of Sun's format, which says how many channels there are, and needs no length.
const HEADER: usize = 24;
const MAGIC: &[u8] = b".snd";
/// Bytes before the samples, at most.
const MOST_HEADER: usize = 4096;

/// What it says where a file has fewer tracks.
const NO_TRACK: &str = "matches no streams";

const PROTOCOLS: &str = "pipe,cache";
/// Formats that hold their sound themselves.
const FORMATS: &str = "aac,ac3,eac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,dts,flac,flv,gsm,matroska,webm,mov,mp4,mp3,\
                       mpeg,mpegts,mpc,ogg,tta,voc,w64,wav,wv";

// === impl Ffmpeg ===

impl Ffmpeg {
    /// Looks once, at the start, which does not wait for it.
    pub fn find(choice: &ProgramChoice, time_limit: Duration, guard: &GuardRules) -> Self {
        let program = Arc::new(OnceLock::new());
        let (to, asked, rules) = (program.clone(), choice.clone(), guard.clone());
        let look = move || _ = to.set(search::look(&asked, &rules));
        if let Err(error) = thread::Builder::new().name("ffmpeg".to_owned()).spawn(look) {
            warn!(%error, "nobody could look for ffmpeg");
            _ = program.set(None);
        }
        let remedy = match choice {
            ProgramChoice::Off => "audio.ffmpeg is off, which reads more formats",
            _ => "who runs the server can install ffmpeg, which reads more formats, or name it by audio.ffmpeg",
        };
        Self { program, remedy, time_limit, guard: guard.clone() }
    }

    /// Waits while it is still looked for.
    fn program(&self) -> Option<&Path> {
        self.program.wait().as_deref()
    }

    pub fn is_there(&self) -> bool {
        self.program().is_some()
    }

    /// What to add to the reason of a refusal.
    pub fn remedy(&self) -> Option<&'static str> {
        (!self.is_there()).then_some(self.remedy)
    }

    /// When it has to be through with a recording that is begun now.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.time_limit
    }

    /// The sound of a track of a file, and what the program says of damage.
    pub(super) async fn hear(
        &self,
        bytes: Bytes,
        track: usize,
        excerpt: Excerpt,
        deadline: Instant,
        share: &mut MemoryShare,
    ) -> Outcome {
        let Some(program) = self.program() else { return Outcome::Nothing };
        let mut group = match Group::begin(self.command(program, &bytes, track, excerpt), self.guard.is_there()) {
            Ok(group) => group,
            Err(error) => {
                warn!(%error, "ffmpeg could not be started");
                return Outcome::Nothing;
            }
        };
        match timeout_at(deadline, exchange(&mut group, &bytes, excerpt, share)).await {
            Ok(Some(outcome)) => outcome,
            Ok(None) => Outcome::NoSuchTrack(track),
            Err(_) => {
                warn!(limit = ?self.time_limit, "ffmpeg took too long");
                Outcome::Nothing
            }
        }
    }

    /// Through a shell, which bounds the memory and then is ffmpeg.
    fn command(&self, program: &Path, bytes: &[u8], track: usize, excerpt: Excerpt) -> Command {
        // The index of an MP4 or a CAF may lie at its end, which a pipe cannot go back from; the cache is a file that has no
        // name.
        let is_film = matches!(bytes.get(4..8), Some(b"ftyp" | b"moov" | b"mdat" | b"wide" | b"free" | b"skip"));
        let input = if is_film || bytes.starts_with(b"caff") { "cache:pipe:0" } else { "pipe:0" };
        let mut command = self.guard.command("/bin/sh", false, Some(THREADS));
        command.args(["-c", r#"ulimit -v "$0" && ulimit -c 0 && exec "$@""#, MEMORY]).arg(program);
        command.args(["-nostdin", "-hide_banner", "-loglevel", "error", "-threads", "1"]);
        command.args(["-protocol_whitelist", PROTOCOLS, "-format_whitelist", FORMATS, "-i", input]);
        command.args(["-map", &format!("0:a:{track}"), "-vn", "-sn", "-dn"]);
        if excerpt.selection.origin == TimeOrigin::Container {
            command.args(["-af", "aresample=async=1:first_pts=0"]);
        }
        if !excerpt.selection.apart {
            command.args(["-ac", "1"]);
        }
        command.args(["-ar", &excerpt.rate.to_string(), "-c:a", "pcm_f32be", "-f", "au", "pipe:1"]);
        if excerpt.selection.origin == TimeOrigin::Container && counts_from_anywhere(bytes) {
            // Its clock begins with the first stream that is used: so all are, and nothing is made of them.
            command.args(["-map", "0", "-ignore_unknown", "-c", "copy", "-f", "null", "-"]);
        }
        command.env_clear().process_group(0).current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.into()
    }
}

/// Whether this is an MPEG transport stream, with or without the time in front of its packets, or a program stream.
fn counts_from_anywhere(bytes: &[u8]) -> bool {
    const SYNC: Option<&u8> = Some(&0x47);
    bytes.first() == SYNC || bytes.get(4) == SYNC || bytes.starts_with(&[0, 0, 1, 0xBA])
}

/// Bytes in, samples out, both at once; none, where there is no such track.
async fn exchange(
    Group { child, .. }: &mut Group,
    bytes: &[u8],
    Excerpt { rate, longest, .. }: Excerpt,
    share: &mut MemoryShare,
) -> Option<Outcome> {
    let pipes = child.as_mut().map(|child| (child.stdin.take(), child.stdout.take(), child.stderr.take()));
    let Some((Some(mut input), Some(output), Some(complaints))) = pipes else {
        return Some(Outcome::Nothing);
    };
    // It may have enough before the end, and then closes the pipe.
    let write = async move { _ = input.write_all(bytes).await };
    let complain = async {
        let (mut text, mut rest) = (Vec::new(), complaints.take(MOST_COMPLAINTS));
        _ = rest.read_to_end(&mut text).await;
        _ = tokio::io::copy(&mut rest.into_inner(), &mut tokio::io::sink()).await;
        reported(&String::from_utf8_lossy(&text)).1.to_owned()
    };
    let work = async {
        tokio::select! {
            // Too much, or the end: what else it would read or say does not matter.
            heard = samples(output, rate, longest, share) => heard,
            _ = async { tokio::join!(write, std::future::pending::<()>()) } => Ok(Vec::new()),
        }
    };
    tokio::pin!(work, complain);
    let (heard, complaints) = tokio::select! {
        text = &mut complain => (work.await, text),
        heard = &mut work => match heard {
            Ok(channels) => (Ok(channels), timeout(LAST_WORDS, complain).await.unwrap_or_default()),
            Err(outcome) => (Err(outcome), String::new()),
        },
    };
    if !complaints.is_empty() {
        debug!(text = complaints.trim(), "ffmpeg");
    }
    match heard {
        Ok(channels) if channels.is_empty() && complaints.contains(NO_TRACK) => None,
        Ok(channels) if channels.is_empty() => Some(Outcome::Nothing),
        Ok(channels) => {
            let warnings = faults(&complaints).map(|faults| Warning::damaged(&faults)).into_iter().collect();
            Some(Outcome::Sound(Decoded { channels, warnings }))
        }
        Err(outcome) => Some(outcome),
    }
}

/// All channels, each of one length; none, if there is not one sample.
async fn samples(
    mut output: ChildStdout,
    rate: u32,
    longest: Duration,
    share: &mut MemoryShare,
) -> Result<Vec<Pcm>, Outcome> {
    let Some(count) = channels(&mut output).await else { return Ok(Vec::new()) };
    let mut planes = Planes::new(count, rate, longest)?;
    let (frame, mut block, mut filled) = (count * size_of::<f32>(), vec![0; BLOCK], 0);
    loop {
        let read = output.read(&mut block[filled..]).await.unwrap_or(0);
        if read == 0 {
            break;
        }
        filled += read;
        let whole = filled / frame * frame;
        planes.push(&block[..whole], longest, share)?;
        block.copy_within(whole..filled, 0);
        filled -= whole;
    }
    Ok(planes
        .channels
        .into_iter()
        .filter(|channel| !channel.is_empty())
        .map(|channel| Pcm::new(channel, rate))
        .collect())
}

/// How many there are, by the header, after which come the samples.
async fn channels(output: &mut ChildStdout) -> Option<usize> {
    let mut header = [0; HEADER];
    output.read_exact(&mut header).await.ok()?;
    let word = |at: usize| header[at..].first_chunk().map(|bytes| u32::from_be_bytes(*bytes) as usize);
    let more = word(4)?.checked_sub(HEADER).filter(|more| header.starts_with(MAGIC) && *more <= MOST_HEADER)?;
    output.read_exact(&mut vec![0; more]).await.ok()?;
    word(20).filter(|count| *count > 0)
}

fn sane(sample: f32) -> f32 {
    if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 }
}

// === impl Outcome ===

impl Outcome {
    /// The sound, or why there is none: what the first decoder said, where this one has nothing to add.
    pub fn or(self, first: DecodeError) -> Result<Decoded, ServiceError> {
        match self {
            Self::Sound(decoded) => Ok(decoded),
            Self::TooMuch(error) => Err(error.into()),
            Self::NoSuchTrack(track) => Err(DecodeError::NoSuchTrack { track, tracks: None }.into()),
            Self::NoMemory(refusal) => Err(refusal.into()),
            Self::Nothing => Err(first.into()),
        }
    }
}

// === impl Planes ===

impl Planes {
    /// The seconds of all channels count.
    fn new(count: usize, rate: u32, longest: Duration) -> Result<Self, Outcome> {
        if count > MOST_APART {
            return Err(Outcome::TooMuch(DecodeError::TooManyChannels { channels: count, most: MOST_APART }));
        }
        let most = (longest.as_secs_f64() * f64::from(rate) / count as f64) as usize;
        Ok(Self { channels: vec![Vec::new(); count], most })
    }

    /// Takes whole frames of big-endian samples.
    fn push(&mut self, frames: &[u8], limit: Duration, share: &mut MemoryShare) -> Result<(), Outcome> {
        let (words, _) = frames.as_chunks();
        let count = self.channels.len();
        let samples = self.channels[0].len() + words.len() / count;
        if samples > self.most {
            return Err(Outcome::TooMuch(match count {
                1 => DecodeError::TooLong { limit },
                channels => DecodeError::ChannelsTooLong { channels, limit },
            }));
        }
        self.make_room(samples, share).map_err(Outcome::NoMemory)?;
        for (at, channel) in self.channels.iter_mut().enumerate() {
            channel.extend(words.iter().skip(at).step_by(count).map(|word| sane(f32::from_be_bytes(*word))));
        }
        Ok(())
    }

    /// Asks before the samples grow, by halves, for the old and the new ones.
    fn make_room(&mut self, needed: usize, share: &mut MemoryShare) -> Result<(), OutOfMemory> {
        let (count, has) = (self.channels.len(), self.channels[0].capacity());
        if needed > has {
            let capacity = needed.max(has / 2 * 3);
            share.resize((has + capacity) * count * size_of::<f32>())?;
            for channel in &mut self.channels {
                channel.reserve_exact(capacity - channel.len());
            }
            share.resize(capacity * count * size_of::<f32>())?;
        }
        Ok(())
    }
}
