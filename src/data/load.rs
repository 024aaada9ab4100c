//! Loads a data set: reads the files, numbers the labels, makes the splits and handles duplicates.

use super::{
    dataset::{Dataset, Document},
    duplicates,
    error::{DataError, DataFile},
    reviews,
    spec::{DataSpec, Duplicates, Shares, Source, SplitName},
    split::{self, Splits},
    table::{self, LabelledText},
};
use crate::{metrics::Target, nearest::nearest};

/// Loads the data that `spec` names.
///
/// The same spec and files give the same documents in the same order on every machine.
///
/// # Errors
/// The first fault that [`examine`] finds.
pub fn load(spec: &DataSpec) -> Result<Dataset, DataError> {
    // `examine` never fails without a fault.
    examine(spec).map_err(|mut faults| faults.swap_remove(0))
}

/// Loads the data that `spec` names, and on failure lists every independent fault.
///
/// # Errors
/// At least one fault: one for each file that cannot be read, or else the first fault of the data as a
/// whole.
pub fn examine(spec: &DataSpec) -> Result<Dataset, Vec<DataError>> {
    let (labels, mut splits) = match &spec.source {
        Source::Files { train, validation, test } => {
            let paths = [(train, "data.train"), (validation, "data.validation"), (test, "data.test")];
            let files = paths.map(|(path, key)| DataFile { path: path.clone(), key });
            let [train, validation, test] = read_all(&files, spec)?;
            let labels = labels([&train, &validation, &test]).map_err(|fault| vec![fault])?;
            let [train, validation, test] = [train, validation, test].map(|rows| documents(rows, &labels));
            (labels, Splits { train, validation, test })
        }
        Source::Single { path, split } => {
            let [rows] = read_all(&[DataFile { path: path.clone(), key: "data.path" }], spec)?;
            let labels = labels([&rows]).map_err(|fault| vec![fault])?;
            let documents = documents(rows, &labels);
            let splits = split::stratified(documents, labels.len(), *split, spec.seed);
            (labels, splits)
        }
        Source::Reviews { split } => generated(*split, spec.seed),
    };
    dataset(labels, &mut splits, spec).map_err(|fault| vec![fault])
}

/// The labels and the splits of `builtin:reviews`.
fn generated(shares: Shares, seed: u64) -> (Vec<String>, Splits) {
    let labels: Vec<String> = reviews::LABELS.iter().map(|label| (*label).to_owned()).collect();
    let documents = reviews::generate(seed, reviews::DOCUMENTS);
    let splits = split::stratified(documents, labels.len(), shares, seed);
    (labels, splits)
}

/// The rows of every file, or one fault of each faulty file; a column that several files lack is reported
/// once.
fn read_all<const N: usize>(
    files: &[DataFile; N],
    spec: &DataSpec,
) -> Result<[Vec<LabelledText>; N], Vec<DataError>> {
    let mut faults: Vec<DataError> = Vec::new();
    let rows = files.each_ref().map(|file| {
        table::read(file, spec).unwrap_or_else(|fault| {
            if !faults.iter().any(|other| is_same_column(other, &fault)) {
                faults.push(fault);
            }
            Vec::new()
        })
    });
    if faults.is_empty() { Ok(rows) } else { Err(faults) }
}

fn is_same_column(one: &DataError, other: &DataError) -> bool {
    match (one, other) {
        (DataError::Column { key, missing, .. }, DataError::Column { key: key2, missing: missing2, .. }) => {
            key == key2 && missing == missing2
        }
        _ => false,
    }
}

