//! What tells two plans apart, in words, and whether results of one keep their meaning under the other.
//!
//! Contents count, places do not: documents and checkpoints are compared by their
//! fingerprints, so that a project's folder may be moved.

use std::collections::{HashMap, HashSet};

use super::Plan;
use crate::{
    checkpoint::Checkpoint,
    data::{DataSpec, Source},
    display::{plain, shorten},
    metrics::Average,
    settings::{KEYS, SettingKey, Value},
    trial::Trial,
};

/// Values that are listed one by one.
const VALUES_SHOWN: usize = 4;
/// Terminal columns of a list of class names.
const LABELS_COLUMNS: usize = 60;

/// One thing that tells two plans apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// A phrase.
    pub text: String,
    /// Whether the results of one plan mean something else under the other. Where the search space
    /// alone has changed they do not: the trials that both plans have are the same.
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

impl Plan {
    /// What tells this plan, under which results were made, from `now`; those that change the
    /// meaning of results first. None when the same trials would be trained on the same documents
    /// from the same checkpoints.
    #[must_use]
    pub fn differences(&self, now: &Self) -> Vec<Difference> {
        let mut found = Vec::new();
        if self.seed != now.seed {
            found.push(of_meaning(was("`seed`", &self.seed, &now.seed)));
        }
        found.extend(labels(self, now).map(of_meaning));
        found.extend(data(self, now).into_iter().map(of_meaning));
        if self.trials.len() != now.trials.len() {
            let (before, now) = (self.trials.len(), now.trials.len());
            found.push(of_space(format!("the number of trials was {before} and is now {now}")));
        }
        found.extend(swept(self, now).into_iter().map(of_meaning));
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

    /// Whether `old`, as this plan's trials call it, and `new`, as those of `now` do, are one checkpoint.
    pub(super) fn is_same_checkpoint(&self, old: &Checkpoint, now: &Self, new: &Checkpoint) -> bool {
        match (self.fingerprints.checkpoints.get(old), now.fingerprints.checkpoints.get(new)) {
            (Some(old), Some(new)) => old == new,
            _ => old == new,
        }
    }
}

/// What a trial trains with, apart from its checkpoint and its seed: equal for trials that do the same.
pub(super) fn recipe(trial: &Trial) -> String {
    let settings = crate::settings::Settings { checkpoint: Checkpoint::none(), ..trial.settings.clone() };
    format!("{}\n{}\n{settings:?}", super::canonical(&trial.params.0), trial.repeat)
}

fn was(what: &str, before: &dyn ToString, now: &dyn ToString) -> String {
    format!("{what} was {} and is now {}", plain(&before.to_string()), plain(&now.to_string()))
}

/// Seeds that are not those that the same trials had before.
fn seeds(before: &Plan, now: &Plan) -> Option<Difference> {
    let mut known: HashMap<String, HashSet<u64>> = HashMap::new();
    for trial in &before.trials {
        known.entry(recipe(trial)).or_default().insert(trial.seed);
    }
    let is_other =
        |trial: &Trial| known.get(&recipe(trial)).is_some_and(|seeds| !seeds.contains(&trial.seed));
    let is_told = before.seed != now.seed;
    (!is_told && now.trials.iter().any(is_other))
        .then(|| of_meaning("its trials have other seeds".to_owned()))
}

/// Whether the same trials come in another order.
fn order(before: &Plan, now: &Plan) -> Option<Difference> {
    let is_same = |(old, new): (&Trial, &Trial)| recipe(old) == recipe(new) && old.seed == new.seed;
    let is_alike = before.trials.iter().zip(&now.trials).all(is_same);
    (!is_alike).then(|| of_space("its trials come in another order".to_owned()))
}

fn labels(before: &Plan, now: &Plan) -> Option<String> {
    let list = |plan: &Plan| shorten(&plain(&plan.labels.join(", ")), LABELS_COLUMNS);
    let positive = |plan: &Plan| {
        let label = plan.positive.and_then(|class| plan.labels.get(class));
        label.map_or_else(|| "none".to_owned(), Clone::clone)
    };
    if before.labels != now.labels {
        Some(format!("the classes were {} and are now {}", list(before), list(now)))
    } else if before.positive != now.positive {
        Some(was("`positive`", &positive(before), &positive(now)))
    } else if before.average != now.average {
        let average = |plan: &Plan| plan.average.map_or("none", Average::as_str);
        Some(was("`average`", &average(before), &average(now)))
    } else {
        None
    }
}

fn data(before: &Plan, now: &Plan) -> Vec<String> {
    let (Some(old), Some(new)) = (&before.fingerprints.data, &now.fingerprints.data) else {
        // Results of a version that took no fingerprints: the places must do.
        let changed = (before.data != now.data).then(|| "[data] has changed".to_owned());
        return changed.into_iter().collect();
    };
    let keys = data_keys(&before.data, &now.data);
    if old == new || before.seed != now.seed {
        // Another seed divides the same file otherwise, and has been told.
        return Vec::new();
    }
    if !keys.is_empty() {
        return vec![format!("{} in [data] is another one", keys.join(", "))];
    }
    let other = |file: String| format!("{} holds other documents than before", plain(&file));
    old.changed(new, &now.data.source).into_iter().map(other).collect()
}

/// The keys of `[data]` that are not the same, apart from places.
fn data_keys(before: &DataSpec, now: &DataSpec) -> Vec<&'static str> {
    let split = |source: &Source| match source {
        Source::Files { .. } => None,
        Source::Single { split, .. } | Source::Reviews { split } => Some(*split),
    };
    let is_kind = std::mem::discriminant(&before.source) == std::mem::discriminant(&now.source);
    let changed = [
        ("`path`", !is_kind),
        ("`split`", is_kind && split(&before.source) != split(&now.source)),
        ("`text`", before.text != now.text),
        ("`label`", before.label != now.label),
        ("`duplicates`", before.duplicates != now.duplicates),
        ("`limit`", before.limit != now.limit),
    ];
    changed.into_iter().filter(|(_, changed)| *changed).map(|(key, _)| key).collect()
}

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

