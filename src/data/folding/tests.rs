//! How documents are divided into folds: by themselves, and those of files.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    path::Path,
};

use proptest::prelude::*;

use super::*;
use crate::{
    data::{Alike, Dataset, Limit, Shares, examine, load, texts},
    samples,
};

/// The folds of documents of these classes, where those with the same number belong together.
fn folds_of(classes: &[u32], together: &[usize], class_count: usize, folds: u32, seed: u64) -> Vec<u32> {
    let mut bundles = Bundles::of(classes.len());
    bundles.unite_equal(together.iter().map(|number| Some(*number)));
    divided(classes, bundles.listed(), class_count, (folds, seed))
}

/// Each document by itself.
fn alone(documents: usize) -> Vec<usize> {
    (0..documents).collect()
}

/// By fold, then by class: the documents.
fn counts(classes: &[u32], found: &[u32], class_count: usize, folds: u32) -> Vec<Vec<usize>> {
    let mut counts = vec![vec![0; class_count]; folds as usize];
    for (class, fold) in classes.iter().zip(found) {
        counts[*fold as usize - 1][*class as usize] += 1;
    }
    counts
}

proptest! {
    #[test]
    fn without_bundles_folds_are_stratified_within_one_document(
        classes in prop::collection::vec(0_u32..5, 20..300), folds in 2_u32..=20, seed: u64,
    ) {
        let found = folds_of(&classes, &alone(classes.len()), 5, folds, seed);
        let counts = counts(&classes, &found, 5, folds);
        for class in 0..5 {
            let of_class = counts.iter().map(|fold| fold[class]);
            prop_assert!(of_class.clone().max().unwrap() - of_class.min().unwrap() <= 1);
        }
        let sizes = counts.iter().map(|fold| fold.iter().sum::<usize>());
        prop_assert!(sizes.clone().max().unwrap() - sizes.min().unwrap() <= 1);
    }

    #[test]
    fn what_belongs_together_is_in_one_fold_and_no_fold_is_empty(
        rows in prop::collection::vec((0_u32..3, 0_usize..40), 1..300), folds in 2_u32..=20, seed: u64,
    ) {
        let (classes, together): (Vec<u32>, Vec<usize>) = rows.into_iter().unzip();
        let bundles: HashSet<usize> = together.iter().copied().collect();
        prop_assume!(bundles.len() >= folds as usize);
        let found = folds_of(&classes, &together, 3, folds, seed);
        let pairs: HashSet<(usize, u32)> = together.iter().copied().zip(found.iter().copied()).collect();
        prop_assert_eq!(pairs.len(), bundles.len());
        prop_assert_eq!(found.iter().collect::<HashSet<_>>().len(), folds as usize);
    }

    #[test]
    fn the_same_seed_gives_the_same_folds(
        rows in prop::collection::vec((0_u32..3, 0_usize..60), 30..200), seed: u64,
    ) {
        let (classes, together): (Vec<u32>, Vec<usize>) = rows.into_iter().unzip();
        prop_assert_eq!(
            folds_of(&classes, &together, 3, 5, seed),
            folds_of(&classes, &together, 3, 5, seed)
        );
    }
}

#[test]
fn another_seed_gives_other_folds() {
    let classes: Vec<u32> = (0..100).map(|at| at % 2).collect();
    let folds = |seed| folds_of(&classes, &alone(100), 2, 5, seed);
    assert_ne!(folds(1), folds(2));
}

#[test]
fn small_bundles_fill_folds_evenly() {
    let classes: Vec<u32> = (0..1000).map(|at| u32::from(at % 5 == 0)).collect();
    let together: Vec<usize> = (0..1000).map(|at| at / 4).collect();
    let counts = counts(&classes, &folds_of(&classes, &together, 2, 5, 1), 2, 5);
    for [negative, positive] in counts.into_iter().map(|fold| [fold[0], fold[1]]) {
        assert!(negative.abs_diff(160) <= 4 && positive.abs_diff(40) <= 4, "{negative} and {positive}");
    }
}

/// A long text that is one of its own for each number.
fn text(number: u32) -> String {
    (0..40).filter_map(|at| char::from_u32(0x4e00 + number * 97 + at)).collect()
}

