//! Before the first trial starts: trials that another sweep has trained are taken over, not trained.
//!
//! The files first, then the log: a crash in between leaves a trial that waits, and files that are
//! put there again or trained over.

use std::collections::BTreeSet;

use super::{
    ExecutorError, Loop, Note,
    pending::{due, terms},
    prefixes::Prefixes,
    reusable::{self, Finished},
};
use crate::{
    event::Event,
    scheduler::Scheduler,
    trial::{Trial, TrialId},
};

impl Loop<'_> {
    /// Takes over what other sweeps have, if the sweep is to; the others are left to the scheduler.
    /// The answer is whether the user wishes to stop.
    pub(super) async fn reuse(&mut self) -> Result<bool, ExecutorError> {
        if !self.run.plan.policy.reuse {
            return Ok(false);
        }
        let again: BTreeSet<TrialId> = self.run.again.iter().copied().collect();
        let due_now: BTreeSet<TrialId> =
            self.study.to_run().into_iter().map(|(id, _)| id).filter(|id| !again.contains(id)).collect();
        let trials = self.study.trials.iter().map(|record| &record.trial);
        let trials: Vec<Trial> = trials.filter(|trial| due_now.contains(&trial.id)).cloned().collect();
        let (folder, plan) = (self.run.folder.clone(), self.run.plan.clone());
        let devices = self.run.devices.clone();
        let finding = tokio::task::spawn_blocking(move || reusable::find(&folder, &plan, &trials, &devices));
        let found = tokio::select! {
            found = finding => found.unwrap_or_default(),
            Some(()) = self.interrupts.recv() => {
                (self.watch)(Note::Stopping(1));
                return Ok(true);
            }
        };
        let mut is_stopped = false;
        for (trial, finished) in found {
            // Signals are heard by another task of this thread.
            tokio::task::yield_now().await;
            if self.interrupts.try_recv().is_ok() {
                (self.watch)(Note::Stopping(1));
                is_stopped = true;
                break;
            }
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
        self.tidy();
        Ok(is_stopped)
    }

    /// Logs what the other sweep's log tells of a trial.
    async fn tell_taken_over(&mut self, trial: TrialId, finished: Finished) -> Result<(), ExecutorError> {
        let Finished { origin, record, outcome, .. } = finished;
        if let Some(last) = record.evaluations.last() {
            let (step, epoch) = (last.step, last.epoch);
            self.log_only(trial, Event::Resumed { step, epoch, from: Some(origin) }).await?;
        }
        if let Some(prepared) = record.prepared {
            self.log_only(trial, Event::Prepared(prepared)).await?;
        }
        for evaluation in record.evaluations {
            self.log_only(trial, Event::Evaluated(evaluation)).await?;
        }
        self.log_only(trial, Event::Finished(outcome)).await?;
        self.prune().await
    }

    /// Logs an event without removing anything yet: who goes on from whom is decided once all is known.
    async fn log_only(&mut self, trial: TrialId, event: Event) -> Result<(), ExecutorError> {
        let record = self.append(Some(trial), event).await?;
        self.study.apply(&record)?;
        (self.watch)(Note::Logged(&record, &self.study));
        self.painter.logged(&record);
        Ok(())
    }
}
