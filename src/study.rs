//! A sweep's state: the fold of its events over its plan.

mod confirmation;
mod elapsed;
mod searched;
mod trial_record;

use std::collections::{BTreeMap, BTreeSet};

pub use self::{
    confirmation::Unconfirmed,
    elapsed::Elapsed,
    trial_record::{Decided, TrialRecord},
};

use crate::{
    data::LeakReport,
    event::{Event, Record, RungDecision},
    metrics::{ClassCounts, Target},
    plan::{Plan, Scale},
    search::{Confirm, Halving, SearchPlan, Verdict},
    trial::{State, Trial, TrialId},
};

/// A sweep as far as its log tells.
#[derive(Clone, Debug, PartialEq)]
pub struct Study {
    /// Its name.
    pub sweep: String,
    /// Class names.
    pub labels: Vec<String>,
    /// Which F1 counts.
    pub target: Target,
    /// The documents of each class in each split; empty where the plan does not say.
    pub classes: ClassCounts,
    /// Which documents are alike, contradictory or nearly empty; `None` where the plan does not say.
    pub leaks: Option<LeakReport>,
    /// Whether there is a positive class that the spec does not name.
    pub positive_is_guess: bool,
    /// Number of folds; `None` without folds.
    pub folds: Option<u32>,
    /// Names of the swept settings, in the order of the spec.
    pub swept: Vec<String>,
    /// The scales of those swept settings that have a range.
    pub scales: BTreeMap<String, Scale>,
    /// How trials are searched, if there is more to it than the plan's list.
    pub search: Option<SearchPlan>,
    /// How the best configurations are confirmed, if they are.
    pub confirm: Option<Confirm>,
    /// Why the search plans no further trial, once it does not.
    pub search_ended: Option<String>,
    /// How long the sweep has run, by the times of the log's records.
    pub elapsed: Elapsed,
    /// Every planned trial, in the order of the plan; then those that the log has added.
    pub trials: Vec<TrialRecord>,
    /// How many of them stand in the plan.
    pub planned: usize,
    /// Trials that the spec does not have any more. Records about them are ignored.
    pub removed: BTreeSet<TrialId>,
}

/// Why a record does not fit a plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StudyError {
    /// The plan has no such trial.
    #[error(
        "record {seq} of the log is about trial {trial}, which the plan does not have; forget the sweep's results: \
         sweep run SPEC --fresh"
    )]
    UnknownTrial {
        /// The record.
        seq: u64,
        /// Its trial.
        trial: TrialId,
    },
    /// The trial that a record adds to the plan stands there already, or the record names another one.
    #[error(
        "record {seq} of the log plans trial {trial} again; forget the sweep's results: sweep run SPEC --fresh"
    )]
    PlannedTwice {
        /// The record.
        seq: u64,
        /// Its trial.
        trial: TrialId,
    },
    /// The event is about a trial, and the record names none.
    #[error("record {seq} of the log names no trial; forget the sweep's results: sweep run SPEC --fresh")]
    NoTrial {
        /// The record.
        seq: u64,
    },
}

