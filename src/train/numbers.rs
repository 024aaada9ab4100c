//! Counts as floats.

/// A count as an f64.
#[inline]
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of documents, tokens and parameters are far below 2^53"
)]
pub(crate) const fn count(number: usize) -> f64 {
    number as f64
}

/// A number of optimiser steps as an f64.
#[inline]
#[expect(clippy::cast_precision_loss, reason = "numbers of steps are far below 2^53")]
pub(crate) const fn step_count(steps: u64) -> f64 {
    steps as f64
}

/// A count below 2^24, such as a width or the length of a chunk, as an f32.
#[inline]
#[expect(clippy::cast_precision_loss, reason = "an f32 holds whole numbers below 2^24 exactly")]
pub(crate) const fn small_count(number: usize) -> f32 {
    number as f32
}
