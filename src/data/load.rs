//! Loads a data set: reads the files, numbers the labels, makes the splits and handles duplicates.
//!
//! The files are read twice. The first time shows which documents the splits have; the second time gives their
//! digests. Their texts never stay in memory: a file may be larger than it.

use super::{
    dataset::{Dataset, Document, Leaks},
    dialect::Dialects,
    digest::folds_digest,
    duplicates::{self, Leaking},
    error::{DataError, DataFile},
    folding::{self, Folded, Together},
    gate::{Gate, Ground},
    grouping, labels,
    leak_report::LeakReport,
    near::NearTexts,
    read,
    read::FileReading,
    reviews,
    row::{Row, TextDigest, normal},
    second_reading::{ReadFiles, read_again},
    spec::{DataSpec, Duplicates, Shares, Source, SplitName},
    split::{self, Splits},
    split_faults::{is_certain, split_faults},
    texts::{files, texts_of_split},
};
use crate::{metrics::Target, system::machine};

/// The part of the free memory that rows may take.
const MEMORY_SHARE: u64 = 2;

/// Loads the data that `spec` names.
///
/// The same spec and files give the same documents in the same order on every machine.
///
/// # Errors
/// The first fault that [`examine`] finds.
pub fn load(spec: &DataSpec) -> Result<Dataset, DataError> {
    // `examine` never fails without a fault.
    documents(spec, Wanted::Documents).map_err(|mut faults| faults.swap_remove(0))
}

/// What the data is loaded for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// Its documents.
    Documents,
    /// Its documents, and which of them are alike.
    Report,
}

/// Loads the data that `spec` names with a report of what is alike in it, and on failure lists every independent fault.
///
/// # Errors
/// At least one fault: those of each file, up to a bound, and those of the data as a whole, as far as the
/// rows that can be read show them.
pub fn examine(spec: &DataSpec) -> Result<Dataset, Vec<DataError>> {
    documents(spec, Wanted::Report)
}

fn documents(spec: &DataSpec, wanted: Wanted) -> Result<Dataset, Vec<DataError>> {
    if let Source::Reviews { split } = &spec.source {
        let (labels, splits) = generated(*split, spec.seed);
        let dialects = &Dialects::default();
        let ground = Ground { spec, files: &[], dialects, groups: &[], train_rows: 0 };
        let chosen = choose(&labels, splits, ground, wanted);
        let read = ReadFiles { spec, files: &[], readings: &[], train_rows: 0 };
        return finish(read, labels, chosen, Findings::default());
    }
    let (files, shares) = files(&spec.source);
    let memory = machine::memory_available().map_or(u64::MAX, |bytes| bytes / MEMORY_SHARE);
    let mut readings: Vec<FileReading> = files.iter().map(|file| read::read(file, spec, memory)).collect();
    let mut notes = taken(&files, &readings);
    let faults = file_faults(&mut readings);
    if is_incomplete(&readings, &faults) {
        return Err(faults);
    }
    let mut written: Vec<_> = readings.iter_mut().map(|reading| &mut reading.labels).collect();
    notes.extend(labels::unify_numbers(&mut written));
    let documents = readings.iter().map(|reading| reading.rows.len()).sum();
    let labels = match labels::labels(readings.iter().flat_map(|reading| &reading.labels), documents) {
        Ok(labels) => labels,
        Err(fault) => return Err(with(faults, fault)),
    };
    notes.extend(labels::notes(&labels));
    let rows: Vec<Vec<Row>> = readings.iter_mut().map(|reading| numbered(reading, &labels)).collect();
    let dialects = Dialects(readings.iter().map(|reading| reading.quotes).collect());
    let groups: Vec<Vec<u64>> =
        readings.iter_mut().map(|reading| std::mem::take(&mut reading.groups)).collect();
    let in_train = rows.first().filter(|_| shares.is_none()).map_or(0, Vec::len);
    let train_rows = u32::try_from(in_train).unwrap_or(u32::MAX);
    let ground = Ground { spec, files: &files, dialects: &dialects, groups: &groups, train_rows };
    let chosen = divided(rows, shares, &ground, &mut notes);
    let chosen = chosen.and_then(|splits| choose(&labels, splits, ground, wanted));
    let read = ReadFiles { spec, files: &files, readings: &readings, train_rows };
    finish(read, labels, chosen, Findings { faults, notes })
}

/// What was found while the files were read.
#[derive(Default)]
struct Findings {
    faults: Vec<DataError>,
    notes: Vec<String>,
}

