//! The differences between two plans, as text, and whether results of one plan are valid under the other.
//!
//! Documents and checkpoints are compared by their contents (fingerprints) and not by their paths, so that a
//! project's folder may be moved.

use std::collections::{HashMap, HashSet};

use super::{contents::Plan, draws::canonical};
use crate::{
    checkpoint::Checkpoint,
    data::{DataSpec, Source},
    display::{plain, shorten},
    metrics::Average,
    search::{Confirm, Growth},
    settings::{KEYS, SettingKey, Settings, Value},
    trial::Trial,
};

/// Values of a setting that are listed one by one; longer lists are counted.
const VALUES_SHOWN: usize = 4;
/// Terminal columns of a list of class names.
const LABELS_COLUMNS: usize = 60;

/// One difference between two plans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// A description, without a capital letter and a full stop.
    pub text: String,
    /// Whether results of one plan would be wrong as results of the other. A change of the search space
    /// alone is harmless: the trials that both plans have are the same.
    pub changes_meaning: bool,
}

/// A difference in data, recipe or seed.
fn of_meaning(text: String) -> Difference {
    Difference { text, changes_meaning: true }
}

/// A difference in the search space.
fn of_space(text: String) -> Difference {
    Difference { text, changes_meaning: false }
}

/// A checkpoint as the trials of `plan` name it.
#[derive(Clone, Copy)]
pub(super) struct PlanCheckpoint<'a> {
    plan: &'a Plan,
    name: &'a Checkpoint,
}

impl PlanCheckpoint<'_> {
    /// Whether both are the same checkpoint: by their digests if both plans have one, otherwise by name.
    pub(super) fn is_same_as(self, other: PlanCheckpoint<'_>) -> bool {
        let digest = |checkpoint: PlanCheckpoint<'_>| {
            checkpoint.plan.fingerprints.checkpoints.get(checkpoint.name).cloned()
        };
        match (digest(self), digest(other)) {
            (Some(digest), Some(other)) => digest == other,
            _ => self.name == other.name,
        }
    }
}

impl Plan {
    /// The checkpoint that this plan's trials call `name`.
    pub(super) const fn checkpoint<'a>(&'a self, name: &'a Checkpoint) -> PlanCheckpoint<'a> {
        PlanCheckpoint { plan: self, name }
    }

    /// The differences from this plan to `now`, those that change the meaning of results first. Empty when
    /// both plans train the same trials on the same documents from the same checkpoints.
    #[must_use]
    pub fn differences(&self, now: &Self) -> Vec<Difference> {
        let mut found = Vec::new();
        if self.seed != now.seed {
            found.push(of_meaning(was_and_is("`seed`", &self.seed, &now.seed)));
        }
        found.extend(labels(self, now).map(of_meaning));
        found.extend(data(self, now).into_iter().map(of_meaning));
        if self.trials.len() != now.trials.len() {
            let (before, now) = (self.trials.len(), now.trials.len());
            found.push(of_space(format!("the number of trials was {before} and is now {now}")));
        }
        found.extend(swept(self, now).into_iter().map(of_meaning));
        found.extend(search(self, now));
        found.extend(confirm(self.confirm, now.confirm).map(of_space));
        found.extend(checkpoints(self, now));
        let others = KEYS.iter().filter(|key| key.name != "checkpoint");
        found.extend(others.filter_map(|key| setting(key, self, now)));
        found.extend(seeds(self, now));
        if found.is_empty() {
            found.extend(order(self, now));
        }
        found.sort_by_key(|difference| !difference.changes_meaning);
        found
    }
}

/// A text of everything that decides how a trial is trained, apart from its checkpoint and its seed; equal
/// for trials that are trained alike.
pub(super) fn recipe(trial: &Trial) -> String {
    let settings = Settings { checkpoint: Checkpoint::none(), ..trial.settings.clone() };
    let fold = trial.fold.map_or_else(String::new, |fold| format!("fold {fold}"));
    format!("{}\n{}{fold}\n{settings:?}", canonical(&trial.params.0), trial.repeat)
}

/// `what was BEFORE and is now NOW`.
fn was_and_is(what: &str, before: &dyn ToString, now: &dyn ToString) -> String {
    format!("{what} was {} and is now {}", plain(&before.to_string()), plain(&now.to_string()))
}

/// Whether trials of both plans have other seeds now. A changed `seed` of the spec explains that already.
fn seeds(before: &Plan, now: &Plan) -> Option<Difference> {
    let mut known: HashMap<String, HashSet<u64>> = HashMap::new();
    for trial in &before.trials {
        known.entry(recipe(trial)).or_default().insert(trial.seed);
    }
    let is_other =
        |trial: &Trial| known.get(&recipe(trial)).is_some_and(|seeds| !seeds.contains(&trial.seed));
    let is_explained = before.seed != now.seed;
    (!is_explained && now.trials.iter().any(is_other))
        .then(|| of_meaning("its trials have other seeds".to_owned()))
}

