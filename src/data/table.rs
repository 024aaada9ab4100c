//! Files into rows: CSV, TSV and JSON Lines, told apart by their ending.
//!
//! `.csv` follows RFC 4180. In `.tsv` a quote is a character like any other, since
//! texts are full of them; a text there holds neither tab nor line break. A byte order
//! mark and CRLF line ends are tolerated everywhere; bytes that are not UTF-8 are not.

use csv::{ReaderBuilder, StringRecord};
use serde_json::Value;

use super::{
    DataSpec,
    error::{DataError, DataFile, MissingColumn, RowFault},
};

/// One row as read: a text and a label, neither of them empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// From 1, without the header.
    pub(super) id: usize,
    pub(super) text: String,
    /// Without surrounding white space.
    pub(super) label: String,
}

/// The endings that are read.
enum Format {
    Csv,
    Tsv,
    JsonLines,
}

/// Reads every row of `file`.
pub(super) fn read(file: &DataFile, spec: &DataSpec) -> Result<Vec<Row>, DataError> {
    let format = format(file)?;
    if !file.path.is_file() {
        return Err(DataError::Missing { file: file.clone() });
    }
    let bytes = std::fs::read(&file.path).map_err(|source| DataError::Read { file: file.clone(), source })?;
    let text = text(&bytes, file)?;
    let rows = match format {
        Format::Csv => csv_rows(text, file, spec, true),
        Format::Tsv => csv_rows(text, file, spec, false),
        Format::JsonLines => json_rows(text, file, spec),
    }?;
    if rows.is_empty() { Err(DataError::NoRows { file: file.clone() }) } else { Ok(rows) }
}

fn format(file: &DataFile) -> Result<Format, DataError> {
    let ending = file.path.extension().and_then(|ending| ending.to_str()).unwrap_or("");
    match ending.to_ascii_lowercase().as_str() {
        "csv" => Ok(Format::Csv),
        "tsv" => Ok(Format::Tsv),
        "jsonl" | "ndjson" => Ok(Format::JsonLines),
        _ => Err(DataError::Ending { file: file.clone() }),
    }
}

fn text<'a>(bytes: &'a [u8], file: &DataFile) -> Result<&'a str, DataError> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let (valid, rest) = bytes.split_at(error.valid_up_to());
        let line = valid.split(|byte| *byte == b'\n').count() as u64;
        DataError::NotUtf8 { file: file.clone(), line, byte: rest.first().copied().unwrap_or(0) }
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// Rows of a table with a header; `quotes`: commas and RFC 4180, else tabs and no quoting.
fn csv_rows(text: &str, file: &DataFile, spec: &DataSpec, quotes: bool) -> Result<Vec<Row>, DataError> {
    if quotes && let Some(line) = open_quote(text) {
        return Err(fault(file, line, RowFault::OpenQuote));
    }
    let delimiter = if quotes { b',' } else { b'\t' };
    let mut reader = ReaderBuilder::new().delimiter(delimiter).quoting(quotes).from_reader(text.as_bytes());
    let header = reader.headers().map_err(|error| csv_error(file, error))?.clone();
    if header.is_empty() {
        return Err(DataError::NoRows { file: file.clone() });
    }
    let text_at = column(&header, &spec.text, "data.text", file)?;
    let label_at = column(&header, &spec.label, "data.label", file)?;
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| csv_error(file, error))?;
        let line = line_of(text, &record);
        let field = |at: usize| record.get(at).unwrap_or("").to_owned();
        rows.push(row(rows.len() + 1, field(text_at), &field(label_at)).map_err(|it| fault(file, line, it))?);
    }
    Ok(rows)
}

/// The line on which a record starts, from 1; blank lines before it are not its own.
fn line_of(text: &str, record: &StringRecord) -> u64 {
    let Some(position) = record.position() else { return 1 };
    let start = usize::try_from(position.byte()).unwrap_or(usize::MAX);
    let rest = text.get(start..).unwrap_or("");
    let blank = rest.len() - rest.trim_start_matches(['\n', '\r']).len();
    let skipped = rest.get(..blank).unwrap_or("").matches('\n').count();
    position.line() + skipped as u64
}

fn column(header: &StringRecord, name: &str, key: &'static str, file: &DataFile) -> Result<usize, DataError> {
    let mut places = header.iter().enumerate().filter(|(_, column)| column.trim() == name);
    match (places.next(), places.next()) {
        (Some((place, _)), None) => Ok(place),
        (Some(_), Some(_)) => {
            Err(DataError::RepeatedColumn { file: file.clone(), key, column: name.to_owned() })
        }
        (None, _) => {
            let found: Vec<String> = header.iter().map(|column| column.trim().to_owned()).collect();
            let nearest = crate::nearest::nearest(name, found.iter().map(String::as_str)).map(str::to_owned);
            let missing = Box::new(MissingColumn { column: name.to_owned(), found, nearest });
            Err(DataError::Column { file: file.clone(), key, missing })
        }
    }
}

