//! The classes of a data set: the labels of its rows, each once and in order, and what is odd about them.

use std::collections::{BTreeMap, HashMap};

use super::{error::DataError, spec::DataSpec};
use crate::{display::shorten, metrics::Target, nearest::nearest};

/// Labels that programs write where a value is missing.
const MISSING: [&str; 8] = ["nan", "none", "null", "n/a", "#n/a", "<na>", "na", "?"];
/// Terminal columns of a label in a message.
const LABEL_COLUMNS: usize = 40;

/// A label as a file has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct WrittenLabel {
    /// Without surrounding white space.
    pub(super) text: String,
    /// Whether the file says that the label is a number.
    pub(super) is_number: bool,
}

/// Gives equal numbers one label: `1` and `1.0` of JSON or a sheet are one class. Labels that are texts in
/// their file keep their spelling. Returns a note for each number that had several spellings.
pub(super) fn unify_numbers(files: &mut [&mut Vec<WrittenLabel>]) -> Vec<String> {
    // Beyond this bound, different whole numbers are one and the same double.
    let is_exact = |number: &f64| number.abs() < 9_007_199_254_740_992.0;
    let number =
        |label: &WrittenLabel| if label.is_number { finite(&label.text).filter(is_exact) } else { None };
    let mut spellings: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for label in files.iter().flat_map(|labels| labels.iter()) {
        if let Some(value) = number(label) {
            let known = spellings.entry(value.to_bits()).or_default();
            if !known.contains(&label.text) {
                known.push(label.text.clone());
            }
        }
    }
    spellings.retain(|_, known| known.len() > 1);
    for label in files.iter_mut().flat_map(|labels| labels.iter_mut()) {
        if let Some(value) = number(label).filter(|value| spellings.contains_key(&value.to_bits())) {
            label.text = value.to_string();
        }
    }
    let note = |(bits, known): (&u64, &Vec<String>)| {
        let class = f64::from_bits(*bits);
        format!("the labels {} are one class, `{class}`: they are the same number", quoted(known))
    };
    spellings.iter().map(note).collect()
}

/// Every label of so many `documents` once: in numerical order if all labels are numbers, else in alphabetical order.
pub(super) fn labels<'a>(
    written: impl Iterator<Item = &'a WrittenLabel>,
    documents: usize,
) -> Result<Vec<String>, DataError> {
    let mut labels: Vec<String> = written.map(|label| label.text.clone()).collect();
    labels.sort_unstable();
    labels.dedup();
    let are_numbers = labels.iter().all(|label| finite(label).is_some());
    if are_numbers {
        labels.sort_by(|a, b| finite(a).unwrap_or(0.0).total_cmp(&finite(b).unwrap_or(0.0)));
    }
    let classes = labels.len();
    let examples = || labels.iter().take(3).cloned().collect();
    let has_fractions =
        are_numbers && labels.iter().any(|label| finite(label).is_some_and(|it| it.fract() != 0.0));
    if let [only] = labels.as_slice() {
        Err(DataError::OneClass { label: only.clone() })
    } else if has_fractions && (classes > 30 || (classes > 10 && classes * 10 > documents)) {
        Err(DataError::Regression { classes, examples: examples() })
    } else if classes * 2 > documents && (classes > 100 || (classes >= 10 && classes * 10 >= documents * 9)) {
        Err(DataError::TooManyClasses { classes, documents, examples: examples() })
    } else {
        Ok(labels)
    }
}

/// What is odd about the names of the classes, for the user.
pub(super) fn notes(labels: &[String]) -> Vec<String> {
    let mut alike: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for label in labels {
        let key = match finite(label) {
            Some(number) => number.to_string(),
            None => label.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase(),
        };
        alike.entry(key).or_default().push(label.clone());
    }
    let alike = alike.values().filter(|labels| labels.len() > 1).map(|labels| {
        format!("{} are different classes; if they are meant to be one, write them alike", quoted(labels))
    });
    let missing = labels.iter().filter(|label| MISSING.contains(&label.to_lowercase().as_str()));
    let missing =
        missing.map(|label| format!("`{label}` is a class; if it is a missing value, delete its rows"));
    let is_fraction = |label: &String| finite(label).is_some_and(|number| number.fract() != 0.0);
    let fractions = labels.iter().all(|label| finite(label).is_some()) && labels.iter().any(is_fraction);
    let fractions = fractions.then(|| {
        "the labels are numbers with fractions; each is a class of its own, since there is no regression here".to_owned()
    });
    alike.chain(missing).chain(fractions).map(|note| format!("warning: {note}")).collect()
}

/// Which F1 counts. With two classes an average is refused: readers would take it for the positive
/// class's F1.
pub(super) fn target(labels: &[String], spec: &DataSpec) -> Result<Target, DataError> {
    let positive = positive(labels, spec.positive.as_deref())?;
    match (positive.and_then(|class| labels.get(class)), spec.average) {
        (Some(positive), Some(average)) => Err(DataError::Average { average, positive: positive.clone() }),
        (Some(_) | None, average) => Ok(Target::of(positive, average)),
    }
}

