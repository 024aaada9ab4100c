//! Rows that are JSON objects: one on each line, or in one list.
//!
//! A name with dots, such as `data.text`, is the field of a nested object, unless an object has a field of
//! the whole name.

use std::io::{BufRead, Read as _};

use serde_json::{Deserializer, Map, Value};

use super::{
    cells::{Cells, Columns, GROUP_KEY, LABEL_KEY, ROW_BYTES_MAX, Rows, TEXT_KEY},
    error::TableError,
    row_fault::{RowFault, RowPlace},
};

/// Bytes read at a time.
const BLOCK: usize = 1 << 16;

/// Whether text that begins with `start` is a list of objects.
pub(super) fn is_list(start: &[u8]) -> bool {
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
    start.strip_prefix(b"[").is_some_and(|rest| matches!(rest.trim_ascii_start().first(), Some(b'{') | None))
}

/// The rows of `lines`, numbered lines that hold an object each; blank lines are skipped.
pub(super) fn lines<'a>(
    lines: impl Iterator<Item = Result<(u64, String), TableError>> + 'a,
    columns: Columns,
) -> Rows<'a> {
    Box::new(lines.filter_map(move |line| match line {
        Ok((_, text)) if text.trim().is_empty() => None,
        Ok((line, text)) => {
            let value = serde_json::from_str(&text).map_err(RowFault::Json);
            let at = RowPlace::Line(line);
            Some(
                value.and_then(|value| cells(value, at, &columns)).map_err(|fault| TableError::at(at, fault)),
            )
        }
        Err(error) => Some(Err(error)),
    }))
}

/// The rows of a list of objects, which is read as they are asked for.
///
/// # Errors
/// When the text cannot be read.
pub(super) fn list<'a>(input: impl BufRead + 'a, columns: Columns) -> Result<Rows<'a>, TableError> {
    let mut elements = Elements { input, bytes: Vec::new(), at: 0, line: 1, is_read: false, is_over: false };
    elements.skip(b"[")?;
    Ok(Box::new(std::iter::from_fn(move || elements.next().transpose()).map(move |element| {
        let (at, value) = element?;
        cells(value, at, &columns).map_err(|fault| TableError::at(at, fault))
    })))
}

/// The elements of a list that are not read yet.
struct Elements<R> {
    input: R,
    /// Bytes of the input, of which those before `at` are done with.
    bytes: Vec<u8>,
    at: usize,
    /// The line of the next byte.
    line: u64,
    /// Whether the input has no more bytes.
    is_read: bool,
    is_over: bool,
}

impl<R: BufRead> Elements<R> {
    /// Reads more bytes: as many as are there already, so that a long element is not parsed again and again.
    fn fill(&mut self) -> Result<(), TableError> {
        self.bytes.drain(..self.at);
        self.at = 0;
        let wanted = self.bytes.len().max(BLOCK) as u64;
        let read = self.input.by_ref().take(wanted).read_to_end(&mut self.bytes);
        let read = read.map_err(|source| TableError::Read { line: self.line, source })?;
        self.is_read = (read as u64) < wanted;
        Ok(())
    }

    /// Skips white space, and then one of `marks` with the white space behind it. Returns the mark.
    fn skip(&mut self, marks: &[u8]) -> Result<Option<u8>, TableError> {
        let mut skipped = None;
        loop {
            let Some(&byte) = self.bytes.get(self.at) else {
                if self.is_read {
                    return Ok(skipped);
                }
                self.fill()?;
                continue;
            };
            if skipped.is_none() && marks.contains(&byte) {
                skipped = Some(byte);
            } else if !byte.is_ascii_whitespace() {
                return Ok(skipped);
            }
            self.line += u64::from(byte == b'\n');
            self.at += 1;
        }
    }

    /// The next element with its place; `None` at the end of the list.
    fn next(&mut self) -> Result<Option<(RowPlace, Value)>, TableError> {
        if self.is_over || self.skip(b"]")?.is_some() {
            return Ok(None);
        }
        let at = RowPlace::Line(self.line);
        match self.value()? {
            Some(Ok(value)) => {
                self.skip(b",")?;
                Ok(Some((at, value)))
            }
            Some(Err(error)) => {
                self.is_over = true;
                // The error's line is counted from the element.
                let at = RowPlace::Line(self.line + (error.line() as u64).saturating_sub(1));
                Err(TableError::at(at, RowFault::Json(error)))
            }
            None => {
                self.is_over = true;
                Err(TableError::at(at, RowFault::OpenList))
            }
        }
    }

    /// The value that begins here, for which as much is read as it takes; `None` at the end of the text.
    fn value(&mut self) -> Result<Option<serde_json::Result<Value>>, TableError> {
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let mut stream = Deserializer::from_slice(rest).into_iter::<Value>();
            let value = stream.next();
            let read = stream.byte_offset();
            let is_cut = match &value {
                Some(Ok(_)) => read == rest.len(),
                Some(Err(error)) => error.is_eof(),
                None => true,
            };
            if is_cut && !self.is_read {
                if rest.len() > ROW_BYTES_MAX {
                    self.is_over = true;
                    return Err(TableError::at(RowPlace::Line(self.line), RowFault::LongRow));
                }
                self.fill()?;
                continue;
            }
            if let Some(Ok(_)) = &value {
                let breaks = rest.get(..read).unwrap_or_default().split(|byte| *byte == b'\n').count() - 1;
                (self.at, self.line) = (self.at + read, self.line + breaks as u64);
            }
            return Ok(value);
        }
    }
}

