//! One writer per repository among all processes that share a folder, so that many of them fetch a file once.
//!
//! The lock is a file that names its owner and changes with every heartbeat. Whoever finds it waits and watches: an
//! owner whose heartbeat stands still, by the watcher's own clock that nobody sets, or whose process is gone, is
//! succeeded. No two machines' clocks are ever compared, and no lock of a file system is asked for.
//!
//! It saves bandwidth and nothing else. Where it does not work, several fetch the same files and all of them end whole.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::{
    files::{blocking, new_file},
    layout::RepoDir,
    owner::{Alive, Owner},
    progress::Progress,
};

/// Between two heartbeats.
const BEAT: Duration = Duration::from_secs(1);
/// A heartbeat that stands still for so long has stopped: many times [`BEAT`], since a busy machine is late.
const EXPIRY: Duration = Duration::from_secs(10);
/// Between two looks at the lock of another.
const LOOK: Duration = Duration::from_millis(100);

/// The right to write, given back when dropped.
pub(super) struct DownloadLock {
    path: PathBuf,
    alive: Alive,
}

/// What the file says.
#[derive(Clone, Serialize, Deserialize)]
struct Claim {
    owner: Owner,
    /// Another one with every heartbeat.
    beat: u64,
    /// How far the owner has come.
    progress: Progress,
}

/// Watches something that changes as long as it lives.
#[derive(Default)]
struct Watch(Option<(Vec<u8>, Instant)>);

/// What became of one attempt.
enum Attempt {
    Mine,
    Theirs(Option<Claim>),
}

// === impl DownloadLock ===

impl DownloadLock {
    /// Waits until nobody else writes. `theirs` hears who does, and how far they have come.
    pub(super) async fn acquire(dir: &RepoDir, theirs: impl Fn(&str, &Progress)) -> io::Result<Self> {
        let lock = Self { path: dir.download_lock(), alive: Alive::new() };
        let mut watches = (Watch::default(), Watch::default());
        loop {
            let (path, owner) = (lock.path.clone(), lock.alive.0.clone());
            let (attempt, known) = blocking(move || {
                let attempt = attempt(&path, owner, &mut watches)?;
                Ok((attempt, watches))
            })
            .await?;
            watches = known;
            match attempt {
                Attempt::Mine => return Ok(lock),
                Attempt::Theirs(claim) => {
                    claim.iter().for_each(|claim| theirs(&claim.owner.name(), &claim.progress));
                    tokio::time::sleep(LOOK).await;
                }
            }
        }
    }

    /// Does the work while the heart beats.
    pub(super) async fn keep<T>(&self, progress: impl Fn() -> Progress, work: impl Future<Output = T>) -> T {
        tokio::select! {
            done = work => done,
            () = self.beat(progress) => unreachable!("the heart beats until the work is done"),
        }
    }

    async fn beat(&self, progress: impl Fn() -> Progress) {
        for beat in 1.. {
            tokio::time::sleep(BEAT).await;
            let claim = Claim { owner: self.alive.0.clone(), beat, progress: progress() };
            let path = self.path.clone();
            match blocking(move || renew(&path, &claim)).await {
                Ok(true) => {}
                Ok(false) => {
                    tracing::warn!("another process took the lock over: this one was too slow to show that it lives");
                    break;
                }
                Err(error) => tracing::warn!(%error, "cannot renew the lock"),
            }
        }
        std::future::pending().await
    }
}

impl Drop for DownloadLock {
    fn drop(&mut self) {
        // One small file, at once: a thread of its own might never run if the process ends now.
        if read(&self.path).is_some_and(|(_, claim)| claim.is_some_and(|claim| claim.owner == self.alive.0)) {
            drop(fs::remove_file(&self.path));
        }
    }
}

// === impl Watch ===

impl Watch {
    /// Whether what is watched has not changed for too long. The clock is this machine's, and nobody can set it.
    fn still(&mut self, content: &[u8], now: Instant) -> bool {
        match &self.0 {
            Some((known, since)) if known == content => now.saturating_duration_since(*since) >= EXPIRY,
            _ => {
                self.0 = Some((content.to_owned(), now));
                false
            }
        }
    }
}

/// Takes the lock if nobody has it, or succeeds an owner who is gone.
fn attempt(path: &Path, owner: Owner, (lock, heir): &mut (Watch, Watch)) -> io::Result<Attempt> {
    let claim = Claim { owner, beat: 0, progress: Progress::default() };
    if create(path, &claim)? {
        return Ok(Attempt::Mine);
    }
    let Some((content, theirs)) = read(path) else { return Ok(Attempt::Theirs(None)) };
    let gone = theirs.as_ref().is_some_and(|theirs| theirs.owner.is_dead());
    if (gone || lock.still(&content, Instant::now())) && succeed(path, &content, &claim, heir)? {
        let whom = theirs.map(|theirs| theirs.owner.name());
        tracing::info!(owner = whom, "took the lock over: its owner is gone");
        return Ok(Attempt::Mine);
    }
    Ok(Attempt::Theirs(theirs))
}