/// How many trials stand where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[expect(missing_docs, reason = "each field is named after its state")]
pub struct Counts {
    pub waiting: usize,
    pub running: usize,
    pub complete: usize,
    pub failed: usize,
    #[serde(skip_serializing_if = "is_zero")]
    pub paused: usize,
    #[serde(skip_serializing_if = "is_zero")]
    pub halted: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl Study {
    /// The sweep before anything happened: every trial waits.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        Self {
            sweep: plan.sweep.clone(),
            labels: plan.labels.clone(),
            target: plan.target(),
            classes: plan.classes.clone(),
            leaks: plan.leaks.clone(),
            positive_is_guess: plan.positive.is_some() && plan.data.guesses_positive(),
            folds: plan.data.folds,
            swept: plan.swept.clone(),
            scales: plan.scales.clone(),
            search: plan.search.clone(),
            confirm: plan.confirm,
            search_ended: None,
            elapsed: Elapsed::default(),
            trials: plan.trials.iter().cloned().map(TrialRecord::new).collect(),
            planned: plan.trials.len(),
            removed: plan.removed.ids().collect(),
        }
    }

    /// The sweep after `records`.
    ///
    /// # Errors
    /// When a record does not fit the plan.
    pub fn replay(plan: &Plan, records: &[Record]) -> Result<Self, StudyError> {
        let mut study = Self::new(plan);
        records.iter().try_for_each(|record| study.apply(record))?;
        Ok(study)
    }

    /// Takes in one more record.
    ///
    /// # Errors
    /// When it does not fit the plan; nothing changes then.
    pub fn apply(&mut self, record: &Record) -> Result<(), StudyError> {
        self.elapsed.add(record);
        if record.trial.is_some_and(|trial| self.removed.contains(&trial)) {
            return Ok(());
        }
        match &record.event {
            // One orchestrator at a time: when one begins, nothing of an earlier one runs any more.
            Event::SweepStarted { .. } => self.settle(),
            Event::SweepEnded { .. } | Event::CheckpointDamaged { .. } => {}
            Event::TrialPlanned(trial) => self.grow(record, trial)?,
            Event::Resumed { from, .. } => self.find(record)?.resume(from.as_ref()),
            Event::Started { attempt, device, micro_batch, alone, worker, .. } => {
                let trial = self.find(record)?.computing_at(worker.as_deref());
                trial.start(*attempt, *device, *micro_batch, *alone);
            }
            Event::Prepared(prepared) => self.find(record)?.prepared = Some(prepared.clone()),
            Event::Evaluated(evaluation) => self.find(record)?.evaluate(evaluation.clone()),
            Event::Finished(outcome) => {
                self.find(record)?.complete(outcome.clone());
            }
            Event::Failed { failure, retry } => {
                let trial = self.find(record)?;
                trial.state = if *retry { State::Waiting } else { State::Failed };
                trial.failure = Some(failure.clone());
            }
            Event::Interrupted => self.find(record)?.state = State::Waiting,
            Event::Continued => self.find(record)?.go_on(),
            Event::Paused { epoch } => self.find(record)?.pause(*epoch),
            Event::Promoted(decision) => self.decided(record, decision, Verdict::On)?,
            Event::Halted(decision) => self.decided(record, decision, Verdict::Out)?,
            Event::SearchEnded { why } => self.search_ended = Some(why.clone()),
            Event::ParametersRemoved => self.find(record)?.parameters_removed = true,
        }
        Ok(())
    }

    /// Sets every running trial to waiting: no orchestrator is left that could run it.
    pub fn settle(&mut self) {
        let search = self.search.clone();
        for trial in &mut self.trials {
            if trial.state == State::Running || trial.pauses_nowhere(search.as_ref()) {
                trial.state = State::Waiting;
            }
            // It may have gone on meanwhile, under a spec with other rungs.
            if trial.state == State::Waiting && trial.is_out() && trial.continued_from.is_none() {
                trial.state = State::Halted;
            }
        }
    }

    /// Sets trials that are over to waiting: complete trials whose files are gone, and failed trials that
    /// the user wants to be tried again.
    pub fn reopen(&mut self, trials: &[TrialId]) {
        let trials: BTreeSet<&TrialId> = trials.iter().collect();
        for record in self.trials.iter_mut().filter(|record| trials.contains(&record.trial.id)) {
            record.state = State::Waiting;
            record.outcome = None;
            record.parameters_removed = false;
            record.inherited_from = None;
            (record.micro_batch, record.alone) = (None, false);
        }
    }

    /// Takes in what was decided about a trial at a rung, unless its generation has other members, or the rungs are
    /// others since.
    fn decided(
        &mut self,
        record: &Record,
        decision: &RungDecision,
        verdict: Verdict,
    ) -> Result<(), StudyError> {
        let id = self.find(record)?.trial.id;
        let halving = self.halving();
        let is_of_today = halving.is_some_and(|halving| is_asked(halving, decision))
            && is_same_set(&self.generation_of(id), &decision.members);
        let trial = self.find(record)?;
        if !is_of_today || decision.rung != trial.rungs.len() {
            return Ok(());
        }
        trial.rungs.push(Decided { verdict, decision: decision.clone() });
        match (trial.state, verdict) {
            (State::Paused | State::Waiting, Verdict::Out) => trial.state = State::Halted,
            (State::Paused, Verdict::On) => trial.state = State::Waiting,
            // It has ended by itself before the rung, and is compared with the others all the same.
            _ => {}
        }
        Ok(())
    }

    /// How trials are halted, if they are.
    #[must_use]
    pub fn halving(&self) -> Option<&Halving> {
        self.search.as_ref()?.halving.as_ref()
    }

    /// The trials of the generation of trial `id`, in the order of the plan; none without a generation.
    #[must_use]
    pub fn generation_of(&self, id: TrialId) -> Vec<TrialId> {
        let number = |record: &TrialRecord| record.trial.origin.as_ref().map(|origin| origin.generation);
        let Some(own) = self.trial(id).and_then(number) else { return Vec::new() };
        let members = self.trials.iter().filter(|record| number(record) == Some(own));
        members.map(|record| record.trial.id).collect()
    }

    /// Adds a trial to the plan.
    fn grow(&mut self, record: &Record, trial: &Trial) -> Result<(), StudyError> {
        let is_same =
            |own: &Trial| (&own.params, own.repeat, own.seed) == (&trial.params, trial.repeat, trial.seed);
        match self.position(trial.id) {
            None if record.trial == Some(trial.id) => self.trials.push(TrialRecord::new(trial.clone())),
            // The spec has changed since, and the plan has what the log had added to an earlier one.
            Some(at) if at < self.planned && self.trials.get(at).is_some_and(|own| is_same(&own.trial)) => {}
            _ => return Err(StudyError::PlannedTwice { seq: record.seq, trial: trial.id }),
        }
        Ok(())
    }

    fn find(&mut self, record: &Record) -> Result<&mut TrialRecord, StudyError> {
        let id = record.trial.ok_or(StudyError::NoTrial { seq: record.seq })?;
        let found = self.position(id).and_then(|at| self.trials.get_mut(at));
        found.ok_or(StudyError::UnknownTrial { seq: record.seq, trial: id })
    }

    /// The trial numbered `id`.
    #[must_use]
    pub fn trial(&self, id: TrialId) -> Option<&TrialRecord> {
        self.trials.get(self.position(id)?)
    }

    /// Attempts at the trial numbered `id` that have begun.
    #[must_use]
    pub fn attempts(&self, id: TrialId) -> u32 {
        self.trial(id).map_or(0, |record| record.attempts)
    }

    /// Where the trial numbered `id` stands. Trials are numbered in the order of the plan unless
    /// its spec was changed, so all but few are found at once.
    fn position(&self, id: TrialId) -> Option<usize> {
        let is_here = |trial: &TrialRecord| trial.trial.id == id;
        let expected = usize::try_from(id.0).ok()?.checked_sub(1)?;
        if self.trials.get(expected).is_some_and(is_here) {
            return Some(expected);
        }
        self.trials.iter().position(is_here)
    }

    /// How many trials stand where.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for trial in &self.trials {
            *match trial.state {
                State::Waiting => &mut counts.waiting,
                State::Running => &mut counts.running,
                State::Paused => &mut counts.paused,
                State::Halted => &mut counts.halted,
                State::Complete => &mut counts.complete,
                State::Failed => &mut counts.failed,
            } += 1;
        }
        counts
    }

    /// Whether no trial waits, runs or pauses, and none is still to be planned to confirm a configuration.
    #[must_use]
    pub fn is_over(&self) -> bool {
        let counts = self.counts();
        counts.waiting + counts.running + counts.paused == 0 && self.confirmations_to_come() == 0
    }

    /// The trials that a run has to do, in the order of the plan, with the number of their attempts so far.
    /// Failed trials are not among them, see [`Self::failed`].
    #[must_use]
    pub fn to_run(&self) -> Vec<(TrialId, u32)> {
        let due = self.trials.iter().filter(|trial| matches!(trial.state, State::Waiting | State::Running));
        due.map(|trial| (trial.trial.id, trial.attempts)).collect()
    }

    /// The epochs that halted trials would have trained at most, had they not been halted.
    #[must_use]
    pub fn epochs_saved(&self) -> usize {
        let halted = self.trials.iter().filter(|record| record.state == State::Halted);
        let saved = halted.filter_map(|record| {
            let at = record.rungs.last()?.decision.epoch;
            Some(record.trial.settings.epochs.saturating_sub(at))
        });
        saved.sum()
    }

    /// The trials that were given up.
    #[must_use]
    pub fn failed(&self) -> Vec<TrialId> {
        let failed = self.trials.iter().filter(|trial| trial.state == State::Failed);
        failed.map(|trial| trial.trial.id).collect()
    }
}

/// Whether these rungs ask for a decision such as this one.
fn is_asked(halving: &Halving, decision: &RungDecision) -> bool {
    halving.rungs.get(decision.rung) == Some(&decision.epoch)
        && halving.by == decision.by
        && halving.quota(decision.rung, decision.configurations) == decision.quota
}

fn is_same_set(one: &[TrialId], other: &[TrialId]) -> bool {
    one.len() == other.len() && one.iter().all(|id| other.contains(id))
}

#[cfg(test)]
mod tests;
