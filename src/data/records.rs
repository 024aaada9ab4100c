//! Records of delimited text, one at a time: RFC 4180, or tabs without quoting.
//!
//! The reader holds one record at a time and returns it as soon as the record's line ends, so that a pipe
//! is answered at once. It divides records into fields as the `csv` crate does; unlike that crate, it
//! knows the line on which each record starts, and the line of a quote that is never closed.

use std::io::{BufRead, ErrorKind};

use super::error::{RowFault, TableError};

/// How the fields of a record are separated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delimiter {
    /// Commas; a field may stand in quotes.
    Comma,
    /// Tabs; a quote is a character like any other.
    Tab,
}

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
    delimiter: Delimiter,
    /// The line of the next byte.
    line: u64,
}

/// The part of a field that the reader is in.
#[derive(Clone, Copy, PartialEq)]
enum FieldPart {
    /// Before the first byte.
    Start,
    /// In a field without quotes, or after the closing quote.
    Plain,
    /// Inside quotes.
    Quoted,
    /// Behind a quote in a quoted field: that quote closed the field, unless another quote follows.
    AfterQuote,
}

/// A record of which the reader has seen the first bytes.
struct PartialRecord {
    record: FieldRecord,
    field: Vec<u8>,
    /// The line on which the field starts.
    field_line: u64,
    part: FieldPart,
    /// The line of the latest opening quote.
    quote_line: u64,
}

impl<R: BufRead> Records<R> {
    pub(super) fn new(input: R, delimiter: Delimiter) -> Self {
        Self { input, delimiter, line: 1 }
    }

    /// The next record; `None` at the end of the input.
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
            let (mut used, mut ended) = (0, false);
            for &byte in bytes {
                used += 1;
                let line = self.line;
                self.line += u64::from(byte == b'\n');
                if partial.is_none() && matches!(byte, b'\n' | b'\r') {
                    continue;
                }
                ended = partial.get_or_insert_with(|| PartialRecord::new(line)).push(
                    byte,
                    line,
                    self.delimiter,
                )?;
                if ended {
                    break;
                }
            }
            self.input.consume(used);
            if ended {
                return Ok(partial.map(|partial| partial.record));
            }
        }
    }
}

impl PartialRecord {
    fn new(line: u64) -> Self {
        let record = FieldRecord { line, fields: Vec::new() };
        Self { record, field: Vec::new(), field_line: line, part: FieldPart::Start, quote_line: line }
    }

    /// Adds the next byte, which stands on `line`. Returns whether the record ends with this byte.
    fn push(&mut self, byte: u8, line: u64, delimiter: Delimiter) -> Result<bool, TableError> {
        let (separator, has_quotes) = match delimiter {
            Delimiter::Comma => (b',', true),
            Delimiter::Tab => (b'\t', false),
        };
        match (self.part, byte) {
            (FieldPart::Start, b'"') if has_quotes => {
                (self.part, self.quote_line) = (FieldPart::Quoted, line);
            }
            (FieldPart::Quoted, b'"') => self.part = FieldPart::AfterQuote,
            (FieldPart::Quoted, _) => self.field.push(byte),
            (FieldPart::AfterQuote, b'"') => {
                self.field.push(byte);
                self.part = FieldPart::Quoted;
            }
            (FieldPart::Start | FieldPart::Plain | FieldPart::AfterQuote, b'\n' | b'\r') => {
                self.end_field(line)?;
                return Ok(true);
            }
            (FieldPart::Start | FieldPart::Plain | FieldPart::AfterQuote, byte) if byte == separator => {
                self.end_field(line)?;
            }
            (FieldPart::Start | FieldPart::Plain | FieldPart::AfterQuote, byte) => {
                self.field.push(byte);
                self.part = FieldPart::Plain;
            }
        }
        Ok(false)
    }

    /// Ends the field; the next one starts on `line`.
    fn end_field(&mut self, line: u64) -> Result<(), TableError> {
        let field = text(std::mem::take(&mut self.field), self.field_line)?;
        self.record.fields.push(field);
        (self.field_line, self.part) = (line, FieldPart::Start);
        Ok(())
    }

    /// The whole record, when the input ends here.
    fn end(mut self) -> Result<FieldRecord, TableError> {
        if self.part == FieldPart::Quoted {
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

    fn records(text: &[u8], delimiter: Delimiter) -> Result<Vec<FieldRecord>, TableError> {
        let mut reader = Records::new(text, delimiter);
        std::iter::from_fn(|| reader.read().transpose()).collect()
    }

    fn fields(text: &str) -> Vec<Vec<String>> {
        records(text.as_bytes(), Delimiter::Comma).unwrap().into_iter().map(|record| record.fields).collect()
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
            let mut reader = Records::new(Slow(text.as_bytes()), Delimiter::Comma);
            assert_eq!(reader.read().unwrap().unwrap().fields, ["a", "b\nc"]);
        }
    }

    #[test]
    fn a_character_cut_in_two_by_a_separator_is_not_utf8() {
        let cut = records(b"\xe5,\xa5\xbd\n", Delimiter::Comma);
        assert!(matches!(cut, Err(TableError::NotUtf8 { line: 1, byte: 0xe5 })), "{cut:?}");
        let later = records(b"a\n\"b\nc\xff\"\n", Delimiter::Comma);
        assert!(matches!(later, Err(TableError::NotUtf8 { line: 3, byte: 0xff })), "{later:?}");
    }

    #[test]
    fn the_last_record_needs_no_line_break() {
        assert_eq!(fields("a,b\n\nc,"), [["a", "b"], ["c", ""]]);
        assert_eq!(fields("\"\""), [[""]]);
    }

    proptest! {
        #[test]
        fn records_equal_the_records_of_the_csv_crate(text in "[a\", \t\r\n好]{0,40}", tabs: bool) {
            let delimiter = if tabs { Delimiter::Tab } else { Delimiter::Comma };
            let mut reader = csv::ReaderBuilder::new();
            reader.delimiter(if tabs { b'\t' } else { b',' }).quoting(!tabs);
            let mut reader = reader.has_headers(false).flexible(true).from_reader(text.as_bytes());
            let expected: Vec<Vec<String>> = reader
                .records()
                .map(|record| record.unwrap().iter().map(str::to_owned).collect())
                .collect();
            match records(text.as_bytes(), delimiter) {
                Ok(found) => {
                    let lines: Vec<u64> = found.iter().map(|record| record.line).collect();
                    prop_assert!(lines.is_sorted());
                    prop_assert_eq!(found.into_iter().map(|record| record.fields).collect::<Vec<_>>(), expected);
                }
                Err(TableError::Row { line, fault }) => {
                    prop_assert!(!tabs && matches!(*fault, RowFault::OpenQuote));
                    let opening = text.split('\n').nth(usize::try_from(line - 1).unwrap()).unwrap();
                    prop_assert!(opening.contains('"'));
                }
                Err(error) => prop_assert!(false, "{}", error),
            }
        }
    }
}
