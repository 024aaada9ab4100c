//! The figures of configurations over all folds. Folds are not equally hard, so that trials of different folds cannot be
//! compared.

use std::collections::BTreeMap;

use crate::{numbers::count, study::TrialRecord};

/// The first trial of each repeat of a configuration, with the mean figure over its folds, of which there are so many. Those
/// that lack a fold are left out; the second value is their number.
pub(super) fn over_folds(found: Vec<(&TrialRecord, f64)>, folds: usize) -> (Vec<(&TrialRecord, f64)>, usize) {
    let mut places: BTreeMap<(String, u32), usize> = BTreeMap::new();
    let mut repeats: Vec<Vec<(&TrialRecord, f64)>> = Vec::new();
    for (record, figure) in found {
        let key = (record.trial.params.to_string(), record.trial.repeat);
        let place = *places.entry(key).or_insert(repeats.len());
        match repeats.get_mut(place) {
            Some(own) => own.push((record, figure)),
            None => repeats.push(vec![(record, figure)]),
        }
    }
    let (whole, others): (Vec<_>, Vec<_>) = repeats.into_iter().partition(|own| own.len() == folds);
    let mean = |own: Vec<(_, f64)>| {
        let figure = own.iter().map(|(_, figure)| figure).sum::<f64>() / count(folds.max(1));
        own.into_iter().next().map(|(record, _)| (record, figure))
    };
    (whole.into_iter().filter_map(mean).collect(), others.iter().map(Vec::len).sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::record;

    #[test]
    fn a_configuration_counts_with_the_mean_of_its_folds_or_not_at_all() {
        let of = |id: u32, rate: f64, fold: u32| {
            let mut record = record(id, &[0.5]);
            record.trial.params.0[0].1 = crate::settings::Value::Float(rate);
            record.trial.fold = Some(fold);
            record
        };
        let records = [of(1, 0.1, 1), of(2, 0.1, 2), of(3, 0.2, 1), of(4, 0.3, 1), of(5, 0.3, 2)];
        let found = records.iter().zip([0.5, 0.75, 0.9, 0.25, 0.75]).collect();
        let (means, left_out) = over_folds(found, 2);
        let means: Vec<(u32, f64)> = means.iter().map(|(record, mean)| (record.trial.id.0, *mean)).collect();
        assert_eq!((means, left_out), (vec![(1, 0.625), (4, 0.5)], 1));
    }
}
