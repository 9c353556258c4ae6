//! Vectors to codes and back: a residual quantizer whose books are searched by distance.

use candle_core::{DType, Result, Tensor};
use rayon::prelude::*;

use crate::{
    context::ComputeContext,
    conv::{Conv1d, Conv1dConfig},
    linear::{Epilogue, Linear},
    weights::{Loaded, Loader, WeightError},
};

/// The books, weights only.
#[derive(Debug)]
pub struct Quantizer {
    books: Vec<Book>,
    output: Output,
    codes: usize,
    width: usize,
}

/// From what codes stand for to what the decoder is given of a frame.
#[derive(Debug)]
enum Output {
    /// The layers of all books and the one after them as one, of what stands side by side.
    Composed(Conv1d),
    /// That one alone, of what is added up.
    Summed(Conv1d),
}

#[derive(Debug)]
struct Book {
    /// Where its codes are looked for among narrower vectors.
    projection: Option<Projection>,
    /// `[codes, width]`: what each code stands for, and the squares of their lengths.
    entries: Vec<f32>,
    squares: Vec<f32>,
}

/// From a vector to where its code is looked for, and back.
#[derive(Debug)]
struct Projection {
    narrow: Linear,
    wide: Linear,
}

/// A layer's numbers: `[columns, depth]`, `[columns]`.
type Numbers = (Vec<f32>, Vec<f32>);

// === impl Quantizer ===

impl Quantizer {
    /// `hidden`: numbers of what is quantised; `decoded`: of what the decoder is given; `of_decoder`: how that is made;
    /// `most`: books that are of use.
    pub fn load(
        loader: &mut Loader<'_>,
        of_decoder: &ComputeContext,
        (hidden, decoded): (usize, usize),
        most: usize,
    ) -> Loaded<Self> {
        let of_book = |at: usize| format!("quantizer.quantizers.{at}");
        let embed = |at: usize| format!("{}.codebook.embed", of_book(at));
        let there = loader.weights.count(embed);
        let count = there.min(most);
        (count..there).for_each(|at| loader.weights.ignore_all(&format!("{}.", of_book(at))));
        let [codes, width] = loader.weights.sizes(&embed(0))?;
        if u32::try_from(codes).is_err() {
            let reason = format!("has {codes} rows, which no code can name");
            return Err(WeightError::tensor(embed(0), reason).into());
        }
        let last = numbers(loader, "fc2", hidden, decoded)?;
        let projected = loader.weights.has(&format!("{}.project_in.weight", of_book(0)));
        if !projected && width != hidden {
            let reason =
                format!("has rows of {width} numbers, where {hidden} are quantised and nothing makes them fewer");
            return Err(WeightError::tensor(embed(0), reason).into());
        }
        let mut all = (vec![0.0; decoded * count * width], last.1.clone());
        let mut books = Vec::with_capacity(count);
        for at in 0..count {
            let projection = match projected {
                true => {
                    let (narrow, wide) =
                        (format!("{}.project_in", of_book(at)), format!("{}.project_out", of_book(at)));
                    let (narrow, wide) =
                        (numbers(loader, &narrow, hidden, width)?, numbers(loader, &wide, width, hidden)?);
                    compose(&last.0, &wide, (hidden, width), &mut all, at * width..(at + 1) * width);
                    Some(Projection::new(narrow, wide, (hidden, width), loader.context)?)
                }
                false => None,
            };
            let entries = loader.weights.take(&embed(at), &[codes, width])?;
            books.push(Book::new(projection, entries, width));
        }
        let output = |depth, (weight, bias): Numbers| {
            Conv1d::new(&weight, Some(bias), Conv1dConfig::same(depth, decoded, 1), of_decoder)
        };
        let output = match projected {
            true => Output::Composed(output(count * width, all)?),
            false => Output::Summed(output(hidden, last)?),
        };
        Ok(Self { books, output, codes, width })
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

    /// `[frames, books]`, each of which is there, → `[frames, decoded]`
    pub fn decode(&self, codes: &[u32], context: &ComputeContext) -> Result<Tensor> {
        let (frames, width) = (codes.len() / self.books(), self.width);
        match &self.output {
            Output::Summed(output) => output.forward(&self.sums(codes, context)?, Epilogue::None),
            Output::Composed(output) => {
                let books = self.books.iter().cycle();
                let entries = codes.iter().zip(books).flat_map(|(&code, book)| book.entry(code as usize, width));
                let entries = entries.copied().collect::<Vec<_>>();
                output.forward(&context.tensor(entries, &[frames, self.books() * width])?, Epilogue::None)
            }
        }
    }

    /// What the codes stand for, `[frames, books]`, each of which is there, → `[frames, hidden]`
    ///
    /// # Errors
    /// Where codes are looked for among narrower vectors.
    pub fn embed(&self, codes: &[u32], context: &ComputeContext) -> Result<Tensor> {
        match &self.output {
            Output::Summed(_) => self.sums(codes, context),
            Output::Composed(_) => candle_core::bail!("what codes of this codec stand for cannot be added up"),
        }
    }

    /// What the codes of each frame stand for, added up, `[frames, width]`.
    fn sums(&self, codes: &[u32], context: &ComputeContext) -> Result<Tensor> {
        let (frames, width) = (codes.len() / self.books(), self.width);
        let mut sums = vec![0.0; frames * width];
        let rows = sums.par_chunks_exact_mut(width.max(1)).zip(codes.par_chunks_exact(self.books().max(1)));
        rows.for_each(|(row, codes)| {
            for (&code, book) in codes.iter().zip(&self.books) {
                row.iter_mut().zip(book.entry(code as usize, width)).for_each(|(sum, x)| *sum += x);
            }
        });
        context.tensor(sums, &[frames, width])
    }

    /// `[frames, hidden]` → `[frames, books]`
    pub fn encode(&self, vectors: &Tensor, context: &ComputeContext) -> Result<Vec<u32>> {
        let frames = vectors.dim(0)?;
        let mut rest = vectors.clone();
        let mut codes = vec![0; frames * self.books()];
        for (at, book) in self.books.iter().enumerate() {
            let (found, said) = book.search(&rest, self.width, context)?;
            codes.iter_mut().skip(at).step_by(self.books()).zip(found).for_each(|(to, code)| *to = code);
            rest = (rest - said)?;
        }
        Ok(codes)
    }
}

fn numbers(loader: &mut Loader<'_>, name: &str, depth: usize, columns: usize) -> Loaded<Numbers> {
    let weight = loader.weights.take(&format!("{name}.weight"), &[columns, depth])?;
    Ok((weight, loader.weights.take(&format!("{name}.bias"), &[columns])?))
}

/// One layer after another is one, whose columns are those of the last, and whose depth is here some of a larger one's.
fn compose(
    last: &[f32],
    first: &Numbers,
    (hidden, width): (usize, usize),
    all: &mut Numbers,
    part: std::ops::Range<usize>,
) {
    let depth = all.0.len() / all.1.len();
    let rows = all.0.par_chunks_exact_mut(depth).zip(all.1.par_iter_mut()).zip(last.par_chunks_exact(hidden));
    rows.for_each(|((row, bias), last)| {
        let mut sums = vec![0.0; width];
        for (&weight, first) in last.iter().zip(first.0.chunks_exact(width)) {
            sums.iter_mut().zip(first).for_each(|(sum, &x)| *sum += f64::from(weight) * f64::from(x));
        }
        row[part.clone()].iter_mut().zip(&sums).for_each(|(to, sum)| *to = *sum as f32);
        let of_bias = last.iter().zip(&first.1).map(|(&weight, &bias)| f64::from(weight) * f64::from(bias));
        *bias = (f64::from(*bias) + of_bias.sum::<f64>()) as f32;
    });
}

// === impl Projection ===

impl Projection {
    fn new(narrow: Numbers, wide: Numbers, (hidden, width): (usize, usize), context: &ComputeContext) -> Result<Self> {
        Ok(Self {
            narrow: Linear::new(&[narrow.0.into()], Some(narrow.1), hidden, context)?,
            wide: Linear::new(&[wide.0.into()], Some(wide.1), width, context)?,
        })
    }
}

// === impl Book ===

impl Book {
    fn new(projection: Option<Projection>, entries: Vec<f32>, width: usize) -> Self {
        let squares = entries.chunks_exact(width).map(|entry| entry.iter().map(|x| x * x).sum()).collect();
        Self { projection, entries, squares }
    }

