//! What a curve says of single evaluations: their figures where there are few of them, and a mark where a
//! figure is not finite.

use super::{
    canvas::{Anchor, Canvas, Label, Point},
    palette::Colour,
    panel::{Marker, Panel, TICK_SIZE, mark},
    text,
};

/// Largest number of evaluations whose figures stand beside their points.
const FIGURES_MAX: usize = 2;
/// Distance between a point and the middle of its figure, in pixels.
const FIGURE_DISTANCE: f64 = 19.0;
/// Distance between the upper edge of the panel and the marks of figures that are not finite, in pixels.
const MARK_DISTANCE: f64 = 12.0;

/// A curve: a figure of each evaluation by epoch.
pub(super) struct Series {
    pub(super) points: Vec<Point>,
    pub(super) colour: Colour,
    /// How the figures are written.
    pub(super) figure: fn(f64) -> String,
}

/// Writes the figures of few evaluations, and marks those that are not finite at the upper edge. Call after
/// the curves are drawn.
pub(super) fn draw(canvas: &mut Canvas, panel: &Panel, curves: &[Series]) {
    for (index, series) in curves.iter().enumerate() {
        if series.points.len() <= FIGURES_MAX {
            for (at, point) in series.points.iter().enumerate() {
                let others = curves.iter().enumerate().filter(|(other, _)| *other != index);
                let is_below = others.filter_map(|(_, other)| other.points.get(at)).any(|other| {
                    // Of two equal figures, the first one's is written above.
                    other.1 > point.1 || (other.1 == point.1 && index > 0)
                });
                write_figure(canvas, panel, series, *point, is_below);
            }
        }
        mark_broken(canvas, panel, series, index);
    }
}

/// Writes the figure of a point above or below it.
fn write_figure(canvas: &mut Canvas, panel: &Panel, series: &Series, point: Point, is_below: bool) {
    let Some((x, y)) = panel.at(point) else { return };
    let figure = (series.figure)(point.1);
    let half = text::width(&figure, TICK_SIZE, true) / 2.0 + 4.0;
    let area = panel.area;
    let x = x.clamp(area.left + half, area.right - half);
    let y = if is_below { y + FIGURE_DISTANCE } else { y - FIGURE_DISTANCE };
    let y = y.clamp(area.top + 10.0, area.bottom - 10.0);
    canvas.text((x, y), &figure, Label::new(TICK_SIZE, series.colour).bold().anchor(Anchor::Middle));
}

/// Marks each evaluation whose figure is not finite.
fn mark_broken(canvas: &mut Canvas, panel: &Panel, series: &Series, index: usize) {
    let broken = series.points.iter().filter(|(_, figure)| !figure.is_finite());
    let places: Vec<f64> = broken.filter_map(|(epoch, _)| panel.across(*epoch)).collect();
    #[expect(clippy::cast_precision_loss, reason = "a few curves")]
    let y = panel.area.top + MARK_DISTANCE + 20.0 * index as f64;
    for &x in &places {
        mark(canvas, (x, y), Marker::Cross, 5.5, series.colour);
    }
    if let Some(&first) = places.first() {
        // Before the first mark, unless there is no room: behind it may be others.
        let has_room = first - 100.0 > panel.area.left;
        let (x, anchor) = if has_room { (first - 14.0, Anchor::End) } else { (first + 14.0, Anchor::Start) };
        canvas.text((x, y), "not finite", Label::new(TICK_SIZE, series.colour).anchor(anchor));
    }
}
