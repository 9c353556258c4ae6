//! Which vectors are of one speaker: agglomerative clustering by the mean similarity of all pairs.
//!
//! The mean of all products between two groups of vectors is the product of their means, so that no matrix of pairs is needed:
//! memory grows with the vectors, and work with their square. The order of merges is that of a chain of nearest neighbours
//! (F. Murtagh, "A survey of recent advances in hierarchical clustering algorithms", 1983), which for this measure gives the
//! same tree as merging the most similar pair each time.

/// Vectors that belong together.
#[derive(Clone, Debug, PartialEq)]
pub struct Cluster {
    /// Their places, in order.
    pub members: Vec<usize>,
    /// Their sum.
    sum: Vec<f32>,
}

// === impl Cluster ===

impl Cluster {
    fn of(member: usize, vector: &[f32]) -> Self {
        Self { members: vec![member], sum: vector.to_vec() }
    }

    /// The mean product of two clusters' vectors.
    fn likeness(&self, other: &Self) -> f32 {
        product(&self.sum, &other.sum) / (self.members.len() * other.members.len()) as f32
    }

    /// How like a single vector of length 1 it is: the cosine to its mean.
    pub fn cosine(&self, vector: &[f32]) -> f32 {
        product(&self.sum, vector) / product(&self.sum, &self.sum).sqrt().max(f32::MIN_POSITIVE)
    }

    pub fn join(&mut self, other: Self) {
        self.members.extend(other.members);
        self.members.sort_unstable();
        self.sum.iter_mut().zip(other.sum).for_each(|(sum, more)| *sum += more);
    }

    /// One more vector belongs to it, and changes nothing of what it is like.
    pub fn add(&mut self, member: usize) {
        self.members.push(member);
        self.members.sort_unstable();
    }
}

fn product(one: &[f32], other: &[f32]) -> f32 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

/// Groups vectors of length 1 whose mean likeness is at least `threshold`, the largest first. `stopped` is asked now and then;
/// `None`: it said yes.
pub fn cluster(vectors: &[Vec<f32>], threshold: f32, stopped: impl Fn() -> bool) -> Option<Vec<Cluster>> {
    let mut open: Vec<Cluster> = vectors.iter().enumerate().map(|(at, vector)| Cluster::of(at, vector)).collect();
    let mut done = Vec::new();
    // Places in `open`, each the nearest neighbour of the one before.
    let mut chain: Vec<usize> = Vec::new();
    while let Some(&last) = chain.last().or((!open.is_empty()).then_some(&0)) {
        if stopped() {
            return None;
        }
        if chain.is_empty() {
            chain.push(last);
        }
        let before = chain.len().checked_sub(2).map(|at| chain[at]);
        let Some((nearest, likeness)) = nearest(&open, last, before) else {
            done.extend(open.pop());
            break;
        };
        if Some(nearest) != before {
            chain.push(nearest);
            continue;
        }
        chain.truncate(chain.len() - 2);
        // What is after the larger place moves down; places in the chain follow.
        let (low, high) = (last.min(nearest), last.max(nearest));
        let taken = open.swap_remove(high);
        let moved = open.len();
        chain.iter_mut().filter(|at| **at == moved).for_each(|at| *at = high);
        if likeness >= threshold {
            open[low].join(taken);
            continue;
        }
        // They are each other's nearest, and nothing that follows is nearer to either: both are whole.
        done.push(taken);
        done.push(open.swap_remove(low));
        let moved = open.len();
        chain.iter_mut().filter(|at| **at == moved).for_each(|at| *at = low);
    }
    done.sort_by_key(|cluster| (std::cmp::Reverse(cluster.members.len()), cluster.members.first().copied()));
    Some(done)
}

/// The place of the cluster that is most like one, and how like; of equal ones the `preferred`, so that a chain ends.
fn nearest(open: &[Cluster], to: usize, preferred: Option<usize>) -> Option<(usize, f32)> {
    let likenesses = open.iter().enumerate().filter(|(at, _)| *at != to);
    let is_preferred = |at: usize| Some(at) == preferred;
    likenesses
        .map(|(at, other)| (at, open[to].likeness(other)))
        .max_by(|one, other| one.1.total_cmp(&other.1).then(is_preferred(one.0).cmp(&is_preferred(other.0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(vector: Vec<f32>) -> Vec<f32> {
        let length = product(&vector, &vector).sqrt().max(f32::MIN_POSITIVE);
        vector.into_iter().map(|x| x / length).collect()
    }

    fn members(clusters: &[Cluster]) -> Vec<Vec<usize>> {
        let mut all: Vec<_> = clusters.iter().map(|cluster| cluster.members.clone()).collect();
        all.sort();
        all
    }

    /// The definition: the two most alike are merged until none are alike enough.
    fn slowly(vectors: &[Vec<f32>], threshold: f32) -> Vec<Vec<usize>> {
        let mut open: Vec<Vec<usize>> = (0..vectors.len()).map(|at| vec![at]).collect();
        loop {
            let mean = |one: &[usize], other: &[usize]| {
                let pairs =
                    one.iter().flat_map(|one| other.iter().map(|other| product(&vectors[*one], &vectors[*other])));
                pairs.sum::<f32>() / (one.len() * other.len()) as f32
            };
            let pairs = (0..open.len()).flat_map(|one| (0..one).map(move |other| (one, other)));
            let best = pairs.map(|(one, other)| (mean(&open[one], &open[other]), one, other));
            match best.max_by(|one, other| one.0.total_cmp(&other.0)) {
                Some((likeness, one, other)) if likeness >= threshold => {
                    let taken = open.swap_remove(one);
                    open[other].extend(taken);
                    open[other].sort_unstable();
                }
                _ => break,
            }
        }
        open.sort();
        open
    }

    #[test]
    fn groups_are_those_of_the_definition() {
        let mut state = 7u32;
        let mut number = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        for case in 0..300 {
            let vectors: Vec<_> = (0..case % 15).map(|_| unit((0..4).map(|_| number()).collect())).collect();
            let threshold = number() * 0.9;
            let found = members(&cluster(&vectors, threshold, || false).unwrap());
            assert_eq!(found, slowly(&vectors, threshold), "case {case}");
        }
    }

    #[test]
    fn equal_vectors_are_one_group_and_opposite_ones_are_not() {
        let vectors = [[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]].map(|x| x.to_vec());
        let clusters = cluster(&vectors, 0.5, || false).unwrap();
        assert_eq!(
            clusters.iter().map(|cluster| cluster.members.clone()).collect::<Vec<_>>(),
            [vec![0, 1, 3], vec![2, 4]]
        );
        assert!((clusters[0].cosine(&[1.0, 0.0]) - 1.0).abs() < 1e-6 && clusters[1].cosine(&[1.0, 0.0]) < -0.9);
        assert_eq!(cluster(&[], 0.5, || false), Some(Vec::new()));
    }

    #[test]
    fn it_ends_when_it_is_told_to() {
        assert_eq!(cluster(&[vec![1.0], vec![1.0]], 0.5, || true), None);
    }
}
