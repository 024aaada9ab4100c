//! The trials of a spec: grid cells, draws and seeds.
//!
//! Grid cells come in the order of the spec, the last swept setting fastest. Each cell is drawn `samples`
//! times if any swept setting has a range, and each configuration is run `repeats` times. The draws of a cell
//! are distinct as long as its ranges hold enough values: see [`Draws`].
//!
//! With `sampler = "sobol"` the draws of a cell are Sobol points, scrambled by the spec's seed, the cell's grid
//! values and the name of the setting; a setting's dimension is its place among the ranges of the spec.
//!
//! A draw depends on the spec's seed, its cell's grid values, the name of its setting and its number within
//! the cell; a trial's seed depends on the spec's seed, the trial's own values and its repeat. So another
//! grid value or another draw leaves every other trial unchanged. Settings of [`settings::UNSEEDED`] are no
//! part of either: trials that differ in these settings alone begin with the same steps and may share them.

use std::collections::HashSet;

use super::sobol;
use crate::{
    chance::{Chance, digest},
    numbers::count_u64,
    settings::{self, Settings, Value},
    spec::{Domain, RangeSampler, Spec, SweptSetting},
    trial::{Params, Trial, TrialId},
};

/// Every trial of `spec`; equal configurations once.
pub(super) fn trials(spec: &Spec) -> Vec<Trial> {
    let mut seen = HashSet::new();
    let mut trials = Vec::new();
    for cell in cells(&spec.space) {
        for params in Draws::new(spec, &cell).distinct(&mut seen) {
            for repeat in 0..spec.repeats {
                trials.push(Trial {
                    id: TrialId(u32::try_from(trials.len() + 1).unwrap_or(u32::MAX)),
                    params: params.clone(),
                    repeat,
                    seed: seed(spec.seed, &params, repeat),
                    settings: settings(spec, &params),
                });
            }
        }
    }
    trials
}

/// Draws for each grid cell.
fn draws(spec: &Spec) -> u32 {
    if spec.space.iter().any(|swept| swept.domain.is_range()) { spec.samples } else { 1 }
}

/// Says that a plan of `trials` trials has fewer configurations than `spec` asks for, and why; `None` if it has
/// as many.
#[must_use]
pub fn merged(spec: &Spec, trials: usize) -> Option<String> {
    let grids = spec.space.iter().filter_map(|swept| match &swept.domain {
        Domain::Grid(values) => Some(values.len()),
        Domain::Uniform(..) | Domain::LogUniform(..) | Domain::Int(..) => None,
    });
    let cells: usize = grids.product();
    let draws = usize::try_from(draws(spec)).unwrap_or(usize::MAX);
    let (asked, found) =
        (cells.saturating_mul(draws), trials / usize::try_from(spec.repeats.max(1)).unwrap_or(1));
    if found >= asked {
        return None;
    }
    let ints: Vec<String> = spec
        .space
        .iter()
        .filter_map(|swept| match swept.domain {
            Domain::Int(low, high) => {
                Some(format!("{} has {} values, {low} to {high}", swept.name, int_values(low, high)))
            }
            Domain::Grid(_) | Domain::Uniform(..) | Domain::LogUniform(..) => None,
        })
        .collect();
    let ints = if ints.is_empty() { String::new() } else { format!(" ({})", ints.join(", ")) };
    let each = if cells > 1 { format!(", {draws} in each grid cell") } else { String::new() };
    Some(format!(
        "`samples` = {draws} asks for {asked} configurations{each}; only {found} different ones exist{ints}, and \
         equal ones are run once"
    ))
}

/// Number of whole numbers from `low` to `high`.
const fn int_values(low: i64, high: i64) -> u64 {
    high.abs_diff(low).saturating_add(1)
}

/// Every combination of grid values, the last grid fastest; one empty cell if there is no grid.
fn cells(space: &[SweptSetting]) -> Vec<Vec<(String, Value)>> {
    let mut cells = vec![Vec::new()];
    for swept in space {
        let Domain::Grid(values) = &swept.domain else { continue };
        cells = cells
            .into_iter()
            .flat_map(|cell| {
                values.iter().map(move |value| {
                    let mut longer = cell.clone();
                    longer.push((swept.name.clone(), value.clone()));
                    longer
                })
            })
            .collect();
    }
    cells
}

/// The draws of one grid cell.
///
/// A draw whose numbers, as they are rounded, equal those of an earlier draw keeps its numbers with more digits.
/// If that does not help, since only whole numbers are drawn, the draw is made again. So a spec whose draws are
/// all distinct has the same draws as ever, and one draw more leaves the others as they are.
struct Draws<'a> {
    spec: &'a Spec,
    /// The cell's grid values.
    cell: &'a [(String, Value)],
    /// The grid values on which draws depend, as text.
    seeded: String,
}

