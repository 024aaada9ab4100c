//! Standard output and standard error.

use std::io::{self, IsTerminal, Write};

use super::exit::Stop;
use crate::display::{columns, plain};

/// Writes `text` to standard output.
pub(super) fn print(text: &str) -> Result<(), Stop> {
    let mut out = io::stdout().lock();
    Ok(out.write_all(text.as_bytes()).and_then(|()| out.flush())?)
}

/// Writes `text` to standard error. An error in doing so is ignored.
pub(super) fn eprint_lossy(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Writes `value` to standard output as indented JSON.
pub(super) fn print_json(value: &impl serde::Serialize) -> Result<(), Stop> {
    let text = serde_json::to_string_pretty(value).map_err(io::Error::from)?;
    print(&(text + "\n"))
}

/// Width of the terminal at standard output, in columns; the variable `COLUMNS` overrides it. `None` when
/// standard output is not a terminal.
pub(super) fn terminal_width() -> Option<usize> {
    if !io::stdout().is_terminal() {
        return None;
    }
    let from_variable = std::env::var("COLUMNS").ok().and_then(|text| text.trim().parse().ok());
    let from_system =
        || rustix::termios::tcgetwinsize(io::stdout()).ok().map(|size| usize::from(size.ws_col));
    from_variable.filter(|width| *width > 0).or_else(|| from_system().filter(|width| *width > 0))
}

/// `text` as one word of a shell: in quotes if it needs them.
pub(super) fn shell_word(text: &str) -> String {
    let is_safe = |c: char| c.is_alphanumeric() || "_-./:=@%+,".contains(c);
    if !text.is_empty() && text.chars().all(is_safe) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// A table of these rows: columns as wide as their widest cell, with two spaces between them.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| plain(cell)).collect()).collect();
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| columns(cell)).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    let line = |row: &Vec<String>| {
        let pad = |(cell, width): (&String, &usize)| cell.clone() + &" ".repeat(width - columns(cell));
        let cells: Vec<String> = row.iter().zip(&widths).map(pad).collect();
        cells.join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_of_a_shell_has_quotes_only_if_it_needs_them() {
        assert_eq!(shell_word("results/评论-1"), "results/评论-1");
        assert_eq!(shell_word("my model"), "'my model'");
        assert_eq!(shell_word("it's"), r"'it'\''s'");
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let row = |cells: [&str; 2]| cells.map(ToOwned::to_owned).to_vec();
        assert_eq!(table(&[row(["a", "b"]), row(["long", ""])]), "a     b\nlong\n");
        assert_eq!(table(&[row(["差评", "b"]), row(["\u{1b}[2J", "c"])]), "差评  b\n [2J  c\n");
    }
}
