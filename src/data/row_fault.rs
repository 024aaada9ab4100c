//! The fault of a row, where the row stands, and what to do about it.

use thiserror::Error;

use crate::display::shorten;

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

/// `1 field`, or `3 fields`.
fn fields(count: u64) -> String {
    if count == 1 { "1 field".to_owned() } else { format!("{count} fields") }
}

/// The fault of a row.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the fields are named by the messages")]
pub enum RowFault {
    /// Too few or too many fields.
    #[error("{}, but the header has {expected}", fields(*found))]
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
    /// A row above the bounds.
    #[error("it is longer than 64 MiB, or has more than 1,048,576 columns")]
    LongRow,
    /// A text above the bound.
    #[error("the text has {0} bytes, more than 4 MiB")]
    LongText(usize),
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

impl RowFault {
    /// The key of the spec at fault; `None` if it is the one that names the file.
    pub(super) fn key(&self) -> Option<&'static str> {
        match self {
            Self::NoKey { key, .. } | Self::NotText { key, .. } | Self::NotLabel { key, .. } => Some(key),
            Self::Fields { .. }
            | Self::OpenQuote
            | Self::AfterQuote { .. }
            | Self::Melted { .. }
            | Self::Nul
            | Self::LongField
            | Self::LongRow
            | Self::Formula
            | Self::OpenList
            | Self::Json(_)
            | Self::NotObject(_)
            | Self::EmptyText
            | Self::EmptyLabel
            | Self::LongText(_)
            | Self::LongLabel(_) => None,
        }
    }

    /// Whether nothing behind the row can be read for certain.
    pub(super) const fn ends_reading(&self) -> bool {
        match self {
            Self::OpenQuote
            | Self::AfterQuote { line: Some(_) }
            | Self::OpenList
            | Self::LongField
            | Self::LongRow => true,
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
            | Self::LongText(_)
            | Self::LongLabel(_) => false,
        }
    }

    /// Whether it is of quotes that may be written otherwise than RFC 4180 has them.
    pub(super) const fn is_of_quotes(&self) -> bool {
        matches!(self, Self::OpenQuote | Self::AfterQuote { .. } | Self::Fields { .. })
    }

    /// Advice for the user, when a spec names the file.
    pub(crate) fn help(&self) -> String {
        if let Self::NoKey { key, nested: Some(nested), .. } = self {
            return format!("did you mean `{} = \"{nested}\"`?", key.rsplit('.').next().unwrap_or(key));
        }
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
            Self::LongRow => "is the file a table with a text and a label in each row?",
            Self::Formula => "correct the formula, or delete the row",
            Self::OpenList => "the file was cut; copy or write it again",
            Self::Json(_) | Self::NotObject(_) => {
                "a row is one object, such as {\"text\": \"…\", \"label\": \"…\"}: each on a line of its own \
                 (.jsonl), or all in one list (.json); pandas writes them with to_json(path, orient=\"records\")"
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
            Self::LongText(_) => "cut it, or leave the row out; is it a text of its own?",
            Self::LongLabel(_) => "name the column of the labels in [data]: label = \"…\"",
        };
        help.to_owned()
    }
}

/// Up to 12 of `names` in backquotes, and the number of the others.
pub(super) fn list(names: &[String]) -> String {
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

fn after_quote_note(line: Option<u64>) -> String {
    match line {
        None => "a field".to_owned(),
        Some(line) => format!("the field that begins here; it is closed on line {line}"),
    }
}
