//! Rungs that come before the first evaluation, where there is nothing to compare trials by; and halted trials that are
//! to go on.

use std::collections::BTreeSet;

use super::exit::Stop;
use crate::{
    data::Dataset,
    plan::Plan,
    settings::TrainOn,
    study::Study,
    trial::{State, TrialId},
};

/// Refuses a plan with a trial that is evaluated for the first time after its first rung.
pub(super) fn check(plan: &Plan, dataset: &Dataset) -> Result<(), Stop> {
    let halving = plan.search.as_ref().and_then(|search| search.halving.as_ref());
    let Some(&rung) = halving.and_then(|halving| halving.rungs.first()) else { return Ok(()) };
    for trial in &plan.trials {
        let (every, batch) = (trial.settings.eval_every, trial.settings.batch_size.max(1));
        let steps = dataset.trained_on(trial.fold).div_ceil(batch).saturating_mul(rung);
        // With chunks as examples there are more steps, and how many is not known yet.
        if every > steps && trial.settings.train_on == TrainOn::Documents {
            return Err(Stop::usage(format!(
                "trials are compared after epoch {rung}, which is step {steps}, and evaluated every {every} steps: \
                 lower `eval_every` in [train] to {steps} or less, or set it to 0 for once an epoch"
            )));
        }
    }
    Ok(())
}

/// Those of the trials numbered `wanted` that do not go on yet; each must be halted, or have been.
pub(super) fn continued(study: &Study, wanted: &[u32]) -> Result<Vec<TrialId>, Stop> {
    let unique: BTreeSet<TrialId> = wanted.iter().copied().map(TrialId).collect();
    let mut halted = Vec::new();
    for id in unique {
        match study.trial(id) {
            Some(record) if record.state == State::Halted => halted.push(id),
            // The same command, given again, goes on.
            Some(record) if record.continued_from.is_some() => {}
            Some(record) => {
                return Err(Stop::usage(format!(
                    "trial {id} is {}, not halted: --continue-halted lets halted trials go on",
                    record.state.as_str()
                )));
            }
            None => {
                return Err(Stop::usage(format!("--continue-halted: {} has no trial {id}", study.sweep)));
            }
        }
    }
    Ok(halted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        data::{Dialects, Document, Leaks},
        metrics::Target,
        samples,
        search::{Halving, RungFigure, SearchPlan},
    };

    #[test]
    fn an_evaluation_must_come_before_the_first_rung() {
        let dataset = Dataset {
            labels: Vec::new(),
            target: Target::Class(1),
            train: (0..100).map(|id| Document { id, label: 0 }).collect(),
            validation: Vec::new(),
            test: Vec::new(),
            folds: Vec::new(),
            leaks: Leaks::default(),
            report: None,
            notes: Vec::new(),
            digests: Default::default(),
            dialects: Dialects::default(),
        };
        let mut plan = samples::plan(1);
        (plan.trials[0].settings.batch_size, plan.trials[0].settings.eval_every) = (32, 9);
        assert!(check(&plan, &dataset).is_ok());
        let halving = Halving { eta: 3, rungs: vec![2], by: RungFigure::ValLoss };
        plan.search = Some(SearchPlan { generation: 8, halving: Some(halving), growth: None });
        let stop = check(&plan, &dataset).unwrap_err();
        assert!(stop.message.contains("which is step 8, and evaluated every 9 steps"), "{}", stop.message);
        plan.trials[0].settings.eval_every = 8;
        assert!(check(&plan, &dataset).is_ok());
    }
}
