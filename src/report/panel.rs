//! A plot area with its axes, grid and titles, and the legend above it.

use super::{
    axis::{Axis, Tick},
    canvas::{Anchor, Area, Canvas, Label, Point, Stroke},
    palette::{Colour, GRID, HALF, INK, SOFT, WHITE},
    text,
};

/// Size of the figures at ticks.
pub(super) const TICK_SIZE: f64 = 16.0;
/// Size of axis titles and legends.
pub(super) const TITLE_SIZE: f64 = 17.0;
/// Height of a line of legend.
pub(super) const LEGEND_HEIGHT: f64 = 26.0;

/// A plot area. Values outside of its axes are drawn at its edge.
#[derive(Clone, Copy, Debug)]
pub(super) struct Panel {
    /// The rectangle of the data.
    pub(super) area: Area,
    /// The axis from left to right.
    pub(super) x: Axis,
    /// The axis from bottom to top.
    pub(super) y: Axis,
}

/// The titles and ticks of a plot area.
pub(super) struct Frame<'a> {
    /// Title below the area. When `None`, the horizontal axis has neither a title nor figures.
    pub(super) x_title: Option<&'a str>,
    /// Title to the left of the area, which runs upwards.
    pub(super) y_title: &'a str,
    /// Ticks of the horizontal axis.
    pub(super) x_ticks: &'a [Tick],
    /// Ticks of the vertical axis.
    pub(super) y_ticks: &'a [Tick],
}

/// The symbol in front of a legend's text.
#[derive(Clone, Copy, Debug)]
pub(super) enum LegendSymbol {
    /// A line with markers.
    Line(Stroke, Marker),
    /// A filled area.
    Patch(Colour),
    /// A marker.
    Mark(Marker, Colour),
    /// Two discs side by side.
    Pair(Colour),
    /// A box with a line across, see [`middle_half`].
    Half,
}

/// How a point is marked. Shapes differ, so that curves can be distinguished without their colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marker {
    /// No marker.
    None,
    /// A disc.
    Disc,
    /// A square.
    Square,
    /// A star with five points.
    Star,
    /// A circle that is empty.
    Ring,
    /// A diagonal cross.
    Cross,
}

impl Panel {
    /// The horizontal place of `value`, if the axis can show it.
    pub(super) fn across(&self, value: f64) -> Option<f64> {
        Some(self.area.left + self.x.position(value)? * self.area.width())
    }

    /// The vertical place of `value`, if the axis can show it.
    pub(super) fn down(&self, value: f64) -> Option<f64> {
        Some(self.area.bottom - self.y.position(value)? * self.area.height())
    }

    /// The place of a pair of values, if the axes can show both.
    pub(super) fn at(&self, (x, y): Point) -> Option<Point> {
        Some((self.across(x)?, self.down(y)?))
    }

    /// Draws a line through `points` with a marker at each point. It is interrupted at points that are not
    /// finite.
    pub(super) fn curve(&self, canvas: &mut Canvas, points: &[Point], stroke: Stroke, marker: Marker) {
        let places: Vec<Option<Point>> = points.iter().map(|&point| self.at(point)).collect();
        for run in places.split(Option::is_none) {
            let run: Vec<Point> = run.iter().copied().flatten().collect();
            canvas.line(&run, stroke);
        }
        for &place in places.iter().flatten() {
            mark(canvas, place, marker, 2.0 + 1.5 * stroke.width, stroke.colour);
        }
    }

