//! What tells two plans apart, in words: why results of one cannot go on under the other.
//!
//! Contents count, places do not: documents and checkpoints are compared by their
//! fingerprints, so that a project's folder may be moved.

use super::Plan;
use crate::{
    data::{DataSpec, Source, SplitName},
    display::{plain, shorten},
    settings::{KEYS, Key, Value},
};

/// Values that are listed one by one.
const VALUES_SHOWN: usize = 4;
/// Terminal columns of a list of class names.
const LABELS_COLUMNS: usize = 60;

impl Plan {
    /// What tells this plan, under which results were made, from `now`; a phrase each. None when
    /// the same trials would be trained on the same documents from the same checkpoints.
    #[must_use]
    pub fn differences(&self, now: &Self) -> Vec<String> {
        let mut found = Vec::new();
        if self.seed != now.seed {
            found.push(was("`seed`", &self.seed, &now.seed));
        }
        found.extend(labels(self, now));
        found.extend(data(self, now));
        if self.trials.len() != now.trials.len() {
            found.push(format!(
                "the number of trials was {} and is now {}",
                self.trials.len(),
                now.trials.len()
            ));
        }
        found.extend(swept(self, now));
        found.extend(checkpoint(self, now));
        found.extend(
            KEYS.iter().filter(|key| key.name != "checkpoint").filter_map(|key| setting(key, self, now)),
        );
        if found.is_empty() && !is_alike(self, now) {
            found.push("its trials have other seeds, or come in another order".to_owned());
        }
        found
    }

    /// The digest of a checkpoint by what trials call it.
    fn checkpoint_digest(&self, name: &str) -> Option<&String> {
        self.fingerprints.checkpoints.get(name)
    }
}

fn was(what: &str, before: &dyn ToString, now: &dyn ToString) -> String {
    format!("{what} was {} and is now {}", plain(&before.to_string()), plain(&now.to_string()))
}

