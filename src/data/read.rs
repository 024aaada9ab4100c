//! Reads a whole file of a data set: its rows, and its faults up to a bound.

use std::collections::HashMap;

use super::{
    cells::{Cells, Columns, LABEL_KEY, Shape, TEXT_KEY, Table},
    encoding,
    error::{DataError, DataFile, EncodingGuess, TableError},
    open::guess_encoding,
    records::Quotes,
    row_fault::{RowFault, RowPlace},
    spec::DataSpec,
    table::{self, Request, TableFormat},
};

/// Faults of the rows of one file that are listed one by one; the others are counted.
const FAULTS_SHOWN: usize = 8;
/// Equal faults that are listed one by one.
const EQUAL_FAULTS_SHOWN: usize = 3;
/// Texts with an open quote are noted if they are more than one in so many.
const CUT_SHARE: usize = 20;

/// One row of a file: a text and a label, both not empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LabelledText {
    /// From 1, without the header.
    pub(super) id: usize,
    /// Where the row stands in its file.
    pub(super) at: RowPlace,
    pub(super) text: String,
    /// Without surrounding white space.
    pub(super) label: String,
    /// Whether the file says that the label is a number.
    pub(super) is_number: bool,
}

/// What a file holds.
#[derive(Debug, Default)]
pub(super) struct FileReading {
    /// The rows that can be read.
    pub(super) rows: Vec<LabelledText>,
    /// Why other rows, or the whole file, cannot be read.
    pub(super) faults: Vec<DataError>,
    /// Rows that cannot be read.
    pub(super) faulty_rows: usize,
    /// How the file was read where the ending of its name does not say it, for the user.
    pub(super) taken: Vec<String>,
    /// How its rows are written, if they are delimited text.
    pub(super) shape: Option<Shape>,
}

/// Reads every row of `file`.
///
/// If its quotes contradict RFC 4180, but not the way in which databases write them (a backslash before a
/// quote that belongs to the text), the file is read in that way, and the reading says so.
pub(super) fn read(file: &DataFile, spec: &DataSpec) -> FileReading {
    let mut reading = read_with(file, spec, Quotes::Doubled);
    let is_of_quotes =
        |fault: &DataError| matches!(fault, DataError::Row { fault, .. } if fault.is_of_quotes());
    if reading.faults.iter().any(is_of_quotes) {
        let mut other = read_with(file, spec, Quotes::Backslash);
        if other.faults.is_empty() {
            other.taken.push("is read with a backslash before each quote that belongs to a text".to_owned());
            return other;
        }
    }
    for fault in &mut reading.faults {
        if let DataError::NotUtf8 { line, guess, .. } = fault
            && spec.encoding.is_none()
            && let Some((encoding, text)) = guess_encoding(&file.path, *line)
        {
            *guess = Some(Box::new(EncodingGuess { encoding: encoding.name().to_lowercase(), line: text }));
        }
    }
    reading
}

fn read_with(file: &DataFile, spec: &DataSpec, quotes: Quotes) -> FileReading {
    let failed = |faults: Vec<DataError>| FileReading { faults, ..FileReading::default() };
    if !file.path.is_file() {
        return failed(vec![DataError::Missing { file: file.clone() }]);
    }
    let columns = Columns { text: spec.text.clone(), label: Some(spec.label.clone()) };
    let encoding = spec.encoding.as_deref().and_then(encoding::named);
    let request = Request { encoding, quotes, ..Request::new(TableFormat::of_ending(&file.path), columns) };
    match table::open(&file.path, &request) {
        Ok(Some(table)) => {
            let mut reading = rows(table, file, spec);
            if request.format == Some(TableFormat::Tsv) && reading.shape.is_none() {
                let notes = quoted(&reading.rows);
                reading.taken.extend(notes);
            }
            reading
        }
        Ok(None) => failed(vec![DataError::Ending { file: file.clone() }]),
        Err(error) => failed(error.in_file(file)),
    }
}

/// Notes about quotes where a quote is a character like any other: most texts stand in quotes, or some begin with
/// a quote that does not end with them.
fn quoted(rows: &[LabelledText]) -> Vec<String> {
    let opens = |row: &&LabelledText| row.text.starts_with('"');
    let closes = |row: &LabelledText| row.text.len() > 1 && row.text.ends_with('"');
    let quoted = rows.iter().filter(opens).filter(|row| closes(row)).count();
    let cut = rows.iter().filter(opens).filter(|row| !closes(row)).count();
    let advice = "as .csv, its tabs are recognised and quotes are read";
    let mut notes = Vec::new();
    if quoted * 2 > rows.len() {
        notes.push(format!(
            "has {quoted} texts in quotes, which stay part of the texts: in .tsv a quote is a character; {advice}"
        ));
    }
    if cut * CUT_SHARE > rows.len() {
        notes.push(format!(
            "has {cut} texts that begin with a quote and do not end with one: in .tsv a line break or a tab ends a text \
             within quotes too, so that rows may be cut; {advice}"
        ));
    }
    notes
}

/// The rows and the faults of `table`.
fn rows(table: Table<'_>, file: &DataFile, spec: &DataSpec) -> FileReading {
    let mut reading = FileReading { taken: table.taken, shape: table.shape, ..FileReading::default() };
    let (mut empty, mut rows) = ([0, 0], 0);
    let mut equal: HashMap<String, usize> = HashMap::new();
    for cells in table.rows {
        rows += 1;
        match cells {
            Ok(Cells { at, text, label, is_number }) => {
                reading.rows.push(LabelledText { id: rows, at, text, label, is_number });
            }
            Err(error) => {
                reading.faulty_rows += 1;
                let ends = !error.is_of_one_row();
                let mut is_new = true;
                if let TableError::Row { fault, .. } = &error {
                    let equal = equal.entry(fault.to_string()).or_default();
                    *equal += 1;
                    is_new = *equal <= EQUAL_FAULTS_SHOWN;
                    empty[0] += usize::from(matches!(**fault, RowFault::EmptyText));
                    empty[1] += usize::from(matches!(**fault, RowFault::EmptyLabel));
                }
                if (is_new && reading.faults.len() < FAULTS_SHOWN) || ends {
                    reading.faults.extend(error.in_file(file));
                }
                if ends {
                    break;
                }
            }
        }
    }
    summed_up(reading, Counted { rows, empty }, file, spec)
}

/// How many rows a file has.
#[derive(Clone, Copy)]
struct Counted {
    rows: usize,
    /// Rows without a text, and rows without a label.
    empty: [usize; 2],
}

/// `reading` with one fault in the place of many that have one reason.
fn summed_up(mut reading: FileReading, counted: Counted, file: &DataFile, spec: &DataSpec) -> FileReading {
    let Counted { rows, empty } = counted;
    let column = |key: &'static str, column: &String| {
        vec![DataError::EmptyColumn { file: file.clone(), key, column: column.clone() }]
    };
    if rows == 0 {
        reading.faults = vec![DataError::NoRows { file: file.clone() }];
    } else if rows > 1 && empty[0] == rows {
        reading.faults = column(TEXT_KEY, &spec.text);
    } else if rows > 1 && empty[1] == rows {
        reading.faults = column(LABEL_KEY, &spec.label);
    } else if let Some(more @ 1..) = reading.faulty_rows.checked_sub(reading.faults.len()) {
        reading.faults.push(DataError::MoreRows { file: file.clone(), rows: more });
    }
    reading
}

#[cfg(test)]
mod tests;