    fn entry(&self, code: usize, width: usize) -> &[f32] {
        &self.entries[code * width..][..width]
    }

    /// The codes of some vectors, `[frames]`, and how much of the vectors they say, `[frames, hidden]`.
    fn search(&self, x: &Tensor, width: usize, context: &ComputeContext) -> Result<(Vec<u32>, Tensor)> {
        let narrow = match &self.projection {
            Some(projection) => projection.narrow.forward(x, Epilogue::None)?,
            None => x.clone(),
        };
        let narrow = narrow.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
        let codes: Vec<u32> = narrow.par_chunks_exact(width).map(|vector| self.nearest(vector)).collect();
        let said: Vec<f32> = codes.iter().flat_map(|&code| self.entry(code as usize, width)).copied().collect();
        let said = context.tensor(said, &[codes.len(), width])?;
        match &self.projection {
            Some(projection) => Ok((codes, projection.wide.forward(&said, Epilogue::None)?)),
            None => Ok((codes, said)),
        }
    }

    /// The code whose entry is nearest, the first of equals.
    fn nearest(&self, vector: &[f32]) -> u32 {
        let length: f32 = vector.iter().map(|x| x * x).sum();
        let mut best = (f32::NEG_INFINITY, 0);
        for (at, (entry, square)) in self.entries.chunks_exact(vector.len()).zip(&self.squares).enumerate() {
            let product: f32 = entry.iter().zip(vector).map(|(a, b)| a * b).sum();
            let near = -(length - 2.0 * product + square);
            if near > best.0 {
                best = (near, at);
            }
        }
        best.1 as u32
    }
}
