//! What other sweeps of the results folder have found, for a search that learns from them.

use super::{
    exit::Stop,
    open::{OpenedSweep, open, read_plan},
    terminal::eprint_lossy,
};
use crate::{
    data::Dataset,
    display::plain,
    fingerprint::DataDigests,
    numbers::count,
    plan::Plan,
    results::{Results, SweepFolder},
    search::Finding,
    settings,
    spec::Spec,
    study::TrialRecord,
    trial::State,
};

/// Fills in what the sweeps of `history` have found. What this sweep has found there before, when it began, holds.
///
/// # Errors
/// When there is no such sweep, when it is this one, or when its data are others.
pub(super) fn look_up(
    spec: &mut Spec,
    dataset: &Dataset,
    results: &Results,
    is_fresh: bool,
) -> Result<(), Stop> {
    if spec.search.history.is_empty() {
        return Ok(());
    }
    let folder = results.sweep(&spec.name);
    let before = if is_fresh { None } else { read_plan(&folder)? };
    if let Some(growth) = before.and_then(|plan| plan.search?.growth) {
        spec.search.findings = growth.history;
        return Ok(());
    }
    let digests = DataDigests::of(dataset);
    for name in spec.search.history.clone() {
        check_name(spec, results, &name)?;
        let OpenedSweep { study, folder, .. } = open(results, Some(&name))?;
        let plan = read_plan(&folder)?;
        if plan.as_ref().and_then(|plan: &Plan| plan.fingerprints.data.as_ref()) != Some(&digests) {
            return Err(Stop::usage(format!(
                "`history` names {}, whose documents are others, so that its figures say nothing here: remove the name, or \
                 give this sweep the [data] of that one",
                plain(&name)
            )));
        }
        let found = findings(spec, &name, study.of_search());
        if found.is_empty() {
            eprint_lossy(&format!(
                "warning: no complete trial of {} lies in this search space; it tells nothing\n",
                plain(&name)
            ));
        }
        spec.search.findings.extend(found);
    }
    Ok(())
}

/// Refuses a name that is no other sweep's.
fn check_name(spec: &Spec, results: &Results, name: &str) -> Result<(), Stop> {
    if name == spec.name {
        return Err(Stop::usage(format!(
            "`history` names {}, which is this very sweep: it learns from its own trials in any case; remove the name",
            plain(name)
        )));
    }
    let known: Vec<String> = results.folders()?.iter().map(SweepFolder::name).collect();
    if known.iter().any(|known| known == name) {
        return Ok(());
    }
    let there_are = if known.is_empty() {
        "there is none".to_owned()
    } else {
        format!("there are: {}", plain(&known.join(", ")))
    };
    Err(Stop::usage(format!(
        "`history` names {}, and the results folder has no sweep of this name ({there_are}): correct the name, or remove it",
        plain(name)
    )))
}

/// What the trials of a sweep say about this space. The folds of a configuration are one finding, their mean; one that
/// lacks a fold says nothing.
fn findings<'a>(spec: &Spec, sweep: &str, trials: impl Iterator<Item = &'a TrialRecord>) -> Vec<Finding> {
    let Some(folds) = spec.data.folds.map(|folds| folds as usize) else {
        return trials.filter_map(|record| finding(spec, sweep, record)).collect();
    };
    let same = |one: &&TrialRecord, other: &&TrialRecord| {
        one.trial.params == other.trial.params && one.trial.repeat == other.trial.repeat
    };
    let mean = |own: &[&TrialRecord]| {
        let each: Option<Vec<Finding>> = own.iter().map(|record| finding(spec, sweep, record)).collect();
        let each = each.filter(|each| each.len() == folds)?;
        let mean = |of: fn(&Finding) -> f64| each.iter().map(of).sum::<f64>() / count(folds);
        let (loss, f1) = (mean(|it| it.loss), mean(|it| it.f1));
        Some(Finding { loss, f1, ..each.first()?.clone() })
    };
    trials.collect::<Vec<_>>().chunk_by(same).filter_map(mean).collect()
}

/// What a trial says about this space; `None` unless it is complete and every value of it is known.
fn finding(spec: &Spec, sweep: &str, record: &TrialRecord) -> Option<Finding> {
    let outcome = record.outcome.as_ref().filter(|_| record.state == State::Complete)?;
    let value = |swept: &crate::spec::SweptSetting| {
        // A checkpoint is called as the spec calls it.
        let written = record.trial.params.0.iter().find(|(name, _)| *name == swept.name);
        let value = match written {
            Some((_, value)) => value.clone(),
            None => settings::key(&swept.name)?.get(&record.trial.settings),
        };
        Some((swept.name.clone(), value))
    };
    let values: Option<Vec<_>> = spec.space.iter().map(value).collect();
    let (loss, f1) = (outcome.validation.loss, outcome.validation.f1);
    Some(Finding { sweep: sweep.to_owned(), values: values?, loss, f1 })
}
