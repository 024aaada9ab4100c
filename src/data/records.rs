//! Records of delimited text, one at a time: RFC 4180 and what is written in its place.
//!
//! The reader holds one record at a time and returns it as soon as the record's line ends, so that a pipe
//! is answered at once. It divides records into fields as the `csv` crate does; unlike that crate, it
//! knows the line on which each record starts, and refuses a quote that is never closed and text behind a
//! closing quote: there, two rows would become one.

use std::io::{BufRead, ErrorKind};

use super::{
    cells::{COLUMNS_MAX, FIELD_BYTES_MAX, ROW_BYTES_MAX},
    dialect::{Dialect, Quotes},
    error::TableError,
    row_fault::RowFault,
};

/// One record: at least one field.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FieldRecord {
    /// The line on which it starts, from 1.
    pub(super) line: u64,
    pub(super) fields: Vec<String>,
}

/// Reads records and skips blank lines.
pub(super) struct Records<R> {
    input: R,
    dialect: Dialect,
    /// The line of the next byte.
    line: u64,
    /// Whether the last byte was a carriage return, which has ended a line already.
    after_return: bool,
    /// Whether the rest of the line belongs to a record with a fault.
    skips: bool,
}

/// The part of a field that the reader is in.
#[derive(Clone, Copy, PartialEq)]
enum FieldPart {
    /// Before the first byte.
    Start,
    /// In a field without quotes.
    Plain,
    /// Inside quotes.
    Quoted,
    /// Behind a backslash in a quoted field.
    Escaped,
    /// Behind a quote in a quoted field: that quote closed the field, unless another quote follows.
    AfterQuote,
    /// In white space behind a closing quote.
    Closed,
}

/// A record of which the reader has seen the first bytes.
struct PartialRecord {
    record: FieldRecord,
    /// Bytes of the fields before this one.
    bytes: usize,
    field: Vec<u8>,
    /// The line on which the field starts.
    field_line: u64,
    part: FieldPart,
    /// The line of the latest opening quote.
    quote_line: u64,
}

impl<R: BufRead> Records<R> {
    /// Records of `input`, whose first line is `line` of the file.
    pub(super) fn new(input: R, dialect: Dialect, line: u64) -> Self {
        Self { input, dialect, line, after_return: false, skips: false }
    }

    /// The next record; `None` at the end of the input. After a fault, the next record begins on the next
    /// line.
    pub(super) fn read(&mut self) -> Result<Option<FieldRecord>, TableError> {
        let mut partial: Option<PartialRecord> = None;
        loop {
            let bytes = match self.input.fill_buf() {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(source) => return Err(TableError::Read { line: self.line, source }),
            };
            if bytes.is_empty() {
                return partial.map(PartialRecord::end).transpose();
            }
            let (mut used, mut ended) = (0, Ok(false));
            while let Some(&byte) = bytes.get(used) {
                used += 1;
                let line = self.line;
                // A line ends with CR, LF, or both.
                self.line += u64::from(byte == b'\r' || (byte == b'\n' && !self.after_return));
                self.after_return = byte == b'\r';
                let is_line_end = matches!(byte, b'\n' | b'\r');
                if self.skips || (partial.is_none() && is_line_end) {
                    self.skips &= !is_line_end;
                    continue;
                }
                let partial = partial.get_or_insert_with(|| PartialRecord::new(line));
                ended = partial.push(byte, line, self.dialect);
                if !matches!(ended, Ok(false)) {
                    self.skips = ended.is_err() && !is_line_end;
                    break;
                }
                let run = partial.push_ordinary(bytes.get(used..).unwrap_or_default(), self.dialect);
                (used, self.after_return) = (used + run, self.after_return && run == 0);
            }
            self.input.consume(used);
            if ended? {
                return Ok(partial.map(|partial| partial.record));
            }
        }
    }
}

