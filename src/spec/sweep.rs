//! A checked spec: the data, the settings and the search space of a sweep.

use std::{collections::BTreeMap, path::PathBuf};

use super::paths::resolve;
use crate::{
    checkpoint::Checkpoint,
    data::DataSpec,
    policy::Policy,
    search::{Budget, Confirm, Finding, GENERATION, Halving},
    settings::{Settings, Value},
    slurm::SlurmOptions,
};

/// A spec that was read and checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// The sweep's name: letters, digits, `-`, `_` and `.`; names its results folder.
    pub name: String,
    /// Seeds splits, plan and trials.
    pub seed: u64,
    /// The data.
    pub data: DataSpec,
    /// The settings of every trial, apart from the settings that are swept.
    pub settings: Settings,
    /// The swept settings, in the order of the spec.
    pub space: Vec<SweptSetting>,
    /// Draws for each grid cell, when a swept setting has a range.
    pub samples: u32,
    /// How ranges are drawn.
    pub sampler: RangeSampler,
    /// Seeds for each configuration.
    pub repeats: u32,
    /// How many configurations there are to be, and which of them go on.
    pub search: SearchSpec,
    /// How the sweep is run.
    pub policy: Policy,
    /// Where its trials run. Neither plan nor log has it.
    pub executor: ExecutorSpec,
    /// The folder that swept checkpoints are relative to. In [`Self::space`] checkpoints stay as the spec
    /// writes them, so that a plan's parameters and seeds do not depend on the machine.
    pub checkpoint_base: PathBuf,
    /// The checkpoint of a trial's settings, by how the spec writes it; empty before checkpoints were
    /// looked up.
    pub checkpoints: BTreeMap<String, Checkpoint>,
}

impl Spec {
    /// Configurations with which the sweep begins, if they are counted: at most two generations of a search that grows,
    /// so that devices have something to do while the first one's results come in.
    #[must_use]
    pub fn configurations_at_first(&self) -> Option<u32> {
        let SearchSpec { trials, generation, budget, .. } = self.search;
        if !self.search.grows(self.sampler) {
            return trials;
        }
        let is_spent =
            matches!(budget, Some(Budget::Epochs(epochs)) if 2 * self.epochs_max(generation) > epochs);
        let generations = if is_spent { 1 } else { 2 };
        Some(trials.unwrap_or(u32::MAX).min(generations * generation))
    }

    /// Epochs that a generation of so many configurations trains at most, in all its repeats
    /// and folds.
    #[must_use]
    pub fn epochs_max(&self, configurations: u32) -> u64 {
        let size = usize::try_from(configurations).unwrap_or(usize::MAX);
        let once = match &self.search.halving {
            Some(halving) => halving.epochs_max(size, &self.settings),
            None => u64::from(configurations) * self.epochs_of_longest(),
        };
        once * self.trials_of_configuration() as u64
    }

    /// Trials of each configuration: one for each repeat, or with folds one for each fold of it.
    #[must_use]
    pub fn trials_of_configuration(&self) -> usize {
        (self.repeats.max(1) as usize) * (self.data.folds.unwrap_or(1) as usize)
    }

    /// The epochs of a trial at most.
    fn epochs_of_longest(&self) -> u64 {
        let whole = |value: &Value| match value {
            Value::Int(epochs) => u64::try_from(*epochs).ok(),
            Value::Float(_) | Value::Text(_) => None,
        };
        let swept = self.space.iter().find(|swept| swept.name == "epochs").map(|swept| &swept.domain);
        let longest = match swept {
            Some(Domain::Grid(values)) => values.iter().filter_map(whole).max(),
            Some(Domain::Int(_, high)) => u64::try_from(*high).ok(),
            Some(Domain::Uniform(..) | Domain::LogUniform(..)) | None => None,
        };
        longest.unwrap_or(self.settings.epochs as u64)
    }

    /// The checkpoint of a trial's settings that the search space writes as `written`.
    #[must_use]
    pub fn checkpoint(&self, written: &str) -> Checkpoint {
        let resolved = || Checkpoint::parse(&resolve(written, &self.checkpoint_base));
        self.checkpoints.get(written).cloned().unwrap_or_else(resolved)
    }

    /// Sets [`Self::checkpoints`], and the checkpoint of the settings if it is not swept.
    pub(super) fn name_checkpoints(&mut self, names: BTreeMap<String, Checkpoint>) {
        let is_swept = self.space.iter().any(|swept| swept.name == "checkpoint");
        if let (false, Some(name)) = (is_swept, names.values().next()) {
            self.settings.checkpoint.clone_from(name);
        }
        self.checkpoints = names;
    }
}

/// Where trials run.
#[derive(Clone, Debug, PartialEq)]
pub enum ExecutorSpec {
    /// On this machine.
    Local,
    /// On a cluster.
    Slurm(Box<SlurmOptions>),
}

/// A swept setting.
#[derive(Clone, Debug, PartialEq)]
pub struct SweptSetting {
    /// Its name in [`crate::settings::KEYS`].
    pub name: String,
    /// Its values.
    pub domain: Domain,
}

/// How many configurations there are to be, and which of them go on.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchSpec {
    /// Configurations in all; `None`: each grid cell, drawn [`Spec::samples`] times.
    pub trials: Option<u32>,
    /// What the search may take.
    pub budget: Option<Budget>,
    /// Configurations of a generation.
    pub generation: u32,
    /// Which trials are halted; `None`: none is.
    pub halving: Option<Halving>,
    /// How the best configurations are run again with further seeds; `None`: none is.
    pub confirm: Option<Confirm>,
    /// Configurations that come first. A setting that is not named is drawn.
    pub enqueue: Vec<Vec<(String, Value)>>,
    /// Sweeps of the results folder whose results count as known.
    pub history: Vec<String>,
    /// What those sweeps have found; empty before they were looked up.
    pub findings: Vec<Finding>,
}

impl Default for SearchSpec {
    fn default() -> Self {
        Self {
            trials: None,
            budget: None,
            generation: GENERATION,
            halving: None,
            confirm: None,
            enqueue: Vec::new(),
            history: Vec::new(),
            findings: Vec::new(),
        }
    }
}

impl SearchSpec {
    /// Whether configurations are planned while the sweep runs: which ones, or how many, depends on results.
    #[must_use]
    pub fn grows(&self, sampler: RangeSampler) -> bool {
        self.budget.is_some() || sampler == RangeSampler::Tpe
    }
}

/// How ranges are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RangeSampler {
    /// Each number by itself.
    #[default]
    Random,
    /// Scrambled Sobol points: the draws of a cell cover its ranges evenly.
    Sobol,
    /// Proposals of a tree-structured Parzen estimator, from what earlier generations have shown; Sobol points before.
    Tpe,
}

impl RangeSampler {
    /// Each sampler with its spelling in a spec.
    pub(super) const NAMES: [(&'static str, Self); 3] =
        [("sobol", Self::Sobol), ("random", Self::Random), ("tpe", Self::Tpe)];
}

/// The values of a swept setting. Bounds are included.
#[derive(Clone, Debug, PartialEq)]
pub enum Domain {
    /// Each of these values.
    Grid(Vec<Value>),
    /// A number, drawn evenly.
    Uniform(f64, f64),
    /// A positive number, drawn evenly by its logarithm.
    LogUniform(f64, f64),
    /// A whole number, drawn evenly.
    Int(i64, i64),
}

impl Domain {
    /// Whether values are drawn rather than listed.
    #[must_use]
    pub const fn is_range(&self) -> bool {
        !matches!(self, Self::Grid(_))
    }
}
