//! A checked spec: the data, the settings and the search space of a sweep.

use std::{collections::BTreeMap, path::PathBuf};

use super::paths::resolve;
use crate::{
    checkpoint::Checkpoint,
    data::DataSpec,
    policy::Policy,
    settings::{Settings, Value},
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
    /// How the sweep is run.
    pub policy: Policy,
    /// The folder that swept checkpoints are relative to. In [`Self::space`] checkpoints stay as the spec
    /// writes them, so that a plan's parameters and seeds do not depend on the machine.
    pub checkpoint_base: PathBuf,
    /// The checkpoint of a trial's settings, by how the spec writes it; empty before checkpoints were
    /// looked up.
    pub checkpoints: BTreeMap<String, Checkpoint>,
}

impl Spec {
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

/// A swept setting.
#[derive(Clone, Debug, PartialEq)]
pub struct SweptSetting {
    /// Its name in [`crate::settings::KEYS`].
    pub name: String,
    /// Its values.
    pub domain: Domain,
}

/// How ranges are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RangeSampler {
    /// Each number by itself.
    #[default]
    Random,
    /// Scrambled Sobol points: the draws of a cell cover its ranges evenly.
    Sobol,
}

impl RangeSampler {
    /// Each sampler with its spelling in a spec.
    pub(super) const NAMES: [(&'static str, Self); 2] = [("random", Self::Random), ("sobol", Self::Sobol)];
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
