//! The texts of a data set, read again from its files: they are too large to stay in memory.

use std::iter::Peekable;

use super::{
    cells::{Cells, Table},
    dataset::{Dialects, Document},
    error::{DataError, DataFile, TableError},
    read, reviews,
    spec::{DataSpec, Shares, Source, SplitName},
};

/// Bytes of the texts of a window. A tokenizer needs some 40 times as much memory for them.
const WINDOW_BYTES: usize = 1 << 20;

/// The files of `source`, and the shares of a file that is divided.
pub(super) fn files(source: &Source) -> (Vec<DataFile>, Option<Shares>) {
    match source {
        Source::Files { train, validation, test } => {
            let paths = [(train, "data.train"), (validation, "data.validation"), (test, "data.test")];
            (paths.map(|(path, key)| DataFile { path: path.clone(), key }).to_vec(), None)
        }
        Source::Single { path, split } => {
            (vec![DataFile { path: path.clone(), key: "data.path" }], Some(*split))
        }
        Source::Reviews { .. } => (Vec::new(), None),
    }
}

/// The texts of a split in order, each with its document.
pub(crate) type SplitTexts<'a> = Box<dyn Iterator<Item = Result<(Document, String), DataError>> + 'a>;

/// The texts of `documents`, those of the split `name` of the data set that `spec` names. They are read while they are
/// taken.
///
/// # Errors
/// When a file cannot be read; the iterator's, when its rows are others than before.
pub(crate) fn texts<'a>(
    spec: &DataSpec,
    dialects: &Dialects,
    name: SplitName,
    documents: impl Iterator<Item = Document> + 'a,
) -> Result<SplitTexts<'a>, DataError> {
    let (files, _) = files(&spec.source);
    let index = (name as usize).min(files.len().saturating_sub(1));
    let Some(file) = files.get(index).cloned() else {
        let mut reviews = reviews::generate(spec.seed, reviews::DOCUMENTS).into_iter();
        return Ok(Box::new(documents.filter_map(move |document| {
            reviews.find(|review| review.id == document.id).map(|review| Ok((document, review.text)))
        })));
    };
    let table = read::open(&file, spec, dialects.of(index)).map_err(|mut faults| faults.swap_remove(0))?;
    let mut rows = RowsAgain::new(table);
    Ok(Box::new(documents.map(move |document| match rows.text_of(document.id) {
        Some(text) => Ok((document, text)),
        None => Err(DataError::Changed { file: file.clone() }),
    })))
}

/// The texts of a split as [`texts`] gives them, so many at a time that they take about [`WINDOW_BYTES`].
pub(crate) struct TextWindows<'a> {
    texts: SplitTexts<'a>,
}

impl<'a> TextWindows<'a> {
    pub(crate) fn new(texts: SplitTexts<'a>) -> Self {
        Self { texts }
    }
}

impl Iterator for TextWindows<'_> {
    type Item = Result<Vec<(Document, String)>, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (mut window, mut bytes) = (Vec::new(), 0);
        while bytes < WINDOW_BYTES {
            match self.texts.next() {
                Some(Ok((document, text))) => {
                    bytes += text.len();
                    window.push((document, text));
                }
                Some(Err(error)) => return Some(Err(error)),
                None => break,
            }
        }
        (!window.is_empty()).then_some(Ok(window))
    }
}

/// The rows of a table that was read before, with their numbers.
pub(super) struct RowsAgain<'a> {
    rows: Peekable<Box<dyn Iterator<Item = (u32, Result<Cells, TableError>)> + 'a>>,
}

impl<'a> RowsAgain<'a> {
    pub(super) fn new(table: Table<'a>) -> Self {
        let rows: Box<dyn Iterator<Item = _> + 'a> = Box::new((1..).zip(table.rows));
        Self { rows: rows.peekable() }
    }

    /// The text of the row `id`; rows before it are passed over, so that ids must rise. `None` if there is no such row.
    fn text_of(&mut self, id: u32) -> Option<String> {
        while self.rows.next_if(|(row, _)| *row < id).is_some() {}
        let (_, cells) = self.rows.next_if(|(row, _)| *row == id)?;
        cells.ok().map(|cells| cells.text)
    }
}

impl Iterator for RowsAgain<'_> {
    type Item = (u32, Cells);

    /// The next row that can be read.
    fn next(&mut self) -> Option<(u32, Cells)> {
        loop {
            match self.rows.next()? {
                (id, Ok(cells)) => return Some((id, cells)),
                (_, Err(error)) if error.is_of_one_row() => {}
                (_, Err(_)) => return None,
            }
        }
    }
}