fn row(id: usize, text: String, label: &str) -> Result<Row, RowFault> {
    let label = label.trim();
    if text.trim().is_empty() {
        Err(RowFault::EmptyText)
    } else if label.is_empty() {
        Err(RowFault::EmptyLabel)
    } else {
        Ok(Row { id, text, label: label.to_owned() })
    }
}

fn fault(file: &DataFile, line: u64, fault: RowFault) -> DataError {
    DataError::Row { file: file.clone(), line, fault: Box::new(fault) }
}

fn csv_error(file: &DataFile, error: csv::Error) -> DataError {
    let line = error.position().map_or(1, csv::Position::line);
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            fault(file, line, RowFault::Fields { found: *len, expected: *expected_len })
        }
        _ => fault(file, line, RowFault::Csv(error)),
    }
}

/// The line of a quote that no other closes.
///
/// The CSV reader takes the rest of the file as one field then, and loses its rows.
fn open_quote(text: &str) -> Option<u64> {
    #[derive(PartialEq)]
    enum At {
        Start,
        Plain,
        Quoted,
        Closed,
    }
    let (mut at, mut line, mut opened) = (At::Start, 1, 0);
    for byte in text.bytes() {
        at = match (at, byte) {
            (At::Start, b'"') => {
                opened = line;
                At::Quoted
            }
            (At::Quoted, b'"') => At::Closed,
            (At::Quoted, _) | (At::Closed, b'"') => At::Quoted,
            (At::Start | At::Plain | At::Closed, b',' | b'\n' | b'\r') => At::Start,
            (At::Start | At::Plain | At::Closed, _) => At::Plain,
        };
        line += u64::from(byte == b'\n');
    }
    (at == At::Quoted).then_some(opened)
}

fn json_rows(text: &str, file: &DataFile, spec: &DataSpec) -> Result<Vec<Row>, DataError> {
    let mut rows = Vec::new();
    for (line, content) in (1..).zip(text.lines()) {
        if !content.trim().is_empty() {
            rows.push(json_row(rows.len() + 1, content, spec).map_err(|it| fault(file, line, it))?);
        }
    }
    Ok(rows)
}

fn json_row(id: usize, line: &str, spec: &DataSpec) -> Result<Row, RowFault> {
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
    let text = match field("data.text", &spec.text)? {
        Value::String(text) => text.clone(),
        other => {
            let (column, found) = (spec.text.clone(), kind(other));
            return Err(RowFault::NotText { key: "data.text", column, found });
        }
    };
    let label = match field("data.label", &spec.label)? {
        Value::String(label) => label.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(truth) => truth.to_string(),
        other => {
            let (column, found) = (spec.label.clone(), kind(other));
            return Err(RowFault::NotLabel { key: "data.label", column, found });
        }
    };
    row(id, text, &label)
}

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
    use crate::data::{Duplicates, Limit, Source, Split};

    fn spec() -> DataSpec {
        DataSpec {
            source: Source::Reviews { split: Split::default() },
            text: "text".to_owned(),
            label: "label".to_owned(),
            positive: None,
            duplicates: Duplicates::Drop,
            limit: Limit::default(),
            seed: 0,
        }
    }

    fn rows_of(name: &str, content: &[u8]) -> Result<Vec<Row>, DataError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        read(&DataFile { path, key: "data.path" }, &spec())
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
    fn labels_in_json_lines_may_be_numbers_and_blank_lines_are_skipped() {
        let found = pairs("a.ndjson", "{\"text\":\"好\",\"label\":1}\n\n{\"text\":\"差\",\"label\":\"0\"}");
        assert_eq!(found, [pair("好", "1"), pair("差", "0")]);
    }

    #[test]
    fn the_line_of_a_fault_counts_line_breaks_in_quotes_and_blank_lines() {
        assert_eq!(line_of_fault("a.csv", "text,label\n\"a\nb\",1\n\n\nc,\n"), 6);
        assert_eq!(line_of_fault("a.csv", "text,label\n\"a\nb\",1\nc\n"), 4);
        assert_eq!(line_of_fault("a.tsv", "text\tlabel\r\na\t1\r\n\r\n \t1\r\n"), 4);
        assert_eq!(line_of_fault("a.jsonl", "{\"text\":\"a\",\"label\":1}\n\n[1]\n"), 3);
    }

    #[test]
    fn a_quote_that_is_never_closed_is_found_where_it_opens() {
        assert_eq!(line_of_fault("a.csv", "text,label\na,1\n\"b,0\nc,1\n"), 3);
        assert_eq!(pairs("a.csv", "text,label\n5\" disk,1\n"), [pair("5\" disk", "1")]);
    }

    #[test]
    fn bytes_that_are_not_utf8_are_refused_with_their_line() {
        let error = rows_of("a.csv", b"text,label\na,1\n\xc4\xe3,0\n").unwrap_err();
        assert!(matches!(error, DataError::NotUtf8 { line: 3, byte: 0xc4, .. }), "{error}");
    }
}
