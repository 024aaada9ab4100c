//! Data: what a spec says of it, and the documents that come of that.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::metrics::{Average, Target};

mod duplicates;
mod error;
mod load;
mod records;
pub mod reviews;
pub(crate) mod split;
pub(crate) mod table;

pub use error::{DataError, DataFile, MissingColumn, RowFault, TableError};
pub use load::{examine, load};
pub use table::TableFormat;

/// Where documents come from and how they are read. Paths are absolute once a spec was read.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DataSpec {
    /// The files.
    pub source: Source,
    /// The column with the text.
    pub text: String,
    /// The column with the label.
    pub label: String,
    /// The class whose F1 counts in a binary task.
    pub positive: Option<String>,
    /// The average that counts with more than two classes, if the spec says one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average: Option<Average>,
    /// What is done about texts of validation or test that stand in train too.
    pub duplicates: Duplicates,
    /// Documents kept of each split.
    pub limit: Limit,
    /// Seeds the split and the limit.
    pub seed: u64,
}

/// The files of a data set.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// One file a split.
    Files {
        /// Training set.
        train: PathBuf,
        /// Validation set.
        validation: PathBuf,
        /// Test set.
        test: PathBuf,
    },
    /// One file, split by us: stratified by label, seeded.
    Single {
        /// The file.
        path: PathBuf,
        /// The shares.
        split: Split,
    },
    /// `builtin:reviews`, split by us.
    Reviews {
        /// The shares.
        split: Split,
    },
}

/// Shares of the splits in thousandths of a percent (so that they compare and hash); they sum to 100,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Split {
    pub train: u32,
    pub validation: u32,
    pub test: u32,
}

impl Default for Split {
    fn default() -> Self {
        Self { train: 70_000, validation: 15_000, test: 15_000 }
    }
}

/// One of the three splits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum SplitName {
    Train,
    Validation,
    Test,
}

impl SplitName {
    /// All three, in the order in which they are told.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// Its name in a spec.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

impl std::fmt::Display for SplitName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is done about a text of validation or test that stands in train too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Duplicates {
    /// It is dropped from train (and from validation, if it stands in test).
    Drop,
    /// The spec is refused.
    Error,
    /// It stays, counted.
    Keep,
}

/// The largest number of documents of each split; a stratified, seeded subset is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Limit {
    pub train: Option<usize>,
    pub validation: Option<usize>,
    pub test: Option<usize>,
}

/// One labelled text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its row in the file it came from, from 1 without the header, or its number in the generator.
    pub id: usize,
    /// The text.
    pub text: String,
    /// Index into [`Dataset::labels`].
    pub label: usize,
}

/// The documents of the three splits.
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
    /// What was dropped or found on the way.
    pub leaks: Leaks,
}

impl Dataset {
    /// Training documents of each class, in the order of `labels`.
    #[must_use]
    pub fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.labels.len()];
        self.train.iter().for_each(|document| counts[document.label] += 1);
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
}