impl PartialRecord {
    fn new(line: u64) -> Self {
        let record = FieldRecord { line, fields: Vec::new() };
        Self {
            record,
            bytes: 0,
            field: Vec::new(),
            field_line: line,
            part: FieldPart::Start,
            quote_line: line,
        }
    }

    /// Adds the next byte, which stands on `line`. Returns whether the record ends with this byte.
    fn push(&mut self, byte: u8, line: u64, dialect: Dialect) -> Result<bool, TableError> {
        let Dialect { separator, quotes } = dialect;
        match (self.part, byte) {
            (FieldPart::Quoted | FieldPart::Escaped, _) => self.push_quoted(byte, quotes)?,
            (FieldPart::Start, b'"') if quotes != Quotes::Literal => {
                (self.part, self.quote_line) = (FieldPart::Quoted, line);
            }
            (FieldPart::AfterQuote, b'"') if quotes == Quotes::Doubled => {
                self.add(byte)?;
                self.part = FieldPart::Quoted;
            }
            (
                FieldPart::Start | FieldPart::Plain | FieldPart::AfterQuote | FieldPart::Closed,
                b'\n' | b'\r',
            ) => {
                self.end_field(line)?;
                return Ok(true);
            }
            (FieldPart::Start | FieldPart::Plain | FieldPart::AfterQuote | FieldPart::Closed, byte)
                if byte == separator =>
            {
                self.end_field(line)?;
            }
            (FieldPart::AfterQuote | FieldPart::Closed, b' ' | b'\t') => {
                self.add(byte)?;
                self.part = FieldPart::Closed;
            }
            (FieldPart::AfterQuote | FieldPart::Closed, _) => {
                let line = (line != self.quote_line).then_some(line);
                return Err(TableError::row(self.quote_line, RowFault::AfterQuote { line }));
            }
            (FieldPart::Start | FieldPart::Plain, byte) => {
                self.add(byte)?;
                self.part = FieldPart::Plain;
            }
        }
        Ok(false)
    }

    /// Adds the next byte of a field in quotes.
    fn push_quoted(&mut self, byte: u8, quotes: Quotes) -> Result<(), TableError> {
        let is_escaped = self.part == FieldPart::Escaped;
        match byte {
            b'"' if !is_escaped => self.part = FieldPart::AfterQuote,
            b'\\' if !is_escaped && quotes == Quotes::Backslash => self.part = FieldPart::Escaped,
            byte => {
                if is_escaped && !matches!(byte, b'"' | b'\\') {
                    self.add(b'\\')?;
                }
                self.add(byte)?;
                self.part = FieldPart::Quoted;
            }
        }
        Ok(())
    }

    /// Adds the first of `bytes`, up to one that means anything, and returns their number: most bytes of a text mean
    /// nothing, and one by one they would take long.
    fn push_ordinary(&mut self, bytes: &[u8], dialect: Dialect) -> usize {
        let end = match self.part {
            FieldPart::Plain => {
                bytes.iter().position(|byte| *byte == dialect.separator || matches!(byte, b'\n' | b'\r'))
            }
            FieldPart::Quoted => bytes.iter().position(|byte| matches!(byte, b'"' | b'\\' | b'\n' | b'\r')),
            FieldPart::Start | FieldPart::Escaped | FieldPart::AfterQuote | FieldPart::Closed => Some(0),
        };
        let room = FIELD_BYTES_MAX.saturating_sub(self.field.len());
        let run = end.unwrap_or(bytes.len()).min(room);
        self.field.extend_from_slice(bytes.get(..run).unwrap_or_default());
        run
    }

    /// Adds a byte to the field.
    fn add(&mut self, byte: u8) -> Result<(), TableError> {
        if self.field.len() >= FIELD_BYTES_MAX {
            return Err(TableError::row(self.field_line, RowFault::LongField));
        }
        self.field.push(byte);
        Ok(())
    }

