//! A plan, the contents of `plan.json`: the trials of a sweep, their data and their checkpoints.

use std::{collections::BTreeMap, fmt::Write as _};

use serde::{Deserialize, Serialize};

use super::{notes::notes, trials::trials};
use crate::{
    chance,
    checkpoint::Checkpoint,
    data::{DataSpec, Dataset, LeakReport},
    fingerprint::{DataDigests, Fingerprints},
    job::Job,
    metrics::{Average, ClassCounts, Target},
    policy::Policy,
    search::{Confirm, Growth, SearchPlan},
    settings::Settings,
    spec::{Domain, SearchSpec, Spec, SweptSetting},
    trial::{Trial, TrialId},
};

/// How the numbers of a range are drawn, which is also the scale of an axis that shows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// Every number is equally likely.
    Linear,
    /// The logarithm of the number is drawn evenly.
    Log,
}

/// The trials of a sweep with their data and checkpoints: the contents of `plan.json`.
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
    /// The average whose F1 counts with more than two classes; absent with a positive class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average: Option<Average>,
    /// The documents of each class in each split; empty in plans of older versions.
    #[serde(default, skip_serializing_if = "ClassCounts::is_empty")]
    pub classes: ClassCounts,
    /// What a reader of the figures must know about the data: whole sentences, as a dry run shows them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Which documents are alike, contradictory or nearly empty; absent in plans of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaks: Option<LeakReport>,
    /// Names of the swept settings, in the order of the spec.
    pub swept: Vec<String>,
    /// The scale of each swept setting that has a range.
    #[serde(default)]
    pub scales: BTreeMap<String, Scale>,
    /// How trials are searched, if there is more to it than the list of trials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<SearchPlan>,
    /// How the best configurations are confirmed, if they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<Confirm>,
    /// The data.
    pub data: DataSpec,
    /// Digests of the data and of the checkpoints; a checkpoint's digest is added when its files are read.
    #[serde(default)]
    pub fingerprints: Fingerprints,
    /// The commit of each hub model, `owner/name@commit`, by how the spec writes the model.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hub: BTreeMap<String, Checkpoint>,
    /// How the latest run of the sweep is, or was, run. No trial's results depend on it.
    #[serde(default)]
    pub policy: Policy,
    /// The trials, in the order of the spec. In the first plan of a sweep they are numbered from 1 in this
    /// order.
    pub trials: Vec<Trial>,
    /// Trials of earlier plans of this sweep that this plan does not have.
    #[serde(default, skip_serializing_if = "Removed::is_empty")]
    pub removed: Removed,
}

/// Trials of earlier plans that the spec does not have any more; the log may have records of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Removed {
    /// Trials that return to the plan when the spec has them again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trials: Vec<Trial>,
    /// Trials that never return, since they were trained on other data or from another checkpoint.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub retired: Vec<TrialId>,
}

impl Removed {
    /// Whether no trial was removed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.trials.is_empty() && self.retired.is_empty()
    }

    /// The numbers of all removed trials.
    pub fn ids(&self) -> impl Iterator<Item = TrialId> {
        self.trials.iter().map(|trial| trial.id).chain(self.retired.iter().copied())
    }
}

impl Plan {
    /// The plan of `spec`, whose data is `dataset`; checkpoints have no digests yet.
    #[must_use]
    pub fn new(spec: &Spec, dataset: &Dataset) -> Self {
        Self {
            sweep: spec.name.clone(),
            seed: spec.seed,
            labels: dataset.labels.clone(),
            positive: dataset.target.positive(),
            average: dataset.target.average(),
            classes: dataset.counts(),
            notes: notes(&spec.data, dataset),
            leaks: dataset.report.clone(),
            swept: spec.space.iter().map(|swept| swept.name.clone()).collect(),
            scales: scales(spec),
            search: search_plan(spec),
            confirm: spec.search.confirm,
            data: spec.data.clone(),
            fingerprints: Fingerprints { data: Some(DataDigests::of(dataset)), checkpoints: BTreeMap::new() },
            hub: hub(spec),
            policy: spec.policy,
            trials: trials(spec),
            removed: Removed::default(),
        }
    }