fn write(folder: &Path, name: &str, rows: impl Iterator<Item = (String, u32, String)>) -> std::path::PathBuf {
    let path = folder.join(name);
    let rows: Vec<String> =
        rows.map(|(text, label, group)| format!("\"{text}\",{label},{group}\n")).collect();
    std::fs::write(&path, format!("text,label,group\n{}", rows.concat())).unwrap();
    path
}

/// Documents with these numbers, of two classes, each of a group of its own.
fn numbered(numbers: std::ops::Range<u32>) -> impl Iterator<Item = (String, u32, String)> {
    numbers.map(|number| (text(number), number % 2, format!("g{number}")))
}

struct Data {
    folder: tempfile::TempDir,
    spec: DataSpec,
}

/// One file of 100 documents, folded.
fn single() -> Data {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "a.csv", numbered(0..100));
    let spec = samples::data_spec(Source::Single { path, split: Shares::default() });
    Data { folder, spec: DataSpec { folds: Some(5), ..spec } }
}

/// Three files of 60, 20 and 20 documents, folded.
fn three() -> Data {
    let folder = tempfile::tempdir().unwrap();
    let source = Source::Files {
        train: write(folder.path(), "train.csv", numbered(0..60)),
        validation: Some(write(folder.path(), "dev.csv", numbered(60..80))),
        test: write(folder.path(), "test.csv", numbered(80..100)),
    };
    Data { spec: DataSpec { folds: Some(4), ..samples::data_spec(source) }, folder }
}

fn ids(documents: &[Document]) -> Vec<u32> {
    documents.iter().map(|document| document.id).collect()
}

fn read(spec: &DataSpec, dataset: &Dataset) -> Vec<String> {
    let all = texts(spec, &dataset.dialects, SplitName::Train, dataset.train.iter().copied()).unwrap();
    all.map(|found| found.unwrap().1).collect()
}

#[test]
fn the_test_set_is_the_one_without_folds_and_the_rest_is_folded() {
    let Data { spec, folder: _folder } = single();
    let (folded, plain) = (load(&spec).unwrap(), load(&DataSpec { folds: None, ..spec }).unwrap());
    assert_eq!(folded.test, plain.test);
    assert_eq!(folded.digests[2], plain.digests[2]);
    let mut rest = [ids(&plain.train), ids(&plain.validation)].concat();
    rest.sort_unstable();
    assert_eq!((ids(&folded.train), folded.validation.len()), (rest, 0));
    assert_eq!(folded.folds.iter().collect::<BTreeSet<_>>().len(), 5);
}

#[test]
fn the_built_in_reviews_are_folded_too() {
    let spec = samples::data_spec(Source::Reviews { split: Shares::default() });
    let folded = load(&DataSpec { folds: Some(5), ..spec.clone() }).unwrap();
    let plain = load(&spec).unwrap();
    assert_eq!(folded.test, plain.test);
    let sizes = folded.counts().folds.iter().map(|fold| fold.iter().sum::<usize>()).collect::<Vec<_>>();
    assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 2, "{sizes:?}");
}

#[test]
fn rows_of_a_validation_file_count_on_behind_those_of_the_training_file() {
    let Data { spec, folder: _folder } = three();
    let dataset = load(&spec).unwrap();
    assert_eq!(ids(&dataset.train), (1..=80).collect::<Vec<_>>());
    assert_eq!(read(&spec, &dataset), (0..80).map(text).collect::<Vec<_>>());
    assert_eq!(ids(&dataset.test), (1..=20).collect::<Vec<_>>());
}

#[test]
fn a_validation_file_is_not_needed() {
    let Data { mut spec, folder: _folder } = three();
    let with = load(&spec).unwrap();
    let Source::Files { validation, .. } = &mut spec.source else { unreachable!() };
    *validation = None;
    let without = load(&spec).unwrap();
    assert_eq!((without.train.len(), without.test), (60, with.test));
    assert_eq!(read(&spec, &load(&spec).unwrap()), (0..60).map(text).collect::<Vec<_>>());
}

