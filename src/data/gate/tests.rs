//! What the gate finds, drops and refuses in small files.

use std::path::Path;

use super::*;
use crate::{
    data::{Alike, DataSpec, Dataset, Source, examine, load},
    samples,
};

/// A long text that is one of its own for each number.
fn text(number: u32) -> String {
    (0..40).filter_map(|at| char::from_u32(0x4e00 + number * 97 + at)).collect()
}

/// Rows of texts with the labels 0 and 1 in turn, and a group each.
fn file(folder: &Path, name: &str, rows: &[(&str, &str)]) -> std::path::PathBuf {
    let path = folder.join(name);
    let rows: Vec<String> = (0..)
        .zip(rows)
        .map(|(number, (text, group))| format!("\"{text}\",{},{group}\n", number % 2))
        .collect();
    std::fs::write(&path, format!("text,label,group\n{}", rows.concat())).unwrap();
    path
}

struct Files {
    _folder: tempfile::TempDir,
    spec: DataSpec,
}

fn files(train: &[(&str, &str)], validation: &[(&str, &str)], test: &[(&str, &str)]) -> Files {
    let folder = tempfile::tempdir().unwrap();
    let source = Source::Files {
        train: file(folder.path(), "train.csv", train),
        validation: Some(file(folder.path(), "dev.csv", validation)),
        test: file(folder.path(), "test.csv", test),
    };
    Files { spec: samples::data_spec(source), _folder: folder }
}

/// Train has, for a row of test each: the same text, one that is the same in normal form, and one that is nearly the same.
/// Validation has one that is nearly the same as a row of train.
fn alike() -> Files {
    let [same, form, near, other] = [1, 2, 3, 4].map(text);
    let (form_in_train, form_in_test) = (format!("{form}。"), format!("{form}！！"));
    let (near_in_test, near_in_validation) = (format!("{near}真"), format!("很{other}"));
    let alone: Vec<String> = (5..12).map(text).collect();
    let rows = |texts: &[&str]| -> Vec<(String, &'static str)> {
        texts.iter().map(|text| ((*text).to_owned(), "x")).collect()
    };
    let train = rows(&[&same, &form_in_train, &near, &other, &alone[0], &alone[1]]);
    let validation = rows(&[&near_in_validation, &alone[2], &alone[3]]);
    let test = rows(&[&same, &form_in_test, &near_in_test, &alone[4], &alone[5]]);
    files(&as_rows(&train), &as_rows(&validation), &as_rows(&test))
}

