//! How texts from outside are shown to people: labels, names, messages.
//!
//! What they say is data: it never moves the cursor, turns the direction of the
//! text, breaks a line or becomes markup.

use std::path::Path;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// `text` on one line: control characters become spaces, and those that turn the direction of
/// the text or take no room are dropped.
#[must_use]
pub fn plain(text: &str) -> String {
    text.chars()
        .filter_map(|c| match c {
            c if c.is_control() || c == '\u{2028}' || c == '\u{2029}' => Some(' '),
            '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}' => None,
            c => Some(c),
        })
        .collect()
}

/// Terminal columns of a line of a message. What it quotes may be of any length.
const LINE_COLUMNS: usize = 2_000;

/// `text` line by line as [`plain`] has it, no line without end.
#[must_use]
pub fn message(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(|line| shorten(&plain(line), LINE_COLUMNS)).collect();
    lines.join("\n")
}

/// `path` as messages show it.
#[must_use]
pub fn path(path: &Path) -> String {
    plain(&path.display().to_string())
}

/// `text` in at most `columns` terminal columns, its middle replaced by `…` where it is longer:
/// the ends of paths and names are what tells them apart.
#[must_use]
pub fn shorten(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let room = columns.saturating_sub(1);
    let head: String = take(text.chars(), room - room / 2);
    let tail: String = take(text.chars().rev(), room / 2);
    format!("{head}…{}", tail.chars().rev().collect::<String>())
}

fn take(chars: impl Iterator<Item = char>, columns: usize) -> String {
    let mut used = 0;
    chars
        .take_while(|c| {
            used += c.width().unwrap_or(0);
            used <= columns
        })
        .collect()
}

/// Terminal columns that `text` takes.
#[must_use]
pub fn columns(text: &str) -> usize {
    text.width()
}

/// `text` so that Markdown shows it as it is; it must be on one line.
#[must_use]
pub fn markdown(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '|' | '\\' | '`' | '*' | '_' => escaped.extend(['\\', c]),
            _ => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_cannot_speak_to_the_terminal() {
        assert_eq!(plain("a\u{1b}[31mb\r\nc\u{202e}d\u{9b}"), "a [31mb  cd ");
    }

    #[test]
    fn a_message_keeps_its_lines_and_nothing_else_that_moves_the_cursor() {
        assert_eq!(message("a\u{1b}[31mb\n\u{202e}c\r"), "a [31mb\nc ");
        assert_eq!(columns(&message(&"x".repeat(1 << 20))), LINE_COLUMNS);
    }

    #[test]
    fn long_texts_keep_both_ends_and_wide_characters_count_twice() {
        assert_eq!(shorten("google-bert/bert-base-chinese", 11), "googl…inese");
        assert_eq!(shorten("情感分类模型甲", 8), "情感…甲");
        assert!(columns(&shorten("情感分类模型甲", 8)) <= 8);
        assert_eq!(shorten("ab", 0), "…");
    }
}
