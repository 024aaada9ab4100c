//! Why texts could not be tokenised.

use super::tokenizer::TokenizerError;
use crate::{
    data::{SplitName, TEXT_BYTES_MAX},
    display::plain,
};

/// Characters of a text that a message shows.
const SHOWN_MAX: usize = 40;

/// Why texts could not be tokenised.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// The tokenizer could not be opened.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// A text could not be tokenised.
    #[error("{place} cannot be tokenised")]
    Text {
        /// Its place among the texts.
        index: usize,
        /// Which text it is, for people.
        place: String,
        /// What is wrong with it.
        source: TextFault,
    },
    /// A chunk has no room for text.
    #[error("a chunk of {length} tokens has no room beside {special} special tokens")]
    NoRoom {
        /// The chunk length.
        length: usize,
        /// Special tokens of each chunk.
        special: usize,
    },
}

/// Why a text could not be tokenised.
#[derive(Debug, thiserror::Error)]
pub enum TextFault {
    /// The tokenizers library has an error.
    #[error("the tokenizer failed")]
    Library {
        /// Its error.
        source: tokenizers::Error,
    },
    /// The tokenizers library panicked.
    #[error("the tokenizer failed with {message:?}")]
    Panicked {
        /// What it said.
        message: String,
    },
    /// The text is longer than any that can be classified in reasonable time and memory.
    #[error("it has {bytes} bytes, more than {} MiB; cut it, or leave it out", TEXT_BYTES_MAX >> 20)]
    Long {
        /// Its bytes.
        bytes: usize,
    },
    /// The normalizer makes the text too long.
    #[error("the tokenizer's normalizer may make more than {} MiB of its {bytes} bytes; cut it, or leave it out", max >> 20)]
    Normalized {
        /// The bytes of the text.
        bytes: usize,
        /// The largest number of bytes once it is normalized.
        max: usize,
    },
    /// The text's chunks overlap so much that they are too long together.
    #[error(
        "its chunks together have {tokens} tokens, more than {max}; set `max_chunks` or lower `chunk_stride` in [text]"
    )]
    Chunks {
        /// Tokens of all its chunks.
        tokens: usize,
        /// The largest number of them.
        max: usize,
    },
}

impl TextFault {
    /// Whether the text is at fault, not the tokenizer.
    pub(crate) const fn is_of_text(&self) -> bool {
        match self {
            Self::Library { .. } | Self::Panicked { .. } => false,
            Self::Long { .. } | Self::Normalized { .. } | Self::Chunks { .. } => true,
        }
    }
}

impl TextError {
    /// What to do where the tokenizer fails at a text; empty where the message says it.
    #[must_use]
    pub const fn advice(&self) -> &'static str {
        match self {
            Self::Text { source, .. } if !source.is_of_text() => {
                "; choose another model, or leave the text out"
            }
            Self::Text { .. } | Self::Tokenizer(_) | Self::NoRoom { .. } => "",
        }
    }

    /// The error for `text`, which is the text with this index.
    pub(super) fn of(index: usize, text: &str, source: TextFault) -> Self {
        let mut start = text.trim_start().chars();
        let shown = plain(&start.by_ref().take(SHOWN_MAX).collect::<String>());
        let more = if start.next().is_some() { "…" } else { "" };
        Self::Text { index, place: format!("the text \"{shown}{more}\""), source }
    }

    /// Names the row of the text at fault. `row`: the row of the text with an index.
    #[must_use]
    pub fn in_rows(self, split: SplitName, row: impl Fn(usize) -> Option<usize>) -> Self {
        match self {
            Self::Text { index, place, source } => {
                let row = row(index).map_or_else(String::new, |row| format!("row {row} of {split}, "));
                Self::Text { index, place: format!("{row}{place}"), source }
            }
            error @ (Self::Tokenizer(_) | Self::NoRoom { .. }) => error,
        }
    }
}
