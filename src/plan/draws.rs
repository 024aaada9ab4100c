//! Draws: numbers of ranges, and values of grids, for one configuration after another.
//!
//! A draw depends on the spec's seed, its cell's grid values, the name of its setting and its number within the cell. So
//! one draw more leaves every other draw unchanged.

use std::collections::HashSet;

use super::sobol;
use crate::{
    chance::Chance,
    numbers::count_u64,
    settings::{self, Settings, Value},
    spec::{Domain, RangeSampler, Spec, SweptSetting},
    trial::Params,
};

/// The draws of one grid cell; of the whole space where no setting is fixed by a cell.
///
/// A draw whose numbers, as they are rounded, equal those of an earlier draw keeps its numbers with more digits.
/// If that does not help, since only whole numbers are drawn, the draw is made again. So a spec whose draws are
/// all distinct has the same draws as ever, and one draw more leaves the others as they are.
pub(super) struct Draws<'a> {
    spec: &'a Spec,
    /// The cell's grid values.
    cell: &'a [(String, Value)],
    /// The grid values on which draws depend, as text.
    seeded: String,
}

/// How a draw is made.
#[derive(Clone, Copy, Default)]
pub(super) struct Attempt {
    /// Significant digits beyond the usual ones.
    digits: usize,
    /// How often the draw was made before.
    again: u64,
}

impl<'a> Draws<'a> {
    pub(super) fn new(spec: &'a Spec, cell: &'a [(String, Value)]) -> Self {
        Self { spec, cell, seeded: canonical(&seeded(cell)) }
    }

    /// The first `count` draws of the cell, without those that are equal to one of `seen`, to which they are added.
    pub(super) fn distinct(&self, count: u32, seen: &mut HashSet<String>) -> Vec<Params> {
        let mut found = Vec::new();
        for draw in 0..count {
            if self.combinations().is_some_and(|all| found.len() as u64 >= all) {
                break;
            }
            found.extend(self.next(draw, seen));
        }
        found
    }

    /// Draw number `draw`, made in another way as long as it equals one of `seen`, to which it is added. `None` if all
    /// values are used up.
    pub(super) fn next(&self, draw: u32, seen: &mut HashSet<String>) -> Option<Params> {
        let mut attempts = self.attempts().map(|attempt| self.params(draw, attempt));
        attempts.find(|params| seen.insert(canonical(&params.0)))
    }

    /// Number of different draws; `None` if some number is no whole number, so that there are too many to count.
    pub(super) fn combinations(&self) -> Option<u64> {
        self.spec.space.iter().try_fold(1_u64, |all, swept| match swept.domain {
            Domain::Grid(ref values) => {
                let is_fixed = self.cell.iter().any(|(name, _)| *name == swept.name);
                Some(all.saturating_mul(if is_fixed { 1 } else { values.len() as u64 }))
            }
            Domain::Int(low, high) => Some(all.saturating_mul(int_values(low, high))),
            Domain::Uniform(..) | Domain::LogUniform(..) => None,
        })
    }

    /// The attempts at a draw, until it differs from those before it.
    fn attempts(&self) -> impl Iterator<Item = Attempt> + use<> {
        let combinations = self.combinations();
        let more_digits = if combinations.is_some() { 0 } else { DIGITS_MAX };
        // With every value but one taken, so many attempts all miss it with a probability of e^-32.
        let again = combinations.map_or(0, |all| all.saturating_mul(32));
        let digits = (0..=more_digits).map(|digits| Attempt { digits, ..Attempt::default() });
        digits.chain((1..=again).map(|again| Attempt { again, ..Attempt::default() }))
    }

    /// The values of draw number `draw`, in the order of the spec.
    pub(super) fn params(&self, draw: u32, attempt: Attempt) -> Params {
        let value = |swept: &SweptSetting| {
            let fixed =
                self.cell.iter().find(|(name, _)| *name == swept.name).map(|(_, value)| value.clone());
            fixed.unwrap_or_else(|| {
                let drawn = drawn(&swept.domain, attempt.digits, &mut self.source(swept, draw, attempt));
                as_setting(&swept.name, drawn)
            })
        };
        Params(self.spec.space.iter().map(|swept| (swept.name.clone(), value(swept))).collect())
    }

    /// Where the number of draw `draw` for `swept` comes from.
    fn source(&self, swept: &SweptSetting, draw: u32, attempt: Attempt) -> DrawSource {
        let seed = self.spec.seed.to_string();
        let is_drawn = |swept: &&SweptSetting| self.cell.iter().all(|(name, _)| *name != swept.name);
        let mut drawn = self.spec.space.iter().filter(is_drawn);
        let dimension = drawn.position(|other| other.name == swept.name).unwrap_or_default();
        // A draw that is made again, since only whole numbers are drawn, is drawn at random.
        let is_point = self.spec.sampler != RangeSampler::Random && attempt.again == 0;
        if is_point && dimension < sobol::DIMENSIONS_MAX {
            let key = ["sobol", &seed, &self.seeded, &swept.name];
            return DrawSource::Coordinate(sobol::coordinate(dimension, draw, &key));
        }
        let (draw, again) = (draw.to_string(), attempt.again.to_string());
        let parts = ["draw", &seed, &self.seeded, &swept.name, &draw, "again", &again];
        let count = if attempt.again == 0 { parts.len() - 2 } else { parts.len() };
        DrawSource::Chance(Box::new(Chance::new(parts.split_at(count).0)))
    }
}

