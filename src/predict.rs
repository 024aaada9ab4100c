//! `sweep predict`: reads texts and writes their classes and probabilities, a window at a time.
//!
//! A window of texts is read, classified in batches of similar length, and written in the order
//! of the input before the next window is read. So memory does not grow with the input, and the
//! reader of a pipe sees results early. The first window is small and each next one is twice as
//! large up to a limit, since a large model takes minutes for a large window.

use std::io::Write;

mod error;
mod input;
mod output;

use self::output::PredictionWriter;
pub use self::{
    error::{InputFault, PredictError},
    input::Texts,
    output::{CsvCells, PredictionFormat},
};
use crate::train::{Exported, Session};

/// Number of texts in the first window.
const WINDOW_TEXTS_FIRST: usize = 32;
/// Largest number of texts in a window.
const WINDOW_TEXTS_MAX: usize = 2_048;
/// Number of bytes of text with which a window is full, even if it has few texts.
const WINDOW_BYTES: usize = 4 << 20;

/// Classifies `texts` and writes the results to `out`, in order.
///
/// # Errors
/// At the first text that cannot be read or classified. The predictions before it are written.
pub fn predict(
    session: &mut Session,
    model: &Exported,
    texts: Texts<'_>,
    format: PredictionFormat,
    out: &mut dyn Write,
) -> Result<(), PredictError> {
    let mut texts = texts.open()?;
    let mut writer = PredictionWriter::new(out, format, &model.labels);
    let mut size = WINDOW_TEXTS_FIRST;
    loop {
        let (window, error) = read_window(&mut texts, size);
        let is_last = error.is_some() || window.is_empty();
        if !window.is_empty() {
            let texts: Vec<&str> = window.iter().map(String::as_str).collect();
            let probabilities = session.predict(model, &texts)?;
            writer.write(&texts, &probabilities).map_err(PredictError::Write)?;
        }
        if is_last {
            writer.end().map_err(PredictError::Write)?;
            return error.map_or(Ok(()), Err);
        }
        size = (2 * size).min(WINDOW_TEXTS_MAX);
    }
}

/// Reads the next window: at most `size` texts, and the error that ended it early, if one did.
///
/// Without texts and without an error, the input has ended.
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

    /// `count` texts of `length` bytes.
    fn texts(count: usize, length: usize) -> impl Iterator<Item = Result<String, PredictError>> {
        (0..count).map(move |_| Ok("a".repeat(length)))
    }

    #[test]
    fn a_window_ends_at_its_size() {
        assert_eq!(read_window(&mut texts(9, 1), 4).0.len(), 4);
    }

    #[test]
    fn a_window_ends_at_many_bytes() {
        assert_eq!(read_window(&mut texts(9, WINDOW_BYTES / 2), 9).0.len(), 2);
    }

    #[test]
    fn a_window_ends_with_the_input() {
        assert_eq!(read_window(&mut texts(3, 1), 9).0.len(), 3);
    }

    #[test]
    fn a_window_ends_before_an_error() {
        let broken = || Err(PredictError::EmptyText { number: 3 });
        let (window, error) = read_window(&mut texts(2, 1).chain(std::iter::once_with(broken)), 9);
        assert!(window.len() == 2 && matches!(error, Some(PredictError::EmptyText { number: 3 })));
    }
}
