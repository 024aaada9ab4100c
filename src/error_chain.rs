//! An error with its causes on one line, for people and for the log.

use std::error::Error;

/// `error: its cause: the cause of that`, white space collapsed; a cause that its error already
/// quotes is not said twice.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("reading\nthe file")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn causes_follow_their_error_on_one_line() {
        let error = Outer(std::io::Error::other("the disk is gone"));
        assert_eq!(chain(&error), "reading the file: the disk is gone");
    }
}
