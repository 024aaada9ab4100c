//! Texts from outside within Markdown, HTML, JSON and CSV: they stay texts there.

use std::fmt::Write as _;

use super::{
    hidden,
    visible::{plain, visible},
};

/// `text` on one line, escaped for Markdown and HTML, so that it is shown literally wherever it stands in a
/// paragraph, a heading or a cell: it is no link, no picture, no markup, and a cell does not end in it.
#[must_use]
pub fn markdown(text: &str) -> String {
    let text = plain(text);
    let chars: Vec<char> = text.chars().collect();
    let mut escaped = String::with_capacity(text.len());
    for (at, &c) in chars.iter().enumerate() {
        let (before, behind) = (&chars[..at], &chars[at + 1..]);
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '|' | '\\' | '`' | '*' | '_' | '~' | '$' => escaped.extend(['\\', c]),
            '[' | ']' if !is_interval(before, c, behind) => escaped.extend(['\\', c]),
            '!' if behind.first() == Some(&'[') => escaped.push_str("\\!"),
            // Addresses become links where Markdown is GitHub's.
            ':' if behind.starts_with(&['/', '/']) => escaped.push_str("\\:"),
            '.' if ends_with_www(before) => escaped.push_str("\\."),
            '#' | '+' | '-' | '=' | ':' if is_block_mark(before, behind) => escaped.extend(['\\', c]),
            '.' | ')' if is_list_number(before, behind) => escaped.extend(['\\', c]),
            _ => escaped.push(c),
        }
    }
    escaped
}

/// Whether the bracket `c` is one of an interval of numbers, such as `[.893, .928]`, which no link begins with.
fn is_interval(before: &[char], c: char, behind: &[char]) -> bool {
    let is_inside = |c: &&char| c.is_ascii_digit() || ".,-– %e".contains(**c);
    let (inside, end) = if c == '[' {
        let inside = behind.iter().take_while(is_inside).count();
        (inside, behind.get(inside..).unwrap_or_default())
    } else {
        let inside = before.iter().rev().take_while(is_inside).count();
        let begins = before.len().checked_sub(inside + 1).is_some_and(|at| before[at] == '[');
        return inside > 0 && begins && !matches!(behind.first(), Some('(' | '[' | ':'));
    };
    inside > 0 && end.first() == Some(&']') && !matches!(end.get(1), Some('(' | '[' | ':'))
}

/// Whether the text before is `www`, as a word of its own.
fn ends_with_www(before: &[char]) -> bool {
    let word = before.iter().rev().take_while(|c| c.is_alphanumeric());
    let word: String = word.map(char::to_ascii_lowercase).collect();
    word == "www"
}

/// Whether a character at this place begins a heading, a list or a line: nothing but such characters and spaces
/// stands before it, and a space, the end or another such character follows.
fn is_block_mark(before: &[char], behind: &[char]) -> bool {
    before.iter().all(|c| " #+-=:".contains(*c)) && behind.first().is_none_or(|c| " #+-=:".contains(*c))
}

/// Whether the text before is the number of a list, which a space follows.
fn is_list_number(before: &[char], behind: &[char]) -> bool {
    let number: Vec<&char> = before.iter().skip_while(|c| **c == ' ').collect();
    let is_number = !number.is_empty() && number.iter().all(|c| c.is_ascii_digit());
    is_number && behind.first().is_none_or(|c| *c == ' ')
}

/// `text` on one line, as Markdown's code: between as many backticks as it takes, so that nothing in it is markup.
#[must_use]
pub fn markdown_code(text: &str) -> String {
    let text = plain(text);
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let is_padded = text.is_empty() || text.starts_with(['`', ' ']) || text.ends_with(['`', ' ']);
    let pad = if is_padded { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// `text` escaped for HTML, for an element or a quoted attribute. Line breaks and tabs stay.
#[must_use]
pub fn html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(c),
        }
    }
    escaped
}

/// The JSON text `json`, with characters that nobody sees and those that a terminal obeys written as escapes:
/// the values are the same.
#[must_use]
pub fn json(json: &str) -> String {
    let is_control = |c: char| c >= '\u{7F}' && c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    hidden::rewritten(json, is_control, |c, escaped| {
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing to a String cannot fail.
            let _ = write!(escaped, "\\u{unit:04x}");
        }
    })
}

/// `text` as a cell that a spreadsheet takes for a text: [`visible`], and with an apostrophe before what would
/// be a formula. Numbers stay as they are.
#[must_use]
pub fn cell(text: &str) -> String {
    let text = visible(text);
    let is_formula = text.trim_start().starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠'])
        || text.starts_with(['\t', '\n']);
    let is_number = text.parse().is_ok_and(f64::is_finite);
    if is_formula && !is_number { format!("'{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_shows_labels_as_they_are() {
        for (text, escaped) in [
            ("![x](https://a.example/b.png)", r"\!\[x\](https\://a.example/b.png)"),
            ("[click](javascript:alert(1))", r"\[click\](javascript:alert(1))"),
            ("<img src=x onerror=y>", "&lt;img src=x onerror=y&gt;"),
            ("a|b_c*d`e~f$g", r"a\|b\_c\*d\`e\~f\$g"),
            ("see www.a.example", r"see www\.a.example"),
            ("# a", r"\# a"),
            ("--- a", r"\-\-\- a"),
            ("1. a", r"1\. a"),
            ("好评 C# 3.5 -0.5", "好评 C# 3.5 -0.5"),
            ("-0.5", "-0.5"),
            (".950 [.928, .966]", ".950 [.928, .966]"),
            ("test F1 [95 %]", "test F1 [95 %]"),
            ("[1](x)", r"\[1\](x)"),
        ] {
            assert_eq!(markdown(text), escaped);
        }
    }

    #[test]
    fn code_has_as_many_backticks_as_it_takes() {
        assert_eq!(markdown_code("a.csv"), "`a.csv`");
        assert_eq!(markdown_code("a``b"), "```a``b```");
        assert_eq!(markdown_code("`<b>"), "`` `<b> ``");
    }

    #[test]
    fn json_keeps_its_values() {
        let text = "a\u{9b}b\u{202e}c\u{e0041}👨\u{200d}👩好\u{7f}";
        let written = json(&serde_json::to_string(text).unwrap());
        assert_eq!(written, "\"a\\u009bb\\u202ec\\udb40\\udc41👨\u{200d}👩好\\u007f\"");
        assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text);
    }

    #[test]
    fn a_cell_is_no_formula() {
        for text in ["=1+1", "+a", "-a", "@a", "\t=1", " =1", "\n=1", "＝1", "-", "-inf", "-1+2"] {
            assert_eq!(cell(text), format!("'{text}"));
        }
        assert_eq!(cell("\r=1"), "' =1");
    }

    #[test]
    fn a_number_and_an_ordinary_text_stay() {
        for text in ["-0.5", "+3", "-1e-5", "a=b", "好评", "", "–", "1-2"] {
            assert_eq!(cell(text), text);
        }
    }
}
