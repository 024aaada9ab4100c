//! The texts of a data set, read again from its files: they are too large to stay in memory.

use std::{iter::Peekable, ops::RangeInclusive, path::PathBuf};

use super::{
    cells::{Cells, Table},
    dataset::Document,
    dialect::Dialects,
    error::{DataError, DataFile, TableError},
    read, reviews,
    spec::{DataSpec, Shares, Source, SplitName},
};

/// Bytes of the texts of a window. A tokenizer needs some 40 times as much memory for them.
const WINDOW_BYTES: usize = 1 << 20;

/// The files of `source`, and the shares of a file that is divided.
pub(super) fn files(source: &Source) -> (Vec<DataFile>, Option<Shares>) {
    let file = |path: &PathBuf, key| DataFile { path: path.clone(), key };
    match source {
        Source::Files { train, validation, test } => {
            let train = file(train, "data.train");
            let validation = validation.as_ref().map(|validation| file(validation, "data.validation"));
            let files = std::iter::once(train).chain(validation).chain([file(test, "data.test")]);
            (files.collect(), None)
        }
        Source::Single { path, split } => (vec![file(path, "data.path")], Some(*split)),
        Source::Reviews { .. } => (Vec::new(), None),
    }
}

/// The texts of a split in order, each with its document.
pub(crate) type SplitTexts<'a> = Box<dyn Iterator<Item = Result<(Document, String), DataError>> + 'a>;

/// The texts of `documents`, those of the split `name` of the data set that `spec` names. They are read while they are
/// taken. With folds, all that are folded are those of train.
///
/// # Errors
/// When a file cannot be read; the iterator's, when its rows are others than before.
pub(crate) fn texts<'a>(
    spec: &DataSpec,
    dialects: &Dialects,
    name: SplitName,
    documents: impl Iterator<Item = Document> + 'a,
) -> Result<SplitTexts<'a>, DataError> {
    let is_folded = spec.folds.is_some() && name == SplitName::Train;
    let both = matches!(spec.source, Source::Files { validation: Some(_), .. });
    let index = file_of(spec, name);
    texts_of_files(spec, dialects, if is_folded && both { 0..=1 } else { index..=index }, documents)
}

/// The place of the file that has the split, among the files of `spec`.
fn file_of(spec: &DataSpec, name: SplitName) -> usize {
    (name as usize).min(spec.source.files().len().saturating_sub(1))
}

/// The texts of `documents` of one file: that of the split `name`, before any is folded.
///
/// # Errors
/// As those of [`texts`].
pub(super) fn texts_of_split<'a>(
    spec: &DataSpec,
    dialects: &Dialects,
    name: SplitName,
    documents: impl Iterator<Item = Document> + 'a,
) -> Result<SplitTexts<'a>, DataError> {
    let index = file_of(spec, name);
    texts_of_files(spec, dialects, index..=index, documents)
}

/// The texts of `documents` of the files with these indices, whose rows are numbered on from one to the next.
fn texts_of_files<'a>(
    spec: &DataSpec,
    dialects: &Dialects,
    indices: RangeInclusive<usize>,
    documents: impl Iterator<Item = Document> + 'a,
) -> Result<SplitTexts<'a>, DataError> {
    let (files, _) = files(&spec.source);
    let Some(file) = files.get(*indices.start()).cloned() else {
        let mut reviews = reviews::generate(spec.seed, reviews::DOCUMENTS).into_iter();
        return Ok(Box::new(documents.filter_map(move |document| {
            reviews.find(|review| review.id == document.id).map(|review| Ok((document, review.text)))
        })));
    };
    let mut tables = Vec::new();
    for index in indices {
        let Some(file) = files.get(index) else { continue };
        tables.push(read::open(file, spec, dialects.of(index)).map_err(|mut faults| faults.swap_remove(0))?);
    }
    let mut rows = RowsAgain::of(tables);
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

/// The rows of a table, with their numbers.
type NumberedRows<'a> = Box<dyn Iterator<Item = (u32, Result<Cells, TableError>)> + 'a>;

/// The rows of a table that was read before.
pub(super) struct RowsAgain<'a> {
    rows: Peekable<NumberedRows<'a>>,
}

impl<'a> RowsAgain<'a> {
    pub(super) fn new(table: Table<'a>) -> Self {
        Self::of(vec![table])
    }

    /// The rows of several tables, one after another, as those of one.
    fn of(tables: Vec<Table<'a>>) -> Self {
        let rows: NumberedRows<'a> = Box::new((1..).zip(tables.into_iter().flat_map(|table| table.rows)));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{data::load, samples};

    /// A file of so many rows, and the spec that names it.
    fn with_rows(rows: usize, text: &str) -> (tempfile::TempDir, DataSpec) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        let rows: Vec<String> = (0..rows).map(|row| format!("{row} {text},{}\n", row % 2)).collect();
        std::fs::write(&path, format!("text,label\n{}", rows.concat())).unwrap();
        let spec = samples::data_spec(Source::Single { path, split: Shares::default() });
        (folder, spec)
    }

    fn of_train(spec: &DataSpec, documents: &[Document]) -> Result<Vec<String>, DataError> {
        let texts = texts(spec, &Dialects::default(), SplitName::Train, documents.iter().copied())?;
        texts.map(|next| next.map(|(_, text)| text)).collect()
    }

    #[test]
    fn the_texts_of_a_split_are_those_of_its_rows() {
        let (_folder, spec) = with_rows(20, "good");
        let dataset = load(&spec).unwrap();
        let expected: Vec<String> =
            dataset.train.iter().map(|document| format!("{} good", document.id - 1)).collect();
        assert_eq!(of_train(&spec, &dataset.train).unwrap(), expected);
    }

    #[test]
    fn a_file_that_lost_rows_has_changed() {
        let (folder, spec) = with_rows(20, "good");
        let dataset = load(&spec).unwrap();
        std::fs::write(folder.path().join("a.csv"), "text,label\na,1\nb,0\n").unwrap();
        assert!(matches!(of_train(&spec, &dataset.train), Err(DataError::Changed { .. })));
    }

    #[test]
    fn texts_come_in_windows() {
        let (_folder, spec) = with_rows(60, &"a".repeat(WINDOW_BYTES / 10));
        let dataset = load(&spec).unwrap();
        let texts = texts(&spec, &dataset.dialects, SplitName::Train, dataset.train.iter().copied()).unwrap();
        let sizes: Vec<usize> = TextWindows::new(texts).map(|window| window.unwrap().len()).collect();
        assert_eq!(sizes.iter().sum::<usize>(), dataset.train.len());
        assert!(sizes.iter().all(|size| *size <= 10) && sizes.len() > 3, "{sizes:?}");
    }
}
