//! `sweep predict`: texts in, classes and probabilities out, a window at a time.
//!
//! A window is read, classified in batches of like length, and written in the order of the
//! input before the next one is read: memory does not grow with the input, and a pipe shows
//! results early. The first windows are small and each is twice the one before, since a large
//! model takes minutes for a large one.

use std::io::{self, Write};

use crate::{
    data::TableError,
    error_chain::with_causes,
    train::{Exported, Session, TrainError},
};

mod input;
mod output;

pub use input::Texts;
pub use output::Format;
use output::Output;

/// Texts of the first window, and of the largest.
const WINDOW: (usize, usize) = (32, 2_048);
/// Bytes of text after which a window is full, however few its texts are.
const WINDOW_BYTES: usize = 4 << 20;

/// Why texts could not be classified.
#[derive(Debug, thiserror::Error)]
pub enum PredictError {
    /// The model failed.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The input cannot be read on.
    #[error("{input}: {}{}", with_causes(error), input::help(error))]
    Input {
        /// The file, or standard input.
        input: String,
        /// What is wrong with it, and where.
        error: TableError,
    },
    /// An argument holds no text.
    #[error("text {number} is empty; give each text in quotes")]
    EmptyText {
        /// From 1.
        number: usize,
    },
    /// The results could not be written.
    #[error("writing the results")]
    Write(#[source] io::Error),
}

/// Classifies `texts` and writes the results to `out`, in order.
///
/// # Errors
/// At the first text that cannot be read or classified; what was classified before is written.
pub fn predict(
    session: &mut Session,
    model: &Exported,
    texts: Texts<'_>,
    format: Format,
    out: &mut dyn Write,
) -> Result<(), PredictError> {
    let mut texts = texts.open()?;
    let mut output = Output::new(out, format, &model.labels);
    let mut size = WINDOW.0;
    loop {
        let (window, error) = read_window(&mut texts, size);
        let is_last = error.is_some() || window.is_empty();
        if !window.is_empty() {
            let texts: Vec<&str> = window.iter().map(String::as_str).collect();
            let probabilities = session.predict(model, &texts)?;
            output.write(&texts, &probabilities).map_err(PredictError::Write)?;
        }
        if is_last {
            output.end().map_err(PredictError::Write)?;
            return error.map_or(Ok(()), Err);
        }
        size = (2 * size).min(WINDOW.1);
    }
}

/// The next texts, none at the end of the input, and what comes behind them if it is an error.
fn read_window(
    texts: &mut dyn Iterator<Item = Result<String, PredictError>>,
    size: usize,
) -> (Vec<String>, Option<PredictError>) {
    let (mut window, mut bytes) = (Vec::new(), 0);
    while window.len() < size && bytes < WINDOW_BYTES {
        match texts.next() {
            Some(Ok(text)) => {
                bytes += text.len();
                window.push(text);
            }
            Some(Err(error)) => return (window, Some(error)),
            None => break,
        }
    }
    (window, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_ends_at_its_size_at_many_bytes_and_before_an_error() {
        let texts = |count: usize, length: usize| (0..count).map(move |_| Ok("a".repeat(length)));
        assert_eq!(read_window(&mut texts(9, 1), 4).0.len(), 4);
        assert_eq!(read_window(&mut texts(9, WINDOW_BYTES / 2), 9).0.len(), 2);
        assert_eq!(read_window(&mut texts(3, 1), 9).0.len(), 3);
        let broken = || Err(PredictError::EmptyText { number: 3 });
        let (window, error) = read_window(&mut texts(2, 1).chain(std::iter::once_with(broken)), 9);
        assert!(window.len() == 2 && matches!(error, Some(PredictError::EmptyText { number: 3 })));
    }
}