    /// Ends the field; the next one starts on `line`.
    fn end_field(&mut self, line: u64) -> Result<(), TableError> {
        let field = text(std::mem::take(&mut self.field), self.field_line)?;
        self.bytes += field.len();
        if self.bytes > ROW_BYTES_MAX || self.record.fields.len() >= COLUMNS_MAX {
            return Err(TableError::row(self.record.line, RowFault::LongRow));
        }
        self.record.fields.push(field);
        (self.field_line, self.part) = (line, FieldPart::Start);
        Ok(())
    }

    /// The whole record, when the input ends here.
    fn end(mut self) -> Result<FieldRecord, TableError> {
        if matches!(self.part, FieldPart::Quoted | FieldPart::Escaped) {
            return Err(TableError::row(self.quote_line, RowFault::OpenQuote));
        }
        self.end_field(self.field_line)?;
        Ok(self.record)
    }
}

/// `bytes`, which start on `line`, as text.
pub(super) fn text(bytes: Vec<u8>, line: u64) -> Result<String, TableError> {
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let (before, rest) = error.as_bytes().split_at(valid);
        let breaks = before.split(|byte| *byte == b'\n').count() as u64 - 1;
        TableError::NotUtf8 { line: line + breaks, byte: rest.first().copied().unwrap_or(0) }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::data::row_fault::RowPlace;

    const COMMAS: Dialect = Dialect { separator: b',', quotes: Quotes::Doubled };
    const TABS: Dialect = Dialect { separator: b'\t', quotes: Quotes::Literal };

    fn records(text: &[u8], dialect: Dialect) -> Result<Vec<FieldRecord>, TableError> {
        let mut reader = Records::new(text, dialect, 1);
        std::iter::from_fn(|| reader.read().transpose()).collect()
    }

    fn fields(text: &str) -> Vec<Vec<String>> {
        records(text.as_bytes(), COMMAS).unwrap().into_iter().map(|record| record.fields).collect()
    }

    #[test]
    fn a_record_is_returned_before_the_next_one_is_read() {
        /// Hands out one byte at a time and fails at its end.
        struct Slow<'a>(&'a [u8]);
        impl std::io::Read for Slow<'_> {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(std::io::Error::other("not used"))
            }
        }
        impl BufRead for Slow<'_> {
            fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
                match self.0 {
                    [] => Err(std::io::Error::other("asked too early")),
                    some => Ok(&some[..1]),
                }
            }
            fn consume(&mut self, used: usize) {
                self.0 = &self.0[used..];
            }
        }
        for text in ["a,\"b\nc\"\n", "a,\"b\nc\"\r"] {
            let mut reader = Records::new(Slow(text.as_bytes()), COMMAS, 1);
            assert_eq!(reader.read().unwrap().unwrap().fields, ["a", "b\nc"]);
        }
    }

    #[test]
    fn a_character_cut_in_two_by_a_separator_is_not_utf8() {
        let cut = records(b"\xe5,\xa5\xbd\n", COMMAS);
        assert!(matches!(cut, Err(TableError::NotUtf8 { line: 1, byte: 0xe5 })), "{cut:?}");
        let later = records(b"a\n\"b\nc\xff\"\n", COMMAS);
        assert!(matches!(later, Err(TableError::NotUtf8 { line: 3, byte: 0xff })), "{later:?}");
    }

    #[test]
    fn the_last_record_needs_no_line_break() {
        assert_eq!(fields("a,b\n\nc,"), [["a", "b"], ["c", ""]]);
        assert_eq!(fields("\"\""), [[""]]);
    }

    /// The line of the fault, and the line of the text behind the quote.
    fn after_quote(text: &str, dialect: Dialect) -> (RowPlace, Option<u64>) {
        match records(text.as_bytes(), dialect) {
            Err(TableError::Row { at, fault }) => match *fault {
                RowFault::AfterQuote { line } => (at, line),
                other => panic!("{other}"),
            },
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn text_behind_a_closing_quote_is_refused_where_the_quote_opens() {
        let rows = "a,b\n\"15\\\"\",1\n\"b\",0\n";
        assert_eq!(after_quote(rows, COMMAS), (RowPlace::Line(2), Some(3)));
        assert_eq!(after_quote("\"a\" b,1\n", COMMAS), (RowPlace::Line(1), None));
    }

    #[test]
    fn a_fault_within_a_line_ends_with_the_line() {
        let mut reader = Records::new(&b"\"a\" b,1\nc,2\n"[..], COMMAS, 1);
        assert!(reader.read().is_err());
        assert_eq!(reader.read().unwrap().unwrap().fields, ["c", "2"]);
    }

    #[test]
    fn white_space_behind_a_closing_quote_is_kept() {
        assert_eq!(fields("\"a\" ,b\n"), [["a ", "b"]]);
    }

    #[test]
    fn a_quote_behind_a_backslash_is_part_of_the_field() {
        let dialect = Dialect { separator: b',', quotes: Quotes::Backslash };
        let found = records(b"\"15\\\"\",1\n\"C:\\\\a\\b\",0\n", dialect).unwrap();
        let fields: Vec<_> = found.into_iter().map(|record| record.fields).collect();
        assert_eq!(fields, [["15\"", "1"], ["C:\\a\\b", "0"]]);
    }

    #[test]
    fn lines_that_end_with_a_carriage_return_are_counted() {
        let lines = |text: &[u8]| -> Vec<u64> {
            records(text, COMMAS).unwrap().iter().map(|record| record.line).collect()
        };
        assert_eq!(lines(b"a\rb\rc"), [1, 2, 3]);
        assert_eq!(lines(b"a\r\nb\n\nc"), [1, 2, 4]);
    }

    #[test]
    fn a_field_is_bounded() {
        let mut text = vec![b'a'; FIELD_BYTES_MAX + 1];
        text.push(b'\n');
        let error = records(&text, COMMAS).unwrap_err();
        assert!(matches!(&error, TableError::Row { fault, .. } if matches!(**fault, RowFault::LongField)));
    }

    #[test]
    fn a_row_is_bounded() {
        for text in [",".repeat(COLUMNS_MAX), format!("{},", "a".repeat(FIELD_BYTES_MAX)).repeat(5)] {
            let error = records(text.as_bytes(), COMMAS).unwrap_err();
            assert!(matches!(&error, TableError::Row { fault, .. } if matches!(**fault, RowFault::LongRow)));
        }
    }

    proptest! {
        #[test]
        fn records_equal_the_records_of_the_csv_crate(text in "[a\", \t\r\n好]{0,40}", tabs: bool) {
            let dialect = if tabs { TABS } else { COMMAS };
            let mut reader = csv::ReaderBuilder::new();
            reader.delimiter(if tabs { b'\t' } else { b',' }).quoting(!tabs);
            let mut reader = reader.has_headers(false).flexible(true).from_reader(text.as_bytes());
            let expected: Vec<Vec<String>> = reader
                .records()
                .map(|record| record.unwrap().iter().map(str::to_owned).collect())
                .collect();
            match records(text.as_bytes(), dialect) {
                Ok(found) => {
                    let lines: Vec<u64> = found.iter().map(|record| record.line).collect();
                    prop_assert!(lines.is_sorted());
                    prop_assert_eq!(found.into_iter().map(|record| record.fields).collect::<Vec<_>>(), expected);
                }
                Err(TableError::Row { at: RowPlace::Line(line), fault }) => {
                    let is_of_quotes = matches!(*fault, RowFault::OpenQuote | RowFault::AfterQuote { .. });
                    prop_assert!(!tabs && is_of_quotes);
                    let lines = text.replace("\r\n", "\n").replace('\r', "\n");
                    let opening = lines.split('\n').nth(usize::try_from(line - 1).unwrap()).unwrap();
                    prop_assert!(opening.contains('"'));
                }
                Err(error) => prop_assert!(false, "{}", error),
            }
        }
    }
}
