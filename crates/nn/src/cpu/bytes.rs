//! Numbers of this program as a file would hold them.

use bytes::Bytes;

struct Owned(Vec<f32>);

/// Without a copy.
#[cfg(target_endian = "little")]
pub fn bytes_of(numbers: Vec<f32>) -> Bytes {
    Bytes::from_owner(Owned(numbers))
}

// === impl Owned ===

impl AsRef<[u8]> for Owned {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: any four bytes of a number may be looked at as bytes.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), size_of_val(self.0.as_slice())) }
    }
}