    /// Everything that a worker needs to run `trial`, a trial of this plan.
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

/// The scale of each swept setting that has a range.
fn scales(spec: &Spec) -> BTreeMap<String, Scale> {
    let scale = |swept: &SweptSetting| match swept.domain {
        Domain::Grid(_) => None,
        Domain::Uniform(..) | Domain::Int(..) => Some((swept.name.clone(), Scale::Linear)),
        Domain::LogUniform(..) => Some((swept.name.clone(), Scale::Log)),
    };
    spec.space.iter().filter_map(scale).collect()
}

/// How trials are searched; `None` where the list of trials says all.
fn search_plan(spec: &Spec) -> Option<SearchPlan> {
    let SearchSpec { generation, halving, trials, budget, .. } = &spec.search;
    let grows = spec.search.grows(spec.sampler);
    let growth = grows.then(|| Growth {
        trials: *trials,
        budget: *budget,
        space: space_digest(spec),
        history: spec.search.findings.clone(),
    });
    let is_needed = halving.is_some() || trials.is_some() || growth.is_some();
    is_needed.then(|| SearchPlan { generation: *generation, halving: halving.clone(), growth })
}

/// A digest of all that decides which configuration comes next.
fn space_digest(spec: &Spec) -> String {
    let SearchSpec { generation, halving, enqueue, .. } = &spec.search;
    let decides = format!("{:?}{:?}{generation}{halving:?}{enqueue:?}", spec.space, spec.sampler);
    let settings = Settings { checkpoint: Checkpoint::none(), ..spec.settings.clone() };
    let digest = chance::digest(&[
        &spec.seed.to_string(),
        &decides,
        &format!("{settings:?}"),
        &spec.repeats.to_string(),
    ]);
    digest.iter().take(16).fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The hub models among the checkpoints of `spec`, by how the spec writes them.
fn hub(spec: &Spec) -> BTreeMap<String, Checkpoint> {
    let is_hub = |(_, checkpoint): &(&String, &Checkpoint)| checkpoint.hub_id().is_some();
    spec.checkpoints.iter().filter(is_hub).map(|(written, name)| (written.clone(), name.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{plan::trials::tests::spec, samples, settings::Value};

    /// The id of a hub model with a commit of 40 times `digit`.
    fn pinned(digit: &str) -> Checkpoint {
        Checkpoint::parse(&format!("a/b@{}", digit.repeat(40)))
    }

    /// A plan over two ranges.
    fn plan() -> Plan {
        let spec = spec(vec![
            ("learning_rate", Domain::LogUniform(1e-5, 3e-4)),
            ("weight_decay", Domain::Uniform(0.0, 0.1)),
        ]);
        Plan {
            scales: scales(&spec),
            hub: BTreeMap::from([("a/b".to_owned(), pinned("0"))]),
            trials: trials(&spec),
            ..samples::plan(0)
        }
    }

    #[test]
    fn a_logarithmic_range_has_a_logarithmic_scale() {
        assert_eq!(plan().scales["learning_rate"], Scale::Log);
    }

    #[test]
    fn a_plan_reads_back_from_json_unchanged() {
        let plan = plan();
        let json = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<Plan>(&json).unwrap(), plan);
    }

    #[test]
    fn a_plan_of_an_older_version_is_read() {
        let plan = plan();
        let mut old = serde_json::to_value(&plan).unwrap();
        for field in ["fingerprints", "scales", "policy"] {
            old.as_object_mut().unwrap().remove(field).unwrap();
        }
        let old: Plan = serde_json::from_value(old).unwrap();
        assert_eq!((old.fingerprints, old.trials), (Fingerprints::default(), plan.trials));
    }

    #[test]
    fn a_plan_names_the_commit_of_a_hub_model() {
        let written = ["a/b", "models/a"].map(|text| Value::Text(text.to_owned()));
        let mut spec = spec(vec![("checkpoint", Domain::Grid(written.to_vec()))]);
        spec.checkpoints = [("a/b", pinned("1")), ("models/a", Checkpoint::parse("/base/models/a"))]
            .map(|(written, checkpoint)| (written.to_owned(), checkpoint))
            .into();
        assert_eq!(hub(&spec), BTreeMap::from([("a/b".to_owned(), pinned("1"))]));
    }
}
