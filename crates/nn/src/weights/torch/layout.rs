//! The bytes of a tensor: a view of its storage where its numbers follow each other, else a copy in order.

use bytes::Bytes;
use safetensors::Dtype;

use super::{archive::Archive, error::TorchError, pickle::Tensor};
use crate::weights::stored::Stored;

/// `copies` are the bytes that may still be copied. A copy is no larger than its storage, but many tensors may share one.
pub fn stored(tensor: &Tensor<'_>, archive: &Archive, copies: &mut usize) -> Result<Stored, TorchError> {
    let (dtype, size) = (tensor.storage.dtype, width(tensor.storage.dtype));
    let storage = archive.storage(tensor.storage.key)?;
    if tensor.storage.len.checked_mul(size) != Some(storage.len()) {
        return Err(TorchError::Storage { key: tensor.storage.key.to_owned(), bytes: storage.len() });
    }
    let outside = || TorchError::Outside {
        shape: tensor.shape.clone(),
        strides: tensor.strides.clone(),
        offset: tensor.offset,
        len: tensor.storage.len,
    };
    let count = count(tensor, tensor.storage.len).ok_or_else(outside)?;
    let bytes = if count == 0 {
        Bytes::new()
    } else if is_contiguous(tensor) {
        storage.slice(tensor.offset * size..(tensor.offset + count) * size)
    } else {
        let Some(left) = copies.checked_sub(count * size) else {
            return Err(TorchError::TooMuch { what: "size of tensors that are not contiguous", most: *copies });
        };
        *copies = left;
        gathered(tensor, &storage, count, size)
    };
    Ok(Stored { dtype, shape: tensor.shape.clone(), bytes })
}

/// Bytes of a number.
fn width(dtype: Dtype) -> usize {
    dtype.bitsize() / 8
}

/// How many numbers the tensor has; `None` if it reaches beyond a storage of `len`, or has more than that.
fn count(tensor: &Tensor<'_>, len: usize) -> Option<usize> {
    let product = |all: usize, dimension: &usize| all.checked_mul(*dimension);
    if tensor.shape.contains(&0) {
        return Some(0);
    }
    let count = tensor.shape.iter().try_fold(1, product)?;
    let mut last = tensor.offset;
    for (dimension, stride) in tensor.shape.iter().zip(&tensor.strides) {
        last = last.checked_add((dimension - 1).checked_mul(*stride)?)?;
    }
    (count <= len && last < len).then_some(count)
}

/// Whether the numbers follow each other, row by row. The stride of a dimension of one means nothing.
fn is_contiguous(tensor: &Tensor<'_>) -> bool {
    let mut expected = 1;
    tensor.shape.iter().zip(&tensor.strides).rev().all(|(dimension, stride)| {
        let fits = *dimension == 1 || *stride == expected;
        expected *= dimension;
        fits
    })
}

/// Row by row.
fn gathered(tensor: &Tensor<'_>, storage: &Bytes, count: usize, size: usize) -> Bytes {
    let mut out = Vec::with_capacity(count * size);
    let mut index = vec![0; tensor.shape.len()];
    for _ in 0..count {
        let at = tensor.offset + index.iter().zip(&tensor.strides).map(|(at, stride)| at * stride).sum::<usize>();
        out.extend_from_slice(&storage[at * size..][..size]);
        for (at, dimension) in index.iter_mut().zip(&tensor.shape).rev() {
            *at += 1;
            if *at < *dimension {
                break;
            }
            *at = 0;
        }
    }
    out.into()
}
