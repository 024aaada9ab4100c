//! Splits that keep groups together: the documents of one product, author or article are never in two splits.
//!
//! Large groups are placed first, each where the classes then lie nearest to their shares. Groups of one size come in a
//! random order that follows from the seed. Within a split, documents keep their order.

use std::collections::BTreeMap;

use super::{
    row::Row,
    spec::{Shares, SplitName},
    split::Splits,
};
use crate::{chance::Chance, numbers::count};

/// How far the share of a split may be from what was asked for before a note says so.
const FAR: f64 = 0.05;

/// Divides `documents`, whose labels are below `classes`, by `shares`. `groups` has the group of each row of the file; a
/// document whose group is 0 is a group by itself.
pub(super) fn grouped(
    documents: Vec<Row>,
    groups: &[u64],
    classes: usize,
    (shares, seed): (Shares, u64),
) -> Splits {
    let group =
        |row: &Row| groups.get((row.id as usize).saturating_sub(1)).copied().filter(|group| *group != 0);
    let mut members: BTreeMap<(u64, u32), Vec<u32>> = BTreeMap::new();
    for (place, row) in (0..).zip(&documents) {
        let key = group(row).map_or((0, row.id), |group| (group, 0));
        members.entry(key).or_default().push(place);
    }
    let mut members: Vec<Vec<u32>> = members.into_values().collect();
    // Groups are in the order of their digests; by their first row, the order does not depend on how they are written.
    members.sort_unstable_by_key(|group| group.first().copied());
    Chance::new(&["groups", &seed.to_string()]).shuffle(&mut members);
    members.sort_by_key(|group| std::cmp::Reverse(group.len()));
    let mut room = Room::new(&documents, classes, shares);
    let mut chosen = vec![SplitName::Train; documents.len()];
    for (group, left) in members.iter().zip((1..=members.len()).rev()) {
        let labels = group.iter().filter_map(|place| documents.get(*place as usize)).map(|row| row.label);
        let split = room.place(labels.collect(), left);
        for place in group {
            if let Some(chosen) = chosen.get_mut(*place as usize) {
                *chosen = split;
            }
        }
    }
    let mut splits = Splits::default();
    for (document, split) in documents.into_iter().zip(chosen) {
        splits.of_mut(split).push(document);
    }
    splits
}

/// Number of groups of the rows that are left of a file; a row without a group counts as one.
pub(super) fn groups_of(rows: &[Row], groups: &[u64]) -> usize {
    let mut found: Vec<u64> =
        rows.iter().filter_map(|row| groups.get((row.id as usize).saturating_sub(1)).copied()).collect();
    found.sort_unstable();
    let alone = found.iter().take_while(|group| **group == 0).count();
    found.dedup();
    found.len() - usize::from(alone > 0) + alone
}

/// Says that large groups keep a split far from its share; `None` if they do not.
pub(super) fn note(splits: &Splits, shares: Shares, column: &str) -> Option<String> {
    let rows = SplitName::ALL.map(|name| splits.of(name).len());
    let all = count(rows.iter().sum::<usize>().max(1));
    let found = rows.map(|rows| count(rows) / all);
    let asked = [shares.train, shares.validation, shares.test]
        .map(|share| f64::from(share) / f64::from(Shares::WHOLE));
    let is_far = found.iter().zip(asked).any(|(found, asked)| (found - asked).abs() > FAR);
    let [train, validation, test] = found;
    is_far.then(|| {
        format!(
            "warning: groups of `{column}` are so large that the shares of train, validation and test are {train:.2}, \
             {validation:.2} and {test:.2}"
        )
    })
}

/// How far the splits are from their shares: by split, then by class, and at last all classes together.
struct Room {
    /// Documents that a split still lacks; negative if it has too many.
    lacking: [Vec<f64>; 3],
    /// Documents of each class, and of all.
    sizes: Vec<f64>,
    /// Whether a split has no group yet and is to have documents.
    is_empty: [bool; 3],
}

impl Room {
    fn new(documents: &[Row], classes: usize, shares: Shares) -> Self {
        let mut sizes = vec![0.0; classes + 1];
        for row in documents {
            for class in [row.label as usize, classes] {
                if let Some(size) = sizes.get_mut(class) {
                    *size += 1.0;
                }
            }
        }
        let whole = f64::from(Shares::WHOLE);
        let lacking = [shares.train, shares.validation, shares.test]
            .map(|share| sizes.iter().map(|size| size * f64::from(share) / whole).collect());
        let is_empty = [shares.train, shares.validation, shares.test].map(|share| share > 0);
        Self { lacking, sizes, is_empty }
    }

