//! The digest of a split: SHA-256 of its documents' ids, texts and labels, computed while the texts are read.

use sha2::{Digest, Sha256};

use super::dataset::Document;

/// The digest of documents that come one after another.
pub(crate) struct DocumentsDigest<'a> {
    hash: Sha256,
    labels: &'a [String],
}

impl<'a> DocumentsDigest<'a> {
    /// The digest of no document; `labels` are the names of the classes.
    pub(crate) fn new(labels: &'a [String]) -> Self {
        Self { hash: Sha256::new(), labels }
    }

    /// Adds the next document.
    pub(crate) fn add(&mut self, document: Document, text: &str) {
        self.hash.update(u64::from(document.id).to_le_bytes());
        self.add_part(text.as_bytes());
        let label = self.labels.get(document.label as usize).map_or(&[][..], |label| label.as_bytes());
        self.add_part(label);
    }

    /// Adds `part` after its length, so that different lists of parts give different bytes.
    fn add_part(&mut self, part: &[u8]) {
        self.hash.update((part.len() as u64).to_le_bytes());
        self.hash.update(part);
    }

    /// The digest, as hexadecimal digits.
    pub(crate) fn finish(self) -> String {
        format!("{:x}", self.hash.finalize())
    }
}

/// The digest of the fold of each document, in the order of the documents, as hexadecimal digits.
pub(super) fn folds_digest(folds: &[u32]) -> String {
    let mut hash = Sha256::new();
    for fold in folds {
        hash.update(fold.to_le_bytes());
    }
    format!("{:x}", hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The digest of documents of an id, a text and a label each.
    fn digest(documents: &[(u32, &str, u32)]) -> String {
        let labels = ["bad".to_owned(), "good".to_owned()];
        let mut digest = DocumentsDigest::new(&labels);
        for &(id, text, label) in documents {
            digest.add(Document { id, label }, text);
        }
        digest.finish()
    }

    #[test]
    fn a_digest_of_documents_depends_on_their_ids_texts_and_labels() {
        let before = digest(&[(1, "ab", 0), (2, "c", 1)]);
        assert_eq!(before, digest(&[(1, "ab", 0), (2, "c", 1)]));
        for other in [[(1, "ab!", 0), (2, "c", 1)], [(1, "ab", 1), (2, "c", 1)], [(9, "ab", 0), (2, "c", 1)]]
        {
            assert_ne!(before, digest(&other));
        }
        assert_ne!(before, digest(&[(1, "ab", 0)]));
    }

    #[test]
    fn a_digest_of_documents_is_that_of_earlier_versions() {
        // Plans hold these digests: with others, no result of before would be used again.
        let expected = "edb0756fe07fc07475ff9c68b8edddd262fcebfe0b588efa9e7bfe6c4fd53dd7";
        assert_eq!(digest(&[(1, "ab", 0), (2, "c", 1)]), expected);
    }
}
