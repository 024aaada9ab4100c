//! A chart of the page as SVG: its frame, its ticks, its paths.
//!
//! Colours are classes of the style sheet, so that a chart is right on light screens, on dark ones and on paper. A chart
//! is made of elements and attributes alone: the page's policy allows no style in an attribute.

use std::fmt::Write as _;

use crate::{
    leaderboard::figures::html as escape,
    report::axis::{Axis, Tick},
};

/// A place in a chart, or a value on both of its axes.
pub(super) type Point = (f64, f64);

/// The area of a chart in which values are drawn, in pixels, and its axes.
pub(super) struct Plot {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) x: Axis,
    pub(super) y: Axis,
}

/// What stands around the area.
pub(super) struct Frame<'a> {
    pub(super) x_title: &'a str,
    pub(super) y_title: &'a str,
    pub(super) x_ticks: &'a [Tick],
    pub(super) y_ticks: &'a [Tick],
}

impl Plot {
    /// Where a value across stands.
    pub(super) fn across(&self, x: f64) -> Option<f64> {
        Some(self.left + self.width * self.x.position(x)?)
    }

    /// Where a value upwards stands.
    pub(super) fn up(&self, y: f64) -> Option<f64> {
        Some(self.top + self.height * (1.0 - self.y.position(y)?))
    }

    /// Where two values stand; `None` unless both are finite.
    pub(super) fn at(&self, (x, y): Point) -> Option<Point> {
        Some((self.across(x)?, self.up(y)?))
    }

    /// The `d` of a path through these values, with a gap at those that are not finite.
    pub(super) fn path(&self, values: impl Iterator<Item = Point>) -> String {
        let mut d = String::new();
        let mut is_down = false;
        for value in values {
            match self.at(value) {
                Some((x, y)) => {
                    let order = if is_down { 'L' } else { 'M' };
                    let _ = write!(d, "{order}{x:.1} {y:.1}");
                    is_down = true;
                }
                None => is_down = false,
            }
        }
        d
    }

    /// Lines and labels of the ticks, and the titles of the axes: that of the upward one stands above the area.
    pub(super) fn frame(&self, frame: &Frame<'_>) -> String {
        let (right, bottom) = (self.left + self.width, self.top + self.height);
        let mut svg = String::new();
        for tick in frame.y_ticks {
            let Some(y) = self.up(tick.at) else { continue };
            let _ = write!(
                svg,
                "<line class=\"rule\" x1=\"{}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text class=\"end\" x=\"{}\" y=\"{:.1}\">{}</text>",
                self.left,
                self.left - 6.0,
                y + 4.0,
                escape(&tick.label),
            );
        }
        for tick in frame.x_ticks {
            let Some(x) = self.across(tick.at) else { continue };
            let (from, below) = (bottom + 5.0, bottom + 18.0);
            let _ = write!(
                svg,
                "<line class=\"rule\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{bottom}\" y2=\"{from}\"/>\
                 <text class=\"mid\" x=\"{x:.1}\" y=\"{below}\">{}</text>",
                escape(&tick.label),
            );
        }
        let (middle, below) = (self.left + self.width / 2.0, bottom + 36.0);
        let _ = write!(
            svg,
            "<line class=\"axis\" x1=\"{0}\" x2=\"{right}\" y1=\"{bottom}\" y2=\"{bottom}\"/>\
             <text class=\"name\" x=\"4\" y=\"{1}\">{2}</text>\
             <text class=\"mid name\" x=\"{middle}\" y=\"{below}\">{3}</text>",
            self.left,
            self.top - 10.0,
            escape(frame.y_title),
            escape(frame.x_title),
        );
        svg
    }
}

/// The beginning of a chart of this size, with words for those who do not see it.
pub(super) fn begin(class: &str, (width, height): Point, words: &str) -> String {
    format!(
        "<svg class=\"{class}\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\" \
         aria-label=\"{}\">",
        escape(words)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot() -> Plot {
        let axis = Axis::linear(0.0, 1.0);
        Plot { left: 10.0, top: 20.0, width: 100.0, height: 50.0, x: axis, y: axis }
    }

    #[test]
    fn greater_values_stand_higher_and_further_right() {
        assert_eq!(plot().at((0.0, 0.0)), Some((10.0, 70.0)));
        assert_eq!(plot().at((1.0, 1.0)), Some((110.0, 20.0)));
    }

    #[test]
    fn a_path_has_a_gap_where_a_value_is_not_finite() {
        let values = [(0.0, 0.0), (0.5, f64::NAN), (1.0, 1.0)];
        assert_eq!(plot().path(values.into_iter()), "M10.0 70.0M110.0 20.0");
    }
}