/// The cells of one object.
fn cells(value: Value, at: RowPlace, columns: &Columns) -> Result<Cells, RowFault> {
    let object = match value {
        Value::Object(object) => object,
        other => return Err(RowFault::NotObject(kind(&other))),
    };
    let text = match field(&object, TEXT_KEY, &columns.text)? {
        Value::String(text) => text.clone(),
        other => {
            let (column, found) = (columns.text.clone(), kind(other));
            return Err(RowFault::NotText { key: TEXT_KEY, column, found });
        }
    };
    let Some(column) = &columns.label else { return Cells::new(at, text, None) };
    let (label, is_number) = match field(&object, LABEL_KEY, column)? {
        Value::String(label) => (label.clone(), false),
        Value::Number(number) => (number.to_string(), true),
        Value::Bool(truth) => (truth.to_string(), false),
        other => {
            let (column, found) = (column.clone(), kind(other));
            return Err(RowFault::NotLabel { key: LABEL_KEY, column, found });
        }
    };
    let cells = Cells { is_number, ..Cells::new(at, text, Some(&label))? };
    let Some(column) = &columns.group else { return Ok(cells) };
    let group = match field(&object, GROUP_KEY, column)? {
        Value::String(group) => group.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(truth) => truth.to_string(),
        Value::Null => String::new(),
        other => {
            let (column, found) = (column.clone(), kind(other));
            return Err(RowFault::NotLabel { key: GROUP_KEY, column, found });
        }
    };
    Ok(cells.of_group(&group))
}

/// The field `name` of `object`, which may be within nested objects.
fn field<'a>(object: &'a Map<String, Value>, key: &'static str, name: &str) -> Result<&'a Value, RowFault> {
    let nested = || {
        name.split('.').try_fold(None, |value: Option<&Value>, part| {
            let value = value.map_or_else(|| object.get(part), |value| value.get(part));
            value.map(Some)
        })
    };
    object.get(name).or_else(|| nested().flatten()).ok_or_else(|| RowFault::NoKey {
        key,
        column: name.to_owned(),
        found: object.keys().cloned().collect(),
        nested: within(object, name),
    })
}

/// The dotted name of a field `name` that an object within `object` has.
fn within(object: &Map<String, Value>, name: &str) -> Option<String> {
    let (outer, _) =
        object.iter().find(|(_, value)| value.get(name).is_some_and(|inner| !inner.is_null()))?;
    Some(format!("{outer}.{name}"))
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

    fn columns(text: &str) -> Columns {
        Columns { text: text.to_owned(), label: Some("label".to_owned()), group: None }
    }

    fn rows(json: &str) -> Vec<Result<Cells, TableError>> {
        list(json.as_bytes(), columns("text")).unwrap().collect()
    }

    #[test]
    fn each_object_of_a_list_is_a_row_with_its_line() {
        let rows = rows("[\n  {\"text\": \"好\", \"label\": 1},\n  {\n\"text\": \"差\",\n\"label\": 0}\n]\n");
        let rows: Vec<Cells> = rows.into_iter().map(Result::unwrap).collect();
        let found: Vec<_> = rows.iter().map(|row| (row.at, row.text.as_str(), row.label.as_str())).collect();
        assert_eq!(found, [(RowPlace::Line(2), "好", "1"), (RowPlace::Line(3), "差", "0")]);
    }

    #[test]
    fn a_list_that_was_cut_is_a_fault() {
        for cut in ["[{\"text\":\"a\",\"label\":1},\n", "[{\"text\":\"a\",\"label\":1},\n{\"text\":"] {
            let last = rows(cut).pop().unwrap();
            assert!(matches!(&last, Err(TableError::Row { at: RowPlace::Line(2), .. })), "{last:?}");
        }
    }

    #[test]
    fn a_name_with_dots_is_a_field_of_a_nested_object() {
        let rows = list(&b"[{\"data\":{\"text\":\"a\"},\"label\":1}]"[..], columns("data.text")).unwrap();
        assert_eq!(rows.map(|row| row.unwrap().text).collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn a_list_is_read_in_parts() {
        let long = "好".repeat(BLOCK);
        let objects: Vec<String> =
            (0..9).map(|row| format!("{{\"text\":\"{long}{row}\",\n\"label\":{row}}}")).collect();
        let rows = rows(&format!("[\n{}\n]", objects.join(",\n")));
        assert_eq!(rows.len(), 9);
        for ((number, row), line) in rows.into_iter().enumerate().zip((2..).step_by(2)) {
            let row = row.unwrap();
            assert_eq!((row.at, row.text), (RowPlace::Line(line), format!("{long}{number}")));
        }
    }

    #[test]
    fn a_row_that_never_ends_is_a_fault() {
        let endless = std::io::BufReader::new(b"[{\"text\":\"".chain(std::io::repeat(b'a')));
        let row = list(endless, columns("text")).unwrap().next().unwrap();
        let is_long = |error: &TableError| matches!(error, TableError::Row { fault, .. } if matches!(**fault, RowFault::LongRow));
        assert!(row.is_err_and(|error| is_long(&error)));
    }

    #[test]
    fn json_of_a_million_levels_is_a_fault() {
        let deep = format!("[{{\"text\":{}", "[".repeat(1_000_000));
        assert!(matches!(rows(&deep)[..], [Err(TableError::Row { .. })]));
    }

    #[test]
    fn the_name_of_a_nested_field_is_proposed() {
        let fault = rows("[{\"data\":{\"text\":\"a\"},\"label\":1}]").pop().unwrap().unwrap_err();
        assert!(
            matches!(&fault, TableError::Row { fault, .. } if fault.help().contains("data.text")),
            "{fault}"
        );
    }
}
