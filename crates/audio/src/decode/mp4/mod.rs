//! What of MP4 is read here, beside Symphonia: who its tracks are, their edit lists, and where the file breaks off.
//! Layout: ISO/IEC 14496-12.

mod atoms;
mod cut;
mod edits;

pub(super) use atoms::is_sound;
pub(super) use cut::read_leniently;
pub(super) use edits::edit;
