//! Places for sessions.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;

use super::{config::LiveConfig, line::Lines, partials::Partials};
use crate::speech::{Fault, Kind};

/// A session ends in minutes, so nobody needs to ask more often.
const RETRY: Duration = Duration::from_secs(5);

/// Where sessions are, whatever their protocol. A clone is the same room.
#[derive(Clone)]
pub(in crate::service) struct LiveRoom {
    // Held for a look and a change.
    taken: Arc<Mutex<Taken>>,
    /// Items that are heard before their end.
    pub(super) partials: Partials,
    /// Whole items that find a queue full.
    pub(super) lines: Lines,
}

#[derive(Default)]
struct Taken {
    all: usize,
    by: HashMap<String, usize>,
}

/// One place, until it is dropped.
pub(super) struct Place {
    room: LiveRoom,
    who: Option<String>,
}

/// Why there is no place for a session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPlace {
    #[error("as many live sessions are open as this server takes ({most}, `live.max_sessions`)")]
    Full { most: usize },
    #[error("the key {who} may have {most} live sessions open (`live.max_sessions_per_key`), and has")]
    KeyFull { who: String, most: usize },
}

// === impl LiveRoom ===

impl LiveRoom {
    pub fn new(config: &LiveConfig) -> Self {
        let partials = Partials::new(config.max_partials);
        Self { taken: Arc::default(), partials, lines: Lines::default() }
    }

    /// A place for the holder of a key, or for anybody.
    pub(super) fn enter(&self, who: Option<String>, config: &LiveConfig) -> Result<Place, NoPlace> {
        let mut taken = self.taken.lock();
        if taken.all >= config.max_sessions {
            return Err(NoPlace::Full { most: config.max_sessions });
        }
        if let Some(who) = &who {
            let has = taken.by.entry(who.clone()).or_default();
            match config.max_sessions_per_key {
                Some(most) if *has >= most => return Err(NoPlace::KeyFull { who: who.clone(), most }),
                _ => *has += 1,
            }
        }
        taken.all += 1;
        drop(taken);
        Ok(Place { room: self.clone(), who })
    }
}

// === impl Place ===

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.room.taken.lock();
        taken.all -= 1;
        if let Some(who) = &self.who
            && let Some(has) = taken.by.get_mut(who)
        {
            *has -= 1;
            if *has == 0 {
                taken.by.remove(who);
            }
        }
    }
}

// === impl NoPlace ===

impl Fault for NoPlace {
    fn kind(&self) -> Kind {
        Kind::Busy
    }

    fn retry_after(&self) -> Option<Duration> {
        Some(RETRY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_so_many_places_in_all_and_so_many_for_a_key() {
        let config = LiveConfig {
            max_sessions: 3,
            max_sessions_per_key: Some(1),
            max_session: Duration::from_secs(1),
            max_item: Duration::from_secs(1),
            partials: None,
            max_partials: 1,
            max_rate: 1,
            ahead: Duration::ZERO,
        };
        let room = LiveRoom::new(&config);
        let enter = |who: Option<&str>| room.enter(who.map(str::to_owned), &config);
        let (ann, bob) = (enter(Some("ann")).unwrap(), enter(Some("bob")).unwrap());
        let refused = enter(Some("ann")).err().unwrap();
        assert_eq!(refused, NoPlace::KeyFull { who: "ann".to_owned(), most: 1 });
        let anybody = enter(None).unwrap();
        assert_eq!(enter(None).err().unwrap(), NoPlace::Full { most: 3 });
        drop(ann);
        drop(enter(Some("ann")).unwrap());
        drop((bob, anybody));
        assert!(room.taken.lock().by.is_empty() && room.taken.lock().all == 0);
    }
}
