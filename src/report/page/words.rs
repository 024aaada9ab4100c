//! Small pieces of the page's HTML that several of its parts have.

use crate::leaderboard::figures::html as escape;

/// `text` escaped for HTML, and shown in its own direction: right-to-left letters move nothing beside them.
pub(super) fn isolated(text: &str) -> String {
    let has_letters = |text: &str| text.chars().any(|c| !c.is_ascii() && c.is_alphabetic());
    if has_letters(text) { format!("<bdi>{}</bdi>", escape(text)) } else { escape(text) }
}

/// The beginning of a box in which a table scrolls, which keys reach too.
pub(super) fn scroll_box(name: &str) -> String {
    format!("<div class=\"box\" role=\"region\" aria-label=\"{name}\" tabindex=\"0\">")
}
