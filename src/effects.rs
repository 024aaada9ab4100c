//! What each setting of a sweep did to the figures of its trials.
//!
//! [`Effects`] is computed from a [`Study`](crate::study::Study): it reads no file and draws nothing. The arithmetic is over plain numbers:
//! a [`Sample`] of points with a figure each. Validation decides: test figures are used only if they are asked for.
//! Nothing is said of settings where there are too few trials to say it, and the reason is given in its place.

mod expected;
mod folds;
mod forest;
mod heat_map;
mod judge;
mod notes;
mod observed;
mod sample;
mod summary;
mod table;
#[cfg(test)]
mod tests;
mod tree;

pub use self::{
    expected::{DRAWS_MIN, ExpectedBest, expected_best},
    heat_map::{Cell, HeatMap},
    judge::{Band, Effect, Judged, LEVEL, POINTS_MAX, POINTS_MIN, Together, judge},
    observed::{Compared, Design, Figure, LeftOut, Observed, Setting},
    sample::{Axis, LEVELS_MAX, Sample},
    summary::{Best, Effects, Importance, Interaction, Kind, MeanAt, SettingEffect},
};
