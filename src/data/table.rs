//! Reads tables one row at a time: CSV, TSV, JSON, plain lines, Excel workbooks and Parquet.
//!
//! CSV follows RFC 4180. In TSV a quote is a character like any other, since texts are full of quotes;
//! a text in TSV holds neither tab nor line break. A byte order mark and CRLF line ends are accepted in
//! every text; bytes that are not UTF-8 are refused unless the encoding is named or certain.

use std::{
    io::{self, BufRead, BufReader, Cursor, Read},
    path::Path,
};

use encoding_rs::Encoding;

use super::{
    cells::{Cells, FIELD_BYTES_MAX, Rows, Table},
    delimited,
    dialect::{Dialect, Quotes},
    error::{TableError, Unreadable},
    json,
    open::{self, Contents, Opened},
    parquet, records,
    row_fault::{RowFault, RowPlace},
    workbook,
};
use crate::system::files::named;

pub(crate) use super::{cells::Columns, help::not_utf8_help};

/// The format of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableFormat {
    /// A text on each line, and nothing else.
    Lines,
    /// RFC 4180, with a header.
    Csv,
    /// Columns separated by tabs, with a header.
    Tsv,
    /// An object on each line, or a list of objects.
    Json,
    /// An Excel workbook.
    Workbook,
    /// A Parquet file.
    Parquet,
}

impl TableFormat {
    /// The format that the ending of `path` stands for, such as `.csv` or `.jsonl.gz`.
    #[must_use]
    pub fn of_ending(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        let name = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(&name);
        let (_, ending) = name.rsplit_once('.')?;
        match ending {
            "csv" => Some(Self::Csv),
            "tsv" => Some(Self::Tsv),
            "jsonl" | "ndjson" | "json" => Some(Self::Json),
            "xlsx" | "xlsm" => Some(Self::Workbook),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }
}

/// How a file is read.
pub(crate) struct Request {
    /// `None` if nothing says it; a workbook is still recognised.
    pub(crate) format: Option<TableFormat>,
    pub(crate) columns: Columns,
    /// The encoding of a text; UTF-8 or UTF-16 if there is none.
    pub(crate) encoding: Option<&'static Encoding>,
    /// How a quote within a field is written; obeyed where quotes have a meaning.
    pub(super) quotes: Quotes,
}

impl Request {
    /// A request for a file as programs usually write it.
    pub(crate) fn new(format: Option<TableFormat>, columns: Columns) -> Self {
        Self { format, columns, encoding: None, quotes: Quotes::Doubled }
    }
}

/// Opens the file at `path`; the first value is `None` if nothing says what its format is.
///
/// # Errors
/// When the file cannot be read, or its header lacks a column.
pub(crate) fn open(path: &Path, request: &Request) -> Result<Option<Table<'static>>, TableError> {
    let file = named::open_stream(path).map_err(TableError::start)?;
    let input: Box<dyn BufRead> = Box::new(BufReader::with_capacity(1 << 16, file));
    let Opened { contents, mut taken } = open::open(input, request.encoding)?;
    let table = match contents {
        Contents::Workbook => workbook::table(path, &request.columns)?,
        Contents::Parquet => parquet::table(path, &request.columns)?,
        Contents::Text(input) => {
            let Some(format) = request.format else { return Ok(None) };
            text(input, format, request.quotes, request.columns.clone())?
        }
    };
    taken.extend(table.taken);
    Ok(Some(Table { taken, ..table }))
}

/// The rows of a table that is read from a stream, one at a time.
///
/// # Errors
/// When the header cannot be read or lacks a column.
pub(crate) fn rows<'a>(
    input: Box<dyn BufRead + 'a>,
    format: TableFormat,
    columns: Columns,
) -> Result<Rows<'a>, TableError> {
    let Opened { contents, .. } = open::open(input, None)?;
    let in_stream = |what: &str| {
        let what = format!("is {what}, which is read from a file only");
        TableError::Unreadable(Unreadable { what, help: "name the file with --input".to_owned() })
    };
    match contents {
        Contents::Workbook => Err(in_stream("an Excel workbook")),
        Contents::Parquet => Err(in_stream("a Parquet file")),
        Contents::Text(input) => Ok(text(input, format, Quotes::Doubled, columns)?.rows),
    }
}