/// Whether the same trials come in another order.
fn order(before: &Plan, now: &Plan) -> Option<Difference> {
    let is_same = |(old, new): (&Trial, &Trial)| recipe(old) == recipe(new) && old.seed == new.seed;
    let is_alike = before.trials.iter().zip(&now.trials).all(is_same);
    (!is_alike).then(|| of_space("its trials come in another order".to_owned()))
}

/// A change of the classes, or else of the F1 that counts.
fn labels(before: &Plan, now: &Plan) -> Option<String> {
    let list = |plan: &Plan| shorten(&plain(&plan.labels.join(", ")), LABELS_COLUMNS);
    let positive = |plan: &Plan| {
        let label = plan.positive.and_then(|class| plan.labels.get(class));
        label.map_or_else(|| "none".to_owned(), Clone::clone)
    };
    if before.labels != now.labels {
        Some(format!("the classes were {} and are now {}", list(before), list(now)))
    } else if before.positive != now.positive {
        Some(was_and_is("`positive`", &positive(before), &positive(now)))
    } else if before.average != now.average {
        let average = |plan: &Plan| plan.average.map_or("none", Average::as_str);
        Some(was_and_is("`average`", &average(before), &average(now)))
    } else {
        None
    }
}

/// Changes of the documents.
fn data(before: &Plan, now: &Plan) -> Vec<String> {
    let (Some(old), Some(new)) = (&before.fingerprints.data, &now.fingerprints.data) else {
        // The plan of an older version without fingerprints: paths are compared instead.
        let changed = (before.data != now.data).then(|| "[data] has changed".to_owned());
        return changed.into_iter().collect();
    };
    let keys = data_keys(&before.data, &now.data);
    if old == new || before.seed != now.seed {
        // Another seed divides the same file in another way; that difference is in the list already.
        return Vec::new();
    }
    if !keys.is_empty() {
        return vec![format!("{} in [data] is another one", keys.join(", "))];
    }
    let other = |file: String| format!("{} holds other documents than before", plain(&file));
    old.changed(new, &now.data).into_iter().map(other).collect()
}

/// The keys of `[data]` whose values differ; the paths of files are not compared.
fn data_keys(before: &DataSpec, now: &DataSpec) -> Vec<&'static str> {
    let split = |source: &Source| match source {
        Source::Files { .. } => None,
        Source::Single { split, .. } | Source::Reviews { split } => Some(*split),
    };
    let is_same_kind = std::mem::discriminant(&before.source) == std::mem::discriminant(&now.source);
    let changed = [
        ("`path`", !is_same_kind),
        ("`split`", is_same_kind && split(&before.source) != split(&now.source)),
        ("`text`", before.text != now.text),
        ("`label`", before.label != now.label),
        ("`encoding`", before.encoding != now.encoding),
        ("`duplicates`", before.duplicates != now.duplicates || before.alike != now.alike),
        ("`group`", before.group != now.group),
        ("`limit`", before.limit != now.limit),
        ("`folds`", before.folds != now.folds),
    ];
    changed.into_iter().filter(|(_, changed)| *changed).map(|(key, _)| key).collect()
}

/// Changes of how trials are searched.
fn search(before: &Plan, now: &Plan) -> Vec<Difference> {
    let growth = |plan: &Plan| plan.search.as_ref().and_then(|search| search.growth.clone());
    let halving = |plan: &Plan| plan.search.as_ref().and_then(|search| search.halving.clone());
    let generation = |plan: &Plan| plan.search.as_ref().map(|search| search.generation);
    let mut found = Vec::new();
    match (growth(before), growth(now)) {
        (None, None) => {}
        (Some(old), Some(new)) => {
            let most = |growth: &Growth| growth.trials.unwrap_or(u32::MAX);
            if old.space != new.space {
                found.push(of_meaning("the search has another space, sampler or setting".to_owned()));
            } else if old.history != new.history {
                found.push(of_meaning("`history` of the search is another one".to_owned()));
            } else if most(&new) < most(&old) {
                let (old, new) = (most(&old), most(&new));
                let old = if old == u32::MAX { "not limited".to_owned() } else { old.to_string() };
                found.push(of_meaning(format!("`trials` was {old} and is now {new}; it can be raised")));
            } else if old != new {
                found.push(of_space("the search may take more or less than before".to_owned()));
            }
        }
        (Some(_), None) => {
            found.push(of_meaning("the search does not go by results any more".to_owned()));
        }
        (None, Some(_)) => found.push(of_meaning("the search goes by results now".to_owned())),
    }
    if halving(before) != halving(now) || generation(before) != generation(now) {
        found.push(of_space("trials are compared at other rungs, or in other generations".to_owned()));
    }
    found
}

/// A change of how the best configurations are confirmed.
fn confirm(before: Option<Confirm>, now: Option<Confirm>) -> Option<String> {
    // More seeds in the search are a difference of their own.
    let asked = |confirm: Option<Confirm>| confirm.map(|Confirm { top, repeats, by, .. }| (top, repeats, by));
    let text = |confirm: Option<Confirm>| {
        confirm.map_or_else(
            || "none".to_owned(),
            |Confirm { top, repeats, by, .. }| format!("top {top} by {}, {repeats} seeds more", by.as_str()),
        )
    };
    (asked(before) != asked(now)).then(|| was_and_is("`confirm`", &text(before), &text(now)))
}

