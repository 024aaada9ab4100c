//! Stratified, seeded splits and limits.
//!
//! Each class is divided by the method of largest remainders, so that each share of each class is within
//! one document of exact. The rounding error of one class is carried over to the next class, so that the
//! sizes of the whole splits are close to exact too. Within a split, documents keep their order.

use super::{
    row::Row,
    spec::{DataSpec, Shares, SplitName},
};
use crate::chance::Chance;

/// Documents of the three splits, their labels as indices into the labels of the data set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Splits {
    pub(super) train: Vec<Row>,
    pub(super) validation: Vec<Row>,
    pub(super) test: Vec<Row>,
}

impl Splits {
    pub(super) fn of(&self, name: SplitName) -> &Vec<Row> {
        match name {
            SplitName::Train => &self.train,
            SplitName::Validation => &self.validation,
            SplitName::Test => &self.test,
        }
    }

    pub(super) fn of_mut(&mut self, name: SplitName) -> &mut Vec<Row> {
        match name {
            SplitName::Train => &mut self.train,
            SplitName::Validation => &mut self.validation,
            SplitName::Test => &mut self.test,
        }
    }
}

/// Divides `documents`, whose labels are below `classes`, by `shares`.
pub(super) fn stratified(documents: Vec<Row>, classes: usize, shares: Shares, seed: u64) -> Splits {
    let shares = [shares.train, shares.validation, shares.test].map(i64::from);
    let mut owed = [0; 3];
    let mut chosen = vec![SplitName::Train; documents.len()];
    for (class, mut members) in members(&documents, classes).into_iter().enumerate() {
        Chance::new(&["split", &seed.to_string(), &class.to_string()]).shuffle(&mut members);
        let counts = divide(members.len(), shares, &mut owed);
        let names = SplitName::ALL.iter().zip(counts).flat_map(|(name, count)| vec![*name; count]);
        for (member, name) in members.into_iter().zip(names) {
            if let Some(chosen) = chosen.get_mut(member as usize) {
                *chosen = name;
            }
        }
    }
    let mut splits = Splits::default();
    for (document, name) in documents.into_iter().zip(chosen) {
        splits.of_mut(name).push(document);
    }
    splits
}

/// Replaces every split that is above its limit by a stratified subset, which has each class of the split.
pub(super) fn limit(splits: &mut Splits, classes: usize, spec: &DataSpec) {
    for name in SplitName::ALL {
        let documents = splits.of_mut(name);
        let Some(limit) = spec.limit.of(name).filter(|limit| *limit < documents.len()) else {
            continue;
        };
        let mut members = members(documents, classes);
        let sizes: Vec<usize> = members.iter().map(Vec::len).collect();
        let mut kept = vec![false; documents.len()];
        for (class, (members, quota)) in members.iter_mut().zip(quotas(&sizes, limit)).enumerate() {
            let parts = ["limit", name.as_str(), &spec.seed.to_string(), &class.to_string()];
            Chance::new(&parts).shuffle(members);
            for member in members.iter().take(quota) {
                if let Some(kept) = kept.get_mut(*member as usize) {
                    *kept = true;
                }
            }
        }
        let mut kept = kept.into_iter();
        documents.retain(|_| kept.next().unwrap_or(false));
    }
}

/// Positions of the documents of each class.
fn members(documents: &[Row], classes: usize) -> Vec<Vec<u32>> {
    let mut members = vec![Vec::new(); classes];
    for (position, document) in (0..).zip(documents) {
        if let Some(class) = members.get_mut(document.label as usize) {
            class.push(position);
        }
    }
    members
}

