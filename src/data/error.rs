//! The faults of data: each with its file, its line, and the key of the spec that names the file or column.

use std::{io, path::PathBuf};

use thiserror::Error;

use super::{
    dataset::Leaks,
    leak_report::{Likeness, RowPair},
    row_fault::{RowFault, RowPlace, list},
    spec::SplitName,
};
use crate::{metrics::Average, system::files::named};

/// A file of the data set, and the key of the spec that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataFile {
    /// Where it is.
    pub path: PathBuf,
    /// `data.path`, `data.train`, `data.validation` or `data.test`.
    pub key: &'static str,
}

impl std::fmt::Display for DataFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.path.display())
    }
}

/// Why data cannot be used.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the fields are named by the messages")]
pub enum DataError {
    /// There is nothing at the path, or a folder.
    #[error("{}", missing_note(file))]
    Missing { file: DataFile },
    /// The system refused to read it.
    #[error("could not read {file}")]
    Read { file: DataFile, source: io::Error },
    /// The file's ending belongs to no known format.
    #[error("the ending of {file} does not say how to read it")]
    Ending { file: DataFile },
    /// It is known what the file is, and it is not read here.
    #[error("{file} {}", unreadable.what)]
    Unreadable { file: DataFile, unreadable: Unreadable },
    /// The file is not whole, or its contents contradict each other.
    #[error("{file} is no {what} that can be read")]
    Damaged { file: DataFile, what: &'static str, source: Box<dyn std::error::Error + Send + Sync> },
    /// A byte that is not UTF-8.
    #[error("{file}, line {line}: byte {byte:#04x} is not UTF-8")]
    NotUtf8 { file: DataFile, line: u64, byte: u8, guess: Option<Box<EncodingGuess>> },
    /// No header, or no row under it.
    #[error("{file} has no rows")]
    NoRows { file: DataFile },
    /// The header lacks a column.
    #[error("{file} has no column `{}`; it has {}", missing.column, list(&missing.found))]
    Column { file: DataFile, key: &'static str, missing: Box<MissingColumn> },
    /// The header has a column twice.
    #[error("{file} has more than one column `{column}`")]
    RepeatedColumn { file: DataFile, key: &'static str, column: String },
    /// A row that cannot be read.
    #[error("{file}, {at}: {fault}")]
    Row { file: DataFile, at: RowPlace, fault: Box<RowFault> },
    /// Rows with faults that are not listed one by one.
    #[error("{file}: {rows} more rows have faults")]
    MoreRows { file: DataFile, rows: usize },
    /// A column that is read, and has no value in any row.
    #[error("{file}: column `{column}` is empty in every row")]
    EmptyColumn { file: DataFile, key: &'static str, column: String },
    /// More rows than the memory holds.
    #[error("{file} has more than {rows} rows, and there is no memory for more: {} MB are free", bytes / 1_000_000)]
    Memory { file: DataFile, rows: usize, bytes: u64 },
    /// The file is not what it was when it was read first.
    #[error("{file} changed while it was read")]
    Changed { file: DataFile },
    /// All labels are the same.
    #[error("every document has the label `{label}`; a classifier needs at least two classes")]
    OneClass { label: String },
    /// Nearly every document has its own label.
    #[error(
        "{classes} different labels in {documents} documents, such as {}; is this the column of the labels?",
        list(examples)
    )]
    TooManyClasses { classes: usize, documents: usize, examples: Vec<String> },
    /// The labels are measurements rather than classes.
    #[error(
        "the labels are {classes} different numbers with fractions, such as {}; this program trains classifiers, and \
         knows no regression",
        list(examples)
    )]
    Regression { classes: usize, examples: Vec<String> },
    /// A class that training never shows.
    #[error("class `{label}` has no training document (validation: {validation}, test: {test})")]
    ClassNotInTrain { key: &'static str, label: String, validation: usize, test: usize },
    /// The positive label is not the label of any class.
    #[error("no document has the positive label `{positive}`; the labels are {}", list(labels))]
    Positive { positive: String, labels: Vec<String>, nearest: Option<String> },
    /// An average where there is a positive class.
    #[error("`average` is \"{}\", but with two classes F1 is that of the positive one, `{positive}`", average.as_str())]
    Average { average: Average, positive: String },
    /// A split without documents.
    #[error("the {split} set is empty{}", dropped_note(*dropped))]
    EmptySplit { key: &'static str, split: SplitName, dropped: usize },
    /// A limit that cannot hold every class.
    #[error("a limit of {limit} for {split} is below the number of classes, {classes}")]
    Limit { split: SplitName, limit: usize, classes: usize },
    /// Texts that stand in two splits, where the spec allows none.
    #[error("{}; for example “{example}”", leaks_note(leaks))]
    Leaks { leaks: Leaks, example: String },
    /// Texts of two splits that are alike, where the spec allows none.
    #[error("{}; for example {example}", alike_note(*likeness, *documents))]
    Alike { likeness: Likeness, documents: usize, example: RowPair },
    /// Fewer groups than splits.
    #[error("column `{column}` has {groups} different {}, too few for three splits", if *groups == 1 { "value" } else { "values" })]
    FewGroups { column: String, groups: usize },
    /// Fewer documents, or groups of documents that belong together, than folds.
    #[error("{} for {folds} folds", parts_note(*parts))]
    FewToFold { parts: usize, folds: u32 },
    /// A class that the trial of one fold would never be shown.
    #[error(
        "class `{label}` is in one fold only, with {documents} document{}, so that training without that fold never shows \
         it",
        if *documents == 1 { "" } else { "s that belong together" }
    )]
    ClassInOneFold { label: String, documents: usize },
}

