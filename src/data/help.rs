//! What to do about the faults of data.

use std::{io, path::Path};

use super::{
    error::{DataError, EncodingGuess, MissingColumn},
    row_fault::list,
};
use crate::system::files::named;

impl DataError {
    /// Advice for the user.
    #[must_use]
    pub fn help(&self) -> String {
        match self {
            Self::Missing { file } if named::is_folder(&file.path) => folder_help(&file.path),
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
                format!("fill it in, or name another column: {} = \"…\" in [data]", last(key))
            }
            Self::Memory { .. } => {
                "about 80 bytes are needed for each row, whatever its text: take a part of the rows, or a machine with \
                 more memory"
                    .to_owned()
            }
            Self::Changed { .. } => "let the program that writes it end, and run the same command again".to_owned(),
            Self::NoRows { .. } => "give it a header and at least one row for each class".to_owned(),
            Self::Column { key, missing, .. } => column_help(key, missing),
            Self::RepeatedColumn { .. } => "rename one of them in the file".to_owned(),
            Self::Row { fault, .. } => fault.help(),
            Self::Positive { nearest: Some(nearest), .. } => format!("did you mean \"{nearest}\"?"),
            Self::Limit { classes, .. } => format!("raise it to {classes} or more, or leave it out"),
            other => other.help_of_splits().unwrap_or_else(|| other.help_of_classes()).to_owned(),
        }
    }

    /// Advice about splits and folds; `None` if the fault is not theirs.
    const fn help_of_splits(&self) -> Option<&'static str> {
        Some(match self {
            Self::EmptySplit { dropped: 1.., .. } => {
                "give it texts of its own; duplicates = \"keep\" would flatter every number"
            }
            Self::EmptySplit { .. } => "give every split at least one document of each class",
            Self::Alike { .. } => {
                "\"drop\" in its place drops those of the earlier split, \"keep\" counts them and shows F1 without them"
            }
            Self::FewGroups { .. } => "name a column with more values, or give three files",
            Self::Leaks { .. } => {
                "duplicates = \"drop\" drops them from train (and from validation what stands in test)"
            }
            Self::FewToFold { .. } => "lower `folds`, or give more documents",
            Self::ClassInOneFold { .. } => "add documents of this class, or remove those that it has",
            _ => return None,
        })
    }

    /// Advice about the classes; empty if the fault is not theirs.
    const fn help_of_classes(&self) -> &'static str {
        match self {
            Self::OneClass { .. } => "check that `label` names the column of the classes",
            Self::TooManyClasses { .. } => {
                "set `label` to the column of the classes; each needs several documents"
            }
            Self::Regression { .. } => {
                "make a few classes of them, such as low, middle and high, or set `label` to another column"
            }
            Self::ClassNotInTrain { .. } => "add training documents of this class, or correct the label",
            Self::Positive { .. } => "set `positive` to one of them, or leave it out",
            Self::Average { .. } => "remove it; `positive` in [data] chooses the class whose F1 counts",
            Self::Missing { .. }
            | Self::Read { .. }
            | Self::Ending { .. }
            | Self::Unreadable { .. }
            | Self::Damaged { .. }
            | Self::NotUtf8 { .. }
            | Self::NoRows { .. }
            | Self::Column { .. }
            | Self::RepeatedColumn { .. }
            | Self::Row { .. }
            | Self::MoreRows { .. }
            | Self::Memory { .. }
            | Self::Changed { .. }
            | Self::EmptyColumn { .. }
            | Self::EmptySplit { .. }
            | Self::Alike { .. }
            | Self::FewGroups { .. }
            | Self::Leaks { .. }
            | Self::FewToFold { .. }
            | Self::ClassInOneFold { .. }
            | Self::Limit { .. } => "",
        }
    }
}

/// The last part of a key: `text` of `data.text`.
fn last(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

fn column_help(key: &str, missing: &MissingColumn) -> String {
    let name = last(key);
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
    let names =
        named::names(folder).unwrap_or_default().into_iter().filter_map(|name| name.into_string().ok());
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
        "save the file as UTF-8, for example with: iconv -f ENCODING -t UTF-8, where ENCODING is that of the file, such as \
         GB18030, BIG5, SHIFT_JIS or LATIN1".to_owned()
    }
}
