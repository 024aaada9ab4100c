//! The end of a `worker.log`, which often shows why a trial failed.

use std::io::{self, Read, Seek, SeekFrom};

use crate::{
    display::{plain, shorten},
    system::files::Place,
};

/// Beginning of the lines in a `worker.log` that the orchestrator wrote: the first line of each attempt, and
/// remarks about omitted output.
pub(crate) const TITLE: &str = "=== ";
/// Largest number of lines that are shown.
const LINES_MAX: usize = 10;
/// Largest width of a line, in terminal columns.
const COLUMNS_MAX: usize = 200;
/// Number of bytes that are read from the end of the log.
const BYTES_MAX: u64 = 64 << 10;

/// The last lines of the latest attempt in the log at `log`, at most ten; none without a log.
///
/// Empty lines are skipped. Lines hold no control characters and have at most 200 columns.
#[must_use]
pub fn last_lines(log: &Place) -> Vec<String> {
    let bytes = tail(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix(TITLE) {
            // The lines before belong to an earlier attempt.
            if title.starts_with("trial ") {
                lines.clear();
            }
            continue;
        }
        let line = shorten(plain(line).trim_end(), COLUMNS_MAX);
        if !line.is_empty() {
            lines.push(line);
        }
    }
    lines.split_off(lines.len().saturating_sub(LINES_MAX))
}

/// The last [`BYTES_MAX`] bytes of the file.
fn tail(log: &Place) -> io::Result<Vec<u8>> {
    let mut file = log.open()?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(BYTES_MAX)))?;
    let mut bytes = Vec::new();
    file.take(BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    fn lines_of(text: &[u8]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("worker.log");
        std::fs::write(&path, text).unwrap();
        last_lines(&Place::named(folder.path()).join("worker.log"))
    }

    #[test]
    fn only_the_last_ten_lines_of_the_last_attempt_are_shown() {
        let mut text =
            "=== trial 0001, attempt 1 on cpu:0\nold\n=== trial 0001, attempt 2 on cpu:0\n".to_owned();
        assert_eq!(lines_of(text.as_bytes()), [""; 0]);
        text += "\n=== 5 bytes are left out here\n";
        for line in 1..=12 {
            writeln!(text, "line {line}").unwrap();
        }
        let lines = lines_of(text.as_bytes());
        assert_eq!((lines.len(), lines[0].as_str(), lines[9].as_str()), (10, "line 3", "line 12"));
    }

    #[test]
    fn a_long_line_is_shortened() {
        let mut text = b"\x1b[31mred \xff\n".to_vec();
        text.extend(vec![b'x'; 1 << 20]);
        text.extend(b"end");
        let lines = lines_of(&text);
        assert_eq!(lines.len(), 1);
        assert!(lines[0].ends_with("end") && lines[0].chars().count() <= 200);
    }

    #[test]
    fn control_characters_of_a_worker_do_not_reach_the_terminal() {
        assert_eq!(lines_of(b"\x1b[31mred \xff\n"), [" [31mred \u{fffd}"]);
    }

    #[test]
    fn without_a_log_there_are_no_lines() {
        assert_eq!(last_lines(&Place::named("/no/such").join("log")), [""; 0]);
    }
}