/// Every label once: in numerical order if all labels are numbers, else in alphabetical order.
fn labels<const N: usize>(splits: [&Vec<LabelledText>; N]) -> Result<Vec<String>, DataError> {
    let documents = splits.iter().map(|rows| rows.len()).sum();
    let mut labels: Vec<String> = splits.into_iter().flatten().map(|row| row.label.clone()).collect();
    labels.sort_unstable();
    labels.dedup();
    let number = |label: &String| label.parse::<f64>().ok().filter(|number| number.is_finite());
    if labels.iter().all(|label| number(label).is_some()) {
        labels.sort_by(|a, b| number(a).unwrap_or(0.0).total_cmp(&number(b).unwrap_or(0.0)));
    }
    match labels.as_slice() {
        [only] => Err(DataError::OneClass { label: only.clone() }),
        many if many.len() > 100 && many.len() * 2 > documents => {
            Err(DataError::TooManyClasses { classes: many.len(), documents })
        }
        _ => Ok(labels),
    }
}

/// The rows as documents, their labels as indices into `labels`.
fn documents(rows: Vec<LabelledText>, labels: &[String]) -> Vec<Document> {
    let index: std::collections::HashMap<&str, usize> =
        labels.iter().enumerate().map(|(index, label)| (label.as_str(), index)).collect();
    rows.into_iter()
        .filter_map(|LabelledText { id, text, label }| {
            index.get(label.as_str()).map(|&label| Document { id, text, label })
        })
        .collect()
}

