//! What a run has to do, as the scheduler is told it.

use super::{Run, prefixes::Prefixes};
use crate::{
    scheduler::{Due, Terms},
    study::{Study, TrialRecord},
    train::arithmetic,
};

/// What the trials of a run are held to.
pub(super) fn terms(run: &Run, study: &Study) -> Terms {
    Terms {
        planned: u32::try_from(study.trials.len()).unwrap_or(u32::MAX),
        classes: study.labels.len(),
        retries: run.plan.policy.retries,
        arithmetic: arithmetic::identity(),
    }
}

/// What a run has to do of `study`.
pub(super) fn due(study: &Study, prefixes: &Prefixes) -> Vec<Due> {
    let due = |record: &TrialRecord| {
        let settings = &record.trial.settings;
        Due {
            trial: record.trial.id,
            attempts: record.attempts,
            batch: settings.batch_size.div_ceil(settings.gradient_accumulation.max(1)).max(1),
            micro_batch: record.micro_batch,
            alone: record.device.filter(|_| record.alone),
            after: prefixes.prefix(record.trial.id),
        }
    };
    study.to_run().into_iter().filter_map(|(id, _)| study.trial(id).map(due)).collect()
}
