//! The space of a search, one dimension for each setting.

use crate::numbers::{count, whole};

/// The values that one setting can take. Bounds are included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Dimension {
    /// Numbers, on a linear scale.
    Uniform(f64, f64),
    /// Numbers above 0, on a logarithmic scale.
    LogUniform(f64, f64),
    /// Whole numbers; a point has them as `f64`.
    Int(i64, i64),
    /// So many choices without an order; a point has the index of one.
    Categorical(usize),
}

impl Dimension {
    /// Lowest and highest value.
    pub(super) fn bounds(self) -> (f64, f64) {
        match self {
            Self::Uniform(low, high) | Self::LogUniform(low, high) => (low, high),
            Self::Int(low, high) => (whole(low), whole(high)),
            Self::Categorical(choices) => (0.0, count(choices.saturating_sub(1))),
        }
    }

    /// Whether `value` is one of this dimension's.
    pub(super) fn has(self, value: f64) -> bool {
        let (low, high) = self.bounds();
        let is_whole = match self {
            Self::Uniform(..) | Self::LogUniform(..) => true,
            Self::Int(..) | Self::Categorical(_) => value.fract() == 0.0,
        };
        is_whole && (low..=high).contains(&value)
    }
}
