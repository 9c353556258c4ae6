//! Products with weights of eight bits.
//!
//! Numbers that follow each other along the depth share a scale, [`BLOCK`](block::BLOCK) of them, as in the `q8_0` of llama.cpp: each is a
//! whole number from -127 to 127 times that. The rows of the left matrix are cut into such blocks too, so that a product is
//! a sum of dot products of whole numbers, each exact, times two scales. Those are added up in `f32` along the depth, in the
//! same order whatever rows there are and whatever vectors: a row has the same sums, to the last bit, among any others. A
//! matrix unit is given very many rows, which are then rounded to `bf16` and not to eight bits.
//!
//! `weights` keeps the right matrix, `rows` the left one, `dots` multiplies bytes, `product` multiplies matrices.

mod block;
mod dots;
mod level;
mod product;
mod rows;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod tiles;
mod weights;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use product::multiply;
pub use weights::{Q8Error, Q8Weights, q8_bytes};