    /// Draws grid, frame, figures and titles. Call before drawing the data.
    pub(super) fn frame(&self, canvas: &mut Canvas, frame: &Frame<'_>) {
        let Area { left, top, right, bottom } = self.area;
        let figure = Label::new(TICK_SIZE, INK);
        let mut widest = 0.0_f64;
        for tick in frame.y_ticks {
            let Some(y) = self.down(tick.at) else { continue };
            canvas.line(&[(left, y), (right, y)], Stroke::solid(GRID, 1.0));
            canvas.text((left - 9.0, y), &tick.label, figure.anchor(Anchor::End));
            widest = widest.max(text::width(&tick.label, TICK_SIZE, false));
        }
        let mut taken = f64::NEG_INFINITY;
        for tick in frame.x_ticks {
            let Some(x) = self.across(tick.at) else { continue };
            canvas.line(&[(x, top), (x, bottom)], Stroke::solid(GRID, 1.0));
            let half = text::width(&tick.label, TICK_SIZE, false) / 2.0;
            if frame.x_title.is_some() && x - half > taken {
                canvas.text((x, bottom + 17.0), &tick.label, figure.anchor(Anchor::Middle));
                taken = x + half + 10.0;
            }
        }
        let corners = [(left, top), (left, bottom), (right, bottom), (right, top), (left, top)];
        canvas.line(&corners, Stroke::solid(SOFT, 1.0));
        let title = Label::new(TITLE_SIZE, INK).anchor(Anchor::Middle);
        let middle = self.area.middle();
        let y_title = text::fit(frame.y_title, TITLE_SIZE, self.area.height() + 40.0);
        canvas.text((left - 9.0 - widest - 20.0, middle.1), &y_title, title.upwards());
        if let Some(x_title) = frame.x_title {
            let x_title = text::fit(x_title, TITLE_SIZE, self.area.width());
            canvas.text((middle.0, bottom + 44.0), &x_title, title);
        }
    }
}

/// Draws a marker with a white rim, so that it stands out from lines.
pub(super) fn mark(canvas: &mut Canvas, centre: Point, marker: Marker, radius: f64, colour: Colour) {
    let square = |canvas: &mut Canvas, half: f64, colour| {
        let (x, y) = centre;
        canvas.rectangle(Area { left: x - half, top: y - half, right: x + half, bottom: y + half }, colour);
    };
    match marker {
        Marker::None => {}
        Marker::Disc => {
            canvas.disc(centre, radius + 1.2, WHITE);
            canvas.disc(centre, radius, colour);
        }
        Marker::Square => {
            square(canvas, radius + 0.4, WHITE);
            square(canvas, radius - 0.8, colour);
        }
        Marker::Star => {
            canvas.polygon(&star(centre, radius * 1.9 + 2.4), WHITE);
            canvas.polygon(&star(centre, radius * 1.9), colour);
        }
        Marker::Ring => {
            canvas.disc(centre, radius, colour);
            canvas.disc(centre, (radius - 1.4).max(0.7), WHITE);
        }
        Marker::Cross => {
            let (x, y) = centre;
            for (stroke, reach) in
                [(Stroke::solid(WHITE, 4.6), radius + 1.0), (Stroke::solid(colour, 2.4), radius)]
            {
                canvas.line(&[(x - reach, y - reach), (x + reach, y + reach)], stroke);
                canvas.line(&[(x - reach, y + reach), (x + reach, y - reach)], stroke);
            }
        }
    }
}

/// Fills the area in which the middle half of some figures lies.
pub(super) fn middle_half(canvas: &mut Canvas, area: Area) {
    canvas.rectangle(area, HALF);
    let Area { left, top, right, bottom } = area;
    let corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)];
    canvas.line(&corners, Stroke::solid(GRID.mix(INK, 0.2), 1.0));
}

/// Draws the line of a median.
pub(super) fn median_line(canvas: &mut Canvas, (left, y): Point, right: f64) {
    canvas.line(&[(left, y), (right, y)], Stroke::solid(WHITE, 4.4));
    canvas.line(&[(left, y), (right, y)], Stroke::solid(INK, 2.2));
}

