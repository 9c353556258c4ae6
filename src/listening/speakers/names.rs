//! What speakers are called.

use super::clustering::Cluster;

/// The names of those who speak, and for each cluster the place of its name. Who is known is called so, also where several
/// clusters are like them; the others are `A`, `B` and so on, in the order in which they begin to speak.
pub fn assign(clusters: &[Cluster], known: &[(String, Vec<f32>)], threshold: f32) -> (Vec<String>, Vec<usize>) {
    let mut names: Vec<String> = Vec::new();
    let mut of_cluster = vec![0; clusters.len()];
    let mut in_order: Vec<usize> = (0..clusters.len()).collect();
    in_order.sort_by_key(|at| clusters[*at].members.first().copied());
    let mut letters = letters().filter(|letters| known.iter().all(|(name, _)| name != letters));
    for at in in_order {
        let name = whose(&clusters[at], known, threshold).or_else(|| letters.next()).unwrap_or_default();
        of_cluster[at] = names.iter().position(|other| *other == name).unwrap_or_else(|| {
            names.push(name);
            names.len() - 1
        });
    }
    (names, of_cluster)
}

fn whose(cluster: &Cluster, known: &[(String, Vec<f32>)], threshold: f32) -> Option<String> {
    let cosines = known.iter().map(|(name, voice)| (name, cluster.cosine(voice)));
    let (name, cosine) = cosines.max_by(|one, other| one.1.total_cmp(&other.1))?;
    (cosine >= threshold).then(|| name.clone())
}

/// `A` to `Z`, then `AA`, `AB` and so on.
fn letters() -> impl Iterator<Item = String> {
    (0usize..).map(|mut number| {
        let mut name = Vec::new();
        loop {
            name.insert(0, char::from(b'A' + (number % 26) as u8));
            match (number / 26).checked_sub(1) {
                Some(rest) => number = rest,
                None => return name.into_iter().collect(),
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{super::clustering::cluster, *};

    #[test]
    fn who_is_known_is_named_and_the_others_are_letters_in_order() {
        let vectors = [[0.0, 1.0], [1.0, 0.0], [-1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]].map(|x| x.to_vec());
        let clusters = cluster(&vectors, 0.5, || false).unwrap();
        let named = |known: &[(&str, [f32; 2])]| {
            let known: Vec<_> = known.iter().map(|(name, voice)| ((*name).to_owned(), voice.to_vec())).collect();
            let (names, of_cluster) = assign(&clusters, &known, 0.5);
            let mut at = vec![String::new(); vectors.len()];
            for (cluster, name) in clusters.iter().zip(of_cluster) {
                cluster.members.iter().for_each(|member| at[*member] = names[name].clone());
            }
            at
        };
        assert_eq!(named(&[]), ["A", "B", "C", "B", "C"]);
        assert_eq!(named(&[("Ann", [1.0, 0.0]), ("Bob", [0.0, -1.0])]), ["A", "Ann", "B", "Ann", "B"]);
        // Nobody else is called as somebody who is known; two groups may be one person.
        assert_eq!(named(&[("A", [-1.0, 0.0])]), ["B", "C", "A", "C", "A"]);
        assert_eq!(named(&[("Ann", [0.8, 0.6])]), ["Ann", "Ann", "A", "Ann", "A"]);
    }

    #[test]
    fn after_z_comes_aa() {
        let letters: Vec<_> = letters().take(703).collect();
        assert_eq!(
            [&letters[25], &letters[26], &letters[27], &letters[701], &letters[702]],
            ["Z", "AA", "AB", "ZZ", "AAA"]
        );
    }
}