/// What a file is that is not read here, as the rest of a sentence, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// For example `is packed with xz, which is not read here`.
    pub what: String,
    /// Advice for the user.
    pub help: String,
}

/// The encoding that a file probably has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodingGuess {
    /// Its name, as a spec writes it.
    pub encoding: String,
    /// The start of the line with the fault, when it is read so.
    pub line: String,
}

/// A column that a header lacks.
#[derive(Debug, PartialEq, Eq)]
pub struct MissingColumn {
    /// Its name.
    pub column: String,
    /// The columns that the header has.
    pub found: Vec<String>,
    /// The existing column that was probably meant.
    pub nearest: Option<String>,
}

/// Why a table cannot be read to its end.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the fields are named by the messages")]
pub enum TableError {
    /// The system refused to read it.
    #[error("line {line} could not be read")]
    Read { line: u64, source: io::Error },
    /// It is known what the data is, and it is not read here.
    #[error("it {}", .0.what)]
    Unreadable(Unreadable),
    /// The data is not whole, or contradicts itself.
    #[error("it is no {what} that can be read")]
    Damaged { what: &'static str, source: Box<dyn std::error::Error + Send + Sync> },
    /// A byte that is not UTF-8.
    #[error("line {line}: byte {byte:#04x} is not UTF-8")]
    NotUtf8 { line: u64, byte: u8 },
    /// Nothing but blank lines.
    #[error("there is no header")]
    NoHeader,
    /// The header lacks a column; `key` is the key of a spec that names the column.
    #[error("there is no column `{}`; there are {}", missing.column, list(&missing.found))]
    Column {
        key: &'static str,
        missing: Box<MissingColumn>,
        /// The other column, if the header lacks both.
        other: Option<(&'static str, Box<MissingColumn>)>,
    },
    /// The header has a column twice.
    #[error("there is more than one column `{column}`")]
    RepeatedColumn { key: &'static str, column: String },
    /// A row that cannot be read.
    #[error("{at}: {fault}")]
    Row { at: RowPlace, fault: Box<RowFault> },
}

impl DataError {
    /// The key of the spec at fault, such as `data.text`.
    #[must_use]
    pub fn key(&self) -> &'static str {
        match self {
            Self::Missing { file }
            | Self::Read { file, .. }
            | Self::Ending { file }
            | Self::Unreadable { file, .. }
            | Self::Damaged { file, .. }
            | Self::NotUtf8 { file, .. }
            | Self::MoreRows { file, .. }
            | Self::Memory { file, .. }
            | Self::Changed { file }
            | Self::NoRows { file } => file.key,
            Self::Row { file, fault, .. } => fault.key().unwrap_or(file.key),
            Self::Column { key, .. }
            | Self::EmptyColumn { key, .. }
            | Self::RepeatedColumn { key, .. }
            | Self::ClassNotInTrain { key, .. }
            | Self::EmptySplit { key, .. } => key,
            Self::OneClass { .. } | Self::TooManyClasses { .. } | Self::Regression { .. } => "data.label",
            Self::Positive { .. } => "data.positive",
            Self::Average { .. } => "data.average",
            Self::Limit { split, .. } => match split {
                SplitName::Train => "data.limit.train",
                SplitName::Validation => "data.limit.validation",
                SplitName::Test => "data.limit.test",
            },
            Self::Leaks { .. } => "data.duplicates",
            Self::Alike { likeness: Likeness::Near, .. } => "data.duplicates.near",
            Self::Alike { .. } => "data.duplicates.normalised",
            Self::FewGroups { .. } => "data.group",
            Self::FewToFold { .. } | Self::ClassInOneFold { .. } => "data.folds",
        }
    }
}

impl TableError {
    /// The error for the row that starts on `line`.
    pub(super) fn row(line: u64, fault: RowFault) -> Self {
        Self::at(RowPlace::Line(line), fault)
    }

    /// The error for the row at `at`.
    pub(super) fn at(at: RowPlace, fault: RowFault) -> Self {
        Self::Row { at, fault: Box::new(fault) }
    }

    /// The error for data that cannot be read at all.
    pub(super) fn start(source: io::Error) -> Self {
        Self::Read { line: 1, source }
    }

    /// Whether the rows behind it can be read, since it is the fault of one row alone.
    pub(super) fn is_of_one_row(&self) -> bool {
        match self {
            Self::Row { fault, .. } => !fault.ends_reading(),
            Self::Read { .. }
            | Self::Unreadable(_)
            | Self::Damaged { .. }
            | Self::NotUtf8 { .. }
            | Self::NoHeader
            | Self::Column { .. }
            | Self::RepeatedColumn { .. } => false,
        }
    }

    /// This error for `file`, which a spec names; two if both columns are missing.
    pub(super) fn in_file(self, file: &DataFile) -> Vec<DataError> {
        let file = file.clone();
        vec![match self {
            Self::Read { source, .. } => DataError::Read { file, source },
            Self::Unreadable(unreadable) => DataError::Unreadable { file, unreadable },
            Self::Damaged { what, source } => DataError::Damaged { file, what, source },
            Self::NotUtf8 { line, byte } => DataError::NotUtf8 { file, line, byte, guess: None },
            Self::NoHeader => DataError::NoRows { file },
            Self::Column { key, missing, other } => {
                let first = DataError::Column { file: file.clone(), key, missing };
                let other = other.map(|(key, missing)| DataError::Column { file, key, missing });
                return std::iter::once(first).chain(other).collect();
            }
            Self::RepeatedColumn { key, column } => DataError::RepeatedColumn { file, key, column },
            Self::Row { at, fault } => DataError::Row { file, at, fault },
        }]
    }
}

fn dropped_note(dropped: usize) -> String {
    match dropped {
        0 => String::new(),
        1 => " after its one document was dropped as a duplicate".to_owned(),
        more => format!(" after {more} documents were dropped as duplicates"),
    }
}

fn leaks_note(leaks: &Leaks) -> String {
    let counts = [
        (leaks.train_validation, "train", "validation"),
        (leaks.train_test, "train", "test"),
        (leaks.validation_test, "validation", "test"),
    ];
    let notes: Vec<String> = counts
        .iter()
        .filter(|(count, ..)| *count > 0)
        .map(|(count, from, to)| match count {
            1 => format!("1 text of {from} stands in {to} too"),
            _ => format!("{count} texts of {from} stand in {to} too"),
        })
        .collect();
    notes.join(", ")
}

fn alike_note(likeness: Likeness, documents: usize) -> String {
    let of = match documents {
        1 => "1 document of validation or test is".to_owned(),
        more => format!("{more} documents of validation and test are"),
    };
    match likeness {
        Likeness::Exact | Likeness::Normalised => {
            format!("{of} like one of an earlier split, but for case, width, punctuation and white space")
        }
        Likeness::Near => format!("{of} nearly the same as one of an earlier split"),
        Likeness::Group => format!("{of} of the same group as one of an earlier split"),
    }
}

fn parts_note(parts: usize) -> String {
    match parts {
        1 => "there is a single document, or group of documents that belong together, which is too few"
            .to_owned(),
        _ => format!(
            "there are {parts} documents, or groups of documents that belong together, which are too few"
        ),
    }
}

fn missing_note(file: &DataFile) -> String {
    if named::is_folder(&file.path) {
        format!("{file} is a folder")
    } else {
        format!("there is no file {file}")
    }
}