/// The corners of a star with five points.
fn star(centre: Point, radius: f64) -> Vec<Point> {
    (0..10_u8)
        .map(|corner| {
            let angle = f64::from(corner) * std::f64::consts::PI / 5.0;
            let reach = if corner % 2 == 0 { radius } else { radius * 0.42 };
            (centre.0 + reach * angle.sin(), centre.1 - reach * angle.cos())
        })
        .collect()
}

/// The symbol of a legend's entry and its text.
pub(super) type LegendEntry<'a> = (LegendSymbol, &'a str);

/// Room between the entries of a legend.
const LEGEND_GAP: f64 = 26.0;

impl LegendSymbol {
    const fn width(self) -> f64 {
        match self {
            Self::Line(..) => 40.0,
            Self::Patch(_) | Self::Half | Self::Pair(_) => 26.0,
            Self::Mark(..) => 18.0,
        }
    }

    /// Draws the symbol from this place to the right.
    fn draw(self, canvas: &mut Canvas, (x, y): Point) {
        let area = Area { left: x, top: y - 8.0, right: x + 26.0, bottom: y + 8.0 };
        match self {
            Self::Line(stroke, marker) => {
                canvas.line(&[(x, y), (x + 40.0, y)], stroke);
                mark(canvas, (x + 20.0, y), marker, 2.0 + 1.5 * stroke.width, stroke.colour);
            }
            Self::Patch(colour) => canvas.rectangle(area, colour),
            Self::Mark(marker, colour) => mark(canvas, (x + 9.0, y), marker, 5.5, colour),
            Self::Pair(colour) => {
                mark(canvas, (x + 7.0, y), Marker::Disc, 5.0, colour);
                mark(canvas, (x + 18.0, y), Marker::Disc, 5.0, colour);
            }
            Self::Half => {
                middle_half(canvas, area);
                median_line(canvas, (x, y), x + 26.0);
            }
        }
    }
}

/// Width of a legend's entry, with the room behind it.
fn entry_width((symbol, name): &LegendEntry<'_>) -> f64 {
    symbol.width() + 8.0 + text::width(name, TITLE_SIZE, false) + LEGEND_GAP
}

/// Draws a legend from `start` to the right.
pub(super) fn legend(canvas: &mut Canvas, start: Point, entries: &[LegendEntry<'_>]) {
    let (mut x, y) = start;
    for entry in entries {
        let (symbol, name) = entry;
        symbol.draw(canvas, (x, y));
        canvas.text((x + symbol.width() + 8.0, y), name, Label::new(TITLE_SIZE, INK));
        x += entry_width(entry);
    }
}

/// The entries of a legend on lines of at most `room` pixels.
pub(super) fn legend_lines<'a, 'b>(entries: &'b [LegendEntry<'a>], room: f64) -> Vec<&'b [LegendEntry<'a>]> {
    let (mut lines, mut first, mut used) = (Vec::new(), 0, 0.0);
    for (index, entry) in entries.iter().enumerate() {
        let width = entry_width(entry);
        if index > first && used + width - LEGEND_GAP > room {
            lines.push(&entries[first..index]);
            (first, used) = (index, 0.0);
        }
        used += width;
    }
    lines.push(&entries[first..]);
    lines
}

/// Writes a note into the middle of an empty plot area.
pub(super) fn note(canvas: &mut Canvas, area: Area, text: &str) {
    canvas.text(area.middle(), text, Label::new(18.0, SOFT).anchor(Anchor::Middle));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_legend_breaks_where_its_line_is_full_and_keeps_every_entry() {
        let entries = [(LegendSymbol::Half, "a rather long name of an entry"); 7];
        let lines = legend_lines(&entries, 700.0);
        assert!(lines.len() > 2 && lines.iter().all(|line| !line.is_empty()));
        assert_eq!(lines.iter().map(|line| line.len()).sum::<usize>(), 7);
        let widths = lines.iter().map(|line| line.iter().map(entry_width).sum::<f64>() - LEGEND_GAP);
        assert!(widths.into_iter().all(|width| width <= 700.0));
    }
}
