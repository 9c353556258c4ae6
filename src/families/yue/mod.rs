//! YuE: songs from lyrics, from HKUST and M-A-P.

mod sound;
