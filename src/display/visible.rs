//! Texts without anything that a terminal obeys or that nobody sees.

use std::fmt::Write as _;

use super::hidden;

/// `text` on one line, as [`visible`] shows it: line breaks and tabs become spaces.
#[must_use]
pub fn plain(text: &str) -> String {
    let text = visible(text);
    if text.contains(['\n', '\t']) { text.replace(['\n', '\t'], " ") } else { text }
}

/// `text` as it may be written to a terminal. Line breaks and tabs stay, and other control characters become
/// spaces. Characters that change the direction of writing or have no width are shown as `‹U+202E›`, unless they
/// belong to the spelling of a word or to an emoji.
#[must_use]
pub fn visible(text: &str) -> String {
    let is_seen = |byte: u8| matches!(byte, b' '..=b'~' | b'\n' | b'\t');
    if text.bytes().all(is_seen) {
        return text.to_owned();
    }
    let is_control = |c: char| c.is_control() && !matches!(c, '\n' | '\t') || is_separator(c);
    hidden::rewritten(text, is_control, |c, shown| {
        if is_control(c) {
            shown.push(' ');
        } else {
            // Writing to a String cannot fail.
            let _ = write!(shown, "‹U+{:04X}›", u32::from(c));
        }
    })
}

/// Whether `c` ends a line or a paragraph, by Unicode.
fn is_separator(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
}
