//! Networks in files of ONNX, computed by ONNX Runtime.
//!
//! The library is of another project, under the MIT licence. Nothing of it is part of this one: it is found on the machine
//! and loaded when the first model that needs it is (`library`). Before it is given a file the file is looked through
//! (`header`), so that what is hostile or of another family never reaches it. Where a network draws numbers by chance, they
//! are given to it (`noise`), so that a seed means one sound. A `Network` is one file with its inputs; it knows no request.
//! A `Speaker` brings many requests to a voice that is made of one.

mod header;
mod library;
mod network;
mod noise;
mod numbers;
mod speaker;
mod states;
#[cfg(test)]
mod tests;

pub use {
    header::{Header, InputType, read as read_header},
    library::check as check_library,
    network::{DTYPES, Network, Signature, Taken, choices, footprint},
    numbers::{Numbers, RunError},
    speaker::{Says, Speaker},
    states::States,
};
