//! Reads tables one row at a time: CSV, TSV, JSON Lines and plain lines.
//!
//! CSV follows RFC 4180. In TSV a quote is a character like any other, since texts are full of quotes;
//! a text in TSV holds neither tab nor line break. A byte order mark and CRLF line ends are accepted in
//! every format; bytes that are not UTF-8 are refused.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Cursor, Read},
    path::Path,
};

use serde_json::Value;

use super::{
    error::{DataError, DataFile, MissingColumn, RowFault, TableError},
    records::{self, Delimiter, Records},
    spec::DataSpec,
};
use crate::nearest::nearest;

pub(crate) use super::error::not_utf8_help;

/// Bytes of a label. Labels are shown in tables, pictures and messages, where a longer one has no room.
const LABEL_BYTES_MAX: usize = 500;

/// The keys of a spec that name columns.
const TEXT_KEY: &str = "data.text";
const LABEL_KEY: &str = "data.label";

/// The format of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableFormat {
    /// A text on each line, and nothing else.
    Lines,
    /// RFC 4180, with a header.
    Csv,
    /// Columns separated by tabs, with a header.
    Tsv,
    /// An object on each line.
    JsonLines,
}

impl TableFormat {
    /// The format that the ending of `path` stands for: `.csv`, `.tsv`, `.jsonl` or `.ndjson`.
    #[must_use]
    pub fn of_ending(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "csv" => Some(Self::Csv),
            "tsv" => Some(Self::Tsv),
            "jsonl" | "ndjson" => Some(Self::JsonLines),
            _ => None,
        }
    }
}

/// The names of the columns to read from a table.
#[derive(Clone, Debug)]
pub(crate) struct Columns {
    pub(crate) text: String,
    /// `None` when no label is read.
    pub(crate) label: Option<String>,
}

/// The values of the columns that are read from a row; neither is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cells {
    pub(crate) text: String,
    /// Without surrounding white space; empty if no label is read.
    pub(crate) label: String,
}

/// The rows of a table, read when they are asked for.
pub(crate) type Rows<'a> = Box<dyn Iterator<Item = Result<Cells, TableError>> + 'a>;

/// One row of a file: a text and a label, both not empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LabelledText {
    /// From 1, without the header.
    pub(super) id: usize,
    pub(super) text: String,
    /// Without surrounding white space.
    pub(super) label: String,
}

/// Reads every row of `file`.
pub(super) fn read(file: &DataFile, spec: &DataSpec) -> Result<Vec<LabelledText>, DataError> {
    let format =
        TableFormat::of_ending(&file.path).ok_or_else(|| DataError::Ending { file: file.clone() })?;
    if !file.path.is_file() {
        return Err(DataError::Missing { file: file.clone() });
    }
    let input = File::open(&file.path).map_err(|source| DataError::Read { file: file.clone(), source })?;
    let columns = Columns { text: spec.text.clone(), label: Some(spec.label.clone()) };
    let in_file = |error: TableError| error.in_file(file);
    let mut found = Vec::new();
    for cells in rows(BufReader::with_capacity(1 << 16, input), format, columns).map_err(in_file)? {
        let Cells { text, label } = cells.map_err(in_file)?;
        found.push(LabelledText { id: found.len() + 1, text, label });
    }
    if found.is_empty() { Err(DataError::NoRows { file: file.clone() }) } else { Ok(found) }
}

/// The rows of a table, one at a time. After the first error the remaining rows may be wrong.
///
/// # Errors
/// When the header cannot be read or lacks a column.
pub(crate) fn rows<'a>(
    input: impl BufRead + 'a,
    format: TableFormat,
    columns: Columns,
) -> Result<Rows<'a>, TableError> {
    let input = without_mark(input).map_err(|source| TableError::Read { line: 1, source })?;
    match format {
        TableFormat::Lines => Ok(Box::new(lines(input).map(|line| {
            let (line, text) = line?;
            cells(text, None).map_err(|fault| TableError::row(line, fault))
        }))),
        TableFormat::Csv => delimited(Records::new(input, Delimiter::Comma), &columns),
        TableFormat::Tsv => delimited(Records::new(input, Delimiter::Tab), &columns),
        TableFormat::JsonLines => Ok(Box::new(lines(input).filter_map(move |line| match line {
            Ok((_, text)) if text.trim().is_empty() => None,
            Ok((line, text)) => {
                Some(json_cells(&text, &columns).map_err(|fault| TableError::row(line, fault)))
            }
            Err(error) => Some(Err(error)),
        }))),
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
    (1..).map_while(move |line| {
        let mut bytes = Vec::new();
        match input.read_until(b'\n', &mut bytes) {
            Ok(0) => None,
            Ok(_) => {
                for end in *b"\n\r" {
                    if bytes.last() == Some(&end) {
                        bytes.pop();
                    }
                }
                Some(records::text(bytes, line).map(|text| (line, text)))
            }
            Err(source) => Some(Err(TableError::Read { line, source })),
        }
    })
}