/// Takes the place of an owner who is gone. Of several who want to, one: who makes the file that names the heir of just
/// that claim. It looks again afterwards, or a late comer could succeed the heir.
fn succeed(path: &Path, gone: &[u8], claim: &Claim, watch: &mut Watch) -> io::Result<bool> {
    let heir = path.with_extension(format!("heir-{:016x}", fingerprint(gone)));
    if !create(&heir, claim)? {
        let left = |(content, theirs): (Vec<u8>, Option<Claim>)| {
            theirs.is_some_and(|theirs| theirs.owner.is_dead()) || watch.still(&content, Instant::now())
        };
        if read(&heir).is_some_and(left) {
            drop(fs::remove_file(&heir));
        }
        return Ok(false);
    }
    let still_gone = read(path).is_some_and(|(content, _)| content == gone);
    let taken = if still_gone { replace(path, claim) } else { Ok(()) };
    drop(fs::remove_file(&heir));
    taken.map(|()| still_gone)
}

/// `false` if it belongs to another by now.
fn renew(path: &Path, claim: &Claim) -> io::Result<bool> {
    let mine = read(path).is_some_and(|(_, known)| known.is_some_and(|known| known.owner == claim.owner));
    if mine {
        replace(path, claim)?;
    }
    Ok(mine)
}

fn read(path: &Path) -> Option<(Vec<u8>, Option<Claim>)> {
    let content = fs::read(path).ok()?;
    let claim = serde_json::from_slice(&content).ok();
    Some((content, claim))
}

/// `false` if there is one. A link appears with its content, or not at all; where a file system has no links, a file
/// that must be new is as good, but for the moment before it is written.
fn create(path: &Path, claim: &Claim) -> io::Result<bool> {
    let beside = beside(path, claim)?;
    let linked = fs::hard_link(&beside, path);
    let made = match linked {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(_) => match new_file(path) {
            Ok(mut file) => io::Write::write_all(&mut file, &serde_json::to_vec(claim)?).map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        },
    };
    drop(fs::remove_file(beside));
    made
}

fn replace(path: &Path, claim: &Claim) -> io::Result<()> {
    let beside = beside(path, claim)?;
    fs::rename(&beside, path).inspect_err(|_| drop(fs::remove_file(&beside)))
}

/// The claim in a file that only its owner knows.
fn beside(path: &Path, claim: &Claim) -> io::Result<PathBuf> {
    let beside = path.with_extension(format!("claim-{}", claim.owner.id));
    fs::create_dir_all(path.parent().ok_or(io::ErrorKind::InvalidInput)?)?;
    fs::write(&beside, serde_json::to_vec(claim)?).inspect_err(|_| drop(fs::remove_file(&beside)))?;
    Ok(beside)
}

/// FNV-1a: the same on every machine and in every version of this program.
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn claim() -> (Alive, Claim) {
        let alive = Alive::new();
        let claim = Claim { owner: alive.0.clone(), beat: 0, progress: Progress::default() };
        (alive, claim)
    }

    fn is_mine(path: &Path, alive: &Alive) -> bool {
        let mut watches = Default::default();
        matches!(attempt(path, alive.0.clone(), &mut watches).unwrap(), Attempt::Mine)
    }

    #[test]
    fn a_heartbeat_is_judged_by_the_watchers_own_clock() {
        let (mut watch, now) = (Watch::default(), Instant::now());
        assert!(!watch.still(b"1", now));
        assert!(!watch.still(b"1", now + EXPIRY / 2));
        assert!(!watch.still(b"2", now + EXPIRY), "it beat");
        assert!(watch.still(b"2", now + EXPIRY * 2));
    }

    #[test]
    fn one_has_it_until_it_is_gone() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join(".sconce/lease.json");
        let (first, second) = (Alive::new(), Alive::new());
        assert!(is_mine(&path, &first));
        assert!(!is_mine(&path, &second));
        drop(first);
        assert!(is_mine(&path, &second), "at once: it is certain that the owner ended");
        assert_eq!(fs::read_dir(dir.path().join(".sconce")).unwrap().count(), 1, "nothing is left lying about");
    }

    #[test]
    fn an_owner_elsewhere_is_succeeded_when_its_heart_stands_still() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("lease.json");
        // What another version, or another machine, may write.
        fs::write(&path, "who knows").unwrap();
        let heir = Alive::new();
        let long_ago = Instant::now().checked_sub(EXPIRY).unwrap();
        let mut watches = (Watch(Some((b"who knows".to_vec(), long_ago))), Watch::default());
        assert!(matches!(attempt(&path, heir.0.clone(), &mut watches).unwrap(), Attempt::Mine));
        let (_, claim) = claim();
        assert!(!renew(&path, &claim).unwrap(), "the old owner, should it wake up, sees that it is not any more");
    }

    #[test]
    fn of_many_heirs_one_succeeds() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("lease.json");
        for _ in 0..20 {
            let (gone, of_the_gone) = claim();
            drop(gone);
            replace(&path, &of_the_gone).unwrap();
            let heirs: Vec<Alive> = (0..8).map(|_| Alive::new()).collect();
            let won = std::thread::scope(|scope| {
                let runs: Vec<_> = heirs.iter().map(|heir| scope.spawn(|| is_mine(&path, heir))).collect();
                runs.into_iter().map(|run| run.join().unwrap()).filter(|won| *won).count()
            });
            assert!(won <= 1, "{won} heirs");
            fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn an_heir_that_died_on_the_way_is_cleared_away() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("lease.json");
        let ((gone, of_the_gone), (heir, of_the_heir), last) = (claim(), claim(), Alive::new());
        drop((gone, heir));
        replace(&path, &of_the_gone).unwrap();
        let content = fs::read(&path).unwrap();
        create(&path.with_extension(format!("heir-{:016x}", fingerprint(&content))), &of_the_heir).unwrap();
        assert!(!is_mine(&path, &last));
        assert!(is_mine(&path, &last));
    }
}
