//! The places of the parts of the overview, in logical pixels.

use crate::report::canvas::Area;

/// Width of the picture.
pub(super) const WIDTH: u32 = 1500;
/// Left edge of texts.
pub(super) const MARGIN: f64 = 36.0;
/// Right edge of everything.
pub(super) const RIGHT: f64 = 1464.0;
/// The plot area of the validation curves, with a colour bar to its right. Without one it ends at [`RIGHT`].
pub(super) const CURVES: Area = Area { left: 108.0, top: 176.0, right: 1316.0, bottom: 560.0 };
/// Height at which the panels of the settings begin.
pub(super) const SETTINGS_TOP: f64 = 640.0;
/// Height above the first row of panels for two lines of legend.
pub(super) const SETTINGS_LEGEND: f64 = 58.0;
/// Height of a row of panels.
pub(super) const SETTINGS_HEIGHT: f64 = 372.0;
