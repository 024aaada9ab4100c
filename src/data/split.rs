//! Stratified, seeded splits and limits.
//!
//! Every class is divided by largest remainders, so that each share of each class is
//! within one document of exact; what rounding owes one class, the next one pays, so
//! that the whole is close to exact too. Within a split, documents keep their order.

use super::{DataSpec, Document, Limit, Split, SplitName};
use crate::chance::Chance;

/// The parts of [`Split`] sum to this.
pub(crate) const WHOLE: u32 = 100_000;

/// Documents of the three splits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Splits {
    pub(super) train: Vec<Document>,
    pub(super) validation: Vec<Document>,
    pub(super) test: Vec<Document>,
}

impl Splits {
    pub(super) fn of(&self, name: SplitName) -> &Vec<Document> {
        match name {
            SplitName::Train => &self.train,
            SplitName::Validation => &self.validation,
            SplitName::Test => &self.test,
        }
    }

    fn of_mut(&mut self, name: SplitName) -> &mut Vec<Document> {
        match name {
            SplitName::Train => &mut self.train,
            SplitName::Validation => &mut self.validation,
            SplitName::Test => &mut self.test,
        }
    }
}

/// Divides `documents`, labelled below `classes`, into the shares of `split`.
pub(super) fn stratified(documents: Vec<Document>, classes: usize, split: Split, seed: u64) -> Splits {
    let shares = [split.train, split.validation, split.test].map(i64::from);
    let mut owed = [0; 3];
    let mut fate = vec![SplitName::Train; documents.len()];
    for (class, mut members) in members(&documents, classes).into_iter().enumerate() {
        Chance::new(&["split", &seed.to_string(), &class.to_string()]).shuffle(&mut members);
        let counts = divide(members.len(), shares, &mut owed);
        let names = SplitName::ALL.iter().zip(counts).flat_map(|(name, count)| vec![*name; count]);
        for (member, name) in members.into_iter().zip(names) {
            if let Some(fate) = fate.get_mut(member) {
                *fate = name;
            }
        }
    }
    let mut splits = Splits::default();
    for (document, name) in documents.into_iter().zip(fate) {
        splits.of_mut(name).push(document);
    }
    splits
}

/// Takes a stratified subset of every split that `spec` limits, with each of its classes in it.
pub(super) fn limit(splits: &mut Splits, classes: usize, spec: &DataSpec) {
    for name in SplitName::ALL {
        let documents = splits.of_mut(name);
        let Some(limit) = limit_of(&spec.limit, name).filter(|limit| *limit < documents.len()) else {
            continue;
        };
        let mut members = members(documents, classes);
        let sizes: Vec<usize> = members.iter().map(Vec::len).collect();
        let mut kept = vec![false; documents.len()];
        for (class, (members, quota)) in members.iter_mut().zip(quotas(&sizes, limit)).enumerate() {
            let parts = ["limit", name.as_str(), &spec.seed.to_string(), &class.to_string()];
            Chance::new(&parts).shuffle(members);
            for member in members.iter().take(quota) {
                if let Some(kept) = kept.get_mut(*member) {
                    *kept = true;
                }
            }
        }
        let mut kept = kept.into_iter();
        documents.retain(|_| kept.next().unwrap_or(false));
    }
}

/// The limit of one split.
pub(super) fn limit_of(limit: &Limit, name: SplitName) -> Option<usize> {
    match name {
        SplitName::Train => limit.train,
        SplitName::Validation => limit.validation,
        SplitName::Test => limit.test,
    }
}

/// Positions of the documents of each class.
fn members(documents: &[Document], classes: usize) -> Vec<Vec<usize>> {
    let mut members = vec![Vec::new(); classes];
    for (position, document) in documents.iter().enumerate() {
        if let Some(class) = members.get_mut(document.label) {
            class.push(position);
        }
    }
    members
}

/// Divides `count` by `shares` (of [`WHOLE`]); every part is the exact one, rounded down or up.
///
/// `owed` carries what was rounded away so far, in documents / [`WHOLE`].
fn divide(count: usize, shares: [i64; 3], owed: &mut [i64; 3]) -> [usize; 3] {
    let whole = i64::from(WHOLE);
    let count = i64::try_from(count).unwrap_or(i64::MAX / whole);
    let exact = shares.map(|share| share * count);
    let mut parts = exact.map(|exact| exact / whole);
    let mut order = [0, 1, 2];
    order.sort_by_key(|&part: &usize| std::cmp::Reverse(exact[part] % whole + owed[part]));
    let mut rest = count - parts.iter().sum::<i64>();
    for part in order {
        if rest > 0 && exact[part] % whole > 0 {
            parts[part] += 1;
            rest -= 1;
        }
    }
    for part in 0..3 {
        owed[part] += exact[part] - parts[part] * whole;
    }
    parts.map(|part| usize::try_from(part).unwrap_or(0))
}

