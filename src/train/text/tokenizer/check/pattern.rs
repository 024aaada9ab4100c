//! Patterns whose search may take time without bound.
//!
//! The library's searcher, `fancy-regex`, is linear for what the `regex` crate can do. A pattern that looks ahead or
//! behind is searched by trying, with up to a million steps for each match. Nested repetitions, as in `(a+)+(?!b)`,
//! reach that number on texts of thirty characters.

use fancy_regex::Expr;
use serde_json::Value;

use super::part::{Fault, Part};

/// Bytes of a pattern; the longest known ones have some 1,000.
const PATTERN_BYTES_MAX: usize = 10_000;

/// Checks the pattern of a part, if it has one.
pub(super) fn of(part: &Part<'_>) -> Result<(), Fault> {
    match part.value.get("pattern") {
        Some(pattern) => check(pattern, &format!("{}.pattern", part.field)),
        None => Ok(()),
    }
}

/// Checks a pattern: a text as it is, or a regular expression. `field` is its place in the file.
pub(super) fn check(pattern: &Value, field: &str) -> Result<(), Fault> {
    let texts = ["String", "Regex"].map(|kind| pattern[kind].as_str().unwrap_or_default());
    if let Some(long) = texts.iter().find(|text| text.len() > PATTERN_BYTES_MAX) {
        return Err(Fault::beyond(field, long.len(), "bytes", PATTERN_BYTES_MAX));
    }
    let tree =
        Expr::parse_tree(texts[1]).map_err(|error| Fault::new(field, format!("is no pattern: {error}")))?;
    let found = Found::of(&tree.expr);
    if found.is_refused {
        let what = "refers to parts of itself; such patterns may search without end";
        return Err(Fault::new(field, what));
    }
    if found.is_tried && found.depth > 1 {
        let what =
            "looks around and has a repetition within a repetition; such patterns may search without end";
        return Err(Fault::new(field, what));
    }
    Ok(())
}

/// What decides how long a search takes.
#[derive(Clone, Copy, Default)]
struct Found {
    /// Repetitions within each other, those of a fixed number aside.
    depth: usize,
    /// Whether the pattern is searched by trying.
    is_tried: bool,
    /// Whether the pattern refers to parts of itself.
    is_refused: bool,
}

impl Found {
    fn of(expr: &Expr) -> Self {
        let own = |is_tried, is_refused| Self { depth: 0, is_tried, is_refused };
        match expr {
            Expr::Empty
            | Expr::Any { .. }
            | Expr::Assertion(_)
            | Expr::Literal { .. }
            | Expr::Delegate { .. } => own(false, false),
            Expr::Concat(list) | Expr::Alt(list) => {
                list.iter().map(Self::of).fold(own(false, false), Self::and)
            }
            Expr::Group(inner) => Self::of(inner),
            Expr::LookAround(inner, _) | Expr::AtomicGroup(inner) => Self::of(inner).and(own(true, false)),
            Expr::Repeat { child, lo, hi, .. } => {
                let found = Self::of(child);
                Self { depth: found.depth + usize::from(*hi > 1 && lo != hi), ..found }
            }
            Expr::KeepOut | Expr::ContinueFromPreviousMatchEnd => own(true, false),
            // Backreferences, conditions, calls of groups, and what later versions of the crate may know.
            _ => own(true, true),
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            depth: self.depth.max(other.depth),
            is_tried: self.is_tried || other.is_tried,
            is_refused: self.is_refused || other.is_refused,
        }
    }
}
