//! Before the first trial starts: trials that another sweep has completed are reused, not trained.
//!
//! The files are taken over first, then the log says so. A crash in between leaves a trial that
//! waits, and files that are taken over again or replaced by training.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
};

use tokio::sync::oneshot;

use super::{
    error::ExecutorError,
    observer::Notice,
    reusable::{self, ReusableTrial},
    state::Loop,
};
use crate::{
    error_chain::with_causes,
    event::Event,
    system::threads,
    trial::{Trial, TrialId},
};

impl Loop<'_> {
    /// Takes over those of `due` that other sweeps have completed, if the policy says so; the rest is left to
    /// the scheduler. Returns whether the user wishes to stop.
    pub(super) async fn reuse(&mut self, due: Vec<Trial>) -> Result<bool, ExecutorError> {
        if !self.run.plan.policy.reuse || due.is_empty() {
            return Ok(false);
        }
        let found = tokio::select! {
            found = self.find(due) => found.unwrap_or_default(),
            Some(()) = self.interrupts.recv() => {
                self.notify(&Notice::Stopping(1));
                return Ok(true);
            }
        };
        let mut is_stopped = false;
        for (trial, mut reusable) in found {
            // Signals are heard by another task of this thread.
            tokio::task::yield_now().await;
            if self.interrupts.try_recv().is_ok() {
                self.notify(&Notice::Stopping(1));
                is_stopped = true;
                break;
            }
            let folder = match self.prepare(trial).await {
                Err(error) if error.shortage().is_some() => {
                    self.not_reused(trial, &reusable, &error);
                    continue;
                }
                folder => folder?,
            };
            match reusable.take_over(&folder) {
                Ok(()) => self.log_reused(trial, reusable).await?,
                Err(error) => self.not_reused(trial, &reusable, &error),
            }
        }
        self.tidy();
        Ok(is_stopped)
    }

    /// Looks for trials to reuse, on a thread of its own. The answer does not come if there is no thread.
    fn find(&mut self, trials: Vec<Trial>) -> oneshot::Receiver<BTreeMap<TrialId, ReusableTrial>> {
        let (folder, plan) = (self.run.folder.clone(), self.run.plan.clone());
        let devices = self.run.devices.clone();
        let (sender, found) = oneshot::channel();
        let find = move || _ = sender.send(reusable::find(&folder, &plan, &trials, &devices));
        if let Err(error) = threads::start(find) {
            self.notify(&Notice::Warning(format!("no trial of another sweep is reused: {error}")));
        }
        found
    }

    fn not_reused(&mut self, trial: TrialId, reusable: &ReusableTrial, error: &(dyn Error + 'static)) {
        let origin = &reusable.origin;
        self.notify(&Notice::Warning(format!(
            "trial {trial} is that of {origin}, but {}: it is trained as usual",
            with_causes(error)
        )));
    }

    /// The trials that are still to be run, but for those that the user wants to be run again, and those that are compared
    /// at rungs: a whole result would stand for a trial that may have been halted.
    pub(super) fn replaceable(&self) -> Vec<Trial> {
        let again: BTreeSet<TrialId> = self.run.again.iter().copied().collect();
        let to_run = self.study.to_run().into_iter().map(|(id, _)| id);
        let wanted: BTreeSet<TrialId> = to_run.filter(|id| !again.contains(id)).collect();
        let is_compared = self.study.halving().is_some();
        let trials = self.study.trials.iter().map(|record| &record.trial);
        let trials = trials.filter(|trial| !is_compared || trial.confirms.is_some());
        trials.filter(|trial| wanted.contains(&trial.id)).cloned().collect()
    }

    /// Logs the trial's events as the other sweep's log has them.
    async fn log_reused(&mut self, trial: TrialId, reusable: ReusableTrial) -> Result<(), ExecutorError> {
        let ReusableTrial { origin, record, outcome, .. } = reusable;
        if let Some(last) = record.evaluations.last() {
            let (step, epoch) = (last.step, last.epoch);
            self.record(Some(trial), Event::Resumed { step, epoch, from: Some(origin) }).await?;
        }
        if let Some(prepared) = record.prepared {
            self.record(Some(trial), Event::Prepared(prepared)).await?;
        }
        for evaluation in record.evaluations {
            self.record(Some(trial), Event::Evaluated(evaluation)).await?;
        }
        self.record(Some(trial), Event::Finished(outcome)).await?;
        self.remove_parameters().await
    }
}