/// The rows under the header of delimited text.
fn delimited<'a, R: BufRead + 'a>(
    mut records: Records<R>,
    columns: &Columns,
) -> Result<Rows<'a>, TableError> {
    let header = records.read()?.ok_or(TableError::NoHeader)?.fields;
    let text_at = column(&header, &columns.text, TEXT_KEY)?;
    let label_at = columns.label.as_ref().map(|label| column(&header, label, LABEL_KEY)).transpose()?;
    Ok(Box::new(std::iter::from_fn(move || records.read().transpose()).map(move |record| {
        let mut record = record?;
        let fault = |fault| TableError::row(record.line, fault);
        let (found, expected) = (record.fields.len() as u64, header.len() as u64);
        if found != expected {
            return Err(fault(RowFault::Fields { found, expected }));
        }
        let label = label_at.map(|at| std::mem::take(&mut record.fields[at]));
        cells(std::mem::take(&mut record.fields[text_at]), label.as_deref()).map_err(fault)
    })))
}

/// The index of the column `name`, which `key` of a spec names.
fn column(header: &[String], name: &str, key: &'static str) -> Result<usize, TableError> {
    let mut places = header.iter().enumerate().filter(|(_, column)| column.trim() == name);
    match (places.next(), places.next()) {
        (Some((place, _)), None) => Ok(place),
        (Some(_), Some(_)) => Err(TableError::RepeatedColumn { key, column: name.to_owned() }),
        (None, _) => {
            let found: Vec<String> = header.iter().map(|column| column.trim().to_owned()).collect();
            let nearest = nearest(name, found.iter().map(String::as_str)).map(str::to_owned);
            let missing = Box::new(MissingColumn { column: name.to_owned(), found, nearest });
            Err(TableError::Column { key, missing })
        }
    }
}

/// The cells of a row, checked; `label` is `None` if no label is read.
fn cells(text: String, label: Option<&str>) -> Result<Cells, RowFault> {
    let label = label.map(str::trim);
    if text.trim().is_empty() {
        Err(RowFault::EmptyText)
    } else if label.is_some_and(str::is_empty) {
        Err(RowFault::EmptyLabel)
    } else if let Some(long) = label.map(str::len).filter(|&bytes| bytes > LABEL_BYTES_MAX) {
        Err(RowFault::LongLabel(long))
    } else {
        Ok(Cells { text, label: label.unwrap_or_default().to_owned() })
    }
}

/// The cells of one line of JSON Lines.
fn json_cells(line: &str, columns: &Columns) -> Result<Cells, RowFault> {
    let object = match serde_json::from_str(line).map_err(RowFault::Json)? {
        Value::Object(object) => object,
        other => return Err(RowFault::NotObject(kind(&other))),
    };
    let field = |key: &'static str, column: &String| {
        object.get(column).ok_or_else(|| RowFault::NoKey {
            key,
            column: column.clone(),
            found: object.keys().cloned().collect(),
        })
    };
    let text = match field(TEXT_KEY, &columns.text)? {
        Value::String(text) => text.clone(),
        other => {
            let (column, found) = (columns.text.clone(), kind(other));
            return Err(RowFault::NotText { key: TEXT_KEY, column, found });
        }
    };
    let Some(column) = &columns.label else { return cells(text, None) };
    let label = match field(LABEL_KEY, column)? {
        Value::String(label) => label.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(truth) => truth.to_string(),
        other => {
            let (column, found) = (column.clone(), kind(other));
            return Err(RowFault::NotLabel { key: LABEL_KEY, column, found });
        }
    };
    cells(text, Some(&label))
}