/// Divides `count` documents by `shares` of [`Shares::WHOLE`]; every part is the exact part, rounded down
/// or up.
///
/// `owed` holds, for each part, the exact sizes minus the rounded ones so far, in documents /
/// [`Shares::WHOLE`]. The part with the largest remainder and debt together is rounded up first.
fn divide(count: usize, shares: [i64; 3], owed: &mut [i64; 3]) -> [usize; 3] {
    let whole = i64::from(Shares::WHOLE);
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

/// The documents of each class in a subset of `limit`: at least 1 of each class that is not empty.
///
/// Largest remainders again; a class without a document then takes one from the largest quota.
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
    use crate::{
        data::{
            row::TextDigest,
            spec::{Duplicates, Limit, Source},
        },
        numbers, samples,
    };

    fn documents(labels: &[u32]) -> Vec<Row> {
        let row = |(id, &label): (u32, &u32)| Row { id, label, text: TextDigest::of(&format!("text {id}")) };
        (1..).zip(labels).map(row).collect()
    }

    fn count(documents: &[Row], label: u32) -> usize {
        documents.iter().filter(|document| document.label == label).count()
    }

    /// Documents of `label` in `part`, minus the exact share of `all`.
    fn off_by(part: &[Row], all: &[Row], label: u32, share: u32) -> f64 {
        let exact = numbers::count(count(all, label)) * f64::from(share) / f64::from(Shares::WHOLE);
        (numbers::count(count(part, label)) - exact).abs()
    }

    fn limited(train: usize) -> DataSpec {
        DataSpec {
            duplicates: Duplicates::Keep,
            limit: Limit { train: Some(train), validation: None, test: None },
            seed: 7,
            ..samples::data_spec(Source::Reviews { split: Shares::default() })
        }
    }

    proptest! {
        #[test]
        fn a_split_is_a_stratified_partition(
            labels in prop::collection::vec(0_u32..5, 1..300),
            train in 1_u32..99_000, validation in 1_u32..900, seed: u64,
        ) {
            let shares = Shares { train, validation, test: Shares::WHOLE - train - validation };
            let all = documents(&labels);
            let splits = stratified(all.clone(), 5, shares, seed);
            let mut together =
                [splits.train.clone(), splits.validation.clone(), splits.test.clone()].concat();
            together.sort_by_key(|document| document.id);
            prop_assert_eq!(&together, &all);
            for label in 0..5 {
                prop_assert!(off_by(&splits.train, &all, label, shares.train) < 1.0);
                prop_assert!(off_by(&splits.validation, &all, label, shares.validation) < 1.0);
                prop_assert!(off_by(&splits.test, &all, label, shares.test) < 1.0);
            }
        }

        #[test]
        fn the_same_seed_gives_the_same_split(
            labels in prop::collection::vec(0_u32..5, 1..300),
            train in 1_u32..99_000, validation in 1_u32..900, seed: u64,
        ) {
            let shares = Shares { train, validation, test: Shares::WHOLE - train - validation };
            let all = documents(&labels);
            prop_assert_eq!(stratified(all.clone(), 5, shares, seed), stratified(all, 5, shares, seed));
        }

        #[test]
        fn a_limited_split_has_as_many_documents_as_its_limit_in_order(
            labels in prop::collection::vec(0_u32..4, 4..200), limit in 4_usize..100,
        ) {
            let all = documents(&labels);
            let mut splits = Splits { train: all.clone(), ..Splits::default() };
            super::limit(&mut splits, 4, &limited(limit));
            prop_assert_eq!(splits.train.len(), limit.min(all.len()));
            prop_assert!(splits.train.is_sorted_by_key(|document| document.id));
        }

        #[test]
        fn a_limited_split_keeps_every_class(
            labels in prop::collection::vec(0_u32..4, 4..200), limit in 4_usize..100,
        ) {
            let all = documents(&labels);
            let mut splits = Splits { train: all.clone(), ..Splits::default() };
            super::limit(&mut splits, 4, &limited(limit));
            for label in 0..4 {
                prop_assert_eq!(count(&all, label) > 0, count(&splits.train, label) > 0);
            }
        }
    }

    #[test]
    fn many_small_classes_still_fill_the_test_set() {
        let labels: Vec<u32> = (0..60).map(|index| index % 20).collect();
        let splits = stratified(documents(&labels), 20, Shares::default(), 1);
        assert_eq!([splits.train.len(), splits.validation.len(), splits.test.len()], [42, 9, 9]);
    }

    #[test]
    fn another_seed_gives_another_split() {
        let labels: Vec<u32> = (0..100).map(|index| index % 2).collect();
        let first = stratified(documents(&labels), 2, Shares::default(), 1);
        assert_ne!(first, stratified(documents(&labels), 2, Shares::default(), 2));
    }

    #[test]
    fn a_limit_keeps_the_balance_of_the_classes() {
        let labels: Vec<u32> = (0..1000).map(|index| u32::from(index % 10 == 0)).collect();
        let mut splits = Splits { train: documents(&labels), ..Splits::default() };
        limit(&mut splits, 2, &limited(50));
        assert_eq!([count(&splits.train, 0), count(&splits.train, 1)], [45, 5]);
    }
}
