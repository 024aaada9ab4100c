//! Texts that stand in two splits: counted, and dropped unless the spec keeps them.
//!
//! A text of test is never dropped, so that every sweep of a data set is measured on the same test set.

use std::collections::HashSet;

use super::{
    dataset::Leaks,
    row::{Row, TextDigest},
    spec::{Duplicates, SplitName},
    split::Splits,
};

/// A document whose text stands in another split too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leaking {
    pub(super) split: SplitName,
    pub(super) id: u32,
}

/// Counts the texts that stand in two of `splits`, and with [`Duplicates::Drop`] drops them: from train
/// the texts of validation and test, from validation the texts of test. If train and validation are folded, a text may
/// stand in both.
///
/// The second value is an example of such a text; `None` when there is none.
pub(super) fn find_and_drop(
    splits: &mut Splits,
    policy: Duplicates,
    are_folded: bool,
) -> (Leaks, Option<Leaking>) {
    let validation = if are_folded { HashSet::new() } else { texts(&splits.validation) };
    let test = texts(&splits.test);
    let mut leaks = Leaks::default();
    let mut example = None;
    let mut train_leaks = Vec::with_capacity(splits.train.len());
    for Row { id, text, .. } in &splits.train {
        let (in_validation, in_test) = (validation.contains(text), test.contains(text));
        leaks.train_validation += usize::from(in_validation);
        leaks.train_test += usize::from(in_test);
        train_leaks.push(in_validation || in_test);
        if in_validation || in_test {
            example.get_or_insert(Leaking { split: SplitName::Train, id: *id });
        }
    }
    let validation_leaks: Vec<bool> = splits.validation.iter().map(|row| test.contains(&row.text)).collect();
    leaks.validation_test = validation_leaks.iter().filter(|leak| **leak).count();
    if example.is_none() {
        let leaking = splits.validation.iter().zip(&validation_leaks).find(|(_, leak)| **leak);
        example = leaking.map(|(row, _)| Leaking { split: SplitName::Validation, id: row.id });
    }
    if policy == Duplicates::Drop {
        leaks.train_dropped = drop_marked(&mut splits.train, &train_leaks);
        leaks.validation_dropped = drop_marked(&mut splits.validation, &validation_leaks);
    }
    (leaks, example)
}

fn texts(documents: &[Row]) -> HashSet<TextDigest> {
    documents.iter().map(|row| row.text).collect()
}

/// Drops the documents whose mark is true, and returns their number.
fn drop_marked(documents: &mut Vec<Row>, marks: &[bool]) -> usize {
    let before = documents.len();
    let mut marks = marks.iter();
    documents.retain(|_| !marks.next().copied().unwrap_or(false));
    before - documents.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents(texts: &[&str]) -> Vec<Row> {
        (1..).zip(texts).map(|(id, text)| Row { id, label: id % 2, text: TextDigest::of(text) }).collect()
    }

    fn splits() -> Splits {
        Splits {
            train: documents(&["a", " b ", "c  d", "e", "a"]),
            validation: documents(&["b", "f", "g"]),
            test: documents(&["c d", "g"]),
        }
    }

    #[test]
    fn texts_are_compared_with_white_space_ignored() {
        let (leaks, example) = find_and_drop(&mut splits(), Duplicates::Drop, false);
        let counts = [leaks.train_validation, leaks.train_test, leaks.validation_test];
        assert_eq!(counts, [1, 1, 1]);
        assert_eq!(example, Some(Leaking { split: SplitName::Train, id: 2 }));
    }

    #[test]
    fn texts_are_dropped_from_the_earlier_split() {
        let mut splits = splits();
        let (leaks, _) = find_and_drop(&mut splits, Duplicates::Drop, false);
        assert_eq!((leaks.train_dropped, leaks.validation_dropped), (2, 1));
        let ids = |documents: &[Row]| documents.iter().map(|row| row.id).collect::<Vec<_>>();
        assert_eq!(ids(&splits.train), [1, 4, 5], "a duplicate within train stays");
        assert_eq!(ids(&splits.validation), [1, 2]);
        assert_eq!(ids(&splits.test), [1, 2]);
    }

    #[test]
    fn what_is_folded_loses_the_texts_of_test_alone() {
        let mut splits = splits();
        let (leaks, _) = find_and_drop(&mut splits, Duplicates::Drop, true);
        assert_eq!((leaks.train_validation, leaks.train_dropped, leaks.validation_dropped), (0, 1, 1));
        let ids = |documents: &[Row]| documents.iter().map(|row| row.id).collect::<Vec<_>>();
        assert_eq!((ids(&splits.train), ids(&splits.validation)), (vec![1, 2, 4, 5], vec![1, 2]));
    }

    #[test]
    fn keeping_duplicates_still_counts_them() {
        let mut kept = splits();
        let (leaks, _) = find_and_drop(&mut kept, Duplicates::Keep, false);
        assert_eq!((leaks.train_validation, leaks.train_dropped), (1, 0));
        assert_eq!(kept, splits());
    }
}
