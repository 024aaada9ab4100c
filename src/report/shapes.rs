//! Places, areas, and the look of lines and texts, in logical pixels.

use super::palette::Colour;

/// A place in logical pixels from the upper left: to the right, then down.
pub(super) type Point = (f64, f64);

/// How a line looks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stroke {
    /// Colour of the line.
    pub(super) colour: Colour,
    /// Width in logical pixels.
    pub(super) width: f64,
    /// The dashes of the line; `None` for a solid line.
    pub(super) dash: Option<Dash>,
}

/// The lengths of dashes and of the gaps between them, in logical pixels. Both are above 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Dash {
    pub(super) length: f64,
    pub(super) gap: f64,
}

impl Stroke {
    /// A solid line.
    pub(super) const fn solid(colour: Colour, width: f64) -> Self {
        Self { colour, width, dash: None }
    }

    /// The same line with dashes of this length and gaps between them.
    pub(super) const fn dashed(self, length: f64, gap: f64) -> Self {
        Self { dash: Some(Dash { length, gap }), ..self }
    }
}

/// A rectangle between two corners.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Area {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) right: f64,
    pub(super) bottom: f64,
}

impl Area {
    pub(super) fn width(&self) -> f64 {
        self.right - self.left
    }

    pub(super) fn height(&self) -> f64 {
        self.bottom - self.top
    }

    pub(super) fn middle(&self) -> Point {
        (f64::midpoint(self.left, self.right), f64::midpoint(self.top, self.bottom))
    }
}

/// The point of a text that stands at its place, horizontally.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    /// The beginning of the text.
    Start,
    /// The middle of the text.
    Middle,
    /// The end of the text.
    End,
}

/// How a text looks. Vertically, its place is the middle of its capital letters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Label {
    /// Height of an em in logical pixels.
    pub(super) size: f64,
    /// Colour of the text.
    pub(super) colour: Colour,
    /// Whether the text is bold.
    pub(super) bold: bool,
    /// The point of the text that stands at its place.
    pub(super) anchor: Anchor,
    /// Whether the text runs upwards.
    pub(super) upwards: bool,
}

impl Label {
    /// A text that starts at its place and runs to the right.
    pub(super) const fn new(size: f64, colour: Colour) -> Self {
        Self { size, colour, bold: false, anchor: Anchor::Start, upwards: false }
    }

    pub(super) const fn bold(self) -> Self {
        Self { bold: true, ..self }
    }

    pub(super) const fn anchor(self, anchor: Anchor) -> Self {
        Self { anchor, ..self }
    }

    pub(super) const fn upwards(self) -> Self {
        Self { upwards: true, ..self }
    }
}

/// The dashes of a line through `points`; dashes and gaps continue around corners.
pub(super) fn dashes(points: &[Point], dash: Dash) -> Vec<Vec<Point>> {
    let (mut pieces, mut piece): (Vec<Vec<Point>>, Vec<Point>) = (Vec::new(), Vec::new());
    let (mut drawing, mut left) = (true, dash.length);
    piece.extend(points.first());
    for pair in points.windows(2) {
        let (from, to) = (pair[0], pair[1]);
        let length = (to.0 - from.0).hypot(to.1 - from.1);
        let mut done = 0.0;
        while length - done > left {
            done += left;
            let share = done / length;
            let point = (from.0 + (to.0 - from.0) * share, from.1 + (to.1 - from.1) * share);
            if drawing {
                piece.push(point);
                pieces.push(std::mem::take(&mut piece));
            } else {
                piece.push(point);
            }
            drawing = !drawing;
            left = if drawing { dash.length } else { dash.gap };
        }
        left -= length - done;
        if drawing {
            piece.push(to);
        }
    }
    if piece.len() > 1 {
        pieces.push(piece);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_and_gaps_have_their_lengths_around_a_corner() {
        let pieces = dashes(&[(0.0, 0.0), (5.0, 0.0), (5.0, 10.0)], Dash { length: 4.0, gap: 2.0 });
        assert_eq!(pieces[0], [(0.0, 0.0), (4.0, 0.0)]);
        assert_eq!(pieces[1], [(5.0, 1.0), (5.0, 5.0)]);
        assert_eq!(pieces[2], [(5.0, 7.0), (5.0, 10.0)]);
    }
}
