//! What a run has to do, in the scheduler's terms.

use super::prefixes::Prefixes;
use crate::{
    scheduler::PendingTrial,
    settings::Settings,
    study::{Study, TrialRecord},
    trial::Trial,
};

/// The shapes of trials that can be trained together, in the order in which they were met, each with the fold that they
/// validate on: trials of different folds make different steps. A shape's number is its place.
#[derive(Debug, Default)]
pub(super) struct Shapes(Vec<(Settings, Option<u32>)>);

impl Shapes {
    /// The number of the shape of a trial; `None` if it is trained alone.
    fn number(&mut self, trial: &Trial) -> Option<usize> {
        let shape = (trial.settings.fusible()?, trial.fold);
        Some(self.0.iter().position(|known| *known == shape).unwrap_or_else(|| {
            self.0.push(shape);
            self.0.len() - 1
        }))
    }
}

/// The trials of `study` that a run has to do, in the order of the plan.
pub(super) fn pending(study: &Study, prefixes: &Prefixes, shapes: &mut Shapes) -> Vec<PendingTrial> {
    let records = study.to_run().into_iter().filter_map(|(id, _)| study.trial(id));
    records.map(|record| pending_trial(record, prefixes, shapes)).collect()
}

/// One of them.
pub(super) fn pending_trial(record: &TrialRecord, prefixes: &Prefixes, shapes: &mut Shapes) -> PendingTrial {
    let settings = &record.trial.settings;
    PendingTrial {
        trial: record.trial.id,
        earlier_attempts: record.attempts,
        pass_examples: settings.batch_size.div_ceil(settings.gradient_accumulation.max(1)).max(1),
        micro_batch: record.micro_batch,
        alone: record.device.filter(|_| record.alone),
        prefix: prefixes.prefix(record.trial.id),
        shape: shapes.number(&record.trial),
    }
}
