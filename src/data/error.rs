//! The faults of data: each with its file, its line, the key of the spec that names the file or column, and
//! advice.

use std::{
    io,
    path::{Path, PathBuf},
};

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

/// Where a row stands in its file, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowPlace {
    /// The line of a text on which the row starts.
    Line(u64),
    /// The row of a sheet or a table without lines.
    Row(u64),
}

impl std::fmt::Display for RowPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Row(row) => write!(f, "row {row}"),
        }
    }
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
    /// Text behind a closing quote.
    #[error("text follows behind the quote that closes {}", after_quote_note(*line))]
    AfterQuote {
        /// The line of the text, if the quote is opened on an earlier one.
        line: Option<u64>,
    },
    /// A field in quotes that holds rows.
    #[error("the text in quotes that begins here holds {rows} lines that are written as rows are")]
    Melted { rows: usize },
    /// A NUL character.
    #[error("there is a NUL character in it")]
    Nul,
    /// A field or a line above the bound.
    #[error("it is longer than 16 MiB")]
    LongField,
    /// A cell with the error of a formula.
    #[error("a cell has the error of a formula in it")]
    Formula,
    /// A list of objects that is never closed.
    #[error("the list is not closed by `]`")]
    OpenList,
    /// Not JSON.
    #[error("not readable as JSON: {}", json_note(.0))]
    Json(serde_json::Error),
    /// JSON, but no object.
    #[error("{0} instead of a JSON object")]
    NotObject(&'static str),
    /// The object lacks a key.
    #[error("the object has no `{column}`; it has {}", list(found))]
    NoKey {
        key: &'static str,
        column: String,
        found: Vec<String>,
        /// The name by which a nested object has it.
        nested: Option<String>,
    },
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
            | Self::Unreadable { file, .. }
            | Self::Damaged { file, .. }
            | Self::NotUtf8 { file, .. }
            | Self::MoreRows { file, .. }
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
        }
    }

    /// Advice for the user.
    #[must_use]
    pub fn help(&self) -> String {
        match self {
            Self::Missing { file } if file.path.is_dir() => folder_help(&file.path),
            Self::Missing { .. } => {
                "paths in a spec are relative to the spec's file, paths given by --set to the working folder"
                    .to_owned()
            }
            Self::Read { source, .. } => read_help(source).to_owned(),
            Self::Ending { .. } => {
                "known endings: .csv, .tsv, .jsonl, .ndjson, .json, .xlsx, .parquet; and .gz or .zst behind them"
                    .to_owned()
            }
            Self::Unreadable { unreadable, .. } => unreadable.help.clone(),
            Self::Damaged { .. } => "copy or write the file again".to_owned(),
            Self::NotUtf8 { byte, guess, .. } => encoding_help(*byte, guess.as_deref()),
            Self::MoreRows { .. } => "correct those that are listed first".to_owned(),
            Self::EmptyColumn { key, .. } => {
                let name = key.rsplit('.').next().unwrap_or(key);
                format!("fill it in, or name another column: {name} = \"…\" in [data]")
            }
            Self::NoRows { .. } => "give it a header and at least one row for each class".to_owned(),
            Self::Column { key, missing, .. } => column_help(key, missing),
            Self::RepeatedColumn { .. } => "rename one of them in the file".to_owned(),
            Self::Row { fault, .. } => fault.help(),
            Self::OneClass { .. } => "check that `label` names the column of the classes".to_owned(),
            Self::TooManyClasses { .. } => {
                "set `label` to the column of the classes; each needs several documents".to_owned()
            }
            Self::Regression { .. } => {
                "make a few classes of them, such as low, middle and high, or set `label` to another column".to_owned()
            }
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

impl RowFault {
    /// The key of the spec at fault; `None` if it is the one that names the file.
    fn key(&self) -> Option<&'static str> {
        match self {
            Self::NoKey { key, .. } | Self::NotText { key, .. } | Self::NotLabel { key, .. } => Some(key),
            Self::Fields { .. }
            | Self::OpenQuote
            | Self::AfterQuote { .. }
            | Self::Melted { .. }
            | Self::Nul
            | Self::LongField
            | Self::Formula
            | Self::OpenList
            | Self::Json(_)
            | Self::NotObject(_)
            | Self::EmptyText
            | Self::EmptyLabel
            | Self::LongLabel(_) => None,
        }
    }

    /// Whether nothing behind the row can be read for certain.
    pub(super) const fn ends_reading(&self) -> bool {
        match self {
            Self::OpenQuote | Self::AfterQuote { line: Some(_) } | Self::OpenList | Self::LongField => true,
            Self::Fields { .. }
            | Self::AfterQuote { line: None }
            | Self::Melted { .. }
            | Self::Nul
            | Self::Formula
            | Self::Json(_)
            | Self::NotObject(_)
            | Self::NoKey { .. }
            | Self::NotText { .. }
            | Self::NotLabel { .. }
            | Self::EmptyText
            | Self::EmptyLabel
            | Self::LongLabel(_) => false,
        }
    }

    /// Whether it is of quotes that may be written otherwise than RFC 4180 has them.
    pub(super) const fn is_of_quotes(&self) -> bool {
        matches!(self, Self::OpenQuote | Self::AfterQuote { .. } | Self::Fields { .. })
    }

    /// Advice for the user, when a spec names the file.
    pub(crate) fn help(&self) -> String {
        let help = match self {
            Self::Fields { .. } => {
                "quote fields with a comma or line break in them (.csv); a .tsv takes no tab within a text"
            }
            Self::OpenQuote => "close it, or write a quote that belongs to the text twice: \"\"",
            Self::AfterQuote { .. } => {
                "put the whole field in quotes, and write each quote that belongs to the text twice: \"\""
            }
            Self::Melted { .. } => {
                "a quote is missing or too much; write a quote that belongs to the text twice: \"\""
            }
            Self::Nul => "the file is damaged, or no text in UTF-8; write it again",
            Self::LongField => "is a quote opened here that is never closed, or is the file no text?",
            Self::Formula => "correct the formula, or delete the row",
            Self::OpenList => "the file was cut; copy or write it again",
            Self::Json(_) | Self::NotObject(_) => {
                "a row is one object, such as {\"text\": \"…\", \"label\": \"…\"}: each on a line of its own \
                 (.jsonl), or all in one list (.json); pandas writes them with to_json(path, orient=\"records\")"
            }
            Self::NoKey { key, nested: Some(nested), .. } => {
                let name = key.rsplit('.').next().unwrap_or(key);
                return format!("did you mean `{name} = \"{nested}\"`?");
            }
            Self::NoKey { .. } => "add it to this line, or set `text` and `label` to the keys that are there",
            Self::NotLabel { found: "a list", .. } => {
                "a text has one class here: write the class itself, not a list of classes"
            }
            Self::NotLabel { found: "null", .. } | Self::NotText { found: "null", .. } => {
                "fill it in, or delete the row"
            }
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
        ([only], None) if only.starts_with(['{', '[']) => {
            "this looks like JSON: name the file .jsonl (an object on each line) or .json (a list)".to_owned()
        }
        ([only], None) if only.contains(['\t', ';', ',', '|']) => {
            "the columns seem to be separated otherwise: .csv means commas, .tsv means tabs".to_owned()
        }
        _ => format!("set `{name}` in [data] to one of them; the first line of a file must name its columns"),
    }
}

/// Advice for a folder in the place of a file: the data files in it.
fn folder_help(folder: &Path) -> String {
    const SHOWN: usize = 5;
    let known = [".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".xlsx", ".parquet", ".gz", ".zst"];
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| known.iter().any(|end| name.ends_with(end))).collect();
    names.sort_unstable();
    names.truncate(SHOWN);
    if names.is_empty() {
        "name a file in it".to_owned()
    } else {
        format!("name a file in it, such as {}", list(&names))
    }
}

/// Advice for a file that cannot be read to its end.
fn read_help(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "check the file's permissions",
        io::ErrorKind::FileTooLarge => "divide it into train, validation and test files, or take fewer rows",
        _ => "if it can be opened at all, the file is damaged or was not copied whole; write it again",
    }
}

/// Advice for a file in which `byte` is not UTF-8, and which is probably in another encoding.
fn encoding_help(byte: u8, guess: Option<&EncodingGuess>) -> String {
    let Some(EncodingGuess { encoding, line }) = guess else { return not_utf8_help(byte) };
    format!(
        "as {encoding} this line is “{line}”; if that is right, write encoding = \"{encoding}\" in [data], or save \
         the file as UTF-8"
    )
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

fn missing_note(file: &DataFile) -> String {
    if file.path.is_dir() { format!("{file} is a folder") } else { format!("there is no file {file}") }
}

fn after_quote_note(line: Option<u64>) -> String {
    match line {
        None => "a field".to_owned(),
        Some(line) => format!("the field that begins here; it is closed on line {line}"),
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