/// What is new about the checkpoints: of the first trial that has another one, or of what is swept.
fn checkpoints(before: &Plan, now: &Plan) -> Vec<Difference> {
    if !is_swept("checkpoint", before, now) {
        let mut pairs = before.trials.iter().zip(&now.trials);
        let other = pairs.find_map(|(old, new)| {
            other_checkpoint(before, &old.settings.checkpoint, now, &new.settings.checkpoint)
        });
        return other.into_iter().collect();
    }
    let (old, new) = (written_checkpoints(before), written_checkpoints(now));
    let mut found: Vec<Difference> = new
        .iter()
        .filter_map(|(value, name)| {
            let (_, earlier) = old.iter().find(|(other, _)| other == value)?;
            other_checkpoint(before, earlier, now, name)
        })
        .collect();
    let values = |written: &[(Value, &Checkpoint)]| written.iter().map(|(value, _)| value.clone()).collect();
    let (old, new): (Vec<Value>, Vec<Value>) = (values(&old), values(&new));
    found.extend(changed("checkpoint", &old, &new).map(of_space));
    found
}

fn other_checkpoint(before: &Plan, old: &Checkpoint, now: &Plan, new: &Checkpoint) -> Option<Difference> {
    if before.is_same_checkpoint(old, now, new) {
        return None;
    }
    Some(of_meaning(if old == new {
        format!("the checkpoint {} holds other files than before", plain(&new.to_string()))
    } else {
        was("`checkpoint`", &old, &new)
    }))
}

/// The swept checkpoints, once each: as the spec writes them, and as trials call them.
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

/// What is new about a setting over all trials.
fn setting(key: &SettingKey, before: &Plan, now: &Plan) -> Option<Difference> {
    let text = changed(key.name, &values(key, before), &values(key, now))?;
    Some(Difference { text, changes_meaning: !is_swept(key.name, before, now) })
}

fn changed(name: &str, old: &[Value], new: &[Value]) -> Option<String> {
    let without = |values: &[Value], others: &[Value]| -> Vec<Value> {
        let others: HashSet<String> = others.iter().map(ToString::to_string).collect();
        values.iter().filter(|value| !others.contains(&value.to_string())).cloned().collect()
    };
    let (gone, added) = (without(old, new), without(new, old));
    let name = format!("`{name}`");
    match (old, new, gone.is_empty(), added.is_empty()) {
        (.., true, true) => None,
        ([old], [new], ..) => Some(was(&name, old, new)),
        (.., true, false) => Some(format!("{name} takes {} too", list(&added))),
        (.., false, true) => Some(format!("{name} does not take {} any more", list(&gone))),
        (.., false, false) => Some(format!("{name} takes {} instead of {}", list(&added), list(&gone))),
    }
}

/// Every value of a setting, once.
fn values(key: &SettingKey, plan: &Plan) -> Vec<Value> {
    let mut seen = HashSet::new();
    let all = plan.trials.iter().map(|trial| key.get(&trial.settings));
    all.filter(|value| seen.insert(value.to_string())).collect()
}

fn list(values: &[Value]) -> String {
    if values.len() > VALUES_SHOWN {
        return format!("{} values", values.len());
    }
    let values: Vec<String> = values.iter().map(|value| plain(&value.to_string())).collect();
    values.join(", ")
}

#[cfg(test)]
pub(super) mod tests;
