//! What a query does not see.

use candle_core::{Device, Result, Tensor};

/// For queries that belong to the last of `len` positions, `group` to each: 0 up to their own position, minus infinity after
/// it. `[queries, len]`
pub fn causal(queries: usize, group: usize, len: usize, device: &Device) -> Result<Tensor> {
    let seen = |row: usize| len - queries / group + row / group + 1;
    let hidden = |row, position| if position < seen(row) { 0.0 } else { f32::NEG_INFINITY };
    let mask = (0..queries).flat_map(|row| (0..len).map(move |position| hidden(row, position)));
    Tensor::from_iter(mask, device)?.reshape((queries, len))
}
