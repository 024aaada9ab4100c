//! Reads a whole file of a data set: its rows, and its faults up to a bound. The texts do not stay in memory.

use std::collections::HashMap;

use super::{
    cells::{Cells, Columns, LABEL_KEY, Shape, TEXT_KEY, Table},
    dialect::Quotes,
    encoding,
    error::{DataError, DataFile, EncodingGuess, TableError},
    labels::WrittenLabel,
    normal_form::digest,
    open::{Stamp, guess_encoding, stamp},
    row::{ROW_BYTES, Row, TextDigest},
    row_fault::RowFault,
    spec::DataSpec,
    table::{self, Request, TableFormat},
};
use crate::system::files::named;

/// Faults of the rows of one file that are listed one by one; the others are counted.
const FAULTS_SHOWN: usize = 8;
/// Equal faults that are listed one by one.
const EQUAL_FAULTS_SHOWN: usize = 3;
/// Different faults that are told apart; a file with a different fault in every row would fill the memory.
const DIFFERENT_FAULTS_MAX: usize = 1_000;
/// Texts with an open quote are noted if they are more than one in so many.
const CUT_SHARE: usize = 20;
/// Labels of one file that are told apart: more classes than any confusion matrix has room for.
const LABELS_MAX: usize = 1 << 16;

/// What a file holds.
#[derive(Debug, Default)]
pub(super) struct FileReading {
    /// The rows that can be read.
    pub(super) rows: Vec<Row>,
    /// By row, those that cannot be read included: a digest of its group, 0 for none. Nothing if no group is read.
    pub(super) groups: Vec<u64>,
    /// The labels of the rows, each once.
    pub(super) labels: Vec<WrittenLabel>,
    /// Why other rows, or the whole file, cannot be read.
    pub(super) faults: Vec<DataError>,
    /// Rows that cannot be read.
    pub(super) faulty_rows: usize,
    /// How the file was read where the ending of its name does not say it, for the user.
    pub(super) taken: Vec<String>,
    /// How its rows are written, if they are delimited text.
    pub(super) shape: Option<Shape>,
    /// What its quotes mean, where they mean anything.
    pub(super) quotes: Quotes,
    /// Whether a text has a line break.
    pub(super) has_breaks: bool,
    /// What the file was when it was read; `None` if it cannot be looked at.
    pub(super) stamp: Option<Stamp>,
}

