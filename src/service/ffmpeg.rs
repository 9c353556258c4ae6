//! What the decoders of this program do not hear, heard by ffmpeg where it is installed.
//!
//! It is a program that reads what strangers send: it gets the bytes by a pipe and nothing else. Its environment is empty,
//! it may open neither files nor addresses (`-protocol_whitelist`), no list of other files is a format to it
//! (`-format_whitelist`), its memory, time and output are bounded, and it is killed with its group when nobody waits for
//! it any more. At most as many run as there are decoders, whose place each takes.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
    process::{Command as Program, Stdio},
    sync::{Arc, OnceLock},
    thread,
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, ChildStdout, Command},
    time::timeout,
};
use tracing::{debug, info, warn};

use super::memory::{MemoryShare, OutOfMemory};
use crate::{
    audio::{DecodeError, Pcm},
    model::ProgramChoice,
    process::{kill_group, lower_priority},
};

/// The program that was found at the start, if any.
#[derive(Clone, Debug)]
pub struct Ffmpeg {
    program: Arc<OnceLock<Option<PathBuf>>>,
    /// What is to be done where there is none.
    remedy: &'static str,
    time_limit: Duration,
}

/// What became of a recording.
#[derive(Debug)]
pub(super) enum Heard {
    Sound(Pcm),
    TooLong,
    NoMemory(OutOfMemory),
    /// Not one sample.
    Nothing,
}

/// A process that ends with its group when it is dropped.
struct Group(Child);

/// KiB of address space: twice what the largest of our files took.
const MEMORY: &str = "1048576";
/// Read at once, and of its complaints.
const BLOCK: usize = 64 * 1024;
const MOST_COMPLAINTS: u64 = 2048;

const PROTOCOLS: &str = "pipe,cache";
/// Formats that hold their sound themselves.
const FORMATS: &str = "aac,ac3,eac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,dts,flac,flv,gsm,matroska,webm,mov,mp4,mp3,\
                       mpeg,mpegts,mpc,ogg,tta,voc,w64,wav,wv";

// === impl Ffmpeg ===

