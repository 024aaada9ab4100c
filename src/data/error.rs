//! The faults of data: each with its file, its line, the key of the spec that names the file or column, and
//! advice.

use std::{io, path::PathBuf};

use thiserror::Error;

use super::{dataset::Leaks, spec::SplitName};
use crate::{display::shorten, metrics::Average};

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
    #[error("there is no file {file}")]
    Missing { file: DataFile },
    /// The system refused to read it.
    #[error("could not read {file}")]
    Read { file: DataFile, source: io::Error },
    /// The file's ending belongs to no known format.
    #[error("the ending of {file} does not say how to read it")]
    Ending { file: DataFile },
    /// A byte that is not UTF-8.
    #[error("{file}, line {line}: byte {byte:#04x} is not UTF-8")]
    NotUtf8 { file: DataFile, line: u64, byte: u8 },
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
    #[error("{file}, line {line}: {fault}")]
    Row { file: DataFile, line: u64, fault: Box<RowFault> },
    /// All labels are the same.
    #[error("every document has the label `{label}`; a classifier needs at least two classes")]
    OneClass { label: String },
    /// Nearly every document has its own label.
    #[error("{classes} different labels in {documents} documents; is this the column of the labels?")]
    TooManyClasses { classes: usize, documents: usize },
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
    /// A byte that is not UTF-8.
    #[error("line {line}: byte {byte:#04x} is not UTF-8")]
    NotUtf8 { line: u64, byte: u8 },
    /// Nothing but blank lines.
    #[error("there is no header")]
    NoHeader,
    /// The header lacks a column; `key` is the key of a spec that names the column.
    #[error("there is no column `{}`; there are {}", missing.column, list(&missing.found))]
    Column { key: &'static str, missing: Box<MissingColumn> },
    /// The header has a column twice.
    #[error("there is more than one column `{column}`")]
    RepeatedColumn { key: &'static str, column: String },
    /// A row that cannot be read.
    #[error("line {line}: {fault}")]
    Row { line: u64, fault: Box<RowFault> },
}

/// The fault of a row.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the fields are named by the messages")]
pub enum RowFault {
    /// Too few or too many fields.
    #[error("{found} fields, but the header has {expected}")]
    Fields { found: u64, expected: u64 },
    /// A quote that is never closed.
    #[error("a quote is opened here and never closed")]
    OpenQuote,
    /// Not JSON.
    #[error("not readable as JSON: {}", json_note(.0))]
    Json(serde_json::Error),
    /// JSON, but no object.
    #[error("{0} instead of a JSON object")]
    NotObject(&'static str),
    /// The object lacks a key.
    #[error("the object has no `{column}`; it has {}", list(found))]
    NoKey { key: &'static str, column: String, found: Vec<String> },
    /// The text is not a JSON string.
    #[error("`{column}` must be a text, not {found}")]
    NotText { key: &'static str, column: String, found: &'static str },
    /// The label is neither a JSON string nor a number.
    #[error("`{column}` must be a text or a number, not {found}")]
    NotLabel { key: &'static str, column: String, found: &'static str },
    /// The text is empty or white space.
    #[error("the text is empty")]
    EmptyText,
    /// The label is empty or white space.
    #[error("the label is empty")]
    EmptyLabel,
    /// The label is too long for the name of a class.
    #[error("the label has {0} bytes, more than a class's name")]
    LongLabel(usize),
}

impl DataError {
    /// The key of the spec at fault, such as `data.text`.
    #[must_use]
    pub fn key(&self) -> &'static str {
        match self {
            Self::Missing { file }
            | Self::Read { file, .. }
            | Self::Ending { file }
            | Self::NotUtf8 { file, .. }
            | Self::NoRows { file } => file.key,
            Self::Row { file, fault, .. } => match &**fault {
                RowFault::NoKey { key, .. }
                | RowFault::NotText { key, .. }
                | RowFault::NotLabel { key, .. } => key,
                RowFault::Fields { .. }
                | RowFault::OpenQuote
                | RowFault::Json(_)
                | RowFault::NotObject(_)
                | RowFault::EmptyText
                | RowFault::EmptyLabel
                | RowFault::LongLabel(_) => file.key,
            },
            Self::Column { key, .. }
            | Self::RepeatedColumn { key, .. }
            | Self::ClassNotInTrain { key, .. }
            | Self::EmptySplit { key, .. } => key,
            Self::OneClass { .. } | Self::TooManyClasses { .. } => "data.label",
            Self::Positive { .. } => "data.positive",
            Self::Average { .. } => "data.average",
            Self::Limit { split, .. } => match split {
                SplitName::Train => "data.limit.train",
                SplitName::Validation => "data.limit.validation",
                SplitName::Test => "data.limit.test",
            },
            Self::Leaks { .. } => "data.duplicates",
        }
    }

    /// Advice for the user.
    #[must_use]
    pub fn help(&self) -> String {
        match self {
            Self::Missing { file } if file.path.is_dir() => "this is a folder; name a file in it".to_owned(),
            Self::Missing { .. } => {
                "paths in a spec are relative to the spec's file, paths given by --set to the working folder"
                    .to_owned()
            }
            Self::Read { .. } => "check the file's permissions".to_owned(),
            Self::Ending { .. } => "known endings: .csv, .tsv, .jsonl, .ndjson".to_owned(),
            Self::NotUtf8 { byte, .. } => not_utf8_help(*byte),
            Self::NoRows { .. } => "give it a header and at least one row for each class".to_owned(),
            Self::Column { key, missing, .. } => column_help(key, missing),
            Self::RepeatedColumn { .. } => "rename one of them in the file".to_owned(),
            Self::Row { fault, .. } => fault.help(),
            Self::OneClass { .. } => "check that `label` names the column of the classes".to_owned(),
            Self::TooManyClasses { .. } => "set `label` to the column of the classes".to_owned(),
            Self::ClassNotInTrain { .. } => {
                "add training documents of this class, or correct the label".to_owned()
            }
            Self::Positive { nearest: Some(nearest), .. } => format!("did you mean \"{nearest}\"?"),
            Self::Positive { .. } => "set `positive` to one of them, or leave it out".to_owned(),
            Self::Average { .. } => {
                "remove it; `positive` in [data] chooses the class whose F1 counts".to_owned()
            }
            Self::EmptySplit { dropped: 1.., .. } => {
                "give it texts of its own; duplicates = \"keep\" would flatter every number".to_owned()
            }
            Self::EmptySplit { .. } => "give every split at least one document of each class".to_owned(),
            Self::Limit { classes, .. } => format!("raise it to {classes} or more, or leave it out"),
            Self::Leaks { .. } => {
                "duplicates = \"drop\" drops them from train (and from validation what stands in test)"
                    .to_owned()
            }
        }
    }
}

impl TableError {
    /// The error for the row that starts on `line`.
    pub(super) fn row(line: u64, fault: RowFault) -> Self {
        Self::Row { line, fault: Box::new(fault) }
    }

    /// This error for `file`, which a spec names.
    pub(super) fn in_file(self, file: &DataFile) -> DataError {
        let file = file.clone();
        match self {
            Self::Read { source, .. } => DataError::Read { file, source },
            Self::NotUtf8 { line, byte } => DataError::NotUtf8 { file, line, byte },
            Self::NoHeader => DataError::NoRows { file },
            Self::Column { key, missing } => DataError::Column { file, key, missing },
            Self::RepeatedColumn { key, column } => DataError::RepeatedColumn { file, key, column },
            Self::Row { line, fault } => DataError::Row { file, line, fault },
        }
    }
}

impl RowFault {
    /// Advice for the user, when a spec names the file.
    pub(crate) fn help(&self) -> String {
        let help = match self {
            Self::Fields { .. } => {
                "quote fields with a comma or line break in them (.csv); a .tsv takes no tab within a text"
            }
            Self::OpenQuote => "close it, or write a quote that belongs to the text twice: \"\"",
            Self::Json(_) | Self::NotObject(_) => {
                "each line of JSON Lines is one object, such as {\"text\": \"…\", \"label\": \"…\"}"
            }
            Self::NoKey { .. } => "add it to this line, or set `text` and `label` to the keys that are there",
            Self::NotText { .. } | Self::NotLabel { .. } => {
                "correct this line, or name another key in [data]"
            }
            Self::EmptyText | Self::EmptyLabel => "fill it in, or delete the line",
            Self::LongLabel(_) => "name the column of the labels in [data]: label = \"…\"",
        };
        help.to_owned()
    }
}

fn column_help(key: &str, missing: &MissingColumn) -> String {
    let name = key.rsplit('.').next().unwrap_or(key);
    match (missing.found.as_slice(), &missing.nearest) {
        (_, Some(nearest)) => format!("did you mean `{name} = \"{nearest}\"`?"),
        ([only], None) if only.contains(['\t', ';', ',', '|']) => {
            "the columns seem to be separated otherwise: .csv means commas, .tsv means tabs".to_owned()
        }
        _ => format!("set `{name}` in [data] to one of them"),
    }
}

/// Advice for a file in which `byte` is not UTF-8.
pub(crate) fn not_utf8_help(byte: u8) -> String {
    if matches!(byte, 0xfe | 0xff) {
        "this looks like UTF-16; save the file as UTF-8".to_owned()
    } else {
        "save the file as UTF-8, for example with: iconv -f GB18030 -t UTF-8".to_owned()
    }
}

/// Up to 12 of `names` in backquotes, and the number of the others.
fn list(names: &[String]) -> String {
    const SHOWN: usize = 12;
    const COLUMNS: usize = 60;
    let shown = names.iter().take(SHOWN);
    let mut text: Vec<String> = shown.map(|name| format!("`{}`", shorten(name, COLUMNS))).collect();
    if names.len() > SHOWN {
        text.push(format!("{} more", names.len() - SHOWN));
    }
    text.join(", ")
}

/// The message of a JSON error without its line number: each row is parsed by itself, so that the number
/// is always 1.
fn json_note(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let (what, _) = text.split_once(" at line ").unwrap_or((&text, ""));
    format!("{what}, at column {}", error.column())
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
