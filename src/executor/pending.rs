//! What a run has to do, in the scheduler's terms.

use super::prefixes::Prefixes;
use crate::{
    scheduler::PendingTrial,
    study::{Study, TrialRecord},
};

/// The trials of `study` that a run has to do, in the order of the plan.
pub(super) fn pending(study: &Study, prefixes: &Prefixes) -> Vec<PendingTrial> {
    let records = study.to_run().into_iter().filter_map(|(id, _)| study.trial(id));
    records.map(|record| pending_trial(record, prefixes)).collect()
}

/// One of them.
pub(super) fn pending_trial(record: &TrialRecord, prefixes: &Prefixes) -> PendingTrial {
    let settings = &record.trial.settings;
    PendingTrial {
        trial: record.trial.id,
        earlier_attempts: record.attempts,
        pass_examples: settings.batch_size.div_ceil(settings.gradient_accumulation.max(1)).max(1),
        micro_batch: record.micro_batch,
        alone: record.device.filter(|_| record.alone),
        prefix: prefixes.prefix(record.trial.id),
    }
}