/// The data set of the documents that were chosen, after the files were read a second time.
fn finish(
    read: ReadFiles<'_>,
    labels: Vec<String>,
    chosen: Result<Chosen, Vec<DataError>>,
    Findings { mut faults, mut notes }: Findings,
) -> Result<Dataset, Vec<DataError>> {
    let nothing: [&[Document]; 3] = [&[]; 3];
    let documents = chosen.as_ref().map_or(nothing, |chosen| chosen.splits.each_ref().map(Vec::as_slice));
    let again = match read_again(read, &labels, documents) {
        Ok(again) => again,
        Err(fault) => return Err(with(faults, fault)),
    };
    faults.extend(again.faults);
    notes.extend(again.notes);
    match chosen {
        Ok(chosen) if faults.is_empty() => Ok(chosen.dataset(labels, notes, again.digests)),
        Ok(_) => Err(faults),
        Err(mut others) => {
            let mut has_gaps: Vec<bool> =
                read.readings.iter().map(|reading| reading.faulty_rows > 0).collect();
            if read.spec.folds.is_some() {
                let has_gap = has_gaps.contains(&true);
                has_gaps.fill(has_gap);
            }
            others.retain(|fault| is_certain(fault, &has_gaps));
            Err(faults.into_iter().chain(others).collect())
        }
    }
}

fn with(mut faults: Vec<DataError>, fault: DataError) -> Vec<DataError> {
    faults.push(fault);
    faults
}

/// The labels and the splits of `builtin:reviews`.
fn generated(shares: Shares, seed: u64) -> (Vec<String>, Splits) {
    let labels: Vec<String> = reviews::LABELS.iter().map(|label| (*label).to_owned()).collect();
    let reviews = reviews::generate(seed, reviews::DOCUMENTS);
    let row = |review: &reviews::GeneratedReview| Row {
        id: review.id,
        label: review.label,
        text: TextDigest::of(&review.text),
    };
    let splits = split::stratified(reviews.iter().map(row).collect(), labels.len(), shares, seed);
    (labels, splits)
}

/// The documents of three files, or those of one file, divided by `shares`. What a reader must know of that is added to
/// `notes`.
fn divided(
    mut documents: Vec<Vec<Row>>,
    shares: Option<Shares>,
    ground: &Ground<'_>,
    notes: &mut Vec<String>,
) -> Result<Splits, Vec<DataError>> {
    let mut next = || if documents.is_empty() { Vec::new() } else { documents.remove(0) };
    let Some(shares) = shares else {
        let train = next();
        let has_validation = matches!(ground.spec.source, Source::Files { validation: Some(_), .. });
        let validation = if has_validation { next() } else { Vec::new() };
        return Ok(Splits { train, validation, test: next() });
    };
    let (documents, seed) = (next(), ground.spec.seed);
    let classes = documents.iter().map(|row| row.label as usize + 1).max().unwrap_or(0);
    let Some((column, groups)) = ground.spec.group.as_ref().zip(ground.groups.first()) else {
        return Ok(split::stratified(documents, classes, shares, seed));
    };
    let count = grouping::groups_of(&documents, groups);
    if count < SplitName::ALL.len() {
        return Err(vec![DataError::FewGroups { column: column.clone(), groups: count }]);
    }
    let splits = grouping::grouped(documents, groups, classes, (shares, seed));
    notes.extend(grouping::note(&splits, shares, column));
    Ok(splits)
}

/// How files were read where the endings of their names do not say it.
fn taken(files: &[DataFile], readings: &[FileReading]) -> Vec<String> {
    let of_file = |(file, reading): (&DataFile, &FileReading)| {
        let name = file.path.file_name().unwrap_or(file.path.as_os_str()).display().to_string();
        reading.taken.iter().map(move |taken| format!("{name} {taken}")).collect::<Vec<_>>()
    };
    files.iter().zip(readings).flat_map(of_file).collect()
}

/// The faults of every file; a column that several files lack is reported once.
fn file_faults(readings: &mut [FileReading]) -> Vec<DataError> {
    let mut faults: Vec<DataError> = Vec::new();
    for reading in readings {
        for fault in std::mem::take(&mut reading.faults) {
            if !faults.iter().any(|other| is_same_column(other, &fault)) {
                faults.push(fault);
            }
        }
    }
    faults
}

/// Whether too little could be read to judge the classes: a whole file is missing, or every fourth row.
fn is_incomplete(readings: &[FileReading], faults: &[DataError]) -> bool {
    let is_of_rows = |fault: &DataError| match fault {
        DataError::Row { fault, .. } => !fault.ends_reading(),
        DataError::MoreRows { .. } => true,
        _ => false,
    };
    let rows: usize = readings.iter().map(|reading| reading.rows.len()).sum();
    let unread: usize = readings.iter().map(|reading| reading.faulty_rows).sum();
    !faults.iter().all(is_of_rows) || unread * 4 > rows
}

fn is_same_column(one: &DataError, other: &DataError) -> bool {
    match (one, other) {
        (DataError::Column { key, missing, .. }, DataError::Column { key: key2, missing: missing2, .. }) => {
            key == key2 && missing == missing2
        }
        _ => false,
    }
}

/// The rows, their labels as indices into `labels`.
fn numbered(reading: &mut FileReading, labels: &[String]) -> Vec<Row> {
    let index = labels::indices(labels);
    let classes: Vec<u32> =
        reading.labels.iter().map(|label| index.get(label.text.as_str()).copied().unwrap_or(0)).collect();
    let mut rows = std::mem::take(&mut reading.rows);
    for row in &mut rows {
        row.label = classes.get(row.label as usize).copied().unwrap_or(0);
    }
    rows
}

