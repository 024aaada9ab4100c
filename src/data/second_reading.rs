//! The second reading of the files, when their classes and the documents of the splits are known: it gives the digest of
//! each split, and finds texts in quotes that hold rows.

use std::{collections::HashMap, iter::Peekable, slice};

use super::{
    cells::{Cells, Shape},
    dataset::Document,
    digest::DocumentsDigest,
    error::{DataError, DataFile},
    labels,
    open::stamp,
    read::{self, FileReading},
    reviews,
    row_fault::RowFault,
    spec::DataSpec,
    texts::RowsAgain,
};

/// Files that were read once.
#[derive(Clone, Copy)]
pub(super) struct ReadFiles<'a> {
    pub(super) spec: &'a DataSpec,
    pub(super) files: &'a [DataFile],
    pub(super) readings: &'a [FileReading],
    /// Rows of the training file, behind which those of the validation file are numbered if both are folded.
    pub(super) train_rows: u32,
}

/// What the second reading shows.
#[derive(Default)]
pub(super) struct SecondReading {
    /// By split.
    pub(super) digests: [String; 3],
    /// Texts that hold rows, and nothing but rows.
    pub(super) faults: Vec<DataError>,
    /// Texts that hold rows among other lines.
    pub(super) notes: Vec<String>,
}

/// Reads the files again for the documents of `splits`, which are in the order of their rows.
///
/// # Errors
/// When a file cannot be read, or is not what it was.
pub(super) fn read_again(
    read: ReadFiles<'_>,
    labels: &[String],
    splits: [&[Document]; 3],
) -> Result<SecondReading, DataError> {
    let known = labels::indices(labels);
    let mut digests = splits.map(|documents| SplitDigest::new(documents, labels));
    let mut found = SecondReading::default();
    for (index, (file, reading)) in read.files.iter().zip(read.readings).enumerate() {
        let changed = || DataError::Changed { file: file.clone() };
        let FileDocuments { splits, before, is_last } = read.documents_of(index);
        let of_file = &mut digests[splits];
        let looks_for_rows = reading.shape.filter(|_| reading.has_breaks);
        let table = read::open(file, read.spec, reading.quotes);
        for (id, cells) in RowsAgain::new(table.map_err(|mut faults| faults.swap_remove(0))?) {
            if let Some(shape) = looks_for_rows {
                found.look_for_rows(file, &cells, shape, &known);
            } else if of_file.iter_mut().all(SplitDigest::is_complete) {
                break;
            }
            for digest in of_file.iter_mut() {
                digest.add(id + before, &cells.text);
            }
        }
        let is_missing = is_last && !of_file.iter_mut().all(SplitDigest::is_complete);
        if is_missing || stamp(&file.path) != reading.stamp {
            return Err(changed());
        }
    }
    if read.files.is_empty() {
        for review in reviews::generate(read.spec.seed, reviews::DOCUMENTS) {
            for digest in &mut digests {
                digest.add(review.id, &review.text);
            }
        }
    }
    found.digests = digests.map(|digest| digest.digest.finish());
    Ok(found)
}

/// Which documents a file has.
struct FileDocuments {
    /// Their splits.
    splits: std::ops::RangeInclusive<usize>,
    /// Rows of the files before that have documents of the same split.
    before: u32,
    /// Whether no file behind it has documents of these splits.
    is_last: bool,
}

impl ReadFiles<'_> {
    /// Which documents the file with this index has.
    fn documents_of(&self, index: usize) -> FileDocuments {
        let (files, is_folded) = (self.files.len(), self.spec.folds.is_some());
        let splits = match index {
            _ if files == 1 => 0..=2,
            _ if index + 1 == files => 2..=2,
            _ if is_folded => 0..=0,
            _ => index..=index,
        };
        let before = if is_folded && index == 1 && files == 3 { self.train_rows } else { 0 };
        FileDocuments { splits, before, is_last: !(is_folded && index == 0 && files == 3) }
    }
}

impl SecondReading {
    /// Looks for rows within a text in quotes: a fault if all of its lines look like rows, else a note.
    fn look_for_rows(&mut self, file: &DataFile, cells: &Cells, shape: Shape, known: &HashMap<&str, u32>) {
        let Cells { at, text, .. } = cells;
        if !text.contains('\n') {
            return;
        }
        let rows = shape.rows_within(text, |label| known.contains_key(label));
        if rows > 1 && rows + 1 == text.lines().count() {
            let fault = Box::new(RowFault::Melted { rows });
            self.faults.push(DataError::Row { file: file.clone(), at: *at, fault });
        } else if rows > 0 {
            self.notes.push(format!(
                "warning: the text in quotes on {at} of {file} holds {rows} line{} written as rows are; is a quote \
                 missing?",
                if rows == 1 { "" } else { "s" },
            ));
        }
    }
}

/// The digest of a split while its texts come by.
struct SplitDigest<'a> {
    documents: Peekable<slice::Iter<'a, Document>>,
    digest: DocumentsDigest<'a>,
}

impl<'a> SplitDigest<'a> {
    fn new(documents: &'a [Document], labels: &'a [String]) -> Self {
        Self { documents: documents.iter().peekable(), digest: DocumentsDigest::new(labels) }
    }

    /// Adds the text of the row `id`, if the split has it.
    fn add(&mut self, id: u32, text: &str) {
        if let Some(document) = self.documents.next_if(|document| document.id == id) {
            self.digest.add(*document, text);
        }
    }

    fn is_complete(&mut self) -> bool {
        self.documents.peek().is_none()
    }
}