/// The rows of a text.
fn text<'a>(
    mut input: Box<dyn BufRead + 'a>,
    format: TableFormat,
    quotes: Quotes,
    columns: Columns,
) -> Result<Table<'a>, TableError> {
    let only = |rows: Rows<'a>| Table { rows, taken: Vec::new(), shape: None };
    let is_text = |what: &str, help: &str| {
        let what = format!("is called {what}, but holds text");
        TableError::Unreadable(Unreadable { what, help: help.to_owned() })
    };
    let is_list = format == TableFormat::Json && json::is_list(input.fill_buf().map_err(TableError::start)?);
    let input = without_mark(input).map_err(TableError::start)?;
    match format {
        TableFormat::Lines => Ok(only(Box::new(lines(input).map(|line| {
            let (line, text) = line?;
            Cells::new(RowPlace::Line(line), text, None).map_err(|fault| TableError::row(line, fault))
        })))),
        TableFormat::Csv => delimited::table(input, Dialect { separator: b',', quotes }, &columns),
        TableFormat::Tsv => {
            delimited::table(input, Dialect { separator: b'\t', quotes: Quotes::Literal }, &columns)
        }
        TableFormat::Json if is_list => json::list(input, columns).map(only),
        TableFormat::Json => Ok(only(json::lines(lines(input), columns))),
        TableFormat::Workbook => Err(is_text("an Excel workbook", "if it is CSV, name it .csv")),
        TableFormat::Parquet => {
            Err(is_text("a Parquet file", "name it by what it is, such as .csv or .jsonl"))
        }
    }
}

/// `input` without its byte order mark, if it has one.
fn without_mark<R: BufRead>(mut input: R) -> io::Result<io::Chain<Cursor<Vec<u8>>, R>> {
    let mut start = Vec::new();
    // Byte by byte: a pipe may hold a single byte so far, and a read of three would wait for more.
    for expected in *b"\xef\xbb\xbf" {
        let byte = input.by_ref().bytes().next().transpose()?;
        start.extend(byte);
        if byte != Some(expected) {
            return Ok(Cursor::new(start).chain(input));
        }
    }
    Ok(Cursor::new(Vec::new()).chain(input))
}

/// The lines of `input` without their line ends, numbered from 1.
fn lines(mut input: impl BufRead) -> impl Iterator<Item = Result<(u64, String), TableError>> {
    let mut is_over = false;
    (1..).map_while(move |line| {
        if is_over {
            return None;
        }
        let mut bytes = Vec::new();
        let read = input.by_ref().take(FIELD_BYTES_MAX as u64 + 1).read_until(b'\n', &mut bytes);
        let result = match read {
            Ok(0) => return None,
            Ok(read) if read > FIELD_BYTES_MAX => Err(TableError::row(line, RowFault::LongField)),
            Ok(_) => {
                for end in *b"\n\r" {
                    if bytes.last() == Some(&end) {
                        bytes.pop();
                    }
                }
                records::text(bytes, line).map(|text| (line, text))
            }
            Err(source) => Err(TableError::Read { line, source }),
        };
        is_over = result.is_err();
        Some(result)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The texts of a table of which no label is read.
    fn texts(format: TableFormat, content: &str) -> Result<Vec<String>, TableError> {
        let columns = Columns { text: "text".to_owned(), label: None, group: None };
        rows(Box::new(content.as_bytes()), format, columns)?.map(|cells| Ok(cells?.text)).collect()
    }

    #[test]
    fn without_a_label_a_table_needs_the_column_of_texts_alone() {
        assert_eq!(texts(TableFormat::Csv, "a,text\n1,好\n").unwrap(), ["好"]);
        assert_eq!(texts(TableFormat::Tsv, "text\tb\n\"好\t\n").unwrap(), ["\"好"]);
        assert_eq!(texts(TableFormat::Json, "\u{feff}{\"text\":\"好\"}\r\n\n").unwrap(), ["好"]);
        assert_eq!(texts(TableFormat::Lines, "\u{feff}好, \"a\"\r\n b ").unwrap(), ["好, \"a\"", " b "]);
        assert_eq!(texts(TableFormat::Lines, "\u{fffd}").unwrap(), ["\u{fffd}"]);
        assert!(texts(TableFormat::Lines, "").unwrap().is_empty());
    }

    #[test]
    fn an_empty_line_is_a_fault_where_each_line_is_a_text() {
        let error = texts(TableFormat::Lines, "a\n\nb\n").unwrap_err();
        assert_eq!(error.to_string(), "line 2: the text is empty");
    }
}
