//! What a run adds to the log by itself: decisions at rungs, and trials that the sampler plans.

use super::{error::ExecutorError, prefixes::Prefixes, state::Loop};
use crate::{event::Event, halving, sampler::Proposal, system::device::Device, trial::TrialId};

impl Loop<'_> {
    /// Takes over trials of other sweeps, and plans what follows from them, until nothing more follows. Returns whether the
    /// user wishes to stop.
    pub(super) async fn reuse_all(&mut self) -> Result<bool, ExecutorError> {
        let mut due = self.replaceable();
        loop {
            let is_stopped = self.reuse(due).await?;
            let added = self.grow().await?;
            if added.is_empty() || is_stopped {
                return Ok(is_stopped);
            }
            due = self.replaceable();
            due.retain(|trial| added.contains(&trial.id));
        }
    }

    /// Compares what an earlier run has decided at rungs with what follows from the log. On GPUs, where a trial that is
    /// made again may have other figures in the last digits, the log is what holds.
    pub(super) fn check_decisions(&self) -> Result<(), ExecutorError> {
        if self.run.devices.iter().any(|device| !matches!(device, Device::Cpu { .. })) {
            return Ok(());
        }
        halving::contradiction(&self.study).map_or(Ok(()), |why| Err(ExecutorError::Decision { why }))
    }

    /// Logs what was decided about trials. Returns those that go on.
    pub(super) async fn decide(
        &mut self,
        decisions: Vec<(TrialId, Event)>,
    ) -> Result<Vec<TrialId>, ExecutorError> {
        let mut promoted = Vec::new();
        for (trial, event) in decisions {
            let record = self.record(Some(trial), event).await?;
            match record.event {
                Event::Promoted(_) => promoted.push(trial),
                _ => self.release(trial, &record.event),
            }
        }
        self.remove_parameters().await?;
        Ok(promoted)
    }

    /// Asks the sampler for trials, and logs them. Returns their numbers.
    pub(super) async fn grow(&mut self) -> Result<Vec<TrialId>, ExecutorError> {
        let mut added = Vec::new();
        let Proposal { trials, ended } = self.sampler.ask(&self.study);
        if let Some(why) = ended.filter(|why| self.study.search_ended.as_ref() != Some(why)) {
            self.record(None, Event::SearchEnded { why }).await?;
        }
        let may_share = trials.iter().any(|trial| trial.confirms.is_some());
        for trial in trials {
            let id = trial.id;
            self.record(Some(id), Event::TrialPlanned(Box::new(trial))).await?;
            added.push(id);
        }
        if may_share {
            // Trials that run go on as they were given.
            self.prefixes = Prefixes::of(&self.run, &self.study);
        }
        Ok(added)
    }
}
