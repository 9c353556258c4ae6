//! Attention: the caches of keys and values, who sees what, and the slots in which sequences come and go.

mod attend;
mod kv_cache;
mod mask;
mod relative;
mod slots;

pub use attend::{SequenceQueries, attend, attend_grouped};
pub use kv_cache::{KvCache, KvCacheConfig, KvCacheDtype, extend_each};
pub use relative::{RelativeAttention, RelativeRows};
pub use slots::{Slot, SlotConfig, Slots};
#[cfg(feature = "cuda")]
pub use slots::{cross_attention_group, self_attention_group};
