//! Programs as processes of their own, which end with whoever began them: no secret of ours in their environment, bounded,
//! and with nothing left behind of what they began in turn.

mod child;
mod guard;
mod tree;

pub use child::{ChildLimits, Ending, Pipes, Process, alone, ask_to_end, kill_group, lower_priority};
pub use guard::{ARGUMENT, GUARD_FAILED, GuardOptions, Isolation, REPORT, arguments, attend};
pub use tree::{ProcessId, memory, tree};
