//! The trials of a spec: grid cells, draws and seeds.
//!
//! Grid cells come in the order of the spec, the last swept setting fastest. Each cell is drawn `samples`
//! times if any swept setting has a range, and each configuration is run `repeats` times.
//!
//! A draw depends on the spec's seed, its cell's grid values, the name of its setting and its number within
//! the cell; a trial's seed depends on the spec's seed, the trial's own values and its repeat. So another
//! grid value or another draw leaves every other trial unchanged. Settings of [`settings::UNSEEDED`] are no
//! part of either: trials that differ in these settings alone begin with the same steps and may share them.

use std::collections::HashSet;

use crate::{
    chance::{Chance, digest},
    settings::{self, Settings, Value},
    spec::{Domain, Spec, SweptSetting},
    trial::{Params, Trial, TrialId},
};

/// Every trial of `spec`; equal configurations once.
pub(super) fn trials(spec: &Spec) -> Vec<Trial> {
    let draws = if spec.space.iter().any(|swept| swept.domain.is_range()) { spec.samples } else { 1 };
    let mut seen = HashSet::new();
    let mut trials = Vec::new();
    for cell in cells(&spec.space) {
        for draw in 0..draws {
            let params = params(spec, &cell, draw);
            if !seen.insert(canonical(&params.0)) {
                continue;
            }
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

/// The values of draw number `draw` in `cell`, in the order of the spec.
fn params(spec: &Spec, cell: &[(String, Value)], draw: u32) -> Params {
    let canonical_cell = canonical(&seeded(cell));
    let value = |swept: &SweptSetting| {
        let fixed = cell.iter().find(|(name, _)| *name == swept.name).map(|(_, value)| value.clone());
        fixed.unwrap_or_else(|| {
            let (seed, draw) = (spec.seed.to_string(), draw.to_string());
            let mut chance = Chance::new(&["draw", &seed, &canonical_cell, &swept.name, &draw]);
            as_setting(&swept.name, drawn(&swept.domain, &mut chance))
        })
    };
    Params(spec.space.iter().map(|swept| (swept.name.clone(), value(swept))).collect())
}

/// A value of `domain`, never out of bounds.
///
/// Numbers are rounded to 4 significant digits, and to 3 on a logarithmic scale, so that people can read
/// and type them; the rounded number is what is trained with, so nothing is lost. Rounding may leave the
/// range by half a unit of the last digit, which the clamp undoes. Logarithm and exponential come from the
/// `libm` crate: the standard library's results differ in the last bit between platforms.
fn drawn(domain: &Domain, chance: &mut Chance) -> Value {
    match *domain {
        Domain::Uniform(low, high) => {
            Value::Float(rounded(low + (high - low) * chance.unit(), 4).clamp(low, high))
        }
        Domain::LogUniform(low, high) => {
            let (from, to) = (libm::log(low), libm::log(high));
            Value::Float(rounded(libm::exp(from + (to - from) * chance.unit()), 3).clamp(low, high))
        }
        Domain::Int(low, high) => {
            let width = high.abs_diff(low).saturating_add(1);
            Value::Int(low.saturating_add_unsigned(chance.below(width)))
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