/// The kind of a JSON value, for messages.
const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        data::spec::{Shares, Source},
        samples,
    };

    fn rows_of(name: &str, content: &[u8]) -> Result<Vec<LabelledText>, DataError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        let spec = samples::data_spec(Source::Single { path: path.clone(), split: Shares::default() });
        read(&DataFile { path, key: "data.path" }, &spec)
    }

    fn line_of_fault(name: &str, content: &str) -> u64 {
        match rows_of(name, content.as_bytes()) {
            Err(DataError::Row { line, .. }) => line,
            other => panic!("no fault of a row: {other:?}"),
        }
    }

    fn pairs(name: &str, content: &str) -> Vec<(String, String)> {
        let rows = rows_of(name, content.as_bytes()).unwrap();
        rows.into_iter().map(|row| (row.text, row.label)).collect()
    }

    fn pair(text: &str, label: &str) -> (String, String) {
        (text.to_owned(), label.to_owned())
    }

    #[test]
    fn csv_fields_may_hold_commas_quotes_and_line_breaks() {
        let found = pairs("a.csv", "label,text\r\n1,\"好, \"\"很\"\"好\n真的\"\r\n0,差\r\n");
        assert_eq!(found, [pair("好, \"很\"好\n真的", "1"), pair("差", "0")]);
    }

    #[test]
    fn a_quote_in_a_tsv_is_a_character_like_any_other() {
        let found = pairs("a.tsv", "label\ttext\n1\t\"好\n0\t差\"\"\n");
        assert_eq!(found, [pair("\"好", "1"), pair("差\"\"", "0")]);
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_first_column() {
        assert_eq!(pairs("a.csv", "\u{feff}text,label\n好,1\n"), [pair("好", "1")]);
        assert_eq!(pairs("a.jsonl", "\u{feff}{\"text\":\"好\",\"label\":1}\n"), [pair("好", "1")]);
    }

    #[test]
    fn labels_in_json_lines_may_be_numbers() {
        let found = pairs("a.ndjson", "{\"text\":\"好\",\"label\":1}\n{\"text\":\"差\",\"label\":\"0\"}");
        assert_eq!(found, [pair("好", "1"), pair("差", "0")]);
    }

    #[test]
    fn blank_lines_in_json_lines_are_skipped() {
        let found = pairs("a.ndjson", "{\"text\":\"好\",\"label\":1}\n\n{\"text\":\"差\",\"label\":\"0\"}");
        assert_eq!(found, [pair("好", "1"), pair("差", "0")]);
    }

    #[test]
    fn the_line_of_a_fault_counts_line_breaks_in_quotes() {
        assert_eq!(line_of_fault("a.csv", "text,label\n\"a\nb\",1\nc\n"), 4);
    }

    #[test]
    fn the_line_of_a_fault_counts_blank_lines() {
        assert_eq!(line_of_fault("a.csv", "text,label\n\"a\nb\",1\n\n\nc,\n"), 6);
        assert_eq!(line_of_fault("a.tsv", "text\tlabel\r\na\t1\r\n\r\n \t1\r\n"), 4);
        assert_eq!(line_of_fault("a.jsonl", "{\"text\":\"a\",\"label\":1}\n\n[1]\n"), 3);
    }

    #[test]
    fn a_quote_that_is_never_closed_is_found_where_it_opens() {
        assert_eq!(line_of_fault("a.csv", "text,label\na,1\n\"b,0\nc,1\n"), 3);
    }

    #[test]
    fn a_quote_within_a_plain_field_opens_nothing() {
        assert_eq!(pairs("a.csv", "text,label\n5\" disk,1\n"), [pair("5\" disk", "1")]);
    }

    #[test]
    fn bytes_that_are_not_utf8_are_refused_with_their_line() {
        let error = rows_of("a.csv", b"text,label\na,1\n\xc4\xe3,0\n").unwrap_err();
        assert!(matches!(error, DataError::NotUtf8 { line: 3, byte: 0xc4, .. }), "{error}");
    }

    /// The texts of a table of which no label is read.
    fn texts(format: TableFormat, content: &str) -> Result<Vec<String>, TableError> {
        let columns = Columns { text: "text".to_owned(), label: None };
        rows(content.as_bytes(), format, columns)?.map(|cells| Ok(cells?.text)).collect()
    }

    #[test]
    fn without_a_label_a_table_needs_the_column_of_texts_alone() {
        assert_eq!(texts(TableFormat::Csv, "a,text\n1,好\n").unwrap(), ["好"]);
        assert_eq!(texts(TableFormat::Tsv, "text\tb\n\"好\t\n").unwrap(), ["\"好"]);
        assert_eq!(texts(TableFormat::JsonLines, "\u{feff}{\"text\":\"好\"}\r\n\n").unwrap(), ["好"]);
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
