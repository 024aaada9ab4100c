//! What is wrong with splits as a whole: one is empty, lacks a class, or has a limit that cannot hold every class.

use super::{
    dataset::Leaks,
    error::DataError,
    spec::{DataSpec, Source, SplitName},
    split::Splits,
};

/// The faults of splits from which documents were dropped.
pub(super) fn split_faults(
    labels: &[String],
    splits: &Splits,
    spec: &DataSpec,
    leaks: Leaks,
) -> Vec<DataError> {
    let mut faults = Vec::new();
    for (name, dropped) in SplitName::ALL.into_iter().zip(leaks.dropped()) {
        let is_part = name == SplitName::Validation && spec.folds.is_some();
        if splits.of(name).is_empty() && !is_part {
            faults.push(DataError::EmptySplit { key: key(&spec.source, name), split: name, dropped });
        }
        if let Some(limit) = spec.limit.of(name).filter(|limit| *limit < labels.len()) {
            faults.push(DataError::Limit { split: name, limit, classes: labels.len() });
        }
    }
    faults.extend(not_in_train(labels, splits, spec));
    faults
}

/// The classes without a training document, unless there is no training document at all.
fn not_in_train(labels: &[String], splits: &Splits, spec: &DataSpec) -> Vec<DataError> {
    let counts = SplitName::ALL.map(|name| {
        let mut counts = vec![0; labels.len()];
        splits.of(name).iter().for_each(|row| counts[row.label as usize] += 1);
        counts
    });
    let [mut train, mut validation, test] = counts;
    if splits.train.is_empty() {
        return Vec::new();
    }
    if spec.folds.is_some() {
        // Every document of either is in the training set of some fold.
        train.iter_mut().zip(&mut validation).for_each(|(train, own)| *train += std::mem::take(own));
    }
    let absent = (0..labels.len()).filter(|class| train[*class] == 0);
    absent
        .map(|class| DataError::ClassNotInTrain {
            key: key(&spec.source, SplitName::Train),
            label: labels[class].clone(),
            validation: validation[class],
            test: test[class],
        })
        .collect()
}

/// The key of the spec that decides which documents a split has.
const fn key(source: &Source, split: SplitName) -> &'static str {
    match (source, split) {
        (Source::Single { .. } | Source::Reviews { .. }, SplitName::Train) => "data.split.train",
        (Source::Single { .. } | Source::Reviews { .. }, SplitName::Validation) => "data.split.validation",
        (Source::Single { .. } | Source::Reviews { .. }, SplitName::Test) => "data.split.test",
        (Source::Files { .. }, SplitName::Train) => "data.train",
        (Source::Files { .. }, SplitName::Validation) => "data.validation",
        (Source::Files { .. }, SplitName::Test) => "data.test",
    }
}

/// Whether rows that could not be read would not mend the fault; `has_gaps` says which files have such rows.
pub(super) fn is_certain(fault: &DataError, has_gaps: &[bool]) -> bool {
    let last = has_gaps.len().saturating_sub(1);
    let is_whole = |file: usize| has_gaps.get(file.min(last)) == Some(&false);
    match fault {
        DataError::ClassNotInTrain { .. }
        | DataError::FewToFold { .. }
        | DataError::ClassInOneFold { .. } => is_whole(0),
        DataError::EmptySplit { split, .. } => is_whole(*split as usize),
        _ => true,
    }
}