/// Settings that only one of the plans sweeps.
fn swept(before: &Plan, now: &Plan) -> Vec<String> {
    let missing = |from: &Plan, names: &[String]| -> Vec<String> {
        names.iter().filter(|name| !from.swept.contains(*name)).cloned().collect()
    };
    let added = missing(before, &now.swept).into_iter().map(|name| format!("`{name}` is swept now"));
    let gone = missing(now, &before.swept).into_iter().map(|name| format!("`{name}` is not swept any more"));
    added.chain(gone).collect()
}

/// Whether both plans sweep this setting.
fn is_swept(name: &str, before: &Plan, now: &Plan) -> bool {
    [before, now].into_iter().all(|plan| plan.swept.iter().any(|swept| swept == name))
}

/// Changes of the checkpoints. If checkpoints are not swept, only the first change in the order of the
/// trials is reported.
fn checkpoints(before: &Plan, now: &Plan) -> Vec<Difference> {
    if !is_swept("checkpoint", before, now) {
        let mut pairs = before.trials.iter().zip(&now.trials);
        let other = pairs.find_map(|(old, new)| {
            let (old, new) = (&old.settings.checkpoint, &new.settings.checkpoint);
            other_checkpoint(before.checkpoint(old), now.checkpoint(new))
        });
        return other.into_iter().collect();
    }
    let (old, new) = (written_checkpoints(before), written_checkpoints(now));
    let mut found: Vec<Difference> = new
        .iter()
        .filter_map(|(value, name)| {
            let (_, earlier) = old.iter().find(|(other, _)| other == value)?;
            other_checkpoint(before.checkpoint(earlier), now.checkpoint(name))
        })
        .collect();
    let values = |written: &[(Value, &Checkpoint)]| written.iter().map(|(value, _)| value.clone()).collect();
    let (old, new): (Vec<Value>, Vec<Value>) = (values(&old), values(&new));
    found.extend(changed("checkpoint", &old, &new).map(of_space));
    found
}

/// The difference between two checkpoints; `None` if they are the same.
fn other_checkpoint(before: PlanCheckpoint<'_>, now: PlanCheckpoint<'_>) -> Option<Difference> {
    if before.is_same_as(now) {
        return None;
    }
    Some(of_meaning(if before.name == now.name {
        format!("the checkpoint {} holds other files than before", plain(&now.name.to_string()))
    } else {
        was_and_is("`checkpoint`", &before.name, &now.name)
    }))
}

/// The swept checkpoints, each once: the value in the spec, and the checkpoint of the trials' settings.
fn written_checkpoints(plan: &Plan) -> Vec<(Value, &Checkpoint)> {
    let mut written: Vec<(Value, &Checkpoint)> = Vec::new();
    for trial in &plan.trials {
        let value = trial.params.0.iter().find(|(name, _)| name == "checkpoint");
        if let Some((_, value)) = value
            && !written.iter().any(|(known, _)| known == value)
        {
            written.push((value.clone(), &trial.settings.checkpoint));
        }
    }
    written
}

/// The change of a setting over all trials.
fn setting(key: &SettingKey, before: &Plan, now: &Plan) -> Option<Difference> {
    let text = changed(key.name, &values(key, before), &values(key, now))?;
    Some(Difference { text, changes_meaning: !is_swept(key.name, before, now) })
}

/// A description of the change from the values `old` to the values `new`; `None` if they are the same.
fn changed(name: &str, old: &[Value], new: &[Value]) -> Option<String> {
    let without = |values: &[Value], others: &[Value]| -> Vec<Value> {
        let others: HashSet<String> = others.iter().map(ToString::to_string).collect();
        values.iter().filter(|value| !others.contains(&value.to_string())).cloned().collect()
    };
    let (gone, added) = (without(old, new), without(new, old));
    let name = format!("`{name}`");
    match (old, new, gone.is_empty(), added.is_empty()) {
        (.., true, true) => None,
        ([old], [new], ..) => Some(was_and_is(&name, old, new)),
        (.., true, false) => Some(format!("{name} takes {} too", list(&added))),
        (.., false, true) => Some(format!("{name} does not take {} any more", list(&gone))),
        (.., false, false) => Some(format!("{name} takes {} instead of {}", list(&added), list(&gone))),
    }
}

/// Every value of a setting in the trials of a plan, each once.
fn values(key: &SettingKey, plan: &Plan) -> Vec<Value> {
    let mut seen = HashSet::new();
    let all = plan.trials.iter().map(|trial| key.get(&trial.settings));
    all.filter(|value| seen.insert(value.to_string())).collect()
}

/// Up to 4 values, or else their number.
fn list(values: &[Value]) -> String {
    if values.len() > VALUES_SHOWN {
        return format!("{} values", values.len());
    }
    let values: Vec<String> = values.iter().map(|value| plain(&value.to_string())).collect();
    values.join(", ")
}

#[cfg(test)]
pub(super) mod tests;