/// The documents that a data set has.
struct Chosen {
    splits: [Vec<Document>; 3],
    folds: Vec<u32>,
    target: Target,
    leaks: Leaks,
    report: Option<LeakReport>,
    dialects: Dialects,
    /// What a reader must know about the folds.
    note: Option<String>,
}

impl Chosen {
    /// The data set, with the names of its classes, what a reader must know, and the digests of its splits.
    fn dataset(self, labels: Vec<String>, mut notes: Vec<String>, mut digests: [String; 3]) -> Dataset {
        let Self { splits: [train, validation, test], folds, target, leaks, report, dialects, note } = self;
        if !folds.is_empty() {
            digests[SplitName::Validation as usize] = folds_digest(&folds);
        }
        notes.extend(note);
        Dataset { labels, target, train, validation, test, folds, leaks, report, notes, digests, dialects }
    }
}

/// The documents of `splits`, after duplicates were handled, limits applied and the result checked.
fn choose(
    labels: &[String],
    mut splits: Splits,
    ground: Ground<'_>,
    wanted: Wanted,
) -> Result<Chosen, Vec<DataError>> {
    let (spec, dialects) = (ground.spec, ground.dialects);
    let target = labels::target(labels, spec);
    let is_wanted = wanted == Wanted::Report || spec.alike.decides();
    let gate = is_wanted.then(|| Gate::open(ground, &splits)).transpose();
    let mut gate = gate.map_err(|fault| vec![fault])?;
    let (mut leaks, example) = duplicates::find_and_drop(&mut splits, spec.duplicates, ground.is_folded());
    let mut faults = Vec::new();
    if let (Duplicates::Error, Some(example)) = (spec.duplicates, example) {
        faults.push(DataError::Leaks { leaks, example: shown(example, spec, dialects) });
    }
    if let Some(gate) = &mut gate {
        faults.extend(gate.faults());
        gate.drop_alike(&mut splits, &mut leaks);
    }
    faults.extend(split_faults(labels, &splits, spec, leaks));
    match target {
        Ok(target) if faults.is_empty() => {
            split::limit(&mut splits, labels.len(), spec);
            let folded = folded(&splits, labels, ground, gate.as_ref())?;
            if let (Some(folded), Some(gate)) = (&folded, &mut gate) {
                gate.count_across_folds(&folded.members);
            }
            let report = gate.map(|gate| gate.close(&splits));
            let document = |&Row { id, label, .. }: &Row| Document { id, label };
            let mut documents = SplitName::ALL.map(|name| splits.of(name).iter().map(document).collect());
            let (mut folds, mut note) = (Vec::new(), None);
            if let Some(folded) = folded {
                let [train, validation, _] = &mut documents;
                (*train, *validation) = (folded.documents(ground.train_rows), Vec::new());
                (folds, note) = (folded.folds(), folded.note());
                (leaks.bundled, leaks.across_folds) = (folded.bundled, folded.texts_across_folds());
            }
            Ok(Chosen { splits: documents, folds, target, leaks, report, dialects: dialects.clone(), note })
        }
        Ok(_) => Err(faults),
        Err(fault) => Err(std::iter::once(fault).chain(faults).collect()),
    }
}

/// The documents of train and validation, divided into folds if `ground` asks for it.
fn folded(
    splits: &Splits,
    labels: &[String],
    ground: Ground<'_>,
    gate: Option<&Gate<'_>>,
) -> Result<Option<Folded>, Vec<DataError>> {
    let Some(folds) = ground.spec.folds else { return Ok(None) };
    let nothing = NearTexts::default();
    let facts = |split: SplitName, row: &Row| match gate {
        Some(gate) => gate.facts(split, row),
        None => ground.facts(&[], split, row),
    };
    let near = gate.map_or(&nothing, Gate::near);
    let together = Together { spec: ground.spec, facts: &facts, near };
    folding::fold(splits, folds, labels, &together).map(Some)
}

/// The first 30 characters of an example's text, with `…` if there are more.
fn shown(example: Leaking, spec: &DataSpec, dialects: &Dialects) -> String {
    const SHOWN: usize = 30;
    let document = Document { id: example.id, label: 0 };
    let text = texts_of_split(spec, dialects, example.split, std::iter::once(document)).ok();
    let (_, text) = text.and_then(|mut texts| texts.next()?.ok()).unwrap_or((document, String::new()));
    let text = normal(&text);
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or(&text)),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{
        metrics::{Average, Target},
        samples,
    };

    fn spec(folder: &Path, files: [(&str, &str); 3]) -> DataSpec {
        let [train, validation, test] = files.map(|(name, content)| {
            let path = folder.join(name);
            std::fs::write(&path, content).unwrap();
            path
        });
        samples::data_spec(Source::Files { train, validation: Some(validation), test })
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
        let ids: Vec<u32> = dataset.train.iter().map(|document| document.id).collect();
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
