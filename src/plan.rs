//! A spec into its trials. Pure: the same spec gives the same plan on every machine.
//!
//! Grid cells come in the order of the spec, the last parameter fastest; each cell is
//! drawn `samples` times if any parameter has a range, and each configuration is run
//! `repeats` times. A draw depends on the spec's seed, its cell's grid values, its
//! parameter and its number, and a trial's seed on the spec's seed, its own values and
//! its repeat: another grid value or another draw leaves every other trial as it was.
//! How long a trial may train and how exactly it computes is no part of its seed, so that trials
//! that differ in that alone begin alike, and may share what they have in common.

mod describe;
mod differences;
mod forecast;
mod prefixes;
mod revision;

use std::collections::{BTreeMap, HashSet};

pub use describe::{Overview, describe};
pub use differences::Difference;
pub use forecast::{Forecast, size};
pub use prefixes::prefixes;
pub use revision::{Removed, Revision};
use serde::{Deserialize, Serialize};

use crate::{
    chance::{Chance, digest},
    checkpoint::Checkpoint,
    data::{DataSpec, Dataset},
    fingerprint::{DataDigests, Fingerprints},
    job::Job,
    metrics::{Average, Target},
    policy::Policy,
    settings::{self, Settings, Value},
    spec::{Domain, Spec, SweptSetting},
    trial::{Params, Trial, TrialId},
};

/// How the numbers of a range are drawn, and so how an axis of them is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// Evenly.
    Linear,
    /// Evenly by their logarithm.
    Log,
}

/// The trials of a sweep and what they share: the contents of `plan.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The sweep's name.
    pub sweep: String,
    /// The spec's seed.
    pub seed: u64,
    /// Class names, in the order of their indices.
    pub labels: Vec<String>,
    /// The class whose F1 counts; `None` with more than two classes.
    pub positive: Option<usize>,
    /// The average that counts with more than two classes; absent with a positive class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average: Option<Average>,
    /// Names of the swept settings, in the order of the spec.
    pub swept: Vec<String>,
    /// The scales of those swept settings that have a range.
    #[serde(default)]
    pub scales: BTreeMap<String, Scale>,
    /// The data.
    pub data: DataSpec,
    /// Digests of the data and, once its files were read, of the checkpoints.
    #[serde(default)]
    pub fingerprints: Fingerprints,
    /// The commit of each hub model, `owner/name@commit`, by how the spec writes the model.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hub: BTreeMap<String, Checkpoint>,
    /// How the latest run ran them, or runs them; no part of what the trials are.
    #[serde(default)]
    pub policy: Policy,
    /// The trials, in the order of the spec. Those of a first plan are numbered from 1 in this order.
    pub trials: Vec<Trial>,
    /// Trials of earlier plans under this name.
    #[serde(default, skip_serializing_if = "Removed::is_empty")]
    pub removed: Removed,
}

impl Plan {
    /// The trials of `spec`, whose data is `dataset`; the checkpoints have no digests yet.
    #[must_use]
    pub fn new(spec: &Spec, dataset: &Dataset) -> Self {
        Self {
            sweep: spec.name.clone(),
            seed: spec.seed,
            labels: dataset.labels.clone(),
            positive: dataset.target.positive(),
            average: dataset.target.average(),
            swept: spec.space.iter().map(|parameter| parameter.name.clone()).collect(),
            scales: scales(spec),
            data: spec.data.clone(),
            fingerprints: Fingerprints { data: Some(DataDigests::of(dataset)), checkpoints: BTreeMap::new() },
            hub: hub(spec),
            policy: spec.policy,
            trials: trials(spec),
            removed: Removed::default(),
        }
    }

    /// All that a worker needs to run `trial`, which is one of this plan's.
    #[must_use]
    pub fn job(&self, trial: &Trial) -> Job {
        Job {
            sweep: self.sweep.clone(),
            trial: trial.clone(),
            data: self.data.clone(),
            checkpoint_every: self.policy.checkpoint_every,
            data_digest: self.fingerprints.data.clone(),
            checkpoint_digest: self.fingerprints.checkpoints.get(&trial.settings.checkpoint).cloned(),
            cache: None,
        }
    }

