//! Swept settings whose values rise or fall together by chance, so that a trend over one may be the other's.

use std::collections::BTreeMap;

use super::setting::Setting;
use crate::{leaderboard::figures, numbers};

/// Rank correlation from which on two settings cannot be told apart by eye.
const CORRELATION_MIN: f64 = 0.6;
/// Least number of trials. Of fewer, hardly any two settings are unrelated.
const TRIALS_MIN: usize = 6;

/// A sentence for the two settings that go together most, if any do clearly.
pub(super) fn note(settings: &[Setting]) -> Option<String> {
    let pairs =
        settings.iter().enumerate().flat_map(|(at, a)| settings[at + 1..].iter().map(move |b| (a, b)));
    let related = pairs.filter_map(|(a, b)| Some((a, b, correlation(a, b)?)));
    let (a, b, correlation) = related.max_by(|x, y| x.2.abs().total_cmp(&y.2.abs()))?;
    let together = if correlation > 0.0 { "rise together" } else { "go in opposite directions" };
    (correlation.abs() >= CORRELATION_MIN).then(|| {
        format!(
            "{} and {} {together} in these trials (rank correlation {}): a trend over one of them may be the \
             other's.",
            a.name,
            b.name,
            figures::share(correlation)
        )
    })
}

/// Spearman's rank correlation of two settings over the trials that have numbers for both.
fn correlation(a: &Setting, b: &Setting) -> Option<f64> {
    let both = |(trial, value): (_, &crate::settings::Value)| {
        Some((value.as_f64()?, b.values.get(trial)?.as_f64()?))
    };
    let pairs: Vec<(f64, f64)> = a.values.iter().filter_map(both).collect();
    if pairs.len() < TRIALS_MIN {
        return None;
    }
    let (a, b) = (ranks(pairs.iter().map(|pair| pair.0)), ranks(pairs.iter().map(|pair| pair.1)));
    let mean = (numbers::count(pairs.len()) - 1.0) / 2.0;
    let sum = |x: &[f64], y: &[f64]| -> f64 { x.iter().zip(y).map(|(x, y)| (x - mean) * (y - mean)).sum() };
    let scale = (sum(&a, &a) * sum(&b, &b)).sqrt();
    (scale > 0.0).then(|| sum(&a, &b) / scale)
}

/// The rank of each figure, from 0; equal figures share the mean of their ranks.
fn ranks(figures: impl Iterator<Item = f64>) -> Vec<f64> {
    let figures: Vec<f64> = figures.collect();
    let mut sorted = figures.clone();
    sorted.sort_by(f64::total_cmp);
    let mut shared: BTreeMap<u64, f64> = BTreeMap::new();
    for figure in &figures {
        shared.entry(figure.to_bits()).or_insert_with(|| {
            let below = sorted.partition_point(|other| other.total_cmp(figure).is_lt());
            let up_to = sorted.partition_point(|other| other.total_cmp(figure).is_le());
            (numbers::count(below + up_to) - 1.0) / 2.0
        });
    }
    figures.iter().map(|figure| shared[&figure.to_bits()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{settings::Value, trial::TrialId};

    fn setting(name: &str, values: &[f64]) -> Setting {
        let values = (1..).zip(values).map(|(id, value)| (TrialId(id), Value::Float(*value))).collect();
        Setting { name: name.to_owned(), scale: None, values }
    }

    #[test]
    fn settings_that_rise_together_are_named() {
        let (a, b) =
            (setting("a", &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), setting("b", &[1.0, 3.0, 2.0, 4.0, 5.0, 9.0]));
        let note = note(&[a, b]).unwrap();
        assert!(note.starts_with("a and b rise together in these trials (rank correlation .943)"), "{note}");
    }

    #[test]
    fn settings_of_a_whole_grid_are_not_related() {
        let (a, b) =
            (setting("a", &[1.0, 1.0, 1.0, 2.0, 2.0, 2.0]), setting("b", &[1.0, 2.0, 3.0, 1.0, 2.0, 3.0]));
        assert_eq!(note(&[a, b]), None);
    }

    #[test]
    fn a_setting_without_a_second_value_is_related_to_none() {
        let (a, b) = (setting("a", &[1.0; 8]), setting("b", &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]));
        assert_eq!(note(&[a, b]), None);
    }
}
