//! The kinds of cache entries.

use serde::{Deserialize, Serialize};

/// What an entry holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Ids and classes of the documents of a data set.
    Documents,
    /// Token ids of a split's chunks.
    Text,
    /// Hidden states of every token after the frozen layers.
    Hidden,
    /// The pooled output of a wholly frozen encoder, one row for each chunk.
    Pooled,
}

impl Kind {
    /// Its name in listings.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Documents => "documents",
            Self::Text => "text",
            Self::Hidden => "hidden",
            Self::Pooled => "pooled",
        }
    }
}