    /// Which F1 counts.
    #[must_use]
    pub fn target(&self) -> Target {
        Target::of(self.positive, self.average)
    }
}

/// The scale of each swept setting that is drawn.
fn scales(spec: &Spec) -> BTreeMap<String, Scale> {
    let scale = |parameter: &SweptSetting| match parameter.domain {
        Domain::Grid(_) => None,
        Domain::Uniform(..) | Domain::Int(..) => Some((parameter.name.clone(), Scale::Linear)),
        Domain::LogUniform(..) => Some((parameter.name.clone(), Scale::Log)),
    };
    spec.space.iter().filter_map(scale).collect()
}

/// The hub models among the checkpoints.
fn hub(spec: &Spec) -> BTreeMap<String, Checkpoint> {
    let is_hub = |(_, checkpoint): &(&String, &Checkpoint)| checkpoint.hub_id().is_some();
    spec.checkpoints.iter().filter(is_hub).map(|(written, name)| (written.clone(), name.clone())).collect()
}

/// Every trial of `spec`; equal configurations once.
fn trials(spec: &Spec) -> Vec<Trial> {
    let draws = if spec.space.iter().any(|parameter| parameter.domain.is_range()) { spec.samples } else { 1 };
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
    for parameter in space {
        let Domain::Grid(values) = &parameter.domain else { continue };
        cells = cells
            .into_iter()
            .flat_map(|cell| {
                values.iter().map(move |value| {
                    let mut longer = cell.clone();
                    longer.push((parameter.name.clone(), value.clone()));
                    longer
                })
            })
            .collect();
    }
    cells
}

/// The values of one draw in one cell, in the order of the spec.
fn params(spec: &Spec, cell: &[(String, Value)], draw: u32) -> Params {
    let canonical_cell = canonical(&seeded(cell));
    let value = |parameter: &SweptSetting| {
        let fixed = cell.iter().find(|(name, _)| *name == parameter.name).map(|(_, value)| value.clone());
        fixed.unwrap_or_else(|| {
            let (seed, draw) = (spec.seed.to_string(), draw.to_string());
            let mut chance = Chance::new(&["draw", &seed, &canonical_cell, &parameter.name, &draw]);
            as_setting(&parameter.name, drawn(&parameter.domain, &mut chance))
        })
    };
    Params(spec.space.iter().map(|parameter| (parameter.name.clone(), value(parameter))).collect())
}

/// A value of `domain`; rounded to what people can read and type, and never out of bounds.
///
/// Logarithm and exponential are those of the `libm` crate, whose bits do not depend on the machine.
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
        // A cell holds a value of every grid, so none is drawn; the first would do.
        Domain::Grid(ref values) => values.first().cloned().unwrap_or(Value::Int(0)),
    }
}

/// `number` with so many significant digits, by exact decimal rounding.
fn rounded(number: f64, digits: usize) -> f64 {
    format!("{number:.*e}", digits - 1).parse().unwrap_or(number)
}

/// `value` as the setting itself writes it: 1 becomes 1.0 where a rate is wanted.
fn as_setting(name: &str, value: Value) -> Value {
    let Some(key) = settings::key(name) else { return value };
    let mut settings = Settings::default();
    match key.set(&mut settings, &value) {
        Ok(()) => key.get(&settings),
        Err(_) => value,
    }
}

/// The settings of a trial: the spec's, and in their place what is particular to it.
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

/// `name=value` by name, one a line: the same for the same values in any order.
fn canonical(params: &[(String, Value)]) -> String {
    let mut lines: Vec<String> = params.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    lines.sort_unstable();
    lines.concat()
}

/// All but [`settings::UNSEEDED`].
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
mod tests;
