//! A process that ends with all that it began.

use std::{io, time::Duration};

use tokio::{
    process::{Child, Command},
    runtime::Handle,
    time::timeout,
};

use crate::process::{ask_to_end, kill_group};

/// Threads of it and of its guard, of which there are fewer than ten: ffmpeg 5.1 with `-threads 1` has one, newer ones one for each
/// part of their work.
pub(super) const THREADS: u64 = 64;
/// For its guard to end it and all that it began.
const END: Duration = Duration::from_secs(2);

/// A process that ends with all that it began when it is dropped.
pub(super) struct Group {
    /// Until then.
    pub child: Option<Child>,
    is_guarded: bool,
}

// === impl Group ===

impl Group {
    pub fn begin(mut command: Command, is_guarded: bool) -> io::Result<Self> {
        let child = command.kill_on_drop(true).spawn()?;
        Ok(Self { child: Some(child), is_guarded })
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let Some((mut child, leader)) = self.child.take().and_then(|child| child.id().map(|id| (child, id))) else {
            return;
        };
        // A guard that is killed can end nothing any more that left its group, unless the kernel does.
        match Handle::try_current() {
            Ok(runtime) if self.is_guarded => {
                ask_to_end(leader);
                runtime.spawn(async move {
                    if timeout(END, child.wait()).await.is_err() {
                        kill_group(leader);
                    }
                });
            }
            _ => kill_group(leader),
        }
    }
}
