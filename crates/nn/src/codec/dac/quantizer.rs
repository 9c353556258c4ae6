//! Vectors to codes and back: a residual quantizer whose books are searched by direction.

use candle_core::{DType, Result, Tensor};
use rayon::prelude::*;

use super::{
    residual::{linear, pointwise_numbers},
    sizes::Sizes,
};
use crate::{
    context::ComputeContext,
    conv::{Conv1d, Conv1dConfig},
    linear::{Epilogue, Linear},
    weights::{Loaded, Loader},
};

/// What a length is at least, when something is divided by it.
const SHORTEST: f32 = 1e-12;

/// The books, weights only.
#[derive(Debug)]
pub struct Quantizer {
    books: Vec<Book>,
    /// What the codes of all books stand for, side by side → the vector of a frame.
    all: Conv1d,
    codes: usize,
    width: usize,
}

#[derive(Debug)]
struct Book {
    /// From a vector to where its code is looked for, and back.
    narrow: Linear,
    wide: Linear,
    /// `[codes, width]`: what each code stands for.
    entries: Vec<f32>,
    /// The same, each of length 1, and the squares of their lengths, which rounding leaves near 1.
    directions: Vec<f32>,
    squares: Vec<f32>,
}

// === impl Quantizer ===

impl Quantizer {
    /// `of_decoder`: how vectors are made of codes.
    pub fn load(loader: &mut Loader<'_>, of_decoder: &ComputeContext, name: &str, sizes: &Sizes) -> Loaded<Self> {
        let Sizes { ref layers, codes, code_width: width, .. } = *sizes;
        let hidden = layers.hidden;
        let mut all = (vec![0.0; hidden * sizes.books * width], vec![0.0; hidden]);
        let mut books = Vec::with_capacity(sizes.books);
        for at in 0..sizes.books {
            let name = format!("{name}.quantizers.{at}");
            let (narrow, narrow_bias) = pointwise_numbers(loader.weights, &format!("{name}.in_proj"), hidden, width)?;
            let (wide, wide_bias) = pointwise_numbers(loader.weights, &format!("{name}.out_proj"), width, hidden)?;
            for (to, from) in all.0.chunks_exact_mut(sizes.books * width).zip(wide.chunks_exact(width)) {
                to[at * width..(at + 1) * width].copy_from_slice(from);
            }
            all.1.iter_mut().zip(&wide_bias).for_each(|(sum, bias)| *sum += bias);
            let entries = loader.weights.take(&format!("{name}.codebook.weight"), &[codes, width])?;
            let narrow = linear(narrow, narrow_bias, hidden, loader.context)?;
            books.push(Book::new(narrow, linear(wide, wide_bias, width, loader.context)?, entries, width));
        }
        let single_steps = Conv1dConfig::same(sizes.books * width, hidden, 1);
        let all = Conv1d::new(&all.0, Some(all.1), single_steps, of_decoder)?;
        Ok(Self { books, all, codes, width })
    }

    pub fn books(&self) -> usize {
        self.books.len()
    }

    /// Of a book.
    pub fn codes(&self) -> usize {
        self.codes
    }

    /// Frames of some codes, of which each must be in its book.
    pub fn frames(&self, codes: &[u32]) -> Result<usize> {
        if !codes.len().is_multiple_of(self.books()) {
            candle_core::bail!("{} codes are no whole frames of {}", codes.len(), self.books());
        }
        if let Some(code) = codes.iter().find(|&&code| code as usize >= self.codes) {
            candle_core::bail!("there is no code {code} in a book of {}", self.codes);
        }
        Ok(codes.len() / self.books())
    }

    /// `[frames, books]`, each of which is there, → `[frames, hidden]`
    pub fn decode(&self, codes: &[u32], context: &ComputeContext) -> Result<Tensor> {
        let width = self.width;
        let books = self.books.iter().cycle();
        let entries = codes.iter().zip(books).flat_map(|(&code, book)| book.entry(code as usize, width));
        let entries = entries.copied().collect::<Vec<_>>();
        let frames = codes.len() / self.books();
        self.all.forward(&context.tensor(entries, &[frames, self.books() * width])?, Epilogue::None)
    }

    /// `[frames, hidden]` → `[frames, books]`
    pub fn encode(&self, latents: &Tensor, context: &ComputeContext) -> Result<Vec<u32>> {
        let frames = latents.dim(0)?;
        let mut rest = latents.clone();
        let mut codes = vec![0; frames * self.books()];
        for (at, book) in self.books.iter().enumerate() {
            let (found, said) = book.search(&rest, self.width, context)?;
            codes.iter_mut().skip(at).step_by(self.books()).zip(found).for_each(|(to, code)| *to = code);
            rest = (rest - said)?;
        }
        Ok(codes)
    }
}

// === impl Book ===

impl Book {
    fn new(narrow: Linear, wide: Linear, entries: Vec<f32>, width: usize) -> Self {
        let mut directions = entries.clone();
        directions.chunks_exact_mut(width).for_each(direct);
        let squares = directions.chunks_exact(width).map(square).collect();
        Self { narrow, wide, entries, directions, squares }
    }

    fn entry(&self, code: usize, width: usize) -> &[f32] {
        &self.entries[code * width..][..width]
    }

    /// The codes of some vectors, `[frames]`, and how much of the vectors they say, `[frames, hidden]`.
    fn search(&self, x: &Tensor, width: usize, context: &ComputeContext) -> Result<(Vec<u32>, Tensor)> {
        let narrow = self.narrow.forward(x, Epilogue::None)?.to_dtype(DType::F32)?;
        let mut narrow = narrow.flatten_all()?.to_vec1::<f32>()?;
        let codes: Vec<u32> = narrow.par_chunks_exact(width).map(|vector| self.nearest(vector)).collect();
        for (vector, &code) in narrow.chunks_exact_mut(width).zip(&codes) {
            // What is said is the entry, in the rounding of the reference, whose gradient goes around the choice.
            vector.iter_mut().zip(self.entry(code as usize, width)).for_each(|(x, entry)| *x += entry - *x);
        }
        let said = self.wide.forward(&context.tensor(narrow, &[codes.len(), width])?, Epilogue::None)?;
        Ok((codes, said))
    }

    /// The code whose direction is nearest, the first of equals.
    fn nearest(&self, vector: &[f32]) -> u32 {
        let mut towards = vector.to_vec();
        direct(&mut towards);
        let length = square(&towards);
        let mut best = (f32::NEG_INFINITY, 0);
        for (at, (direction, square)) in self.directions.chunks_exact(vector.len()).zip(&self.squares).enumerate() {
            let product: f32 = direction.iter().zip(&towards).map(|(a, b)| a * b).sum();
            let near = -(length - 2.0 * product) + square;
            if near > best.0 {
                best = (near, at);
            }
        }
        best.1 as u32
    }
}

/// Makes the length 1, unless it is nothing.
fn direct(vector: &mut [f32]) {
    let length = square(vector).sqrt().max(SHORTEST);
    vector.iter_mut().for_each(|x| *x /= length);
}

fn square(vector: &[f32]) -> f32 {
    vector.iter().map(|x| x * x).sum()
}
