//! An error with its causes in one text, for people and for the log.
//!
//! Errors of this crate never quote their cause in their own message; these functions add the causes.

use std::error::Error;

/// `error: its cause: the cause of its cause`.
///
/// Errors of other crates, such as `zip` and `serde_json`, do quote their causes; a cause that the text
/// already contains is left out.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.contains(&message) {
            text = format!("{text}: {message}");
        }
        cause = error.source();
    }
    text
}

/// The text of [`with_causes`] on one line, every run of white space as one space.
pub(crate) fn chain(error: &dyn Error) -> String {
    with_causes(error).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The text of a panic, on one line.
#[cfg(any(feature = "cuda", feature = "wgpu"))]
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no word of why");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("reading\nthe file")]
    struct Outer(#[source] std::io::Error);

    #[derive(Debug, thiserror::Error)]
    #[error("reading the file: {0}")]
    struct Quoting(#[source] std::io::Error);

    #[test]
    fn causes_follow_their_error_on_one_line() {
        let error = Outer(std::io::Error::other("the disk is gone"));
        assert_eq!(chain(&error), "reading the file: the disk is gone");
    }

    #[test]
    fn a_cause_that_its_error_quotes_is_not_repeated() {
        let error = Quoting(std::io::Error::other("the disk is gone"));
        assert_eq!(with_causes(&error), "reading the file: the disk is gone");
    }
}
