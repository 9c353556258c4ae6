//! The numbers that Prometheus reads, read here.

use std::collections::HashMap;

/// Labels that a series must have.
pub(in crate::cli) type Wanted<'a> = &'a [(&'a str, &'a str)];

/// All series of one reading, by name.
#[derive(Clone, Debug, Default)]
pub(in crate::cli) struct Values(HashMap<String, Vec<Series>>);

#[derive(Clone, Debug, PartialEq)]
struct Series {
    labels: Vec<(String, String)>,
    value: f64,
}

// === impl Values ===

impl Values {
    /// Of the text format, version 0.0.4. A line that is none of it is left out.
    pub fn parse(text: &str) -> Self {
        let mut values = Self::default();
        for (name, series) in text.lines().filter(|line| !line.starts_with('#')).filter_map(series) {
            values.0.entry(name.to_owned()).or_default().push(series);
        }
        values
    }

    pub fn sum(&self, name: &str, wanted: Wanted<'_>) -> f64 {
        // The sum of no numbers would be -0.
        self.series(name, wanted).fold(0.0, |sum, series| sum + series.value)
    }

    /// `None` where there is no such series.
    pub fn get(&self, name: &str, wanted: Wanted<'_>) -> Option<f64> {
        self.series(name, wanted).next().map(|series| series.value)
    }

    /// What a label says in the first series of that name.
    pub fn label(&self, name: &str, label: &str) -> Option<&str> {
        self.series(name, &[]).next()?.label(label)
    }

    /// The values of a label, each with the value of its series.
    pub fn by<'a>(&'a self, name: &str, label: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
        self.series(name, &[]).filter_map(move |series| Some((series.label(label)?, series.value)))
    }

    fn series<'a>(&'a self, name: &str, wanted: Wanted<'a>) -> impl Iterator<Item = &'a Series> {
        let all = self.0.get(name).map(Vec::as_slice).unwrap_or_default();
        all.iter().filter(|series| wanted.iter().all(|(label, value)| series.label(label) == Some(*value)))
    }

    /// How many observations a histogram has at most at each of its bounds, lowest first.
    fn buckets(&self, name: &str, wanted: Wanted<'_>) -> Vec<(f64, f64)> {
        let mut buckets: Vec<(f64, f64)> = Vec::new();
        for series in self.series(&format!("{name}_bucket"), wanted) {
            let Some(bound) = series.label("le").and_then(|bound| bound.parse().ok()) else { continue };
            match buckets.iter_mut().find(|(known, _)| *known == bound) {
                Some((_, count)) => *count += series.value,
                None => buckets.push((bound, series.value)),
            }
        }
        buckets.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        buckets
    }
}

/// How much a counter grew between two readings.
pub(in crate::cli) fn growth(before: &Values, after: &Values, name: &str, wanted: Wanted<'_>) -> f64 {
    after.sum(name, wanted) - before.sum(name, wanted)
}

/// A quantile of what a histogram was given between two readings, linear within a bucket as Prometheus has it; `None`
/// where it was given nothing.
pub(in crate::cli) fn quantile(
    share: f64,
    before: &Values,
    after: &Values,
    name: &str,
    wanted: Wanted<'_>,
) -> Option<f64> {
    let old = before.buckets(name, wanted);
    let known = |bound: f64| old.iter().find(|(known, _)| *known == bound).map_or(0.0, |(_, count)| *count);
    let buckets: Vec<_> =
        after.buckets(name, wanted).into_iter().map(|(bound, count)| (bound, count - known(bound))).collect();
    let all = buckets.last().filter(|(bound, count)| bound.is_infinite() && *count > 0.0)?.1;
    let (mut low, mut below) = (0.0, 0.0);
    for (bound, count) in buckets {
        if count >= share * all {
            // Nothing is known of what lies above the last bound but that.
            let inside = if bound.is_infinite() { 0.0 } else { (share * all - below) / (count - below) };
            return Some(low + if inside > 0.0 { (bound - low) * inside } else { 0.0 });
        }
        (low, below) = (bound, count);
    }
    None
}

// === impl Series ===

impl Series {
    fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(label, _)| label == name).map(|(_, value)| value.as_str())
    }
}

/// `name{label="value"} 1`, perhaps with a time at the end.
fn series(line: &str) -> Option<(&str, Series)> {
    let end = line.find(['{', ' '])?;
    let (name, rest) = line.split_at(end);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (Vec::new(), rest),
    };
    let value = rest.split_ascii_whitespace().next()?.parse().ok()?;
    Some((name, Series { labels, value }))
}

/// Up to the brace, and what comes after it.
fn labels(mut rest: &str) -> Option<(Vec<(String, String)>, &str)> {
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, quoted) = rest.split_once("=\"")?;
        let (value, after) = unquoted(quoted)?;
        labels.push((name.to_owned(), value));
        rest = after;
    }
}

/// Up to the quotation mark, and what comes after it.
fn unquoted(quoted: &str) -> Option<(String, &str)> {
    let (mut value, mut letters) = (String::new(), quoted.char_indices());
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => match letters.next()?.1 {
                'n' => value.push('\n'),
                escaped => value.push(escaped),
            },
            letter => value.push(letter),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# HELP requests_total Finished requests.
# TYPE requests_total counter
requests_total{model=\"a/b\",outcome=\"ok\"} 7
requests_total{model=\"a/b\",outcome=\"busy\"} 2
requests_total{model=\"a \\\"quoted\\\" \\\\ {name}, x\",outcome=\"ok\"} 1 1700000000000
resident_bytes 1.5e8
odd{le=\"+Inf\"} +Inf
no value
broken{label=\"
";

    #[test]
    fn what_prometheus_reads_is_read() {
        let values = Values::parse(TEXT);
        assert_eq!(values.sum("requests_total", &[]), 10.0);
        assert_eq!(values.sum("requests_total", &[("model", "a/b"), ("outcome", "ok")]), 7.0);
        assert_eq!(values.sum("requests_total", &[("model", "a \"quoted\" \\ {name}, x")]), 1.0);
        assert_eq!(values.sum("none_total", &[]).to_string(), "0");
        assert_eq!(values.get("resident_bytes", &[]), Some(1.5e8));
        assert_eq!(values.get("odd", &[]), Some(f64::INFINITY));
        assert_eq!(values.label("requests_total", "outcome"), Some("ok"));
        assert_eq!((values.get("no", &[]), values.get("broken", &[])), (None, None));
    }

    fn seconds(counts: [u32; 3]) -> Values {
        let [one, three, all] = counts;
        Values::parse(&format!(
            "s_bucket{{task=\"x\",le=\"1\"}} {one}\ns_bucket{{task=\"x\",le=\"3\"}} {three}\n\
             s_bucket{{task=\"x\",le=\"+Inf\"}} {all}\n"
        ))
    }

    #[test]
    fn a_quantile_is_that_of_what_came_between_two_readings() {
        let (none, before, after) = (Values::default(), seconds([90, 90, 90]), seconds([92, 94, 94]));
        assert_eq!(quantile(0.5, &before, &after, "s", &[]), Some(1.0));
        assert_eq!(quantile(0.75, &before, &after, "s", &[("task", "x")]), Some(2.0));
        assert_eq!(quantile(0.5, &none, &seconds([0, 0, 5]), "s", &[]), Some(3.0), "above the last bound");
        assert_eq!(quantile(0.5, &after, &after, "s", &[]), None, "nothing came");
        assert_eq!(quantile(0.5, &none, &after, "s", &[("task", "y")]), None);
        assert_eq!(growth(&before, &after, "s_bucket", &[("le", "3")]), 4.0);
    }
}