/// The index of the positive class of a binary task: the class `named`, or else the last in order. `None`
/// with more than two classes. A class may be named by another spelling of its number.
fn positive(labels: &[String], named: Option<&str>) -> Result<Option<usize>, DataError> {
    let index = match named {
        None => labels.len().checked_sub(1),
        Some(named) => {
            let exact = labels.iter().position(|label| label == named);
            let same = |label: &String| finite(label).is_some_and(|number| Some(number) == finite(named));
            let mut equal = (0..labels.len()).filter(|class| labels.get(*class).is_some_and(same));
            let index = exact.or_else(|| equal.next().filter(|_| equal.next().is_none()));
            Some(index.ok_or_else(|| DataError::Positive {
                positive: named.to_owned(),
                labels: labels.to_vec(),
                nearest: nearest(named, labels.iter().map(String::as_str)).map(str::to_owned),
            })?)
        }
    };
    Ok(index.filter(|_| labels.len() == 2))
}

/// The index of each label.
pub(super) fn indices(labels: &[String]) -> HashMap<&str, u32> {
    labels.iter().zip(0..).map(|(label, index)| (label.as_str(), index)).collect()
}

/// The number that a label is; 0 for -0.
fn finite(label: &str) -> Option<f64> {
    label.parse::<f64>().ok().filter(|number| number.is_finite()).map(|number| number + 0.0)
}

/// `a`, `b` and `c`, in backquotes.
fn quoted(labels: &[String]) -> String {
    let mut labels: Vec<String> =
        labels.iter().map(|label| format!("`{}`", shorten(label, LABEL_COLUMNS))).collect();
    match labels.pop() {
        Some(last) if !labels.is_empty() => format!("{} and {last}", labels.join(", ")),
        last => last.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(labels: &[(&str, bool)]) -> Vec<WrittenLabel> {
        let label = |(text, is_number): &(&str, bool)| WrittenLabel {
            text: (*text).to_owned(),
            is_number: *is_number,
        };
        labels.iter().map(label).collect()
    }

    /// The classes of a document of each label.
    fn classes(written: &[WrittenLabel]) -> Result<Vec<String>, DataError> {
        labels(written.iter(), written.len())
    }

    fn unified(labels: &[(&str, bool)]) -> (Vec<String>, usize) {
        let mut written = written(labels);
        let notes = unify_numbers(&mut [&mut written]);
        (classes(&written).unwrap(), notes.len())
    }

    #[test]
    fn equal_numbers_are_one_class() {
        let written = [("1", true), ("1.0", true), ("1e0", true), ("0", true), ("-0.0", true)];
        assert_eq!(unified(&written), (vec!["0".to_owned(), "1".to_owned()], 2));
    }

    #[test]
    fn whole_numbers_that_one_double_stands_for_stay_apart() {
        let rows = [("9007199254740992", true), ("9007199254740993", true)];
        assert_eq!(unified(&rows), (vec!["9007199254740992".to_owned(), "9007199254740993".to_owned()], 0));
    }

    #[test]
    fn a_number_with_one_spelling_keeps_it() {
        assert_eq!(unified(&[("1.0", true), ("0.0", true)]), (vec!["0.0".to_owned(), "1.0".to_owned()], 0));
    }

    #[test]
    fn texts_that_are_equal_numbers_stay_classes_with_a_warning() {
        let (labels, unified) = unified(&[("1", false), ("1.0", false), ("0", false)]);
        assert_eq!((labels.len(), unified), (3, 0));
        assert_eq!(
            notes(&labels),
            ["warning: `1` and `1.0` are different classes; if they are meant to be one, write them alike"]
        );
    }

    #[test]
    fn labels_that_differ_in_case_alone_have_a_warning() {
        let labels = ["Good", "bad", "good"].map(str::to_owned);
        assert_eq!(notes(&labels).len(), 1);
    }

    #[test]
    fn a_label_that_stands_for_a_missing_value_has_a_warning() {
        assert_eq!(notes(&["good".to_owned(), "nan".to_owned()]).len(), 1);
    }

    #[test]
    fn the_positive_class_is_the_named_one_or_else_the_last() {
        let labels = ["negative".to_owned(), "positive".to_owned()];
        assert_eq!(positive(&labels, None).unwrap(), Some(1));
        assert_eq!(positive(&labels, Some("negative")).unwrap(), Some(0));
        assert!(positive(&labels, Some("good")).is_err());
    }

    #[test]
    fn the_positive_class_may_be_named_by_another_spelling_of_its_number() {
        let labels = ["0".to_owned(), "1".to_owned()];
        assert_eq!(positive(&labels, Some("0.0")).unwrap(), Some(0));
    }

    #[test]
    fn numbers_sort_as_numbers() {
        for (labels, expected) in [(["10", "9"], ["9", "10"]), (["1", "-1"], ["-1", "1"])] {
            assert_eq!(classes(&written(&labels.map(|label| (label, false)))).unwrap(), expected);
        }
    }

    #[test]
    fn measurements_are_no_classes() {
        let labels: Vec<String> = (0..40).map(|row| format!("0.{row:02}")).collect();
        let labels: Vec<(&str, bool)> = labels.iter().map(|label| (label.as_str(), false)).collect();
        assert!(matches!(classes(&written(&labels)), Err(DataError::Regression { classes: 40, .. })));
    }

    #[test]
    fn a_label_for_each_row_is_no_column_of_classes() {
        let labels: Vec<String> = (0..30).map(|row| format!("row {row}")).collect();
        let labels: Vec<(&str, bool)> = labels.iter().map(|label| (label.as_str(), false)).collect();
        assert!(matches!(classes(&written(&labels)), Err(DataError::TooManyClasses { classes: 30, .. })));
    }
}
