//! Tables of delimited text: the byte between two columns, the header, and the rows under it.
//!
//! Where the header lacks a column with the separator of the file's ending, and has all columns with
//! exactly one other, that one is taken. A line `sep=;`, as Excel writes it, is obeyed.

use std::io::{BufRead, Cursor, ErrorKind, Read as _, Result as IoResult};

use super::{
    cells::{Cells, Columns, FIELD_BYTES_MAX, Rows, Shape, Table},
    dialect::{Dialect, Quotes},
    error::TableError,
    header::{self, Places},
    records::Records,
    row_fault::{RowFault, RowPlace},
};

/// Bytes that separate columns, and what they are called.
const SEPARATORS: [(u8, &str); 4] = [(b',', "commas"), (b';', "semicolons"), (b'\t', "tabs"), (b'|', "bars")];

/// Reads the header of `input`, whose ending says that it is written in `dialect`.
pub(super) fn table<'a>(
    mut input: impl BufRead + 'a,
    dialect: Dialect,
    columns: &Columns,
) -> Result<Table<'a>, TableError> {
    let (mut taken, mut line) = (Vec::new(), 1);
    let mut start = first_line(&mut input, &mut line)?;
    let dialect = if let Some(separator) = named_separator(&start) {
        taken.push(format!("is read with {} between columns, as its line `sep=` says", name_of(separator)));
        line += 1;
        start = first_line(&mut input, &mut line)?;
        dialect.with(separator)
    } else {
        fitting(&start, dialect, columns, &mut taken)
    };
    let mut records = Records::new(Cursor::new(start).chain(input), dialect, line);
    let header = records.read()?.ok_or(TableError::NoHeader)?.fields;
    let places = Places::find(&header, columns)?;
    let fields = header.len();
    let shape = places.label.filter(|_| dialect.quotes != Quotes::Literal);
    let separator = char::from(dialect.separator);
    let shape = shape.map(|label| Shape { separator, fields, text: places.text, label });
    Ok(Table { rows: rows(records, places, fields), taken, shape })
}

/// The rows under a header of so many `fields`.
fn rows<'a>(mut records: Records<impl BufRead + 'a>, places: Places, fields: usize) -> Rows<'a> {
    let mut is_over = false;
    let records = std::iter::from_fn(move || {
        let record = if is_over { None } else { records.read().transpose() };
        is_over = matches!(&record, Some(Err(error)) if !error.is_of_one_row());
        record
    });
    Box::new(records.map(move |record| {
        let mut record = record?;
        let fault = |fault| TableError::row(record.line, fault);
        if record.fields.len() != fields {
            let (found, expected) = (record.fields.len() as u64, fields as u64);
            return Err(fault(RowFault::Fields { found, expected }));
        }
        // The group may stand in the column of the label or the text.
        let group = places.group.map(|at| record.fields[at].clone()).unwrap_or_default();
        let label = places.label.map(|at| std::mem::take(&mut record.fields[at]));
        let text = std::mem::take(&mut record.fields[places.text]);
        let cells = Cells::new(RowPlace::Line(record.line), text, label.as_deref()).map_err(fault)?;
        Ok(cells.of_group(&group))
    }))
}

impl Dialect {
    /// This dialect with another separator. Quotes have a meaning then: only `.tsv` says that they have none.
    const fn with(self, separator: u8) -> Self {
        let quotes = match self.quotes {
            Quotes::Backslash => Quotes::Backslash,
            Quotes::Doubled | Quotes::Literal => Quotes::Doubled,
        };
        Self { separator, quotes }
    }
}

/// `dialect`, or the only other dialect in which the header `start` has all `columns`; then `taken` says so.
fn fitting(start: &[u8], dialect: Dialect, columns: &Columns, taken: &mut Vec<String>) -> Dialect {
    let fits = |dialect: &Dialect| {
        let header = Records::new(start, *dialect, 1).read().ok().flatten();
        header.is_some_and(|header| header::has(&header.fields, columns))
    };
    if fits(&dialect) {
        return dialect;
    }
    let others = SEPARATORS.iter().filter(|(separator, _)| *separator != dialect.separator);
    let mut fitting =
        others.map(|(separator, name)| (dialect.with(*separator), name)).filter(|(it, _)| fits(it));
    match (fitting.next(), fitting.next()) {
        (Some((other, name)), None) => {
            taken.push(format!("is read with {name} between columns, as its header has them"));
            other
        }
        _ => dialect,
    }
}

/// The separator that a first line `sep=;` names.
fn named_separator(line: &[u8]) -> Option<u8> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let line = line.strip_prefix(b"\"").and_then(|line| line.strip_suffix(b"\"")).unwrap_or(line);
    match *line {
        [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', separator] if separator.is_ascii() => Some(separator),
        _ => None,
    }
}

/// What the byte between two columns is called.
fn name_of(separator: u8) -> String {
    let known = SEPARATORS.iter().find(|(known, _)| *known == separator);
    known.map_or_else(|| format!("`{}`", char::from(separator)), |(_, name)| (*name).to_owned())
}

/// The first line that is not blank, with its line end; `line` is then its number.
fn first_line(input: &mut impl BufRead, line: &mut u64) -> Result<Vec<u8>, TableError> {
    loop {
        let bytes = read_line(input).map_err(|source| TableError::Read { line: *line, source })?;
        if bytes.is_empty() || !bytes.iter().all(|byte| matches!(byte, b'\n' | b'\r')) {
            return Ok(bytes);
        }
        *line += 1;
    }
}

/// The next line with its line end: CR, LF or both. A longer line than any field may be is cut.
fn read_line(input: &mut impl BufRead) -> IoResult<Vec<u8>> {
    let mut line = Vec::new();
    loop {
        let bytes = match input.fill_buf() {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if line.last() == Some(&b'\r') {
            if bytes.first() == Some(&b'\n') {
                line.push(b'\n');
                input.consume(1);
            }
            return Ok(line);
        }
        let end =
            bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')).map_or(bytes.len(), |at| at + 1);
        line.extend_from_slice(bytes.get(..end).unwrap_or_default());
        input.consume(end);
        if end == 0 || line.last() == Some(&b'\n') || line.len() > FIELD_BYTES_MAX {
            return Ok(line);
        }
    }
}