impl Ffmpeg {
    /// Looks once, at the start, which does not wait for it.
    pub fn find(choice: &ProgramChoice, time_limit: Duration) -> Self {
        let program = Arc::new(OnceLock::new());
        let (to, asked) = (program.clone(), choice.clone());
        let look = move || _ = to.set(look(&asked));
        if let Err(error) = thread::Builder::new().name("ffmpeg".to_owned()).spawn(look) {
            warn!(%error, "nobody could look for ffmpeg");
            _ = program.set(None);
        }
        let remedy = match choice {
            ProgramChoice::Off => "audio.ffmpeg is off, which would read it",
            _ => "who runs the server can install ffmpeg, or name it by audio.ffmpeg",
        };
        Self { program, remedy, time_limit }
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

    /// The sound of a file, at `rate` hertz in one channel.
    pub(super) async fn hear(&self, bytes: Bytes, rate: u32, longest: Duration, share: &mut MemoryShare) -> Heard {
        let Some(program) = self.program() else { return Heard::Nothing };
        let mut group = match command(program, &bytes, rate).spawn() {
            Ok(child) => Group(child),
            Err(error) => {
                warn!(%error, "ffmpeg could not be started");
                return Heard::Nothing;
            }
        };
        match timeout(self.time_limit, exchange(&mut group.0, &bytes, rate, longest, share)).await {
            Ok(heard) => heard,
            Err(_) => {
                warn!(limit = ?self.time_limit, "ffmpeg took too long");
                Heard::Nothing
            }
        }
    }
}

/// Through a shell, which bounds the memory and then is ffmpeg.
fn command(program: &Path, bytes: &[u8], rate: u32) -> Command {
    // The index of an MP4 may lie at its end, which a pipe cannot go back from; the cache is a file that has no name.
    let is_film = matches!(bytes.get(4..8), Some(b"ftyp" | b"moov" | b"mdat" | b"wide" | b"free" | b"skip"));
    let input = if is_film { "cache:pipe:0" } else { "pipe:0" };
    let mut command = Command::new("/bin/sh");
    command.args(["-c", r#"ulimit -v "$0" && ulimit -c 0 && exec "$@""#, MEMORY]).arg(program);
    command.args(["-nostdin", "-hide_banner", "-loglevel", "error", "-threads", "1"]);
    command.args(["-protocol_whitelist", PROTOCOLS, "-format_whitelist", FORMATS, "-i", input]);
    command.args(["-map", "0:a:0", "-vn", "-sn", "-dn", "-af", "aresample=async=1:first_pts=0", "-ac", "1"]);
    command.args(["-ar", &rate.to_string(), "-c:a", "pcm_f32le", "-f", "f32le", "pipe:1"]);
    command.env_clear().process_group(0).kill_on_drop(true).current_dir("/");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Bytes in, samples out, both at once.
async fn exchange(child: &mut Child, bytes: &[u8], rate: u32, longest: Duration, share: &mut MemoryShare) -> Heard {
    let (Some(mut input), Some(output), Some(complaints)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Heard::Nothing;
    };
    // It may have enough before the end, and then closes the pipe.
    let write = async move { _ = input.write_all(bytes).await };
    let complain = async {
        let (mut text, mut rest) = (String::new(), complaints.take(MOST_COMPLAINTS));
        _ = rest.read_to_string(&mut text).await;
        _ = tokio::io::copy(&mut rest.into_inner(), &mut tokio::io::sink()).await;
        text
    };
    let most = (longest.as_secs_f64() * f64::from(rate)) as usize;
    let work = async {
        tokio::select! {
            // Too much, or the end: what else it would read or say does not matter.
            heard = samples(output, rate, most, share) => heard,
            _ = async { tokio::join!(write, std::future::pending::<()>()) } => Heard::Nothing,
        }
    };
    tokio::pin!(work);
    tokio::select! {
        heard = &mut work => heard,
        text = complain => {
            if !text.is_empty() {
                debug!(text = text.trim(), "ffmpeg");
            }
            work.await
        }
    }
}

async fn samples(mut output: ChildStdout, rate: u32, most: usize, share: &mut MemoryShare) -> Heard {
    let (mut samples, mut block, mut filled) = (Vec::<f32>::new(), vec![0; BLOCK], 0);
    loop {
        let read = output.read(&mut block[filled..]).await.unwrap_or(0);
        if read == 0 {
            break;
        }
        filled += read;
        let whole = filled / size_of::<f32>();
        if samples.len() + whole > most {
            return Heard::TooLong;
        }
        if let Err(refusal) = make_room(&mut samples, whole, share) {
            return Heard::NoMemory(refusal);
        }
        let (words, _) = block[..filled].as_chunks();
        samples.extend(words.iter().map(|word| f32::from_le_bytes(*word)).map(sane));
        block.copy_within(whole * size_of::<f32>()..filled, 0);
        filled -= whole * size_of::<f32>();
    }
    if samples.is_empty() { Heard::Nothing } else { Heard::Sound(Pcm::new(samples, rate)) }
}

/// Asks before the samples grow, by halves, for the old and the new ones.
fn make_room(samples: &mut Vec<f32>, more: usize, share: &mut MemoryShare) -> Result<(), OutOfMemory> {
    let (needed, has) = (samples.len() + more, samples.capacity());
    if needed > has {
        let capacity = needed.max(has / 2 * 3);
        share.resize((has + capacity) * size_of::<f32>())?;
        samples.reserve_exact(capacity - samples.len());
        share.resize(samples.capacity() * size_of::<f32>())?;
    }
    Ok(())
}

fn sane(sample: f32) -> f32 {
    if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 }
}

/// Where the search path has it.
fn look(choice: &ProgramChoice) -> Option<PathBuf> {
    let program = match choice {
        ProgramChoice::Off => return None,
        ProgramChoice::Auto => searched(),
        ProgramChoice::At(path) => Some(path.clone()),
    };
    let Some(program) = program else {
        info!("there is no ffmpeg: recordings that are not decoded here are refused");
        return None;
    };
    match version(&program) {
        Some(version) => {
            info!(program = %program.display(), version, "ffmpeg hears what is not decoded here");
            Some(program)
        }
        None => {
            warn!(program = %program.display(), "audio.ffmpeg does not run, or is not ffmpeg");
            None
        }
    }
}

fn searched() -> Option<PathBuf> {
    let found = Program::new("/bin/sh").args(["-c", "command -v ffmpeg"]).stdin(Stdio::null()).output().ok()?;
    let path = String::from_utf8(found.stdout).ok()?;
    Some(PathBuf::from(path.trim())).filter(|path| path.is_absolute())
}

/// Its version, if it runs and is ffmpeg.
fn version(program: &Path) -> Option<String> {
    let mut child = Program::new(program)
        .arg("-version")
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    // It links two hundred libraries, while the models are loaded that somebody waits for.
    lower_priority(child.id());
    let mut text = String::new();
    let read = child.stdout.take()?.take(MOST_COMPLAINTS).read_to_string(&mut text);
    _ = child.wait();
    read.ok()?;
    text.strip_prefix("ffmpeg version ")?.split_whitespace().next().map(str::to_owned)
}

// === impl Heard ===

impl Heard {
    /// The sound, or why there is none: what the first decoder said, where this one has nothing to add.
    pub fn or(self, first: DecodeError, longest: Duration) -> Result<Pcm, super::ServiceError> {
        match self {
            Self::Sound(pcm) => Ok(pcm),
            Self::TooLong => Err(DecodeError::TooLong { limit: longest }.into()),
            Self::NoMemory(refusal) => Err(refusal.into()),
            Self::Nothing => Err(first.into()),
        }
    }
}

// === impl Group ===

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0.id() {
            kill_group(leader);
        }
    }
}
