//! The `[data]` section of a spec: where documents come from, how they are read and divided.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::metrics::Average;

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
    /// The average that counts with more than two classes; `None` when the spec does not name one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average: Option<Average>,
    /// The encoding of the files, such as `gb18030`; `None` when they are in UTF-8 or UTF-16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
    /// How texts of validation or test that also stand in train are handled.
    pub duplicates: Duplicates,
    /// How texts that are alike, but not equal, are handled.
    #[serde(default, skip_serializing_if = "Alike::is_default")]
    pub alike: Alike,
    /// The column whose documents with the same value belong together, such as those of one product.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The largest number of documents of each split.
    pub limit: Limit,
    /// Parts of equal size into which train and validation together are divided, each of which is validated on once;
    /// `None` where train and validation are those of the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folds: Option<u32>,
    /// Seeds the split, the limit and the folds.
    pub seed: u64,
}

impl DataSpec {
    /// Whether the positive class of a binary task would be a guess: the spec names none, and the classes are not
    /// our own.
    #[must_use]
    pub fn guesses_positive(&self) -> bool {
        self.positive.is_none() && !matches!(self.source, Source::Reviews { .. })
    }
}

/// The files of a data set.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// One file for each split.
    Files {
        /// Training set.
        train: PathBuf,
        /// Validation set; `None` only with folds, which need none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        validation: Option<PathBuf>,
        /// Test set.
        test: PathBuf,
    },
    /// One file, divided by this program: stratified by label, seeded.
    Single {
        /// The file.
        path: PathBuf,
        /// The shares.
        split: Shares,
    },
    /// The generated reviews of `builtin:reviews`, divided by this program.
    Reviews {
        /// The shares.
        split: Shares,
    },
}

impl Source {
    /// Its files: that of train first, that of test last; none for generated reviews.
    #[must_use]
    pub fn files(&self) -> Vec<&PathBuf> {
        match self {
            Self::Files { train, validation, test } => {
                std::iter::once(train).chain(validation).chain([test]).collect()
            }
            Self::Single { path, .. } => vec![path],
            Self::Reviews { .. } => Vec::new(),
        }
    }

    /// The paths of its files for messages; the name of data without files.
    #[must_use]
    pub fn paths(&self) -> Vec<String> {
        match self {
            Self::Files { .. } | Self::Single { .. } => {
                self.files().iter().map(|path| path.display().to_string()).collect()
            }
            Self::Reviews { .. } => vec!["builtin:reviews".to_owned()],
        }
    }
}

/// Shares of the splits in thousandths of a percent, so that shares compare and hash; they sum to
/// [`Shares::WHOLE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are documentation enough")]
pub struct Shares {
    pub train: u32,
    pub validation: u32,
    pub test: u32,
}

impl Shares {
    /// The sum of the three shares.
    pub const WHOLE: u32 = 100_000;
}

impl Default for Shares {
    fn default() -> Self {
        Self { train: 70_000, validation: 15_000, test: 15_000 }
    }
}

/// One of the three splits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are documentation enough")]
pub enum SplitName {
    Train,
    Validation,
    Test,
}

impl SplitName {
    /// All three, in the order in which people list them.
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

/// How a text of validation or test that also stands in train is handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Duplicates {
    /// The text is dropped from train, and a text of test also from validation.
    Drop,
    /// The spec is refused.
    Error,
    /// The text stays and is counted.
    Keep,
}

/// How texts of two splits that are alike, but not equal, are handled. The text of the earlier split is the one that is
/// dropped; a text of test never is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Alike {
    /// Texts that are equal but for Unicode width, case, punctuation and white space.
    pub normalised: Duplicates,
    /// Near duplicates; `None` if they are not looked for.
    pub near: Option<Duplicates>,
    /// The Jaccard similarity from which on texts are near duplicates, in thousandths.
    pub near_threshold: u32,
}

impl Default for Alike {
    fn default() -> Self {
        Self { normalised: Duplicates::Keep, near: Some(Duplicates::Keep), near_threshold: 700 }
    }
}

impl Alike {
    /// Whether it says nothing that a spec would not say without it.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the documents depend on which texts are alike.
    #[must_use]
    pub fn decides(&self) -> bool {
        self.normalised != Duplicates::Keep || self.near.is_some_and(|near| near != Duplicates::Keep)
    }
}

/// The largest number of documents of each split; a stratified, seeded subset is taken of a larger split.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are documentation enough")]
pub struct Limit {
    pub train: Option<usize>,
    pub validation: Option<usize>,
    pub test: Option<usize>,
}

impl Limit {
    /// The limit of one split.
    pub(super) const fn of(&self, name: SplitName) -> Option<usize> {
        match name {
            SplitName::Train => self.train,
            SplitName::Validation => self.validation,
            SplitName::Test => self.test,
        }
    }
}