#[test]
fn documents_and_folds_have_digests() {
    let Data { spec, folder } = three();
    let before = load(&spec).unwrap().digests;
    let other_seed = load(&DataSpec { seed: 9, ..spec.clone() }).unwrap().digests;
    assert_eq!((&before[0], &before[2]), (&other_seed[0], &other_seed[2]));
    assert_ne!(before[1], other_seed[1], "other folds of the same documents");
    write(folder.path(), "dev.csv", numbered(61..81));
    let after = load(&spec).unwrap().digests;
    assert_ne!(before[0], after[0]);
    assert_eq!(before[2], after[2]);
}

#[test]
fn a_group_is_in_one_fold() {
    let Data { mut spec, folder } = single();
    write(
        folder.path(),
        "a.csv",
        (0..100).map(|number| (text(number), number % 2, format!("g{}", number / 4))),
    );
    spec.group = Some("group".to_owned());
    let dataset = load(&spec).unwrap();
    let groups: BTreeSet<(u32, u32)> = dataset
        .train
        .iter()
        .zip(&dataset.folds)
        .map(|(document, fold)| ((document.id - 1) / 4, *fold))
        .collect();
    assert_eq!(groups.len(), dataset.train.len() / 4);
    assert_eq!(dataset.leaks.bundled, dataset.train.len());
}

/// Train has 40 documents of which the first eight come twice, the second time in this form.
fn doubled(form: impl Fn(&str) -> String) -> Data {
    let folder = tempfile::tempdir().unwrap();
    let second = (0..8).map(|number| (form(&text(number)), number % 2, "x".to_owned()));
    let source = Source::Files {
        train: write(folder.path(), "train.csv", numbered(0..40).chain(second)),
        validation: None,
        test: write(folder.path(), "test.csv", numbered(80..90)),
    };
    Data { spec: DataSpec { folds: Some(6), ..samples::data_spec(source) }, folder }
}

/// How many of the eight documents are in another fold than their second forms.
fn parted(dataset: &Dataset) -> usize {
    (0..8).filter(|at| dataset.folds[*at] != dataset.folds[40 + at]).count()
}

#[test]
fn copies_are_in_one_fold_unless_they_are_to_be_kept() {
    let Data { spec, folder: _folder } = doubled(ToOwned::to_owned);
    for policy in [Duplicates::Drop, Duplicates::Error] {
        let dataset = load(&DataSpec { duplicates: policy, ..spec.clone() }).unwrap();
        assert_eq!((parted(&dataset), dataset.leaks.bundled, dataset.leaks.across_folds), (0, 16, 0));
        assert_eq!(dataset.train.len(), 48, "none is dropped");
    }
    let kept = load(&DataSpec { duplicates: Duplicates::Keep, ..spec }).unwrap();
    assert!(parted(&kept) > 0);
    assert_eq!((kept.leaks.across_folds, kept.leaks.bundled), (2 * parted(&kept), 0));
}

#[test]
fn documents_that_are_alike_are_in_one_fold_where_such_are_dropped_and_are_counted_where_they_are_kept() {
    let near = |text: &str| format!("{text}真");
    let form = |text: &str| format!("{text}！");
    let policies = [
        (doubled(form), Alike { normalised: Duplicates::Drop, ..Alike::default() }, 1),
        (doubled(near), Alike { near: Some(Duplicates::Drop), ..Alike::default() }, 2),
    ];
    for (Data { spec, folder: _folder }, dropped, kind) in policies {
        let together = examine(&DataSpec { alike: dropped, ..spec.clone() }).unwrap();
        assert_eq!((parted(&together), together.leaks.bundled), (0, 16));
        assert_eq!(together.report.as_ref().unwrap().alike[kind].across_folds, Some(0));
        // A worker, which makes no report, has the same folds.
        assert_eq!(load(&DataSpec { alike: dropped, ..spec.clone() }).unwrap().folds, together.folds);
        let kept = examine(&spec).unwrap();
        let across = kept.report.as_ref().unwrap().alike[kind].across_folds;
        assert!(parted(&kept) > 0);
        assert_eq!(across, Some(2 * parted(&kept)), "kind {kind}");
        assert_eq!(load(&spec).unwrap().folds, kept.folds);
    }
}

