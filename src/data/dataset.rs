//! The documents of a data set, as trials are trained on them. Their texts stay in their files.

use crate::metrics::{ClassCounts, Target};

use super::{dialect::Dialects, leak_report::LeakReport, spec::SplitName};

/// One labelled text. The text itself is read from its file when it is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its row in its file, from 1 without the header, or its number in the generator.
    pub id: u32,
    /// Index into [`Dataset::labels`].
    pub label: u32,
}

/// The documents of the three splits.
///
/// With folds, all documents that are folded stand in `train`, and `validation` is empty. Rows of a validation file are
/// numbered on behind those of the training file then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// Class names, sorted (as numbers when all are numbers).
    pub labels: Vec<String>,
    /// Which F1 counts: the positive class's, or with more than two classes an average.
    pub target: Target,
    /// Training set.
    pub train: Vec<Document>,
    /// Validation set.
    pub validation: Vec<Document>,
    /// Test set.
    pub test: Vec<Document>,
    /// The fold of each document of `train`, from 1; empty without folds.
    pub folds: Vec<u32>,
    /// Texts that stood in two splits, and how many of them were dropped.
    pub leaks: Leaks,
    /// What else is alike, contradictory or nearly empty; `None` where nobody asked for it.
    pub report: Option<LeakReport>,
    /// What a reader of its figures must know about how it was read, and about its labels: whole sentences.
    pub notes: Vec<String>,
    /// By split: SHA-256 of its documents: ids, texts and labels. With folds, that of validation is the digest of the
    /// folds.
    pub digests: [String; 3],
    /// How the files are read, which their texts are read with again.
    pub(crate) dialects: Dialects,
}

impl Dataset {
    /// The documents of one split.
    #[must_use]
    pub fn split(&self, name: SplitName) -> &[Document] {
        match name {
            SplitName::Train => &self.train,
            SplitName::Validation => &self.validation,
            SplitName::Test => &self.test,
        }
    }

    /// The documents of each class in each split.
    #[must_use]
    pub fn counts(&self) -> ClassCounts {
        let counts = |documents: &[Document]| {
            let mut counts = vec![0; self.labels.len()];
            for document in documents {
                counts[document.label as usize] += 1;
            }
            counts
        };
        let is_folded = !self.folds.is_empty();
        ClassCounts {
            train: counts(&self.train),
            validation: if is_folded { Vec::new() } else { counts(&self.validation) },
            test: counts(&self.test),
            folds: self.fold_counts(),
        }
    }

    /// Documents that a trial trains on: all of train, but for those of the fold that it validates on.
    #[must_use]
    pub fn trained_on(&self, fold: Option<u32>) -> usize {
        let held_out = self.folds.iter().filter(|own| Some(**own) == fold).count();
        self.train.len() - held_out
    }

    /// By fold: its documents of each class; empty without folds.
    fn fold_counts(&self) -> Vec<Vec<usize>> {
        let folds = self.folds.iter().max().map_or(0, |fold| *fold as usize);
        let mut counts = vec![vec![0; self.labels.len()]; folds];
        for (document, fold) in self.train.iter().zip(&self.folds) {
            counts[*fold as usize - 1][document.label as usize] += 1;
        }
        counts
    }
}

/// Texts that stand in two splits (compared with surrounding and repeated white space ignored).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leaks {
    /// Training documents whose text stands in validation.
    pub train_validation: usize,
    /// Training documents whose text stands in test.
    pub train_test: usize,
    /// Validation documents whose text stands in test.
    pub validation_test: usize,
    /// Training documents dropped.
    pub train_dropped: usize,
    /// Validation documents dropped.
    pub validation_dropped: usize,
    /// Training documents dropped after those, since they are like others without having the same text.
    pub train_alike_dropped: usize,
    /// Validation documents dropped for the same reason.
    pub validation_alike_dropped: usize,
    /// With folds: documents whose text stands in another fold too.
    pub across_folds: usize,
    /// With folds: documents that are in one fold with others, since they are alike or of one group.
    pub bundled: usize,
}

impl Leaks {
    /// Documents dropped from each split.
    #[must_use]
    pub const fn dropped(&self) -> [usize; 3] {
        let train = self.train_dropped + self.train_alike_dropped;
        [train, self.validation_dropped + self.validation_alike_dropped, 0]
    }
}