/// How many of each class a subset of `limit` holds: at least 1 of each class that has any.
fn quotas(sizes: &[usize], limit: usize) -> Vec<usize> {
    let total: usize = sizes.iter().sum();
    let mut quotas: Vec<usize> = sizes.iter().map(|size| size * limit / total.max(1)).collect();
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|&class| std::cmp::Reverse(sizes[class] * limit % total.max(1)));
    let rest = limit.saturating_sub(quotas.iter().sum());
    for &class in order.iter().take(rest) {
        quotas[class] += 1;
    }
    for class in 0..sizes.len() {
        if quotas[class] == 0 && sizes[class] > 0 {
            quotas[class] = 1;
            let largest = (0..sizes.len()).max_by_key(|&class| quotas[class]).unwrap_or(class);
            quotas[largest] -= 1;
        }
    }
    quotas
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::data::{Duplicates, Source};

    fn documents(labels: &[usize]) -> Vec<Document> {
        labels
            .iter()
            .enumerate()
            .map(|(index, &label)| Document { id: index + 1, text: format!("text {index}"), label })
            .collect()
    }

    fn count(documents: &[Document], label: usize) -> usize {
        documents.iter().filter(|document| document.label == label).count()
    }

    #[expect(clippy::cast_precision_loss, reason = "a few hundred documents")]
    fn off_by(part: &[Document], all: &[Document], label: usize, share: u32) -> f64 {
        (count(part, label) as f64 - count(all, label) as f64 * f64::from(share) / f64::from(WHOLE)).abs()
    }

    fn limited(train: usize) -> DataSpec {
        DataSpec {
            source: Source::Reviews { split: Split::default() },
            text: "text".to_owned(),
            label: "label".to_owned(),
            positive: None,
            average: None,
            duplicates: Duplicates::Keep,
            limit: Limit { train: Some(train), validation: None, test: None },
            seed: 7,
        }
    }

    proptest! {
        #[test]
        fn a_split_is_a_stratified_partition_and_the_same_each_time(
            labels in prop::collection::vec(0_usize..5, 1..300),
            train in 1_u32..99_000, validation in 1_u32..900, seed: u64,
        ) {
            let split = Split { train, validation, test: WHOLE - train - validation };
            let all = documents(&labels);
            let splits = stratified(all.clone(), 5, split, seed);
            let mut together =
                [splits.train.clone(), splits.validation.clone(), splits.test.clone()].concat();
            together.sort_by_key(|document| document.id);
            prop_assert_eq!(&together, &all);
            for label in 0..5 {
                prop_assert!(off_by(&splits.train, &all, label, split.train) < 1.0);
                prop_assert!(off_by(&splits.validation, &all, label, split.validation) < 1.0);
                prop_assert!(off_by(&splits.test, &all, label, split.test) < 1.0);
            }
            prop_assert_eq!(splits, stratified(all, 5, split, seed));
        }

        #[test]
        fn a_limit_keeps_so_many_documents_in_order_and_every_class(
            labels in prop::collection::vec(0_usize..4, 4..200), limit in 4_usize..100,
        ) {
            let all = documents(&labels);
            let mut splits = Splits { train: all.clone(), ..Splits::default() };
            super::limit(&mut splits, 4, &limited(limit));
            prop_assert_eq!(splits.train.len(), limit.min(all.len()));
            prop_assert!(splits.train.is_sorted_by_key(|document| document.id));
            for label in 0..4 {
                prop_assert_eq!(count(&all, label) > 0, count(&splits.train, label) > 0);
            }
        }
    }

    #[test]
    fn many_small_classes_still_fill_the_test_set() {
        let labels: Vec<usize> = (0..60).map(|index| index % 20).collect();
        let splits = stratified(documents(&labels), 20, Split::default(), 1);
        assert_eq!([splits.train.len(), splits.validation.len(), splits.test.len()], [42, 9, 9]);
    }

    #[test]
    fn another_seed_gives_another_split() {
        let labels: Vec<usize> = (0..100).map(|index| index % 2).collect();
        let first = stratified(documents(&labels), 2, Split::default(), 1);
        assert_ne!(first, stratified(documents(&labels), 2, Split::default(), 2));
    }

    #[test]
    fn a_limit_keeps_the_balance_of_the_classes() {
        let labels: Vec<usize> = (0..1000).map(|index| usize::from(index % 10 == 0)).collect();
        let mut splits = Splits { train: documents(&labels), ..Splits::default() };
        limit(&mut splits, 2, &limited(50));
        assert_eq!([count(&splits.train, 0), count(&splits.train, 1)], [45, 5]);
    }
}