/// How a draw is made.
#[derive(Clone, Copy, Default)]
struct Attempt {
    /// Significant digits beyond the usual ones.
    digits: usize,
    /// How often the draw was made before.
    again: u64,
}

impl<'a> Draws<'a> {
    fn new(spec: &'a Spec, cell: &'a [(String, Value)]) -> Self {
        Self { spec, cell, seeded: canonical(&seeded(cell)) }
    }

    /// The cell's draws, without those that are equal to one of `seen`, to which they are added.
    fn distinct(&self, seen: &mut HashSet<String>) -> Vec<Params> {
        let mut found = Vec::new();
        for draw in 0..draws(self.spec) {
            if self.combinations().is_some_and(|all| found.len() as u64 >= all) {
                break;
            }
            let mut attempts = self.attempts().map(|attempt| self.params(draw, attempt));
            found.extend(attempts.find(|params| seen.insert(canonical(&params.0))));
        }
        found
    }

    /// Number of different draws; `None` if some number is no whole number, so that there are too many to count.
    fn combinations(&self) -> Option<u64> {
        self.spec.space.iter().try_fold(1_u64, |all, swept| match swept.domain {
            Domain::Grid(_) => Some(all),
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
    fn params(&self, draw: u32, attempt: Attempt) -> Params {
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
        let mut ranges = self.spec.space.iter().filter(|swept| swept.domain.is_range());
        let dimension = ranges.position(|other| other.name == swept.name).unwrap_or_default();
        // A draw that is made again, since only whole numbers are drawn, is drawn at random.
        let is_point = self.spec.sampler == RangeSampler::Sobol && attempt.again == 0;
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
enum DrawSource {
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
const DIGITS: usize = 4;
/// Significant digits of a number that is drawn on a logarithmic scale.
const DIGITS_LOG: usize = 3;
/// Digits that are added at most: with 17 digits, each `f64` reads back as itself.
const DIGITS_MAX: usize = 17 - DIGITS_LOG;

/// A value of `domain`, never out of bounds.
///
/// Numbers are rounded to [`DIGITS`] significant digits, and to [`DIGITS_LOG`] on a logarithmic scale, so that
/// people can read and type them, and to `more` digits beyond that; the rounded number is what is trained with,
/// so nothing is lost. Rounding may leave the range by half a unit of the last digit, which the clamp undoes.
/// Logarithm and exponential come from the `libm` crate: the standard library's results differ in the last bit
/// between platforms.
fn drawn(domain: &Domain, more: usize, source: &mut DrawSource) -> Value {
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
        // Grid values come from the cell and are never drawn; this arm is not reached.
        Domain::Grid(ref values) => values.first().cloned().unwrap_or(Value::Int(0)),
    }
}

/// `number` rounded to `digits` significant digits. Formatting rounds the exact decimal value, which
/// multiplying by a power of ten and rounding does not.
fn rounded(number: f64, digits: usize) -> f64 {
    format!("{number:.*e}", digits - 1).parse().unwrap_or(number)
}

/// `value` in the setting's own type: 1 becomes 1.0 for a rate.
fn as_setting(name: &str, value: Value) -> Value {
    let Some(key) = settings::key(name) else { return value };
    let mut settings = Settings::default();
    match key.set(&mut settings, &value) {
        Ok(()) => key.get(&settings),
        Err(_) => value,
    }
}

/// The settings of a trial: the spec's settings with `params` in their place.
fn settings(spec: &Spec, params: &Params) -> Settings {
    let mut settings = spec.settings.clone();
    for (name, value) in &params.0 {
        let value = match value {
            Value::Text(text) if name == "checkpoint" => Value::Text(spec.checkpoint(text).to_string()),
            other => other.clone(),
        };
        if let Some(key) = settings::key(name) {
            // The spec reader admits only values that its settings take.
            let set = key.set(&mut settings, &value);
            debug_assert!(set.is_ok(), "{set:?}");
        }
    }
    settings
}

/// A line `name=value` for each of `params`, sorted by name: the same text for the same values in any order.
pub(super) fn canonical(params: &[(String, Value)]) -> String {
    let mut lines: Vec<String> = params.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    lines.sort_unstable();
    lines.concat()
}

/// `params` without the settings of [`settings::UNSEEDED`].
fn seeded(params: &[(String, Value)]) -> Vec<(String, Value)> {
    params.iter().filter(|(name, _)| !settings::UNSEEDED.contains(&&**name)).cloned().collect()
}

/// A trial's seed, below 2^53 so that every JSON reader keeps it exact.
fn seed(spec_seed: u64, params: &Params, repeat: u32) -> u64 {
    let params = canonical(&seeded(&params.0));
    let digest = digest(&["trial", &spec_seed.to_string(), &params, &repeat.to_string()]);
    let mut first = [0; 8];
    first.copy_from_slice(digest.split_at(8).0);
    u64::from_be_bytes(first) >> 11
}

#[cfg(test)]
pub(super) mod tests;