fn as_rows<'a>(rows: &'a [(String, &'static str)]) -> Vec<(&'a str, &'a str)> {
    rows.iter().map(|(text, group)| (text.as_str(), *group)).collect()
}

fn examined(spec: &DataSpec) -> (Dataset, LeakReport) {
    let mut dataset = examine(spec).unwrap();
    let report = dataset.report.take().unwrap();
    (dataset, report)
}

/// By kind: validation in train, test in train, test in validation, dropped, test left.
fn counts(report: &LeakReport, likeness: Likeness) -> [usize; 5] {
    let found = report.alike.iter().find(|alike| alike.likeness == likeness).unwrap();
    [found.validation_in_train, found.test_in_train, found.test_in_validation, found.dropped, found.test_left]
}

fn ids(dataset: &Dataset, split: SplitName) -> Vec<u32> {
    dataset.split(split).iter().map(|document| document.id).collect()
}

#[test]
fn each_document_counts_by_the_first_way_in_which_it_is_alike() {
    let (_, report) = examined(&alike().spec);
    assert_eq!(counts(&report, Likeness::Exact), [0, 1, 0, 1, 0]);
    assert_eq!(counts(&report, Likeness::Normalised), [0, 1, 0, 0, 1]);
    assert_eq!(counts(&report, Likeness::Near), [1, 1, 0, 0, 1]);
}

#[test]
fn by_default_only_the_same_texts_are_dropped() {
    let files = alike();
    let (dataset, _) = examined(&files.spec);
    assert_eq!(ids(&dataset, SplitName::Train), [2, 3, 4, 5, 6]);
    assert_eq!(load(&files.spec).unwrap(), dataset, "the report changes no document");
}

#[test]
fn test_documents_whose_likes_are_dropped_are_clean() {
    let (_, report) = examined(&alike().spec);
    let unclean: Vec<u64> = (1..=5).filter(|row| report.unclean.contains(*row)).collect();
    assert_eq!(unclean, [2, 3], "the same text of row 1 was dropped from train");
}

#[test]
fn what_the_spec_drops_is_dropped_from_the_earlier_split() {
    let mut files = alike();
    files.spec.alike =
        Alike { normalised: Duplicates::Drop, near: Some(Duplicates::Drop), ..Alike::default() };
    let (dataset, report) = examined(&files.spec);
    assert_eq!(ids(&dataset, SplitName::Train), [5, 6]);
    assert_eq!([ids(&dataset, SplitName::Validation).len(), ids(&dataset, SplitName::Test).len()], [3, 5]);
    assert_eq!((counts(&report, Likeness::Near)[3], counts(&report, Likeness::Normalised)[3]), (2, 1));
    assert!(report.unclean.is_empty());
    assert_eq!(load(&files.spec).unwrap().train, dataset.train, "workers drop the same documents");
}

#[test]
fn near_duplicates_need_not_be_looked_for() {
    let mut files = alike();
    files.spec.alike.near = None;
    let (_, report) = examined(&files.spec);
    assert!(report.alike.iter().all(|alike| alike.likeness != Likeness::Near));
    assert_eq!(report.unclean.len(), 1);
}

#[test]
fn a_spec_that_allows_no_near_duplicates_is_refused_with_their_rows() {
    let mut files = alike();
    files.spec.alike.near = Some(Duplicates::Error);
    let faults = examine(&files.spec).unwrap_err();
    let [fault] = &faults[..] else { panic!("{faults:?}") };
    assert_eq!(fault.key(), "data.duplicates.near");
    let message = "2 documents of validation and test are nearly the same as one of an earlier split; for example test 3 and \
                   train 3 (.97)";
    assert_eq!(fault.to_string(), message);
}

#[test]
fn a_higher_threshold_finds_fewer() {
    let mut files = alike();
    files.spec.alike.near_threshold = 950;
    let (_, strict) = examined(&files.spec);
    assert_eq!(counts(&strict, Likeness::Near), [1, 1, 0, 0, 1], "38 of 39 n-grams");
    let shorter: String = text(7).chars().take(30).collect();
    let of_spec = |threshold| {
        let mut files = files_of_two(&text(7), &shorter);
        files.spec.alike.near_threshold = threshold;
        counts(&examined(&files.spec).1, Likeness::Near)[1]
    };
    // 28 of 38 n-grams are the same: .736.
    assert_eq!([of_spec(700), of_spec(740)], [1, 0]);
}

/// A text in train, another in test, and others that are like nothing.
fn files_of_two(train: &str, test: &str) -> Files {
    let [a, b, c, d] = [20, 21, 22, 23].map(text);
    files(&[(train, "1"), (&a, "2")], &[(&b, "3"), (&c, "4")], &[(test, "5"), (&d, "6")])
}

#[test]
fn a_group_in_two_files_is_a_leak() {
    let texts: Vec<String> = (0..6).map(text).collect();
    let mut files = files(
        &[(&texts[0], "p1"), (&texts[1], "p2")],
        &[(&texts[2], " p2 "), (&texts[3], "")],
        &[(&texts[4], "p1"), (&texts[5], "")],
    );
    files.spec.group = Some("group".to_owned());
    let (_, report) = examined(&files.spec);
    assert_eq!(counts(&report, Likeness::Group), [1, 1, 0, 0, 1]);
    assert!(report.unclean.contains(1) && report.unclean.len() == 1);
}

#[test]
fn a_file_that_we_divide_keeps_its_groups_together() {
    let folder = tempfile::tempdir().unwrap();
    let texts: Vec<String> = (0..60).map(text).collect();
    let groups: Vec<String> = (0..60).map(|row| format!("g{}", row / 5)).collect();
    let rows: Vec<(&str, &str)> =
        texts.iter().zip(&groups).map(|(text, group)| (text.as_str(), group.as_str())).collect();
    let path = file(folder.path(), "all.csv", &rows);
    let mut spec = samples::data_spec(Source::Single { path, split: crate::data::Shares::default() });
    spec.group = Some("group".to_owned());
    let (dataset, report) = examined(&spec);
    let groups = |split| {
        ids(&dataset, split).into_iter().map(|id| (id - 1) / 5).collect::<std::collections::BTreeSet<u32>>()
    };
    let [train, validation, test] = SplitName::ALL.map(groups);
    assert!(train.is_disjoint(&validation) && train.is_disjoint(&test) && validation.is_disjoint(&test));
    assert_eq!(counts(&report, Likeness::Group), [0; 5]);
}

#[test]
fn two_groups_are_too_few_for_three_splits() {
    let folder = tempfile::tempdir().unwrap();
    let texts: Vec<String> = (0..9).map(text).collect();
    let rows: Vec<(&str, &str)> =
        texts.iter().enumerate().map(|(at, text)| (text.as_str(), if at < 4 { "a" } else { "b" })).collect();
    let path = file(folder.path(), "all.csv", &rows);
    let mut spec = samples::data_spec(Source::Single { path, split: crate::data::Shares::default() });
    spec.group = Some("group".to_owned());
    let faults = examine(&spec).unwrap_err();
    assert_eq!(faults[0].to_string(), "column `group` has 2 different values, too few for three splits");
}

#[test]
fn texts_that_are_nearly_empty_are_counted_with_their_rows() {
    let [a, b, c] = [1, 2, 3].map(text);
    let files = files(&[(&a, "1"), ("好", "2")], &[(&b, "3"), ("。。。", "4")], &[(&c, "5"), ("ok!", "6")]);
    let (_, report) = examined(&files.spec);
    let NearEmpty { train, validation, test, examples } = report.near_empty;
    assert_eq!([train, validation, test], [1, 1, 1]);
    assert_eq!(examples[1].to_string(), "validation 2");
}

#[test]
fn a_limit_that_takes_the_like_document_away_makes_test_clean() {
    let mut files = alike();
    files.spec.limit.train = Some(2);
    let (dataset, report) = examined(&files.spec);
    let left: Vec<bool> =
        [2_u32, 3].iter().map(|row| dataset.train.iter().any(|document| document.id == *row)).collect();
    let unclean: Vec<bool> = [2, 3].iter().map(|row| report.unclean.contains(*row)).collect();
    assert_eq!(unclean, left);
}

#[test]
fn the_report_is_the_same_each_time() {
    let files = alike();
    assert_eq!(examined(&files.spec).1, examined(&files.spec).1);
}
