//! Documents with the same text and different labels, in all splits together.

use super::{
    leak_report::{Conflicts, EXAMPLES_MAX, RowOf, RowPair},
    row::TextDigest,
    spec::SplitName,
    split::Splits,
};

/// Counts the texts of `splits` that have different labels.
pub(super) fn conflicts(splits: &Splits) -> Conflicts {
    let rows = SplitName::ALL.into_iter().flat_map(|split| {
        let row = move |id: u32| RowOf { split, row: id };
        splits.of(split).iter().map(move |each| (each.text, row(each.id), each.label))
    });
    let mut rows: Vec<(TextDigest, RowOf, u32)> = rows.collect();
    rows.sort_unstable_by_key(|(text, row, _)| (*text, row.split as usize, row.row));
    let mut found = Conflicts::default();
    for same in rows.chunk_by(|one, other| one.0 == other.0) {
        let Some(((_, earlier, label), others)) = same.split_first() else { continue };
        if let Some((_, later, _)) = others.iter().find(|(_, _, other)| other != label) {
            found.texts += 1;
            found.documents += same.len();
            found.examples.push(RowPair { later: *later, earlier: *earlier, similarity: None });
        }
    }
    found.examples.sort_unstable_by_key(|pair| (pair.earlier.split as usize, pair.earlier.row));
    found.examples.truncate(EXAMPLES_MAX);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::row::Row;

    fn rows(rows: &[(&str, u32)]) -> Vec<Row> {
        (1..)
            .zip(rows)
            .map(|(id, (text, label))| Row { id, label: *label, text: TextDigest::of(text) })
            .collect()
    }

    #[test]
    fn a_text_with_two_labels_is_a_conflict_wherever_it_stands() {
        let splits = Splits {
            train: rows(&[("a", 0), ("b", 0), ("b", 1), ("c", 1)]),
            validation: rows(&[("d", 0)]),
            test: rows(&[("c", 0), ("a", 0)]),
        };
        let found = conflicts(&splits);
        assert_eq!((found.texts, found.documents), (2, 4));
        let examples: Vec<String> = found.examples.iter().map(ToString::to_string).collect();
        assert_eq!(examples, ["train 3 and train 2", "test 1 and train 4"]);
    }
}
