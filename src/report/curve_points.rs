//! What a curve says of single evaluations: its figure where there is one only, and a mark where a figure is
//! not finite.

use super::{
    canvas::{Anchor, Canvas, Label, Point},
    palette::Colour,
    panel::{Marker, Panel, TICK_SIZE, mark},
};

/// Distance between a point and its figure, in pixels.
const FIGURE_DISTANCE: f64 = 18.0;
/// Distance between the upper edge of the panel and the marks of figures that are not finite, in pixels.
const MARK_DISTANCE: f64 = 12.0;

/// A curve: a figure of each evaluation by epoch.
pub(super) struct Series {
    pub(super) points: Vec<Point>,
    pub(super) colour: Colour,
    /// How the figures are written.
    pub(super) figure: fn(f64) -> String,
}

/// Writes the figure of a single evaluation, and marks figures that are not finite at the upper edge. Call
/// after the curves are drawn.
///
/// The figure of the first of two curves stands to the left of its point, any other to the right: both curves
/// may have the same figure.
pub(super) fn draw(canvas: &mut Canvas, panel: &Panel, curves: &[Series]) {
    for (index, series) in curves.iter().enumerate() {
        if let [only] = series.points[..] {
            let is_left = index == 0 && curves.len() > 1;
            write_figure(canvas, panel, series, only, is_left);
        }
        mark_broken(canvas, panel, series, index);
    }
}

/// Writes the figure of a point beside it.
fn write_figure(canvas: &mut Canvas, panel: &Panel, series: &Series, point: Point, is_left: bool) {
    let Some((x, y)) = panel.at(point) else { return };
    let label = Label::new(TICK_SIZE, series.colour).bold();
    let (x, anchor) =
        if is_left { (x - FIGURE_DISTANCE, Anchor::End) } else { (x + FIGURE_DISTANCE, Anchor::Start) };
    canvas.text((x, y), &(series.figure)(point.1), label.anchor(anchor));
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