#[test]
fn a_table_of_what_is_alike_counts_what_stands_in_other_folds() {
    let Data { spec, folder: _folder } = doubled(|text| format!("{text}真"));
    let report = examine(&spec).unwrap().report.unwrap();
    let table = report.table();
    assert_eq!(table[0][1..4], ["test in the rest", "in another fold", "they are"]);
    let across = report.alike[2].across_folds.unwrap();
    assert_eq!(table[3][1..4], ["0".to_owned(), across.to_string(), "kept".to_owned()]);
    assert_eq!(report.alike[2].examples.len(), across / 2, "each pair once");
}

#[test]
fn what_is_folded_loses_what_stands_in_test_alone() {
    let Data { spec, folder } = three();
    // The first row of validation stands in train too, the second one in test.
    let rows = [0, 80].into_iter().chain(62..80);
    write(folder.path(), "dev.csv", rows.map(|number| (text(number), number % 2, String::new())));
    let dataset = load(&spec).unwrap();
    assert_eq!((dataset.train.len(), dataset.leaks.dropped()), (79, [0, 1, 0]));
    let fold = |id: u32| dataset.folds[dataset.train.iter().position(|document| document.id == id).unwrap()];
    assert_eq!(fold(1), fold(61));
}

#[test]
fn limits_hold_for_the_parts_that_are_folded() {
    let Data { mut spec, folder: _folder } = three();
    spec.limit = Limit { train: Some(20), validation: Some(10), test: Some(6) };
    let dataset = load(&spec).unwrap();
    assert_eq!((dataset.train.len(), dataset.folds.len(), dataset.test.len()), (30, 30, 6));
    let plain = load(&DataSpec { folds: None, ..spec }).unwrap();
    assert_eq!(plain.test, dataset.test);
}

#[test]
fn more_folds_than_documents_that_can_be_parted_are_refused() {
    let Data { mut spec, folder } = single();
    let row = |number: u32| (text(number), number % 2, format!("g{}", number % 9));
    write(folder.path(), "a.csv", (0..100).map(row));
    (spec.group, spec.folds) = (Some("group".to_owned()), Some(9));
    let faults = examine(&spec).unwrap_err();
    assert!(matches!(faults[..], [DataError::FewToFold { folds: 9, .. }]), "{faults:?}");
    assert_eq!(faults[0].key(), "data.folds");
}

#[test]
fn a_class_that_only_one_fold_would_have_is_refused() {
    let Data { spec, folder } = three();
    let rows = numbered(0..60).chain([(text(200), 7, String::new())]);
    write(folder.path(), "train.csv", rows);
    let faults = examine(&spec).unwrap_err();
    assert!(
        matches!(&faults[..], [DataError::ClassInOneFold { label, documents: 1 }] if label == "7"),
        "{faults:?}"
    );
}

#[test]
fn a_class_with_fewer_documents_than_folds_is_warned_of() {
    let Data { spec, folder } = three();
    let rows = numbered(0..60).chain([200, 201].map(|number| (text(number), 7, String::new())));
    write(folder.path(), "train.csv", rows);
    let dataset = load(&spec).unwrap();
    let warnings = dataset.counts().warnings(&dataset.labels, dataset.target);
    assert!(
        warnings.iter().any(|it| it.starts_with("2 of 4 folds have no document of class `7`")),
        "{warnings:?}"
    );
}

#[test]
fn bundles_that_are_too_large_for_equal_folds_are_said() {
    let Data { mut spec, folder } = single();
    let group = |number: u32| if number < 50 { "g".to_owned() } else { format!("g{number}") };
    write(folder.path(), "a.csv", (0..100).map(|number| (text(number), number % 2, group(number))));
    spec.group = Some("group".to_owned());
    let dataset = load(&spec).unwrap();
    let mut sizes = BTreeMap::new();
    dataset.folds.iter().for_each(|fold| *sizes.entry(fold).or_insert(0) += 1);
    let (least, most) = (sizes.values().min().unwrap(), sizes.values().max().unwrap());
    assert_eq!(most, &50);
    let note = format!("folds have from {least} to {most} documents");
    assert!(dataset.notes.iter().any(|it| it.ends_with(&note)), "{:?}", dataset.notes);
}
