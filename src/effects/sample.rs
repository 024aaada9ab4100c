//! A sample: the figure of each trial by the values of the settings, as plain numbers.

use std::collections::{BTreeMap, BTreeSet};

use crate::numbers::count;

/// Most values of a setting without a range: as many as a word has bits.
pub const LEVELS_MAX: usize = 64;

/// Places at which the effect of a setting with a range is computed.
const SLOTS: usize = 32;
/// The same for two settings together, for each of them.
const SLOTS_OF_PAIR: usize = 16;

/// How the values of a setting lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// Numbers of a range. A point has them as shares of the range, 0 to 1, on the scale of the range.
    Numbers,
    /// A list of values. A point has the index of one.
    Levels {
        /// How many there are; at most [`LEVELS_MAX`].
        count: usize,
        /// Whether they are numbers in ascending order. Without an order, any of them may go together.
        is_ordered: bool,
    },
}

impl Axis {
    /// The number of places at which an effect is computed.
    #[must_use]
    pub const fn slots(self) -> usize {
        match self {
            Self::Numbers => SLOTS,
            Self::Levels { count, .. } => count,
        }
    }

    /// The same for the effect of two settings together.
    pub(super) const fn slots_of_pair(self) -> usize {
        match self {
            Self::Numbers => SLOTS_OF_PAIR,
            Self::Levels { count, .. } => count,
        }
    }

    /// The place of a value, of `slots`.
    pub(super) fn slot(self, value: f64, slots: usize) -> usize {
        match self {
            Self::Numbers => {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few places")]
                let slot = (value.clamp(0.0, 1.0) * count(slots)) as usize;
                slot.min(slots.saturating_sub(1))
            }
            Self::Levels { .. } => level(value),
        }
    }

    /// The value at a place of `slots`.
    #[must_use]
    pub fn at(self, slot: usize, slots: usize) -> f64 {
        match self {
            Self::Numbers => (count(slot) + 0.5) / count(slots.max(1)),
            Self::Levels { .. } => count(slot),
        }
    }
}

/// The index of a level that a point has as a number.
pub(super) fn level(value: f64) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index, from 0 to 63")]
    let level = value.clamp(0.0, 63.0) as usize;
    level
}

/// The figures of trials, or of configurations, by the values of the settings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// How the values of each setting lie.
    pub axes: Vec<Axis>,
    /// For each setting the value of every point.
    pub columns: Vec<Vec<f64>>,
    /// The figure of every point; finite.
    pub figures: Vec<f64>,
}

impl Sample {
    /// The number of points.
    #[must_use]
    pub fn len(&self) -> usize {
        self.figures.len()
    }

    /// Whether there is no point.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.figures.is_empty()
    }

    /// The mean of the figures; 0 without a point.
    pub(super) fn mean(&self) -> f64 {
        self.figures.iter().sum::<f64>() / count(self.len().max(1))
    }

    /// The points among which a setting's values may be exchanged if the setting has no effect.
    ///
    /// In a grid these are the points that agree in all other settings of the grid: an exchange keeps the grid
    /// whole. Draws are independent of each other, so any two of them may be exchanged.
    pub(super) fn exchangeable(&self, setting: usize) -> Vec<Vec<usize>> {
        let others: Vec<usize> = if self.is_crossed() {
            (0..self.axes.len()).filter(|&at| at != setting && self.axes[at] != Axis::Numbers).collect()
        } else {
            Vec::new()
        };
        let mut strata: BTreeMap<Vec<usize>, Vec<usize>> = BTreeMap::new();
        for point in 0..self.len() {
            let key = others.iter().map(|&at| level(self.columns[at][point])).collect();
            strata.entry(key).or_default().push(point);
        }
        strata.into_values().collect()
    }

    /// Whether the settings without a range are crossed with each other: at least four of five combinations are
    /// there.
    pub(super) fn is_crossed(&self) -> bool {
        let grids: Vec<usize> = (0..self.axes.len()).filter(|&at| self.axes[at] != Axis::Numbers).collect();
        let cells = grids.iter().fold(1_usize, |cells, &at| cells.saturating_mul(self.axes[at].slots()));
        let key =
            |point: usize| -> Vec<usize> { grids.iter().map(|&at| level(self.columns[at][point])).collect() };
        let found: BTreeSet<Vec<usize>> = (0..self.len()).map(key).collect();
        !grids.is_empty() && found.len() >= cells.saturating_mul(4).div_ceil(5)
    }
}
