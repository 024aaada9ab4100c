//! Standard output and standard error.

use std::io::{self, IsTerminal, Write};

use super::exit::Stop;
use crate::{
    display::{columns, json, message, plain, visible},
    progress::Look,
};

/// Writes `text` to standard output, without what a terminal would obey.
pub(super) fn print(text: &str) -> Result<(), Stop> {
    let mut out = io::stdout().lock();
    Ok(out.write_all(visible(text).as_bytes()).and_then(|()| out.flush())?)
}

/// Writes `text` to standard output in the place of what stood there: as many lines as a terminal has, each as wide as it at
/// most. Elsewhere than on a terminal, all of it is written below.
pub(super) fn print_again(text: &str) -> Result<(), Stop> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok().filter(|_| io::stdout().is_terminal());
    let Some(size) = size else { return print(&format!("{text}\n")) };
    let mut out = io::stdout().lock();
    // To the first column of the first line; what lies behind each line, and below the last one, is wiped out.
    let again = lines_within(text, usize::from(size.ws_row), usize::from(size.ws_col)).join("\x1b[K\n");
    Ok(out.write_all(format!("\x1b[H{again}\x1b[K\n\x1b[J").as_bytes()).and_then(|()| out.flush())?)
}

/// The first lines of `text` that fit, without what a terminal would obey. A last line counts the others.
fn lines_within(text: &str, rows: usize, width: usize) -> Vec<String> {
    let lines: Vec<String> = visible(text).lines().map(|line| cut(line, width)).collect();
    // The cursor stands below the last line.
    let room = rows.saturating_sub(1).max(1);
    if lines.len() <= room {
        return lines;
    }
    let kept = room - 1;
    let more = format!("… {} more lines", lines.len() - kept);
    lines.into_iter().take(kept).chain([cut(&more, width)]).collect()
}

/// The beginning of a line, as wide as `width` at most.
fn cut(line: &str, width: usize) -> String {
    if columns(line) <= width {
        return line.to_owned();
    }
    let mut kept = String::new();
    let mut room = width.saturating_sub(1);
    for c in line.chars() {
        let width = columns(c.encode_utf8(&mut [0; 4]));
        if width > room {
            break;
        }
        room -= width;
        kept.push(c);
    }
    kept + "…"
}

/// Writes `text` to standard error, without what a terminal would obey. An error in doing so is ignored.
pub(super) fn eprint_lossy(text: &str) {
    eprint_rendered(&message(text));
}

