//! Texts of the test set, a few at a time, for people who look at single documents.
//!
//! They are shown only while the files hold the documents that were measured: the whole data set is loaded again, and the
//! digest of its test set compared.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use super::{
    dataset::Document,
    dialect::Dialects,
    error::DataError,
    load::load,
    open::{Stamp, stamp},
    spec::{DataSpec, SplitName},
    texts::{files, texts},
};

/// Why texts of the test set cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum NoTexts {
    /// The data cannot be loaded.
    #[error("the data cannot be read any more")]
    Unreadable(#[from] DataError),
    /// The data is not what it was.
    #[error("the data files have changed since the trials were planned")]
    Changed,
}

/// The test set of a data spec, whose texts can be read again.
pub struct TestTexts {
    spec: DataSpec,
    dialects: Dialects,
    documents: Vec<Document>,
    stamps: Vec<Option<Stamp>>,
}

impl TestTexts {
    /// Loads the data that `spec` names. `digest` is that of the test set when it was measured, if it is known.
    ///
    /// # Errors
    /// When the data cannot be loaded, or has another test set.
    pub fn open(spec: &DataSpec, digest: Option<&str>) -> Result<Self, NoTexts> {
        let stamps = stamps(spec);
        let dataset = load(spec)?;
        let [_, _, found] = &dataset.digests;
        if digest.is_some_and(|digest| digest != found) {
            return Err(NoTexts::Changed);
        }
        Ok(Self { spec: spec.clone(), dialects: dataset.dialects, documents: dataset.test, stamps })
    }

    /// The texts of the test documents with these ids.
    ///
    /// # Errors
    /// When a file cannot be read, or has changed since [`Self::open`].
    pub fn of(&self, ids: &BTreeSet<u64>) -> Result<BTreeMap<u64, String>, NoTexts> {
        if stamps(&self.spec) != self.stamps {
            return Err(NoTexts::Changed);
        }
        let wanted = self.documents.iter().copied().filter(|document| ids.contains(&u64::from(document.id)));
        let texts = texts(&self.spec, &self.dialects, SplitName::Test, wanted)?;
        Ok(texts
            .map(|text| text.map(|(document, text)| (u64::from(document.id), text)))
            .collect::<Result<_, _>>()?)
    }
}

/// The stamps of the files of `spec`.
fn stamps(spec: &DataSpec) -> Vec<Option<Stamp>> {
    files(&spec.source).0.iter().map(|file| stamp(&file.path)).collect()
}

/// The bytes of the files of `spec`, without those that are gone.
#[must_use]
pub fn bytes(spec: &DataSpec) -> u64 {
    let length = |path: &Path| stamp(path).map_or(0, |(length, _)| length);
    files(&spec.source).0.iter().map(|file| length(&file.path)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        data::{Shares, Source},
        samples,
    };

    /// A file with 40 rows, and the spec that names it.
    fn file() -> (tempfile::TempDir, DataSpec) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        let rows: Vec<String> = (1..=40).map(|row| format!("text {row},{}\n", row % 2)).collect();
        std::fs::write(&path, format!("text,label\n{}", rows.concat())).unwrap();
        (folder, samples::data_spec(Source::Single { path, split: Shares::default() }))
    }

    #[test]
    fn a_text_is_found_by_the_number_of_its_row() {
        let (_folder, spec) = file();
        let texts = TestTexts::open(&spec, None).unwrap();
        let id = u64::from(texts.documents[1].id);
        let found = texts.of(&BTreeSet::from([id])).unwrap();
        assert_eq!(found, BTreeMap::from([(id, format!("text {id}"))]));
    }

    #[test]
    fn another_test_set_than_the_measured_one_has_no_texts() {
        let (_folder, spec) = file();
        assert!(matches!(TestTexts::open(&spec, Some("another")), Err(NoTexts::Changed)));
    }

    #[test]
    fn a_file_that_was_written_again_has_no_texts() {
        let (folder, spec) = file();
        let texts = TestTexts::open(&spec, None).unwrap();
        std::fs::write(folder.path().join("a.csv"), "text,label\na,0\nb,1\n").unwrap();
        assert!(matches!(texts.of(&BTreeSet::from([1])), Err(NoTexts::Changed)));
    }

    #[test]
    fn data_that_is_gone_has_no_texts() {
        let (folder, spec) = file();
        drop(folder);
        assert!(matches!(TestTexts::open(&spec, None), Err(NoTexts::Unreadable(_))));
    }
}
