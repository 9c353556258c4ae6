//! A loaded model, as far as the machine must know it.

/// A loaded model, as far as the machine must know it. Only the machine lends it.
pub trait Resource {
    type Lease;

    fn lend(&self) -> Self::Lease;

    /// Whether any lease exists.
    fn leased(&self) -> bool;

    /// Bytes of memory that it was seen to take.
    fn measured(&self) -> Option<u64>;
}
