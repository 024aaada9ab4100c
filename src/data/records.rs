//! Records of delimited text, one at a time: RFC 4180, or tabs without quoting.
//!
//! No more than one record is held, and a record is there as soon as its line ends. What
//! fields are is decided as the `csv` crate does; unlike it, this reader knows the line on
//! which each record starts, and where a quote opens that nothing closes.

use std::io::{BufRead, ErrorKind};

use super::error::{RowFault, TableError};

/// How fields are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delimited {
    /// By commas; a field may stand in quotes.
    Commas,
    /// By tabs; a quote is a character like any other.
    Tabs,
}

/// One record: at least one field.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// The line on which it starts, from 1.
    pub(super) line: u64,
    pub(super) fields: Vec<String>,
}

/// Reads records; blank lines are none.
pub(super) struct Records<R> {
    input: R,
    delimited: Delimited,
    /// The line of the next byte.
    line: u64,
}

/// Where in a field the reader stands.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Start,
    Plain,
    Quoted,
    /// Behind a quote in a quoted field: it closed the field, unless another follows.
    Closed,
}

/// A record in the making.
struct Draft {
    record: Record,
    field: Vec<u8>,
    /// The line on which the field starts.
    field_line: u64,
    place: Place,
    /// The line of the latest opening quote.
    opened: u64,
}

impl<R: BufRead> Records<R> {
    pub(super) fn new(input: R, delimited: Delimited) -> Self {
        Self { input, delimited, line: 1 }
    }

    /// The next record; `None` at the end of the input.
    pub(super) fn read(&mut self) -> Result<Option<Record>, TableError> {
        let mut draft: Option<Draft> = None;
        loop {
            let bytes = match self.input.fill_buf() {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(source) => return Err(TableError::Read { line: self.line, source }),
            };
            if bytes.is_empty() {
                return draft.map(Draft::end).transpose();
            }
            let (mut used, mut ended) = (0, false);
            for &byte in bytes {
                used += 1;
                let line = self.line;
                self.line += u64::from(byte == b'\n');
                if draft.is_none() && matches!(byte, b'\n' | b'\r') {
                    continue;
                }
                ended = draft.get_or_insert_with(|| Draft::new(line)).take(byte, line, self.delimited)?;
                if ended {
                    break;
                }
            }
            self.input.consume(used);
            if ended {
                return Ok(draft.map(|draft| draft.record));
            }
        }
    }
}

impl Draft {
    fn new(line: u64) -> Self {
        let record = Record { line, fields: Vec::new() };
        Self { record, field: Vec::new(), field_line: line, place: Place::Start, opened: line }
    }

    /// Takes the next byte, which stands on `line`; whether the record ends with it.
    fn take(&mut self, byte: u8, line: u64, delimited: Delimited) -> Result<bool, TableError> {
        let (between, quotes) = match delimited {
            Delimited::Commas => (b',', true),
            Delimited::Tabs => (b'\t', false),
        };
        match (self.place, byte) {
            (Place::Start, b'"') if quotes => {
                (self.place, self.opened) = (Place::Quoted, line);
            }
            (Place::Quoted, b'"') => self.place = Place::Closed,
            (Place::Quoted, _) => self.field.push(byte),
            (Place::Closed, b'"') => {
                self.field.push(byte);
                self.place = Place::Quoted;
            }
            (Place::Start | Place::Plain | Place::Closed, b'\n' | b'\r') => {
                self.end_field(line)?;
                return Ok(true);
            }
            (Place::Start | Place::Plain | Place::Closed, byte) if byte == between => {
                self.end_field(line)?;
            }
            (Place::Start | Place::Plain | Place::Closed, byte) => {
                self.field.push(byte);
                self.place = Place::Plain;
            }
        }
        Ok(false)
    }

    /// Ends the field; the next one starts on `line`.
    fn end_field(&mut self, line: u64) -> Result<(), TableError> {
        let field = text(std::mem::take(&mut self.field), self.field_line)?;
        self.record.fields.push(field);
        (self.field_line, self.place) = (line, Place::Start);
        Ok(())
    }

    /// The record at the end of the input.
    fn end(mut self) -> Result<Record, TableError> {
        if self.place == Place::Quoted {
            return Err(TableError::row(self.opened, RowFault::OpenQuote));
        }
        self.end_field(self.field_line)?;
        Ok(self.record)
    }
}

/// `bytes` as text; they start on `line`.
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

    fn records(text: &[u8], delimited: Delimited) -> Result<Vec<Record>, TableError> {
        let mut reader = Records::new(text, delimited);
        std::iter::from_fn(|| reader.read().transpose()).collect()
    }

    fn fields(text: &str) -> Vec<Vec<String>> {
        records(text.as_bytes(), Delimited::Commas).unwrap().into_iter().map(|record| record.fields).collect()
    }

    #[test]
    fn a_record_is_there_before_the_next_one_is_asked_for() {
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
            let mut reader = Records::new(Slow(text.as_bytes()), Delimited::Commas);
            assert_eq!(reader.read().unwrap().unwrap().fields, ["a", "b\nc"]);
        }
    }

    #[test]
    fn a_character_cut_in_two_by_a_delimiter_is_none() {
        let cut = records(b"\xe5,\xa5\xbd\n", Delimited::Commas);
        assert!(matches!(cut, Err(TableError::NotUtf8 { line: 1, byte: 0xe5 })), "{cut:?}");
        let later = records(b"a\n\"b\nc\xff\"\n", Delimited::Commas);
        assert!(matches!(later, Err(TableError::NotUtf8 { line: 3, byte: 0xff })), "{later:?}");
    }

    #[test]
    fn the_last_record_needs_no_line_break() {
        assert_eq!(fields("a,b\n\nc,"), [["a", "b"], ["c", ""]]);
        assert_eq!(fields("\"\""), [[""]]);
    }

    proptest! {
        #[test]
        fn records_are_those_of_the_csv_crate(text in "[a\", \t\r\n好]{0,40}", tabs: bool) {
            let delimited = if tabs { Delimited::Tabs } else { Delimited::Commas };
            let mut reader = csv::ReaderBuilder::new();
            reader.delimiter(if tabs { b'\t' } else { b',' }).quoting(!tabs);
            let mut reader = reader.has_headers(false).flexible(true).from_reader(text.as_bytes());
            let expected: Vec<Vec<String>> = reader
                .records()
                .map(|record| record.unwrap().iter().map(str::to_owned).collect())
                .collect();
            match records(text.as_bytes(), delimited) {
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
