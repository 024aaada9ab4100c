//! A spec into its trials. Pure: the same spec gives the same plan on every machine.
//!
//! Grid cells come in the order of the spec, the last parameter fastest; each cell is
//! drawn `samples` times if any parameter has a range, and each configuration is run
//! `repeats` times. A draw depends on the spec's seed, its cell's grid values, its
//! parameter and its number, and a trial's seed on the spec's seed, its own values and
//! its repeat: another grid value or another draw leaves every other trial as it was.
//! How long a trial may train is no part of its seed, so that trials that differ in that
//! alone begin alike and may share what they have in common.

mod describe;
mod differences;
mod forecast;
mod prefixes;
mod revision;

use std::collections::{BTreeMap, HashSet};

pub use describe::{Overview, describe};
pub use differences::Difference;
pub use forecast::{Forecast, size};
pub use prefixes::origins;
pub use revision::{Removed, Revision};
use serde::{Deserialize, Serialize};

use crate::{
    chance::{Chance, digest},
    checkpoint,
    data::{DataSpec, Dataset},
    fingerprint::{DataDigests, Fingerprints},
    metrics::{Average, Target},
    policy::Policy,
    settings::{self, Settings, Value},
    spec::{Domain, Parameter, Spec},
    trial::{Job, Params, Sharing, Trial, TrialId},
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
    pub hub: BTreeMap<String, String>,
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
            micro_batch: None,
            cache: None,
            sharing: Sharing::default(),
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
    let scale = |parameter: &Parameter| match parameter.domain {
        Domain::Grid(_) => None,
        Domain::Uniform(..) | Domain::Int(..) => Some((parameter.name.clone(), Scale::Linear)),
        Domain::LogUniform(..) => Some((parameter.name.clone(), Scale::Log)),
    };
    spec.space.iter().filter_map(scale).collect()
}