/// Where a drawn number comes from.
pub(super) enum DrawSource {
    Chance(Box<Chance>),
    /// The coordinate of a Sobol point, in [0, 1).
    Coordinate(f64),
}

impl DrawSource {
    /// A number in [0, 1).
    fn unit(&mut self) -> f64 {
        match self {
            Self::Chance(chance) => chance.unit(),
            Self::Coordinate(unit) => *unit,
        }
    }

    /// A whole number below `bound`.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a coordinate in [0, 1) times the bound, which the minimum keeps below it"
    )]
    fn below(&mut self, bound: u64) -> u64 {
        match self {
            Self::Chance(chance) => chance.below(bound),
            Self::Coordinate(unit) => ((*unit * count_u64(bound)) as u64).min(bound.saturating_sub(1)),
        }
    }
}

/// Significant digits of a drawn number.
pub(super) const DIGITS: usize = 4;
/// Significant digits of a number that is drawn on a logarithmic scale.
pub(super) const DIGITS_LOG: usize = 3;
/// Digits that are added at most: with 17 digits, each `f64` reads back as itself.
pub(super) const DIGITS_MAX: usize = 17 - DIGITS_LOG;

/// A value of `domain`, never out of bounds.
///
/// Numbers are rounded to [`DIGITS`] significant digits, and to [`DIGITS_LOG`] on a logarithmic scale, so that
/// people can read and type them, and to `more` digits beyond that; the rounded number is what is trained with,
/// so nothing is lost. Rounding may leave the range by half a unit of the last digit, which the clamp undoes.
/// Logarithm and exponential come from the `libm` crate: the standard library's results differ in the last bit
/// between platforms.
pub(super) fn drawn(domain: &Domain, more: usize, source: &mut DrawSource) -> Value {
    match *domain {
        Domain::Uniform(low, high) => {
            Value::Float(rounded(low + (high - low) * source.unit(), DIGITS + more).clamp(low, high))
        }
        Domain::LogUniform(low, high) => {
            let (from, to) = (libm::log(low), libm::log(high));
            let number = libm::exp(from + (to - from) * source.unit());
            Value::Float(rounded(number, DIGITS_LOG + more).clamp(low, high))
        }
        Domain::Int(low, high) => {
            Value::Int(low.saturating_add_unsigned(source.below(int_values(low, high))))
        }
        Domain::Grid(ref values) => {
            let at = usize::try_from(source.below(values.len() as u64)).unwrap_or_default();
            values.get(at).cloned().unwrap_or(Value::Int(0))
        }
    }
}

/// The value of `swept` that `number` stands for: rounded as draws are, or the value at that place of a grid.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number within bounds")]
pub(super) fn fitted(swept: &SweptSetting, number: f64, attempt: Attempt) -> Value {
    let value = match swept.domain {
        Domain::Uniform(low, high) => Value::Float(rounded(number, DIGITS + attempt.digits).clamp(low, high)),
        Domain::LogUniform(low, high) => {
            Value::Float(rounded(number, DIGITS_LOG + attempt.digits).clamp(low, high))
        }
        Domain::Int(low, high) => Value::Int((number.round() as i64).clamp(low, high)),
        Domain::Grid(ref values) => {
            let at = (number.max(0.0) as usize).min(values.len().saturating_sub(1));
            values.get(at).cloned().unwrap_or(Value::Int(0))
        }
    };
    as_setting(&swept.name, value)
}

/// `number` rounded to `digits` significant digits. Formatting rounds the exact decimal value, which
/// multiplying by a power of ten and rounding does not.
pub(super) fn rounded(number: f64, digits: usize) -> f64 {
    format!("{number:.*e}", digits - 1).parse().unwrap_or(number)
}

/// `value` in the setting's own type: 1 becomes 1.0 for a rate.
pub(super) fn as_setting(name: &str, value: Value) -> Value {
    let Some(key) = settings::key(name) else { return value };
    let mut settings = Settings::default();
    match key.set(&mut settings, &value) {
        Ok(()) => key.get(&settings),
        Err(_) => value,
    }
}

/// Number of whole numbers from `low` to `high`.
pub(super) const fn int_values(low: i64, high: i64) -> u64 {
    high.abs_diff(low).saturating_add(1)
}

/// A line `name=value` for each of `params`, sorted by name: the same text for the same values in any order.
pub(super) fn canonical(params: &[(String, Value)]) -> String {
    let mut lines: Vec<String> = params.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    lines.sort_unstable();
    lines.concat()
}

/// `params` without the settings of [`settings::UNSEEDED`].
pub(super) fn seeded(params: &[(String, Value)]) -> Vec<(String, Value)> {
    params.iter().filter(|(name, _)| !settings::UNSEEDED.contains(&&**name)).cloned().collect()
}