/// Reads every row of `file`.
///
/// If its quotes contradict RFC 4180, but not the way in which databases write them (a backslash before a
/// quote that belongs to the text), the file is read in that way, and the reading says so.
/// A file with more rows than `memory` bytes hold is refused.
pub(super) fn read(file: &DataFile, spec: &DataSpec, memory: u64) -> FileReading {
    let mut reading = read_with(file, spec, Quotes::Doubled, memory);
    let is_of_quotes =
        |fault: &DataError| matches!(fault, DataError::Row { fault, .. } if fault.is_of_quotes());
    if reading.faults.iter().any(is_of_quotes) {
        let mut other = read_with(file, spec, Quotes::Backslash, memory);
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

fn read_with(file: &DataFile, spec: &DataSpec, quotes: Quotes, memory: u64) -> FileReading {
    let stamp = stamp(&file.path);
    match open(file, spec, quotes) {
        Ok(table) => FileReading { quotes, stamp, ..rows(table, file, spec, memory) },
        Err(faults) => FileReading { faults, quotes, ..FileReading::default() },
    }
}

/// Opens `file` as `spec` says, with these quotes where quotes mean anything.
pub(super) fn open(
    file: &DataFile,
    spec: &DataSpec,
    quotes: Quotes,
) -> Result<Table<'static>, Vec<DataError>> {
    if !named::is_file(&file.path) {
        return Err(vec![DataError::Missing { file: file.clone() }]);
    }
    let (text, label, group) = (spec.text.clone(), Some(spec.label.clone()), spec.group.clone());
    let columns = Columns { text, label, group };
    let encoding = spec.encoding.as_deref().and_then(encoding::named);
    let request = Request { encoding, quotes, ..Request::new(TableFormat::of_ending(&file.path), columns) };
    match table::open(&file.path, &request) {
        Ok(Some(table)) => Ok(table),
        Ok(None) => Err(vec![DataError::Ending { file: file.clone() }]),
        Err(error) => Err(error.in_file(file)),
    }
}

/// The texts that begin with a quote, where a quote may be a character like any other.
#[derive(Clone, Copy, Default)]
struct Quoted {
    /// Those that end with a quote too.
    whole: usize,
    cut: usize,
}

impl Quoted {
    fn count(&mut self, text: &str) {
        if text.starts_with('"') {
            let closes = text.len() > 1 && text.ends_with('"');
            *(if closes { &mut self.whole } else { &mut self.cut }) += 1;
        }
    }

    /// Notes about a `.tsv` of so many rows: most texts stand in quotes, or some begin with a quote that does not
    /// end with them.
    fn notes(self, rows: usize) -> Vec<String> {
        let Self { whole, cut } = self;
        let advice = "as .csv, its tabs are recognised and quotes are read";
        let mut notes = Vec::new();
        if whole * 2 > rows {
            notes.push(format!(
                "has {whole} texts in quotes, which stay part of the texts: in .tsv a quote is a character; {advice}"
            ));
        }
        if cut * CUT_SHARE > rows {
            notes.push(format!(
                "has {cut} texts that begin with a quote and do not end with one: in .tsv a line break or a tab ends a \
                 text within quotes too, so that rows may be cut; {advice}"
            ));
        }
        notes
    }
}

/// The labels of a file while it is read.
#[derive(Default)]
struct Labels(HashMap<WrittenLabel, u32>);

impl Labels {
    /// The number of `label`; `None` if there are too many labels.
    fn number(&mut self, label: WrittenLabel) -> Option<u32> {
        if let Some(number) = self.0.get(&label) {
            return Some(*number);
        }
        let number = u32::try_from(self.0.len()).ok().filter(|_| self.0.len() < LABELS_MAX)?;
        self.0.insert(label, number);
        Some(number)
    }

    /// The labels by their numbers.
    fn listed(self) -> Vec<WrittenLabel> {
        let mut labels: Vec<(u32, WrittenLabel)> =
            self.0.into_iter().map(|(label, number)| (number, label)).collect();
        labels.sort_unstable_by_key(|(number, _)| *number);
        labels.into_iter().map(|(_, label)| label).collect()
    }
}

/// The rows and the faults of `table`.
fn rows(table: Table<'_>, file: &DataFile, spec: &DataSpec, memory: u64) -> FileReading {
    let mut reading = FileReading { taken: table.taken, shape: table.shape, ..FileReading::default() };
    let rows_max = usize::try_from(memory / ROW_BYTES).unwrap_or(usize::MAX).min(u32::MAX as usize);
    let (mut labels, mut quoted, mut faults) = (Labels::default(), Quoted::default(), RowFaults::default());
    for (id, cells) in (1..).zip(table.rows) {
        faults.rows += 1;
        if spec.group.is_some() {
            reading.groups.push(cells.as_ref().map_or(0, |cells| digest(&cells.group)));
        }
        match cells {
            Ok(Cells { text, label, is_number, .. }) => {
                quoted.count(&text);
                reading.has_breaks |= text.contains('\n');
                let Some(label) = labels.number(WrittenLabel { text: label, is_number }) else {
                    faults.listed.push(too_many(&labels, faults.rows));
                    break;
                };
                if reading.rows.len() >= rows_max {
                    let rows = reading.rows.len();
                    faults.listed.push(DataError::Memory { file: file.clone(), rows, bytes: memory });
                    break;
                }
                reading.rows.push(Row { id, label, text: TextDigest::of(&text) });
            }
            Err(error) => {
                if faults.add(error, file) {
                    break;
                }
            }
        }
    }
    reading.labels = labels.listed();
    if TableFormat::of_ending(&file.path) == Some(TableFormat::Tsv) && reading.shape.is_none() {
        reading.taken.extend(quoted.notes(reading.rows.len()));
    }
    faults.sum_up(&mut reading, file, spec);
    reading
}

/// The fault of a file in whose first `documents` every other has a label of its own.
fn too_many(labels: &Labels, documents: usize) -> DataError {
    let examples = labels.0.keys().take(3).map(|label| label.text.clone()).collect();
    DataError::TooManyClasses { classes: labels.0.len(), documents, examples }
}

/// The faults of a file's rows while it is read.
#[derive(Default)]
struct RowFaults {
    rows: usize,
    listed: Vec<DataError>,
    faulty_rows: usize,
    /// How often each fault was there.
    equal: HashMap<String, usize>,
    /// Rows without a text, and rows without a label.
    empty: [usize; 2],
}

impl RowFaults {
    /// Adds a fault. Returns whether nothing behind it can be read.
    fn add(&mut self, error: TableError, file: &DataFile) -> bool {
        self.faulty_rows += 1;
        let ends = !error.is_of_one_row();
        let mut is_new = true;
        if let TableError::Row { fault, .. } = &error {
            let message = fault.to_string();
            if self.equal.len() < DIFFERENT_FAULTS_MAX || self.equal.contains_key(&message) {
                let equal = self.equal.entry(message).or_default();
                *equal += 1;
                is_new = *equal <= EQUAL_FAULTS_SHOWN;
            }
            self.empty[0] += usize::from(matches!(**fault, RowFault::EmptyText));
            self.empty[1] += usize::from(matches!(**fault, RowFault::EmptyLabel));
        }
        if (is_new && self.listed.len() < FAULTS_SHOWN) || ends {
            self.listed.extend(error.in_file(file));
        }
        ends
    }

    /// Gives `reading` the faults, with one in the place of many that have one reason.
    fn sum_up(self, reading: &mut FileReading, file: &DataFile, spec: &DataSpec) {
        let Self { rows, mut listed, faulty_rows, empty, .. } = self;
        let column = |key: &'static str, column: &String| {
            vec![DataError::EmptyColumn { file: file.clone(), key, column: column.clone() }]
        };
        if rows == 0 {
            listed = vec![DataError::NoRows { file: file.clone() }];
        } else if rows > 1 && empty[0] == rows {
            listed = column(TEXT_KEY, &spec.text);
        } else if rows > 1 && empty[1] == rows {
            listed = column(LABEL_KEY, &spec.label);
        } else if let Some(more @ 1..) = faulty_rows.checked_sub(listed.len()) {
            listed.push(DataError::MoreRows { file: file.clone(), rows: more });
        }
        (reading.faults, reading.faulty_rows) = (listed, faulty_rows);
    }
}

#[cfg(test)]
mod tests;
