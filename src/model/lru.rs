//! Values by name, bounded by what they weigh.

use std::{collections::HashMap, fmt};

/// Bytes of values, the least recently used first to go. Values are handed out as clones, which should be cheap.
pub struct LruCache<V> {
    entries: HashMap<String, Entry<V>>,
    bytes: u64,
    most: u64,
    /// Grows with each use.
    clock: u64,
}

struct Entry<V> {
    value: V,
    bytes: u64,
    used: u64,
}

// === impl LruCache ===

impl<V: Clone> LruCache<V> {
    /// Of so many bytes at most.
    pub fn new(most: u64) -> Self {
        Self { entries: HashMap::new(), bytes: 0, most, clock: 0 }
    }

    pub fn get(&mut self, name: &str) -> Option<V> {
        self.clock += 1;
        let entry = self.entries.get_mut(name)?;
        entry.used = self.clock;
        Some(entry.value.clone())
    }

    /// Keeps a value of so many bytes, and lets others go for it. What is larger than all of the cache is not kept.
    pub fn put(&mut self, name: String, value: V, bytes: u64) {
        if bytes > self.most {
            return;
        }
        self.clock += 1;
        self.bytes += bytes;
        let before = self.entries.insert(name, Entry { value, bytes, used: self.clock });
        self.bytes -= before.map_or(0, |before| before.bytes);
        while self.bytes > self.most
            && let Some(oldest) = self.entries.iter().min_by_key(|(_, entry)| entry.used).map(|(name, _)| name.clone())
        {
            self.bytes -= self.entries.remove(&oldest).map_or(0, |entry| entry.bytes);
        }
    }
}

impl<V> fmt::Debug for LruCache<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { entries, bytes, most, .. } = self;
        f.debug_struct("LruCache").field("entries", &entries.len()).field("bytes", bytes).field("most", most).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_longest_ago_goes_first_and_the_bound_holds() {
        let mut cache = LruCache::new(10);
        for name in ["a", "b", "c"] {
            cache.put(name.to_owned(), name, 3);
        }
        assert_eq!(cache.get("a"), Some("a"));
        cache.put("d".to_owned(), "d", 4);
        assert_eq!(
            [cache.get("a"), cache.get("b"), cache.get("c"), cache.get("d")],
            [Some("a"), None, Some("c"), Some("d")]
        );
        assert_eq!((cache.bytes, cache.entries.len()), (10, 3));
    }

    #[test]
    fn a_name_has_one_value_and_what_is_too_large_is_not_kept() {
        let mut cache = LruCache::new(10);
        cache.put("a".to_owned(), 1, 6);
        cache.put("a".to_owned(), 2, 5);
        assert_eq!((cache.get("a"), cache.bytes), (Some(2), 5));
        cache.put("b".to_owned(), 3, 11);
        assert_eq!((cache.get("a"), cache.get("b"), cache.bytes), (Some(2), None, 5));
    }
}
