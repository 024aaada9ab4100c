//! Why a picture or a page could not be made.

use std::{io, path::PathBuf};

use crate::trial::TrialId;

/// Why a picture or a page could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The trial lacks the data that the picture shows.
    #[error("trial {trial} has no {what} to draw")]
    NothingToDraw {
        /// The trial.
        trial: TrialId,
        /// The data that it lacks.
        what: &'static str,
    },
    /// A shape could not be drawn, which is a bug.
    #[error("drawing a picture: {message}")]
    Drawing {
        /// The message of the drawing library.
        message: String,
    },
    /// The picture could not be encoded.
    #[error("encoding a picture")]
    Encoding(#[source] png::EncodingError),
    /// The file could not be written.
    #[error("writing {}", path.display())]
    Writing {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}
