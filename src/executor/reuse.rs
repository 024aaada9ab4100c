//! Before the first trial starts: trials that another sweep has trained are taken over, not trained.
//!
//! The files first, then the log: a crash in between leaves a trial that waits, and files that are
//! put there again or trained over.

use std::collections::BTreeSet;

use super::{
    ExecutorError, Loop, Note,
    due::{due, terms},
    prefixes::Prefixes,
};
use crate::{
    event::Event,
    reuse::{self, Finished},
    scheduler::Scheduler,
    trial::TrialId,
};

impl Loop<'_> {
    /// Takes over what other sweeps have, if the sweep is to; the others are left to the scheduler.
    pub(super) async fn reuse(&mut self) -> Result<(), ExecutorError> {
        if !self.run.plan.policy.reuse {
            return Ok(());
        }
        let again: BTreeSet<TrialId> = self.run.again.iter().copied().collect();
        let due_now: BTreeSet<TrialId> =
            self.study.to_run().into_iter().map(|(id, _)| id).filter(|id| !again.contains(id)).collect();
        let trials = self.study.trials.iter().map(|record| &record.trial);
        let trials = trials.filter(|trial| due_now.contains(&trial.id));
        let found = reuse::find(&self.run.folder, &self.run.plan, trials, &self.run.devices);
        for (trial, finished) in found {
            let folder = self.prepare(trial).await?;
            match finished.take_over(&folder) {
                Ok(()) => self.tell_taken_over(trial, finished).await?,
                Err(error) => {
                    let origin = &finished.origin;
                    (self.watch)(Note::Trouble(format!(
                        "trial {trial} is that of {origin}, but {error}: it is trained as usual"
                    )));
                }
            }
        }
        self.prefixes = Prefixes::of(&self.run, &self.study);
        let due = due(&self.study, &self.prefixes);
        self.scheduler = Scheduler::new(self.run.devices.clone(), &due, terms(&self.run, &self.study));
        Ok(())
    }

    /// Logs what the other sweep's log tells of a trial.
    async fn tell_taken_over(&mut self, trial: TrialId, finished: Finished) -> Result<(), ExecutorError> {
        let Finished { origin, record, outcome, .. } = finished;
        if let Some(last) = record.evaluations.last() {
            let (step, epoch) = (last.step, last.epoch);
            self.log(Some(trial), Event::Resumed { step, epoch, from: Some(origin) }).await?;
        }
        if let Some(prepared) = record.prepared {
            self.log(Some(trial), Event::Prepared(prepared)).await?;
        }
        for evaluation in record.evaluations {
            self.log(Some(trial), Event::Evaluated(evaluation)).await?;
        }
        self.log(Some(trial), Event::Finished(outcome)).await
    }
}
