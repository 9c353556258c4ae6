//! Attention.

mod kv_cache;

pub use kv_cache::{KvCache, KvCacheDtype, SequenceQueries, attend};
