//! How delimited text is written: what separates columns, and what a quote means.

use serde::{Deserialize, Serialize};

/// How records are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dialect {
    /// The byte between two fields.
    pub(super) separator: u8,
    pub(super) quotes: Quotes,
}

/// What a quote means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Quotes {
    /// A field may stand in quotes; a quote within it is written twice (RFC 4180).
    #[default]
    Doubled,
    /// A field may stand in quotes; a quote within it is written behind a backslash.
    Backslash,
    /// A quote is a character like any other.
    Literal,
}

/// What quotes mean in each file of a data set, in the order of the files; empty for data without files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Dialects(pub(super) Vec<Quotes>);

impl Dialects {
    /// What quotes mean in the file with this index.
    pub(super) fn of(&self, file: usize) -> Quotes {
        self.0.get(file).copied().unwrap_or_default()
    }
}
