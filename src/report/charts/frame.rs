//! What the pictures of this module have in common: title, sentences below, and the height of a picture.

use crate::{
    numbers,
    report::{
        canvas::{self, Canvas, Label},
        error::ReportError,
        palette::{INK, SOFT},
        panel::{LEGEND_HEIGHT, LegendEntry, TITLE_SIZE, legend, legend_lines},
        text,
    },
};

/// Width of a picture.
pub(super) const WIDTH: f64 = 1200.0;
/// Room at the left and right edges.
pub(super) const MARGIN: f64 = 36.0;
/// Height of title and subtitle.
pub(super) const HEAD: f64 = 92.0;
/// Height of a sentence at the lower edge.
const NOTE: f64 = 24.0;

/// A picture's texts around what it shows.
pub(super) struct Texts {
    pub(super) title: String,
    /// What the marks mean, or the main figures.
    pub(super) subtitle: String,
    /// Sentences at the lower edge.
    pub(super) notes: Vec<String>,
}

impl Texts {
    /// Adds the sentence about transliterated names if one of `names` is.
    pub(super) fn explain<'a>(&mut self, names: impl IntoIterator<Item = &'a String>) {
        let mut names = names.into_iter();
        if text::is_transliterated(&self.title)
            || text::is_transliterated(&self.subtitle)
            || names.any(|name| text::is_transliterated(name))
        {
            self.notes.push(text::TRANSLITERATED.to_owned());
        }
    }

    /// The lines of the sentences at the lower edge.
    fn lines(&self, width: f64) -> Vec<String> {
        let broken = |note: &String| lines(note, TITLE_SIZE - 1.0, width - 2.0 * MARGIN);
        self.notes.iter().flat_map(broken).collect()
    }

    /// The PNG of a picture whose `draw` ends at `bottom`.
    pub(super) fn picture(
        &self,
        (width, bottom): (f64, f64),
        draw: impl Fn(&mut Canvas),
    ) -> Result<Vec<u8>, ReportError> {
        let lines = self.lines(width);
        let height = bottom + 14.0 + numbers::count(lines.len()) * NOTE;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few thousand pixels")]
        let (columns, rows) = (width as u32, height.ceil() as u32);
        let room = width - 2.0 * MARGIN;
        canvas::in_bands(columns, rows, |canvas| {
            // A bold text is wider than the regular one that is measured.
            let title = text::fit(&self.title, 22.0, room * 0.87);
            canvas.text((MARGIN, 36.0), &title, Label::new(22.0, INK).bold());
            let subtitle = text::fit(&self.subtitle, TITLE_SIZE, room);
            canvas.text((MARGIN, 66.0), &subtitle, Label::new(TITLE_SIZE, SOFT));
            draw(canvas);
            for (line, note) in lines.iter().enumerate() {
                let y = bottom + 10.0 + numbers::count(line) * NOTE;
                canvas.text((MARGIN, y), note, Label::new(TITLE_SIZE - 1.0, SOFT));
            }
        })
    }
}

/// `text` on lines of at most `room` pixels, broken between words.
fn lines(text: &str, em: f64, room: f64) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let Some(line) = lines.last_mut() else { break };
        let longer = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
        if line.is_empty() || text::width(&longer, em, false) <= room {
            *line = longer;
        } else {
            lines.push(word.to_owned());
        }
    }
    lines.iter().map(|line| text::fit(line, em, room)).collect()
}

/// The height of a legend of this width.
pub(super) fn legend_height(entries: &[LegendEntry<'_>], room: f64) -> f64 {
    numbers::count(legend_lines(entries, room).len()) * LEGEND_HEIGHT
}

/// Draws a legend on as many lines as it needs, the first one at `y`.
pub(super) fn draw_legend(canvas: &mut Canvas, (x, y): (f64, f64), entries: &[LegendEntry<'_>], room: f64) {
    for (line, entries) in legend_lines(entries, room).into_iter().enumerate() {
        legend(canvas, (x, y + numbers::count(line) * LEGEND_HEIGHT), entries);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_broken_between_words_within_its_room() {
        let broken = lines("a sentence of several words about a sweep", 16.0, 120.0);
        assert!(broken.len() > 2 && broken.iter().all(|line| text::width(line, 16.0, false) <= 120.0));
        assert_eq!(broken.join(" "), "a sentence of several words about a sweep");
    }
}
