//! From attention weights to the step at which each token was said.

use super::dtw;

const MEDIAN_WIDTH: usize = 7;

/// Attention of the heads that follow the words, `[heads, tokens, positions]`, each row a distribution.
#[derive(Clone, Copy)]
pub struct Attention<'a> {
    pub weights: &'a [f32],
    pub tokens: usize,
    pub positions: usize,
}

/// For each token but the first `skip` and the last, the first position of its own. Only the first `heard` positions
/// hold sound.
pub fn token_starts(attention: Attention<'_>, heard: usize, skip: usize) -> Vec<usize> {
    let heard = heard.min(attention.positions);
    let costs = costs(attention, heard);
    let kept = attention.tokens.saturating_sub(1).max(skip);
    let path = dtw::path(&costs[skip * heard..kept * heard], kept - skip, heard);
    first_columns(&path)
}

/// The negative of the mean over the heads of their normalised and smoothed weights, `[tokens, heard]`.
pub(super) fn costs(attention: Attention<'_>, heard: usize) -> Vec<f32> {
    let Attention { weights, tokens, positions } = attention;
    let mut costs = vec![0.0; tokens * heard];
    let heads = weights.len() / (tokens * positions).max(1);
    for head in weights.chunks_exact((tokens * positions).max(1)) {
        let mut head = sounding(head, positions, heard);
        normalise(&mut head, heard);
        for (cost, weight) in costs.iter_mut().zip(smooth(&head, heard)) {
            *cost -= weight / heads as f32;
        }
    }
    costs
}

/// The first `heard` positions of every row, again a distribution.
fn sounding(head: &[f32], positions: usize, heard: usize) -> Vec<f32> {
    let mut kept = Vec::with_capacity(head.len() / positions.max(1) * heard);
    for row in head.chunks_exact(positions.max(1)) {
        let sum: f32 = row[..heard].iter().sum();
        kept.extend(row[..heard].iter().map(|weight| if sum > 0.0 { weight / sum } else { 0.0 }));
    }
    kept
}

/// Every position to mean 0 and deviation 1 over the tokens, so that what all tokens look at does not count.
fn normalise(head: &mut [f32], positions: usize) {
    let tokens = head.len() / positions.max(1);
    for position in 0..positions {
        let column = || (0..tokens).map(|token| token * positions + position);
        let mean = column().map(|index| head[index]).sum::<f32>() / tokens as f32;
        let variance = column().map(|index| (head[index] - mean).powi(2)).sum::<f32>() / tokens as f32;
        let deviation = variance.sqrt();
        for index in column() {
            head[index] = if deviation > 0.0 { (head[index] - mean) / deviation } else { 0.0 };
        }
    }
}

/// The median of every seven neighbours in a row; rows are reflected at their ends. Rows too short for that stay.
pub(super) fn smooth(rows: &[f32], width: usize) -> Vec<f32> {
    const REACH: usize = MEDIAN_WIDTH / 2;
    if width <= REACH {
        return rows.to_vec();
    }
    rows.chunks_exact(width).flat_map(|row| medians(&reflected(row, REACH))).collect()
}

fn reflected(row: &[f32], reach: usize) -> Vec<f32> {
    let before = row[1..=reach].iter().rev();
    let after = row[row.len() - 1 - reach..row.len() - 1].iter().rev();
    before.chain(row).chain(after).copied().collect()
}

fn medians(row: &[f32]) -> Vec<f32> {
    let median = |window: &[f32]| {
        let mut sorted = [0.0; MEDIAN_WIDTH];
        sorted.copy_from_slice(window);
        sorted.sort_unstable_by(f32::total_cmp);
        sorted[MEDIAN_WIDTH / 2]
    };
    row.windows(MEDIAN_WIDTH).map(median).collect()
}

/// The column at which each row of a path is entered.
fn first_columns(path: &[(usize, usize)]) -> Vec<usize> {
    let mut columns = Vec::new();
    for (row, column) in path {
        if *row == columns.len() {
            columns.push(*column);
        }
    }
    columns
}
