//! The progress of a download on standard error: a bar on a terminal, otherwise a line at its start.

use std::io::{self, Write};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::{display::plain, numbers::count_u64};

/// The progress display of one download.
pub(super) struct Meter {
    bar: Option<ProgressBar>,
}

impl Meter {
    /// A display that shows nothing, for small files.
    pub(super) const fn silent() -> Self {
        Self { bar: None }
    }

    /// Shows that `what`, of `size` bytes, is being downloaded, and that `have` bytes are in the cache already.
    pub(super) fn new(what: &str, size: Option<u64>, have: u64, is_terminal: bool) -> Self {
        let what = plain(what);
        if !is_terminal {
            // A closed standard error must not end the program.
            let _ = writeln!(io::stderr(), "{}", line(&what, size, have));
            return Self::silent();
        }
        let bar = ProgressBar::with_draw_target(size, ProgressDrawTarget::stderr());
        let template = "{msg} {wide_bar:.cyan} {decimal_bytes}/{decimal_total_bytes} · {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("━╸─"));
        }
        bar.set_message(what);
        bar.set_position(have);
        // Otherwise the bytes in the cache would count as downloaded just now, and the time left be too short.
        bar.reset_eta();
        Self { bar: Some(bar) }
    }

    /// Shows that `bytes` bytes are in the cache.
    pub(super) fn at(&self, bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(bytes);
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.abandon();
        }
    }
}

/// The line for a standard error that is no terminal.
fn line(what: &str, size: Option<u64>, have: u64) -> String {
    let size = size.map_or_else(|| "size unknown".to_owned(), bytes);
    match have {
        0 => format!("downloading {what} ({size})"),
        _ => format!("downloading {what} ({size}, of which {} are here)", bytes(have)),
    }
}

/// `count` bytes with a unit: `412 MB`.
fn bytes(count: u64) -> String {
    let size = count_u64(count);
    match size {
        0.0..1e3 => format!("{count} bytes"),
        1e3..1e6 => format!("{:.0} kB", size / 1e3),
        1e6..1e9 => format!("{:.0} MB", size / 1e6),
        _ => format!("{:.1} GB", size / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHAT: &str = "google-bert/bert-base-chinese model.safetensors";

    #[test]
    fn a_line_has_the_file_and_its_size() {
        assert_eq!(line(WHAT, Some(411_553_788), 0), format!("downloading {WHAT} (412 MB)"));
    }

    #[test]
    fn a_line_has_the_bytes_that_are_in_the_cache() {
        let text = line(WHAT, Some(1_340_000_000), 99_700);
        assert_eq!(text, format!("downloading {WHAT} (1.3 GB, of which 100 kB are here)"));
    }

    #[test]
    fn a_line_for_a_file_of_unknown_size_shows_that() {
        assert_eq!(line("a b", None, 0), "downloading a b (size unknown)");
    }
}