/// Writes `text`, which is safe for terminals and may have colours, to standard error. An error in doing so is
/// ignored.
pub(super) fn eprint_rendered(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Writes what clap says about the arguments: help and version to standard output, an error to standard error.
/// An argument that a terminal would obey is shown without colours.
pub(super) fn print_usage(error: &clap::Error) {
    let is_seen = |argument: &str| visible(argument) == argument;
    let are_seen = || std::env::args_os().all(|argument| is_seen(&argument.to_string_lossy()));
    if !error.use_stderr() || are_seen() {
        let _ = error.print();
    } else {
        eprint_lossy(&error.render().to_string());
    }
}

/// Writes `value` to standard output as indented JSON.
pub(super) fn print_json(value: &impl serde::Serialize) -> Result<(), Stop> {
    let text = serde_json::to_string_pretty(value).map_err(io::Error::from)?;
    print(&(json(&text) + "\n"))
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

/// The value of an environment variable; `None` if it is not set or empty.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Whether text on standard error has colours.
pub(super) fn has_colour() -> bool {
    wants_colour(io::stderr().is_terminal(), &variable)
}

/// How a run shows its progress on standard error.
pub(super) fn look() -> Look {
    look_on(io::stderr().is_terminal(), &variable)
}

/// Whether text has colours, by <https://no-color.org> and <https://bixense.com/clicolors>.
fn wants_colour(is_terminal: bool, variable: &dyn Fn(&str) -> Option<String>) -> bool {
    let is_off = |name| variable(name).is_some_and(|value| value == "0");
    if variable("NO_COLOR").is_some() {
        return false;
    }
    if variable("CLICOLOR_FORCE").is_some() {
        return !is_off("CLICOLOR_FORCE");
    }
    is_terminal && !is_off("CLICOLOR") && variable("TERM").is_none_or(|term| term != "dumb")
}

/// Bars on a terminal that can move its cursor, and lines elsewhere.
fn look_on(is_terminal: bool, variable: &dyn Fn(&str) -> Option<String>) -> Look {
    let term = variable("TERM").unwrap_or_else(|| "dumb".to_owned());
    // IPython's kernel runs commands on a pseudo-terminal whose output lands in a notebook.
    let is_pager_off = |name| variable(name).is_some_and(|value| value == "cat");
    let is_kernel = term == "xterm-color" && (is_pager_off("GIT_PAGER") || is_pager_off("PAGER"));
    let is_notebook = variable("JPY_PARENT_PID").is_some() || is_kernel;
    if is_terminal && term != "dumb" && !is_notebook {
        Look::Bars { colour: wants_colour(is_terminal, variable) }
    } else {
        Look::Lines
    }
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

    /// The environment with these variables.
    fn with<'a>(variables: &'a [(&str, &str)]) -> impl Fn(&str) -> Option<String> + 'a {
        |name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    }

    #[test]
    fn only_a_terminal_that_can_move_its_cursor_has_bars() {
        let xterm = ("TERM", "xterm-256color");
        let bars = Look::Bars { colour: true };
        assert_eq!(look_on(true, &with(&[xterm])), bars);
        assert_eq!(look_on(false, &with(&[xterm])), Look::Lines);
        assert_eq!(look_on(true, &with(&[("TERM", "dumb")])), Look::Lines);
        assert_eq!(look_on(true, &with(&[])), Look::Lines);
    }

    #[test]
    fn a_notebook_has_lines_although_its_commands_see_a_terminal() {
        let kernel = [("TERM", "xterm-color"), ("PAGER", "cat"), ("CLICOLOR_FORCE", "1")];
        assert_eq!(look_on(true, &with(&kernel)), Look::Lines);
        let parent = [("TERM", "xterm-256color"), ("JPY_PARENT_PID", "7")];
        assert_eq!(look_on(true, &with(&parent)), Look::Lines);
        assert_eq!(look_on(true, &with(&[("TERM", "xterm-color")])), Look::Bars { colour: true });
    }

    #[test]
    fn colours_are_as_the_environment_asks_for() {
        let term = ("TERM", "xterm");
        for (is_terminal, variables, colour) in [
            (true, [term, ("LANG", "C")], true),
            (true, [term, ("NO_COLOR", "1")], false),
            (true, [term, ("CLICOLOR", "0")], false),
            (true, [("TERM", "dumb"), ("LANG", "C")], false),
            (false, [term, ("CLICOLOR", "1")], false),
            (false, [term, ("CLICOLOR_FORCE", "1")], true),
            (true, [term, ("CLICOLOR_FORCE", "0")], false),
            (true, [("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false),
        ] {
            assert_eq!(wants_colour(is_terminal, &with(&variables)), colour, "{is_terminal} {variables:?}");
        }
    }

    #[test]
    fn what_is_shown_again_fits_the_terminal_and_says_what_is_left_out() {
        assert_eq!(lines_within("a\nb\n", 3, 9), ["a", "b"]);
        assert_eq!(lines_within("a\nb\nc\nd\n", 4, 20), ["a", "b", "… 2 more lines"]);
        assert_eq!(lines_within("abcdefghijkl\n", 9, 8), ["abcdefg…"]);
        assert!(!lines_within("\x1b[2J\x1b[31m", 9, 80)[0].contains('\x1b'));
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let row = |cells: [&str; 2]| cells.map(ToOwned::to_owned).to_vec();
        assert_eq!(table(&[row(["a", "b"]), row(["long", ""])]), "a     b\nlong\n");
        assert_eq!(table(&[row(["差评", "b"]), row(["\u{1b}[2J", "c"])]), "差评  b\n [2J  c\n");
    }
}
