//! How far a download is, on standard error: a bar on a terminal, a plain line elsewhere.

use std::io::{self, Write};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::numbers::count_u64;

/// The display of one download.
pub(super) struct Meter {
    bar: Option<ProgressBar>,
}

impl Meter {
    /// Shows nothing: for files that are there at once.
    pub(super) const fn silent() -> Self {
        Self { bar: None }
    }

    /// Says that `what` of `size` bytes is downloaded, `have` of which are here already.
    pub(super) fn new(what: &str, size: Option<u64>, have: u64, is_terminal: bool) -> Self {
        if !is_terminal {
            // Nobody need listen there.
            let _ = writeln!(io::stderr(), "{}", line(what, size, have));
            return Self::silent();
        }
        let bar = ProgressBar::with_draw_target(size, ProgressDrawTarget::stderr());
        let template = "{msg} {wide_bar:.cyan} {decimal_bytes}/{decimal_total_bytes} · {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("━╸─"));
        }
        bar.set_message(what.to_owned());
        bar.set_position(have);
        // The time left is that of what is still to come.
        bar.reset_eta();
        Self { bar: Some(bar) }
    }

    /// So many bytes are here now.
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

fn line(what: &str, size: Option<u64>, have: u64) -> String {
    let size = size.map_or_else(|| "size unknown".to_owned(), bytes);
    match have {
        0 => format!("downloading {what} ({size})"),
        _ => format!("downloading {what} ({size}, of which {} are here)", bytes(have)),
    }
}

/// `412 MB`
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

    #[test]
    fn a_line_tells_what_comes_how_large_it_is_and_where_it_goes_on() {
        let what = "google-bert/bert-base-chinese model.safetensors";
        assert_eq!(line(what, Some(411_553_788), 0), format!("downloading {what} (412 MB)"));
        let text = line(what, Some(1_340_000_000), 99_700);
        assert_eq!(text, format!("downloading {what} (1.3 GB, of which 100 kB are here)"));
        assert_eq!(line("a b", None, 0), "downloading a b (size unknown)");
    }
}
