//! Lines about a plan that a user should read before it runs: settings that are most likely mistakes, draws that
//! were merged, and classifiers that checkpoints have of their own.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    checkpoint::{Checkpoint, CheckpointFacts},
    display::plain,
    plan::{self, Plan},
    settings::{Pooling, Value},
    spec::Spec,
    train::{self, Caution, Circumstances, OwnHead},
    trial::{Trial, TrialId},
};

/// Trials that a caution lists by their numbers; of more, the first ones.
const TRIALS_SHOWN: usize = 5;

/// The lines about `plan`, which is the plan of `spec`, with the facts of its checkpoints.
pub(super) fn cautions(
    plan: &Plan,
    spec: &Spec,
    facts: &BTreeMap<Checkpoint, CheckpointFacts>,
) -> Vec<String> {
    let circumstances = |trial: &Trial| Circumstances {
        documents: plan.classes.trained_on(),
        classes: plan.labels.len(),
        layers: facts.get(&trial.settings.checkpoint).map_or(0, |facts| facts.layers),
    };
    let found = plan.trials.iter().flat_map(|trial| {
        train::cautions(&trial.settings, circumstances(trial)).into_iter().map(|caution| (trial.id, caution))
    });
    let mut lines = by_fault(found, plan.trials.len());
    lines.extend(plan::merged(spec, plan.trials.len()).map(|text| format!("warning: {text}")));
    lines.extend(own_heads(plan));
    lines.iter().map(|line| plain(line)).collect()
}

/// A line for each fault, with the values and the trials that have it.
fn by_fault(found: impl Iterator<Item = (TrialId, Caution)>, all: usize) -> Vec<String> {
    let mut groups: Vec<(Caution, Vec<Value>, Vec<TrialId>)> = Vec::new();
    for (trial, caution) in found {
        let is_same = |(first, ..): &&mut (Caution, _, _)| {
            (first.setting, &first.fault) == (caution.setting, &caution.fault)
        };
        match groups.iter_mut().find(is_same) {
            Some((_, values, trials)) => {
                values.push(caution.value);
                trials.push(trial);
            }
            None => groups.push((caution.clone(), vec![caution.value], vec![trial])),
        }
    }
    let line = |(caution, values, trials): &(Caution, Vec<Value>, Vec<TrialId>)| {
        let (values, trials) = (range(values), numbers(trials, all));
        format!("warning: {} {values} {} ({trials})", caution.setting, caution.fault)
    };
    groups.iter().map(line).collect()
}

/// `= 0.5`, `from 0.1 to 0.5` for several numbers, or a list of texts.
fn range(values: &[Value]) -> String {
    let mut numbers: Vec<&Value> = values.iter().filter(|value| value.as_f64().is_some()).collect();
    numbers.sort_by(|a, b| a.as_f64().unwrap_or(0.0).total_cmp(&b.as_f64().unwrap_or(0.0)));
    match (numbers.first(), numbers.last()) {
        (Some(low), Some(high)) if numbers.len() == values.len() && low != high => {
            format!("from {low} to {high}")
        }
        _ => {
            let distinct: BTreeSet<String> = values.iter().map(ToString::to_string).collect();
            format!("= {}", distinct.into_iter().collect::<Vec<_>>().join(", "))
        }
    }
}

/// `all 12 trials`, or `2 of 12 trials: 0001, 0004`.
fn numbers(trials: &[TrialId], all: usize) -> String {
    let plural = if all == 1 { "" } else { "s" };
    if trials.len() == all {
        return if all == 1 { "the only trial".to_owned() } else { format!("all {all} trials") };
    }
    let shown: Vec<String> = trials.iter().take(TRIALS_SHOWN).map(ToString::to_string).collect();
    let more = if trials.len() > TRIALS_SHOWN { ", …" } else { "" };
    format!("{} of {all} trial{plural}: {}{more}", trials.len(), shown.join(", "))
}

/// A line for each checkpoint with a classifier of its own.
fn own_heads(plan: &Plan) -> Vec<String> {
    let settings = plan.trials.iter().map(|trial| &trial.settings);
    let used: BTreeSet<_> = settings.map(|it| (&it.checkpoint, it.pooling.as_str())).collect();
    let describe = |(checkpoint, pooling): (&Checkpoint, &str)| {
        Some(OwnHead::of(checkpoint, Pooling::parse(pooling)?)?.describe(&checkpoint.title(), &plan.labels))
    };
    let lines: BTreeSet<String> = used.into_iter().filter_map(describe).collect();
    lines.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caution(trial: u32, value: f64) -> (TrialId, Caution) {
        let fault = "is too high".to_owned();
        (TrialId(trial), Caution { setting: "learning_rate", value: Value::Float(value), fault })
    }

    #[test]
    fn trials_with_the_same_fault_share_a_line() {
        let lines = by_fault([caution(1, 0.5), caution(3, 0.1)].into_iter(), 12);
        assert_eq!(
            lines,
            ["warning: learning_rate from 0.1 to 0.5 is too high (2 of 12 trials: 0001, 0003)"]
        );
    }

    #[test]
    fn of_many_trials_the_first_are_listed() {
        let lines = by_fault((1..=7).map(|trial| caution(trial, 0.5)), 12);
        let end = "(7 of 12 trials: 0001, 0002, 0003, 0004, 0005, …)";
        assert!(lines.len() == 1 && lines[0].ends_with(end) && lines[0].contains("= 0.5"), "{lines:?}");
    }

    #[test]
    fn a_fault_of_every_trial_needs_no_numbers() {
        assert!(by_fault((1..=2).map(|trial| caution(trial, 0.5)), 2)[0].ends_with("(all 2 trials)"));
        assert!(by_fault([caution(1, 0.5)].into_iter(), 1)[0].ends_with("(the only trial)"));
    }
}
