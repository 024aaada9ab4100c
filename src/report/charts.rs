//! Pictures of a sweep that are drawn once it is over: the leaderboard as dots, what each setting did, the trials by
//! all settings at once, two settings as a map, what more draws bought, and how far probabilities can be believed.
//!
//! Each picture has one file here. A function returns nothing where there is too little to show.

mod calibration;
mod dots;
mod expected;
mod frame;
mod heat_map;
mod importance;
mod means;
mod parallel;
#[cfg(test)]
mod tests;

pub(super) use self::{
    calibration::png as calibration, dots::png as leaderboard, expected::png as expected_best,
    heat_map::png as heat_map, importance::png as importance, parallel::png as parallel,
};
