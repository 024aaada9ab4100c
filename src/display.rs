//! How texts from outside are shown to people: labels, names, messages.
//!
//! A text from outside is data: it never moves the terminal's cursor, changes the direction of writing,
//! breaks a line or becomes markup. What nobody would see of it is shown by its code point.

mod hidden;
mod markup;
mod visible;

use std::path::Path;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

pub use self::{
    markup::{cell, html, json, markdown, markdown_code},
    visible::{plain, visible},
};

/// Terminal columns of a line of a message: a message may quote a text of any length.
const LINE_COLUMNS_MAX: usize = 2_000;

/// `text` with each of its lines made [`plain`] and cut to at most 2,000 terminal columns.
#[must_use]
pub fn message(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(|line| shorten(&plain(line), LINE_COLUMNS_MAX)).collect();
    lines.join("\n")
}

/// `path` as messages show it.
#[must_use]
pub fn path(path: &Path) -> String {
    plain(&path.display().to_string())
}

/// `text` in at most `columns` terminal columns; the middle of a longer text is replaced by `…`, since
/// paths and names differ most at their ends.
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

/// The first of `chars` that fit into `columns` terminal columns.
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

/// `text` on lines of at most `width` columns, broken between words where that is possible. The lines after
/// the first one are indented.
#[must_use]
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let indent = if width > 20 { "  " } else { "" };
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let is_first = lines.len() == 1;
        let Some(line) = lines.last_mut() else { break };
        if columns(line) + usize::from(!line.is_empty()) + columns(word) <= width {
            let is_begun = !line.is_empty() && (is_first || line.as_str() != indent);
            line.push_str(if is_begun { " " } else { "" });
            line.push_str(word);
            continue;
        }
        let starts_here = line.is_empty() || line.as_str() == indent;
        if !starts_here {
            lines.push(indent.to_owned());
        }
        for c in word.chars() {
            let Some(line) = lines.last_mut() else { break };
            if columns(line) + columns(c.encode_utf8(&mut [0; 4])) <= width {
                line.push(c);
            } else {
                lines.push(format!("{indent}{c}"));
            }
        }
    }
    lines
}

/// `text` as one word of a shell: in quotes if it needs them.
pub(crate) fn shell_word(text: &str) -> String {
    let is_safe = |c: char| c.is_alphanumeric() || "_-./:=@%+,".contains(c);
    if !text.is_empty() && text.chars().all(is_safe) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
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
    fn a_label_cannot_speak_to_the_terminal() {
        assert_eq!(plain("a\u{1b}[31mb\r\nc\u{202e}d\u{9b}"), "a [31mb  c‹U+202E›d ");
    }

    #[test]
    fn a_message_keeps_line_breaks_but_no_other_control_character() {
        assert_eq!(message("a\u{1b}[31mb\n\u{202e}c\r"), "a [31mb\n‹U+202E›c ");
    }

    #[test]
    fn what_nobody_sees_is_shown_by_its_code_point() {
        for (text, shown) in [
            ("\u{202e}doog", "‹U+202E›doog"),
            ("a\u{2066}b\u{2069}c", "a‹U+2066›b‹U+2069›c"),
            ("go\u{200b}od", "go‹U+200B›od"),
            ("go\u{ad}od\u{feff}", "go‹U+00AD›od‹U+FEFF›"),
            ("good\u{200d}", "good‹U+200D›"),
            ("good\u{fe0f}", "good‹U+FE0F›"),
            ("a\u{e0041}", "a‹U+E0041›"),
            ("שלום\u{200f}", "שלום‹U+200F›"),
            ("می\u{200c}", "می‹U+200C›"),
            ("می\u{200c}\u{200c}خواهم", "می‹U+200C›‹U+200C›خواهم"),
        ] {
            assert_eq!(plain(text), shown);
        }
    }

    #[test]
    fn words_and_emoji_keep_the_characters_that_they_are_spelt_with() {
        for text in [
            "می\u{200c}خواهم",
            "क्\u{200d}ष",
            "ന്\u{200d}",
            "سلبي (جديد)",
            "שלום, עולם",
            "好评／差评",
            "葛\u{e0100}城",
            "👨\u{200d}👩\u{200d}👧",
            "❤\u{fe0f}\u{200d}🔥 👍🏽",
            "1\u{fe0f}\u{20e3}",
            "🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
            "ᠨ\u{180b}",
            "e\u{301} नकारात्मक ไม่ดี",
        ] {
            assert_eq!(plain(text), text);
        }
    }

    #[test]
    fn a_text_for_a_terminal_keeps_its_lines_and_columns() {
        assert_eq!(visible("a\tb\nc\u{1b}[0m\u{2028}"), "a\tb\nc [0m ");
    }

    #[test]
    fn a_line_of_a_message_has_a_largest_length() {
        assert_eq!(columns(&message(&"x".repeat(1 << 20))), LINE_COLUMNS_MAX);
    }

    #[test]
    fn a_long_text_keeps_both_ends() {
        assert_eq!(shorten("google-bert/bert-base-chinese", 11), "googl…inese");
        assert_eq!(shorten("ab", 0), "…");
    }

    #[test]
    fn wide_characters_count_as_two_columns() {
        assert_eq!(shorten("情感分类模型甲", 8), "情感…甲");
        assert!(columns(&shorten("情感分类模型甲", 8)) <= 8);
    }

    #[test]
    fn a_text_is_broken_between_words_and_nothing_of_it_is_lost() {
        let text = "warning: 训练文本 of the tokenizer /a/very/long/path/that/has/no/space/at/all fits";
        for width in [10, 30, 50] {
            let lines = wrap(text, width);
            assert!(lines.iter().all(|line| columns(line) <= width), "{lines:?}");
            let bare = |text: &str| text.replace(' ', "");
            assert_eq!(bare(&lines.concat()), bare(text));
        }
        assert_eq!(wrap("a text of four words", 80), ["a text of four words"]);
    }
}
