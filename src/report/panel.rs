//! A plot area with its axes, grid and titles, and the legend above it.

use super::{
    axis::{Axis, Tick},
    canvas::{Anchor, Area, Canvas, Label, Point, Stroke},
    palette::{Colour, GRID, INK, SOFT, WHITE},
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
        canvas.text((left - 9.0 - widest - 20.0, middle.1), frame.y_title, title.upwards());
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
    }
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

/// Draws a legend from `start` to the right. Returns the place at which it ends.
pub(super) fn legend(canvas: &mut Canvas, start: Point, entries: &[(LegendSymbol, &str)]) -> f64 {
    let (mut x, y) = start;
    for (symbol, name) in entries {
        let width = match symbol {
            LegendSymbol::Line(stroke, marker) => {
                canvas.line(&[(x, y), (x + 40.0, y)], *stroke);
                mark(canvas, (x + 20.0, y), *marker, 2.0 + 1.5 * stroke.width, stroke.colour);
                40.0
            }
            LegendSymbol::Patch(colour) => {
                canvas.rectangle(Area { left: x, top: y - 8.0, right: x + 26.0, bottom: y + 8.0 }, *colour);
                26.0
            }
            LegendSymbol::Mark(marker, colour) => {
                mark(canvas, (x + 9.0, y), *marker, 5.5, *colour);
                18.0
            }
        };
        canvas.text((x + width + 8.0, y), name, Label::new(TITLE_SIZE, INK));
        x += width + 8.0 + text::width(name, TITLE_SIZE, false) + 26.0;
    }
    x - 26.0
}

/// Writes a note into the middle of an empty plot area.
pub(super) fn note(canvas: &mut Canvas, area: Area, text: &str) {
    canvas.text(area.middle(), text, Label::new(18.0, SOFT).anchor(Anchor::Middle));
}