/// The hub models among the checkpoints.
fn hub(spec: &Spec) -> BTreeMap<String, String> {
    let is_hub = |(_, name): &(&String, &String)| checkpoint::hub_id(name).is_some();
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
fn cells(space: &[Parameter]) -> Vec<Vec<(String, Value)>> {
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
    // As in a trial's seed: a comparison of how long to train is one of the same draws.
    let drawn_in: Vec<(String, Value)> =
        cell.iter().filter(|(name, _)| !settings::ENDS.contains(&&**name)).cloned().collect();
    let canonical_cell = canonical(&drawn_in);
    let value = |parameter: &Parameter| {
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
            Value::Text(text) if name == "checkpoint" => Value::Text(spec.checkpoint(text)),
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

/// A trial's seed, below 2^53 so that every JSON reader keeps it exact. The settings that only end
/// a training are left out.
fn seed(spec_seed: u64, params: &Params, repeat: u32) -> u64 {
    let params: Vec<_> =
        params.0.iter().filter(|(name, _)| !settings::ENDS.contains(&&**name)).cloned().collect();
    let digest = digest(&["trial", &spec_seed.to_string(), &canonical(&params), &repeat.to_string()]);
    let mut first = [0; 8];
    first.copy_from_slice(digest.split_at(8).0);
    u64::from_be_bytes(first) >> 11
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use proptest::prelude::*;

    use super::*;
    use crate::data::{Duplicates, Limit, Source, Split};

    fn spec(space: Vec<(&str, Domain)>) -> Spec {
        let data = DataSpec {
            source: Source::Reviews { split: Split::default() },
            text: "text".to_owned(),
            label: "label".to_owned(),
            positive: None,
            average: None,
            duplicates: Duplicates::Drop,
            limit: Limit::default(),
            seed: 42,
        };
        let space =
            space.into_iter().map(|(name, domain)| Parameter { name: name.to_owned(), domain }).collect();
        Spec {
            name: "plan".to_owned(),
            seed: 42,
            data,
            settings: Settings::default(),
            space,
            samples: 3,
            repeats: 2,
            policy: Policy::default(),
            checkpoint_base: PathBuf::from("/base"),
            checkpoints: BTreeMap::new(),
        }
    }

    fn rates(values: &[f64]) -> Domain {
        Domain::Grid(values.iter().copied().map(Value::Float).collect())
    }

    fn lengths(values: &[i64]) -> Domain {
        Domain::Grid(values.iter().copied().map(Value::Int).collect())
    }

    fn shown(trials: &[Trial]) -> Vec<String> {
        trials.iter().map(|trial| format!("{} {} #{}", trial.id, trial.params, trial.repeat)).collect()
    }

    #[test]
    fn cells_come_in_the_order_of_the_spec_with_the_last_parameter_fastest() {
        let mut spec = spec(vec![("dropout", rates(&[0.3, 0.1])), ("chunk_length", lengths(&[64, 128]))]);
        spec.repeats = 1;
        assert_eq!(
            shown(&trials(&spec)),
            [
                "0001 dropout=0.3 chunk_length=64 #0",
                "0002 dropout=0.3 chunk_length=128 #0",
                "0003 dropout=0.1 chunk_length=64 #0",
                "0004 dropout=0.1 chunk_length=128 #0",
            ]
        );
    }

    #[test]
    fn a_given_spec_has_the_same_plan_for_ever() {
        let mut spec = spec(vec![
            ("learning_rate", Domain::LogUniform(1e-5, 3e-4)),
            ("dropout", rates(&[0.1])),
            ("weight_decay", Domain::Uniform(0.0, 0.1)),
            ("batch_size", Domain::Int(8, 64)),
        ]);
        spec.repeats = 1;
        let trials = trials(&spec);
        let seeds: Vec<u64> = trials.iter().map(|trial| trial.seed).collect();
        insta::assert_debug_snapshot!((shown(&trials), seeds));
    }

    #[test]
    fn equal_configurations_are_run_once_and_repeats_differ_in_their_seed() {
        let mut spec = spec(vec![("batch_size", Domain::Int(8, 9))]);
        spec.samples = 50;
        let trials = trials(&spec);
        assert_eq!(trials.len(), 4);
        let seeds: HashSet<u64> = trials.iter().map(|trial| trial.seed).collect();
        assert_eq!(seeds.len(), 4);
    }

    #[test]
    fn how_long_a_trial_may_train_is_no_part_of_its_seed() {
        let seeds = |space| -> Vec<u64> { trials(&spec(space)).iter().map(|trial| trial.seed).collect() };
        let rates = ("learning_rate", rates(&[1e-5, 3e-5]));
        let alone = seeds(vec![rates.clone()]);
        let ends = [("epochs", lengths(&[2, 5])), ("patience", lengths(&[1, 3]))];
        let both = seeds([&ends[..], &[rates]].concat());
        assert_eq!(both, alone.repeat(4));
        assert_eq!(seeds(ends.to_vec()), seeds(Vec::new()).repeat(4));
    }

    #[test]
    fn how_long_a_trial_may_train_changes_no_draw() {
        let range = ("learning_rate", Domain::LogUniform(1e-5, 1e-3));
        let mut spec = spec(vec![("epochs", lengths(&[2, 5])), range]);
        spec.samples = 3;
        let trials = trials(&spec);
        let rates = |epochs: usize| -> Vec<f64> {
            let of_length = trials.iter().filter(|trial| trial.settings.epochs == epochs);
            of_length.map(|trial| trial.settings.learning_rate).collect()
        };
        assert_eq!(rates(2), rates(5));
        assert!(rates(2).len() >= 3);
    }

    #[test]
    fn a_spec_without_search_is_one_configuration() {
        let trials = trials(&spec(Vec::new()));
        assert_eq!(shown(&trials), ["0001  #0", "0002  #1"]);
        assert_eq!(trials[0].settings, Settings::default());
    }

    #[test]
    fn a_swept_checkpoint_stays_as_written_but_is_found_from_its_spec() {
        let checkpoint = Value::Text("models/a".to_owned());
        let trials = trials(&spec(vec![("checkpoint", Domain::Grid(vec![checkpoint.clone()]))]));
        assert_eq!(trials[0].params.0, [("checkpoint".to_owned(), checkpoint)]);
        assert_eq!(trials[0].settings.checkpoint, "/base/models/a");
    }

    #[test]
    fn a_hub_checkpoint_stays_as_written_and_its_trials_and_the_plan_name_its_commit() {
        let commit = format!("a/b@{}", "1".repeat(40));
        let written = ["a/b", "models/a"].map(|text| Value::Text(text.to_owned()));
        let mut spec = spec(vec![("checkpoint", Domain::Grid(written.to_vec()))]);
        spec.checkpoints = [("a/b", commit.as_str()), ("models/a", "/base/models/a")]
            .map(|(written, name)| (written.to_owned(), name.to_owned()))
            .into();
        let trials = trials(&spec);
        assert_eq!(trials[0].params.0, [("checkpoint".to_owned(), written[0].clone())]);
        assert_eq!(trials[0].settings.checkpoint, commit);
        assert_eq!(hub(&spec), BTreeMap::from([("a/b".to_owned(), commit)]));
    }

    #[test]
    fn a_plan_reads_back_from_json_as_it_was() {
        let spec = spec(vec![
            ("learning_rate", Domain::LogUniform(1e-5, 3e-4)),
            ("weight_decay", Domain::Uniform(0.0, 0.1)),
        ]);
        let plan = Plan {
            sweep: spec.name.clone(),
            seed: spec.seed,
            labels: vec!["0".to_owned(), "1".to_owned()],
            positive: Some(1),
            average: None,
            swept: Vec::new(),
            scales: scales(&spec),
            data: spec.data.clone(),
            fingerprints: Fingerprints::default(),
            hub: BTreeMap::from([("a/b".to_owned(), format!("a/b@{}", "0".repeat(40)))]),
            policy: Policy::default(),
            trials: trials(&spec),
            removed: Removed::default(),
        };
        assert_eq!(plan.scales["learning_rate"], Scale::Log);
        let json = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<Plan>(&json).unwrap(), plan);
        let mut old: serde_json::Value = serde_json::from_str(&json).unwrap();
        for field in ["fingerprints", "scales", "policy"] {
            old.as_object_mut().unwrap().remove(field).unwrap();
        }
        let old: Plan = serde_json::from_value(old).unwrap();
        assert_eq!((old.fingerprints, old.trials), (Fingerprints::default(), plan.trials));
    }

    fn without_ids(trials: Vec<Trial>) -> Vec<(Params, u32, u64)> {
        trials.into_iter().map(|trial| (trial.params, trial.repeat, trial.seed)).collect()
    }

    proptest! {
        #[test]
        fn a_grid_has_as_many_trials_as_the_product_of_its_sides(a in 1_i64..6, b in 1_i64..6, repeats in 1_u32..4) {
            let mut spec = spec(vec![
                ("batch_size", lengths(&(1..=a).collect::<Vec<_>>())),
                ("epochs", lengths(&(1..=b).collect::<Vec<_>>())),
            ]);
            spec.repeats = repeats;
            let product = usize::try_from(a * b).unwrap() * repeats as usize;
            prop_assert_eq!(trials(&spec).len(), product);
        }

        #[test]
        fn draws_stay_in_their_bounds_and_seeds_below_2_to_53(
            low in 1e-7_f64..1e-3, ratio in 1.000_001_f64..1e3, seed: u64, int in -50_i64..50, width in 1_i64..50,
        ) {
            let high = low * ratio;
            let mut spec = spec(vec![
                ("learning_rate", Domain::LogUniform(low, high)),
                ("weight_decay", Domain::Uniform(low, high)),
                ("batch_size", Domain::Int(int, int + width)),
            ]);
            spec.seed = seed;
            for draw in 0..20 {
                let mut chance = Chance::new(&[&draw.to_string()]);
                for parameter in &spec.space {
                    match (drawn(&parameter.domain, &mut chance), &parameter.domain) {
                        (Value::Float(float), _) => prop_assert!((low..=high).contains(&float)),
                        (Value::Int(value), _) => prop_assert!((int..=int + width).contains(&value)),
                        (Value::Text(text), _) => prop_assert!(false, "{}", text),
                    }
                }
            }
            prop_assert!(super::seed(seed, &Params::default(), 0) < 1 << 53);
        }

        #[test]
        fn another_grid_value_or_draw_leaves_every_other_trial_as_it_was(samples in 1_u32..5, seed: u64) {
            let mut small = spec(vec![
                ("learning_rate", Domain::LogUniform(1e-5, 3e-4)),
                ("dropout", rates(&[0.1, 0.3])),
            ]);
            (small.samples, small.seed) = (samples, seed);
            let mut large = small.clone();
            large.samples = samples + 1;
            large.space[1].domain = rates(&[0.1, 0.2, 0.3]);
            let large = without_ids(trials(&large));
            for trial in without_ids(trials(&small)) {
                prop_assert!(large.contains(&trial));
            }
        }
    }
}
