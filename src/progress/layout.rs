//! Fits the parts of a line into the columns of a terminal: parts are left out, shortened or widened.
//!
//! Widths are those of the terminal, so that a wide character counts as two columns. No line is ever wider
//! than it may be.

use crate::display::{columns, shorten};

/// Columns of the shortest bar.
const BAR_COLUMNS_MIN: usize = 6;

/// A part of a line.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Part {
    /// What stands between the part before and this one.
    glue: &'static str,
    content: Content,
    /// The parts with the highest rank are left out first; the part of rank 0 stays.
    rank: u8,
    tint: Tint,
}

/// What a part shows.
#[derive(Clone, Debug, PartialEq)]
enum Content {
    /// A text that is shown whole or not at all.
    Whole(String),
    /// A text that may be shortened down to this many columns.
    Flexible(String, usize),
    /// A bar of at most this many columns, of which this share is full.
    Bar(f64, usize),
}

/// The colour of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tint {
    Plain,
    Cyan,
    Green,
    Red,
}

impl Part {
    /// A text that is shown whole or not at all.
    pub(super) fn whole(rank: u8, text: impl Into<String>) -> Self {
        Self { glue: " · ", content: Content::Whole(text.into()), rank, tint: Tint::Plain }
    }

    /// A text that may be shortened down to `columns_min` columns.
    pub(super) fn flexible(rank: u8, text: impl Into<String>, columns_min: usize) -> Self {
        Self { content: Content::Flexible(text.into(), columns_min), ..Self::whole(rank, "") }
    }

    /// A bar of at most `columns_max` columns, of which `share` (0 to 1) is full.
    pub(super) fn bar(rank: u8, share: f64, columns_max: usize) -> Self {
        Self { glue: " ", content: Content::Bar(share, columns_max), ..Self::whole(rank, "") }
    }

    /// This part with `glue` between the part before and it.
    pub(super) fn after(self, glue: &'static str) -> Self {
        Self { glue, ..self }
    }

    pub(super) fn cyan(self) -> Self {
        Self { tint: Tint::Cyan, ..self }
    }

    pub(super) fn green(self) -> Self {
        Self { tint: Tint::Green, ..self }
    }

    pub(super) fn red(self) -> Self {
        Self { tint: Tint::Red, ..self }
    }

    /// The columns of the shortest form.
    fn columns_min(&self) -> usize {
        match &self.content {
            Content::Whole(text) => columns(text),
            Content::Flexible(text, min) => columns(text).min(*min),
            Content::Bar(_, max) => BAR_COLUMNS_MIN.min(*max),
        }
    }

    /// The columns of the longest form.
    fn columns_max(&self) -> usize {
        match &self.content {
            Content::Whole(text) | Content::Flexible(text, _) => columns(text),
            Content::Bar(_, max) => *max,
        }
    }

    /// The part in at most `width` columns.
    fn show(&self, width: usize, colour: bool) -> String {
        let text = match &self.content {
            Content::Whole(text) | Content::Flexible(text, _) => shorten(text, width),
            Content::Bar(share, _) => bar(*share, width),
        };
        let code = match self.tint {
            Tint::Plain => return text,
            Tint::Red => 31,
            Tint::Green => 32,
            Tint::Cyan => 36,
        };
        if colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text }
    }
}

/// A bar of `width` columns, of which `share` is full.
fn bar(share: f64, width: usize) -> String {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a bar has few columns, and the share is made one of 0 to 1"
    )]
    let full = ((share.clamp(0.0, 1.0) * width as f64) as usize).min(width);
    let tip = if full < width { "╸" } else { "" };
    "━".repeat(full) + tip + &"─".repeat((width - full).saturating_sub(1))
}

/// The line of these parts in at most `width` columns.
pub(super) fn fit(mut parts: Vec<Part>, width: usize, colour: bool) -> String {
    parts.retain(|part| part.columns_max() > 0);
    while least(&parts) > width && parts.len() > 1 {
        let Some(last) = (0..parts.len()).max_by_key(|at| parts.get(*at).map(|part| part.rank)) else {
            break;
        };
        parts.remove(last);
    }
    let mut room = width.saturating_sub(least(&parts));
    let mut widths: Vec<usize> = parts.iter().map(Part::columns_min).collect();
    let mut order: Vec<usize> = (0..parts.len()).collect();
    // A longer bar says nothing more.
    order.sort_by_key(|at| parts.get(*at).map(|part| (matches!(part.content, Content::Bar(..)), part.rank)));
    for at in order {
        if let (Some(part), Some(own)) = (parts.get(at), widths.get_mut(at)) {
            let more = part.columns_max().saturating_sub(*own).min(room);
            *own += more;
            room -= more;
        }
    }
    let mut line = String::new();
    for (at, (part, own)) in parts.iter().zip(widths).enumerate() {
        if at > 0 {
            line.push_str(part.glue);
        }
        // Only a single part that is left can be wider than the line.
        line.push_str(&part.show(own.min(width), colour));
    }
    line
}

/// The columns of the shortest line of these parts.
fn least(parts: &[Part]) -> usize {
    let glue: usize = parts.iter().skip(1).map(|part| columns(part.glue)).sum();
    glue + parts.iter().map(Part::columns_min).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts() -> Vec<Part> {
        vec![
            Part::whole(0, "0003"),
            Part::bar(3, 0.5, 12).green(),
            Part::whole(1, "epoch 1/2"),
            Part::flexible(2, "文本长度=128 learning_rate=0.001", 8),
        ]
    }

    #[test]
    fn no_line_is_wider_than_it_may_be() {
        for width in 1..120 {
            let line = fit(parts(), width, false);
            assert!(columns(&line) <= width, "{width}: {line}");
        }
    }

    #[test]
    fn what_has_the_highest_rank_is_left_out_first() {
        assert_eq!(fit(parts(), 27, false), "0003 · epoch 1/2 · 文本…001");
        assert_eq!(fit(parts(), 20, false), "0003 · epoch 1/2");
        assert_eq!(fit(parts(), 8, false), "0003");
    }

    #[test]
    fn room_goes_to_texts_first() {
        let line = fit(parts(), 80, false);
        assert_eq!(line, "0003 ━━━━━━╸───── · epoch 1/2 · 文本长度=128 learning_rate=0.001");
    }

    #[test]
    fn a_bar_has_a_tip_until_it_is_full() {
        assert_eq!(
            [bar(0.0, 4), bar(0.5, 4), bar(1.0, 4), bar(f64::NAN, 4)],
            ["╸───", "━━╸─", "━━━━", "╸───"]
        );
    }

    #[test]
    fn colours_take_no_columns() {
        let line = fit(parts(), 80, true);
        assert_eq!(line.replace("\u{1b}[32m", "").replace("\u{1b}[0m", ""), fit(parts(), 80, false));
    }
}
