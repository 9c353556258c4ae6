//! Weight normalisation (Salimans and Kingma, 2016): a weight is kept as a direction and a length, a row each.

/// The names of length and direction of the weight of `name`, in the two ways that PyTorch has written them.
pub fn parts(name: &str) -> impl Iterator<Item = (String, String)> {
    [("weight_g", "weight_v"), ("parametrizations.weight.original0", "parametrizations.weight.original1")]
        .into_iter()
        .map(move |(length, direction)| (format!("{name}.{length}"), format!("{name}.{direction}")))
}

/// Brings each row of `weight` to its length.
pub fn fold(lengths: &[f32], weight: &mut [f32]) {
    let width = weight.len() / lengths.len().max(1);
    for (row, length) in weight.chunks_exact_mut(width.max(1)).zip(lengths) {
        let norm = row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
        // Nothing has no direction: PyTorch divides by zero here.
        let scale = if norm > 0.0 { f64::from(*length) / norm } else { 0.0 };
        row.iter_mut().for_each(|x| *x = (f64::from(*x) * scale) as f32);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tensors::Weights;

    #[test]
    fn both_ways_to_keep_it_give_the_weight() {
        let whole = |name: &str, shape: Vec<usize>, numbers: Vec<f32>| (name.to_owned(), shape, numbers);
        let direction = vec![3.0, 4.0, 0.0, 0.0];
        let mut weights = Weights::of([
            whole("a.weight_g", vec![2, 1], vec![10.0, 7.0]),
            whole("a.weight_v", vec![2, 2], direction.clone()),
            whole("b.parametrizations.weight.original0", vec![2, 1], vec![1.0, 1.0]),
            whole("b.parametrizations.weight.original1", vec![2, 2], direction.clone()),
            whole("c.weight", vec![2, 2], direction.clone()),
            whole("d.weight_v", vec![2, 2], direction.clone()),
        ]);
        assert_eq!(weights.take_weight("a", &[2, 2]).unwrap(), [6.0, 8.0, 0.0, 0.0]);
        assert_eq!(weights.take_weight("b", &[2, 2]).unwrap(), [0.6, 0.8, 0.0, 0.0]);
        assert_eq!(weights.take_weight("c", &[2, 2]).unwrap(), direction);
        let error = weights.take_weight("d", &[2, 2]).unwrap_err().to_string();
        assert_eq!(error, "the tensor d.weight_g is missing");
        let error = weights.take_weight("e", &[2, 2]).unwrap_err().to_string();
        assert_eq!(error, "the tensor e.weight is missing");
    }
}
