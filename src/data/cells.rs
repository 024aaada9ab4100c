//! What reading a table gives: rows, each with a text and perhaps a label, both checked.

use super::{
    error::TableError,
    row_fault::{RowFault, RowPlace},
};

/// Bytes of a label. Labels are shown in tables, pictures and messages, where a longer one has no room.
const LABEL_BYTES_MAX: usize = 500;
/// Bytes of a field or a line: more than any text, so that a file of another kind does not fill the memory.
pub(super) const FIELD_BYTES_MAX: usize = 16 << 20;
/// Bytes of a whole row, the columns that are not read included.
pub(super) const ROW_BYTES_MAX: usize = 64 << 20;
/// Columns of a row.
pub(super) const COLUMNS_MAX: usize = 1 << 20;
/// Bytes of a text: more than those of a long novel, all of *War and Peace* in English (3.2 MB) included. To cut a text into
/// tokens takes some 200 bytes of memory for each of its bytes.
pub(crate) const TEXT_BYTES_MAX: usize = 4 << 20;

/// The keys of a spec that name columns.
pub(super) const TEXT_KEY: &str = "data.text";
pub(super) const LABEL_KEY: &str = "data.label";
pub(super) const GROUP_KEY: &str = "data.group";

/// The names of the columns to read from a table.
#[derive(Clone, Debug)]
pub(crate) struct Columns {
    pub(crate) text: String,
    /// `None` when no label is read.
    pub(crate) label: Option<String>,
    /// `None` when no group is read.
    pub(crate) group: Option<String>,
}

/// The values of the columns that are read from a row; text and label are not empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cells {
    /// Where the row stands.
    pub(crate) at: RowPlace,
    pub(crate) text: String,
    /// Without surrounding white space; empty if no label is read.
    pub(crate) label: String,
    /// Without surrounding white space; empty if the row has no group, or none is read.
    pub(crate) group: String,
    /// Whether the file says that the label is a number; CSV cannot say it.
    pub(crate) is_number: bool,
}

impl Cells {
    /// The cells of a row, checked; `label` is `None` if no label is read.
    pub(super) fn new(at: RowPlace, text: String, label: Option<&str>) -> Result<Self, RowFault> {
        let label = label.map(str::trim);
        if text.trim().is_empty() {
            Err(RowFault::EmptyText)
        } else if label.is_some_and(str::is_empty) {
            Err(RowFault::EmptyLabel)
        } else if text.contains('\0') || label.is_some_and(|label| label.contains('\0')) {
            Err(RowFault::Nul)
        } else if text.len() > FIELD_BYTES_MAX {
            Err(RowFault::LongField)
        } else if text.len() > TEXT_BYTES_MAX {
            Err(RowFault::LongText(text.len()))
        } else if let Some(long) = label.map(str::len).filter(|&bytes| bytes > LABEL_BYTES_MAX) {
            Err(RowFault::LongLabel(long))
        } else {
            let label = label.unwrap_or_default().to_owned();
            Ok(Self { at, text, label, group: String::new(), is_number: false })
        }
    }

    /// The same cells in the group that is called so.
    pub(super) fn of_group(self, group: &str) -> Self {
        Self { group: group.trim().to_owned(), ..self }
    }
}

/// The rows of a table, read when they are asked for. An error that is not [`RowFault`]'s ends them.
pub(crate) type Rows<'a> = Box<dyn Iterator<Item = Result<Cells, TableError>> + 'a>;

/// A table whose header was read.
pub(crate) struct Table<'a> {
    pub(crate) rows: Rows<'a>,
    /// How the table is read where the ending of its name does not say it, for the user: `is read as …`.
    pub(crate) taken: Vec<String>,
    /// How its rows are written; `None` if rows are not delimited text.
    pub(super) shape: Option<Shape>,
}

/// How the rows of delimited text are written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) separator: char,
    pub(super) fields: usize,
    /// The place of the text among the fields.
    pub(super) text: usize,
    /// The place of the label.
    pub(super) label: usize,
}

impl Shape {
    /// The lines of `text`, without its last one, that are written as rows with a label are.
    ///
    /// A quote that opens by mistake makes one field of all lines up to the next quote.
    pub(super) fn rows_within(&self, text: &str, is_label: impl Fn(&str) -> bool) -> usize {
        let lines: Vec<&str> = text.lines().collect();
        let Some((_, lines)) = lines.split_last() else { return 0 };
        let is_row = |(index, line): (usize, &&str)| {
            // The first line begins within the row, at the text.
            let skipped = if index == 0 { self.text } else { 0 };
            let fields: Vec<&str> = line.split(self.separator).collect();
            let label = self.label.checked_sub(skipped).and_then(|at| fields.get(at));
            fields.len() + skipped == self.fields
                && label.is_some_and(|label| is_label(label.trim().trim_matches('"')))
        };
        lines.iter().enumerate().filter(|line| is_row(*line)).count()
    }
}