/// Whether nothing differs but places, and what the other comparisons look at.
fn is_alike(before: &Plan, now: &Plan) -> bool {
    let mut moved = before.clone();
    moved.data.clone_from(&now.data);
    moved.fingerprints.clone_from(&now.fingerprints);
    moved.scales.clone_from(&now.scales);
    moved.policy = now.policy;
    for (trial, now) in moved.trials.iter_mut().zip(&now.trials) {
        trial.settings.checkpoint.clone_from(&now.settings.checkpoint);
    }
    moved == *now
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
    let other = |file: &str| format!("{} holds other documents than before", plain(file));
    match &now.data.source {
        Source::Files { train, validation, test } => SplitName::ALL
            .into_iter()
            .zip([train, validation, test])
            .filter(|(split, _)| old.split(*split) != new.split(*split))
            .map(|(_, path)| other(&path.display().to_string()))
            .collect(),
        Source::Single { path, .. } => vec![other(&path.display().to_string())],
        Source::Reviews { .. } => vec![other("builtin:reviews")],
    }
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

/// The first trial's checkpoint that is not the same.
fn checkpoint(before: &Plan, now: &Plan) -> Option<String> {
    let names = |(old, new): (&'_ crate::trial::Trial, &'_ crate::trial::Trial)| {
        (old.settings.checkpoint.clone(), new.settings.checkpoint.clone())
    };
    let is_same =
        |(old, new): &(String, String)| match (before.checkpoint_digest(old), now.checkpoint_digest(new)) {
            (Some(old), Some(new)) => old == new,
            _ => old == new,
        };
    let (old, new) = before.trials.iter().zip(&now.trials).map(names).find(|names| !is_same(names))?;
    Some(if old == new {
        format!("the checkpoint {} holds other files than before", plain(&new))
    } else {
        was("`checkpoint`", &old, &new)
    })
}

/// What is new about a setting over all trials.
fn setting(key: &Key, before: &Plan, now: &Plan) -> Option<String> {
    let (old, new) = (values(key, before), values(key, now));
    let without = |values: &[Value], others: &[Value]| -> Vec<Value> {
        values.iter().filter(|value| !others.contains(value)).cloned().collect()
    };
    let (gone, added) = (without(&old, &new), without(&new, &old));
    let name = format!("`{}`", key.name);
    match (old.as_slice(), new.as_slice(), gone.is_empty(), added.is_empty()) {
        (.., true, true) => None,
        ([old], [new], ..) => Some(was(&name, old, new)),
        (.., true, false) => Some(format!("{name} takes {} too", list(&added))),
        (.., false, true) => Some(format!("{name} does not take {} any more", list(&gone))),
        (.., false, false) => Some(format!("{name} takes {} instead of {}", list(&added), list(&gone))),
    }
}

/// Every value of a setting, once.
fn values(key: &Key, plan: &Plan) -> Vec<Value> {
    let mut values = Vec::new();
    for value in plan.trials.iter().map(|trial| key.get(&trial.settings)) {
        if !values.contains(&value) {
            values.push(value);
        }
    }
    values
}

fn list(values: &[Value]) -> String {
    if values.len() > VALUES_SHOWN {
        return format!("{} values", values.len());
    }
    let values: Vec<String> = values.iter().map(|value| plain(&value.to_string())).collect();
    values.join(", ")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::{
        data::Split,
        fingerprint::DataDigests,
        settings::Settings,
        study,
        trial::{Params, Trial, TrialId},
    };

    fn digests(test: &str) -> DataDigests {
        DataDigests { train: "1".to_owned(), validation: "2".to_owned(), test: test.to_owned() }
    }

    /// Trials over these learning rates, with a checkpoint in a folder.
    fn plan(rates: &[f64]) -> Plan {
        let trial = |(id, rate): (u32, &f64)| Trial {
            id: TrialId(id),
            params: Params(vec![("learning_rate".to_owned(), Value::Float(*rate))]),
            repeat: 0,
            seed: u64::from(id),
            settings: Settings {
                learning_rate: *rate,
                checkpoint: "/a/bert".to_owned(),
                ..Settings::default()
            },
        };
        let mut plan = study::tests::plan(0);
        plan.swept = vec!["learning_rate".to_owned()];
        plan.trials = (1..).zip(rates).map(trial).collect();
        let files = ["train", "dev", "test"].map(|name| PathBuf::from(format!("/a/{name}.csv")));
        let [train, validation, test] = files;
        plan.data.source = Source::Files { train, validation, test };
        plan.fingerprints.data = Some(digests("3"));
        plan.fingerprints.checkpoints.insert("/a/bert".to_owned(), "b".to_owned());
        plan
    }

    /// `plan` after its project was moved from `/a` to `/b`.
    fn moved(mut plan: Plan) -> Plan {
        let files = ["train", "dev", "test"].map(|name| PathBuf::from(format!("/b/{name}.csv")));
        let [train, validation, test] = files;
        plan.data.source = Source::Files { train, validation, test };
        for trial in &mut plan.trials {
            trial.settings.checkpoint = "/b/bert".to_owned();
        }
        plan.fingerprints.checkpoints = [("/b/bert".to_owned(), "b".to_owned())].into();
        plan
    }

    #[test]
    fn the_same_plan_in_another_place_is_no_other_plan() {
        let before = plan(&[1e-5, 3e-5]);
        assert_eq!(before.differences(&before), [""; 0]);
        assert_eq!(before.differences(&moved(before.clone())), [""; 0]);
    }

    #[test]
    fn changed_documents_are_told_by_their_file() {
        let before = plan(&[1e-5]);
        let mut now = moved(before.clone());
        now.fingerprints.data = Some(digests("4"));
        assert_eq!(before.differences(&now), ["/b/test.csv holds other documents than before"]);
        now.data.limit.test = Some(10);
        assert_eq!(before.differences(&now), ["`limit` in [data] is another one"]);
    }

    #[test]
    fn columns_that_lead_to_the_same_documents_make_no_difference() {
        let before = plan(&[1e-5]);
        let mut now = before.clone();
        now.data.text = "renamed".to_owned();
        assert_eq!(before.differences(&now), [""; 0]);
    }

    #[test]
    fn a_checkpoint_is_told_apart_by_its_files() {
        let before = plan(&[1e-5]);
        let mut now = before.clone();
        now.fingerprints.checkpoints.insert("/a/bert".to_owned(), "c".to_owned());
        assert_eq!(before.differences(&now), ["the checkpoint /a/bert holds other files than before"]);
        now.trials[0].settings.checkpoint = "builtin:mini".to_owned();
        assert_eq!(before.differences(&now), ["`checkpoint` was /a/bert and is now builtin:mini"]);
    }

    #[test]
    fn checkpoints_that_changed_places_are_noticed() {
        let mut before = plan(&[1e-5, 3e-5]);
        before.trials[1].settings.checkpoint = "/a/other".to_owned();
        before.fingerprints.checkpoints.insert("/a/other".to_owned(), "o".to_owned());
        let mut now = before.clone();
        now.fingerprints.checkpoints =
            [("/a/bert".to_owned(), "o".to_owned()), ("/a/other".to_owned(), "b".to_owned())].into();
        assert_eq!(before.differences(&now), ["the checkpoint /a/bert holds other files than before"]);
    }

    #[test]
    fn settings_are_told_with_their_values_before_and_now() {
        let before = plan(&[1e-5, 3e-5]);
        assert_eq!(before.differences(&plan(&[1e-5, 1e-4])), ["`learning_rate` takes 1e-4 instead of 3e-5"]);
        assert_eq!(
            before.differences(&plan(&[1e-5, 3e-5, 1e-4])),
            ["the number of trials was 2 and is now 3", "`learning_rate` takes 1e-4 too"]
        );
        let mut now = before.clone();
        now.trials.iter_mut().for_each(|trial| trial.settings.epochs = 9);
        assert_eq!(before.differences(&now), ["`epochs` was 3 and is now 9"]);
        now.swept.push("dropout".to_owned());
        assert_eq!(before.differences(&now)[0], "`dropout` is swept now");
    }

    #[test]
    fn seeds_classes_and_the_positive_class_are_told() {
        let before = plan(&[1e-5]);
        let mut now = before.clone();
        now.seed = 7;
        now.positive = Some(0);
        assert_eq!(before.differences(&now), ["`seed` was 1 and is now 7", "`positive` was 1 and is now 0"]);
        now.labels.push("\u{1b}[31m2".to_owned());
        assert_eq!(before.differences(&now)[1], "the classes were 0, 1 and are now 0, 1,  [31m2");
    }

    #[test]
    fn what_has_no_words_of_its_own_is_still_a_difference() {
        let before = plan(&[1e-5]);
        let mut now = before.clone();
        now.trials[0].seed = 99;
        assert_eq!(before.differences(&now), ["its trials have other seeds, or come in another order"]);
    }

    #[test]
    fn without_fingerprints_places_count() {
        let mut before = plan(&[1e-5]);
        before.fingerprints = crate::fingerprint::Fingerprints::default();
        assert_eq!(before.differences(&plan(&[1e-5])), [""; 0]);
        let now = moved(plan(&[1e-5]));
        assert_eq!(
            before.differences(&now),
            ["[data] has changed", "`checkpoint` was /a/bert and is now /b/bert"]
        );
        let mut single = plan(&[1e-5]);
        single.data.source = Source::Single { path: PathBuf::from("/a.csv"), split: Split::default() };
        assert_eq!(before.differences(&single), ["[data] has changed"]);
    }
}