/// The data set of `splits`, after duplicates were handled, limits applied and the result checked.
fn dataset(labels: Vec<String>, splits: &mut Splits, spec: &DataSpec) -> Result<Dataset, DataError> {
    let target = target(&labels, spec)?;
    let (leaks, example) = duplicates::find_and_drop(splits, spec.duplicates);
    if let (Duplicates::Error, Some(example)) = (spec.duplicates, example) {
        return Err(DataError::Leaks { leaks, example: shortened(&example) });
    }
    let dropped = [leaks.train_dropped, leaks.validation_dropped, 0];
    for (name, dropped) in SplitName::ALL.into_iter().zip(dropped) {
        if splits.of(name).is_empty() {
            return Err(DataError::EmptySplit { key: key(&spec.source, name), split: name, dropped });
        }
        if let Some(limit) = spec.limit.of(name).filter(|limit| *limit < labels.len()) {
            return Err(DataError::Limit { split: name, limit, classes: labels.len() });
        }
    }
    for (class, label) in labels.iter().enumerate() {
        let count = |name| splits.of(name).iter().filter(|document| document.label == class).count();
        if count(SplitName::Train) == 0 {
            let (validation, test) = (count(SplitName::Validation), count(SplitName::Test));
            let key = key(&spec.source, SplitName::Train);
            return Err(DataError::ClassNotInTrain { key, label: label.clone(), validation, test });
        }
    }
    split::limit(splits, labels.len(), spec);
    let Splits { train, validation, test } = std::mem::take(splits);
    Ok(Dataset { labels, target, train, validation, test, leaks })
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

/// Which F1 counts. With two classes an average is refused: readers would take it for the positive
/// class's F1.
fn target(labels: &[String], spec: &DataSpec) -> Result<Target, DataError> {
    let positive = positive(labels, spec.positive.as_deref())?;
    match (positive.and_then(|class| labels.get(class)), spec.average) {
        (Some(positive), Some(average)) => Err(DataError::Average { average, positive: positive.clone() }),
        (Some(_) | None, average) => Ok(Target::of(positive, average)),
    }
}

/// The index of the positive class of a binary task: the class `named`, or else the last in order. `None`
/// with more than two classes.
fn positive(labels: &[String], named: Option<&str>) -> Result<Option<usize>, DataError> {
    let index = match named {
        None => labels.len().checked_sub(1),
        Some(named) => {
            let index = labels.iter().position(|label| label == named);
            Some(index.ok_or_else(|| DataError::Positive {
                positive: named.to_owned(),
                labels: labels.to_vec(),
                nearest: nearest(named, labels.iter().map(String::as_str)).map(str::to_owned),
            })?)
        }
    };
    Ok(index.filter(|_| labels.len() == 2))
}

/// The first 30 characters of `text`, with `…` if there are more.
fn shortened(text: &str) -> String {
    const SHOWN: usize = 30;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or(text)),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{metrics::Average, samples};

    fn spec(folder: &Path, files: [(&str, &str); 3]) -> DataSpec {
        let [train, validation, test] = files.map(|(name, content)| {
            let path = folder.join(name);
            std::fs::write(&path, content).unwrap();
            path
        });
        samples::data_spec(Source::Files { train, validation, test })
    }

    #[test]
    fn labels_that_are_numbers_are_sorted_as_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let train = "text,label\na,10\nb,9\nc,2\n";
        let spec = spec(
            folder.path(),
            [("a.csv", train), ("b.csv", "text,label\nd,9\n"), ("c.csv", "text,label\ne,2\n")],
        );
        let dataset = load(&spec).unwrap();
        assert_eq!(dataset.labels, ["2", "9", "10"]);
        assert_eq!(dataset.target, Target::Average(Average::Macro), "three classes have no positive one");
        assert_eq!(dataset.train.iter().map(|document| document.label).collect::<Vec<_>>(), [2, 1, 0]);
    }

    #[test]
    fn the_positive_class_is_the_named_one_or_else_the_last() {
        let labels = ["negative".to_owned(), "positive".to_owned()];
        assert_eq!(positive(&labels, None).unwrap(), Some(1));
        assert_eq!(positive(&labels, Some("negative")).unwrap(), Some(0));
        assert!(positive(&labels, Some("good")).is_err());
    }

    const VALIDATION: (&str, &str) = ("b.csv", "text,label\nd,x\n");
    const TEST: (&str, &str) = ("c.csv", "text,label\ne,y\n");

    #[test]
    fn an_average_counts_with_three_classes() {
        let folder = tempfile::tempdir().unwrap();
        let train = ("a.csv", "text,label\na,x\nb,y\nc,z\n");
        let mut three = spec(folder.path(), [train, VALIDATION, TEST]);
        three.average = Some(Average::Weighted);
        assert_eq!(load(&three).unwrap().target, Target::Average(Average::Weighted));
    }

    #[test]
    fn an_average_is_refused_with_two_classes() {
        let folder = tempfile::tempdir().unwrap();
        let mut two = spec(folder.path(), [("a.csv", "text,label\na,x\nb,y\n"), VALIDATION, TEST]);
        assert_eq!(load(&two).unwrap().target, Target::Class(1));
        two.average = Some(Average::Macro);
        assert!(matches!(load(&two), Err(DataError::Average { positive, .. }) if positive == "y"));
    }

    #[test]
    fn a_text_of_test_is_dropped_from_train_before_a_limit_counts() {
        let folder = tempfile::tempdir().unwrap();
        let train = "text,label\na,0\nb,1\nc,0\nd,1\n";
        let files = [("a.csv", train), ("b.csv", "text,label\ne,0\n"), ("c.csv", "text,label\na,0\n")];
        let mut spec = spec(folder.path(), files);
        spec.limit.train = Some(3);
        let dataset = load(&spec).unwrap();
        let ids: Vec<usize> = dataset.train.iter().map(|document| document.id).collect();
        assert_eq!(ids, [2, 3, 4]);
        assert_eq!(dataset.leaks.train_dropped, 1);
    }

    #[test]
    fn every_file_that_cannot_be_read_is_reported_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let files = [("a.csv", "text,label\na,\n"), ("b.txt", "text,label\n"), ("c.csv", "text,label\n")];
        let faults = examine(&spec(folder.path(), files)).unwrap_err();
        let keys: Vec<&str> = faults.iter().map(DataError::key).collect();
        assert_eq!(keys, ["data.train", "data.validation", "data.test"]);
    }

    #[test]
    fn the_built_in_reviews_fill_all_three_splits() {
        let spec = samples::data_spec(Source::Reviews { split: Shares::default() });
        let dataset = load(&spec).unwrap();
        let total = dataset.train.len() + dataset.validation.len() + dataset.test.len();
        assert_eq!(
            total + dataset.leaks.train_dropped + dataset.leaks.validation_dropped,
            reviews::DOCUMENTS
        );
        assert_eq!(load(&spec).unwrap(), dataset);
    }
}
