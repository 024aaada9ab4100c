//! A spec that is being read.

use std::{collections::BTreeMap, path::PathBuf};

use super::{
    document::Node,
    problem::At,
    sweep::{ExecutorSpec, RangeSampler, SearchSpec, Spec, SweptSetting},
};
use crate::{
    data::DataSpec,
    policy::Policy,
    settings::{KEYS, SettingKey, Settings, Value},
};

/// A spec that is being read; each part that is missing has been reported.
pub(super) struct SpecDraft {
    pub(super) name: Option<String>,
    pub(super) seed: Option<u64>,
    pub(super) data: Option<DataSpec>,
    pub(super) settings: Settings,
    pub(super) chosen: Vec<Chosen>,
    pub(super) space: Vec<SweptSetting>,
    pub(super) samples: u32,
    pub(super) sampler: RangeSampler,
    pub(super) repeats: u32,
    pub(super) search: SearchSpec,
    pub(super) policy: Policy,
    pub(super) executor: ExecutorSpec,
    pub(super) checkpoint_base: PathBuf,
}

/// The values that a spec gives to a setting, with their places: a single value, the values of a grid, or
/// the two bounds of a range.
pub(super) struct Chosen {
    pub(super) key: &'static SettingKey,
    pub(super) values: Vec<(Value, At)>,
}

impl SpecDraft {
    /// The spec; `None` if a part is missing.
    pub(super) fn complete(self) -> Option<Spec> {
        Some(Spec {
            name: self.name?,
            seed: self.seed?,
            data: self.data?,
            settings: self.settings,
            space: self.space,
            samples: self.samples,
            sampler: self.sampler,
            repeats: self.repeats,
            search: self.search,
            policy: self.policy,
            executor: self.executor,
            checkpoint_base: self.checkpoint_base,
            checkpoints: BTreeMap::new(),
        })
    }

    /// Every value that a setting takes in some trial, with its place in the spec. The default's place is
    /// the setting's section.
    pub(super) fn values(&self, name: &str, root: &Node) -> Vec<(Value, At)> {
        if let Some(chosen) = self.chosen.iter().find(|chosen| chosen.key.name == name) {
            return chosen.values.clone();
        }
        let key = KEYS.iter().find(|key| key.name == name);
        key.map(|key| (key.get(&self.settings), root.place(key.section.name()))).into_iter().collect()
    }
}