    /// The split that a group of documents with these labels takes the least from its shares, which then has it. `left` is
    /// the number of groups that are not placed, this one included: no split goes without if there are enough.
    fn place(&mut self, mut labels: Vec<u32>, left: usize) -> SplitName {
        labels.sort_unstable();
        let all = (self.sizes.len() - 1, count(labels.len()));
        let classes = labels.chunk_by(|one, other| one == other);
        let classes = classes.filter_map(|same| Some((*same.first()? as usize, count(same.len()))));
        let parts: Vec<(usize, f64)> = classes.chain([all]).collect();
        // How much the squared distances, each in documents of its class, grow.
        let cost = |split: SplitName| -> f64 {
            let of_part = |(class, documents): &(usize, f64)| {
                let lacking = self.lacking[split as usize].get(*class).copied().unwrap_or(0.0);
                let size = self.sizes.get(*class).copied().unwrap_or(1.0).max(1.0);
                documents * (documents - 2.0 * lacking) / (size * size)
            };
            parts.iter().map(of_part).sum()
        };
        let must_fill = left <= self.is_empty.iter().filter(|is_empty| **is_empty).count();
        let cost = |split: SplitName| {
            if must_fill && !self.is_empty[split as usize] { f64::INFINITY } else { cost(split) }
        };
        let [train, validation, test] = SplitName::ALL.map(cost);
        let split = if train <= validation && train <= test {
            SplitName::Train
        } else if validation <= test {
            SplitName::Validation
        } else {
            SplitName::Test
        };
        self.is_empty[split as usize] = false;
        for (class, documents) in parts {
            if let Some(lacking) = self.lacking[split as usize].get_mut(class) {
                *lacking -= documents;
            }
        }
        split
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;
    use crate::data::row::TextDigest;

    fn documents(labels: &[u32]) -> Vec<Row> {
        (1..)
            .zip(labels)
            .map(|(id, &label)| Row { id, label, text: TextDigest::of(&id.to_string()) })
            .collect()
    }

    fn groups_in(rows: &[Row], groups: &[u64]) -> HashSet<u64> {
        rows.iter().map(|row| groups[row.id as usize - 1]).collect()
    }

    proptest! {
        #[test]
        fn no_group_is_in_two_splits(
            rows in prop::collection::vec((0_u32..3, 1_u64..40), 1..300), seed: u64,
        ) {
            let (labels, groups): (Vec<u32>, Vec<u64>) = rows.into_iter().unzip();
            let splits = grouped(documents(&labels), &groups, 3, (Shares::default(), seed));
            let [train, validation, test] = SplitName::ALL.map(|name| groups_in(splits.of(name), &groups));
            prop_assert!(train.is_disjoint(&validation) && train.is_disjoint(&test));
            prop_assert!(validation.is_disjoint(&test));
        }

        #[test]
        fn every_document_is_in_one_split_in_order(
            rows in prop::collection::vec((0_u32..3, 0_u64..9), 1..100), seed: u64,
        ) {
            let (labels, groups): (Vec<u32>, Vec<u64>) = rows.into_iter().unzip();
            let splits = grouped(documents(&labels), &groups, 3, (Shares::default(), seed));
            let all = SplitName::ALL.into_iter().flat_map(|name| splits.of(name).clone());
            prop_assert_eq!(all.map(|row| row.id).collect::<HashSet<_>>().len(), labels.len());
            for name in SplitName::ALL {
                prop_assert!(splits.of(name).is_sorted_by_key(|row| row.id));
            }
        }
    }

    #[test]
    fn many_small_groups_fill_the_shares_of_every_class() {
        let labels: Vec<u32> = (0..1000).map(|at| u32::from(at % 5 == 0)).collect();
        let groups: Vec<u64> = (0..1000).map(|at| 1 + at / 4).collect();
        let splits = grouped(documents(&labels), &groups, 2, (Shares::default(), 1));
        let of_class = |rows: &[Row], class: u32| rows.iter().filter(|row| row.label == class).count();
        for (name, expected) in SplitName::ALL.into_iter().zip([[560, 140], [120, 30], [120, 30]]) {
            for class in [0, 1] {
                let found = of_class(splits.of(name), class);
                assert!(found.abs_diff(expected[class as usize]) <= 4, "{name} has {found} of class {class}");
            }
        }
    }

    #[test]
    fn a_few_large_groups_leave_no_split_without_documents() {
        for count in 3..12_u32 {
            let labels: Vec<u32> = (0..20 * count).map(|at| at % 2).collect();
            let groups: Vec<u64> = (0..20 * count).map(|at| u64::from(1 + at / 20)).collect();
            let splits = grouped(documents(&labels), &groups, 2, (Shares::default(), 1));
            let sizes = SplitName::ALL.map(|name| splits.of(name).len());
            assert!(sizes.iter().all(|size| *size > 0), "{count} groups: {sizes:?}");
            assert!(sizes[0] >= sizes[1] && sizes[0] >= sizes[2], "{count} groups: {sizes:?}");
        }
    }

    #[test]
    fn another_seed_gives_another_split() {
        let labels: Vec<u32> = (0..100).map(|at| at % 2).collect();
        let groups: Vec<u64> = (0..100).map(|at| 1 + at / 3).collect();
        let split = |seed| grouped(documents(&labels), &groups, 2, (Shares::default(), seed));
        assert_eq!(split(1), split(1));
        assert_ne!(split(1), split(2));
    }

    #[test]
    fn a_row_without_a_group_counts_as_one() {
        assert_eq!(groups_of(&documents(&[0; 6]), &[5, 0, 5, 0, 6, 5]), 4);
    }
}
